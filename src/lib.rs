//! candlecast: price files in, honest forecasts out.
//!
//! The module list below is the architecture. **A module imports only from modules above it**;
//! `tests/it/architecture.rs` holds that, and that each big library has one home.
//!
//! A price travels down this list: bytes become bars in [`ingest`], bars become windows in
//! [`features`], windows train a network of [`nn`] in [`train`], what came of it is measured in
//! [`evaluate`], kept by [`store`] and [`registry`], and answered by [`forecast`] and [`http`].

// Pure: values in, values out. No clock, no SQL, no network.
pub mod domain;
pub mod ingest;
pub mod features;
pub mod nn;
pub mod train;
pub mod evaluate;

// The running process.
pub mod config;
pub mod store;
pub mod registry;
pub mod app;
pub mod forecast;
pub mod jobs;
pub mod http;
pub mod cli;
