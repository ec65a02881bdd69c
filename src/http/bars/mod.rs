//! Prices in and out.

pub(super) mod get;
pub(super) mod post;
mod query;
mod report;
