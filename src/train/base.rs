//! What a member of the ensemble knows before any network: volatility forecasts and the quantiles of
//! returns divided by them. An untrained network answers exactly this.

use statrs::distribution::{ContinuousCDF, StudentsT};

use super::lean::{Lean, Place, STATES, states};
use crate::features::volatility::TooFewRows;
use crate::features::{Columns, RegressorTable, Regressors, VolatilityModel};

/// The fitted base of one member.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Base {
    /// By the ticker's own bars, one a step.
    pub(super) volatility: Vec<VolatilityModel>,
    /// By those and the market, one a step, for bars whose market is known; none where too few were in fitting.
    pub(super) in_market: Vec<VolatilityModel>,
    /// Mean of |return / forecast| one session ahead in fitting: what the recent ones are held against.
    pub(super) typical: f64,
    /// What the last sessions do to the distribution of return / scale.
    pub(super) lean: Lean,
    /// `[step][level]`: quantiles of return / scale, less the lean, see [`shape`].
    pub(super) quantiles: Vec<Vec<f64>>,
}

/// Cutoffs with a known market below which what it says of the ticker is not learned: half a year.
const MIN_IN_MARKET: usize = 125;

/// Weight of a bar's residual against the next one's in [`Base::level`]; a quarter's memory. A month's follows a
/// crash more closely and costs more than it gives in every calmer year.
const DECAY: f64 = 0.98;
/// The typical residual counts as this many bars, so that a short history moves nothing.
const PRIOR_BARS: f64 = 5.0;
/// One wild return says "a jump", not "a new level": residuals count up to this many typical ones.
const CUT: f64 = 4.0;

impl Base {
    /// Regressors of the volatility forecast by the ticker's own bars.
    pub(super) const ALONE: Regressors = Regressors::Extended;
    /// Regressors of the one by its market too; a table of them has all that a base reads.
    pub(super) const IN_MARKET: Regressors = Regressors::InMarket;
    /// Bars of residuals that [`level`](Self::level) reads; beyond, their weight is below 0.7 %.
    pub(super) const RESIDUALS: usize = 250;

    /// Fits on the cutoffs `rows`, for steps `1..=n_steps`; `table` holds every bar's regressors,
    /// [`IN_MARKET`](Self::IN_MARKET).
    pub(super) fn fit(
        columns: &Columns,
        table: &RegressorTable,
        rows: &[usize],
        n_steps: usize,
        levels: &[f64],
    ) -> Result<Self, TooFewRows> {
        let known = || rows.iter().copied();
        let alone = |step| VolatilityModel::fit_table(columns, table, Self::ALONE, step, known());
        let volatility: Vec<VolatilityModel> = (1..=n_steps).map(alone).collect::<Result<_, _>>()?;
        let n_in_market = known().filter(|row| table.row(Self::IN_MARKET, *row).is_some()).count();
        let corrected = |alone: &VolatilityModel| alone.corrected(columns, table, Self::IN_MARKET, known());
        let in_market = match n_in_market < MIN_IN_MARKET {
            true => Vec::new(),
            false => volatility.iter().map(corrected).collect::<Result<_, _>>()?,
        };
        let lean = Lean::none(&[], n_steps);
        let mut base = Self { volatility, in_market, typical: 1.0, lean, quantiles: Vec::with_capacity(n_steps) };
        let residuals = base.residuals(columns, table);
        let ahead: Vec<f64> = rows.iter().filter_map(|row| residuals.get(row - table.first()).copied()).collect();
        let distances: f64 = ahead.iter().map(|residual| residual.abs()).sum();
        base.typical = (distances / ahead.len() as f64).max(f64::MIN_POSITIVE);
        let (states, scales): (Vec<_>, Vec<_>) = base.conditions(columns, table, rows).into_iter().unzip();
        base.lean = Lean::none(&states, n_steps);
        for step_idx in 0..n_steps {
            let returns = rows.iter().zip(&scales).map(|(row, scales)| {
                // Cutoffs are fitted on when their outcomes are known.
                columns.future_return(*row, step_idx + 1).unwrap_or(0.0) / scales[step_idx]
            });
            let returns: Vec<f64> = returns.collect();
            let sorted = ascending(returns.clone());
            let quantiles = shape(&sorted, levels);
            let densities: Vec<f64> = levels.iter().map(|level| density(&sorted, *level)).collect();
            base.lean.fit_step(step_idx, &states, &returns, (levels, &quantiles, &densities));
            let centered = returns.iter().zip(&states).map(|(value, states)| {
                let place = base.lean.place(step_idx, states, 1.0);
                value / place.scale - place.center
            });
            let centered = ascending(centered.collect());
            base.quantiles.push(shape(&centered, levels));
        }
        Ok(base)
    }

    /// Where each step's return lies as known at the bars `cutoffs`, `[cutoff][step]`.
    pub(super) fn places(&self, columns: &Columns, table: &RegressorTable, cutoffs: &[usize]) -> Vec<Vec<Place>> {
        let place = |(states, scales): (_, Vec<f64>)| {
            let of_step = |(step_idx, scale): (usize, &f64)| self.lean.place(step_idx, &states, *scale);
            scales.iter().enumerate().map(of_step).collect()
        };
        self.conditions(columns, table, cutoffs).into_iter().map(place).collect()
    }

