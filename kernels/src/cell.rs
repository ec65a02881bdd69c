//! What one unit does with its sums, forward and backward: the equations of LSTM, GRU and RNN.
//!
//! A unit's sums lie in *slots*. PyTorch stacks its weights in *gates*; the two differ only for the GRU,
//! whose candidate needs its input part and its hidden part apart, because the reset gate scales only
//! the latter: slots `nₓ r z nₕ`, of which the input side fills the first three and the hidden side the
//! last three.

use crate::activations::{sigmoid_and_tanh, sigmoids, tanh};
use crate::simd::Simd;
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
    /// Values a unit leaves for the backward pass.
    const SAVED: usize;
    /// Which of them the step gives; the others are the gates.
    const STEPPED: usize;
    /// Whether there is a cell beside the hidden state.
    const HAS_CELL: bool;
    /// Whether the hidden state also reaches the next one without passing the weights.
    const HAS_DIRECT: bool;

    /// What each slot becomes on its own.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`.
    unsafe fn gates<S: Simd>(sums: [S::V; 4]) -> [S::V; 4];

    /// From the gates, and the hidden state and cell before, to those after.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`.
    unsafe fn step<S: Simd>(gates: [S::V; 4], before: [S::V; 2]) -> Stepped<S::V>;

    /// The gradient of the sums, from the gradient `hidden` of the new hidden state.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`; pointers have a vector behind them, `saved` one every
    /// [`BLOCK`](crate::simd::BLOCK) for each saved value.
    unsafe fn differentiate<S: Simd>(saved: *const f32, before: State, hidden: S::V, carry: Carry) -> [S::V; 4];
}

/// What comes of a unit's gates.
pub(crate) struct Stepped<V> {
    /// What the backward pass needs to know beside the gates, in slot `STEPPED`.
    pub(crate) saved: V,
    pub(crate) hidden: V,
    /// Anything where there is none.
    pub(crate) cell: V,
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
    const STEPPED: usize = 4;
    const HAS_CELL: bool = true;
    const HAS_DIRECT: bool = false;

    #[inline(always)]
    unsafe fn gates<S: Simd>([i, f, g, o]: [S::V; 4]) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        unsafe {
            let [i, f] = sigmoids::<S>(i, f);
            let [o, g] = sigmoid_and_tanh::<S>(o, g);
            [i, f, g, o]
        }
    }

    #[inline(always)]
    unsafe fn step<S: Simd>([i, f, g, o]: [S::V; 4], [_, cell]: [S::V; 2]) -> Stepped<S::V> {
        // SAFETY: the caller's promise.
        unsafe {
            let cell = S::fma(f, cell, S::mul(i, g));
            let squashed = tanh::<S>(cell);
            Stepped { saved: squashed, hidden: S::mul(o, squashed), cell }
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
    const STEPPED: usize = 0;
    const HAS_CELL: bool = false;
    const HAS_DIRECT: bool = true;

    #[inline(always)]
    unsafe fn gates<S: Simd>([from_input, r, z, from_hidden]: [S::V; 4]) -> [S::V; 4] {
        // SAFETY: the caller's promise.
        let [r, z] = unsafe { sigmoids::<S>(r, z) };
        [from_input, r, z, from_hidden]
    }

    #[inline(always)]
    unsafe fn step<S: Simd>([from_input, r, z, from_hidden]: [S::V; 4], [hidden, _]: [S::V; 2]) -> Stepped<S::V> {
        // SAFETY: the caller's promise.
        unsafe {
            let n = tanh::<S>(S::fma(r, from_hidden, from_input));
            Stepped { saved: n, hidden: S::fma(z, S::sub(hidden, n), n), cell: n } // (1 - z) n + z h
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
    const STEPPED: usize = 0;
    const HAS_CELL: bool = false;
    const HAS_DIRECT: bool = false;

    #[inline(always)]
    unsafe fn gates<S: Simd>(sums: [S::V; 4]) -> [S::V; 4] {
        sums
    }

    #[inline(always)]
    unsafe fn step<S: Simd>([sum, ..]: [S::V; 4], _before: [S::V; 2]) -> Stepped<S::V> {
        // SAFETY: the caller's promise.
        let hidden = unsafe { tanh::<S>(sum) };
        Stepped { saved: hidden, hidden, cell: hidden }
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
