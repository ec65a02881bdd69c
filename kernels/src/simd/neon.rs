//! 128-bit vectors, on every 64-bit ARM.

use super::{Job, Simd};
use std::arch::aarch64::*;

#[derive(Clone, Copy)]
pub(super) struct Neon;

/// Does the job with the instruction set switched on.
///
/// # Safety
/// The processor has `neon`.
#[target_feature(enable = "neon")]
pub(super) unsafe fn run(job: impl Job) {
    // SAFETY: the caller's promise.
    unsafe { job.run::<Neon>() }
}

// SAFETY of each block below: callers of `Simd` promise the instruction set, and `LANES` floats behind pointers.
impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = 4;
    const ROWS: usize = 6;
    const SUMS: usize = 24;

    #[inline(always)]
    unsafe fn splat(x: f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: float32x4_t) {
        // SAFETY: see above.
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn add(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: float32x4_t, b: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn sqrt(a: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vsqrtq_f32(a) }
    }
    #[inline(always)]
    unsafe fn clamp(x: float32x4_t, bound: f32) -> float32x4_t {
        // SAFETY: see above. These instructions answer NaN when either operand is.
        unsafe { vminq_f32(vmaxq_f32(x, vdupq_n_f32(-bound)), vdupq_n_f32(bound)) }
    }
    #[inline(always)]
    unsafe fn power_of_two(n: float32x4_t) -> float32x4_t {
        // SAFETY: see above.
        unsafe { vreinterpretq_f32_s32(vshlq_n_s32::<23>(vreinterpretq_s32_f32(n))) }
    }
}
