//! The head: one affine map, PyTorch's `nn.Linear`.

use super::fused::FusedLinear;
use super::parameters::{ParameterLayout, Parameters, Slot};
use candle_core::{Result, Tensor};
use candlecast_kernels as kernels;

/// `y = x · weightᵀ + bias`, names `weight` `[outputs, inputs]` and `bias` `[outputs]` behind a prefix.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Slot,
    bias: Slot,
}

impl Linear {
    /// A head whose tensors are named `{prefix}weight` and `{prefix}bias`; first values as PyTorch's.
    pub fn new(inputs: usize, outputs: usize, layout: &mut ParameterLayout, prefix: &str) -> Self {
        let bound = 1.0 / (inputs as f32).sqrt();
        let weight = layout.add(format!("{prefix}weight"), &[outputs, inputs], bound);
        let bias = layout.add(format!("{prefix}bias"), &[outputs], bound);
        Self { weight, bias }
    }

    /// Where the bias lies in the flat buffer: a head starts from a known answer by setting it.
    pub fn bias_range(&self) -> std::ops::Range<usize> {
        self.bias.range()
    }

    /// Where the weight lies in the flat buffer.
    pub fn weight_range(&self) -> std::ops::Range<usize> {
        self.weight.range()
    }

    /// `[…, inputs]` to `[…, outputs]`.
    ///
    /// # Errors
    /// When the last dimension is not `inputs`.
    pub fn forward(&self, parameters: &Parameters, input: &Tensor) -> Result<Tensor> {
        let mut shape = input.dims().to_vec();
        let rows = match input.rank() {
            2 => input.contiguous()?,
            rank => input.flatten_to(rank - 2)?.contiguous()?,
        }; // [rows, inputs]
        let output = if parameters.on_cpu() { self.fused(parameters, &rows)? } else { self.plain(parameters, &rows)? };
        if shape.len() == 2 {
            return Ok(output);
        }
        shape.truncate(input.rank() - 1);
        shape.push(self.bias.len());
        output.reshape(shape)
    }

    /// `[rows, inputs]` to `[rows, outputs]` of plain numbers, with the flat buffer's numbers: for serving.
    pub fn apply(&self, numbers: &[f32], rows: &[f32]) -> Vec<f32> {
        let linear = self.kernel();
        let mut output = vec![0.0; rows.len() / linear.inputs * linear.outputs];
        linear.forward(&numbers[self.weight.range()], &numbers[self.bias.range()], rows, &mut output);
        output
    }

    fn kernel(&self) -> kernels::Linear {
        kernels::Linear::new(self.weight.shape[1], self.weight.shape[0])
    }

    fn fused(&self, parameters: &Parameters, rows: &Tensor) -> Result<Tensor> {
        let op = FusedLinear { linear: self.kernel(), weight: self.weight.clone(), bias: self.bias.clone() };
        rows.apply_op2(parameters.flat(), op)
    }

    fn plain(&self, parameters: &Parameters, rows: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (parameters.slot(&self.weight)?, parameters.slot(&self.bias)?);
        rows.matmul(&weight.t()?)?.broadcast_add(&bias)
    }
}
