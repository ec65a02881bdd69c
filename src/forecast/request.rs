//! What is asked of a ticker.

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
