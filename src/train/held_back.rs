//! Forecasts of bars that the network which made them was not fitted on.

use super::config::TrainConfig;
use super::member::Validation;
use super::model::{ForecastError, distributions};
use crate::domain::Quantiles;
use crate::features::Columns;

/// Every held-back cutoff, forecast by the one member whose weights, scaler and volatility regression had not seen
/// its outcome. What did see it: the choice of the epoch to stop at, the share of the
/// networks that is trusted, and λ of the served model.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldBack {
    /// Positions of bars in the series trained on, ascending.
    pub cutoffs: Vec<usize>,
    /// `[cutoff][step]`, log return from the cutoff's close.
    pub forecasts: Vec<Vec<Quantiles>>,
    /// Point forecasts one session ahead, `[cutoff]`. λ of each was estimated without the fifth that the cutoff lies
    /// in: the served λ would know the outcome that it is scored on.
    pub points: Vec<f64>,
}

/// Parts of the held-back cutoffs; λ of one is estimated on the others.
const PARTS: usize = 5;

impl HeldBack {
    /// Puts the members' stretches in order of time.
    pub(super) fn new(
        columns: &Columns,
        config: &TrainConfig,
        validations: &[Validation],
    ) -> Result<Self, ForecastError> {
        let width = config.horizon.steps() * config.levels.len();
        let (mut cutoffs, mut forecasts) = (Vec::new(), Vec::new());
        // Stretches go backward from the newest.
        for validation in validations.iter().rev() {
            cutoffs.extend_from_slice(&validation.cutoffs);
            for flat in validation.quantiles.chunks(width) {
                forecasts.push(distributions(config, flat)?);
            }
        }
        let mut held_back = Self { cutoffs, forecasts, points: Vec::new() };
        held_back.points = held_back.cross_fitted_points(columns);
        Ok(held_back)
    }

    /// Share of next returns inside of the central interval of a level.
    pub(super) fn coverage(&self, columns: &Columns, level: f64) -> f64 {
        let is_inside = |(forecast, outcome): &(&Quantiles, f64)| {
            (forecast.at(0.5 - level / 2.0)..=forecast.at(0.5 + level / 2.0)).contains(outcome)
        };
        let n_inside = self.outcomes(columns, 0).filter(is_inside).count();
        n_inside as f64 / self.cutoffs.len().max(1) as f64
    }

    /// λ of step `step_idx + 1` by all held-back outcomes.
    pub(super) fn shrinkage(&self, columns: &Columns, step_idx: usize) -> f64 {
        shrinkage(self.outcomes(columns, step_idx).map(|(forecast, outcome)| (mean_of(forecast), outcome)), step_idx)
    }

    fn cross_fitted_points(&self, columns: &Columns) -> Vec<f64> {
        let pairs: Vec<(f64, f64)> =
            self.outcomes(columns, 0).map(|(forecast, outcome)| (mean_of(forecast), outcome)).collect();
        let part_len = pairs.len().div_ceil(PARTS).max(1);
        let shrinkages: Vec<f64> = (0..pairs.len().div_ceil(part_len))
            .map(|part| {
                let (start, end) = (part * part_len, ((part + 1) * part_len).min(pairs.len()));
                shrinkage(pairs[..start].iter().chain(&pairs[end..]).copied(), 0)
            })
            .collect();
        let point = |(idx, steps): (usize, &Vec<Quantiles>)| shrinkages[idx / part_len] * steps[0].mean();
        self.forecasts.iter().enumerate().map(point).collect()
    }

    /// Each cutoff's forecast of step `step_idx + 1` and what came.
    fn outcomes<'a>(&'a self, columns: &'a Columns, step_idx: usize) -> impl Iterator<Item = (&'a Quantiles, f64)> {
        // Windows are held back only where every outcome is known.
        self.cutoffs
            .iter()
            .zip(&self.forecasts)
            .filter_map(move |(cutoff, steps)| Some((&steps[step_idx], columns.future_return(*cutoff, step_idx + 1)?)))
    }
}

