//! The two squashing functions, accurate to about one unit in the last place of a float.
//!
//! Both rest on `eˣ - 1 = 2ⁿ (eʳ - 1) + (2ⁿ - 1)` with `x = n ln 2 + r`, `|r| ≤ ½ ln 2`, where a
//! polynomial serves for `eʳ - 1`: it keeps its digits near zero, where `eˣ - 1` would lose them.
//! Coefficients: Moshier, Cephes `expf`. Cody & Waite's split keeps `r` exact.

use crate::simd::Simd;

/// Adding this to a float rounds it to an integer and leaves that integer in the lowest bits.
const ROUNDER: f32 = 12_582_912.0; // 1.5 · 2²³
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
const POLYNOMIAL: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];

/// `(2ⁿ, eʳ - 1)` of `x`, `|x| ≤ 87`.
#[inline(always)]
unsafe fn split<S: Simd>(x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller has the instruction set of `S`.
    unsafe {
        let rounded = S::fma(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUNDER));
        let n = S::sub(rounded, S::splat(ROUNDER));
        let r = S::fma(n, S::splat(-LN_2_HIGH), x);
        let r = S::fma(n, S::splat(-LN_2_LOW), r);
        let mut p = S::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            p = S::fma(p, r, S::splat(*coefficient));
        }
        (S::power_of_two(rounded), S::fma(p, S::mul(r, r), r))
    }
}

/// `1 / (1 + e⁻ˣ)`
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller's promise. Past ±87 the result is 0 or 1 to the last bit that a sum could feel.
    unsafe {
        let (scale, p) = split::<S>(S::clamp(S::sub(S::splat(0.0), x), 87.0));
        S::div(S::splat(1.0), S::add(S::fma(scale, p, scale), S::splat(1.0)))
    }
}

/// `(e²ˣ - 1) / (e²ˣ + 1)`
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller's promise. At ±9.02 the result is within a quarter of a last place of ±1.
    unsafe {
        let x = S::clamp(x, 9.02);
        let (scale, p) = split::<S>(S::add(x, x));
        let expm1 = S::fma(scale, p, S::sub(scale, S::splat(1.0)));
        S::div(expm1, S::add(expm1, S::splat(2.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Job, run};

    struct Both<'a>(&'a [f32], &'a mut [f32], &'a mut [f32]);

    impl Job for Both<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            for idx in (0..self.0.len()).step_by(S::LANES) {
                // SAFETY: the lengths are multiples of every vector's.
                unsafe {
                    let x = S::load(self.0.as_ptr().add(idx));
                    S::store(self.1.as_mut_ptr().add(idx), sigmoid::<S>(x));
                    S::store(self.2.as_mut_ptr().add(idx), tanh::<S>(x));
                }
            }
        }
    }

    fn both(isa: Isa, x: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let (mut s, mut t) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        run(isa, Both(x, &mut s, &mut t));
        (s, t)
    }

    #[test]
    fn they_are_right_to_a_few_last_places_and_equal_on_every_instruction_set() {
        let near = (0..80_000).map(|idx| (idx as f32 - 40_000.0) * 5e-4);
        let tiny = (0..160).map(|idx| 10f32.powf(-f32::from(idx as u8) / 5.0));
        let x: Vec<f32> = near.chain(tiny).collect();
        let (sigmoids, tanhs) = both(Isa::Scalar, &x);
        for (x, (s, t)) in x.iter().zip(sigmoids.iter().zip(&tanhs)) {
            let wide = f64::from(*x);
            let (sigmoid, tanh) = (1.0 / (1.0 + (-wide).exp()), wide.tanh());
            assert!((f64::from(*s) - sigmoid).abs() <= 3e-7 * sigmoid, "sigmoid({x}) = {s}, not {sigmoid}");
            assert!((f64::from(*t) - tanh).abs() <= 3e-7 * tanh.abs(), "tanh({x}) = {t}, not {tanh}");
        }
        for isa in Isa::available() {
            assert!(both(isa, &x) == (sigmoids.clone(), tanhs.clone()), "{isa:?} differs");
        }
    }

    #[test]
    fn they_saturate_and_let_a_nan_through() {
        let mut x = [0.0; 16];
        x[..5].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, f32::NAN]);
        for isa in Isa::available() {
            let (s, t) = both(isa, &x);
            assert!(s[0] == 1.0 && s[1] < 1e-37 && s[2] == 1.0 && s[3] < 1e-37 && s[4].is_nan(), "{isa:?} {s:?}");
            assert!(t[0] == 1.0 && t[1] == -1.0 && t[4].is_nan() && t[5] == 0.0, "{isa:?} {t:?}");
        }
    }
}
