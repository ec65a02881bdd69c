//! Sequences to sequences: the recurrent networks.
//!
//! A network here is a *description* ([`Recurrent`], [`Linear`]) that knows shapes and names; its
//! numbers lie in one flat buffer, [`Parameters`], under PyTorch's names and layouts:
//!
//! ```
//! use candlecast::nn::{Cell, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, seeded};
//! use candle_core::{Device, Tensor};
//!
//! # fn main() -> candle_core::Result<()> {
//! let mut layout = ParameterLayout::default();
//! let config = RecurrentConfig { cell: Cell::Lstm, input: 4, hidden: 16, layers: 2, dropout: 0.1 };
//! let recurrent = Recurrent::new(config, &mut layout, "");
//! let head = Linear::new(16, 3, &mut layout, "head.");
//! let parameters = Parameters::init(layout, &mut seeded(7), &Device::Cpu)?;
//!
//! let windows = Tensor::zeros((32, 20, 4), candle_core::DType::F32, &Device::Cpu)?; // [batch, time, input]
//! let state = recurrent.encode(&parameters, &windows, None, None)?;
//! let forecast = head.forward(&parameters, state.last_hidden())?; // [batch, 3]
//! # assert_eq!(forecast.dims(), [32, 3]);
//! # Ok(())
//! # }
//! ```
//!
//! On the CPU a layer over a sequence is one fused operation (`fused`, on `candlecast-kernels`); on CUDA
//! and Metal Candle's own operations serve, step by step (`step_form`).
//!
//! Absent on purpose: data, losses, the training loop (those are `train`'s), and any clock or thread.

pub mod adamw;
pub mod frozen;
mod fused;
pub mod init;
pub mod linear;
pub mod parameters;
pub mod recurrent;
mod step_form;

pub use adamw::{AdamW, AdamWConfig, AdamWMemory};
pub use frozen::{Carried, Frozen};
pub use init::{Generator, seeded};
pub use linear::{FixedMatrix, Linear};
pub use parameters::{ParameterLayout, Parameters, ParametersError};
pub use recurrent::{Cell, LayerState, Output, Recurrent, RecurrentConfig, State};
