//! The two inner loops that do nearly all arithmetic: `M` rows by up to four vectors, in registers.
//!
//! The order of additions into one number is the order of `k` (or of rows), whatever `M` and the vector
//! width are: that is what makes results equal on every machine.

use crate::simd::{BLOCK, Simd};

/// A sum for `M` rows and four vectors of columns; unused ones cost nothing once compiled.
pub(crate) type Sums<V, const M: usize> = [[V; 4]; M];

/// Sums that start at zero.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
pub(crate) unsafe fn zeros<S: Simd, const M: usize>() -> Sums<S::V, M> {
    // SAFETY: the caller's promise.
    unsafe { [[S::splat(0.0); 4]; M] }
}

/// `sums[m][first + c] += Σₖ a[m, k] · w[k, c]` for `c < columns`.
///
/// * `a`  row `m` at `a + m · stride`, `k` numbers
/// * `w`  packed `[k, columns, BLOCK]`, already at the wanted lane
///
/// # Safety
/// The processor has the instruction set of `S`, and both matrices are as large as said.
#[inline(always)]
pub(crate) unsafe fn multiply<S: Simd, const M: usize>(
    sums: &mut Sums<S::V, M>,
    (first, columns): (usize, usize),
    (a, stride): (*const f32, usize),
    w: *const f32,
    k: usize,
) {
    let row = columns * BLOCK;
    if at_once::<S, M>() {
        // SAFETY: the caller's promise.
        return unsafe { multiply_columns::<S, M>(sums, (first, columns), (a, stride), (w, row), k) };
    }
    for c in 0..columns {
        // SAFETY: the caller's promise; column c is one of the columns.
        unsafe {
            let (mut one, mut w) = (column::<S, M>(sums, first + c), w.add(c * BLOCK));
            for k in 0..k {
                let weight = S::load(w);
                for (m, sum) in one.iter_mut().enumerate() {
                    *sum = S::fma(S::splat(*a.add(m * stride + k)), weight, *sum);
                }
                w = w.wrapping_add(row);
            }
            put_column::<S, M>(sums, first + c, one);
        }
    }
}

/// `sums[n][first + c] += Σₖ a[k] · w[n, k, c]`: [`multiply`] for one row by `N` matrices, whose starts lie `apart`.
///
/// # Safety
/// As [`multiply`].
#[inline(always)]
pub(crate) unsafe fn multiply_row<S: Simd, const N: usize>(
    sums: &mut Sums<S::V, N>,
    (first, columns): (usize, usize),
    a: *const f32,
    (mut w, apart): (*const f32, usize),
    k: usize,
) {
    for k in 0..k {
        // SAFETY: the caller's promise; w ends at most one row past.
        unsafe {
            let x = S::splat(*a.add(k));
            for (n, sums) in sums.iter_mut().enumerate() {
                let weights = blocks::<S>(w.wrapping_add(n * apart), columns);
                for (c, weight) in weights.iter().enumerate() {
                    if c < columns {
                        sums[first + c] = S::fma(x, *weight, sums[first + c]);
                    }
                }
            }
        }
        w = w.wrapping_add(columns * BLOCK);
    }
}

/// The sums of one column.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
unsafe fn column<S: Simd, const M: usize>(sums: &Sums<S::V, M>, column: usize) -> [S::V; M] {
    // SAFETY: the caller's promise.
    let mut one = [unsafe { S::splat(0.0) }; M];
    for (m, sum) in one.iter_mut().enumerate() {
        *sum = sums[m][column];
    }
    one
}

/// Puts back what [`column`] gave.
///
/// # Safety
/// The processor has the instruction set of `S`.
#[inline(always)]
unsafe fn put_column<S: Simd, const M: usize>(sums: &mut Sums<S::V, M>, column: usize, one: [S::V; M]) {
    for (m, sum) in one.iter().enumerate() {
        sums[m][column] = *sum;
    }
}

/// Whether the registers hold the sums of four columns, `M` rows high; else they are made column by column.
#[inline(always)]
const fn at_once<S: Simd, const M: usize>() -> bool {
    4 * M <= S::SUMS
}

/// [`multiply`] with all sums in registers; rows of `w` lie `row` numbers apart.
#[inline(always)]
unsafe fn multiply_columns<S: Simd, const M: usize>(
    sums: &mut Sums<S::V, M>,
    (first, columns): (usize, usize),
    (a, stride): (*const f32, usize),
    (mut w, row): (*const f32, usize),
    k: usize,
) {
    for k in 0..k {
        // SAFETY: row k of w has `columns` blocks, row m of a more than k numbers; w ends at most one row past.
        unsafe {
            let weights = blocks::<S>(w, columns);
            for (m, sums) in sums.iter_mut().enumerate() {
                let x = S::splat(*a.add(m * stride + k));
                for (c, weight) in weights.iter().enumerate() {
                    if c < columns {
                        sums[first + c] = S::fma(x, *weight, sums[first + c]);
                    }
                }
            }
        }
        w = w.wrapping_add(row);
    }
}

/// The first `columns` vectors of a packed row, one a block.
#[inline(always)]
unsafe fn blocks<S: Simd>(from: *const f32, columns: usize) -> [S::V; 4] {
    // SAFETY: the caller has that many blocks there, and the instruction set of `S`.
    unsafe {
        let mut vectors = [S::splat(0.0); 4];
        // A loop and no closure, as in `tiles`.
        for (c, vector) in vectors.iter_mut().enumerate() {
            if c < columns {
                *vector = S::load(from.add(c * BLOCK));
            }
        }
        vectors
    }
}

