//! A network whose numbers no longer move: packed once, run without a graph, one bar at a time if need be.

use super::fused::kernel_layer;
use super::parameters::Parameters;
use super::recurrent::Recurrent;
use candle_core::Result;
use candlecast_kernels::{InitialState, Layer, Packed, Sequence, Tape};

/// A trained stack for serving. A new bar costs the same however long the history is, and gives the
/// same numbers, bit for bit, as running over the whole history again.
#[derive(Debug, Clone)]
pub struct Frozen {
    layers: Vec<(Layer, Packed)>,
}

/// What a [`Frozen`] stack carries from bar to bar for a batch of series: kilobytes, to be kept per ticker.
#[derive(Debug, Clone)]
pub struct Carried {
    batch: usize,
    layers: Vec<Held>,
}

#[derive(Debug, Clone, Default)]
struct Held {
    hidden: Vec<f32>,
    cell: Vec<f32>,
    tape: Tape,
}

impl Carried {
    /// Forgets all it has seen; keeps its memory.
    pub fn reset(&mut self) {
        for held in &mut self.layers {
            held.hidden.clear();
            held.cell.clear();
        }
    }

    /// The last layer's output after the newest bar, `[batch, hidden]`; empty before the first.
    pub fn last_hidden(&self) -> &[f32] {
        self.layers.last().map_or(&[], |held| &held.hidden)
    }
}

impl Recurrent {
    /// Packs the stack for serving; later changes of `parameters` do not reach it.
    ///
    /// # Errors
    /// When the device cannot give the numbers.
    pub fn freeze(&self, parameters: &Parameters) -> Result<Frozen> {
        let numbers = parameters.to_vec()?;
        let layers = self.slots().iter().map(|slots| {
            let layer = kernel_layer(self.config().cell, slots.weight_ih.shape[1], self.config().hidden);
            let mut packed = Packed::default();
            layer.pack(&slots.weights(&numbers), &mut packed);
            (layer, packed)
        });
        Ok(Frozen { layers: layers.collect() })
    }
}

impl Frozen {
    /// Nothing seen yet.
    pub fn start(&self, batch: usize) -> Carried {
        Carried { batch, layers: vec![Held::default(); self.layers.len()] }
    }

    /// Reads bars, `[batch, time, input]`, any number of them; answers the last layer's output after the
    /// newest, `[batch, hidden]`.
    ///
    /// # Panics
    /// When `bars` is not whole bars of every series, or empty.
    pub fn advance<'a>(&self, bars: &[f32], carried: &'a mut Carried) -> &'a [f32] {
        let batch = carried.batch;
        let width = self.layers.first().map_or(1, |(layer, _)| layer.input);
        let time = bars.len() / (batch * width);
        assert_eq!(bars.len(), batch * time * width, "bars are [batch {batch}, time, input {width}]");
        let mut below: Option<(&Layer, &Tape)> = None;
        for (idx, ((layer, packed), held)) in self.layers.iter().zip(&mut carried.layers).enumerate() {
            let Held { hidden, cell, tape } = held;
            let input = match below {
                None => Sequence::batch_first(bars, time, width),
                Some((layer, tape)) => tape.sequence(layer),
            };
            let initial = InitialState {
                hidden: (!hidden.is_empty()).then_some(hidden.as_slice()),
                cell: (!cell.is_empty()).then_some(cell.as_slice()),
            };
            // Only layers below another one need more than their newest output.
            let keep = idx + 1 < self.layers.len();
            layer.forward(packed, input, (batch, time), initial, tape, keep);
            hidden.clear();
            tape.last_hidden(layer).for_each(|row| hidden.extend_from_slice(row));
            if layer.cell.has_cell() {
                cell.clear();
                tape.last_cell(layer).for_each(|row| cell.extend_from_slice(row));
            }
            below = Some((layer, tape));
        }
        carried.last_hidden()
    }
}
