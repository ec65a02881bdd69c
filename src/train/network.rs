//! Windows to corrections of the base's quantiles, for each way in which sequences may go in and out.

use candle_core::{D, Device, Result, Tensor};

use super::config::{Topology, TrainConfig};
use super::shape::CORRECTIONS;
use crate::nn::{Generator, Linear, ParameterLayout, Parameters, Recurrent, RecurrentConfig, State};

/// A recurrent network with its head.
#[derive(Debug, Clone)]
pub(super) struct Network {
    topology: Topology,
    lookback: usize,
    n_steps: usize,
    tbptt_steps: usize,
    encoder: Recurrent,
    /// Reads how far ahead it is; only of the encoder-decoder.
    decoder: Option<Recurrent>,
    head: Linear,
}

impl Network {
    /// A network for windows of `width` features; its tensors are named behind `prefix`.
    pub(super) fn new(config: &TrainConfig, width: usize, prefix: &str) -> (Self, ParameterLayout) {
        let mut layout = ParameterLayout::default();
        let n_steps = config.horizon.steps();
        let recurrent = |input| RecurrentConfig {
            cell: config.cell,
            input,
            hidden: config.hidden,
            layers: config.layers,
            dropout: config.dropout,
        };
        let encoder = Recurrent::new(recurrent(width), &mut layout, prefix);
        let decoder = (config.topology == Topology::ManyToMany)
            .then(|| Recurrent::new(recurrent(1), &mut layout, &format!("{prefix}decoder.")));
        let outputs = match config.topology {
            Topology::OneToMany | Topology::ManyToMany => CORRECTIONS,
            Topology::ManyToOne | Topology::OneToOne | Topology::ManyToManyAligned => n_steps * CORRECTIONS,
        };
        let head = Linear::new(config.hidden, outputs, &mut layout, &format!("{prefix}head."));
        let lookback = config.lookback;
        let tbptt_steps = config.tbptt_steps.unwrap_or(lookback).min(lookback);
        (Self { topology: config.topology, lookback, n_steps, tbptt_steps, encoder, decoder, head }, layout)
    }

    /// First weights: the head's are 0, so that every correction is, and training starts from the base.
    pub(super) fn init(&self, layout: ParameterLayout, generator: &mut Generator) -> Result<Parameters> {
        let parameters = Parameters::init(layout, generator, &Device::Cpu)?;
        let mut numbers = parameters.to_vec()?;
        numbers[self.head.weight_range()].fill(0.0);
        numbers[self.head.bias_range()].fill(0.0);
        parameters.set(&numbers)?;
        Ok(parameters)
    }

    /// Bars of a window that it reads.
    pub(super) fn window(&self) -> usize {
        match self.topology {
            Topology::OneToOne | Topology::OneToMany => 1,
            Topology::ManyToOne | Topology::ManyToMany | Topology::ManyToManyAligned => self.lookback,
        }
    }

    /// Bars of a window that are forecast from in training: all of them if aligned, else the last.
    pub(super) fn positions(&self) -> usize {
        if self.topology == Topology::ManyToManyAligned { self.lookback } else { 1 }
    }

    /// `windows` `[batch, window, width]` to corrections `[batch · positions, steps, CORRECTIONS]`;
    /// `dropout` draws masks in training.
    pub(super) fn forward(
        &self,
        parameters: &Parameters,
        windows: &Tensor,
        dropout: Option<&mut Generator>,
    ) -> Result<Tensor> {
        let batch = windows.dim(0)?;
        let hidden = match self.topology {
            Topology::OneToMany => self.unroll(parameters, windows, dropout)?, // [batch, steps, hidden]
            Topology::ManyToMany => self.decode(parameters, windows, dropout)?, // [batch, steps, hidden]
            Topology::ManyToManyAligned => self.outputs(parameters, windows, dropout)?, // [batch, lookback, hidden]
            Topology::ManyToOne | Topology::OneToOne => {
                self.encode(parameters, windows, dropout)?.last_hidden().unsqueeze(1)? // [batch, 1, hidden]
            }
        };
        let corrections = self.head.forward(parameters, &hidden)?;
        corrections.reshape((batch * self.positions(), self.n_steps, CORRECTIONS))
    }

