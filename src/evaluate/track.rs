//! The track record of one ticker's forecasts, one session ahead: those served live, and behind them, while they are
//! young, those of the bars held back in training.

use super::baseline::Garch;
use super::scores::{Outcome, SCORE_LEVELS, interval_scores};
use super::verdict::{Skill, skill};
use super::{FittedBaseline, Forecaster};
use crate::domain::{BarTime, Level, Quantiles, Series};

/// Forecasts that a track record is made of: a year of sessions.
pub const SKILL_WINDOW: usize = 250;

/// Forecasts below which a track record says nothing.
pub const MIN_SCORED: usize = 30;

/// One forecast, one session ahead, beside what came true; log return from the close of `at`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredForecast {
    /// The last bar that it saw.
    pub at: BarTime,
    /// As served, at [`SCORE_LEVELS`].
    pub quantiles: [f64; SCORE_LEVELS.len()],
    /// The point forecast as served.
    pub point: f64,
    /// What came true.
    pub truth: f64,
    /// Pinball loss of GARCH on the same point; `None` where it has no forecast of it.
    pub garch_pinball: Option<f64>,
}

impl ScoredForecast {
    /// A forecast as served, beside its truth.
    pub fn new(at: BarTime, forecast: &Quantiles, point: f64, truth: f64) -> Self {
        Self { at, quantiles: SCORE_LEVELS.map(|level| forecast.at(level)), point, truth, garch_pinball: None }
    }

    /// The same as a distribution; `None` where the numbers are none.
    pub fn outcome(&self) -> Option<Outcome> {
        let forecast = Quantiles::new(SCORE_LEVELS.to_vec(), self.quantiles.to_vec()).ok()?;
        Some(Outcome { forecast, point: self.point, truth: self.truth })
    }
}

/// Scores GARCH on the same points: its parameters are given, its state is that of `series` at each point. Points
/// whose bar is not in `series`, or stands too early in it, keep none.
pub fn score_garch(garch: Garch, series: &Series, scored: &mut [ScoredForecast]) {
    let fitted = FittedBaseline::of_garch(garch);
    let position = |at: BarTime| series.bars().binary_search_by_key(&at, |bar| bar.at()).ok();
    let known: Vec<(usize, usize)> = scored
        .iter()
        .enumerate()
        .filter_map(|(idx, point)| Some((idx, position(point.at).filter(|cutoff| *cutoff >= GARCH_WARMUP)?)))
        .collect();
    let cutoffs: Vec<usize> = known.iter().map(|(_, cutoff)| *cutoff).collect();
    // It refuses cutoffs outside of the series or early in it only, and there are none.
    let forecasts = fitted.forecast_at(series, &cutoffs).unwrap_or_default();
    for ((idx, _), steps) in known.iter().zip(forecasts) {
        let truth = scored[*idx].truth;
        scored[*idx].garch_pinball =
            steps.first().map(|forecast| super::metrics::pinball_of(forecast, &SCORE_LEVELS, truth));
    }
}

/// Bars after which GARCH's variance has forgotten where it began.
const GARCH_WARMUP: usize = 100;

/// What a forecast answer says of the forecasts before it.
#[derive(Debug, Clone, PartialEq)]
pub struct TrackRecord {
    /// In order of time.
    scored: Vec<ScoredForecast>,
    /// All but the coverage, which depends on the levels asked for.
    skill: Skill,
}

impl TrackRecord {
    /// The newest [`SKILL_WINDOW`] live forecasts; where there are fewer, the newest held-back ones fill up. Of
    /// a bar that has both, the live one counts.
    pub fn new(held_back: &[ScoredForecast], live: &[ScoredForecast]) -> Self {
        let live = &live[live.len().saturating_sub(SKILL_WINDOW)..];
        let was_live = |point: &&ScoredForecast| live.iter().any(|live| live.at == point.at);
        let room = SKILL_WINDOW - live.len();
        let mut scored: Vec<ScoredForecast> =
            held_back.iter().rev().filter(|point| !was_live(point)).take(room).copied().collect();
        scored.extend_from_slice(live);
        scored.sort_by_key(|point| point.at);
        let outcomes: Vec<Outcome> = scored.iter().filter_map(ScoredForecast::outcome).collect();
        let skill = Skill {
            n_live: live.len(),
            pinball_ratio_to_garch: ratio_to_garch(&scored),
            ..skill(&outcomes, None, &[], 1)
        };
        Self { scored, skill }
    }

