//! What a client may ask for; `/v1/limits` tells it.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::ingest::IngestLimits;
use crate::train::TrainLimits;

/// Caps on what comes in and on what may be asked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Validate)]
pub struct LimitSettings {
    /// Bodies of bars.
    #[garde(skip)]
    pub ingest: IngestLimits,
    /// Training configs.
    #[garde(skip)]
    pub train: TrainLimits,
    /// Backtests.
    #[garde(dive)]
    pub backtest: BacktestLimits,
    /// Queries and lists.
    #[garde(dive)]
    pub query: QueryLimits,
}

/// Caps on backtests: each fold may cost a training, and every forecast is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct BacktestLimits {
    /// Stretches that are forecast. Too high and one run trains for hours: each fold may be a training.
    #[garde(range(min = 1, max = 50))]
    pub folds: usize,
    /// Bars between two forecasts. Too high and too few forecasts are left to say anything.
    #[garde(range(min = 1, max = 250))]
    pub step_size: usize,
    /// Bars left out between a fit and its first forecast. Too high leaves too few bars to fit on.
    #[garde(range(max = 250))]
    pub embargo: usize,
    /// Bars of a fold. Too high and the fit of a fold grows old within it.
    #[garde(range(min = 1, max = 5_000))]
    pub fold_bars: usize,
    /// Forecasts of one run, over all models, bars and steps; about 40 bytes of the database each. Too low
    /// refuses long histories; too high fills the database.
    #[garde(range(min = 1, max = 10_000_000))]
    pub points: usize,
    /// Backtests kept of each ticker; a newer one takes the place of the oldest. Too low and results vanish
    /// before they are read; too high fills the database.
    #[garde(range(min = 1, max = 100_000))]
    pub kept: u32,
}

impl Default for BacktestLimits {
    fn default() -> Self {
        Self { folds: 50, step_size: 250, embargo: 250, fold_bars: 1_000, points: 100_000, kept: 20 }
    }
}

/// Caps on queries and lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct QueryLimits {
    /// Entries on one page of a list (tickers, jobs, models). Too low means many requests for a list; too high
    /// lets one answer take seconds and memory.
    #[garde(range(min = 1, max = 100_000))]
    pub max_page: usize,
    /// Entries on one page where the client does not say. Too low means many requests; too high means long
    /// answers that nobody asked for. At most `limits.query.max_page`.
    #[garde(range(min = 1, max = 100_000))]
    pub default_page: usize,
    /// Bars in one answer of `GET …/bars`; more are paged. Too low splits a series that fits in one answer; too
    /// high lets one answer take the memory: 120 bytes a bar.
    #[garde(range(min = 1, max = 10_000_000))]
    pub max_bars: usize,
    /// Tickers forecast by one `GET /v1/forecasts`. Too low splits a watch list; too high lets one request
    /// compute for minutes.
    #[garde(range(min = 1, max = 100_000))]
    pub max_forecasts: usize,
    /// Levels or quantiles in one forecast. Too low refuses a whole distribution; too high makes answers long
    /// for nothing.
    #[garde(range(min = 1, max = 1_000))]
    pub max_levels: usize,
    /// Bars in the window that `POST /v1/forecasts` brings. Too low refuses windows that a model could use; too
    /// high lets a request compute for long.
    #[garde(range(min = 1, max = 1_000_000))]
    pub max_window_bars: usize,
    /// Size of JSON request bodies other than bars, in bytes. Too low refuses windows of
    /// `limits.query.max_window_bars`; too high lets a request fill memory.
    #[garde(range(min = 1_024, max = 67_108_864))]
    pub max_json_bytes: usize,
}

impl Default for QueryLimits {
    fn default() -> Self {
        Self {
            max_page: 1_000,
            default_page: 100,
            max_bars: 100_000,
            max_forecasts: 500,
            max_levels: 32,
            max_window_bars: 10_000,
            max_json_bytes: 2 << 20,
        }
    }
}
