//! What is asked of a ticker.

use std::str::FromStr;

use crate::domain::{BarTime, Horizon, Level};
use crate::evaluate::Baseline;

/// What is asked of a ticker.
#[derive(Debug, Clone, PartialEq)]
pub struct ForecastRequest {
    /// How many sessions ahead.
    pub horizon: Horizon,
    /// Central intervals to show.
    pub levels: Vec<Level>,
    /// Single quantiles to show, each in (0, 1).
    pub quantiles: Vec<f64>,
    /// The last bar to see; the newest where absent.
    pub as_of: Option<BarTime>,
    /// Who forecasts.
    pub model: ModelChoice,
    /// Whether a champion older than the policy allows still answers.
    pub allow_stale: bool,
}

impl Default for ForecastRequest {
    fn default() -> Self {
        Self {
            horizon: Horizon::ONE,
            levels: [0.8, 0.95].into_iter().filter_map(|level| Level::try_from(level).ok()).collect(),
            quantiles: Vec::new(),
            as_of: None,
            model: ModelChoice::Champion,
            allow_stale: false,
        }
    }
}

/// Who forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelChoice {
    /// The model version in service.
    Champion,
    /// A version by its number.
    Version(u32),
    /// A classical forecast, fitted on the stored bars when asked for.
    Baseline(Baseline),
}

impl FromStr for ModelChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.eq_ignore_ascii_case("champion") {
            return Ok(Self::Champion);
        }
        if let Ok(version) = text.parse::<u32>() {
            return Ok(Self::Version(version));
        }
        let known = Baseline::ALL.map(Baseline::name).join(", ");
        let refuse = |_| format!("model {text:?} is neither champion, a version, nor one of {known}");
        text.parse().map(Self::Baseline).map_err(refuse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_is_named_in_any_case() {
        assert_eq!("Champion".parse(), Ok(ModelChoice::Champion));
        assert_eq!("12".parse(), Ok(ModelChoice::Version(12)));
        assert_eq!("HAR".parse(), Ok(ModelChoice::Baseline(Baseline::Har)));
        let refused = "arima".parse::<ModelChoice>().expect_err("no model of ours");
        assert!(refused.starts_with("model \"arima\" is neither champion, a version, nor one of naive,"), "{refused}");
    }
}
