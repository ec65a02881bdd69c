//! Weights from PyTorch's layouts into the order the inner loops read, and gradients back.

use crate::buffer::Buffer;
use crate::simd::BLOCK;

/// `[gates · hidden, k]` to `[block, k, gates, BLOCK]`, gates in the given order, zeros past the last unit.
pub(crate) fn pack_gates(source: &[f32], gates: &[usize], hidden: usize, k: usize, packed: &mut Buffer) {
    let width = gates.len() * BLOCK;
    let packed = packed.lend(hidden.div_ceil(BLOCK) * k * width);
    for (block, panel) in packed.chunks_exact_mut(k * width).enumerate() {
        for (slot, gate) in gates.iter().enumerate() {
            for lane in 0..BLOCK {
                let unit = block * BLOCK + lane;
                let place = panel[slot * BLOCK + lane..].iter_mut().step_by(width);
                if unit < hidden {
                    let row = &source[(gate * hidden + unit) * k..][..k];
                    place.zip(row).for_each(|(to, from)| *to = *from);
                } else {
                    place.for_each(|to| *to = 0.0);
                }
            }
        }
    }
}

/// The way back of [`pack_gates`].
pub(crate) fn unpack_gates(packed: &[f32], gates: &[usize], hidden: usize, k: usize, target: &mut [f32]) {
    let width = gates.len() * BLOCK;
    for unit in 0..hidden {
        let panel = &packed[unit / BLOCK * k * width..];
        for (slot, gate) in gates.iter().enumerate() {
            let row = &mut target[(gate * hidden + unit) * k..][..k];
            let from = panel[slot * BLOCK + unit % BLOCK..].iter().step_by(width);
            row.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
    }
}

/// Sums `[block, slots, BLOCK]` to PyTorch's order, from slot `first` on.
pub(crate) fn unpack_bias(
    packed: &[f32],
    gates: &[usize],
    (first, slots): (usize, usize),
    hidden: usize,
    to: &mut [f32],
) {
    for (slot, gate) in gates.iter().enumerate() {
        for unit in 0..hidden {
            to[gate * hidden + unit] = packed[(unit / BLOCK * slots + first + slot) * BLOCK + unit % BLOCK];
        }
    }
}

/// Columns are taken in panels of up to four blocks: `(first block, blocks)`.
pub(crate) fn panels(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = columns.div_ceil(BLOCK);
    (0..blocks).step_by(4).map(move |first| (first, (blocks - first).min(4)))
}

/// Rows of a matrix `[rows, columns]` in a chosen order (none: a row of zeros), cut into [`panels`]:
/// `[panel, order, panel's blocks, BLOCK]`.
pub(crate) fn pack_panels(
    source: &[f32],
    columns: usize,
    order: impl Iterator<Item = Option<usize>> + Clone,
    packed: &mut Buffer,
) {
    let count = order.clone().count();
    let packed = packed.lend(columns.div_ceil(BLOCK) * BLOCK * count);
    for (first, blocks) in panels(columns) {
        let (start, width) = (first * BLOCK, blocks * BLOCK);
        let filled = width.min(columns - start);
        let panel = packed[start * count..][..width * count].chunks_exact_mut(width);
        for (to, row) in panel.zip(order.clone()) {
            match row {
                Some(row) => {
                    to[..filled].copy_from_slice(&source[row * columns + start..][..filled]);
                    to[filled..].fill(0.0);
                }
                None => to.fill(0.0),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing_there_and_back_changes_nothing() {
        let (hidden, k) = (21, 5);
        let source: Vec<f32> = (0..3 * hidden * k).map(|x| x as f32 + 1.0).collect();
        let (mut packed, mut back) = (Buffer::default(), vec![0.0; source.len()]);
        packed.lend(2000).fill(f32::NAN);
        pack_gates(&source, &[2, 0, 1], hidden, k, &mut packed);
        let used = 2 * k * 3 * BLOCK;
        let sum: f32 = packed[..used].iter().sum();
        assert_eq!(sum, source.iter().sum::<f32>());
        unpack_gates(&packed, &[2, 0, 1], hidden, k, &mut back);
        assert_eq!(source, back);
    }

    #[test]
    fn panels_keep_rows_whole_and_pad_with_zeros() {
        let columns = 70; // a panel of 64 and one of 16
        let source: Vec<f32> = (0..2 * columns).map(|x| x as f32).collect();
        let mut packed = Buffer::default();
        pack_panels(&source, columns, [Some(1), None, Some(0)].into_iter(), &mut packed);
        assert_eq!(packed.len(), 80 * 3);
        assert_eq!(packed[..64], source[70..134]);
        assert!(packed[64..128].iter().all(|x| *x == 0.0));
        assert_eq!(packed[3 * 64..][..6], source[134..140]);
        assert!(packed[3 * 64 + 6..][..26].iter().all(|x| *x == 0.0));
    }
}
