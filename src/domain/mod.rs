//! The words of the field as types: once a value is a [`Bar`], a [`Ticker`] or a [`Horizon`],
//! nobody checks it again.
//!
//! Absent on purpose: any input or output, any library type but `chrono` dates.

pub mod bar;
pub mod calendar;
pub mod calendar_fit;
pub mod horizon;
pub mod krx;
pub mod level;
pub mod quantiles;
pub mod series;
pub mod ticker;
pub mod words;

pub use bar::{Bar, BarError, BarTime};
pub use calendar::Calendar;
pub use horizon::Horizon;
pub use level::Level;
pub use quantiles::Quantiles;
pub use series::{Interval, MarketSession, Series};
pub use ticker::Ticker;
pub use words::counted;
