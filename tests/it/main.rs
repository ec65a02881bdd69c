//! One integration binary: one link, one set of helpers.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "a test may stop at the first surprise and tell about it"
)]

mod architecture;
mod lecture;
mod nn;
#[cfg(any(feature = "cuda", feature = "metal"))]
mod gpu;
mod config;
mod forecast;
mod http;
mod cli;
mod cli_serve;
mod packed;
mod page;
mod ingest;
mod round_trips;
mod dialects;
mod misreadings;
mod train;
mod checkpoints;
mod jobs;
mod champions;
mod due;
mod market_learning;
mod markets;
mod backtests;
mod registry;
mod skill;
mod store;
mod store_jobs;
mod backup;
mod support;
