//! What may be said of a forecaster's skill.

use serde::{Deserialize, Serialize};

use super::metrics::{self, diebold_mariano};
use super::scores::{IntervalScores, Outcome, against_no_change, interval_scores, pinball_ratio};
use crate::domain::Level;

/// Whether the point forecast is better than "no change".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// RMSE below that of "no change", by more than luck, in two thirds of the folds.
    BeatsNaive,
    /// Neither better nor worse by more than luck: the ordinary answer for prices.
    NoEvidence,
    /// RMSE above that of "no change", by more than luck, in two thirds of the folds.
    WorseThanNaive,
}

impl Verdict {
    /// The verdict as a sentence, for people.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::BeatsNaive => "The point forecast beats \"no change\" by more than luck, in two thirds of the folds.",
            Self::NoEvidence => {
                "No evidence that the point forecast is better or worse than \"no change\": the ordinary answer for prices."
            }
            Self::WorseThanNaive => "The point forecast is worse than \"no change\" by more than luck: do not use it.",
        }
    }
}

/// A verdict needs a result that luck gives in fewer than one of twenty.
const SIGNIFICANCE: f64 = 0.05;

/// Judges the forecasts of each fold together. `beats_naive` only if all hold: RMSE ratio to "no change"
/// below 1, one-sided Diebold-Mariano p below 0.05, ratio below 1 in at least two thirds of the folds;
/// `worse_than_naive` is the mirror image.
pub fn verdict(folds: &[&[Outcome]], overlap: usize) -> Verdict {
    let pooled: Vec<f64> = folds.iter().flat_map(|fold| against_no_change(fold)).collect();
    let (Some(mean), Some(test)) = (metrics::mean(pooled.iter().copied()), diebold_mariano(&pooled, overlap)) else {
        return Verdict::NoEvidence;
    };
    let holds = |better: bool| {
        let sign = |fold: &&&[Outcome]| {
            let difference = metrics::mean(against_no_change(fold)).unwrap_or(0.0);
            if better { difference < 0.0 } else { difference > 0.0 }
        };
        3 * folds.iter().filter(sign).count() >= 2 * folds.len()
    };
    if mean < 0.0 && test.p_value < SIGNIFICANCE && holds(true) {
        Verdict::BeatsNaive
    } else if mean > 0.0 && test.p_value > 1.0 - SIGNIFICANCE && holds(false) {
        Verdict::WorseThanNaive
    } else {
        Verdict::NoEvidence
    }
}

/// The track record that a forecast carries; `skill` of the forecast answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Skill {
    /// Forecasts scored.
    pub n: usize,
    /// Of them, those that were served before their outcome was known; the others are of bars held back in training.
    pub n_live: usize,
    /// RMSE over that of "no change"; below 1 is better.
    pub rmse_ratio_to_naive: Option<f64>,
    /// One-sided Diebold-Mariano p of that.
    pub dm_p_value: Option<f64>,
    /// What may be said of it.
    pub verdict: Verdict,
    /// Pinball loss over that of GARCH on the same points; `None` where GARCH could not be fitted.
    pub pinball_ratio_to_garch: Option<f64>,
    /// Mean pinball loss at 13 levels, in log return.
    pub pinball: Option<f64>,
    /// Observed coverage, width and Winkler score, one a level.
    pub coverage: Vec<IntervalScores>,
}

/// A run of forecasts has no folds of its own: its consecutive fifths stand for them.
const RUN_PARTS: usize = 5;

/// Sums up a run of forecasts of one step, in order of time.
///
/// * `garch` GARCH's forecasts of the same points, where there are any
/// * `overlap` see [`metrics::diebold_mariano`]
pub fn skill(outcomes: &[Outcome], garch: Option<&[Outcome]>, levels: &[Level], overlap: usize) -> Skill {
    let errors: Vec<f64> = outcomes.iter().map(Outcome::error).collect();
    let truths: Vec<f64> = outcomes.iter().map(|outcome| outcome.truth).collect();
    let parts: Vec<&[Outcome]> = outcomes.chunks(outcomes.len().div_ceil(RUN_PARTS).max(1)).collect();
    Skill {
        n: outcomes.len(),
        n_live: 0,
        rmse_ratio_to_naive: metrics::rmse_ratio_to_naive(&errors, &truths),
        dm_p_value: diebold_mariano(&against_no_change(outcomes), overlap).map(|test| test.p_value),
        verdict: verdict(&parts, overlap),
        pinball_ratio_to_garch: garch.filter(|g| g.len() == outcomes.len()).and_then(|g| pinball_ratio(outcomes, g)),
        pinball: metrics::mean(outcomes.iter().map(Outcome::pinball)),
        coverage: levels.iter().filter_map(|level| interval_scores(outcomes, &truths, *level)).collect(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::Quantiles;
    use rand::{RngExt, SeedableRng};
    use rand_distr::StandardNormal;

    /// Points whose forecast knows the share `known` of each return (0: nothing), in units of 0.01.
    pub(in crate::evaluate) fn outcomes(n: usize, known: f64, noise: f64, seed: u64) -> Vec<Outcome> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        let point = |_| {
            let truth: f64 = 0.01 * rng.sample::<f64, _>(StandardNormal);
            let point = known * truth + noise * 0.01 * rng.sample::<f64, _>(StandardNormal);
            let forecast = Quantiles::new(vec![0.1, 0.5, 0.9], vec![-0.012_816, 0.0, 0.012_816]).expect("ascending");
            Outcome { forecast, point, truth }
        };
        (0..n).map(point).collect()
    }

    fn judged(outcomes: &[Outcome]) -> Verdict {
        verdict(&outcomes.chunks(outcomes.len() / 5).collect::<Vec<_>>(), 1)
    }

    #[test]
    fn knowledge_beats_noise_is_worse_and_nothing_is_no_evidence() {
        assert_eq!(judged(&outcomes(500, 0.2, 0.0, 1)), Verdict::BeatsNaive);
        assert_eq!(judged(&outcomes(500, 0.0, 0.5, 1)), Verdict::WorseThanNaive);
        assert_eq!(judged(&outcomes(500, 0.0, 0.0, 1)), Verdict::NoEvidence);
        assert_eq!(verdict(&[], 1), Verdict::NoEvidence);
    }

    #[test]
    fn skill_that_sits_in_one_fold_is_no_evidence() {
        let mut mixed = outcomes(400, 0.0, 0.4, 2);
        mixed.extend(outcomes(100, 0.9, 0.0, 3));
        let one = verdict(&mixed.chunks(100).collect::<Vec<_>>(), 1);
        assert_eq!(one, Verdict::NoEvidence);
    }

    #[test]
    fn a_skill_says_what_the_answer_shows() {
        let ours = outcomes(300, 0.1, 0.0, 4);
        let skill = skill(&ours, Some(&ours), &crate::evaluate::report_levels(), 1);
        assert_eq!((skill.n, skill.pinball_ratio_to_garch), (300, Some(1.0)));
        assert!((skill.coverage[0].observed - 0.8).abs() < 0.05 && skill.rmse_ratio_to_naive < Some(0.91));
        let json = serde_json::to_value(&skill).expect("serialises");
        assert_eq!(json["verdict"], "beats_naive");
        assert!(json["coverage"][0]["observed"].is_number());
    }

    #[test]
    fn a_record_of_nothing_is_empty_and_says_so() {
        let skill = skill(&[], None, &crate::evaluate::report_levels(), 1);
        assert_eq!((skill.n, skill.verdict, skill.rmse_ratio_to_naive), (0, Verdict::NoEvidence, None));
    }
}
