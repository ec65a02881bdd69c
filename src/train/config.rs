//! What to train: fields, presets, caps.

use serde::{Deserialize, Serialize};

use super::TrainLimits;
use super::memory::way_out;
use crate::domain::Horizon;
use crate::features::FeatureGroup;
use crate::nn::Cell;

/// How sequences go in and forecasts come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topology {
    /// The last state of the window forecasts every step.
    #[default]
    ManyToOne,
    /// One bar in, every step out.
    OneToOne,
    /// One bar in, steps unrolled one after the other.
    OneToMany,
    /// Encoder and decoder: the window is read, then steps are unrolled.
    ManyToMany,
    /// A forecast at every bar of the window, all of them trained.
    ManyToManyAligned,
}

/// A named set of defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Preset {
    /// What we serve: small LSTMs on 20 bars, a few of them averaged.
    #[default]
    Default,
    /// The network of the common Keras tutorial (window 20, one LSTM(16), batches of 16, Adam at 0.001, 200 epochs,
    /// patience 5) on our inputs and targets: what is left when its defects are repaired, see
    /// `docs/tutorial-ablation.md`.
    Tutorial,
    /// For a first look and for tests: one small network, few epochs.
    Fast,
}

/// What to train. In JSON every field is optional: `preset` says what the others are by default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ConfigPatch")]
pub struct TrainConfig {
    /// Where the other fields came from.
    pub preset: Preset,
    /// The recurrent cell.
    pub cell: Cell,
    /// Recurrent layers on each other.
    pub layers: usize,
    /// Units of a layer.
    pub hidden: usize,
    /// Share of units left out in training, in [0, 1).
    pub dropout: f64,
    /// Bars of the window.
    pub lookback: usize,
    /// Sessions ahead, each forecast directly.
    pub horizon: Horizon,
    /// How sequences go in and forecasts come out.
    pub topology: Topology,
    /// Gradients stop after this many bars back; `None`: the whole window.
    pub tbptt_steps: Option<usize>,
    /// Passes over the training windows, at most.
    pub epochs: usize,
    /// Windows of a step.
    pub batch_size: usize,
    /// Highest learning rate of AdamW.
    pub learning_rate: f64,
    /// Decoupled weight decay of AdamW.
    pub weight_decay: f64,
    /// Gradients longer than this are shortened to it.
    pub clip_norm: f64,
    /// Epochs without improvement on held-back bars after which training stops.
    pub patience: usize,
    /// Networks averaged, each with its own seed and its own held-back bars.
    pub ensemble: usize,
    /// Seed of weights, order of batches and dropout.
    pub seed: u64,
    /// What the network reads of a bar.
    pub features: Vec<FeatureGroup>,
    /// Quantile levels learned, ascending in (0, 1), 0.5 among them.
    pub levels: Vec<f64>,
}

impl TrainConfig {
    /// The 13 quantile levels of the presets.
    pub const LEVELS: [f64; 13] = [0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975];

    /// The fields of a preset.
    pub fn preset(preset: Preset) -> Self {
        let default = Self {
            preset,
            cell: Cell::Lstm,
            layers: 1,
            hidden: 16,
            dropout: 0.0,
            lookback: 20,
            horizon: default_horizon(),
            topology: Topology::ManyToOne,
            tbptt_steps: None,
            epochs: 12,
            batch_size: 128,
            learning_rate: 1e-3,
            weight_decay: 1e-3,
            clip_norm: 1.0,
            patience: 3,
            ensemble: 4,
            seed: 0,
            features: FeatureGroup::ALL.to_vec(),
            levels: Self::LEVELS.to_vec(),
        };
        match preset {
            Preset::Default => default,
            Preset::Tutorial => Self {
                epochs: 200,
                batch_size: 16,
                patience: 5,
                ensemble: 1,
                weight_decay: 0.0,
                horizon: Horizon::ONE,
                ..default
            },
            // Four epochs reach nothing at the default's rate.
            Preset::Fast => {
                Self { hidden: 8, lookback: 10, epochs: 4, patience: 2, ensemble: 1, learning_rate: 3e-3, ..default }
            }
        }
    }

