//! The optimizer over one flat buffer.

use crate::simd::{BLOCK, Isa, Job, Simd, run};

/// One step of AdamW, as five numbers worked out once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWStep {
    /// Gradients are multiplied by this first: clipping.
    pub scale: f32,
    /// Decay of the mean of gradients and of their squares.
    pub betas: (f32, f32),
    /// `1 - β` of both, worked out in double precision.
    pub complements: (f32, f32),
    /// `1 - learning rate · weight decay`
    pub keep: f32,
    /// `learning rate / (1 - β₁ᵗ)`
    pub rate: f32,
    /// `1 / √(1 - β₂ᵗ)`
    pub correction: f32,
    /// Keeps the division finite.
    pub epsilon: f32,
}

impl AdamWStep {
    /// Moves `numbers` down `gradient`, updating both moments.
    ///
    /// # Panics
    /// When the four slices differ in length.
    pub fn apply(&self, isa: Isa, numbers: &mut [f32], gradient: &[f32], mean: &mut [f32], square: &mut [f32]) {
        let len = numbers.len();
        assert_eq!([gradient.len(), mean.len(), square.len()], [len; 3], "optimizer slices");
        let whole = len - len % BLOCK;
        let (numbers, last_numbers) = numbers.split_at_mut(whole);
        let (gradient, last_gradient) = gradient.split_at(whole);
        let (mean, last_mean) = mean.split_at_mut(whole);
        let (square, last_square) = square.split_at_mut(whole);
        run(isa, Update { step: *self, numbers, gradient, mean, square });

        let mut tail = [[0.0; BLOCK]; 4];
        let last = len % BLOCK;
        let sources: [&[f32]; 4] = [last_numbers, last_gradient, last_mean, last_square];
        tail.iter_mut().zip(sources).for_each(|(to, from)| to[..last].copy_from_slice(from));
        let [numbers, gradient, mean, square] = &mut tail;
        run(isa, Update { step: *self, numbers, gradient, mean, square });
        last_numbers.copy_from_slice(&tail[0][..last]);
        last_mean.copy_from_slice(&tail[2][..last]);
        last_square.copy_from_slice(&tail[3][..last]);
    }
}

/// All slices equally long, in whole blocks.
struct Update<'a> {
    step: AdamWStep,
    numbers: &'a mut [f32],
    gradient: &'a [f32],
    mean: &'a mut [f32],
    square: &'a mut [f32],
}

impl Job for Update<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let AdamWStep { scale, betas, complements, keep, rate, correction, epsilon } = self.step;
        for at in (0..self.numbers.len()).step_by(S::LANES) {
            // SAFETY: all slices have this length, a multiple of every vector's; the caller promises the
            // instruction set.
            unsafe {
                let number = self.numbers.as_mut_ptr().add(at);
                let (mean, square) = (self.mean.as_mut_ptr().add(at), self.square.as_mut_ptr().add(at));
                let g = S::mul(S::load(self.gradient.as_ptr().add(at)), S::splat(scale));
                let m = S::load(mean);
                let m = S::fma(S::splat(complements.0), S::sub(g, m), m);
                let s = S::mul(S::load(square), S::splat(betas.1));
                let s = S::fma(S::splat(complements.1), S::mul(g, g), s);
                let divisor = S::fma(S::sqrt(s), S::splat(correction), S::splat(epsilon));
                let kept = S::mul(S::load(number), S::splat(keep));
                S::store(mean, m);
                S::store(square, s);
                S::store(number, S::sub(kept, S::div(S::mul(S::splat(rate), m), divisor)));
            }
        }
    }
}

/// The Euclidean norm: sixteen partial sums of floats, added up in double precision.
pub fn norm(isa: Isa, numbers: &[f32]) -> f64 {
    let mut sums = [0.0; BLOCK];
    let (whole, last) = numbers.split_at(numbers.len() - numbers.len() % BLOCK);
    run(isa, Squares(whole, &mut sums));
    let mut tail = [0.0; BLOCK];
    tail[..last.len()].copy_from_slice(last);
    run(isa, Squares(&tail, &mut sums));
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>().sqrt()
}

struct Squares<'a>(&'a [f32], &'a mut [f32; BLOCK]);

impl Job for Squares<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for lane in (0..BLOCK).step_by(S::LANES) {
            // SAFETY: the slice is whole blocks; the caller promises the instruction set.
            unsafe {
                let mut sum = S::load(self.1.as_ptr().add(lane));
                for at in (lane..self.0.len()).step_by(BLOCK) {
                    let x = S::load(self.0.as_ptr().add(at));
                    sum = S::fma(x, x, sum);
                }
                S::store(self.1.as_mut_ptr().add(lane), sum);
            }
        }
    }
}
