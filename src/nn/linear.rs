//! The head: one affine map, PyTorch's `nn.Linear`.

use super::parameters::{ParameterLayout, Parameters, Slot};
use candle_core::{Result, Tensor};

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
        self.bias.start..self.bias.start + self.bias.len()
    }

    /// Where the weight lies in the flat buffer.
    pub fn weight_range(&self) -> std::ops::Range<usize> {
        self.weight.start..self.weight.start + self.weight.len()
    }

    /// `[…, inputs]` to `[…, outputs]`.
    ///
    /// # Errors
    /// When the last dimension is not `inputs`.
    pub fn forward(&self, parameters: &Parameters, input: &Tensor) -> Result<Tensor> {
        let (weight, bias) = (parameters.slot(&self.weight)?, parameters.slot(&self.bias)?);
        let flat = input.flatten_to(input.rank() - 2)?; // [rows, inputs]
        let output = flat.matmul(&weight.t()?)?.broadcast_add(&bias)?; // [rows, outputs]
        let mut shape = input.dims().to_vec();
        shape[input.rank() - 1] = self.bias.len();
        output.reshape(shape)
    }
}