/// What a unit saved: `N` vectors, one a block.
///
/// # Safety
/// The processor has the instruction set of `S`, and `N` blocks are there.
#[inline(always)]
pub(crate) unsafe fn vectors<S: Simd, const N: usize>(from: *const f32) -> [S::V; N] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut vectors = [S::splat(0.0); N];
        for (slot, vector) in vectors.iter_mut().enumerate() {
            *vector = S::load(from.add(slot * BLOCK));
        }
        vectors
    }
}

/// Rows that lie `inner` apart within a group and `outer` apart between groups: batch within time.
#[derive(Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) start: *const f32,
    pub(crate) inner: usize,
    pub(crate) outer: isize,
}

/// `sums[m][c] += Σ a[row, m] · d[row, c]` over all rows of all groups, for `c < columns`: a piece of a
/// weight gradient.
///
/// # Safety
/// The processor has the instruction set of `S`; each row of `a` has `M` numbers, of `d` `columns` blocks.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd, const M: usize>(
    sums: &mut Sums<S::V, M>,
    columns: usize,
    a: Rows,
    d: Rows,
    (groups, rows): (usize, usize),
) {
    if at_once::<S, M>() {
        // SAFETY: the caller's promise.
        return unsafe { accumulate_columns::<S, M>(sums, columns, a, d, (groups, rows)) };
    }
    for c in 0..columns {
        // SAFETY: the caller's promise; column c is one of the columns.
        unsafe {
            let mut one = column::<S, M>(sums, c);
            for group in 0..groups as isize {
                let (mut from, mut delta) =
                    (a.start.offset(group * a.outer), d.start.offset(group * d.outer).add(c * BLOCK));
                for _ in 0..rows {
                    let delta_of_row = S::load(delta);
                    for (m, sum) in one.iter_mut().enumerate() {
                        *sum = S::fma(S::splat(*from.add(m)), delta_of_row, *sum);
                    }
                    from = from.wrapping_add(a.inner);
                    delta = delta.wrapping_add(d.inner);
                }
            }
            put_column::<S, M>(sums, c, one);
        }
    }
}

/// [`accumulate`] with all sums in registers.
#[inline(always)]
unsafe fn accumulate_columns<S: Simd, const M: usize>(
    sums: &mut Sums<S::V, M>,
    columns: usize,
    a: Rows,
    d: Rows,
    (groups, rows): (usize, usize),
) {
    for group in 0..groups as isize {
        // SAFETY: rows lie where `Rows` says.
        let (mut from, mut delta) = unsafe { (a.start.offset(group * a.outer), d.start.offset(group * d.outer)) };
        for _ in 0..rows {
            // SAFETY: a row of d has `columns` blocks, a row of a has M numbers.
            unsafe {
                let deltas = blocks::<S>(delta, columns);
                for (m, sums) in sums.iter_mut().enumerate() {
                    let x = S::splat(*from.add(m));
                    for (c, delta) in deltas.iter().enumerate() {
                        if c < columns {
                            sums[c] = S::fma(x, *delta, sums[c]);
                        }
                    }
                }
            }
            from = from.wrapping_add(a.inner);
            delta = delta.wrapping_add(d.inner);
        }
    }
}

/// Reads the first `columns` blocks of `M` rows, `stride` apart, as sums.
///
/// # Safety
/// The processor has the instruction set of `S`, and the rows are there.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd, const M: usize>(from: *const f32, stride: usize, columns: usize) -> Sums<S::V, M> {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sums = zeros::<S, M>();
        for (m, sums) in sums.iter_mut().enumerate() {
            for (c, sum) in sums.iter_mut().enumerate() {
                if c < columns {
                    *sum = S::load(from.add(m * stride + c * BLOCK));
                }
            }
        }
        sums
    }
}

/// Writes what [`load`] reads.
///
/// # Safety
/// As [`load`].
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, const M: usize>(sums: &Sums<S::V, M>, to: *mut f32, stride: usize, columns: usize) {
    for (m, sums) in sums.iter().enumerate() {
        for (c, sum) in sums.iter().enumerate() {
            if c < columns {
                // SAFETY: the caller's promise.
                unsafe { S::store(to.add(m * stride + c * BLOCK), *sum) };
            }
        }
    }
}

/// Splits `rows` into tiles of at most `most`, as even as can be: `(start, height)`.
///
/// An iterator and no callback: a closure would compile without the instruction set around it.
#[inline(always)]
pub(crate) fn tiles(rows: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let count = rows.div_ceil(most);
    (0..count).map(move |idx| {
        let start = idx * rows / count;
        (start, (idx + 1) * rows / count - start)
    })
}

/// Calls `$call` with the tile height as a constant `$m`; heights above `S::ROWS` are not compiled.
macro_rules! with_height {
    ($rows:expr, $m:ident => $call:expr) => {
        match $rows {
            1 => {
                const $m: usize = 1;
                $call
            }
            2 if 2 <= S::ROWS => {
                const $m: usize = 2;
                $call
            }
            3 if 3 <= S::ROWS => {
                const $m: usize = 3;
                $call
            }
            4 if 4 <= S::ROWS => {
                const $m: usize = 4;
                $call
            }
            5 if 5 <= S::ROWS => {
                const $m: usize = 5;
                $call
            }
            6 if 6 <= S::ROWS => {
                const $m: usize = 6;
                $call
            }
            rows => unreachable!("no instruction set has tiles of {rows} rows"),
        }
    };
}
pub(crate) use with_height;
