//! Scores of whole distributions.

use crate::domain::Quantiles;

/// Pinball loss of one quantile forecast: `max(p·(y − q), (p − 1)·(y − q))`; lower is better, in log return.
///
/// Source: Koenker & Bassett (1978), "Regression Quantiles", Econometrica 46.
pub fn pinball(level: f64, forecast: f64, truth: f64) -> f64 {
    let error = truth - forecast;
    (level * error).max((level - 1.0) * error)
}

/// Mean pinball loss of a distribution at `levels`, each weighing the same.
pub fn pinball_of(forecast: &Quantiles, levels: &[f64], truth: f64) -> f64 {
    let sum: f64 = levels.iter().map(|level| pinball(*level, forecast.at(*level), truth)).sum();
    sum / levels.len().max(1) as f64
}

/// Points at which the integral over levels is taken.
const CRPS_POINTS: usize = 200;

/// Continuous ranked probability score, `2 ∫₀¹ pinball_p dp`, in log return; lower is better, 0 is certainty
/// come true. The integral is a midpoint sum over 200 levels, so the tails that [`Quantiles`] continues count.
///
/// Source: Laio & Tamea (2007), "Verification tools for probabilistic forecasts of continuous hydrological
/// variables", Hydrology and Earth System Sciences 11, for the form in quantiles; Gneiting & Raftery (2007).
pub fn crps(forecast: &Quantiles, truth: f64) -> f64 {
    let level = |idx: usize| (idx as f64 + 0.5) / CRPS_POINTS as f64;
    let sum: f64 = (0..CRPS_POINTS).map(level).map(|level| pinball(level, forecast.at(level), truth)).sum();
    2.0 * sum / CRPS_POINTS as f64
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, close};
    use super::*;
    use crate::evaluate::metrics::mean;

    #[test]
    fn numbers_agree_with_numpy() {
        let expected =
            [(0.1, -0.01, 0.00175), (0.5, 0.001, 0.004_666_666_666_666_667), (0.9, 0.013, 0.001_966_666_666_666_667)];
        for (level, forecast, score) in expected {
            close(mean(ACTUAL.map(|truth| pinball(level, forecast, truth))), score);
        }
    }

    #[test]
    fn crps_of_a_normal_is_near_its_closed_form() {
        let scores = [-1.281_551_565_544_6, 0.0, 1.281_551_565_544_6];
        let normal =
            Quantiles::new(vec![0.1, 0.5, 0.9], scores.map(|z| 0.001 + 0.012 * z).to_vec()).expect("ascending");
        // Closed form (scipy): 0.0128098.
        let found = crps(&normal, 0.02);
        assert!((found / 0.012_809_824_981_140_541 - 1.0).abs() < 2e-3, "{found}");
    }

    #[test]
    fn the_mean_over_levels_is_what_it_says() {
        let q = Quantiles::new(vec![0.1, 0.9], vec![-0.01, 0.013]).expect("ascending");
        let expected = 0.5 * (pinball(0.1, -0.01, 0.02) + pinball(0.9, 0.013, 0.02));
        close(Some(pinball_of(&q, &[0.1, 0.9], 0.02)), expected);
    }
}
