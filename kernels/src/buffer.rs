//! Memory that is lent from call to call.

use crate::simd::BLOCK;
use std::ops::{Deref, DerefMut};

/// Numbers that start where a line of the cache does: a block that lay across two lines would cost two reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buffer(Vec<Line>);

#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Line([f32; BLOCK]);

impl Buffer {
    /// The first `len` numbers, rounded up to whole blocks: grows if need be, never shrinks.
    pub(crate) fn lend(&mut self, len: usize) -> &mut [f32] {
        let lines = len.div_ceil(BLOCK);
        if self.0.len() < lines {
            self.0.resize(lines, Line([0.0; BLOCK]));
        }
        &mut self[..lines * BLOCK]
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: a line is sixteen floats without padding.
        unsafe { std::slice::from_raw_parts(self.0.as_ptr().cast(), self.0.len() * BLOCK) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: a line is sixteen floats without padding.
        unsafe { std::slice::from_raw_parts_mut(self.0.as_mut_ptr().cast(), self.0.len() * BLOCK) }
    }
}
