//! Why there is no forecast, and what to do about it.

use crate::app::{ComputeError, MarketError};
use crate::domain::{Ticker, counted};
use crate::registry::RegistryError;
use crate::store::StoreError;

/// Why there is no forecast.
#[derive(Debug, thiserror::Error)]
pub enum ForecastError {
    /// Nobody sent bars of it.
    #[error("no bars of {ticker} were ever sent: send them first")]
    UnknownTicker {
        /// Which.
        ticker: Ticker,
    },
    /// Nothing trained yet.
    #[error("{ticker} has no model yet; train one, or wait for its job, or ask a baseline with model=har")]
    NoModelYet {
        /// Which.
        ticker: Ticker,
    },
    /// That version does not exist.
    #[error("{ticker} has no model version {version}")]
    UnknownVersion {
        /// Whose.
        ticker: Ticker,
        /// Which.
        version: u32,
    },
    /// The policy says that the champion is too old.
    #[error(
        "the champion of {ticker} is {} old, its policy lets models answer for {limit}; train again, or pass allow_stale=true",
        counted(*age_bars, "bar")
    )]
    ModelExpired {
        /// Whose.
        ticker: Ticker,
        /// How old.
        age_bars: u64,
        /// The policy's limit.
        limit: u32,
    },
    /// Further than the model was trained for.
    #[error("asked for {}, the model forecasts {trained}; train one with \"horizon\": {asked}", counted(*asked, "step"))]
    HorizonBeyondModel {
        /// Steps asked for.
        asked: usize,
        /// Steps the model gives.
        trained: usize,
    },
    /// Fewer bars than the model reads.
    #[error("{} up to {as_of}: this forecast needs {needed}", counted(*have, "bar"))]
    TooFewBars {
        /// How many are needed.
        needed: usize,
        /// How many there are.
        have: usize,
        /// The cutoff.
        as_of: String,
    },
    /// `as_of` before the first bar.
    #[error("no bar of {ticker} stands at or before {as_of}")]
    NothingBefore {
        /// Whose.
        ticker: Ticker,
        /// The cutoff.
        as_of: String,
    },
    /// The model failed on these bars.
    #[error("the model cannot forecast from these bars: {reason}")]
    Model {
        /// Why.
        reason: String,
    },
    /// Too many requests compute at this moment.
    #[error("too many forecasts are being computed; ask again in a moment")]
    Busy,
    /// Artifacts.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<MarketError> for ForecastError {
    fn from(error: MarketError) -> Self {
        match error {
            MarketError::Store(error) => error.into(),
            MarketError::Compute(error) => error.into(),
        }
    }
}

impl From<ComputeError> for ForecastError {
    fn from(error: ComputeError) -> Self {
        match error {
            ComputeError::Busy => Self::Busy,
            ComputeError::Failed(reason) => Self::Model { reason },
        }
    }
}
