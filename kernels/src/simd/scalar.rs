//! Plain Rust: right on every machine, the measure for the others.

use super::Simd;

#[derive(Clone, Copy)]
pub(super) struct Scalar;

impl Simd for Scalar {
    type V = f32;
    const LANES: usize = 1;
    // There to be right, not fast: higher tiles would be compiled for nobody.
    const ROWS: usize = 1;
    const SUMS: usize = 4;

    #[inline(always)]
    unsafe fn splat(x: f32) -> f32 {
        x
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> f32 {
        // SAFETY: the caller has a float there.
        unsafe { *from }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: f32) {
        // SAFETY: the caller has room for a float there.
        unsafe { *to = v }
    }
    #[inline(always)]
    unsafe fn add(a: f32, b: f32) -> f32 {
        a + b
    }
    #[inline(always)]
    unsafe fn sub(a: f32, b: f32) -> f32 {
        a - b
    }
    #[inline(always)]
    unsafe fn mul(a: f32, b: f32) -> f32 {
        a * b
    }
    #[inline(always)]
    unsafe fn div(a: f32, b: f32) -> f32 {
        a / b
    }
    #[inline(always)]
    unsafe fn fma(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
    #[inline(always)]
    unsafe fn sqrt(a: f32) -> f32 {
        a.sqrt()
    }
    #[inline(always)]
    unsafe fn clamp(x: f32, bound: f32) -> f32 {
        x.clamp(-bound, bound)
    }
    #[inline(always)]
    unsafe fn power_of_two(n: f32) -> f32 {
        f32::from_bits(n.to_bits() << 23)
    }
}
