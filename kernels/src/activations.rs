//! The two squashing functions, accurate to a few units in the last place of a float.
//!
//! Both rest on `eˣ - 1 = 2ⁿ (eʳ - 1) + (2ⁿ - 1)` with `x = n ln 2 + r`, `|r| ≤ ½ ln 2`, where a
//! polynomial serves for `eʳ - 1`: it keeps its digits near zero, where `eˣ - 1` would lose them.
//!
//! Both are fractions, and a division costs as much as ten other operations: two fractions are had by one,
//! `1 / a = b · (1 / ab)`.

use crate::simd::Simd;

/// Adding this to a float rounds it to an integer `n` and leaves `n + 127`, the exponent's form of it, in the lowest bits.
const ROUNDER: f32 = 12_582_912.0 + 127.0; // 1.5 · 2²³ + 127
/// `(eʳ - 1 - r) / r²`, from the fourth power on down. The largest relative error of `eʳ - 1` is 1.4e-8, the least that
/// five coefficients can have (Lawson's algorithm, then a search among neighbouring floats).
const POLYNOMIAL: [f32; 5] = [1.388_251e-3, 8.366_58e-3, 4.166_732_4e-2, 0.166_665_43, 0.499_999_97];

/// `(2ⁿ, eʳ - 1)` of `x`, `|x| ≤ 87`.
#[inline(always)]
unsafe fn split<S: Simd>(x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller has the instruction set of `S`.
    unsafe {
        let rounded = S::fma(x, S::splat(std::f32::consts::LOG2_E), S::splat(ROUNDER));
        let n = S::sub(rounded, S::splat(ROUNDER));
        let r = S::fma(n, S::splat(-std::f32::consts::LN_2), x);
        let mut p = S::splat(POLYNOMIAL[0]);
        for coefficient in &POLYNOMIAL[1..] {
            p = S::fma(p, r, S::splat(*coefficient));
        }
        (S::power_of_two(rounded), S::fma(p, S::mul(r, r), r))
    }
}

/// `1 + e⁻ˣ`, below a sigmoid's 1.
#[inline(always)]
unsafe fn below_sigmoid<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller has the instruction set of `S`. Past ±43 the sigmoid is 0 or 1 to the last bit that a sum could
    // feel, and the product of two of these is still a float.
    unsafe {
        let (scale, p) = split::<S>(S::clamp(S::sub(S::splat(0.0), x), 43.0));
        S::fma(scale, p, S::add(scale, S::splat(1.0)))
    }
}

/// `(e²ˣ - 1, e²ˣ + 1)`, a tanh's fraction.
#[inline(always)]
unsafe fn tanh_fraction<S: Simd>(x: S::V) -> (S::V, S::V) {
    // SAFETY: the caller has the instruction set of `S`. At ±9.02 the tanh is within a quarter of a last place of ±1.
    unsafe {
        let x = S::clamp(x, 9.02);
        let (scale, p) = split::<S>(S::add(x, x));
        let expm1 = S::fma(scale, p, S::sub(scale, S::splat(1.0)));
        (expm1, S::add(expm1, S::splat(2.0)))
    }
}

/// `1 / a` and `1 / b`, by one division.
#[inline(always)]
unsafe fn reciprocals<S: Simd>(a: S::V, b: S::V) -> [S::V; 2] {
    // SAFETY: the caller has the instruction set of `S`.
    unsafe {
        let both = S::div(S::splat(1.0), S::mul(a, b));
        [S::mul(both, b), S::mul(both, a)]
    }
}

/// `1 / (1 + e⁻ᵃ)` and `1 / (1 + e⁻ᵇ)`
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoids<S: Simd>(a: S::V, b: S::V) -> [S::V; 2] {
    // SAFETY: the caller's promise.
    unsafe { reciprocals::<S>(below_sigmoid::<S>(a), below_sigmoid::<S>(b)) }
}

/// The sigmoid of `a` and the tanh of `b`.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn sigmoid_and_tanh<S: Simd>(a: S::V, b: S::V) -> [S::V; 2] {
    // SAFETY: the caller's promise.
    unsafe {
        let (above, below) = tanh_fraction::<S>(b);
        let [sigmoid, below] = reciprocals::<S>(below_sigmoid::<S>(a), below);
        [sigmoid, S::mul(above, below)]
    }
}

/// `(e²ˣ - 1) / (e²ˣ + 1)`
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn tanh<S: Simd>(x: S::V) -> S::V {
    // SAFETY: the caller's promise.
    unsafe {
        let (above, below) = tanh_fraction::<S>(x);
        S::div(above, below)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simd::{Isa, Job, run};

    /// Two sigmoids, then two tanhs: alone, and by one division with another.
    struct All<'a>(&'a [f32], [&'a mut [f32]; 4]);

    impl Job for All<'_> {
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            let [a, b, c, d] = self.1.map(|to| to.as_mut_ptr());
            for idx in (0..self.0.len()).step_by(S::LANES) {
                // SAFETY: the lengths are multiples of every vector's.
                unsafe {
                    let x = S::load(self.0.as_ptr().add(idx));
                    S::store(a.add(idx), sigmoids::<S>(x, S::sub(S::splat(0.0), x))[0]);
                    let [sigmoid, beside] = sigmoid_and_tanh::<S>(x, x);
                    S::store(b.add(idx), sigmoid);
                    S::store(c.add(idx), beside);
                    S::store(d.add(idx), tanh::<S>(x));
                }
            }
        }
    }

    fn all(isa: Isa, x: &[f32]) -> [Vec<f32>; 4] {
        let mut to = [const { Vec::new() }; 4].map(|_: Vec<f32>| vec![0.0; x.len()]);
        run(isa, All(x, to.each_mut().map(Vec::as_mut_slice)));
        to
    }

    #[test]
    fn they_are_right_to_a_few_last_places_and_equal_on_every_instruction_set() {
        let near = (0..80_000).map(|idx| (idx as f32 - 40_000.0) * 5e-4);
        let tiny = (0..160).map(|idx| 10f32.powf(-f32::from(idx as u8) / 5.0));
        let x: Vec<f32> = near.chain(tiny).collect();
        let plain = all(Isa::Scalar, &x);
        for (idx, x) in x.iter().enumerate() {
            let wide = f64::from(*x);
            let (sigmoid, tanh) = (1.0 / (1.0 + (-wide).exp()), wide.tanh());
            for (given, right) in plain.iter().map(|given| f64::from(given[idx])).zip([sigmoid, sigmoid, tanh, tanh]) {
                assert!((given - right).abs() <= 3e-7 * right.abs(), "of {x}: {given}, not {right}");
            }
        }
        for isa in Isa::available() {
            assert!(all(isa, &x) == plain, "{isa:?} differs");
        }
    }

    #[test]
    fn they_saturate_and_let_a_nan_through() {
        let mut x = [0.0; 16];
        x[..5].copy_from_slice(&[f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30, f32::NAN]);
        for isa in Isa::available() {
            let [a, b, c, d] = all(isa, &x);
            // e⁻⁴³ is 2e-19: nothing beside any number that a gate is multiplied with or subtracted from.
            for s in [a, b] {
                assert!(s[0] == 1.0 && s[1] < 3e-19 && s[2] == 1.0 && s[3] < 3e-19 && s[4].is_nan(), "{isa:?} {s:?}");
            }
            for t in [c, d] {
                assert!((t[0] - 1.0).abs() < 1.3e-7 && (t[1] + 1.0).abs() < 1.3e-7, "{isa:?} {t:?}");
                assert!(t[4].is_nan() && t[5] == 0.0, "{isa:?} {t:?}");
            }
        }
    }
}
