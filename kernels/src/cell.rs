//! What one unit does with its sums, forward and backward: the equations of LSTM, GRU and RNN.
//!
//! A unit's sums lie in *slots*. PyTorch stacks its weights in *gates*; the two differ only for the GRU,
//! whose candidate needs its input part and its hidden part apart, because the reset gate scales only
//! the latter: slots `nₓ r z nₕ`, of which the input side fills the first three and the hidden side the
//! last three.

use crate::activations::{sigmoid, tanh};
use crate::simd::{BLOCK, Simd};
use crate::tile::vectors;

/// One recurrence, for one vector of units of one row of the batch.
pub(crate) trait Recurrence {
    /// Blocks of rows in PyTorch's weights.
    const GATES: usize;
    /// Sums a unit keeps.
    const SLOTS: usize;
    /// The first slot that the hidden side fills; the input side fills from slot 0.
    const HIDDEN_FIRST: usize;
    /// PyTorch's gate of each slot the input side fills.
    const INPUT_GATES: &'static [usize];
    /// PyTorch's gate of each slot the hidden side fills.
    const HIDDEN_GATES: &'static [usize];
    /// Values a unit leaves for the backward pass; the sums come in their place first.
    const SAVED: usize;
    /// Whether there is a cell beside the hidden state.
    const HAS_CELL: bool;
    /// Whether the hidden state also reaches the next one without passing the weights.
    const HAS_DIRECT: bool;

    /// Sums to gates, and on to the new state.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`; pointers have a vector behind them, `saved` one every
    /// [`BLOCK`] for each saved value.
    unsafe fn activate<S: Simd>(saved: *mut f32, before: State, after: State);

    /// The gradient of the sums, from the gradient `hidden` of the new hidden state.
    ///
    /// # Safety
    /// As [`activate`](Self::activate).
    unsafe fn differentiate<S: Simd>(saved: *const f32, before: State, hidden: S::V, carry: Carry) -> [S::V; 4];
}

/// Where a state lies; `cell` only where the recurrence has one.
#[derive(Clone, Copy)]
pub(crate) struct State {
    pub(crate) hidden: *mut f32,
    pub(crate) cell: *mut f32,
}

/// Gradients that pass from a step to the one before it without the weights.
#[derive(Clone, Copy)]
pub(crate) struct Carry {
    /// Of the cell; updated in place.
    pub(crate) cell: *mut f32,
    /// Of the hidden state; written.
    pub(crate) direct: *mut f32,
}

pub(crate) struct Lstm;

impl Recurrence for Lstm {
    const GATES: usize = 4;
    const SLOTS: usize = 4;
    const HIDDEN_FIRST: usize = 0;
    const INPUT_GATES: &'static [usize] = &[0, 1, 2, 3];
    const HIDDEN_GATES: &'static [usize] = &[0, 1, 2, 3];
    const SAVED: usize = 5;
    const HAS_CELL: bool = true;
    const HAS_DIRECT: bool = false;

    #[inline(always)]
    unsafe fn activate<S: Simd>(saved: *mut f32, before: State, after: State) {
        // SAFETY: the caller's promise.
        unsafe {
            let i = sigmoid::<S>(S::load(saved));
            let f = sigmoid::<S>(S::load(saved.add(BLOCK)));
            let g = tanh::<S>(S::load(saved.add(2 * BLOCK)));
            let o = sigmoid::<S>(S::load(saved.add(3 * BLOCK)));
            let cell = S::fma(f, S::load(before.cell), S::mul(i, g));
            let squashed = tanh::<S>(cell);
            S::store(after.cell, cell);
            S::store(after.hidden, S::mul(o, squashed));
            for (slot, value) in [i, f, g, o, squashed].into_iter().enumerate() {
                S::store(saved.add(slot * BLOCK), value);
            }
        }
    }

