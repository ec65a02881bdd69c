//! Bars to numbers that a model can learn from, each known at its bar.
//!
//! In come bars; out go per-bar [`Columns`] (returns, gaps, range variance) and a
//! [`volatility`] forecast.
//!
//! **No number at bar t depends on a bar after t**, and none on more than [`Columns::MEMORY`] bars before it: the
//! features of the last bars are the same bits whether ten years or only the newest bars are at hand.
//!
//! Absent on purpose: prices as levels, and anything fitted on more rows than the caller names.

pub mod columns;
pub mod regression;
pub mod volatility;

pub use columns::Columns;
pub use volatility::{Regressors, VolatilityModel};
