//! Bars to a fitted model: quantiles of the log return 1 to 20 sessions ahead.
//!
//! In come a [`Series`](crate::domain::Series) and a [`TrainConfig`]; out goes a [`Model`], which forecasts,
//! writes itself as a [`ModelSpec`] plus safetensors, and is read back bit by bit. The same bars,
//! config and seed give the same bits on every processor; a GPU gives nearly the same numbers.
//!
//! Absent on purpose: files, jobs, clocks (a stopwatch for `eta_ms` and the deadline only), and any statement
//! on how good a model is beyond its own held-back bars: that is [`evaluate`](../evaluate/index.html)'s.

mod artifact;
mod base;
pub mod checkpoint;
pub mod limits;
pub mod config;
pub mod control;
pub mod device;
pub mod fit;
mod held_back;
mod lean;
mod member;
mod memory;
pub mod model;
mod network;
mod shape;

pub use artifact::{ArtifactError, Table};
pub use checkpoint::{Checkpoint, CheckpointError};
pub use config::{ConfigError, Preset, Topology, TrainConfig};
pub use control::{Control, Keep, Progress};
pub use device::{DeviceError, DeviceName, TrainDevice};
pub use fit::{Coverage, TrainError, TrainMetrics, Trained, min_bars, train};
pub use held_back::HeldBack;
pub use limits::TrainLimits;
pub use model::{ForecastError, Model, ModelSpec};

pub use crate::nn::Cell;