    /// Checks every field against its own sense and the service's caps.
    ///
    /// # Errors
    /// Names the first field at fault, its value and what is allowed.
    pub fn check(&self, limits: &TrainLimits) -> Result<(), ConfigError> {
        for (field, value, max) in [
            ("layers", self.layers, limits.layers),
            ("hidden", self.hidden, limits.hidden),
            ("lookback", self.lookback, limits.lookback),
            ("epochs", self.epochs, limits.epochs),
            ("batch_size", self.batch_size, limits.batch_size),
            ("patience", self.patience, limits.epochs),
            ("ensemble", self.ensemble, limits.ensemble),
            ("tbptt_steps", self.tbptt_steps.unwrap_or(1), limits.lookback),
        ] {
            if !(1..=max).contains(&value) {
                return Err(ConfigError::Count { field, value, max });
            }
        }
        for (field, value, range) in [
            ("dropout", self.dropout, 0.0..=0.9),
            ("learning_rate", self.learning_rate, 1e-7..=1.0),
            ("weight_decay", self.weight_decay, 0.0..=1.0),
            ("clip_norm", self.clip_norm, 1e-3..=1e3),
        ] {
            if !range.contains(&value) {
                return Err(ConfigError::Range { field, value, min: *range.start(), max: *range.end() });
            }
        }
        let repeated = (1..self.features.len()).any(|idx| self.features[..idx].contains(&self.features[idx]));
        if self.features.is_empty() || repeated {
            return Err(ConfigError::Features);
        }
        self.check_levels(limits)?;
        self.check_memory(limits)
    }

    /// Position of level 0.5 in a checked config's levels.
    pub(super) fn middle(&self) -> usize {
        self.levels.partition_point(|level| *level < 0.5)
    }

    fn check_levels(&self, limits: &TrainLimits) -> Result<(), ConfigError> {
        if !(3..=limits.levels).contains(&self.levels.len()) {
            return Err(ConfigError::Count { field: "levels", value: self.levels.len(), max: limits.levels });
        }
        if let Some(value) = self.levels.iter().find(|level| !(0.001..=0.999).contains(*level)) {
            return Err(ConfigError::Range { field: "levels", value: *value, min: 0.001, max: 0.999 });
        }
        let ascending = self.levels.windows(2).all(|pair| pair[0] < pair[1]);
        match ascending && self.levels.contains(&0.5) {
            true => Ok(()),
            false => Err(ConfigError::Levels),
        }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self::preset(Preset::Default)
    }
}

#[expect(clippy::expect_used, reason = "a constant inside 1..=20, held by a test")]
fn default_horizon() -> Horizon {
    Horizon::try_from(5).expect("5 is a horizon")
}

/// Why a config is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// A count of none, or above its cap.
    #[error("{field} {value} is outside 1 to {max}")]
    Count {
        /// The field.
        field: &'static str,
        /// What it is.
        value: usize,
        /// The cap.
        max: usize,
    },
    /// A number outside of what makes sense.
    #[error("{field} {value} is outside {min} to {max}")]
    Range {
        /// The field.
        field: &'static str,
        /// What it is.
        value: f64,
        /// Lowest allowed.
        min: f64,
        /// Highest allowed.
        max: f64,
    },
    /// Each field within its cap, but together they want more memory than one training may have.
    #[error("this training needs about {mib} MiB of memory, more than {max_mib}: {}", way_out(*fitting_batch))]
    Memory {
        /// The estimate.
        mib: usize,
        /// The cap.
        max_mib: usize,
        /// The largest `batch_size` within the cap; 0 when none is.
        fitting_batch: usize,
    },
    /// No features, or one group twice.
    #[error("features must name one or more groups, each once")]
    Features,
    /// Levels out of order, or without the middle.
    #[error("levels must ascend strictly and hold 0.5")]
    Levels,
}

impl ConfigError {
    /// The field at fault.
    pub fn field(&self) -> &'static str {
        match self {
            Self::Count { field, .. } | Self::Range { field, .. } => field,
            Self::Memory { fitting_batch: 0, .. } => "hidden",
            Self::Memory { .. } => "batch_size",
            Self::Features => "features",
            Self::Levels => "levels",
        }
    }
}

