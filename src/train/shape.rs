//! Quantiles that cannot cross: a base shape, moved, widened, tilted and given other tails.

use candle_core::{Device, Result, Tensor};

use crate::nn::FixedMatrix;

/// Numbers by which a network changes the base's quantiles of one step: move, log width, tilt, tails.
pub(super) const CORRECTIONS: usize = 4;

/// The base's quantiles as tensors, with what each correction does to the stretches between them.
///
/// A stretch between neighboring quantiles is the base's times an exponential, so it never turns negative, and
/// corrections of 0 leave the base as it is. Four numbers a step instead of one a level: a ticker has a few
/// thousand returns, and single levels would learn their noise.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    /// `[steps, 1]`
    middle: Tensor,
    /// `[steps, levels − 1]`
    stretches: Tensor,
    /// `[CORRECTIONS − 1, levels − 1]`: log width, tilt, tails
    effects: FixedMatrix,
    /// `[levels − 1, levels]`: sums of stretches from the middle outward
    ladder: FixedMatrix,
}

/// A move learns this many times as fast as widths do: what widths could learn is mostly known to the volatility
/// forecast under them, and is noise if learned as fast as an autocorrelation needs to be found in a dozen epochs.
const PACE_OF_MOVES: f64 = 8.0;

/// Bounds each stretch to e^±1 of the base's: beyond, a network is wrong rather than clever.
const REACH: f64 = 1.0;

impl Shape {
    /// * `quantiles` `[step][level]`, not descending
    /// * `middle` position of level 0.5
    pub(super) fn new(quantiles: &[Vec<f64>], middle: usize, device: &Device) -> Result<Self> {
        let (n_steps, n_levels) = (quantiles.len(), quantiles[0].len());
        let centers: Vec<f32> = quantiles.iter().map(|step| step[middle] as f32).collect();
        let stretches: Vec<f32> =
            quantiles.iter().flat_map(|step| step.windows(2).map(|pair| (pair[1] - pair[0]) as f32)).collect();
        let n_stretches = n_levels - 1;
        // Where a stretch lies: −1 at the lowest, 1 at the highest.
        let place = |idx: usize| match idx < middle {
            true => (idx as f32 + 0.5 - middle as f32) / middle as f32,
            false => (idx as f32 + 0.5 - middle as f32) / (n_stretches - middle) as f32,
        };
        let mut effects = vec![1.0_f32; n_stretches];
        effects.extend((0..n_stretches).map(|idx| place(idx).signum()));
        effects.extend((0..n_stretches).map(|idx| 2.0 * place(idx).abs() - 1.0));
        let mut ladder = vec![0.0_f32; n_stretches * n_levels];
        for stretch in 0..n_stretches {
            for level in 0..n_levels {
                ladder[stretch * n_levels + level] = match () {
                    () if stretch >= middle && level > stretch => 1.0,
                    () if stretch < middle && level <= stretch => -1.0,
                    () => 0.0,
                };
            }
        }
        Ok(Self {
            middle: Tensor::from_vec(centers, (n_steps, 1), device)?,
            stretches: Tensor::from_vec(stretches, (n_steps, n_stretches), device)?,
            effects: FixedMatrix::new(effects, CORRECTIONS - 1),
            ladder: FixedMatrix::new(ladder, n_stretches),
        })
    }

    /// `corrections` `[rows, steps, CORRECTIONS]` to quantiles `[rows, steps, levels]`.
    pub(super) fn quantiles(&self, corrections: &Tensor) -> Result<Tensor> {
        let (rows, n_steps, width) = corrections.dims3()?;
        let flat = corrections.reshape((rows * n_steps, width))?;
        let moved = (flat.narrow(1, 0, 1)?.reshape((rows, n_steps, 1))? * PACE_OF_MOVES)?; // [rows, steps, 1]
        let log = self.effects.apply(&flat.narrow(1, 1, width - 1)?)?; // [rows · steps, stretches]
        let factors = (log.tanh()? * REACH)?.exp()?.reshape((rows, n_steps, ()))?;
        let stretches = factors.broadcast_mul(&self.stretches)?; // [rows, steps, stretches]
        let n_stretches = stretches.dim(2)?;
        let offsets = self.ladder.apply(&stretches.reshape((rows * n_steps, n_stretches))?)?;
        let offsets = offsets.reshape((rows, n_steps, ()))?; // [rows, steps, levels]
        offsets.broadcast_add(&moved.broadcast_add(&self.middle)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_correction_gives_the_base_and_any_correction_an_order() {
        let base = vec![vec![-2.0, -0.5, 0.1, 0.4, 1.0, 3.0], vec![-4.0, -1.0, 0.0, 0.0, 1.0, 2.0]];
        let shape = Shape::new(&base, 2, &Device::Cpu).expect("cpu");
        let none = Tensor::zeros((1, 2, CORRECTIONS), candle_core::DType::F32, &Device::Cpu).expect("cpu");
        let same = shape.quantiles(&none).and_then(|q| q.squeeze(0)?.to_vec2::<f32>()).expect("cpu");
        for (found, wanted) in same.iter().flatten().zip(base.iter().flatten()) {
            assert!((f64::from(*found) - wanted).abs() < 1e-6, "{same:?}");
        }
        let wild: Vec<f32> = (0..8).map(|idx| (idx as f32 * 37.0).sin() * 20.0).collect();
        let wild = Tensor::from_vec(wild, (1, 2, CORRECTIONS), &Device::Cpu).expect("cpu");
        let moved = shape.quantiles(&wild).and_then(|q| q.squeeze(0)?.to_vec2::<f32>()).expect("cpu");
        assert!(moved.iter().all(|step| step.windows(2).all(|pair| pair[0] <= pair[1])), "{moved:?}");
    }
}
