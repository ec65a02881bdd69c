//! Several vectors that are worked on in turn: while one waits for its last result, the processor has another to do.

use super::Simd;
use std::marker::PhantomData;

/// `N` vectors of `S` as one.
#[derive(Clone, Copy)]
pub(crate) struct Wide<S, const N: usize>(PhantomData<S>);

impl<S: Simd, const N: usize> Wide<S, N> {
    /// Reads vectors that lie `apart`.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`, and the vectors are there.
    #[inline(always)]
    pub(crate) unsafe fn gather(from: *const f32, apart: usize) -> [S::V; N] {
        // SAFETY: the caller's promise.
        unsafe {
            let mut all = [S::splat(0.0); N];
            for (n, v) in all.iter_mut().enumerate() {
                *v = S::load(from.add(n * apart));
            }
            all
        }
    }

    /// Writes what [`gather`](Self::gather) reads.
    ///
    /// # Safety
    /// As [`gather`](Self::gather).
    #[inline(always)]
    pub(crate) unsafe fn scatter(to: *mut f32, apart: usize, all: &[S::V; N]) {
        for (n, v) in all.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { S::store(to.add(n * apart), *v) };
        }
    }
}

// SAFETY of each block below: callers of `Simd` promise the instruction set of `S`, and `LANES` floats behind pointers.
// Plain loops and no zipped arrays, whose iterators compile without the instruction set around them.
impl<S: Simd, const N: usize> Simd for Wide<S, N> {
    type V = [S::V; N];
    const LANES: usize = N * S::LANES;
    const ROWS: usize = S::ROWS;
    const SUMS: usize = S::SUMS / N;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        // SAFETY: see above.
        unsafe { [S::splat(x); N] }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: see above.
        unsafe { Self::gather(from, S::LANES) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, all: Self::V) {
        // SAFETY: see above.
        unsafe { Self::scatter(to, S::LANES, &all) };
    }
    #[inline(always)]
    unsafe fn add(mut a: Self::V, b: Self::V) -> Self::V {
        for n in 0..N {
            // SAFETY: see above.
            a[n] = unsafe { S::add(a[n], b[n]) };
        }
        a
    }
    #[inline(always)]
    unsafe fn sub(mut a: Self::V, b: Self::V) -> Self::V {
        for n in 0..N {
            // SAFETY: see above.
            a[n] = unsafe { S::sub(a[n], b[n]) };
        }
        a
    }
    #[inline(always)]
    unsafe fn mul(mut a: Self::V, b: Self::V) -> Self::V {
        for n in 0..N {
            // SAFETY: see above.
            a[n] = unsafe { S::mul(a[n], b[n]) };
        }
        a
    }
    #[inline(always)]
    unsafe fn div(mut a: Self::V, b: Self::V) -> Self::V {
        for n in 0..N {
            // SAFETY: see above.
            a[n] = unsafe { S::div(a[n], b[n]) };
        }
        a
    }
    #[inline(always)]
    unsafe fn fma(mut a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        for n in 0..N {
            // SAFETY: see above.
            a[n] = unsafe { S::fma(a[n], b[n], c[n]) };
        }
        a
    }
    #[inline(always)]
    unsafe fn sqrt(mut a: Self::V) -> Self::V {
        for a in &mut a {
            // SAFETY: see above.
            *a = unsafe { S::sqrt(*a) };
        }
        a
    }
    #[inline(always)]
    unsafe fn clamp(mut x: Self::V, bound: f32) -> Self::V {
        for x in &mut x {
            // SAFETY: see above.
            *x = unsafe { S::clamp(*x, bound) };
        }
        x
    }
    #[inline(always)]
    unsafe fn power_of_two(mut x: Self::V) -> Self::V {
        for x in &mut x {
            // SAFETY: see above.
            *x = unsafe { S::power_of_two(*x) };
        }
        x
    }
}
