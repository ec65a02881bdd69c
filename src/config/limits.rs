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
    /// Queries and lists.
    #[garde(dive)]
    pub query: QueryLimits,
}

/// Caps on queries and lists.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct QueryLimits {
    /// Entries on one page of a list (tickers, jobs, models).
    #[garde(range(min = 1, max = 100_000))]
    pub max_page: usize,
    /// Entries on one page where the client does not say.
    #[garde(range(min = 1, max = 100_000))]
    pub default_page: usize,
    /// Bars in one answer of `GET …/bars`; more are paged.
    #[garde(range(min = 1, max = 10_000_000))]
    pub max_bars: usize,
    /// Tickers forecast by one `GET /v1/forecasts`.
    #[garde(range(min = 1, max = 100_000))]
    pub max_forecasts: usize,
    /// Levels or quantiles in one forecast.
    #[garde(range(min = 1, max = 1_000))]
    pub max_levels: usize,
    /// Bars in the window that `POST /v1/forecasts` brings.
    #[garde(range(min = 1, max = 1_000_000))]
    pub max_window_bars: usize,
    /// Size of JSON request bodies other than bars, in bytes.
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
