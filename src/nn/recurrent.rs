//! LSTM, GRU and vanilla RNN, stacked, with PyTorch's names, layouts and equations.

use super::fused::{FusedLayer, Pool, Want, kernel_layer};
use super::init::{Generator, dropout_mask};
use super::parameters::{ParameterLayout, Parameters, Slot};
use super::step_form;
use candle_core::{Result, Tensor};
use candlecast_kernels as kernels;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which recurrence a layer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cell {
    /// Long short-term memory: input, forget and output gate around an additive cell.
    ///
    /// Source: Hochreiter & Schmidhuber (1997), Neural Computation 9; Gers et al. (2000) for the forget gate.
    Lstm,
    /// Gated recurrent unit: reset and update gate, no separate cell.
    ///
    /// Source: Cho et al. (2014), arXiv:1406.1078; the hidden bias inside the reset product, as in cuDNN and PyTorch.
    Gru,
    /// The plain recurrence `tanh(W x + U h + b)`.
    ///
    /// Source: Elman (1990), Cognitive Science 14.
    Rnn,
}

impl Cell {
    /// How many blocks of `hidden` rows the weights stack: LSTM `i f g o`, GRU `r z n`, RNN one.
    pub fn gates(self) -> usize {
        match self {
            Self::Lstm => 4,
            Self::Gru => 3,
            Self::Rnn => 1,
        }
    }
}

/// The shape of a recurrent network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecurrentConfig {
    /// Which recurrence.
    pub cell: Cell,
    /// Features a step.
    pub input: usize,
    /// Units a layer.
    pub hidden: usize,
    /// Layers, each reading the outputs of the one below.
    pub layers: usize,
    /// Probability that an output between two layers is dropped while training, in `[0, 1)`.
    pub dropout: f64,
}

/// What a stack of layers carries from one step to the next.
#[derive(Debug, Clone)]
pub struct State {
    /// One state a layer, the first layer first.
    pub layers: Vec<LayerState>,
}

/// What one layer carries.
#[derive(Debug, Clone)]
pub struct LayerState {
    /// Its output at the last step, `[batch, hidden]`.
    pub hidden: Tensor,
    /// The LSTM's cell, `[batch, hidden]`; none for the other cells.
    pub cell: Option<Tensor>,
}

impl State {
    /// The last layer's output at the last step, `[batch, hidden]`: what a many-to-one head reads.
    ///
    /// # Panics
    /// Never for a state that a [`Recurrent`] gave.
    pub fn last_hidden(&self) -> &Tensor {
        &self.layers[self.layers.len() - 1].hidden
    }

    /// The same numbers with the gradient cut: truncated back-propagation carries this.
    pub fn detach(&self) -> Self {
        let cut = |layer: &LayerState| LayerState {
            hidden: layer.hidden.detach(),
            cell: layer.cell.as_ref().map(Tensor::detach),
        };
        Self { layers: self.layers.iter().map(cut).collect() }
    }
}

/// What a stack answers.
#[derive(Debug, Clone)]
pub struct Output {
    /// The last layer's output at every step, `[batch, time, hidden]`.
    pub sequence: Tensor,
    /// Every layer's state after the last step.
    pub state: State,
}

/// A stack of recurrent layers.
#[derive(Debug, Clone)]
pub struct Recurrent {
    config: RecurrentConfig,
    layers: Vec<LayerSlots>,
    pool: Arc<Pool>,
}

/// One layer's tensors, with `G` gates: `weight_ih` `[G·hidden, input]`, `weight_hh` `[G·hidden, hidden]`, biases `[G·hidden]`.
#[derive(Debug, Clone)]
pub(super) struct LayerSlots {
    pub(super) weight_ih: Slot,
    pub(super) weight_hh: Slot,
    pub(super) bias_ih: Slot,
    pub(super) bias_hh: Slot,
}

impl LayerSlots {
    /// The tensors' stretches of the flat buffer.
    pub(super) fn weights<'a>(&self, flat: &'a [f32]) -> kernels::Weights<'a> {
        kernels::Weights {
            weight_ih: &flat[self.weight_ih.range()],
            weight_hh: &flat[self.weight_hh.range()],
            bias_ih: &flat[self.bias_ih.range()],
            bias_hh: &flat[self.bias_hh.range()],
        }
    }
}

