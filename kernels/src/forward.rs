//! A layer over a sequence: sums, gates, states, step after step.

use crate::cell::{Gru, Lstm, Recurrence, Rnn, State};
use crate::give_way::worked;
use crate::layer::{Cell, Layer, Packed, Sequence};
use crate::simd::{BLOCK, Job, Simd, Wide, run};
use crate::tape::Tape;
use crate::tile::{load, multiply, multiply_row, store, tiles, with_height};
use std::marker::PhantomData;

/// The state before the first step, each `[batch, hidden]`; zeros where none.
#[derive(Debug, Clone, Copy, Default)]
pub struct InitialState<'a> {
    /// The hidden state.
    pub hidden: Option<&'a [f32]>,
    /// The cell of an LSTM.
    pub cell: Option<&'a [f32]>,
}

impl Layer {
    /// Runs the layer over `time` steps of `batch` series. States and, if `keep`, all that
    /// [`backward`](Self::backward) needs are left on `tape`.
    ///
    /// # Panics
    /// When a slice is shorter than the shape says, or batch or time is zero.
    pub fn forward(
        &self,
        packed: &Packed,
        input: Sequence<'_>,
        (batch, time): (usize, usize),
        initial: InitialState<'_>,
        tape: &mut Tape,
        keep: bool,
    ) {
        assert!(batch > 0 && time > 0, "an empty sequence");
        input.check(batch, time, self.input);
        (tape.batch, tape.time, tape.kept) = (batch, time, keep);
        match self.cell {
            Cell::Lstm => self.forward_as::<Lstm>(packed, input, initial, tape),
            Cell::Gru => self.forward_as::<Gru>(packed, input, initial, tape),
            Cell::Rnn => self.forward_as::<Rnn>(packed, input, initial, tape),
        }
    }

    fn forward_as<C: Recurrence>(
        &self,
        packed: &Packed,
        input: Sequence<'_>,
        initial: InitialState<'_>,
        tape: &mut Tape,
    ) {
        let blocks = self.blocks();
        assert!(packed.input.len() >= blocks * self.input * C::GATES * BLOCK, "weights are not packed");
        assert!(packed.hidden.len() >= blocks * self.hidden * C::GATES * BLOCK, "weights are not packed");
        assert!(packed.bias.len() >= blocks * C::SLOTS * BLOCK, "weights are not packed");
        tape.start(self, C::SAVED, [initial.hidden, initial.cell]);
        run(self.isa, Sweep::<C> { layer: *self, packed, input, tape, cell: PhantomData });
    }
}

struct Sweep<'a, C> {
    layer: Layer,
    packed: &'a Packed,
    input: Sequence<'a>,
    tape: &'a mut Tape,
    cell: PhantomData<C>,
}

impl<C: Recurrence> Job for Sweep<'_, C> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { layer, packed, input, tape, .. } = self;
        let blocks = layer.blocks();
        let row = tape.batch * layer.padded();
        let (hidden, cell, saved) = (tape.hidden.as_mut_ptr(), tape.cell.as_mut_ptr(), tape.saved.as_mut_ptr());
        let state = |slot: usize| State {
            hidden: hidden.wrapping_add(slot * row),
            cell: if C::HAS_CELL { cell.wrapping_add(slot * row) } else { cell },
        };
        for t in 0..tape.time {
            let step = Step::<C> {
                layer,
                batch: tape.batch,
                blocks,
                weights: [packed.input.as_ptr(), packed.hidden.as_ptr()],
                bias: packed.bias.as_ptr(),
                input: input.data[t * input.time_stride..].as_ptr(),
                input_stride: input.batch_stride,
                saved: saved.wrapping_add(if tape.kept { t * row * C::SAVED } else { 0 }),
                before: state(tape.slot(t)),
                after: state(tape.slot(t + 1)),
                cell: PhantomData,
            };
            // One row has too few sums to keep the processor busy: there, two blocks of units run together, if the
            // registers hold their sums.
            let together = if tape.batch == 1 && 8 <= S::SUMS { 2 } else { 1 };
            let count = blocks.div_ceil(together);
            for idx in 0..count {
                // There and back: the block of weights used last is still in the cache.
                let block = together * if t % 2 == 0 { idx } else { count - 1 - idx };
                // SAFETY: `forward` checked every length; the caller promises the instruction set.
                unsafe {
                    if block + 2 <= blocks && together == 2 {
                        step.one_row::<S, 2>(block);
                        continue;
                    }
                    for (row, height) in tiles(tape.batch, S::ROWS) {
                        with_height!(height, M => step.tile::<S, M>(block, row));
                        step.activate_rows::<S>(block, row, height);
                    }
                }
                worked(tape.batch * layer.multiplications() / blocks);
            }
        }
    }
}

