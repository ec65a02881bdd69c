//! LSTM, GRU and vanilla RNN, stacked, with PyTorch's names, layouts and equations.

use super::init::{Generator, dropout_mask};
use super::parameters::{ParameterLayout, Parameters, Slot};
use super::step_form;
use candle_core::{Result, Tensor};
use serde::{Deserialize, Serialize};

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
}

/// One layer's tensors, with `G` gates: `weight_ih` `[G·hidden, input]`, `weight_hh` `[G·hidden, hidden]`, biases `[G·hidden]`.
#[derive(Debug, Clone)]
pub(super) struct LayerSlots {
    pub(super) weight_ih: Slot,
    pub(super) weight_hh: Slot,
    pub(super) bias_ih: Slot,
    pub(super) bias_hh: Slot,
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
        Self { layers: layers.collect(), config }
    }

    /// The shape.
    pub fn config(&self) -> &RecurrentConfig {
        &self.config
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
        mut dropout: Option<&mut Generator>,
    ) -> Result<Output> {
        let (batch, _time, _input) = input.dims3()?;
        let zeros;
        let state = match state {
            Some(state) => state,
            None => {
                zeros = self.zero_state(parameters, batch)?;
                &zeros
            }
        };
        let mut sequence = input.clone();
        let mut layers = Vec::with_capacity(self.layers.len());
        for (idx, (slots, state)) in self.layers.iter().zip(&state.layers).enumerate() {
            if let Some(generator) = dropout.as_deref_mut().filter(|_| idx > 0 && self.config.dropout > 0.0) {
                sequence = drop_out(&sequence, self.config.dropout, generator)?;
            }
            let (outputs, after) = step_form::layer(self.config.cell, slots, parameters, &sequence, state)?;
            sequence = outputs;
            layers.push(after);
        }
        Ok(Output { sequence, state: State { layers } })
    }
}

fn drop_out(sequence: &Tensor, rate: f64, generator: &mut Generator) -> Result<Tensor> {
    let mask = dropout_mask(generator, rate, sequence.elem_count());
    sequence * Tensor::from_vec(mask, sequence.shape(), sequence.device())?
}
