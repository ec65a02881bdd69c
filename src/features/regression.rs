//! Ridge regression for a handful of regressors.

/// A fitted linear map from regressors to a target.
#[derive(Debug, Clone, PartialEq)]
pub struct Linear {
    /// Value where every regressor is 0.
    pub intercept: f64,
    /// One a regressor.
    pub coefficients: Vec<f64>,
}

impl Linear {
    /// Least squares with a ridge on standardised regressors; a constant regressor gets coefficient 0.
    ///
    /// * `rows`    `[n_rows * n_regressors]`, row after row
    /// * `targets` `[n_rows]`
    /// * `ridge`   penalty in rows: as if that many rows had said "no effect"; above 0
    pub fn fit(rows: &[f64], targets: &[f64], ridge: f64) -> Self {
        let n_rows = targets.len().max(1);
        let n_regressors = rows.len() / n_rows;
        let (means, scales) = moments(rows, n_rows, n_regressors);
        let target_mean = targets.iter().sum::<f64>() / n_rows as f64;
        let mut gram = vec![0.0; n_regressors * n_regressors];
        let mut moment = vec![0.0; n_regressors];
        let mut scaled = vec![0.0; n_regressors];
        for (row, target) in rows.chunks_exact(n_regressors.max(1)).zip(targets) {
            for (idx, value) in row.iter().enumerate() {
                scaled[idx] = (value - means[idx]) / scales[idx];
            }
            for i in 0..n_regressors {
                moment[i] += scaled[i] * (target - target_mean);
                for j in 0..=i {
                    gram[i * n_regressors + j] += scaled[i] * scaled[j];
                }
            }
        }
        for i in 0..n_regressors {
            gram[i * n_regressors + i] += ridge;
        }
        let standardised = solve_positive(gram, moment);
        let coefficients: Vec<f64> = standardised.iter().zip(&scales).map(|(value, scale)| value / scale).collect();
        let shift: f64 = coefficients.iter().zip(&means).map(|(coefficient, mean)| coefficient * mean).sum();
        Self { intercept: target_mean - shift, coefficients }
    }

    /// The target expected for a row of regressors.
    pub fn predict(&self, row: &[f64]) -> f64 {
        self.intercept + self.coefficients.iter().zip(row).map(|(coefficient, value)| coefficient * value).sum::<f64>()
    }
}

/// Means and standard deviations by column; a constant column has scale 1.
fn moments(rows: &[f64], n_rows: usize, n_columns: usize) -> (Vec<f64>, Vec<f64>) {
    let mut means = vec![0.0; n_columns];
    let mut scales = vec![0.0; n_columns];
    for row in rows.chunks_exact(n_columns.max(1)) {
        for (mean, value) in means.iter_mut().zip(row) {
            *mean += value / n_rows as f64;
        }
    }
    for row in rows.chunks_exact(n_columns.max(1)) {
        for (idx, value) in row.iter().enumerate() {
            scales[idx] += (value - means[idx]).powi(2) / n_rows as f64;
        }
    }
    for scale in &mut scales {
        *scale = if *scale > 1e-20 { scale.sqrt() } else { 1.0 };
    }
    (means, scales)
}

/// Solves `matrix · x = right` by Cholesky; `matrix` holds the lower triangle of a positive definite one.
pub fn solve_positive(mut matrix: Vec<f64>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for i in 0..n {
        for j in 0..=i {
            let dot: f64 = (0..j).map(|k| matrix[i * n + k] * matrix[j * n + k]).sum();
            let rest = matrix[i * n + j] - dot;
            // Rounding may take a nearly collinear pivot below 0; its direction then carries nothing.
            matrix[i * n + j] = if i == j { rest.max(1e-12).sqrt() } else { rest / matrix[j * n + j] };
        }
    }
    for i in 0..n {
        let dot: f64 = (0..i).map(|k| matrix[i * n + k] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i * n + i];
    }
    for i in (0..n).rev() {
        let dot: f64 = (i + 1..n).map(|k| matrix[k * n + i] * right[k]).sum();
        right[i] = (right[i] - dot) / matrix[i * n + i];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_is_found_and_a_constant_regressor_is_left_out() {
        let rows: Vec<f64> = (0..50).flat_map(|i| [f64::from(i), f64::from(i % 7), 3.0]).collect();
        let targets: Vec<f64> = rows.chunks(3).map(|row| 1.0 + 2.0 * row[0] - 0.5 * row[1]).collect();
        let fit = Linear::fit(&rows, &targets, 1e-9);
        assert!((fit.intercept - 1.0).abs() < 1e-6 && (fit.coefficients[0] - 2.0).abs() < 1e-6, "{fit:?}");
        assert!((fit.coefficients[1] + 0.5).abs() < 1e-6 && fit.coefficients[2].abs() < 1e-9, "{fit:?}");
        assert!((fit.predict(&[10.0, 2.0, 3.0]) - 20.0).abs() < 1e-6);
    }

    #[test]
    fn a_ridge_shrinks_toward_the_mean() {
        let (rows, targets) = ([0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]);
        assert!((Linear::fit(&rows, &targets, 4.0).coefficients[0] - 0.5).abs() < 1e-9);
    }
}
