//! The head: one affine map, PyTorch's `nn.Linear`; and products with matrices that are not learned.

use super::fused::{FusedLinear, FusedProduct};
use super::parameters::{ParameterLayout, Parameters, Slot};
use candle_core::{Result, Tensor};
use candlecast_kernels as kernels;
use std::sync::Arc;

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

/// A matrix that is not learned: rows are multiplied by it, and gradients flow through to them.
///
/// Candle's own product asks the system for the number of processors each time (a read of `/proc/cpuinfo`), which
/// costs more than a small product, and its bits depend on the processor.
#[derive(Debug, Clone)]
pub struct FixedMatrix {
    /// `[outputs, inputs]`
    weight: Arc<[f32]>,
    /// `[inputs, outputs]`
    transposed: Arc<[f32]>,
    inputs: usize,
}

impl FixedMatrix {
    /// Of `numbers` `[inputs, outputs]`, row after row.
    ///
    /// # Panics
    /// When the numbers are no whole number of rows.
    pub fn new(numbers: Vec<f32>, inputs: usize) -> Self {
        let outputs = numbers.len() / inputs;
        assert_eq!(numbers.len(), inputs * outputs, "a matrix of {inputs} rows");
        let weight = (0..outputs).flat_map(|output| numbers.iter().skip(output).step_by(outputs).copied()).collect();
        Self { weight, transposed: numbers.into(), inputs }
    }

    /// `rows` `[rows, inputs]` to `[rows, outputs]`.
    ///
    /// # Errors
    /// When the rows are not `inputs` wide.
    pub fn apply(&self, rows: &Tensor) -> Result<Tensor> {
        let rows = rows.contiguous()?; // CUDA multiplies no narrowed view
        if !rows.device().is_cpu() {
            let outputs = self.weight.len() / self.inputs;
            let matrix = Tensor::from_slice(&self.transposed, (self.inputs, outputs), rows.device())?;
            return rows.matmul(&matrix);
        }
        let linear = kernels::Linear::new(self.inputs, self.weight.len() / self.inputs);
        let (weight, transposed) = (Arc::clone(&self.weight), Arc::clone(&self.transposed));
        rows.apply_op1(FusedProduct { weight, transposed, linear })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn a_fixed_matrix_is_candles_product_forward_and_backward() {
        let numbers: Vec<f32> = (0..5 * 18).map(|idx| (idx as f32 * 0.7).sin()).collect();
        let rows: Vec<f32> = (0..7 * 5).map(|idx| (idx as f32 * 0.3).cos()).collect();
        let rows = Var::from_vec(rows, (7, 5), &Device::Cpu).expect("cpu");
        let plain = Tensor::from_slice(&numbers, (5, 18), &Device::Cpu).expect("cpu");
        let both = [FixedMatrix::new(numbers, 5).apply(&rows), rows.matmul(&plain)].map(|y| {
            let y = y.expect("shapes agree");
            let gradients = y.sqr().and_then(|squares| squares.sum_all()?.backward()).expect("backward");
            let slope = gradients.get(&rows).expect("reached").flatten_all().expect("view");
            [y.flatten_all().expect("view"), slope].map(|numbers| numbers.to_vec1::<f32>().expect("f32"))
        });
        for (fixed, plain) in both[0].iter().flatten().zip(both[1].iter().flatten()) {
            assert!((fixed - plain).abs() < 1e-5, "{fixed} is not {plain}");
        }
        assert!(FixedMatrix::new(vec![1.0; 6], 3).apply(&rows).is_err());
    }
}
