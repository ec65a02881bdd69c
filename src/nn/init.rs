//! First weights and dropout masks, from a generator that can be seeded (Candle's on the CPU cannot).

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The one generator of `nn` and `train`: the same seed gives the same numbers on every machine.
pub type Generator = ChaCha8Rng;

/// A generator that starts from `seed`.
pub fn seeded(seed: u64) -> Generator {
    Generator::seed_from_u64(seed)
}

/// One number, uniform in `[-bound, bound)`, in steps of `bound · 2⁻²³`: 24 bits of one draw, so that
/// the number does not depend on how a library turns bits into floats.
pub(super) fn uniform(generator: &mut Generator, bound: f32) -> f32 {
    let unit = (generator.next_u32() >> 8) as f32 / 8_388_608.0; // [0, 2)
    (unit - 1.0) * bound
}

/// A dropout mask in place: `0` with probability `rate`, else `1 / (1 - rate)`, so that the expected value stays.
pub(super) fn dropout_mask(generator: &mut Generator, rate: f64, len: usize) -> Vec<f32> {
    let threshold = (rate * f64::from(u32::MAX)) as u32;
    let kept = (1.0 / (1.0 - rate)) as f32;
    (0..len).map(|_| if generator.next_u32() < threshold { 0.0 } else { kept }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uniform_fills_its_range_and_repeats_with_the_seed() {
        let draw = |seed| {
            let mut generator = seeded(seed);
            (0..10_000).map(|_| uniform(&mut generator, 0.25)).collect::<Vec<_>>()
        };
        let numbers = draw(1);
        assert_eq!(numbers, draw(1));
        assert_ne!(numbers, draw(2));
        assert!(numbers.iter().all(|x| (-0.25..0.25).contains(x)));
        let mean = numbers.iter().sum::<f32>() / 10_000.0;
        let variance = numbers.iter().map(|x| x * x).sum::<f32>() / 10_000.0;
        assert!(mean.abs() < 0.005 && (variance - 0.0625 / 3.0).abs() < 0.001, "{mean} {variance}");
    }

    #[test]
    fn a_dropout_mask_keeps_the_expected_value() {
        let mask = dropout_mask(&mut seeded(3), 0.3, 100_000);
        let mean = mask.iter().sum::<f32>() / 100_000.0;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!(dropout_mask(&mut seeded(3), 0.0, 100).iter().all(|x| *x == 1.0));
    }
}
