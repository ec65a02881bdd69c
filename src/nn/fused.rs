//! The kernels as Candle operations: a whole layer over a whole sequence is one node of the graph.

use super::parameters::Slot;
use super::recurrent::{Cell, LayerSlots};
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor};
use candlecast_kernels as kernels;
use kernels::{Gradients, InitialState, Layer, OutputGradient, Packed, Pass, Scratch, Sequence, StateGradient, Tape};
use std::sync::{Arc, Mutex, PoisonError};

/// Memory of layers that ran, lent to those that run next: a training step allocates nothing large.
#[derive(Debug, Default)]
pub(super) struct Pool(Mutex<Vec<Workspace>>);

#[derive(Debug, Default)]
struct Workspace {
    packed: Packed,
    tape: Tape,
    scratch: Scratch,
}

impl Pool {
    fn take(&self) -> Workspace {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    /// How many were lent at once, at most.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn give(&self, workspace: Workspace) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(workspace);
    }
}

/// What a layer answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    /// Its state after the last step: `[1 or 2, batch, hidden]`, hidden state and cell.
    Final,
    /// Its outputs `[batch, time, hidden]`, and after them its final state, as one vector.
    Sequence,
}

/// One layer over `(input [batch, time, input], state [1 or 2, batch, hidden], all parameters)`.
pub(super) struct FusedLayer {
    layer: Layer,
    slots: LayerSlots,
    want: Want,
    /// Whether the second argument is a state; else the first state is zeros and the argument not read.
    has_state: bool,
    pool: Arc<Pool>,
    /// What the forward pass left for the backward pass.
    left: Mutex<Workspace>,
}

impl FusedLayer {
    pub(super) fn new(layer: Layer, slots: LayerSlots, want: Want, has_state: bool, pool: Arc<Pool>) -> Self {
        let left = Mutex::new(pool.take());
        Self { layer, slots, want, has_state, pool, left }
    }

    /// Vectors in a state: hidden, and the LSTM's cell.
    fn vectors(&self) -> usize {
        1 + usize::from(self.layer.cell.has_cell())
    }

    fn initial<'a>(&self, state: Option<&'a [f32]>, batch: usize) -> InitialState<'a> {
        let size = batch * self.layer.hidden;
        let cell = state.filter(|_| self.layer.cell.has_cell()).map(|state| &state[size..2 * size]);
        InitialState { hidden: state.map(|state| &state[..size]), cell }
    }

    fn run(&self, x: &[f32], x_layout: &Layout, state: Option<&[f32]>, flat: &[f32]) -> Result<(Vec<f32>, Shape)> {
        let (batch, time, features) = x_layout.shape().dims3()?;
        if features != self.layer.input {
            candle_core::bail!("the layer reads {} features, the input has {features}", self.layer.input);
        }
        if batch == 0 || time == 0 {
            candle_core::bail!("an empty sequence: {batch} series of {time} steps");
        }
        if state.is_some_and(|state| state.len() != self.vectors() * batch * self.layer.hidden) {
            candle_core::bail!("the state is not one of {batch} series with {} units", self.layer.hidden);
        }
        let input = strided(x, x_layout)?;
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Workspace { packed, tape, .. } = &mut *left;
        self.layer.pack(&self.slots.weights(flat), packed);
        self.layer.forward(packed, input, (batch, time), self.initial(state, batch), tape, true);

        let hidden = self.layer.hidden;
        let states = self.vectors() * batch * hidden;
        let before = if self.want == Want::Sequence { batch * time * hidden } else { 0 };
        let mut output = Vec::with_capacity(before + states);
        if self.want == Want::Sequence {
            let sequence = tape.sequence(&self.layer);
            for b in 0..batch {
                (0..time).for_each(|t| output.extend_from_slice(sequence.row(b, t, hidden)));
            }
        }
        tape.last_hidden(&self.layer).for_each(|row| output.extend_from_slice(row));
        if self.layer.cell.has_cell() {
            tape.last_cell(&self.layer).for_each(|row| output.extend_from_slice(row));
        }
        let shape = match self.want {
            Want::Final => Shape::from((self.vectors(), batch, hidden)),
            Want::Sequence => Shape::from(output.len()),
        };
        Ok((output, shape))
    }
}

impl Drop for FusedLayer {
    fn drop(&mut self) {
        let left = self.left.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.pool.give(std::mem::take(left));
    }
}