impl Recurrent {
    /// A stack whose tensors are named as PyTorch names them (`weight_ih_l0`, …), behind `prefix`;
    /// first values uniform in `±1/√hidden`, as PyTorch's.
    pub fn new(config: RecurrentConfig, layout: &mut ParameterLayout, prefix: &str) -> Self {
        let rows = config.cell.gates() * config.hidden;
        let bound = 1.0 / (config.hidden as f32).sqrt();
        let layers = (0..config.layers).map(|layer| {
            let input = if layer == 0 { config.input } else { config.hidden };
            let mut add = |name: &str, shape: &[usize]| layout.add(format!("{prefix}{name}_l{layer}"), shape, bound);
            LayerSlots {
                weight_ih: add("weight_ih", &[rows, input]),
                weight_hh: add("weight_hh", &[rows, config.hidden]),
                bias_ih: add("bias_ih", &[rows]),
                bias_hh: add("bias_hh", &[rows]),
            }
        });
        Self { layers: layers.collect(), config, pool: Arc::default() }
    }

    /// The shape.
    pub fn config(&self) -> &RecurrentConfig {
        &self.config
    }

    pub(super) fn slots(&self) -> &[LayerSlots] {
        &self.layers
    }

    /// The state before the first step: zeros.
    ///
    /// # Errors
    /// When the device cannot hold it.
    pub fn zero_state(&self, parameters: &Parameters, batch: usize) -> Result<State> {
        let flat = parameters.flat();
        let zeros = Tensor::zeros((batch, self.config.hidden), flat.dtype(), flat.device())?;
        let cell = (self.config.cell == Cell::Lstm).then(|| zeros.clone());
        Ok(State { layers: vec![LayerState { hidden: zeros, cell }; self.config.layers] })
    }

    /// Runs the stack over `input` `[batch, time, input]` from `state` (zeros if none).
    ///
    /// `dropout` is the generator that draws the masks between layers; none outside training.
    /// Gradients flow to the parameters, to the state and to the input.
    ///
    /// # Errors
    /// When shapes disagree with the configuration.
    pub fn forward(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        state: Option<&State>,
        dropout: Option<&mut Generator>,
    ) -> Result<Output> {
        let (sequence, state) = self.run(parameters, input, state, dropout, Want::Sequence)?;
        Ok(Output { sequence, state })
    }

    /// As [`forward`](Self::forward), but only the state after the last step: all that a many-to-one
    /// head reads, and cheaper.
    ///
    /// # Errors
    /// When shapes disagree with the configuration.
    pub fn encode(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        state: Option<&State>,
        dropout: Option<&mut Generator>,
    ) -> Result<State> {
        Ok(self.run(parameters, input, state, dropout, Want::Final)?.1)
    }

    fn run(
        &self,
        parameters: &Parameters,
        input: &Tensor,
        state: Option<&State>,
        mut dropout: Option<&mut Generator>,
        want: Want,
    ) -> Result<(Tensor, State)> {
        let mut sequence = input.clone();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (idx, slots) in self.layers.iter().enumerate() {
            if let Some(generator) = dropout.as_deref_mut().filter(|_| idx > 0 && self.config.dropout > 0.0) {
                sequence = drop_out(&sequence, self.config.dropout, generator)?;
            }
            let state = state.map(|state| &state.layers[idx]);
            let want = if idx + 1 == self.layers.len() { want } else { Want::Sequence };
            let (outputs, after) = if parameters.on_cpu() {
                self.fused(slots, parameters, &sequence, state, want)?
            } else {
                step_form::layer(self.config.cell, slots, parameters, &sequence, state)?
            };
            sequence = outputs;
            layers.push(after);
        }
        Ok((sequence, State { layers }))
    }

