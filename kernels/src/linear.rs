//! A head: one affine map over rows, and its gradients.

use crate::buffer::Buffer;
use crate::pack::{pack_gates, pack_panels, panels};
use crate::simd::{BLOCK, Isa, Job, Simd, run};
use crate::tile::{Rows, accumulate, load, multiply, store, tiles, with_height, zeros};

/// `y = x · weightᵀ + bias`, shapes `[rows, inputs]`, `[outputs, inputs]`, `[outputs]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Linear {
    /// Numbers in, at least 1.
    pub inputs: usize,
    /// Numbers out, at least 1.
    pub outputs: usize,
    /// What to run on.
    pub isa: Isa,
}

/// Where gradients go; what was there is overwritten.
#[derive(Debug)]
pub struct LinearGradients<'a> {
    /// `[outputs, inputs]`
    pub weight: &'a mut [f32],
    /// `[outputs]`
    pub bias: &'a mut [f32],
    /// `[rows, inputs]`, for those who ask.
    pub input: Option<&'a mut [f32]>,
}

impl Linear {
    /// A map on the fastest instruction set this processor has.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        assert!(inputs > 0 && outputs > 0, "a map has at least one number in and one out");
        Self { inputs, outputs, isa: Isa::best() }
    }

    /// `y` `[rows, outputs]` of `x` `[rows, inputs]`.
    ///
    /// # Panics
    /// When a slice is not as long as the shape says.
    pub fn forward(&self, weight: &[f32], bias: &[f32], x: &[f32], y: &mut [f32]) {
        let rows = self.check(weight, x, y);
        let mut packed = Buffer::default();
        pack_gates(weight, &[0], self.outputs, self.inputs, &mut packed); // [block, inputs, BLOCK]
        let mut padded = Buffer::default();
        let start = padded.lend(self.outputs);
        start[..self.outputs].copy_from_slice(bias);
        let product = Product { a: x, k: self.inputs, panels: &packed, start, to: y, columns: self.outputs, most: 1 };
        run(self.isa, Rowwise(product, rows));
    }

    /// Gradients, from `dy` `[rows, outputs]`.
    ///
    /// # Panics
    /// When a slice is not as long as the shape says.
    pub fn backward(&self, weight: &[f32], x: &[f32], dy: &[f32], gradients: LinearGradients<'_>) {
        let rows = self.check(weight, x, dy);
        assert_eq!((gradients.weight.len(), gradients.bias.len()), (weight.len(), self.outputs), "gradients");
        gradients.bias.fill(0.0);
        for row in dy.chunks_exact(self.outputs) {
            gradients.bias.iter_mut().zip(row).for_each(|(sum, d)| *sum += d);
        }
        let mut panels = Buffer::default();
        pack_panels(x, self.inputs, (0..rows).map(Some), &mut panels);
        let outer =
            Outer { dy, outputs: self.outputs, panels: &panels, inputs: self.inputs, rows, to: gradients.weight };
        run(self.isa, outer);
        if let Some(to) = gradients.input {
            assert_eq!(to.len(), x.len(), "gradient by the input");
            pack_panels(weight, self.inputs, (0..self.outputs).map(Some), &mut panels);
            let start = &vec![0.0; self.inputs.div_ceil(BLOCK) * BLOCK];
            let product = Product { a: dy, k: self.outputs, panels: &panels, start, to, columns: self.inputs, most: 4 };
            run(self.isa, Rowwise(product, rows));
        }
    }

    fn check(&self, weight: &[f32], x: &[f32], y: &[f32]) -> usize {
        let rows = x.len() / self.inputs;
        assert_eq!(weight.len(), self.inputs * self.outputs, "weight");
        assert_eq!((x.len(), y.len()), (rows * self.inputs, rows * self.outputs), "rows");
        rows
    }
}

/// `to = start + a · panels`, row by row.
struct Product<'a> {
    /// `[rows, k]`
    a: &'a [f32],
    k: usize,
    /// `[panel, k, panel's blocks, BLOCK]`
    panels: &'a [f32],
    /// `[columns]`, padded
    start: &'a [f32],
    /// `[rows, columns]`
    to: &'a mut [f32],
    columns: usize,
    /// Blocks in a panel.
    most: usize,
}

