//! The way back: gradients of sums, step before step, and of the weights every few steps.

use crate::buffer::Buffer;
use crate::cell::{Carry, Gru, Lstm, Recurrence, Rnn, State};
use crate::give_way::worked;
use crate::layer::{Cell, Gradients, Layer, Sequence, Weights};
use crate::pack::{pack_panels, panels, unpack_bias, unpack_gates};
use crate::simd::{BLOCK, Job, Simd, run};
use crate::tape::Tape;
use crate::tile::{Rows, Sums, accumulate, load, multiply, store, tiles, with_height, zeros};
use std::marker::PhantomData;

/// The gradient of the loss by what the layer gave; nothing given means zero.
#[derive(Debug, Clone, Copy, Default)]
pub struct OutputGradient<'a> {
    /// By the hidden state after every step, rows of `hidden`.
    pub sequence: Option<Sequence<'a>>,
    /// By the hidden state after the last step, `[batch, hidden]`, beside that of the sequence.
    pub hidden: Option<&'a [f32]>,
    /// By the cell after the last step, `[batch, hidden]`.
    pub cell: Option<&'a [f32]>,
}

/// Where gradients by input and first state go, for those who ask.
#[derive(Debug, Default)]
pub struct StateGradient<'a> {
    /// `[batch, time, input]`
    pub input: Option<&'a mut [f32]>,
    /// `[batch, hidden]`
    pub hidden: Option<&'a mut [f32]>,
    /// `[batch, hidden]`
    pub cell: Option<&'a mut [f32]>,
}

/// Memory that a backward pass uses, lent from call to call.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    /// `weight_hh` in panels, rows in the order of slots.
    recurrent: Buffer,
    /// `weight_ih`, likewise.
    input: Buffer,
    /// Gradients of sums, the newest steps, `[block, step, batch, SLOTS, BLOCK]`: every product reads a block's rows one
    /// after the other.
    deltas: Buffer,
    /// Gradient by the hidden state of the step at hand, `[batch, padded]`.
    hidden: Buffer,
    /// Gradient by the cell, likewise.
    cell: Buffer,
    /// Gradient by the hidden state that passed no weights, likewise.
    direct: Buffer,
    /// Gradients by weights, packed as [`crate::Packed`].
    weight_ih: Buffer,
    weight_hh: Buffer,
    bias: Buffer,
}

/// Weight gradients are taken over at least this many rows at a time, so that sums move through registers
/// rarely, and at most so many that their deltas stay in the second-level cache.
const ROWS_AT_A_TIME: usize = 128;

/// A forward pass: what it ran on and what it left.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// The weights it ran with.
    pub weights: Weights<'a>,
    /// The sequence it read.
    pub input: Sequence<'a>,
    /// What it left.
    pub tape: &'a Tape,
}

impl Layer {
    /// Gradients of a forward pass by weights, and by input and first state where asked.
    ///
    /// # Panics
    /// When the tape kept only its newest step, or a slice is shorter than the shape says.
    pub fn backward(
        &self,
        pass: Pass<'_>,
        output: OutputGradient<'_>,
        gradients: &mut Gradients<'_>,
        asked: StateGradient<'_>,
        scratch: &mut Scratch,
    ) {
        let (batch, time) = (pass.tape.batch, pass.tape.time);
        assert!(pass.tape.kept, "the tape kept only its newest step");
        self.check(&pass.weights);
        pass.input.check(batch, time, self.input);
        if let Some(sequence) = output.sequence {
            sequence.check(batch, time, self.hidden);
        }
        if let Some(by_input) = &asked.input {
            assert_eq!(by_input.len(), batch * time * self.input, "gradient by the input");
        }
        for state in [&asked.hidden, &asked.cell].into_iter().flatten() {
            assert_eq!(state.len(), batch * self.hidden, "gradient by the first state");
        }
        match self.cell {
            Cell::Lstm => self.backward_as::<Lstm>(pass, output, gradients, asked, scratch),
            Cell::Gru => self.backward_as::<Gru>(pass, output, gradients, asked, scratch),
            Cell::Rnn => self.backward_as::<Rnn>(pass, output, gradients, asked, scratch),
        }
    }