    #[inline(always)]
    unsafe fn differentiate<S: Simd>(saved: *const f32, before: State, hidden: S::V, carry: Carry) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            let [i, f, g, o, squashed] = vectors::<S, 5>(saved);
            let through_output = S::mul(hidden, o);
            let cell = S::add(S::load(carry.cell), S::mul(through_output, one_minus_square::<S>(squashed)));
            S::store(carry.cell, S::mul(cell, f));
            [
                S::mul(S::mul(cell, g), sigmoid_slope::<S>(i)),
                S::mul(S::mul(cell, S::load(before.cell)), sigmoid_slope::<S>(f)),
                S::mul(S::mul(cell, i), one_minus_square::<S>(g)),
                S::mul(S::mul(hidden, squashed), sigmoid_slope::<S>(o)),
            ]
        }
    }
}

pub(crate) struct Gru;

impl Recurrence for Gru {
    const GATES: usize = 3;
    const SLOTS: usize = 4;
    const HIDDEN_FIRST: usize = 1;
    const INPUT_GATES: &'static [usize] = &[2, 0, 1];
    const HIDDEN_GATES: &'static [usize] = &[0, 1, 2];
    const SAVED: usize = 4;
    const HAS_CELL: bool = false;
    const HAS_DIRECT: bool = true;

    #[inline(always)]
    unsafe fn activate<S: Simd>(saved: *mut f32, before: State, after: State) {
        // SAFETY: the caller's promise.
        unsafe {
            let r = sigmoid::<S>(S::load(saved.add(BLOCK)));
            let z = sigmoid::<S>(S::load(saved.add(2 * BLOCK)));
            let from_hidden = S::load(saved.add(3 * BLOCK));
            let n = tanh::<S>(S::fma(r, from_hidden, S::load(saved)));
            S::store(after.hidden, S::fma(z, S::sub(S::load(before.hidden), n), n)); // (1 - z) n + z h
            for (slot, value) in [n, r, z].into_iter().enumerate() {
                S::store(saved.add(slot * BLOCK), value);
            }
        }
    }

    #[inline(always)]
    unsafe fn differentiate<S: Simd>(saved: *const f32, before: State, hidden: S::V, carry: Carry) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            let [n, r, z, from_hidden] = vectors::<S, 4>(saved);
            S::store(carry.direct, S::mul(hidden, z));
            let keep = S::mul(hidden, S::sub(S::splat(1.0), z));
            let candidate = S::mul(keep, one_minus_square::<S>(n));
            let update = S::mul(S::mul(hidden, S::sub(S::load(before.hidden), n)), sigmoid_slope::<S>(z));
            let reset = S::mul(S::mul(candidate, from_hidden), sigmoid_slope::<S>(r));
            [candidate, reset, update, S::mul(candidate, r)]
        }
    }
}

pub(crate) struct Rnn;

impl Recurrence for Rnn {
    const GATES: usize = 1;
    const SLOTS: usize = 1;
    const HIDDEN_FIRST: usize = 0;
    const INPUT_GATES: &'static [usize] = &[0];
    const HIDDEN_GATES: &'static [usize] = &[0];
    const SAVED: usize = 1;
    const HAS_CELL: bool = false;
    const HAS_DIRECT: bool = false;

    #[inline(always)]
    unsafe fn activate<S: Simd>(saved: *mut f32, _before: State, after: State) {
        // SAFETY: the caller's promise.
        unsafe {
            let hidden = tanh::<S>(S::load(saved));
            S::store(saved, hidden);
            S::store(after.hidden, hidden);
        }
    }

    #[inline(always)]
    unsafe fn differentiate<S: Simd>(saved: *const f32, _before: State, hidden: S::V, _carry: Carry) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        unsafe { [S::mul(hidden, one_minus_square::<S>(S::load(saved))); 4] }
    }
}

/// The slope of a sigmoid from its value: `s (1 - s)`.
#[inline(always)]
unsafe fn sigmoid_slope<S: Simd>(s: S::V) -> S::V {
    // SAFETY: the caller has the instruction set of `S`.
    unsafe { S::mul(s, S::sub(S::splat(1.0), s)) }
}

/// The slope of a tanh from its value: `1 - t²`.
#[inline(always)]
unsafe fn one_minus_square<S: Simd>(t: S::V) -> S::V {
    // SAFETY: the caller has the instruction set of `S`.
    unsafe { S::fma(S::sub(S::splat(0.0), t), t, S::splat(1.0)) }
}
