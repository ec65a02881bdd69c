//! AdamW with clipping by the global norm, fused over the flat parameter buffer.

use super::parameters::Parameters;
use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, InplaceOp2, Layout, Result};
use candlecast_kernels::{AdamWStep, Isa, norm};
use std::cell::{Cell, RefCell};

/// How the optimizer steps; the defaults are PyTorch's, with clipping at norm 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Keeps the division finite.
    pub epsilon: f64,
    /// Decoupled weight decay, times the learning rate.
    pub weight_decay: f64,
    /// Gradients with a larger Euclidean norm are scaled down to it; none leaves them as they are.
    pub clip_norm: Option<f64>,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01, clip_norm: Some(1.0) }
    }
}

/// The optimizer's memory for one set of parameters.
///
/// Source: Loshchilov & Hutter (2019), "Decoupled Weight Decay Regularization", arXiv:1711.05101;
/// clipping: Pascanu, Mikolov & Bengio (2013), arXiv:1211.5063, as `torch.nn.utils.clip_grad_norm_`.
#[derive(Debug, Clone)]
pub struct AdamW {
    config: AdamWConfig,
    memory: AdamWMemory,
}

/// What the optimizer remembers between steps; with it another one goes on where this one stood.
#[derive(Debug, Clone, PartialEq)]
pub struct AdamWMemory {
    /// Steps taken.
    pub steps: u32,
    /// Decayed mean of the gradients, one a parameter.
    pub mean: Vec<f32>,
    /// Decayed mean of their squares, one a parameter.
    pub square: Vec<f32>,
}

impl AdamW {
    /// A fresh memory for parameters of this length.
    pub fn new(config: AdamWConfig, parameters: &Parameters) -> Self {
        let len = parameters.layout().len();
        Self::resume(config, AdamWMemory { steps: 0, mean: vec![0.0; len], square: vec![0.0; len] })
    }

    /// Goes on with the memory of an optimizer of the same parameters.
    pub fn resume(config: AdamWConfig, memory: AdamWMemory) -> Self {
        Self { config, memory }
    }

    /// What it remembers.
    pub fn memory(&self) -> &AdamWMemory {
        &self.memory
    }

    /// One step down the gradients; answers their norm before clipping.
    ///
    /// Where that norm is not finite nothing is changed: the caller names the step and gives up.
    ///
    /// # Errors
    /// When no gradient reached the parameters, or the device fails.
    pub fn step(&mut self, parameters: &Parameters, gradients: &GradStore, learning_rate: f64) -> Result<f64> {
        let Some(gradient) = gradients.get(parameters.flat()) else {
            candle_core::bail!("the loss does not depend on the parameters");
        };
        let gradient = gradient.contiguous()?;
        if parameters.flat().device().is_cpu() {
            let update = Update { optimizer: RefCell::new(self), learning_rate, norm: Cell::new(0.0) };
            parameters.flat().inplace_op2(&gradient, &update)?;
            return Ok(update.norm.get());
        }
        let mut numbers = parameters.to_vec()?;
        let norm = self.update(&mut numbers, &gradient.to_vec1()?, learning_rate);
        parameters.set(&numbers)?;
        Ok(norm)
    }

    fn update(&mut self, numbers: &mut [f32], gradient: &[f32], learning_rate: f64) -> f64 {
        let isa = Isa::best();
        let norm = norm(isa, gradient);
        if !norm.is_finite() {
            return norm;
        }
        let AdamWConfig { beta1, beta2, epsilon, weight_decay, clip_norm } = self.config;
        let AdamWMemory { steps, mean, square } = &mut self.memory;
        *steps += 1;
        let steps = f64::from(*steps);
        let step = AdamWStep {
            scale: clip_norm.map_or(1.0, |limit| (limit / (norm + 1e-6)).min(1.0)) as f32,
            betas: (beta1 as f32, beta2 as f32),
            complements: ((1.0 - beta1) as f32, (1.0 - beta2) as f32),
            keep: (1.0 - learning_rate * weight_decay) as f32,
            rate: (learning_rate / (1.0 - beta1.powf(steps))) as f32,
            correction: (1.0 - beta2.powf(steps)).sqrt().recip() as f32,
            epsilon: epsilon as f32,
        };
        step.apply(isa, numbers, gradient, mean, square);
        norm
    }
}

/// The update as an in-place operation on the parameters' own memory.
struct Update<'a> {
    optimizer: RefCell<&'a mut AdamW>,
    learning_rate: f64,
    norm: Cell<f64>,
}

impl InplaceOp2 for Update<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, flat: &mut CpuStorage, layout: &Layout, by: &CpuStorage, by_layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(flat), Some((start, end))) = (flat, layout.contiguous_offsets()) else {
            candle_core::bail!("parameters are one stretch of 32-bit floats");
        };
        let Some((from, to)) = by_layout.contiguous_offsets() else {
            candle_core::bail!("the gradient is one stretch");
        };
        let gradient = &by.as_slice::<f32>()?[from..to];
        let norm = self.optimizer.borrow_mut().update(&mut flat[start..end], gradient, self.learning_rate);
        self.norm.set(norm);
        Ok(())
    }
}
