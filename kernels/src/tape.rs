//! What a forward pass leaves behind.

use crate::buffer::Buffer;
use crate::layer::{Layer, Sequence};

/// States and gates of a forward pass, step after step, in memory that is used again for the next one.
#[derive(Debug, Clone, Default)]
pub struct Tape {
    pub(crate) batch: usize,
    pub(crate) time: usize,
    /// Whether every step was kept, as [`Layer::backward`] needs, or only the newest.
    pub(crate) kept: bool,
    /// Hidden states `[time + 1, batch, padded]`, the first before the first step; two of them if not kept.
    pub(crate) hidden: Buffer,
    /// Cells, likewise.
    pub(crate) cell: Buffer,
    /// What each unit saved, `[time, block, batch, SAVED, BLOCK]`; of one step if not kept.
    pub(crate) saved: Buffer,
}

impl Tape {
    /// Which of the stored states is the one before step `t`.
    pub(crate) fn slot(&self, t: usize) -> usize {
        if self.kept { t } else { t % 2 }
    }

    /// The hidden state after the last step, `[batch, hidden]`.
    pub fn last_hidden(&self, layer: &Layer) -> impl Iterator<Item = &[f32]> {
        self.states(&self.hidden, layer, self.time)
    }

    /// The cell after the last step, `[batch, hidden]`; only for an LSTM.
    pub fn last_cell(&self, layer: &Layer) -> impl Iterator<Item = &[f32]> {
        self.states(&self.cell, layer, self.time)
    }

    /// The hidden state after step `t`, `[batch, hidden]`; every step only on a tape that keeps them.
    pub fn hidden_after(&self, layer: &Layer, t: usize) -> impl Iterator<Item = &[f32]> {
        self.states(&self.hidden, layer, t + 1)
    }

    /// The hidden states after each step, as rows of `hidden` numbers, each wide apart as the kernels like it.
    pub fn sequence(&self, layer: &Layer) -> Sequence<'_> {
        assert!(self.kept, "a tape that keeps only the newest step has no sequence");
        let padded = layer.padded();
        let data = &self.hidden[self.batch * padded..][..self.time * self.batch * padded];
        Sequence { data, batch_stride: padded, time_stride: self.batch * padded }
    }

    fn states<'a>(&'a self, from: &'a [f32], layer: &Layer, after: usize) -> impl Iterator<Item = &'a [f32]> {
        let (padded, hidden) = (layer.padded(), layer.hidden);
        let start = self.slot(after) * self.batch * padded;
        from[start..][..self.batch * padded].chunks_exact(padded).map(move |row| &row[..hidden])
    }

    /// Makes room, and puts the first state in place (zeros if none).
    pub(crate) fn start(&mut self, layer: &Layer, saved: usize, initial: [Option<&[f32]>; 2]) {
        let (steps, states) = if self.kept { (self.time, self.time + 1) } else { (1, 2) };
        let (padded, step) = (layer.padded(), self.batch * layer.padded());
        self.saved.lend(steps * step * saved);
        let cells = if layer.cell.has_cell() { states } else { 0 };
        for (buffer, count, initial) in [(&mut self.hidden, states, initial[0]), (&mut self.cell, cells, initial[1])] {
            let buffer = buffer.lend(count * step);
            let first = &mut buffer[..step.min(count * step)];
            first.fill(0.0);
            if let Some(initial) = initial {
                assert_eq!(initial.len(), self.batch * layer.hidden, "initial state");
                for (to, from) in first.chunks_exact_mut(padded).zip(initial.chunks_exact(layer.hidden)) {
                    to[..layer.hidden].copy_from_slice(from);
                }
            }
        }
    }
}
