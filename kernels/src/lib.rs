//! Recurrent layers on the CPU, forward and backward over a whole sequence, without a graph.
//!
//! Slices in, slices out: no tensors, no threads, no dependencies. Everything `unsafe` of candlecast
//! is here, and nothing else is. It is a crate of its own so that a debug build of the service
//! can still compile it optimised.
//!
//! **The same bits everywhere.** Every sum runs in one fixed order, every vector operation is one that
//! IEEE 754 rounds exactly, and no approximation instruction is used: AVX-512, AVX2, NEON and plain
//! Rust give equal results, bit for bit, and so does any number of threads (each call uses one).
//!
//! How the time is spent: a step of `hidden` units over a batch is a matrix product, and almost all
//! the work. `tile` does it with weights packed so that sixteen units' gates lie together, and
//! `cell` turns the sums into gates while they are still in the first-level cache.

#![expect(unsafe_code, reason = "vectors of registers and the loops that feed them; the rest of candlecast has none")]

mod activations;
mod adamw;
mod backward;
mod buffer;
mod cell;
mod forward;
mod give_way;
mod layer;
mod linear;
mod pack;
mod simd;
mod tape;
mod tile;

pub use adamw::{AdamWStep, norm};
pub use backward::{OutputGradient, Pass, Scratch, StateGradient};
pub use forward::InitialState;
pub use give_way::{give_way_on_this_thread, keep_candle_on_its_thread};
pub use layer::{Cell, Gradients, Layer, Packed, Sequence, Weights};
pub use linear::{Linear, LinearGradients};
pub use simd::Isa;
pub use tape::Tape;
