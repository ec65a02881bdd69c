//! What becomes no bar: refused rows, and sessions without a trade.

use super::Refusal;

/// Refused rows: the first are kept, all are counted.
#[derive(Debug)]
pub(super) struct Refusals {
    pub kept: Vec<Refusal>,
    pub total: usize,
    max: usize,
}

impl Refusals {
    pub(super) fn new(max: usize) -> Self {
        Self { kept: Vec::new(), total: 0, max }
    }

    pub(super) fn push(&mut self, refusal: impl FnOnce() -> Refusal) {
        self.total += 1;
        if self.kept.len() < self.max {
            self.kept.push(refusal());
        }
    }

    /// How many are kept at most.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Takes up those of later lines.
    pub(super) fn append(&mut self, later: Self) {
        self.total += later.total;
        let room = self.max.saturating_sub(self.kept.len());
        self.kept.extend(later.kept.into_iter().take(room));
    }
}

/// Sessions without a trade, by their kind.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    pub halted: Lines,
    pub zero: Lines,
    pub empty: Lines,
    pub events: Lines,
    pub running: Lines,
}

impl Skipped {
    /// Takes up those of later lines.
    pub(super) fn append(&mut self, later: &Self) {
        self.halted.append(&later.halted);
        self.zero.append(&later.zero);
        self.empty.append(&later.empty);
        self.events.append(&later.events);
        self.running.append(&later.running);
    }
}

/// How many lines, and the first.
#[derive(Debug, Default)]
pub(super) struct Lines {
    pub count: usize,
    pub first: u32,
}

impl Lines {
    pub(super) fn add(&mut self, line: u32) {
        if self.count == 0 {
            self.first = line;
        }
        self.count += 1;
    }

    /// Takes up lines that stand after its own.
    pub(super) fn append(&mut self, later: &Self) {
        if self.count == 0 {
            self.first = later.first;
        }
        self.count += later.count;
    }
}