/// Where everything of one step lies.
struct Step<C> {
    layer: Layer,
    batch: usize,
    blocks: usize,
    weights: [*const f32; 2],
    bias: *const f32,
    input: *const f32,
    input_stride: usize,
    saved: *mut f32,
    before: State,
    after: State,
    cell: PhantomData<C>,
}

impl<C: Recurrence> Step<C> {
    /// The sums of one block of units for `M` rows of the batch, from `row` on.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`; block and rows are inside the shape.
    #[inline(always)]
    unsafe fn tile<S: Simd, const M: usize>(&self, block: usize, row: usize) {
        let Layer { input, hidden, .. } = self.layer;
        let padded = self.blocks * BLOCK;
        let panel = C::GATES * BLOCK;
        let from_input = (self.input.wrapping_add(row * self.input_stride), self.input_stride);
        let from_hidden = (self.before.hidden.wrapping_add(row * padded).cast_const(), padded);
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: block, row and lane are inside every buffer, and a tile touches only its own.
            unsafe {
                let bias = self.bias.add(block * C::SLOTS * BLOCK + lane);
                let mut sums = load::<S, M>(bias, 0, C::SLOTS);
                let weights = self.weights[0].add(block * input * panel + lane);
                multiply::<S, M>(&mut sums, (0, C::GATES), from_input, weights, input);
                let weights = self.weights[1].add(block * hidden * panel + lane);
                multiply::<S, M>(&mut sums, (C::HIDDEN_FIRST, C::GATES), from_hidden, weights, hidden);
                let saved = self.saved.add((block * self.batch + row) * C::SAVED * BLOCK + lane);
                store::<S, M>(&sums, saved, C::SAVED * BLOCK, C::SLOTS);
            }
        }
    }

    /// What [`tile`](Self::tile) left to gates and states; outside of it, as there is one for each height.
    ///
    /// # Safety
    /// As [`tile`](Self::tile).
    #[inline(always)]
    unsafe fn activate_rows<S: Simd>(&self, block: usize, row: usize, height: usize) {
        let padded = self.blocks * BLOCK;
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: block, rows and lane are inside every buffer.
            unsafe {
                let saved = self.saved.add((block * self.batch + row) * C::SAVED * BLOCK + lane);
                self.activate::<S>(saved, padded, row * padded + block * BLOCK + lane, height);
            }
        }
    }

    /// `N` blocks of units, from `block` on, for the only row there is.
    ///
    /// # Safety
    /// As [`tile`](Self::tile).
    #[inline(always)]
    unsafe fn one_row<S: Simd, const N: usize>(&self, block: usize) {
        let Layer { input, hidden, .. } = self.layer;
        let panel = C::GATES * BLOCK;
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: blocks and lane are inside every buffer.
            unsafe {
                let bias = self.bias.add(block * C::SLOTS * BLOCK + lane);
                let mut sums = load::<S, N>(bias, C::SLOTS * BLOCK, C::SLOTS);
                let weights = (self.weights[0].add(block * input * panel + lane), input * panel);
                multiply_row::<S, N>(&mut sums, (0, C::GATES), self.input, weights, input);
                let weights = (self.weights[1].add(block * hidden * panel + lane), hidden * panel);
                multiply_row::<S, N>(&mut sums, (C::HIDDEN_FIRST, C::GATES), self.before.hidden, weights, hidden);
                let saved = self.saved.add(block * C::SAVED * BLOCK + lane);
                store::<S, N>(&sums, saved, C::SAVED * BLOCK, C::SLOTS);
                self.activate::<S>(saved, BLOCK, block * BLOCK + lane, N);
            }
        }
    }

    /// `count` sums of slots at `saved` to gates and on to states, which lie `apart`, the first at `unit`.
    ///
    /// Each is one long chain of operations: two are worked on in turn, and no step begins before all gates are there.
    #[inline(always)]
    unsafe fn activate<S: Simd>(&self, saved: *mut f32, apart: usize, unit: usize, count: usize) {
        let paired = count - count % 2;
        // SAFETY: the caller's pointers cover all of them.
        unsafe {
            for n in (0..paired).step_by(2) {
                self.gates::<S, 2>(saved.add(n * C::SAVED * BLOCK));
            }
            if paired < count {
                self.gates::<S, 1>(saved.add(paired * C::SAVED * BLOCK));
            }
            for n in (0..paired).step_by(2) {
                self.step::<S, 2>(saved.add(n * C::SAVED * BLOCK), apart, unit + n * apart);
            }
            if paired < count {
                self.step::<S, 1>(saved.add(paired * C::SAVED * BLOCK), apart, unit + paired * apart);
            }
        }
    }

    #[inline(always)]
    unsafe fn gates<S: Simd, const N: usize>(&self, saved: *mut f32) {
        // SAFETY: the caller's pointer covers all of them.
        unsafe {
            let gates = C::gates::<Wide<S, N>>(slots::<S, C, N>(saved));
            for (slot, gate) in gates.iter().enumerate().take(C::SLOTS) {
                Wide::<S, N>::scatter(saved.add(slot * BLOCK), C::SAVED * BLOCK, gate);
            }
        }
    }

    #[inline(always)]
    unsafe fn step<S: Simd, const N: usize>(&self, saved: *mut f32, apart: usize, unit: usize) {
        // SAFETY: the caller's pointers cover all of them.
        unsafe {
            let (before, after) = (self.before.at::<C>(unit), self.after.at::<C>(unit));
            let hidden = Wide::<S, N>::gather(before.hidden, apart);
            let cell = if C::HAS_CELL { Wide::<S, N>::gather(before.cell, apart) } else { hidden };
            let stepped = C::step::<Wide<S, N>>(slots::<S, C, N>(saved), [hidden, cell]);
            Wide::<S, N>::scatter(after.hidden, apart, &stepped.hidden);
            if C::HAS_CELL {
                Wide::<S, N>::scatter(after.cell, apart, &stepped.cell);
            }
            Wide::<S, N>::scatter(saved.add(C::STEPPED * BLOCK), C::SAVED * BLOCK, &stepped.saved);
        }
    }
}

/// The slots of `N` units, those of one unit after the other's.
#[inline(always)]
unsafe fn slots<S: Simd, C: Recurrence, const N: usize>(saved: *const f32) -> [[S::V; N]; 4] {
    // SAFETY: the caller has them there, and the instruction set of `S`.
    unsafe {
        let mut slots = [[S::splat(0.0); N]; 4];
        for (slot, sums) in slots.iter_mut().enumerate().take(C::SLOTS) {
            *sums = Wide::<S, N>::gather(saved.add(slot * BLOCK), C::SAVED * BLOCK);
        }
        slots
    }
}

impl State {
    /// The state of one vector of units.
    ///
    /// # Safety
    /// `unit` is inside the state.
    #[inline(always)]
    pub(crate) unsafe fn at<C: Recurrence>(self, unit: usize) -> Self {
        // SAFETY: the caller's promise; without a cell its pointer is never read.
        unsafe {
            Self { hidden: self.hidden.add(unit), cell: if C::HAS_CELL { self.cell.add(unit) } else { self.cell } }
        }
    }
}
