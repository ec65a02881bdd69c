//! 256-bit registers with fused multiply-add (Intel since Haswell, AMD since Zen).

use super::{Job, Simd};
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(super) struct Avx2;

/// Does the job with the instruction set switched on.
///
/// # Safety
/// The processor has `avx2,fma`.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn run(job: impl Job) {
    // SAFETY: the caller's promise.
    unsafe { job.run::<Avx2>() }
}

// SAFETY of each block below: callers of `Simd` promise the instruction set, and `LANES` floats behind pointers.
impl Simd for Avx2 {
    /// A block in two registers: twelve sums of six rows fill the sixteen that there are, and weights are read in whole
    /// lines of the cache.
    type V = [__m256; 2];
    const LANES: usize = 16;
    const ROWS: usize = 6;
    const SUMS: usize = 6;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_set1_ps(x); 2] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_loadu_ps(from), _mm256_loadu_ps(from.add(8))] }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: see above.
        unsafe {
            _mm256_storeu_ps(to, v[0]);
            _mm256_storeu_ps(to.add(8), v[1]);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_sub_ps(a[0], b[0]), _mm256_sub_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_mul_ps(a[0], b[0]), _mm256_mul_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_div_ps(a[0], b[0]), _mm256_div_ps(a[1], b[1])] }
    }
    #[inline(always)]
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_fmadd_ps(a[0], b[0], c[0]), _mm256_fmadd_ps(a[1], b[1], c[1])] }
    }
    #[inline(always)]
    unsafe fn sqrt(a: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [_mm256_sqrt_ps(a[0]), _mm256_sqrt_ps(a[1])] }
    }
    #[inline(always)]
    unsafe fn clamp(x: Self::V, bound: f32) -> Self::V {
        // SAFETY: see above. Of a NaN and a number these instructions answer their second operand.
        unsafe {
            let (low, high) = (_mm256_set1_ps(-bound), _mm256_set1_ps(bound));
            [_mm256_min_ps(high, _mm256_max_ps(low, x[0])), _mm256_min_ps(high, _mm256_max_ps(low, x[1]))]
        }
    }
    #[inline(always)]
    unsafe fn power_of_two(n: Self::V) -> Self::V {
        // SAFETY: see above.
        unsafe { [power_of_two(n[0]), power_of_two(n[1])] }
    }
}

/// See [`Simd::power_of_two`].
///
/// # Safety
/// The processor has `avx2`.
#[inline(always)]
unsafe fn power_of_two(n: __m256) -> __m256 {
    // SAFETY: the caller's promise.
    unsafe {
        let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(n));
        _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_set1_epi32(0x3f80_0000)))
    }
}
