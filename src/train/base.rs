//! What a member of the ensemble knows before any network: volatility forecasts and the quantiles of
//! returns divided by them. An untrained network answers exactly this.

use crate::features::volatility::TooFewRows;
use crate::features::{Columns, Regressors, VolatilityModel};

/// The fitted base of one member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Base {
    /// One a step.
    pub(super) volatility: Vec<VolatilityModel>,
    /// `[step][level]`: empirical quantiles of return / volatility forecast.
    pub(super) quantiles: Vec<Vec<f64>>,
}

impl Base {
    /// Regressors of the volatility forecast.
    pub(super) const REGRESSORS: Regressors = Regressors::Har;

    /// Fits on the cutoffs `rows`, for steps `1..=n_steps`.
    pub(super) fn fit(columns: &Columns, rows: &[usize], n_steps: usize, levels: &[f64]) -> Result<Self, TooFewRows> {
        let (mut volatility, mut quantiles) = (Vec::new(), Vec::new());
        for step in 1..=n_steps {
            let model = VolatilityModel::fit(columns, step, Self::REGRESSORS, rows.iter().copied())?;
            let scaled = |row: &usize| Some(columns.future_return(*row, step)? / model.volatility(columns, *row));
            let mut sample: Vec<f64> = rows.iter().filter_map(scaled).collect();
            sample.sort_by(f64::total_cmp);
            quantiles.push(levels.iter().map(|level| empirical_quantile(&sample, *level)).collect());
            volatility.push(model);
        }
        Ok(Self { volatility, quantiles })
    }

    /// Quantiles of the log return `step_idx + 1` sessions after bar `bar_idx`, at the levels fitted.
    pub(super) fn forecast(&self, columns: &Columns, bar_idx: usize, step_idx: usize) -> Vec<f64> {
        let volatility = self.volatility[step_idx].volatility(columns, bar_idx);
        self.quantiles[step_idx].iter().map(|quantile| quantile * volatility).collect()
    }
}

/// Quantile of an ascending sample, linear between order statistics (type 7 of Hyndman & Fan 1996).
pub(super) fn empirical_quantile(sorted: &[f64], level: f64) -> f64 {
    let position = level * (sorted.len() - 1) as f64;
    let (low, rest) = (position.floor() as usize, position.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + rest * (sorted[high] - sorted[low])
}
