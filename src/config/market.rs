//! What a ticker's forecasts learn from the other tickers of its exchange.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of markets: the daily bars of the tickers of one exchange (their calendar) together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct MarketSettings {
    /// Tickers of an exchange that make its market, those stored first. Trainings learn what the others' sessions say of a
    /// ticker's next ones. Too few are no market: below four, as with 0, forecasts come from a ticker's own bars alone;
    /// eight whose bars go on tell nearly as much as fifty. Too many take memory (24 bytes a bar) and, when their bars
    /// change, time to be read again.
    #[garde(range(max = 10_000))]
    pub max_tickers: u32,
    /// After how many milliseconds forecasts take up what new bars of other tickers say (reading takes a tenth of the
    /// time at most). Too low computes all forecasts anew again and again while bars are stored; too high
    /// answers from the market as it was.
    #[garde(range(min = 250, max = 3_600_000))]
    pub refresh_ms: u64,
}

impl Default for MarketSettings {
    fn default() -> Self {
        Self { max_tickers: 50, refresh_ms: 1_000 }
    }
}
