//! A baseline that was fitted, and what it forecasts.

use super::garch::{self, Garch};
use super::volatility::Volatility;
use super::{BASELINE_LEVELS, Baseline, MIN_RETURNS, empirical_quantiles};
use crate::domain::{Quantiles, Series};
use crate::evaluate::{EvaluateError, Forecaster};
use crate::features::{Columns, VolatilityModel};

/// Bars whose returns historical simulation repeats.
const HISTORICAL_WINDOW: usize = 500;

/// A baseline with its parameters; its state is computed from the bars it is shown.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedBaseline {
    pub(super) baseline: Baseline,
    pub(super) drift: f64,
    pub(super) volatility: Volatility,
    /// `[step][level]`, at [`BASELINE_LEVELS`].
    pub(super) shapes: Vec<Vec<f64>>,
}

impl FittedBaseline {
    /// Which baseline it is.
    pub fn baseline(&self) -> Baseline {
        self.baseline
    }

    /// The parameters, where it is GARCH.
    pub fn garch(&self) -> Option<Garch> {
        match self.volatility {
            Volatility::Garch(garch) => Some(garch),
            Volatility::Constant | Volatility::Ewma | Volatility::Har(_) => None,
        }
    }

    /// GARCH one session ahead, from parameters that were fitted before.
    pub fn of_garch(garch: Garch) -> Self {
        let shape = BASELINE_LEVELS.map(|level| garch::student_quantile(garch.freedom, level)).to_vec();
        Self { baseline: Baseline::Garch, drift: garch.mu, volatility: Volatility::Garch(garch), shapes: vec![shape] }
    }

    fn step_at(&self, columns: &Columns, cutoffs: &[usize], step: usize) -> Vec<Vec<f64>> {
        if self.baseline == Baseline::Historical {
            return cutoffs.iter().map(|cutoff| recent_quantiles(columns, *cutoff, step)).collect();
        }
        let location = self.drift * step as f64;
        let scaled = |volatility: f64| self.shapes[step - 1].iter().map(|q| location + volatility * q).collect();
        self.volatility.at(columns, cutoffs, step).into_iter().map(scaled).collect()
    }
}

impl Forecaster for FittedBaseline {
    fn forecast_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, EvaluateError> {
        let have = series.len();
        // The longest memory needed before a forecast means anything; the parameters were fitted elsewhere.
        let needed = VolatilityModel::WARMUP + MIN_RETURNS;
        for cutoff in cutoffs {
            if *cutoff >= have {
                return Err(EvaluateError::NoSuchBar { cutoff: *cutoff, have });
            }
            if *cutoff < self.shapes.len().max(MIN_RETURNS) {
                let method = self.baseline.name().to_owned();
                return Err(EvaluateError::TooFewBars { method, needed, have: cutoff + 1 });
            }
        }
        let columns = Columns::new(series);
        let mut forecasts: Vec<Vec<Vec<f64>>> = vec![Vec::with_capacity(self.shapes.len()); cutoffs.len()];
        for step in 1..=self.shapes.len() {
            for (steps, values) in forecasts.iter_mut().zip(self.step_at(&columns, cutoffs, step)) {
                steps.push(values);
            }
        }
        let method = || self.baseline.name().to_owned();
        let distribution = |values| {
            Quantiles::new(BASELINE_LEVELS.to_vec(), values)
                .map_err(|error| EvaluateError::Method { method: method(), message: error.to_string() })
        };
        let steps = |mut steps: Vec<Vec<f64>>| {
            widen_with_step(&mut steps);
            steps.into_iter().map(distribution).collect()
        };
        forecasts.into_iter().map(steps).collect()
    }

    fn point(&self, step: usize, forecast: &Quantiles) -> f64 {
        match self.baseline {
            Baseline::Naive => 0.0,
            Baseline::Drift | Baseline::Garch => self.drift * step as f64,
            Baseline::Historical | Baseline::Ewma | Baseline::Har => forecast.mean(),
        }
    }
}

/// More sessions ahead never look more certain: each quantile is at least as far from the median as one
/// step before.
fn widen_with_step(steps: &mut [Vec<f64>]) {
    let middle = BASELINE_LEVELS.len() / 2;
    for idx in 1..steps.len() {
        let (before, after) = steps.split_at_mut(idx);
        let (before, after) = (&before[idx - 1], &mut after[0]);
        let (median_before, median) = (before[middle], after[middle]);
        for (value, earlier) in after[..middle].iter_mut().zip(before) {
            *value = value.min(median + earlier - median_before);
        }
        for (value, earlier) in after[middle + 1..].iter_mut().zip(&before[middle + 1..]) {
            *value = value.max(median + earlier - median_before);
        }
    }
}

/// Quantiles of the returns over `step` sessions that ended in the window before a cutoff.
fn recent_quantiles(columns: &Columns, cutoff: usize, step: usize) -> Vec<f64> {
    let first = (cutoff + 1).saturating_sub(HISTORICAL_WINDOW).max(step);
    let closes = &columns.close_log;
    let mut sample: Vec<f64> = (first..=cutoff).map(|end| closes[end] - closes[end - step]).collect();
    empirical_quantiles(&mut sample)
}