    /// States of the bars `cutoffs` and the scale of each step's return as known there, `[cutoff][step]`: the volatility
    /// forecast times how far off it was of late.
    ///
    /// A regression of ranges knows the level of returns only as it was in fitting, and that moves: overnight and
    /// intraday shares change, so do ticks and hours. Half of the recent error (in logs) is carried on.
    fn conditions(
        &self,
        columns: &Columns,
        table: &RegressorTable,
        cutoffs: &[usize],
    ) -> Vec<([f64; STATES], Vec<f64>)> {
        let residuals = self.residuals(columns, table);
        let condition = |cutoff: &usize| {
            let known = &residuals[..cutoff - table.first()];
            let known = &known[known.len().saturating_sub(Self::RESIDUALS)..];
            let level = self.level(known);
            let scale = |step_idx| self.volatility_at(step_idx, table, *cutoff) * level;
            let scales: Vec<f64> = (0..self.volatility.len()).map(scale).collect();
            (states(columns, *cutoff, known, scales[0]), scales)
        };
        cutoffs.iter().map(condition).collect()
    }

    /// Return / forecast made a bar before, of every bar of the table but the first.
    fn residuals(&self, columns: &Columns, table: &RegressorTable) -> Vec<f64> {
        let residual = |idx: usize| columns.return_log[idx] / self.volatility_at(0, table, idx - 1);
        (table.first() + 1..columns.len()).map(residual).collect()
    }

    /// The volatility forecast of step `step_idx + 1`: by the market too where it is known, else by the ticker alone.
    fn volatility_at(&self, step_idx: usize, table: &RegressorTable, bar_idx: usize) -> f64 {
        let in_market = self.in_market.get(step_idx).and_then(|model| model.volatility_in(table, bar_idx));
        // A ticker's own regressors are known at each of its bars.
        in_market.or_else(|| self.volatility[step_idx].volatility_in(table, bar_idx)).unwrap_or(f64::NAN)
    }

    fn level(&self, residuals: &[f64]) -> f64 {
        let (mut sum, mut weights, mut weight) = (PRIOR_BARS * self.typical, PRIOR_BARS, 1.0);
        for residual in residuals.iter().rev() {
            sum += weight * residual.abs().min(CUT * self.typical);
            weights += weight;
            weight *= DECAY;
        }
        (sum / weights / self.typical).sqrt()
    }
}

/// Quantiles of an ascending sample, drawn toward those of a Student-t of its median and mean deviation: a few thousand
/// returns say little of quantiles far out, and the returns of all markets are much alike there.
fn shape(sample: &[f64], levels: &[f64]) -> Vec<f64> {
    let median = empirical_quantile(sample, 0.5);
    let n_returns = sample.len() as f64;
    let deviation = sample.iter().map(|value| (value - median).abs()).sum::<f64>() / n_returns;
    let prior = PRIOR_RETURNS / (n_returns + PRIOR_RETURNS);
    let quantile = |level: &f64| {
        let usual = median + deviation / STUDENT_DEVIATION * student_quantile(*level);
        prior * usual + (1.0 - prior) * empirical_quantile(sample, *level)
    };
    levels.iter().map(quantile).collect()
}

/// The Student-t counts as this many returns.
const PRIOR_RETURNS: f64 = 1000.0;
/// Its degrees of freedom.
const FREEDOM: f64 = 5.0;
/// Its mean deviation, `4 √5 / (3 π)`.
const STUDENT_DEVIATION: f64 = 0.949_016_7;

fn student_quantile(level: f64) -> f64 {
    StudentsT::new(0.0, 1.0, FREEDOM).map_or(f64::NAN, |student| student.inverse_cdf(level))
}

pub(super) fn ascending(mut sample: Vec<f64>) -> Vec<f64> {
    sample.sort_by(f64::total_cmp);
    sample
}

/// Density of an ascending sample around its quantile at `level`: the share of a stretch of levels by its length.
pub(super) fn density(sorted: &[f64], level: f64) -> f64 {
    let reach = (0.5 * level.min(1.0 - level)).min(0.05);
    let length = empirical_quantile(sorted, level + reach) - empirical_quantile(sorted, level - reach);
    2.0 * reach / length.max(1e-6)
}

/// Quantile of an ascending sample, linear between order statistics (type 7 of Hyndman & Fan 1996).
pub(super) fn empirical_quantile(sorted: &[f64], level: f64) -> f64 {
    let position = level * (sorted.len() - 1) as f64;
    let (low, rest) = (position.floor() as usize, position.fract());
    let high = (low + 1).min(sorted.len() - 1);
    sorted[low] + rest * (sorted[high] - sorted[low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_returns_have_the_usual_shape_and_many_their_own() {
        let levels = [0.025, 0.5, 0.975];
        // Uniform on (0, 2): mean deviation one half, no tails.
        let uniform = |n: usize| (0..n).map(|idx| (2 * idx + 1) as f64 / n as f64).collect::<Vec<_>>();
        let (few, many) = (shape(&uniform(20), &levels), shape(&uniform(1_000_000), &levels));
        // scipy.stats.t.ppf(0.975, 5) = 2.5706 of mean deviation 0.9490.
        assert!((few[2] - (1.0 + 0.5 * 2.5706 / 0.9490)).abs() < 0.02, "{few:?}");
        assert!((few[1] - 1.0).abs() < 1e-12 && (few[0] + few[2] - 2.0).abs() < 1e-9, "{few:?}");
        assert!((many[2] - 1.95).abs() < 1e-3 && (many[0] - 0.05).abs() < 1e-3, "{many:?}");
        assert!(shape(&[0.3; 60], &levels).iter().all(|value| (value - 0.3).abs() < 1e-12), "one return only");
    }
}
