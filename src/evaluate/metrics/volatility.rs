//! Scores of volatility forecasts.

use super::mean;

/// QLIKE: `mean(ln σ² + r² / σ²)` for forecasts `volatilities` (σ, standard deviation) of the returns
/// `actual`; lower is better. It ranks forecasts as if the true variance were known although `r²` is a noisy
/// stand-in for it, and unlike the form with `ln(r²/σ²)` it is defined on days without a change of price.
///
/// Source: Patton (2011), "Volatility forecast comparison using imperfect volatility proxies", Journal of
/// Econometrics 160.
pub fn qlike(volatilities: &[f64], actual: &[f64]) -> Option<f64> {
    let scores = volatilities.iter().zip(actual);
    let score = mean(scores.map(|(volatility, r)| 2.0 * volatility.ln() + (r / volatility).powi(2)));
    score.filter(|score| score.is_finite())
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, close};
    use super::*;

    #[test]
    fn the_number_agrees_with_numpy() {
        let variances = [1e-4, 2e-4, 1.5e-4, 1e-4, 2.5e-4, 1e-4, 8e-5, 9e-5, 1e-4, 1.1e-4, 2e-4, 1e-4];
        close(qlike(&variances.map(f64::sqrt), &ACTUAL), -8.040_314_467_027_097);
    }

    #[test]
    fn a_certain_forecast_has_no_score() {
        assert_eq!(qlike(&[0.0], &[0.01]), None);
        assert_eq!(qlike(&[], &[]), None);
    }
}
