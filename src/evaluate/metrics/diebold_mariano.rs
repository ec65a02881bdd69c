//! Whether one forecast is better than another by more than luck.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use super::mean;

/// The outcome of a Diebold-Mariano test of a model against a rival.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Student-t where both are equally good; negative where the model's losses are smaller.
    pub statistic: f64,
    /// One-sided: the probability of losses this much smaller if the model were no better. Small favours the
    /// model, near 1 the rival.
    pub p_value: f64,
    /// How many points.
    pub n: usize,
}

/// Diebold-Mariano test with the small-sample correction of Harvey, Leybourne & Newbold.
///
/// * `differences` — loss of the model minus loss of the rival, a point each, in order of time
/// * `overlap` — how many consecutive points share outcomes: the horizon, divided (rounding up) by the
///   distance of the points; 1 for one-step forecasts of every bar
///
/// With `d̄` the mean and `γₖ` the autocovariances of the differences, the variance of the mean is
/// `(γ₀ + 2 Σ γₖ) / n` over the `overlap − 1` lags that overlapping outcomes correlate; where noise makes that
/// negative, Bartlett weights (`1 − k / overlap`) keep it positive. The statistic `d̄ / sqrt(variance)` times
/// `sqrt((n + 1 − 2h + h(h − 1)/n) / n)`, `h` the overlap, is compared with Student's t at `n − 1` degrees.
///
/// `None` with fewer points than three times the overlap (and 3), or where all differences are equal: as of a
/// model compared with itself.
///
/// Sources: Diebold & Mariano (1995), "Comparing Predictive Accuracy", Journal of Business & Economic
/// Statistics 13; Harvey, Leybourne & Newbold (1997), "Testing the equality of prediction mean squared
/// errors", International Journal of Forecasting 13.
pub fn diebold_mariano(differences: &[f64], overlap: usize) -> Option<Comparison> {
    let (n, lags) = (differences.len(), overlap.max(1));
    if n < 3 * lags {
        return None;
    }
    let average = mean(differences.iter().copied())?;
    let autocovariance = |lag: usize| {
        let pairs = differences.iter().zip(&differences[lag..]);
        pairs.map(|(a, b)| (a - average) * (b - average)).sum::<f64>() / n as f64
    };
    let variance = |weight: &dyn Fn(usize) -> f64| {
        let lagged: f64 = (1..lags).map(|lag| weight(lag) * autocovariance(lag)).sum();
        (autocovariance(0) + 2.0 * lagged) / n as f64
    };
    let rectangular = variance(&|_| 1.0);
    let positive = match rectangular > 0.0 {
        true => rectangular,
        false => variance(&|lag| 1.0 - lag as f64 / lags as f64),
    };
    // Equal differences leave rounding noise, which is no evidence.
    let noise = (1e-12 * average.abs()).powi(2);
    if positive <= noise {
        return None;
    }
    let (n_points, h) = (n as f64, lags as f64);
    let correction = ((n_points + 1.0 - 2.0 * h + h * (h - 1.0) / n_points) / n_points).sqrt();
    let statistic = correction * average / positive.sqrt();
    let p_value = StudentsT::new(0.0, 1.0, n_points - 1.0).ok()?.cdf(statistic);
    p_value.is_finite().then_some(Comparison { statistic, p_value, n })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, FORECAST, close};
    use super::*;

    fn squared_against_no_change() -> Vec<f64> {
        ACTUAL.iter().zip(FORECAST).map(|(actual, forecast)| (actual - forecast).powi(2) - actual * actual).collect()
    }

    #[test]
    fn numbers_agree_with_another_implementation() {
        let differences = squared_against_no_change();
        let one = diebold_mariano(&differences, 1);
        close(one.map(|test| test.statistic), -2.598_883_002_506_372_3);
        close(one.map(|test| test.p_value), 0.012_371_614_378_060_664);
        let three = diebold_mariano(&differences, 3);
        close(three.map(|test| test.statistic), -9.533_044_843_039_114);
        let p_value = three.map(|test| test.p_value).expect("defined");
        assert!((p_value / 5.948_338_621_631_608e-7 - 1.0).abs() < 1e-6, "{p_value}");
    }

    /// Mean 0.1, γ₀ = 1, γ₁ = −11/12: the plain sum is negative; with Bartlett's weight ½ on lag 1 the variance of the
    /// mean is (1 − 11/12) / 12, so the statistic is 0.1 · 12 times the correction √((9 + 1/6) / 12).
    #[test]
    fn a_negative_variance_falls_back_on_bartlett_s_weights() {
        let alternating: Vec<f64> = (0..12).map(|idx| if idx % 2 == 0 { 1.1 } else { -0.9 }).collect();
        let test = diebold_mariano(&alternating, 2);
        close(test.map(|test| test.statistic), 1.2 * ((9.0 + 1.0 / 6.0) / 12.0_f64).sqrt());
        assert!(test.is_some_and(|test| test.p_value > 0.8));
    }

    #[test]
    fn a_model_compared_with_itself_is_no_comparison() {
        assert_eq!(diebold_mariano(&[0.0; 50], 1), None);
        assert_eq!(diebold_mariano(&[0.3; 50], 1), None);
        assert_eq!(diebold_mariano(&[0.1, 0.2], 1), None);
    }

    #[test]
    fn the_side_of_the_test_is_the_model_s() {
        let worse: Vec<f64> = squared_against_no_change().iter().map(|difference| -difference).collect();
        let p_value = diebold_mariano(&worse, 1).map(|test| test.p_value);
        assert!(p_value.is_some_and(|p| p > 0.98));
    }
}