    /// How many forecasts.
    pub fn len(&self) -> usize {
        self.scored.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.scored.is_empty()
    }

    /// What may be said, with the coverage of these levels; `None` below [`MIN_SCORED`] forecasts.
    pub fn skill(&self, levels: &[Level]) -> Option<Skill> {
        if self.len() < MIN_SCORED {
            return None;
        }
        let outcomes: Vec<Outcome> = self.scored.iter().filter_map(ScoredForecast::outcome).collect();
        let truths: Vec<f64> = outcomes.iter().map(|outcome| outcome.truth).collect();
        let coverage = levels.iter().filter_map(|level| interval_scores(&outcomes, &truths, *level)).collect();
        Some(Skill { coverage, ..self.skill.clone() })
    }
}

/// Pinball loss over GARCH's, of the points that both have forecast.
fn ratio_to_garch(scored: &[ScoredForecast]) -> Option<f64> {
    let both = scored.iter().filter_map(|point| Some((point.outcome()?.pinball(), point.garch_pinball?)));
    let (ours, garch, n) =
        both.fold((0.0, 0.0, 0), |(ours, garch, n), (our, their)| (ours + our, garch + their, n + 1));
    let ratio = ours / garch;
    (n >= MIN_SCORED && ratio.is_finite()).then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::report_levels;
    use crate::evaluate::verdict::tests::outcomes;

    /// Points of consecutive days from `first`.
    fn points(n: usize, first: i64, seed: u64) -> Vec<ScoredForecast> {
        let at = |day: usize| BarTime::from_seconds((first + day as i64) * 86_400);
        let made = outcomes(n, 0.0, 0.0, seed).into_iter().enumerate();
        made.map(|(day, o)| ScoredForecast::new(at(day), &o.forecast, o.point, o.truth)).collect()
    }

    #[test]
    fn live_forecasts_come_first_and_held_back_ones_fill_up() {
        let (held_back, live) = (points(250, 0, 1), points(40, 240, 2));
        let said = |held_back: &[ScoredForecast], live: &[ScoredForecast]| {
            TrackRecord::new(held_back, live).skill(&report_levels()).map(|skill| (skill.n, skill.n_live))
        };
        assert_eq!(said(&held_back, &[]), Some((250, 0)));
        assert_eq!(said(&held_back, &live), Some((250, 40)));
        assert_eq!(said(&held_back[..100], &points(20, 90, 2)), Some((110, 20)), "of a bar with both, the live one");
        assert_eq!(said(&held_back, &points(300, 100, 3)), Some((250, 250)));
        assert_eq!(said(&held_back[..20], &[]), None);
        let record = TrackRecord::new(&held_back, &live);
        assert!(record.scored.is_sorted_by_key(|point| point.at));
        assert!(record.scored.ends_with(&live));
    }

    #[test]
    fn garch_is_compared_on_the_points_that_both_have() {
        let mut scored = points(60, 0, 4);
        assert_eq!(TrackRecord::new(&scored, &[]).skill(&[]).and_then(|skill| skill.pinball_ratio_to_garch), None);
        for point in &mut scored[..40] {
            point.garch_pinball = point.outcome().map(|outcome| 2.0 * outcome.pinball());
        }
        let ratio = TrackRecord::new(&scored, &[]).skill(&[]).and_then(|skill| skill.pinball_ratio_to_garch);
        assert!(ratio.is_some_and(|ratio| (ratio - 0.5).abs() < 1e-12), "{ratio:?}");
    }
}