    fn fused(
        &self,
        slots: &LayerSlots,
        parameters: &Parameters,
        input: &Tensor,
        state: Option<&LayerState>,
        want: Want,
    ) -> Result<(Tensor, LayerState)> {
        let (batch, time, features) = input.dims3()?;
        let hidden = self.config.hidden;
        let layer = kernel_layer(self.config.cell, slots.weight_ih.shape[1], hidden);
        let op = FusedLayer::new(layer, slots.clone(), want, state.is_some(), self.pool.clone());
        let rows = if input.stride()[2] == 1 || features == 1 { input.clone() } else { input.contiguous()? };
        let packed = match state {
            Some(LayerState { hidden, cell: Some(cell) }) => Tensor::stack(&[hidden, cell], 0)?,
            Some(LayerState { hidden, cell: None }) => hidden.unsqueeze(0)?.contiguous()?,
            None => parameters.flat().as_tensor().clone(), // not read
        };
        let output = rows.apply_op3(&packed, parameters.flat(), op)?;
        let part = |from: usize, len: usize| output.narrow(0, from, len);
        let has_cell = self.config.cell == Cell::Lstm;
        if want == Want::Final {
            let cell = has_cell.then(|| part(1, 1)?.squeeze(0)).transpose()?;
            let hidden = part(0, 1)?.squeeze(0)?;
            return Ok((hidden.clone(), LayerState { hidden, cell }));
        }
        let (outputs, size) = (batch * time * hidden, batch * hidden);
        let sequence = part(0, outputs)?.reshape((batch, time, hidden))?;
        let cell = has_cell.then(|| part(outputs + size, size)?.reshape((batch, hidden))).transpose()?;
        Ok((sequence, LayerState { hidden: part(outputs, size)?.reshape((batch, hidden))?, cell }))
    }
}

fn drop_out(sequence: &Tensor, rate: f64, generator: &mut Generator) -> Result<Tensor> {
    let mask = dropout_mask(generator, rate, sequence.elem_count());
    sequence * Tensor::from_vec(mask, sequence.shape(), sequence.device())?
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::seeded;
    use candle_core::Device;

    /// The fused kernels and Candle's own operations agree, forward and backward.
    #[test]
    fn step_form_is_the_same_network() {
        for cell in [Cell::Lstm, Cell::Gru, Cell::Rnn] {
            let config = RecurrentConfig { cell, input: 5, hidden: 18, layers: 1, dropout: 0.0 };
            let mut layout = ParameterLayout::default();
            let recurrent = Recurrent::new(config, &mut layout, "");
            let parameters = Parameters::init(layout, &mut seeded(4), &Device::Cpu).expect("cpu");
            let numbers: Vec<f32> = (0..3 * 7 * 5).map(|idx| (idx as f32 * 0.7).sin()).collect();
            let input = Tensor::from_vec(numbers, (3, 7, 5), &Device::Cpu).expect("cpu");
            let fused = recurrent.forward(&parameters, &input, None, None).expect("fused");
            let (sequence, state) =
                step_form::layer(cell, &recurrent.layers[0], &parameters, &input, None).expect("steps");
            let by_step = Output { sequence, state: State { layers: vec![state] } };
            let both = [fused, by_step].map(|output| {
                let last = output.state.layers[0].cell.as_ref().unwrap_or(output.state.last_hidden());
                let loss = (output.sequence.sqr().expect("f32").sum_all().expect("sum") + last.sum_all().expect("sum"))
                    .expect("scalars");
                let gradients = loss.backward().expect("backward");
                let flat = gradients.get(parameters.flat()).expect("reached").to_vec1::<f32>().expect("f32");
                (output.sequence.flatten_all().expect("view").to_vec1::<f32>().expect("f32"), flat)
            });
            let [(fused, fused_slope), (steps, steps_slope)] = &both;
            let worst = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst(fused, steps) < 1e-6, "{cell:?}");
            assert!(worst(fused_slope, steps_slope) < 2e-5, "{cell:?}");
        }
    }

    /// Truncated back-propagation holds what one stretch left, however long the history; without the cut
    /// every stretch stays until the end.
    #[test]
    fn truncated_back_propagation_needs_memory_for_one_stretch() {
        let config = RecurrentConfig { cell: Cell::Lstm, input: 3, hidden: 16, layers: 1, dropout: 0.0 };
        let tapes = |cut: bool| {
            let mut layout = ParameterLayout::default();
            let recurrent = Recurrent::new(config, &mut layout, "");
            let parameters = Parameters::init(layout, &mut seeded(4), &Device::Cpu).expect("cpu");
            let mut state = recurrent.zero_state(&parameters, 2).expect("cpu");
            for _ in 0..30 {
                let bars = Tensor::ones((2, 5, 3), candle_core::DType::F32, &Device::Cpu).expect("cpu");
                let after = recurrent.encode(&parameters, &bars, Some(&state), None).expect("forward");
                after.last_hidden().sum_all().expect("sum").backward().expect("backward");
                state = if cut { after.detach() } else { after };
            }
            drop(state);
            recurrent.pool.len()
        };
        assert_eq!(tapes(true), 1);
        assert_eq!(tapes(false), 30);
    }
}
