//! From bars to a [`Model`].

use serde::{Deserialize, Serialize};

use super::base::Base;
use super::checkpoint::Keeper;
use super::held_back::{HeldBack, trust};
use super::member::{Epoch, Material, Member, Validation};
use super::model::{Model, ModelSpec};
use super::{ConfigError, Control, ForecastError, Progress, TrainConfig, TrainLimits};
use crate::domain::{Series, counted};
use crate::features::{Columns, FeatureMatrix, RegressorTable, VolatilityModel};

/// A model and how it did on the bars it was not fitted on.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The model.
    pub model: Model,
    /// What training says of it.
    pub metrics: TrainMetrics,
    /// What its networks forecast of the bars they were not fitted on.
    pub held_back: HeldBack,
}

/// What training says of a model, all of it on bars held back from the network that forecast them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainMetrics {
    /// Bars given.
    pub n_bars: usize,
    /// Of them, those of which it was known what the market did.
    pub n_in_market: usize,
    /// Windows with a known outcome.
    pub n_windows: usize,
    /// Windows held back from one network or another.
    pub n_held_back: usize,
    /// Epochs run, over all networks.
    pub epochs_run: usize,
    /// Mean pinball loss as served, in units of the volatility forecast.
    pub validation_loss: f64,
    /// The same of untrained networks: quantiles of past returns over the volatility forecast.
    pub base_loss: f64,
    /// Which share of the networks' corrections is served, one a step, 0 to 1: what their gain on the untrained ones
    /// supports.
    pub network_trust: Vec<f64>,
    /// Share of next returns inside of central intervals.
    pub coverage: Vec<Coverage>,
    /// λ of each step: how much of the forecast's mean is supported.
    pub shrinkage: Vec<f64>,
}

/// How often an interval held what came.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// Asked for.
    pub level: f64,
    /// Seen.
    pub observed: f64,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A config that makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The series is too short for the config.
    #[error("{}: this config needs {needed}: send more, or ask for a shorter lookback or horizon", counted(*have, "bar"))]
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
    /// What the trained network says of the bars held back is no forecast.
    #[error("held-back bars: {0}")]
    HeldBack(#[from] ForecastError),
}

/// Bars below which a config cannot be trained: warm-up, window, horizon, and enough outcomes to learn from.
pub fn min_bars(config: &TrainConfig) -> usize {
    VolatilityModel::WARMUP + config.lookback + config.horizon.steps() + MIN_WINDOWS
}

/// Outcomes without which quantiles at 0.025 are a guess.
const MIN_WINDOWS: usize = 120;

/// Trains on all bars of a series.
///
/// With the checkpoint of an earlier attempt in `control` it goes on there, to the same bits.
///
/// # Errors
/// When the config makes no sense, the series is shorter than [`min_bars`], the loss diverges, or the job
/// is canceled or past its deadline.
pub fn train(series: &Series, config: &TrainConfig, control: &Control) -> Result<Trained, TrainError> {
    config.check(&TrainLimits::NONE)?;
    control.check()?;
    let (needed, have) = (min_bars(config), series.len());
    let Some(last) = series.last().filter(|_| have >= needed) else {
        return Err(TrainError::TooFewBars { needed, have });
    };
    let columns = Columns::new(series);
    let material = gather(&columns, config);
    let epochs = config.ensemble * config.epochs;
    let mut keeper = Keeper::new(control, series, config);
    let (mut members, mut validations) = (Vec::new(), Vec::new());
    for idx in 0..config.ensemble {
        let report = |epoch: Epoch| {
            let progress = Progress::new(idx * config.epochs + epoch.number, epochs, epoch.elapsed);
            let (train_loss, validation_loss) = (Some(epoch.train_loss), Some(epoch.validation_loss));
            (control.progress)(Progress { train_loss, validation_loss, ..progress });
        };
        let (member, validation) = Member::fit(&material, config, idx, &mut keeper, &report)?;
        members.push(member);
        validations.push(validation);
    }
    let of_step = |step_idx: usize| {
        let gains = validations.iter().flat_map(|validation| validation.gains[step_idx].iter().copied());
        trust(&gains.collect::<Vec<_>>(), step_idx + 1)
    };
    let network_trust: Vec<f64> = (0..config.horizon.steps()).map(of_step).collect();
    for (member, validation) in members.iter().zip(&mut validations) {
        member.forecast_held_back(validation, &material, config, &network_trust)?;
    }
    let held_back = HeldBack::new(&columns, config, &validations)?;
    let counts = (series.len(), material.cutoffs.len());
    let metrics = score(&columns, config, &validations, &held_back, network_trust.clone(), counts);
    let spec = ModelSpec {
        format: ModelSpec::FORMAT,
        config: config.clone(),
        trained_through: last.at(),
        n_bars: series.len(),
    };
    Ok(Trained {
        model: Model { spec, members, network_trust, shrinkage: metrics.shrinkage.clone() },
        metrics,
        held_back,
    })
}

fn gather<'a>(columns: &'a Columns, config: &TrainConfig) -> Material<'a> {
    let first = VolatilityModel::WARMUP - 1;
    let cutoffs = first + config.lookback..columns.len() - config.horizon.steps();
    Material {
        columns,
        table: RegressorTable::new(columns, Base::IN_MARKET, first),
        features: FeatureMatrix::new(columns, &config.features, first),
        cutoffs: cutoffs.collect(),
    }
}

fn score(
    columns: &Columns,
    config: &TrainConfig,
    validations: &[Validation],
    held_back: &HeldBack,
    network_trust: Vec<f64>,
    (n_bars, n_windows): (usize, usize),
) -> TrainMetrics {
    let n_held_back = held_back.cutoffs.len();
    let mean = |loss: fn(&Validation) -> f64| {
        validations.iter().map(|v| loss(v) * v.cutoffs.len() as f64).sum::<f64>() / n_held_back.max(1) as f64
    };
    TrainMetrics {
        n_bars,
        n_in_market: columns.market.iter().flatten().count(),
        n_windows,
        n_held_back,
        epochs_run: validations.iter().map(|validation| validation.epochs).sum(),
        validation_loss: mean(|validation| validation.losses.1),
        base_loss: mean(|validation| validation.losses.0),
        network_trust,
        coverage: [0.8, 0.95].map(|level| Coverage { level, observed: held_back.coverage(columns, level) }).to_vec(),
        shrinkage: (0..config.horizon.steps()).map(|idx| held_back.shrinkage(columns, idx)).collect(),
    }
}
