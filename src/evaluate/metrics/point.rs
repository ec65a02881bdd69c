//! How far point forecasts are from the truth. An error is truth minus forecast, in log return.

use super::{mean, ratio};

/// Root mean squared error: `sqrt(mean(e²))`.
pub fn rmse(errors: &[f64]) -> Option<f64> {
    mean(errors.iter().map(|error| error * error)).map(f64::sqrt)
}

/// Mean absolute error: `mean(|e|)`.
pub fn mae(errors: &[f64]) -> Option<f64> {
    mean(errors.iter().map(|error| error.abs()))
}

/// Mean absolute scaled error: `MAE / mean(|r|)` over the one-step returns `history` known before the
/// forecasts, that is over the errors that "no change" made there. Below 1 is better than that.
///
/// Source: Hyndman & Koehler (2006), "Another look at measures of forecast accuracy", International Journal
/// of Forecasting 22.
pub fn mase(errors: &[f64], history: &[f64]) -> Option<f64> {
    ratio(mae(errors), mae(history))
}

/// Root mean squared scaled error: `sqrt(mean(e²) / mean(r²))` over the one-step returns `history`.
///
/// Source: Makridakis, Spiliotis & Assimakopoulos (2022), "The M5 competition", International Journal of
/// Forecasting 38.
pub fn rmsse(errors: &[f64], history: &[f64]) -> Option<f64> {
    ratio(rmse(errors), rmse(history))
}

/// RMSE over the RMSE of "no change" on the same points: `sqrt(Σe² / Σr²)` with `actual` the returns that
/// came true. This is Theil's U2 on log prices; below 1 beats "no change".
///
/// Source: Theil (1966), "Applied Economic Forecasting", chapter 2.
pub fn rmse_ratio_to_naive(errors: &[f64], actual: &[f64]) -> Option<f64> {
    ratio(rmse(errors), rmse(actual))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, close, errors};
    use super::*;

    #[test]
    fn numbers_agree_with_numpy() {
        let (errors, history) = (errors(), [0.01, -0.02, 0.015, -0.005, 0.008, -0.012]);
        close(rmse(&errors), 0.008_485_281_374_238_57);
        close(mae(&errors), 0.007_333_333_333_333_334);
        close(mase(&errors, &history), 0.628_571_428_571_428_7);
        close(rmsse(&errors, &history), 0.671_520_258_221_973);
        close(rmse_ratio_to_naive(&errors, &ACTUAL), 0.772_987_951_680_997);
    }

    #[test]
    fn nothing_and_a_flat_history_have_no_score() {
        assert_eq!(rmse(&[]), None);
        assert_eq!(mase(&[0.1], &[0.0, 0.0]), None);
        assert_eq!(rmse_ratio_to_naive(&[0.0], &[0.0]), None);
    }
}
