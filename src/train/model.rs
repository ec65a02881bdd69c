//! A fitted model, and what it forecasts.

use serde::{Deserialize, Serialize};

use super::TrainConfig;
use super::artifact::{self, ArtifactError, Table};
use super::base::Base;
use super::member::{Member, returns};
use crate::domain::quantiles::QuantilesError;
use crate::domain::{BarTime, Quantiles, Series};
use crate::features::{Columns, FeatureMatrix, RegressorTable, VolatilityModel};

/// All of a model that is not a number of its fit: those lie in the safetensors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelSpec {
    /// Version of this layout; another one is refused.
    pub format: u32,
    /// What was trained.
    pub config: TrainConfig,
    /// The newest bar that training saw.
    pub trained_through: BarTime,
    /// Bars that training saw.
    pub n_bars: usize,
}

impl ModelSpec {
    /// The layout written by this version.
    pub const FORMAT: u32 = 6;
}

/// A fitted model; made by [`train`](super::train) or read by [`Model::from_parts`].
#[derive(Debug, Clone)]
pub struct Model {
    pub(super) spec: ModelSpec,
    pub(super) members: Vec<Member>,
    /// Share of the networks' corrections that is made, one a step, 0 to 1.
    pub(super) network_trust: Vec<f64>,
    /// λ of each step: how much of the forecast's mean the held-back bars support, 0 to 1.
    pub(super) shrinkage: Vec<f64>,
}

/// Why there is no forecast.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ForecastError {
    /// The window is longer than the series.
    #[error("{have} bars: this model reads {needed}")]
    TooFewBars {
        /// How many it reads.
        needed: usize,
        /// How many there are.
        have: usize,
    },
    /// A cutoff past the end.
    #[error("cutoff {cutoff} of a series of {have} bars")]
    NoSuchBar {
        /// The position asked for.
        cutoff: usize,
        /// How many there are.
        have: usize,
    },
    /// The network gave numbers that are no distribution.
    #[error("step {step}: {source}")]
    NotADistribution {
        /// Sessions ahead.
        step: usize,
        /// What is wrong.
        source: QuantilesError,
    },
    /// The tensor library refused.
    #[error("network: {message}")]
    Network {
        /// Its words.
        message: String,
    },
}

impl Model {
    /// Forecasts from the last bar: the log return from its close, one distribution a step `1..=horizon`.
    ///
    /// # Errors
    /// With fewer than [`min_bars`](Self::min_bars) bars.
    pub fn forecast(&self, series: &Series) -> Result<Vec<Quantiles>, ForecastError> {
        self.check_length(series.len())?;
        let columns = Columns::new(&series.slice(series.len().saturating_sub(self.memory())..series.len()));
        Ok(self.forecast_columns(&columns, &[columns.len() - 1])?.swap_remove(0))
    }

    /// Forecasts from each of the bars at positions `cutoffs`, seeing no bar after it.
    ///
    /// # Errors
    /// When a cutoff is past the end or has fewer than [`min_bars`](Self::min_bars) bars up to it.
    pub fn forecast_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, ForecastError> {
        let columns = Columns::new(series);
        for cutoff in cutoffs {
            if *cutoff >= series.len() {
                return Err(ForecastError::NoSuchBar { cutoff: *cutoff, have: series.len() });
            }
            self.check_length(cutoff + 1)?;
        }
        self.forecast_columns(&columns, cutoffs)
    }

    /// The point forecast of a step's log return: the distribution's mean, shrunk toward "no change" by what
    /// the held-back bars support.
    ///
    /// * `step` 1 for the next session
    pub fn point(&self, step: usize, forecast: &Quantiles) -> f64 {
        self.shrinkage(step) * forecast.mean()
    }

    /// λ of [`point`](Self::point): 0 answers "no change", 1 the distribution's mean.
    pub fn shrinkage(&self, step: usize) -> f64 {
        step.checked_sub(1).and_then(|idx| self.shrinkage.get(idx)).copied().unwrap_or(0.0)
    }

    /// Which share of the networks' corrections is in a step's forecast, 0 to 1.
    pub fn network_trust(&self, step: usize) -> f64 {
        step.checked_sub(1).and_then(|idx| self.network_trust.get(idx)).copied().unwrap_or(0.0)
    }

    /// Bars of the network's window.
    pub fn lookback(&self) -> usize {
        self.spec.config.lookback
    }