struct Rowwise<'a>(Product<'a>, usize);

impl Job for Rowwise<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self(Product { a, k, panels, start, to, columns, most }, rows) = self;
        let to = to.as_mut_ptr();
        let blocks = columns.div_ceil(BLOCK);
        for first in (0..blocks).step_by(most) {
            let wide = most.min(blocks - first);
            let width = (columns - first * BLOCK).min(wide * BLOCK);
            for (row, height) in tiles(rows, S::ROWS) {
                let mut out = [0.0_f32; 6 * 4 * BLOCK];
                // SAFETY: the callers above checked every length; a tile writes `width` numbers of its rows.
                unsafe {
                    for lane in (0..BLOCK).step_by(S::LANES) {
                        let start = start.as_ptr().add(first * BLOCK + lane);
                        let from = (a.as_ptr().add(row * k), k);
                        let panel = panels.as_ptr().add(first * BLOCK * k + lane);
                        with_height!(height, M => {
                            let mut sums = load::<S, M>(start, 0, wide);
                            match wide {
                                1 => multiply::<S, M>(&mut sums, (0, 1), from, panel, k),
                                2 => multiply::<S, M>(&mut sums, (0, 2), from, panel, k),
                                3 => multiply::<S, M>(&mut sums, (0, 3), from, panel, k),
                                _ => multiply::<S, M>(&mut sums, (0, 4), from, panel, k),
                            }
                            store::<S, M>(&sums, out.as_mut_ptr().add(lane), 4 * BLOCK, wide);
                        });
                    }
                    for (m, out) in out.chunks_exact(4 * BLOCK).take(height).enumerate() {
                        let to = to.add((row + m) * columns + first * BLOCK);
                        to.copy_from_nonoverlapping(out.as_ptr(), width);
                    }
                }
            }
        }
    }
}

/// `to[o, i] = Σ dy[row, o] · x[row, i]`, `x` in panels.
struct Outer<'a> {
    dy: &'a [f32],
    outputs: usize,
    panels: &'a [f32],
    inputs: usize,
    rows: usize,
    to: &'a mut [f32],
}

impl Job for Outer<'_> {
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let to = self.to.as_mut_ptr();
        for (first, blocks) in panels(self.inputs) {
            let width = (self.inputs - first * BLOCK).min(blocks * BLOCK);
            for (output, height) in tiles(self.outputs, S::ROWS) {
                let mut out = [0.0_f32; 6 * 4 * BLOCK];
                let a = Rows { start: self.dy[output..].as_ptr(), inner: self.outputs, outer: 0 };
                // SAFETY: the callers above checked every length; a tile writes `width` numbers of its rows.
                unsafe {
                    for lane in (0..BLOCK).step_by(S::LANES) {
                        let panel = self.panels.as_ptr().add(first * BLOCK * self.rows + lane);
                        let d = Rows { start: panel, inner: blocks * BLOCK, outer: 0 };
                        with_height!(height, M => {
                            let mut sums = zeros::<S, M>();
                            match blocks {
                                1 => accumulate::<S, M>(&mut sums, 1, a, d, (1, self.rows)),
                                2 => accumulate::<S, M>(&mut sums, 2, a, d, (1, self.rows)),
                                3 => accumulate::<S, M>(&mut sums, 3, a, d, (1, self.rows)),
                                _ => accumulate::<S, M>(&mut sums, 4, a, d, (1, self.rows)),
                            }
                            store::<S, M>(&sums, out.as_mut_ptr().add(lane), 4 * BLOCK, blocks);
                        });
                    }
                    for (m, out) in out.chunks_exact(4 * BLOCK).take(height).enumerate() {
                        let to = to.add((output + m) * self.inputs + first * BLOCK);
                        to.copy_from_nonoverlapping(out.as_ptr(), width);
                    }
                }
            }
        }
    }
}
