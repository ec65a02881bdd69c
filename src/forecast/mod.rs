//! Answer now: a forecast from the newest window of stored bars.

pub mod steps;