    /// Runs the encoder over the window to its last state; gradients are cut every `tbptt_steps` bars.
    fn encode(&self, parameters: &Parameters, windows: &Tensor, mut dropout: Option<&mut Generator>) -> Result<State> {
        let encode = |stretch: &Tensor, before: Option<&State>| {
            self.encoder.encode(parameters, stretch, before, dropout.as_deref_mut())
        };
        self.walk(windows, encode)
    }

    /// The same, with the outputs at every bar, `[batch, window, hidden]`.
    fn outputs(
        &self,
        parameters: &Parameters,
        windows: &Tensor,
        mut dropout: Option<&mut Generator>,
    ) -> Result<Tensor> {
        let mut sequences = Vec::new();
        let forward = |stretch: &Tensor, before: Option<&State>| {
            let output = self.encoder.forward(parameters, stretch, before, dropout.as_deref_mut())?;
            sequences.push(output.sequence);
            Ok(output.state)
        };
        self.walk(windows, forward)?;
        Tensor::cat(&sequences, 1)
    }

    /// Gives `run` the window in stretches of `tbptt_steps` bars, each with the state after the one before, its
    /// gradient cut; the state after the last.
    fn walk(&self, windows: &Tensor, mut run: impl FnMut(&Tensor, Option<&State>) -> Result<State>) -> Result<State> {
        let n_bars = windows.dim(1)?;
        let mut start = self.tbptt_steps.min(n_bars);
        let mut state = run(&windows.narrow(1, 0, start)?.contiguous()?, None)?;
        while start < n_bars {
            let length = self.tbptt_steps.min(n_bars - start);
            let stretch = windows.narrow(1, start, length)?.contiguous()?;
            state = run(&stretch, Some(&state.detach()))?;
            start += length;
        }
        Ok(state)
    }

    /// The bar, then as many empty bars as there are more steps.
    fn unroll(&self, parameters: &Parameters, bar: &Tensor, dropout: Option<&mut Generator>) -> Result<Tensor> {
        let empty = bar.zeros_like()?;
        let mut inputs = vec![bar.clone()];
        inputs.resize(self.n_steps, empty);
        Ok(self.encoder.forward(parameters, &Tensor::cat(&inputs, 1)?, None, dropout)?.sequence)
    }

    /// The window's last state, then the decoder over the share of the horizon passed.
    fn decode(&self, parameters: &Parameters, windows: &Tensor, mut dropout: Option<&mut Generator>) -> Result<Tensor> {
        let state = self.encode(parameters, windows, dropout.as_deref_mut())?;
        let Some(decoder) = &self.decoder else {
            candle_core::bail!("an encoder-decoder without its decoder");
        };
        let passed: Vec<f32> = (1..=self.n_steps).map(|step| step as f32 / self.n_steps as f32).collect();
        let inputs = Tensor::from_vec(passed, (1, self.n_steps, 1), windows.device())?;
        let inputs = inputs.repeat((windows.dim(0)?, 1, 1))?;
        Ok(decoder.forward(parameters, &inputs, Some(&state), dropout)?.sequence)
    }

    /// Corrections of the newest bar of each window only, `[batch, steps, CORRECTIONS]`.
    pub(super) fn newest(&self, corrections: &Tensor) -> Result<Tensor> {
        let (rows, n_steps, width) = corrections.dims3()?;
        let positions = self.positions();
        let windows = corrections.reshape((rows / positions, positions, n_steps * width))?;
        windows.narrow(1, positions - 1, 1)?.reshape((rows / positions, n_steps, width))?.contiguous()
    }
}

/// Pinball loss, averaged over every element; lower is better.
///
/// * `quantiles` `[rows, steps, levels]`
/// * `targets`   `[rows, steps]`
/// * `levels`    `[levels]`, ascending, each in (0, 1)
///
/// Source: Koenker & Bassett (1978), "Regression Quantiles", Econometrica 46.
pub(super) fn pinball(quantiles: &Tensor, targets: &Tensor, levels: &Tensor) -> Result<Tensor> {
    let error = targets.unsqueeze(D::Minus1)?.broadcast_sub(quantiles)?; // [rows, steps, levels]
    // max(p·e, (p − 1)·e) = p·e + max(−e, 0)
    (error.broadcast_mul(levels)? + error.neg()?.relu()?)?.mean_all()
}