    fn backward_as<C: Recurrence>(
        &self,
        Pass { weights, input, tape }: Pass<'_>,
        output: OutputGradient<'_>,
        gradients: &mut Gradients<'_>,
        mut asked: StateGradient<'_>,
        scratch: &mut Scratch,
    ) {
        let (blocks, hidden) = (self.blocks(), self.hidden);
        let step = tape.batch * self.padded();
        let ring = ROWS_AT_A_TIME.div_ceil(tape.batch).clamp(2, tape.time.max(2));
        let order = |gates: &'static [usize]| {
            let units = (0..blocks).flat_map(move |block| gates.iter().map(move |gate| (block, gate)));
            units.flat_map(move |(block, gate)| {
                let unit = block * BLOCK..(block + 1) * BLOCK;
                unit.map(move |unit| (unit < hidden).then_some(gate * hidden + unit))
            })
        };
        pack_panels(weights.weight_hh, hidden, order(C::HIDDEN_GATES), &mut scratch.recurrent);
        if asked.input.is_some() {
            pack_panels(weights.weight_ih, self.input, order(C::INPUT_GATES), &mut scratch.input);
        }
        scratch.deltas.lend(ring * step * C::SLOTS);
        scratch.hidden.lend(step);
        scratch.direct.lend(step).fill(0.0);
        fill(scratch.cell.lend(step), self.padded(), hidden, output.cell);
        scratch.weight_ih.lend(blocks * self.input * C::GATES * BLOCK).fill(0.0);
        scratch.weight_hh.lend(blocks * hidden * C::GATES * BLOCK).fill(0.0);
        scratch.bias.lend(blocks * C::SLOTS * BLOCK).fill(0.0);

        let state = asked.hidden.is_some();
        let by_input = asked.input.as_deref_mut();
        let sweep = Sweep::<C> { layer: *self, input, tape, output, by_input, state, scratch, ring, cell: PhantomData };
        run(self.isa, sweep);

        unpack_gates(&scratch.weight_ih, C::INPUT_GATES, hidden, self.input, gradients.weight_ih);
        unpack_gates(&scratch.weight_hh, C::HIDDEN_GATES, hidden, hidden, gradients.weight_hh);
        unpack_bias(&scratch.bias, C::INPUT_GATES, (0, C::SLOTS), hidden, gradients.bias_ih);
        unpack_bias(&scratch.bias, C::HIDDEN_GATES, (C::HIDDEN_FIRST, C::SLOTS), hidden, gradients.bias_hh);
        for (to, from) in [(asked.hidden, &scratch.hidden), (asked.cell, &scratch.cell)] {
            if let Some(to) = to {
                let rows = to.chunks_exact_mut(hidden).zip(from.chunks_exact(self.padded()));
                rows.for_each(|(to, from)| to.copy_from_slice(&from[..hidden]));
            }
        }
    }
}

/// Rows of `hidden` numbers into rows of `padded`, the rest zero; all zero if there are none.
fn fill(to: &mut [f32], padded: usize, hidden: usize, from: Option<&[f32]>) {
    to.fill(0.0);
    let rows = from.into_iter().flat_map(|from| from.chunks_exact(hidden));
    to.chunks_exact_mut(padded).zip(rows).for_each(|(to, from)| to[..hidden].copy_from_slice(from));
}

struct Sweep<'a, C> {
    layer: Layer,
    input: Sequence<'a>,
    tape: &'a Tape,
    output: OutputGradient<'a>,
    by_input: Option<&'a mut [f32]>,
    /// Whether the gradient by the first state is asked for.
    state: bool,
    scratch: &'a mut Scratch,
    /// Steps whose deltas are kept.
    ring: usize,
    cell: PhantomData<C>,
}

impl<C: Recurrence> Job for Sweep<'_, C> {
    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let time = self.tape.time;
        for t in (0..time).rev() {
            let place = (time - 1 - t) % self.ring;
            self.start_step(t);
            // SAFETY: `backward` made every buffer as large as the shape says; the caller promises the
            // instruction set.
            unsafe {
                if t + 1 < time {
                    self.through_weights::<S>((place + self.ring - 1) % self.ring);
                }
                self.differentiate::<S>(t, place);
                if place + 1 == self.ring || t == 0 {
                    self.weights::<S>(t + place, place + 1);
                    self.by_input::<S>(t + place, place + 1);
                }
                if t == 0 && self.state {
                    self.start_before_first();
                    self.through_weights::<S>(place);
                }
            }
        }
    }
}

