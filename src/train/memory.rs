//! How much memory a training wants, before it begins.

use super::config::{ConfigError, Topology, TrainConfig};
use super::limits::TrainLimits;
use crate::nn::Cell;

impl TrainConfig {
    /// About how much memory a training wants beside its bars, in bytes: what a step leaves behind for its gradient.
    ///
    /// Of each window, in floats: a bar read costs its features twice; a bar, layer and unit what the kernels keep
    /// (states and gates: 7 of an LSTM, 5 of a GRU, 2 of an RNN), and 6 more where a layer's outputs are read bar by
    /// bar, for those and their gradients; an answer (a step of a position) 24 a level. Each network's weights are
    /// there once, and seven times more while it is trained: gradients, both moments of AdamW, the best so far, packed
    /// copies. Bars whose gradient is cut (`tbptt_steps`) are kept only where every bar is a lesson.
    ///
    /// Against what a process took beyond 40 MiB of its own: 260 MiB for 259 (256 × 100 bars, two LSTMs of 128), 117 for
    /// 116 (256 × 60 bars, an aligned LSTM of 32), 137 for 128 (512 × 200 bars, a GRU of 64).
    pub fn memory_bytes(&self) -> u128 {
        self.window_bytes() * self.batch_size as u128 + self.weight_bytes()
    }

    fn window_bytes(&self) -> u128 {
        let (lookback, steps) = (self.lookback, self.horizon.steps());
        // Bars read, bars whose states are kept, steps answered, stacks whose last layer is read bar by bar.
        let (read, kept, answers, sequences) = match self.topology {
            Topology::OneToOne => (1, 1, steps, 0),
            Topology::OneToMany => (steps, steps, steps, 1),
            Topology::ManyToOne => (lookback, self.kept_bars(), steps, 0),
            Topology::ManyToMany => (lookback, self.kept_bars() + steps, steps, 1),
            Topology::ManyToManyAligned => (lookback, lookback, lookback * steps, 1),
        };
        let of_kernels = match self.cell {
            Cell::Lstm => 7,
            Cell::Gru => 5,
            Cell::Rnn => 2,
        };
        // Kernels work on whole blocks of 16 units.
        let of_unit = of_kernels * self.layers + 6 * (self.layers - 1 + sequences);
        let of_bar = of_unit as u128 * self.hidden.next_multiple_of(16) as u128;
        let [read, kept, answers] = [read, kept, answers].map(|count| count as u128);
        4 * (2 * read * self.width() as u128 + kept * of_bar + 24 * answers * self.levels.len() as u128)
    }

    fn weight_bytes(&self) -> u128 {
        let of_layer = |input: usize| (self.cell.gates() * self.hidden) as u128 * (input + self.hidden + 2) as u128;
        let stack = |input: usize| of_layer(input) + (self.layers as u128 - 1) * of_layer(self.hidden);
        let decoder = if self.topology == Topology::ManyToMany { stack(1) } else { 0 };
        4 * (stack(self.width()) + decoder) * (self.ensemble as u128 + 7)
    }

    /// Bars of a window whose states are kept at once, where only the last is forecast from.
    fn kept_bars(&self) -> usize {
        self.tbptt_steps.unwrap_or(self.lookback).min(self.lookback)
    }

    fn width(&self) -> usize {
        self.features.iter().map(|group| group.width()).sum()
    }

    pub(super) fn check_memory(&self, limits: &TrainLimits) -> Result<(), ConfigError> {
        let (bytes, max) = (self.memory_bytes(), (limits.memory_mib as u128) << 20);
        if bytes <= max {
            return Ok(());
        }
        let fitting_batch = max.saturating_sub(self.weight_bytes()) / self.window_bytes();
        Err(ConfigError::Memory {
            mib: usize::try_from(bytes.div_ceil(1 << 20)).unwrap_or(usize::MAX),
            max_mib: limits.memory_mib,
            fitting_batch: usize::try_from(fitting_batch).unwrap_or(usize::MAX),
        })
    }
}

/// What to do about too much memory.
pub(super) fn way_out(fitting_batch: usize) -> String {
    match fitting_batch {
        0 => "lower hidden, layers or lookback".to_owned(),
        batch => format!("lower batch_size to {batch}, or lower hidden, layers or lookback"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Preset;

    #[test]
    fn fields_within_their_caps_may_want_too_much_memory_together() {
        let limits = TrainLimits::default();
        let large =
            |batch_size| TrainConfig { batch_size, hidden: 512, lookback: 512, layers: 4, ..Default::default() };
        let refused = large(4096).check(&limits).unwrap_err();
        assert_eq!(refused.field(), "batch_size");
        let ConfigError::Memory { mib, max_mib, fitting_batch } = refused else { panic!("{refused}") };
        assert!(mib > 150_000 && max_mib == limits.memory_mib, "{mib}");
        assert!(
            refused
                .to_string()
                .ends_with("more than 2048: lower batch_size to 37, or lower hidden, layers or lookback")
        );
        // From both sides of the cap.
        assert_eq!(large(fitting_batch).check(&limits), Ok(()));
        assert!(large(fitting_batch + 1).check(&limits).is_err());
        // Without any batch that fits, the network is at fault.
        let tight = TrainLimits { memory_mib: 32, ..limits };
        assert_eq!(large(16).check(&tight).unwrap_err().field(), "hidden");
        for preset in [Preset::Default, Preset::Tutorial, Preset::Fast] {
            assert_eq!(TrainConfig::preset(preset).check(&tight), Ok(()), "{preset:?}");
        }
    }
}
