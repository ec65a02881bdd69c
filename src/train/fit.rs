//! From bars to a [`Model`].

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::model::{Member, Model, ModelSpec};
use super::{ConfigError, Control, Progress, TrainConfig, TrainLimits};
use crate::domain::Series;
use crate::features::volatility::TooFewRows;
use crate::features::{Columns, VolatilityModel};

/// A model and how it did on the bars it was not fitted on.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// What training says of it.
    pub metrics: TrainMetrics,
}

/// What training says of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainMetrics {
    /// Bars given.
    pub n_bars: usize,
    /// Windows with a known outcome.
    pub n_windows: usize,
    /// Epochs run, over all networks.
    pub epochs_run: usize,
    /// λ of each step.
    pub shrinkage: Vec<f64>,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A config that makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The series is too short for the config.
    #[error("{have} bars: this config needs {needed}")]
    TooFewBars {
        /// How many would do.
        needed: usize,
        /// How many there are.
        have: usize,
    },
    /// Loss or gradient became NaN or infinite.
    #[error("training diverged at step {step} of epoch {epoch}: try a lower learning_rate")]
    Diverged {
        /// Epoch, from 1.
        epoch: usize,
        /// Batch of the epoch, from 1.
        step: usize,
    },
    /// Canceled from outside.
    #[error("canceled")]
    Canceled,
    /// The deadline has passed.
    #[error("not done by its deadline")]
    DeadlineExceeded,
    /// The tensor library refused.
    #[error("network: {0}")]
    Network(#[from] candle_core::Error),
}

/// Bars below which a config cannot be trained: warm-up, window, horizon, and enough outcomes to learn from.
pub fn min_bars(config: &TrainConfig) -> usize {
    VolatilityModel::WARMUP + config.lookback + config.horizon.steps() + MIN_WINDOWS
}

/// Outcomes without which quantiles at 0.025 are a guess.
const MIN_WINDOWS: usize = 120;

/// Trains on all bars of a series.
///
/// # Errors
/// When the config makes no sense, the series is shorter than [`min_bars`], the loss diverges, or the job
/// is canceled or past its deadline.
pub fn train(series: &Series, config: &TrainConfig, control: &Control) -> Result<Trained, TrainError> {
    let started = Instant::now();
    config.check(&TrainLimits::NONE)?;
    control.check()?;
    let (needed, have) = (min_bars(config), series.len());
    let Some(last) = series.last().filter(|_| have >= needed) else {
        return Err(TrainError::TooFewBars { needed, have });
    };
    let columns = Columns::new(series);
    let first = VolatilityModel::WARMUP + config.lookback - 1;
    let rows: Vec<usize> = (first..columns.len() - 1).collect();
    let too_few = |error: TooFewRows| TrainError::TooFewBars { needed: have + error.needed - error.have, have };
    let base = Base::fit(&columns, &rows, config.horizon.steps(), &config.levels).map_err(too_few)?;
    let shrinkage = vec![0.0; config.horizon.steps()];
    let spec = ModelSpec {
        format: ModelSpec::FORMAT,
        config: config.clone(),
        trained_through: last.at(),
        n_bars: series.len(),
    };
    let model = Model { spec, members: vec![Member { base }; config.ensemble], shrinkage: shrinkage.clone() };
    (control.progress)(Progress::new(1, 1, started.elapsed()));
    let metrics = TrainMetrics { n_bars: series.len(), n_windows: rows.len(), epochs_run: 0, shrinkage };
    Ok(Trained { model, metrics })
}