/// The factor between 0 and 1 by which forecast means should be multiplied: the slope of outcomes on means
/// through 0, times 1 − 9 / t² of that slope, so that a slope which chance explains (t up to 3) counts for nothing.
/// Means are large where markets move, and so are errors: t is by the standard error that allows for that.
///
/// * `pairs` (forecast mean, outcome), log return over `step_idx + 1` sessions
///
/// Source: positive-part shrinkage after James & Stein (1961), "Estimation with Quadratic Loss"; the standard error of
/// White (1980), "A Heteroskedasticity-Consistent Covariance Matrix Estimator", Econometrica 48.
fn shrinkage(pairs: impl Iterator<Item = (f64, f64)>, step_idx: usize) -> f64 {
    let pairs: Vec<(f64, f64)> = pairs.collect();
    let sum = |term: &dyn Fn(f64, f64) -> f64| pairs.iter().map(|(mean, outcome)| term(*mean, *outcome)).sum::<f64>();
    let (cross, square) = (sum(&|mean, outcome| mean * outcome), sum(&|mean, _| mean * mean));
    if square <= 0.0 || cross <= 0.0 || pairs.len() < 3 {
        return 0.0;
    }
    let slope = cross / square;
    // Outcomes of several sessions overlap: as many are independent as fit one after the other.
    let independent = (step_idx + 1) as f64;
    let spread = sum(&|mean, outcome| (mean * (outcome - slope * mean)).powi(2)) * independent;
    let t_squared = cross * cross / spread.max(f64::MIN_POSITIVE);
    slope.min(1.0) * (1.0 - MIN_T * MIN_T / t_squared).max(0.0)
}

/// Which share of the networks' corrections the held-back bars support, 0 to 1: `1 − 4 / t²` of their mean gain on the
/// base, so that a gain which chance explains (t up to 2; the same bars chose the epoch to stop at) counts for nothing.
///
/// * `gains` base's pinball loss less the network's, one a held-back cutoff, over outcomes of `n_sessions`
///
/// Source: positive-part shrinkage after James & Stein (1961), "Estimation with Quadratic Loss".
pub(super) fn trust(gains: &[f64], n_sessions: usize) -> f64 {
    let n_gains = gains.len().max(1) as f64;
    let mean = gains.iter().sum::<f64>() / n_gains;
    let spread = gains.iter().map(|gain| (gain - mean).powi(2)).sum::<f64>() / n_gains;
    if mean <= 0.0 {
        return 0.0;
    }
    // Outcomes of several sessions overlap: as many are independent as fit one after the other.
    let t_squared = mean * mean * n_gains / (spread * n_sessions as f64).max(f64::MIN_POSITIVE);
    (1.0 - MIN_T_OF_GAIN * MIN_T_OF_GAIN / t_squared).max(0.0)
}

const MIN_T_OF_GAIN: f64 = 2.0;

/// Slopes whose t is not above this are taken for chance. With 2, one ticker of forty lost to "no change" by more than
/// chance would; with 3 an autocorrelation of 0.2 is still found in a year and a half.
const MIN_T: f64 = 3.0;

/// Mean of a distribution by its given quantiles: each stands for the levels nearest to it. Quicker than
/// [`Quantiles::mean`], which also counts the tails.
fn mean_of(forecast: &Quantiles) -> f64 {
    let levels = forecast.levels();
    let edge = |idx: usize| match idx {
        0 => 0.0,
        idx if idx == levels.len() => 1.0,
        idx => 0.5 * (levels[idx - 1] + levels[idx]),
    };
    forecast.values().iter().enumerate().map(|(idx, value)| value * (edge(idx + 1) - edge(idx))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_that_chance_explains_counts_for_nothing_and_a_clear_one_nearly_whole() {
        let noise = |idx: usize| if idx.is_multiple_of(2) { 1.0 } else { -1.0 };
        let mean = |idx: usize| if (idx / 2).is_multiple_of(2) { 0.1 } else { -0.1 };
        let unrelated = (0..200).map(|idx| (mean(idx), noise(idx)));
        assert_eq!(shrinkage(unrelated, 0), 0.0);
        let related = (0..2_000).map(|idx| (mean(idx), mean(idx) + 0.2 * noise(idx)));
        let found = shrinkage(related, 0);
        assert!(found > 0.95 && found <= 1.0, "{found}");
    }

    #[test]
    fn networks_are_trusted_by_what_they_gain_beyond_chance() {
        let gains = |mean: f64| (0..400).map(|idx| mean + if idx % 2 == 0 { 1.0 } else { -1.0 }).collect::<Vec<_>>();
        // The standard error of 400 such gains is 0.05.
        assert!((trust(&gains(0.4), 1) - (1.0 - 4.0 / 64.0)).abs() < 1e-9);
        assert!((trust(&gains(0.4), 4) - (1.0 - 4.0 / 16.0)).abs() < 1e-9, "a fourth is independent");
        assert_eq!((trust(&gains(0.09), 1), trust(&gains(-0.4), 1), trust(&[], 1)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn the_mean_weighs_each_quantile_by_the_levels_nearest_to_it() {
        let forecast = Quantiles::new(vec![0.25, 0.5, 0.75], vec![-1.0, 0.0, 3.0]).expect("ascending");
        assert!((mean_of(&forecast) - (-0.375 + 3.0 * 0.375)).abs() < 1e-12);
    }
}