    /// Bars without which there is no forecast: the window, and a month of volatility before it.
    pub fn min_bars(&self) -> usize {
        self.lookback() + VolatilityModel::WARMUP
    }

    /// Bars that the forecast reads where there are as many; older ones change nothing.
    pub fn memory(&self) -> usize {
        self.lookback() + Columns::MEMORY
    }

    /// Whether it learned what the market says of the ticker.
    pub fn reads_market(&self) -> bool {
        self.members.iter().any(|member| !member.base.in_market.is_empty())
    }

    /// What was trained.
    pub fn config(&self) -> &TrainConfig {
        &self.spec.config
    }

    /// All of the model that is not a tensor.
    pub fn spec(&self) -> &ModelSpec {
        &self.spec
    }

    /// Every fitted number as a safetensors file; with [`spec`](Self::spec) it is the whole model.
    ///
    /// * `tables` numbers to keep beside it in the same file
    ///
    /// # Errors
    /// When the tensors cannot be read or written.
    pub fn to_safetensors(&self, tables: &[Table]) -> Result<Vec<u8>, ArtifactError> {
        artifact::write(self, tables)
    }

    /// Reads a model back, and the tables beside it: the same forecasts and numbers, bit by bit.
    ///
    /// # Errors
    /// When the layout is another version's, the config makes no sense, or a tensor is missing, unknown, of
    /// another shape or type, or not finite.
    pub fn from_parts(spec: ModelSpec, safetensors: &[u8]) -> Result<(Self, Vec<Table>), ArtifactError> {
        artifact::read(spec, safetensors)
    }

    fn check_length(&self, have: usize) -> Result<(), ForecastError> {
        match have < self.min_bars() {
            true => Err(ForecastError::TooFewBars { needed: self.min_bars(), have }),
            false => Ok(()),
        }
    }

    fn forecast_columns(&self, columns: &Columns, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, ForecastError> {
        let config = &self.spec.config;
        let (n_steps, n_levels) = (config.horizon.steps(), config.levels.len());
        let Some(earliest) = cutoffs.iter().min() else { return Ok(Vec::new()) };
        let residuals_from = earliest.saturating_sub(Base::RESIDUALS + 1).max(VolatilityModel::WARMUP - 1);
        let table = RegressorTable::new(columns, Base::IN_MARKET, residuals_from);
        let features = FeatureMatrix::new(columns, &config.features, earliest + 1 - config.lookback);
        let mut mean = vec![0.0; cutoffs.len() * n_steps * n_levels];
        for member in &self.members {
            let places = member.base.places(columns, &table, cutoffs);
            let inputs = features.scaled(&member.scaler);
            let scaled = member
                .scaled_quantiles(&inputs, cutoffs, config.batch_size, &self.network_trust)
                .map_err(|error| ForecastError::Network { message: error.to_string() })?;
            for (sum, value) in mean.iter_mut().zip(returns(&scaled, &places)) {
                *sum += value / self.members.len() as f64;
            }
        }
        mean.chunks(n_steps * n_levels).map(|flat| distributions(config, flat)).collect()
    }
}

/// `[step][level]` flat to one distribution a step, as a config's model forecasts them.
pub(super) fn distributions(config: &TrainConfig, flat: &[f64]) -> Result<Vec<Quantiles>, ForecastError> {
    let mut steps: Vec<Vec<f64>> = flat.chunks(config.levels.len()).map(<[f64]>::to_vec).collect();
    widen_with_the_horizon(&mut steps, config.middle());
    let distribution = |(idx, values)| {
        Quantiles::new(config.levels.clone(), values)
            .map_err(|source| ForecastError::NotADistribution { step: idx + 1, source })
    };
    steps.into_iter().enumerate().map(distribution).collect()
}

/// Makes each stretch between neighboring quantiles at least as long as one step before: more sessions
/// ahead never look more certain, in any interval.
fn widen_with_the_horizon(steps: &mut [Vec<f64>], middle: usize) {
    for idx in 1..steps.len() {
        let (before, after) = steps.split_at_mut(idx);
        let (before, after) = (&before[idx - 1], &mut after[0]);
        let stretches: Vec<f64> =
            before.windows(2).zip(after.windows(2)).map(|(b, a)| (b[1] - b[0]).max(a[1] - a[0])).collect();
        for level in middle + 1..after.len() {
            after[level] = after[level - 1] + stretches[level - 1];
        }
        for level in (0..middle).rev() {
            after[level] = after[level + 1] - stretches[level];
        }
    }
}