impl CustomOp3 for FusedLayer {
    fn name(&self) -> &'static str {
        "recurrent-layer"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        state: &CpuStorage,
        state_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let state = if self.has_state { Some(contiguous(state.as_slice()?, state_layout)?) } else { None };
        let flat = contiguous(flat.as_slice()?, flat_layout)?;
        let (output, shape) = self.run(x.as_slice()?, x_layout, state, flat)?;
        Ok((CpuStorage::F32(output), shape))
    }

    fn bwd(
        &self,
        x: &Tensor,
        state: &Tensor,
        flat: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, time, features) = x.dims3()?;
        let hidden = self.layer.hidden;
        let size = batch * hidden;
        let gradient = gradient.contiguous()?;
        let mut by_input = x.track_op().then(|| vec![0.0; batch * time * features]);
        let mut by_state = (self.has_state && state.track_op()).then(|| vec![0.0; self.vectors() * size]);
        let mut by_flat = vec![0.0; flat.elem_count()];

        with_slices([x, flat, &gradient], |[x_numbers, flat_numbers, numbers]| {
            let flat_numbers = contiguous(flat_numbers, flat.layout())?;
            let numbers = contiguous(numbers, gradient.layout())?;
            let (sequence, last) = numbers.split_at(numbers.len() - self.vectors() * size);
            let output = OutputGradient {
                sequence: (self.want == Want::Sequence).then(|| Sequence::batch_first(sequence, time, hidden)),
                hidden: Some(&last[..size]),
                cell: self.layer.cell.has_cell().then(|| &last[size..]),
            };
            let (by_hidden, by_cell) = match by_state.as_mut() {
                Some(by_state) => {
                    let (by_hidden, by_cell) = by_state.split_at_mut(size);
                    (Some(by_hidden), Some(by_cell).filter(|_| self.layer.cell.has_cell()))
                }
                None => (None, None),
            };
            let asked = StateGradient { input: by_input.as_deref_mut(), hidden: by_hidden, cell: by_cell };
            let mut gradients = split_gradients(&self.slots, &mut by_flat);
            let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
            let Workspace { tape, scratch, .. } = &mut *left;
            let input = strided(x_numbers, x.layout())?;
            let pass = Pass { weights: self.slots.weights(flat_numbers), input, tape };
            self.layer.backward(pass, output, &mut gradients, asked, scratch);
            Ok(())
        })?;
        let tensor = |numbers, like: &Tensor| Tensor::from_vec(numbers, like.shape(), like.device());
        Ok((
            by_input.map(|numbers| tensor(numbers, x)).transpose()?,
            by_state.map(|numbers| tensor(numbers, state)).transpose()?,
            Some(tensor(by_flat, flat)?),
        ))
    }
}

/// The stretches of the flat gradient that belong to one layer; its four tensors lie one after the other.
fn split_gradients<'a>(slots: &LayerSlots, flat: &'a mut [f32]) -> Gradients<'a> {
    let rest = &mut flat[slots.weight_ih.start..];
    let (weight_ih, rest) = rest.split_at_mut(slots.weight_ih.len());
    let (weight_hh, rest) = rest.split_at_mut(slots.weight_hh.len());
    let (bias_ih, rest) = rest.split_at_mut(slots.bias_ih.len());
    Gradients { weight_ih, weight_hh, bias_ih, bias_hh: &mut rest[..slots.bias_hh.len()] }
}

/// The head over `(rows [rows, inputs], all parameters)`.
pub(super) struct FusedLinear {
    pub(super) linear: kernels::Linear,
    pub(super) weight: Slot,
    pub(super) bias: Slot,
}

