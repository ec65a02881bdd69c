//! Forecasts beside what came true, and all their scores at once.

use serde::{Deserialize, Serialize};

use super::metrics::{self, Comparison, PesaranTimmermann};
use crate::domain::{Level, Quantiles};

/// Levels at which distributions are scored (and the panel protocol compares models).
pub const SCORE_LEVELS: [f64; 13] = [0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975];

/// One forecast of one step, and what came true; all in log return from the last close known.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The distribution that was forecast.
    pub forecast: Quantiles,
    /// The point forecast.
    pub point: f64,
    /// The return that came true.
    pub truth: f64,
}

impl Outcome {
    /// Truth minus point forecast.
    pub fn error(&self) -> f64 {
        self.truth - self.point
    }

    /// Whether the truth lies in the central interval of a level, ends included.
    pub fn is_inside(&self, level: Level) -> bool {
        (self.forecast.at(level.lower())..=self.forecast.at(level.upper())).contains(&self.truth)
    }

    /// Mean pinball loss at [`SCORE_LEVELS`].
    pub fn pinball(&self) -> f64 {
        metrics::pinball_of(&self.forecast, &SCORE_LEVELS, self.truth)
    }
}

/// How the intervals of one level did.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IntervalScores {
    /// The probability that the interval is meant to cover.
    pub level: f64,
    /// The share of truths inside.
    pub observed: f64,
    /// Mean width, in log return.
    pub width: f64,
    /// Mean Winkler score.
    pub winkler: f64,
}

/// All scores of a run of forecasts; what is undefined is `None`. Definitions stand in [`metrics`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// How many forecasts.
    pub n: usize,
    /// Root mean squared error of the point forecast, in log return.
    pub rmse: Option<f64>,
    /// Mean absolute error, in log return.
    pub mae: Option<f64>,
    /// Mean absolute error over that of "no change" a session ahead on the bars before the forecasts.
    pub mase: Option<f64>,
    /// Root mean squared error over that of "no change" a session ahead on the bars before the forecasts.
    pub rmsse: Option<f64>,
    /// Theil's U2: below 1 beats "no change" on the same points.
    pub rmse_ratio_to_naive: Option<f64>,
    /// Mean pinball loss at 13 levels from 0.025 to 0.975, in log return.
    pub pinball: Option<f64>,
    /// Continuous ranked probability score, in log return.
    pub crps: Option<f64>,
    /// Coverage, width and Winkler score, one a level.
    pub intervals: Vec<IntervalScores>,
    /// QLIKE of the forecast standard deviation.
    pub qlike: Option<f64>,
    /// Share of right signs.
    pub directional_accuracy: Option<f64>,
    /// Squared errors against those of "no change".
    pub diebold_mariano: Option<Comparison>,
    /// Direction against chance.
    pub pesaran_timmermann: Option<PesaranTimmermann>,
}

/// Scores forecasts of one step, in order of time.
///
/// * `history` one-step log returns known before the forecasts: the scale of MASE and RMSSE
/// * `overlap` consecutive forecasts whose outcomes share bars, see [`metrics::diebold_mariano`]
pub fn score(outcomes: &[Outcome], history: &[f64], levels: &[Level], overlap: usize) -> Scores {
    let errors: Vec<f64> = outcomes.iter().map(Outcome::error).collect();
    let truths: Vec<f64> = outcomes.iter().map(|outcome| outcome.truth).collect();
    let points: Vec<f64> = outcomes.iter().map(|outcome| outcome.point).collect();
    let volatilities: Vec<f64> = outcomes.iter().map(|outcome| outcome.forecast.standard_deviation()).collect();
    Scores {
        n: outcomes.len(),
        rmse: metrics::rmse(&errors),
        mae: metrics::mae(&errors),
        mase: metrics::mase(&errors, history),
        rmsse: metrics::rmsse(&errors, history),
        rmse_ratio_to_naive: metrics::rmse_ratio_to_naive(&errors, &truths),
        pinball: metrics::mean(outcomes.iter().map(Outcome::pinball)),
        crps: metrics::mean(outcomes.iter().map(|outcome| metrics::crps(&outcome.forecast, outcome.truth))),
        intervals: levels.iter().filter_map(|level| interval_scores(outcomes, &truths, *level)).collect(),
        qlike: metrics::qlike(&volatilities, &truths),
        directional_accuracy: metrics::directional_accuracy(&points, &truths),
        diebold_mariano: metrics::diebold_mariano(&against_no_change(outcomes), overlap),
        pesaran_timmermann: metrics::pesaran_timmermann(&points, &truths),
    }
}

/// Squared error less that of "no change", a point each.
pub(super) fn against_no_change(outcomes: &[Outcome]) -> Vec<f64> {
    outcomes.iter().map(|outcome| outcome.error().powi(2) - outcome.truth.powi(2)).collect()
}

/// Pinball loss less that of a rival on the same points.
pub(super) fn pinball_differences(ours: &[Outcome], rival: &[Outcome]) -> Vec<f64> {
    ours.iter().zip(rival).map(|(ours, rival)| ours.pinball() - rival.pinball()).collect()
}

/// Mean pinball loss over a rival's on the same points; below 1 is better.
pub fn pinball_ratio(ours: &[Outcome], rival: &[Outcome]) -> Option<f64> {
    let ratio = metrics::mean(ours.iter().map(Outcome::pinball))? / metrics::mean(rival.iter().map(Outcome::pinball))?;
    ratio.is_finite().then_some(ratio)
}

pub(super) fn interval_scores(outcomes: &[Outcome], truths: &[f64], level: Level) -> Option<IntervalScores> {
    let ends = |outcome: &Outcome| (outcome.forecast.at(level.lower()), outcome.forecast.at(level.upper()));
    let intervals: Vec<(f64, f64)> = outcomes.iter().map(ends).collect();
    Some(IntervalScores {
        level: level.fraction(),
        observed: metrics::coverage(&intervals, truths)?,
        width: metrics::width(&intervals)?,
        winkler: metrics::winkler(level.fraction(), &intervals, truths)?,
    })
}

/// The levels that reports show where nobody asks for others: 0.8 and 0.95.
pub fn report_levels() -> Vec<Level> {
    [0.8, 0.95].into_iter().filter_map(|fraction| Level::try_from(fraction).ok()).collect()
}
