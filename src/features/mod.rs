//! Bars to numbers that a model can learn from, each known at its bar.
//!
//! In come bars; out go per-bar [`Columns`] (returns, gaps, range variance), a [`volatility`] forecast, and a
//! [`FeatureMatrix`] from which windows are cut by index, never copied twice.
//!
//! **No number at bar t depends on a bar after t**, and none on more than [`Columns::MEMORY`] bars before it: the
//! features of the last bars are the same bits whether ten years or only the newest bars are at hand.
//!
//! What other tickers did comes in beside the bars, as a [`Market`] puts it there.
//!
//! Absent on purpose: prices as levels, and anything fitted on more rows than the caller names.

pub mod columns;
mod dating;
pub mod market;
pub mod regression;
pub mod regressors;
pub mod season;
pub mod volatility;
pub mod window;

pub use columns::Columns;
pub use market::{Footprint, Market};
pub use regressors::{RegressorTable, Regressors};
pub use season::Season;
pub use volatility::VolatilityModel;
pub use window::{FeatureGroup, FeatureMatrix, Rows, Scaler};
