//! What a ticker's forecasts learn from the other tickers of its exchange.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of markets: the daily bars of the tickers of one exchange (their calendar) together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct MarketSettings {
    /// Tickers of an exchange that make its market, those stored first. Of four or more, trainings learn what the others'
    /// sessions say of a ticker's next ones. 0: forecasts come from a ticker's own bars alone. Too few are no market; more
    /// take memory (24 bytes a bar) and, when their bars change, time to be read again.
    #[garde(range(max = 10_000))]
    pub max_tickers: u32,
    /// After how many milliseconds forecasts take up what new bars of other tickers say (not below 250, and reading takes
    /// a tenth of the time at most). Too low computes all forecasts anew again and again while bars are stored; too high
    /// answers from the market as it was.
    #[garde(range(max = 3_600_000))]
    pub refresh_ms: u64,
}

impl Default for MarketSettings {
    fn default() -> Self {
        Self { max_tickers: 50, refresh_ms: 1_000 }
    }
}
