//! What is answered.

use super::ForecastStep;
use crate::domain::{Calendar, Ticker};
use crate::evaluate::{Baseline, Skill};
use crate::train::Cell;

/// A forecast, as of one bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Forecast {
    /// Whose.
    pub ticker: Option<Ticker>,
    /// The last bar seen, as clients name it.
    pub as_of: String,
    /// Its close.
    pub last_close: f64,
    /// The market's sessions.
    pub calendar: Calendar,
    /// The state of the stored bars.
    pub data_version: Option<u64>,
    /// Who forecast.
    pub model: ModelUsed,
    /// Whether the model was trained on bars after `as_of`.
    pub in_sample: bool,
    /// One entry a session ahead.
    pub steps: Vec<ForecastStep>,
    /// What this ticker's live forecasts were worth; `None` while too few have come true.
    pub skill: Option<Skill>,
    /// What a reader should know before believing it.
    pub warnings: Vec<ForecastWarning>,
}

/// Who made a forecast.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelUsed {
    /// A trained network.
    Version(VersionUsed),
    /// A classical forecast, fitted on all bars up to `as_of`.
    Baseline(Baseline),
}

/// A trained network, as of a forecast.
#[derive(Debug, Clone, PartialEq)]
pub struct VersionUsed {
    /// Its number.
    pub version: u32,
    /// Which recurrence it runs.
    pub cell: Cell,
    /// Of its artifact.
    pub sha256: String,
    /// The newest bar it was trained on.
    pub trained_through: String,
    /// Bars between that and `as_of`.
    pub age_bars: u64,
    /// λ of the point forecast, a step each: 0 is "no change", 1 the distribution's mean.
    pub shrinkage: Vec<f64>,
    /// Which share of what the networks learned is in the distribution, a step each: 0 is the regression under them.
    pub network_trust: Vec<f64>,
    /// Other tickers of its market whose session of `as_of` it knows; `None` where of none.
    pub market_tickers: Option<u32>,
}

/// What a reader should know before believing a forecast.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForecastWarning {
    /// Stable name.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}
