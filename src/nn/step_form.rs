//! The recurrences written with Candle's own operations, one small graph a step: the path on CUDA and
//! Metal, and a second opinion on the fused kernels in tests.

use super::parameters::Parameters;
use super::recurrent::{Cell, LayerSlots, LayerState};
use candle_core::{D, Result, Tensor};
use candle_nn::ops::sigmoid;

/// One layer over `input` `[batch, time, input]`: its outputs `[batch, time, hidden]` and its state after the last step.
pub(super) fn layer(
    cell: Cell,
    slots: &LayerSlots,
    parameters: &Parameters,
    input: &Tensor,
    state: Option<&LayerState>,
) -> Result<(Tensor, LayerState)> {
    let (batch, time, features) = input.dims3()?;
    let weight_ih = parameters.slot(&slots.weight_ih)?;
    let bias_ih = parameters.slot(&slots.bias_ih)?;
    let rows = input.reshape((batch * time, features))?;
    let projected = rows.matmul(&weight_ih.t()?)?.broadcast_add(&bias_ih)?;
    let projected = projected.reshape((batch, time, weight_ih.dim(0)?))?; // [batch, time, gates·hidden]
    let recurrent = parameters.slot(&slots.weight_hh)?.t()?; // [hidden, gates·hidden]
    let bias_hh = parameters.slot(&slots.bias_hh)?;

    let zeros = || Tensor::zeros((batch, bias_hh.elem_count() / cell.gates()), input.dtype(), input.device());
    let mut state = match state {
        Some(state) => state.clone(),
        None => LayerState { hidden: zeros()?, cell: (cell == Cell::Lstm).then(zeros).transpose()? },
    };
    let mut outputs = Vec::with_capacity(time);
    for t in 0..time {
        let from_input = projected.narrow(1, t, 1)?.squeeze(1)?; // [batch, gates·hidden]
        let from_hidden = state.hidden.matmul(&recurrent)?.broadcast_add(&bias_hh)?;
        state = match (cell, &state.cell) {
            (Cell::Lstm, Some(memory)) => lstm(&(from_input + from_hidden)?, memory)?,
            (Cell::Lstm, None) => candle_core::bail!("an LSTM's state needs its cell"),
            (Cell::Gru, _) => gru(&from_input, &from_hidden, &state.hidden)?,
            (Cell::Rnn, _) => LayerState { hidden: (from_input + from_hidden)?.tanh()?, cell: None },
        };
        outputs.push(state.hidden.clone());
    }
    Ok((Tensor::stack(&outputs, 1)?, state))
}

fn lstm(gates: &Tensor, cell: &Tensor) -> Result<LayerState> {
    let gates = gates.chunk(4, D::Minus1)?;
    let (input, forget) = (sigmoid(&gates[0])?, sigmoid(&gates[1])?);
    let (candidate, output) = (gates[2].tanh()?, sigmoid(&gates[3])?);
    let cell = ((forget * cell)? + (input * candidate)?)?;
    let hidden = (output * cell.tanh()?)?;
    Ok(LayerState { hidden, cell: Some(cell) })
}

fn gru(from_input: &Tensor, from_hidden: &Tensor, hidden: &Tensor) -> Result<LayerState> {
    let (input, recurrent) = (from_input.chunk(3, D::Minus1)?, from_hidden.chunk(3, D::Minus1)?);
    let reset = sigmoid(&(&input[0] + &recurrent[0])?)?;
    let update = sigmoid(&(&input[1] + &recurrent[1])?)?;
    let candidate = (&input[2] + (reset * &recurrent[2])?)?.tanh()?;
    let hidden = (&candidate + (update * (hidden - &candidate)?)?)?; // (1 - z) n + z h
    Ok(LayerState { hidden, cell: None })
}