/// A config as a client writes it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigPatch {
    preset: Preset,
    cell: Option<Cell>,
    layers: Option<usize>,
    hidden: Option<usize>,
    dropout: Option<f64>,
    lookback: Option<usize>,
    horizon: Option<Horizon>,
    topology: Option<Topology>,
    tbptt_steps: Option<usize>,
    epochs: Option<usize>,
    batch_size: Option<usize>,
    learning_rate: Option<f64>,
    weight_decay: Option<f64>,
    clip_norm: Option<f64>,
    patience: Option<usize>,
    ensemble: Option<usize>,
    seed: Option<u64>,
    features: Option<Vec<FeatureGroup>>,
    levels: Option<Vec<f64>>,
}

impl From<ConfigPatch> for TrainConfig {
    fn from(patch: ConfigPatch) -> Self {
        let base = Self::preset(patch.preset);
        Self {
            preset: patch.preset,
            cell: patch.cell.unwrap_or(base.cell),
            layers: patch.layers.unwrap_or(base.layers),
            hidden: patch.hidden.unwrap_or(base.hidden),
            dropout: patch.dropout.unwrap_or(base.dropout),
            lookback: patch.lookback.unwrap_or(base.lookback),
            horizon: patch.horizon.unwrap_or(base.horizon),
            topology: patch.topology.unwrap_or(base.topology),
            tbptt_steps: patch.tbptt_steps.or(base.tbptt_steps),
            epochs: patch.epochs.unwrap_or(base.epochs),
            batch_size: patch.batch_size.unwrap_or(base.batch_size),
            learning_rate: patch.learning_rate.unwrap_or(base.learning_rate),
            weight_decay: patch.weight_decay.unwrap_or(base.weight_decay),
            clip_norm: patch.clip_norm.unwrap_or(base.clip_norm),
            patience: patch.patience.unwrap_or(base.patience),
            ensemble: patch.ensemble.unwrap_or(base.ensemble),
            seed: patch.seed.unwrap_or(base.seed),
            features: patch.features.unwrap_or(base.features),
            levels: patch.levels.unwrap_or(base.levels),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_fields_come_from_the_preset_and_unknown_ones_are_refused() {
        let read = |text: &str| serde_json::from_str::<TrainConfig>(text);
        assert_eq!(read("{}").unwrap(), TrainConfig::default());
        let tutorial = read(r#"{"preset": "tutorial", "hidden": 32}"#).unwrap();
        assert_eq!((tutorial.hidden, tutorial.batch_size, tutorial.patience), (32, 16, 5));
        let whole = serde_json::to_string(&tutorial).unwrap();
        assert_eq!(read(&whole).unwrap(), tutorial);
        assert!(read(r#"{"hiden": 32}"#).is_err());
        assert!(read(r#"{"horizon": 21}"#).is_err());
    }

    #[test]
    fn each_cap_holds_from_both_sides() {
        let limits = TrainLimits::default();
        let check = |change: &dyn Fn(&mut TrainConfig)| {
            let mut config = TrainConfig::default();
            change(&mut config);
            config.check(&limits).map_err(|error| error.field())
        };
        assert_eq!(check(&|_| ()), Ok(()));
        assert_eq!(check(&|config| config.hidden = 512), Ok(()));
        assert_eq!(check(&|config| config.hidden = 513), Err("hidden"));
        assert_eq!(check(&|config| config.hidden = 0), Err("hidden"));
        assert_eq!(check(&|config| config.layers = 4), Ok(()));
        assert_eq!(check(&|config| config.layers = 5), Err("layers"));
        assert_eq!(check(&|config| config.lookback = 512), Ok(()));
        assert_eq!(check(&|config| config.lookback = 513), Err("lookback"));
        assert_eq!(check(&|config| config.epochs = 1001), Err("epochs"));
        assert_eq!(check(&|config| config.batch_size = 4097), Err("batch_size"));
        assert_eq!(check(&|config| config.ensemble = 17), Err("ensemble"));
        assert_eq!(check(&|config| config.dropout = f64::NAN), Err("dropout"));
        assert_eq!(check(&|config| config.learning_rate = 0.0), Err("learning_rate"));
        assert_eq!(check(&|config| config.levels = vec![0.1, 0.5]), Err("levels"));
        assert_eq!(check(&|config| config.levels = vec![0.1, 0.4, 0.9]), Err("levels"));
        assert_eq!(check(&|config| config.levels = vec![0.1, 0.5, 0.5]), Err("levels"));
    }
}
