//! What forecasts warn of.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of answered forecasts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct ForecastSettings {
    /// Whole sessions of the ticker's market that pass without a bar before forecasts warn that the newest one is old
    /// (`stale_bars`). Weekly and monthly bars have the rest of their own period and the one after it besides. Too low
    /// warns of every holiday that a calendar does not know; too high says nothing of a feed that stopped.
    #[garde(range(min = 1, max = 1_000))]
    pub stale_after_sessions: u32,
    /// The same for bars within a day. Too low warns of every halted day; too high takes last week's minutes for news.
    #[garde(range(min = 1, max = 1_000))]
    pub stale_after_sessions_intraday: u32,
}

impl Default for ForecastSettings {
    fn default() -> Self {
        Self { stale_after_sessions: 5, stale_after_sessions_intraday: 1 }
    }
}
