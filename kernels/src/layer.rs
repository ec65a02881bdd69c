//! A layer's shape and the slices that go in and out.

use crate::buffer::Buffer;
use crate::cell::{Gru, Lstm, Recurrence, Rnn};
use crate::pack::pack_gates;
use crate::simd::{BLOCK, Isa};

/// Which recurrence a layer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cell {
    /// `i f g o`, with a cell.
    Lstm,
    /// `r z n`, the hidden bias inside the reset product.
    Gru,
    /// `tanh`.
    Rnn,
}

impl Cell {
    /// How many blocks of `hidden` rows the weights stack.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => Lstm::GATES,
            Self::Gru => Gru::GATES,
            Self::Rnn => Rnn::GATES,
        }
    }

    /// Whether the state has a cell beside the hidden vector.
    pub fn has_cell(self) -> bool {
        self == Self::Lstm
    }
}

/// A recurrent layer's shape, and the instruction set it runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Which recurrence.
    pub cell: Cell,
    /// Features a step, at least 1.
    pub input: usize,
    /// Units, at least 1.
    pub hidden: usize,
    /// What to run on.
    pub isa: Isa,
}

/// Weights in PyTorch's layouts, with `G` gates: `weight_ih` `[G·hidden, input]`, `weight_hh`
/// `[G·hidden, hidden]`, biases `[G·hidden]`.
#[derive(Debug, Clone, Copy)]
#[expect(missing_docs, reason = "PyTorch's names")]
pub struct Weights<'a> {
    pub weight_ih: &'a [f32],
    pub weight_hh: &'a [f32],
    pub bias_ih: &'a [f32],
    pub bias_hh: &'a [f32],
}

/// Where gradients go, laid out as [`Weights`]; what was there is overwritten.
#[derive(Debug)]
#[expect(missing_docs, reason = "PyTorch's names")]
pub struct Gradients<'a> {
    pub weight_ih: &'a mut [f32],
    pub weight_hh: &'a mut [f32],
    pub bias_ih: &'a mut [f32],
    pub bias_hh: &'a mut [f32],
}

/// Rows of numbers over batch and time: row `(b, t)` starts at `b · batch_stride + t · time_stride`.
#[derive(Debug, Clone, Copy)]
pub struct Sequence<'a> {
    /// The numbers.
    pub data: &'a [f32],
    /// From one series of the batch to the next.
    pub batch_stride: usize,
    /// From one step to the next.
    pub time_stride: usize,
}

impl<'a> Sequence<'a> {
    /// `[batch, time, width]`, each row after the other.
    pub fn batch_first(data: &'a [f32], time: usize, width: usize) -> Self {
        Self { data, batch_stride: time * width, time_stride: width }
    }

    pub(crate) fn check(&self, batch: usize, time: usize, width: usize) {
        let last = (batch - 1) * self.batch_stride + (time - 1) * self.time_stride + width;
        assert!(last <= self.data.len(), "a sequence of {batch} × {time} × {width} needs {last} numbers");
    }

    /// The first `width` numbers of a row.
    pub fn row(&self, batch: usize, time: usize, width: usize) -> &'a [f32] {
        &self.data[batch * self.batch_stride + time * self.time_stride..][..width]
    }
}

/// Weights in the order in which the forward kernel reads them: sixteen units' gates side by side.
#[derive(Debug, Clone, Default)]
pub struct Packed {
    /// `[block, input, gates, BLOCK]`
    pub(crate) input: Buffer,
    /// `[block, hidden, gates, BLOCK]`
    pub(crate) hidden: Buffer,
    /// `[block, slots, BLOCK]`
    pub(crate) bias: Buffer,
}

impl Layer {
    /// A layer on the fastest instruction set this processor has.
    pub fn new(cell: Cell, input: usize, hidden: usize) -> Self {
        assert!(input > 0 && hidden > 0, "a layer has at least one feature and one unit");
        Self { cell, input, hidden, isa: Isa::best() }
    }

    /// Units, rounded up to whole blocks.
    pub(crate) fn padded(&self) -> usize {
        self.blocks() * BLOCK
    }

    pub(crate) fn blocks(&self) -> usize {
        self.hidden.div_ceil(BLOCK)
    }

    /// Multiplications of one step of one row, forward.
    pub(crate) fn multiplications(&self) -> usize {
        self.cell.gates() * self.hidden * (self.input + self.hidden)
    }

    pub(crate) fn check(&self, weights: &Weights<'_>) {
        let rows = self.cell.gates() * self.hidden;
        assert_eq!(weights.weight_ih.len(), rows * self.input, "weight_ih");
        assert_eq!(weights.weight_hh.len(), rows * self.hidden, "weight_hh");
        assert_eq!((weights.bias_ih.len(), weights.bias_hh.len()), (rows, rows), "biases");
    }

    /// Packs weights for [`forward`](Self::forward).
    ///
    /// # Panics
    /// When a slice is not as long as the layer's shape says.
    pub fn pack(&self, weights: &Weights<'_>, packed: &mut Packed) {
        self.check(weights);
        match self.cell {
            Cell::Lstm => self.pack_as::<Lstm>(weights, packed),
            Cell::Gru => self.pack_as::<Gru>(weights, packed),
            Cell::Rnn => self.pack_as::<Rnn>(weights, packed),
        }
    }

    fn pack_as<C: Recurrence>(&self, weights: &Weights<'_>, packed: &mut Packed) {
        pack_gates(weights.weight_ih, C::INPUT_GATES, self.hidden, self.input, &mut packed.input);
        pack_gates(weights.weight_hh, C::HIDDEN_GATES, self.hidden, self.hidden, &mut packed.hidden);
        let bias = packed.bias.lend(self.blocks() * C::SLOTS * BLOCK);
        bias.fill(0.0);
        let sides = [(weights.bias_ih, C::INPUT_GATES, 0), (weights.bias_hh, C::HIDDEN_GATES, C::HIDDEN_FIRST)];
        for (source, gates, first) in sides {
            for unit in 0..self.hidden {
                for (slot, gate) in gates.iter().enumerate() {
                    let place = (unit / BLOCK * C::SLOTS + first + slot) * BLOCK + unit % BLOCK;
                    bias[place] += source[gate * self.hidden + unit];
                }
            }
        }
    }
}
