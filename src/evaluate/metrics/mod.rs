//! Scores of forecasts against what came true. All on log returns: an error of 0.01 is one percent of price.
//!
//! A score over nothing, or one that its formula leaves undefined, is `None`: never 0, never NaN.

mod diebold_mariano;
mod direction;
mod interval;
mod point;
mod quantile;
mod volatility;

pub use diebold_mariano::{Comparison, diebold_mariano};
pub use direction::{PesaranTimmermann, directional_accuracy, pesaran_timmermann};
pub use interval::{coverage, width, winkler};
pub use point::{mae, mase, rmse, rmse_ratio_to_naive, rmsse};
pub use quantile::{crps, pinball, pinball_of};
pub use volatility::qlike;

/// The mean of finite values; `None` of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.into_iter().fold((0.0, 0_usize), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / count as f64)
}

/// `a / b` where that is a number.
fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let ratio = a? / b?;
    ratio.is_finite().then_some(ratio)
}

/// Twelve returns with a forecast, shared by the tests of this folder; the expected numbers stand in each
/// test and come from `scripts/reference/metrics.py` (numpy, scipy, `dieboldmariano`).
#[cfg(test)]
mod sample {
    pub(super) const ACTUAL: [f64; 12] =
        [0.012, -0.008, 0.003, 0.021, -0.015, 0.007, -0.002, 0.009, -0.011, 0.004, 0.016, -0.006];
    pub(super) const FORECAST: [f64; 12] =
        [0.004, -0.002, 0.001, 0.006, -0.003, -0.001, 0.002, 0.005, -0.004, 0.003, 0.002, 0.001];

    pub(super) fn errors() -> Vec<f64> {
        ACTUAL.iter().zip(FORECAST).map(|(actual, forecast)| actual - forecast).collect()
    }

    pub(super) fn close(found: Option<f64>, expected: f64) {
        let found = found.expect("defined");
        assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1e-12), "{found} is not {expected}");
    }
}