impl<C: Recurrence> Sweep<'_, C> {
    /// At which number the deltas of a block of units begin, from the step at `place` on.
    fn delta_at(&self, block: usize, place: usize) -> usize {
        (block * self.ring + place) * self.tape.batch * C::SLOTS * BLOCK
    }

    fn deltas(&self, block: usize, place: usize) -> *const f32 {
        self.scratch.deltas[self.delta_at(block, place)..].as_ptr()
    }

    /// The gradient by the hidden state after step `t`, but for what comes through the weights.
    #[inline(always)]
    fn start_step(&mut self, t: usize) {
        let (padded, hidden) = (self.layer.padded(), self.layer.hidden);
        self.start_before_first();
        let last = self.output.hidden.filter(|_| t + 1 == self.tape.time);
        for (b, to) in self.scratch.hidden.chunks_exact_mut(padded).take(self.tape.batch).enumerate() {
            let of_step = self.output.sequence.map(|sequence| sequence.row(b, t, hidden));
            let of_last = last.map(|last| &last[b * hidden..][..hidden]);
            for from in [of_step, of_last].into_iter().flatten() {
                to[..hidden].iter_mut().zip(from).for_each(|(to, from)| *to += from);
            }
        }
    }

    #[inline(always)]
    fn start_before_first(&mut self) {
        let step = self.tape.batch * self.layer.padded();
        if C::HAS_DIRECT {
            self.scratch.hidden[..step].copy_from_slice(&self.scratch.direct[..step]);
        } else {
            self.scratch.hidden[..step].fill(0.0);
        }
    }

    /// Adds what comes through the recurrent weights from the step at `place`.
    #[inline(always)]
    unsafe fn through_weights<S: Simd>(&mut self, place: usize) {
        let (batch, padded, blocks) = (self.tape.batch, self.layer.padded(), self.layer.blocks());
        let hidden = self.scratch.hidden.as_mut_ptr();
        for (first, columns) in panels(self.layer.hidden) {
            // Block by block, whose piece of the panel fits the first-level cache, and not row by row.
            for block in 0..blocks {
                for (start, height) in tiles(batch, S::ROWS) {
                    for lane in (0..BLOCK).step_by(S::LANES) {
                        // SAFETY: panel, rows and lane are inside the shape.
                        unsafe {
                            let to = hidden.add(start * padded + first * BLOCK + lane);
                            with_height!(height, M => {
                                let mut sums = load::<S, M>(to, padded, columns);
                                let weights = self.scratch.recurrent.as_ptr().add(lane);
                                let from = self.deltas(block, place).add((start * C::SLOTS + C::HIDDEN_FIRST) * BLOCK);
                                self.multiply_deltas::<S, M>(&mut sums, (first, columns), block, from, weights);
                                store::<S, M>(&sums, to, padded, columns);
                            });
                        }
                    }
                }
                worked(batch * columns * BLOCK * C::GATES * BLOCK);
            }
        }
    }

    /// `sums += deltas · weights`, over the `GATES` slots of a block from where `from` points; weights in panels, of which
    /// the one of `columns` from `first` on is meant.
    #[inline(always)]
    unsafe fn multiply_deltas<S: Simd, const M: usize>(
        &self,
        sums: &mut Sums<S::V, M>,
        (first, columns): (usize, usize),
        block: usize,
        from: *const f32,
        weights: *const f32,
    ) {
        let (from, k) = ((from, C::SLOTS * BLOCK), C::GATES * BLOCK);
        // SAFETY: the caller's pointers cover every block. The number of columns is made a constant, as the inner loop
        // needs it.
        unsafe {
            let panel = weights.add((first * self.layer.blocks() + block * columns) * BLOCK * k);
            match columns {
                1 => multiply::<S, M>(sums, (0, 1), from, panel, k),
                2 => multiply::<S, M>(sums, (0, 2), from, panel, k),
                3 => multiply::<S, M>(sums, (0, 3), from, panel, k),
                _ => multiply::<S, M>(sums, (0, 4), from, panel, k),
            }
        }
    }

    /// Deltas of step `t` into `place`, and their sums over the batch into the bias.
    #[inline(always)]
    unsafe fn differentiate<S: Simd>(&mut self, t: usize, place: usize) {
        let (batch, blocks, padded) = (self.tape.batch, self.layer.blocks(), self.layer.padded());
        let step = batch * padded;
        let before = State {
            hidden: self.tape.hidden[t * step..].as_ptr().cast_mut(),
            cell: if C::HAS_CELL { self.tape.cell[t * step..].as_ptr() } else { self.tape.cell.as_ptr() }.cast_mut(),
        };
        let saved = self.tape.saved[t * step * C::SAVED..].as_ptr();
        let (cell, direct) = (self.scratch.cell.as_mut_ptr(), self.scratch.direct.as_mut_ptr());
        let (hidden, bias) = (self.scratch.hidden.as_ptr(), self.scratch.bias.as_mut_ptr());
        for block in 0..blocks {
            for lane in (0..BLOCK).step_by(S::LANES) {
                // SAFETY: block, row and lane are inside every buffer.
                unsafe {
                    let bias = bias.add(block * C::SLOTS * BLOCK + lane);
                    let [mut sums] = load::<S, 1>(bias, 0, C::SLOTS);
                    let at = self.delta_at(block, place) + lane;
                    let deltas = self.scratch.deltas[at..].as_mut_ptr();
                    let saved = saved.add(block * batch * C::SAVED * BLOCK + lane);
                    for row in 0..batch {
                        let unit = row * padded + block * BLOCK + lane;
                        let carry = Carry { cell: cell.add(unit), direct: direct.add(unit) };
                        let gradient = S::load(hidden.add(unit));
                        let saved = saved.add(row * C::SAVED * BLOCK);
                        let delta = C::differentiate::<S>(saved, before.at::<C>(unit), gradient, carry);
                        store::<S, 1>(&[delta], deltas.add(row * C::SLOTS * BLOCK), 0, C::SLOTS);
                        for (sum, delta) in sums.iter_mut().zip(delta) {
                            *sum = S::add(*sum, delta);
                        }
                    }
                    store::<S, 1>(&[sums], bias, 0, C::SLOTS);
                }
            }
        }
    }

    /// Weight gradients of `steps` steps, `newest` and those before it.
    #[inline(always)]
    unsafe fn weights<S: Simd>(&mut self, newest: usize, steps: usize) {
        let Layer { input, hidden, .. } = self.layer;
        let (batch, padded) = (self.tape.batch, self.layer.padded());
        let from_input = Rows {
            start: self.input.data[newest * self.input.time_stride..].as_ptr(),
            inner: self.input.batch_stride,
            outer: -(self.input.time_stride as isize),
        };
        let from_hidden = Rows {
            start: self.tape.hidden[newest * batch * padded..].as_ptr(),
            inner: padded,
            outer: -((batch * padded) as isize),
        };
        let sides = [
            (from_input, input, 0, self.scratch.weight_ih.as_mut_ptr()),
            (from_hidden, hidden, C::HIDDEN_FIRST, self.scratch.weight_hh.as_mut_ptr()),
        ];
        for block in 0..self.layer.blocks() {
            for (from, k, first, gradient) in sides {
                for (start, height) in tiles(k, S::ROWS) {
                    for lane in (0..BLOCK).step_by(S::LANES) {
                        // SAFETY: block, rows and lane are inside every buffer.
                        unsafe {
                            let delta = self.deltas(block, 0).add(first * BLOCK + lane);
                            let row = C::SLOTS * BLOCK;
                            let deltas = Rows { start: delta, inner: row, outer: (batch * row) as isize };
                            let from = Rows { start: from.start.add(start), ..from };
                            let panel = gradient.add((block * k + start) * C::GATES * BLOCK + lane);
                            with_height!(height, M => {
                                let mut sums = load::<S, M>(panel, C::GATES * BLOCK, C::GATES);
                                accumulate::<S, M>(&mut sums, C::GATES, from, deltas, (steps, batch));
                                store::<S, M>(&sums, panel, C::GATES * BLOCK, C::GATES);
                            });
                        }
                    }
                }
            }
            worked(steps * batch * (input + hidden) * C::GATES * BLOCK);
        }
    }

    /// Gradients by the inputs of `steps` steps, `newest` and those before it.
    #[inline(always)]
    unsafe fn by_input<S: Simd>(&mut self, newest: usize, steps: usize) {
        let Some(by_input) = self.by_input.as_deref_mut().map(<[f32]>::as_mut_ptr) else {
            return;
        };
        let (batch, time, input) = (self.tape.batch, self.tape.time, self.layer.input);
        for step in 0..steps {
            for (first, columns) in panels(input) {
                let width = (input - first * BLOCK).min(columns * BLOCK);
                for (start, height) in tiles(batch, S::ROWS) {
                    let mut rows = [0.0_f32; 6 * 4 * BLOCK];
                    // SAFETY: panel and rows are inside the shape, and `width` numbers are in a row's panel.
                    unsafe {
                        for lane in (0..BLOCK).step_by(S::LANES) {
                            with_height!(height, M => {
                                let mut sums = zeros::<S, M>();
                                let weights = self.scratch.input.as_ptr().add(lane);
                                for block in 0..self.layer.blocks() {
                                    let from = self.deltas(block, step).add(start * C::SLOTS * BLOCK);
                                    self.multiply_deltas::<S, M>(&mut sums, (first, columns), block, from, weights);
                                }
                                store::<S, M>(&sums, rows.as_mut_ptr().add(lane), 4 * BLOCK, columns);
                            });
                        }
                        for (m, from) in rows.chunks_exact(4 * BLOCK).take(height).enumerate() {
                            let to = ((start + m) * time + newest - step) * input + first * BLOCK;
                            by_input.add(to).copy_from_nonoverlapping(from.as_ptr(), width);
                        }
                    }
                }
                worked(batch * columns * BLOCK * self.layer.blocks() * C::GATES * BLOCK);
            }
        }
    }
}
