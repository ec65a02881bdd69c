//! A layer over a sequence: sums, gates, states, step after step.

use crate::cell::{Gru, Lstm, Recurrence, Rnn, State};
use crate::give_way::worked;
use crate::layer::{Cell, Layer, Packed, Sequence};
use crate::simd::{BLOCK, Job, Simd, run};
use crate::tape::Tape;
use crate::tile::{load, multiply, store, tiles, with_height};
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
            for idx in 0..blocks {
                // There and back: the block of weights used last is still in the cache.
                let block = if t % 2 == 0 { idx } else { blocks - 1 - idx };
                for (row, height) in tiles(tape.batch, S::ROWS) {
                    // SAFETY: `forward` checked every length; the caller promises the instruction set.
                    unsafe { with_height!(height, M => step.tile::<S, M>(block, row)) }
                }
            }
            worked(tape.batch * layer.multiplications());
        }
    }
}

/// Where everything of one step lies.
struct Step<C> {
    layer: Layer,
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
    /// One block of units for `M` rows of the batch, from `row` on.
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
                let saved = self.saved.add((row * self.blocks + block) * C::SAVED * BLOCK + lane);
                let stride = self.blocks * C::SAVED * BLOCK;
                store::<S, M>(&sums, saved, stride, C::SLOTS);
                for m in 0..M {
                    let unit = (row + m) * padded + block * BLOCK + lane;
                    C::activate::<S>(saved.add(m * stride), self.before.at::<C>(unit), self.after.at::<C>(unit));
                }
            }
        }
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
