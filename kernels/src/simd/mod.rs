//! One vector interface over the instruction sets, chosen when the program runs.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
mod wide;

pub(crate) use wide::Wide;

/// Units come in blocks of this many, whatever the vector width: packed layouts and the order of sums
/// are then the same on every machine.
pub(crate) const BLOCK: usize = 16;

/// A vector of `LANES` floats and what the kernels do with it. `LANES` divides [`BLOCK`].
///
/// # Safety
/// Every method needs a processor that has the instruction set; pointers need `LANES` floats behind them.
/// Callers get there through [`run`], which asks the processor first.
pub(crate) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// Floats in it.
    const LANES: usize;
    /// Rows of a tile at most.
    const ROWS: usize;
    /// How many sums the registers hold beside what they are made of; not fewer than [`ROWS`](Self::ROWS).
    const SUMS: usize;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Reads `LANES` floats.
    unsafe fn load(from: *const f32) -> Self::V;
    /// Writes `LANES` floats.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// `a + b`
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b`
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// `a / b`
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a · b + c`, rounded once.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `√a`
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// The value nearest `x` in `[-bound, bound]`; a NaN stays one.
    unsafe fn clamp(x: Self::V, bound: f32) -> Self::V;
    /// `2ⁿ` for a float whose lowest mantissa bits hold `n + 127`, `|n| ≤ 126`.
    unsafe fn power_of_two(n: Self::V) -> Self::V;
}

/// An instruction set that the kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust, on every machine.
    Scalar,
    /// 256-bit vectors with fused multiply-add.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// 512-bit vectors.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// 128-bit vectors, on every 64-bit ARM.
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Isa {
    /// Those this processor has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut sets = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                sets.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                sets.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Self::Neon);
        sets.push(Self::Scalar);
        sets
    }

    /// The fastest this processor has.
    pub fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        #[cfg(target_arch = "aarch64")]
        return Self::Neon;
        #[cfg(not(target_arch = "aarch64"))]
        Self::Scalar
    }

    fn is_here(self) -> bool {
        self == Self::best() || Self::available().contains(&self)
    }
}

/// Work that is written once for every instruction set.
pub(crate) trait Job {
    /// Does it. Implementations are `#[inline(always)]`, so that they compile inside the function that has
    /// the instruction set switched on.
    ///
    /// # Safety
    /// The processor has the instruction set of `S`.
    unsafe fn run<S: Simd>(self);
}

/// Does the job with `isa`.
///
/// # Panics
/// When this processor does not have it.
pub(crate) fn run(isa: Isa, job: impl Job) {
    assert!(isa.is_here(), "this processor has no {isa:?}");
    // SAFETY: the processor has the instruction set, as just asserted.
    unsafe {
        match isa {
            Isa::Scalar => job.run::<scalar::Scalar>(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => avx2::run(job),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => avx512::run(job),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => neon::run(job),
        }
    }
}
