//! Answer later: the queue's rules, and the threads that do the work.
//!
//! In comes a row of the queue; a [`JobKind`] works on it on a thread of the lowest priority, and the [`Runner`]
//! keeps its lease alive, carries progress out and cancel in, and writes the end. `enqueued → running →
//! succeeded | failed | canceled`; what holds each step against other workers is in [`store`](crate::store).
//!
//! An end of any kind (a panic, a NaN, a cancel, a deadline) is the job's, never the process's. A worker that is
//! killed writes nothing: its lease runs out, and whoever looks next takes the job up. A training that was
//! interrupted goes on from its checkpoint, which lies beside the artifacts, to the bytes that it would have had.

mod attempt;
pub mod backtest;
mod backtest_config;
mod challenge;
pub mod due;
mod level;
mod neighbours;
mod whose;
pub mod ingest;
pub mod kind;
pub mod calendar;
pub mod runner;
pub mod settle;
pub mod train;
pub mod waiting;

pub use backtest::{Backtesting, enqueue_backtest};
pub use backtest_config::{BacktestConfig, BacktestRefusal};
pub use due::enqueue_training;
pub use kind::{JobContext, JobFailure, JobKind};
pub use runner::Runner;
pub use train::Training;
