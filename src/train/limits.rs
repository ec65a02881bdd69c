//! What a service lets a training ask for.

use serde::{Deserialize, Serialize};

/// The caps of one service on what a training may ask for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainLimits {
    /// Units of a layer. Time and memory grow with its square: too high and one job takes hours.
    pub hidden: usize,
    /// Layers. Too high only costs time.
    pub layers: usize,
    /// Bars of a window. Too high and windows cost memory and time.
    pub lookback: usize,
    /// Passes over the data. Too high and a job without early stopping holds its slot for hours.
    pub epochs: usize,
    /// Windows of a step. Too high and a step takes much memory; see `limits.train.memory_mib`.
    pub batch_size: usize,
    /// Networks averaged. Time grows with it: too high and one job is many.
    pub ensemble: usize,
    /// Quantile levels. Too high costs time and says nothing more.
    pub levels: usize,
    /// Memory that one training may want, in MiB, as estimated from its config: what a step keeps for its gradient
    /// grows with batch_size × lookback × layers × hidden. Too low refuses large networks; too high and
    /// `worker.n_jobs` trainings at once take the machine's memory, and the system kills the process.
    pub memory_mib: usize,
}

impl TrainLimits {
    /// No cap of a service: what must hold for any config to make sense.
    pub const NONE: Self = Self {
        hidden: 1 << 16,
        layers: 64,
        lookback: 1 << 16,
        epochs: 1 << 20,
        batch_size: 1 << 20,
        ensemble: 1 << 10,
        levels: 999,
        memory_mib: usize::MAX,
    };
}

impl Default for TrainLimits {
    fn default() -> Self {
        Self {
            hidden: 512,
            layers: 4,
            lookback: 512,
            epochs: 1000,
            batch_size: 4096,
            ensemble: 16,
            levels: 99,
            memory_mib: 2048,
        }
    }
}