impl CustomOp2 for FusedLinear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = x_layout.shape().dims2()?;
        if inputs != self.linear.inputs {
            candle_core::bail!("the head reads {} numbers, its input has {inputs}", self.linear.inputs);
        }
        let flat = contiguous(flat.as_slice()?, flat_layout)?;
        let mut y = vec![0.0; rows * self.linear.outputs];
        let x = contiguous(x.as_slice()?, x_layout)?;
        self.linear.forward(&flat[self.weight.range()], &flat[self.bias.range()], x, &mut y);
        Ok((CpuStorage::F32(y), Shape::from((rows, self.linear.outputs))))
    }

    fn bwd(
        &self,
        x: &Tensor,
        flat: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let mut by_input = x.track_op().then(|| vec![0.0; x.elem_count()]);
        let mut by_flat = vec![0.0; flat.elem_count()];
        with_slices([x, flat, &gradient], |[x_numbers, flat_numbers, numbers]| {
            let (weight, bias) = by_flat[self.weight.start..].split_at_mut(self.weight.len());
            let gradients =
                kernels::LinearGradients { weight, bias: &mut bias[..self.bias.len()], input: by_input.as_deref_mut() };
            let flat_numbers = contiguous(flat_numbers, flat.layout())?;
            let (x_numbers, dy) = (contiguous(x_numbers, x.layout())?, contiguous(numbers, gradient.layout())?);
            self.linear.backward(&flat_numbers[self.weight.range()], x_numbers, dy, gradients);
            Ok(())
        })?;
        let by_input = by_input.map(|numbers| Tensor::from_vec(numbers, x.shape(), x.device())).transpose()?;
        Ok((by_input, Some(Tensor::from_vec(by_flat, flat.shape(), flat.device())?)))
    }
}

/// A product with a matrix that is not learned, over `rows [rows, inputs]`.
pub(super) struct FusedProduct {
    /// `[outputs, inputs]`
    pub(super) weight: Arc<[f32]>,
    /// `[inputs, outputs]`
    pub(super) transposed: Arc<[f32]>,
    pub(super) linear: kernels::Linear,
}

impl CustomOp1 for FusedProduct {
    fn name(&self) -> &'static str {
        "product"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (rows, inputs) = layout.shape().dims2()?;
        if inputs != self.linear.inputs {
            candle_core::bail!("the matrix reads {} numbers, its input has {inputs}", self.linear.inputs);
        }
        let y = product(self.linear, &self.weight, contiguous(x.as_slice()?, layout)?);
        Ok((CpuStorage::F32(y), Shape::from((rows, self.linear.outputs))))
    }

    fn bwd(&self, x: &Tensor, _result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let back = kernels::Linear::new(self.linear.outputs, self.linear.inputs);
        let by_input = with_slices([&gradient], |[numbers]| {
            Ok(product(back, &self.transposed, contiguous(numbers, gradient.layout())?))
        })?;
        Ok(Some(Tensor::from_vec(by_input, x.shape(), x.device())?))
    }
}

fn product(linear: kernels::Linear, weight: &[f32], rows: &[f32]) -> Vec<f32> {
    let mut y = vec![0.0; rows.len() / linear.inputs * linear.outputs];
    linear.forward(weight, &vec![0.0; linear.outputs], rows, &mut y);
    y
}

/// The kernel's layer for a configuration.
pub(super) fn kernel_layer(cell: Cell, input: usize, hidden: usize) -> Layer {
    let cell = match cell {
        Cell::Lstm => kernels::Cell::Lstm,
        Cell::Gru => kernels::Cell::Gru,
        Cell::Rnn => kernels::Cell::Rnn,
    };
    Layer::new(cell, input, hidden)
}

fn contiguous<'a>(numbers: &'a [f32], layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&numbers[start..end]),
        None => candle_core::bail!("the kernels need this tensor contiguous"),
    }
}

/// A view of `[batch, time, width]` whatever its first two strides.
fn strided<'a>(numbers: &'a [f32], layout: &Layout) -> Result<Sequence<'a>> {
    match layout.stride() {
        [batch_stride, time_stride, 1] => Ok(Sequence {
            data: &numbers[layout.start_offset()..],
            batch_stride: *batch_stride,
            time_stride: *time_stride,
        }),
        _ => candle_core::bail!("the kernels need each step's features contiguous"),
    }
}

/// Lends the numbers of tensors on the CPU, whole storages: layouts say where each lies.
fn with_slices<const N: usize, T>(tensors: [&Tensor; N], with: impl FnOnce([&[f32]; N]) -> Result<T>) -> Result<T> {
    let storages = tensors.map(|tensor| tensor.storage_and_layout().0);
    let mut slices: [&[f32]; N] = [&[]; N];
    for (slice, storage) in slices.iter_mut().zip(&storages) {
        let Storage::Cpu(storage) = &**storage else {
            candle_core::bail!("the kernels run on the CPU only");
        };
        *slice = storage.as_slice()?;
    }
    with(slices)
}
