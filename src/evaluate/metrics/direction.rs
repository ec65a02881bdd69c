//! Whether the sign was right.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

use super::mean;

/// Share of points whose forecast and outcome have the same sign. Points without a sign are left out: a
/// forecast of exactly "no change" says nothing about direction, and an unchanged price rewards nobody.
pub fn directional_accuracy(forecasts: &[f64], actual: &[f64]) -> Option<f64> {
    let signed = forecasts.iter().zip(actual).filter(|(forecast, actual)| **forecast != 0.0 && **actual != 0.0);
    mean(signed.map(|(forecast, actual)| f64::from(u8::from((*forecast > 0.0) == (*actual > 0.0)))))
}

/// A test of the hypothesis that forecast and outcome go up and down independently.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PesaranTimmermann {
    /// Standard normal where direction cannot be forecast; positive where it can.
    pub statistic: f64,
    /// One-sided: small where direction was forecast better than by chance.
    pub p_value: f64,
}

/// Pesaran-Timmermann test. `None` where it is undefined: forecasts or outcomes that all go one way (a
/// forecast that always says "up" cannot be told from luck), or fewer than two points.
///
/// With `P` the share of right signs and `P*` the share expected of independent ones, the statistic is
/// `(P − P*) / sqrt(var(P) − var(P*))`.
///
/// Source: Pesaran & Timmermann (1992), "A Simple Nonparametric Test of Predictive Performance", Journal of
/// Business & Economic Statistics 10.
pub fn pesaran_timmermann(forecasts: &[f64], actual: &[f64]) -> Option<PesaranTimmermann> {
    let n = forecasts.len().min(actual.len()) as f64;
    let share = |up: &dyn Fn(f64, f64) -> bool| {
        mean(forecasts.iter().zip(actual).map(|(forecast, actual)| f64::from(u8::from(up(*forecast, *actual)))))
    };
    let right = share(&|forecast, actual| (forecast > 0.0) == (actual > 0.0))?;
    let said_up = share(&|forecast, _| forecast > 0.0)?;
    let went_up = share(&|_, actual| actual > 0.0)?;

    let expected = went_up * said_up + (1.0 - went_up) * (1.0 - said_up);
    let variance = expected * (1.0 - expected) / n;
    let variance_expected = (2.0 * went_up - 1.0).powi(2) * said_up * (1.0 - said_up) / n
        + (2.0 * said_up - 1.0).powi(2) * went_up * (1.0 - went_up) / n
        + 4.0 * went_up * said_up * (1.0 - went_up) * (1.0 - said_up) / (n * n);
    // With one side constant both variances are equal but for rounding.
    let difference = variance - variance_expected;
    if difference <= 1e-12 || [said_up, went_up].iter().any(|share| *share == 0.0 || *share == 1.0) {
        return None;
    }
    let statistic = (right - expected) / difference.sqrt();
    Some(PesaranTimmermann { statistic, p_value: Normal::standard().sf(statistic) })
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, FORECAST, close};
    use super::*;

    #[test]
    fn numbers_agree_with_scipy() {
        let test = pesaran_timmermann(&FORECAST, &ACTUAL);
        close(test.map(|test| test.statistic), 1.729_799_928_375_473);
        close(test.map(|test| test.p_value), 0.041_833_013_630_060_04);
        close(directional_accuracy(&FORECAST, &ACTUAL), 0.75);
    }

    #[test]
    fn a_forecast_that_always_says_up_has_no_direction_test() {
        assert_eq!(pesaran_timmermann(&[0.01; 12], &ACTUAL), None);
        assert_eq!(pesaran_timmermann(&[0.0; 12], &ACTUAL), None);
        assert_eq!(pesaran_timmermann(&FORECAST, &[0.01; 12]), None);
        assert_eq!(pesaran_timmermann(&[], &[]), None);
    }

    #[test]
    fn no_change_has_no_direction() {
        assert_eq!(directional_accuracy(&[0.0; 12], &ACTUAL), None);
        close(directional_accuracy(&[0.1, 0.1], &[0.0, 0.2]), 1.0);
    }
}
