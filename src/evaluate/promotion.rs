//! Whether a challenger may become champion.

use serde::{Deserialize, Serialize};

use super::metrics::diebold_mariano;
use super::scores::{Outcome, pinball_differences, pinball_ratio};
use super::track::ScoredForecast;
use crate::domain::Level;

/// When a challenger is refused.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PromotionRule {
    /// Refused when its pinball loss is larger with a one-sided p below this. Higher refuses more readily.
    pub significance: f64,
    /// How far coverage may lie from its level, besides two standard errors of the sample. Higher lets more pass.
    pub coverage_tolerance: f64,
    /// Points below which nothing is compared, and the newer model is taken.
    pub min_points: usize,
}

impl Default for PromotionRule {
    fn default() -> Self {
        Self { significance: 0.05, coverage_tolerance: 0.03, min_points: 30 }
    }
}

/// The decision with its reason.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promotion {
    /// Whether the challenger becomes champion.
    pub promote: bool,
    /// Why, in a sentence for people.
    pub reason: String,
    /// Points compared.
    pub n: usize,
    /// Pinball loss over the champion's; below 1 is better.
    pub pinball_ratio: Option<f64>,
    /// How likely losses this much larger are if the challenger is no worse.
    pub p_value: Option<f64>,
}

/// Decides on forecasts of the same held-back points, in order of time: the challenger becomes champion unless
/// it is worse. Worse is: larger pinball loss by more than luck (Diebold-Mariano), or coverage farther from its
/// level than tolerance and sampling allow, where the champion's is nearer.
///
/// * `champion` `None` where there is none yet: the challenger is taken
/// * `overlap` see [`diebold_mariano`]
pub fn decide(
    champion: Option<&[Outcome]>,
    challenger: &[Outcome],
    levels: &[Level],
    overlap: usize,
    rule: &PromotionRule,
) -> Promotion {
    let n = challenger.len();
    let taken = |reason: String| Promotion { promote: true, reason, n, pinball_ratio: None, p_value: None };
    let Some(champion) = champion else {
        return taken("the first model".to_owned());
    };
    if n < rule.min_points || champion.len() != n {
        let points = n.min(champion.len());
        return taken(format!("only {points} held-back points to compare on, {} are needed", rule.min_points));
    }
    let ratio = pinball_ratio(challenger, champion);
    let worse = diebold_mariano(&pinball_differences(champion, challenger), overlap).map(|test| test.p_value);
    let decision = |promote, reason| Promotion { promote, reason, n, pinball_ratio: ratio, p_value: worse };
    let said = ratio.map_or_else(|| "undefined".to_owned(), |ratio| format!("{ratio:.4}"));
    if let Some(p_value) = worse.filter(|p_value| *p_value < rule.significance && ratio > Some(1.0)) {
        return decision(
            false,
            format!("its pinball loss is {said} times the champion's over {n} points (p = {p_value:.3})"),
        );
    }
    let missed = levels.iter().find_map(|level| missed_coverage(champion, challenger, *level, rule));
    match missed {
        Some(reason) => decision(false, reason),
        None => decision(
            true,
            format!("not worse than the champion: its pinball loss is {said} times the champion's over {n} points"),
        ),
    }
}

/// The forecasts of bars that both have, in order of time: the champion's, and the challenger's. What came true is
/// the challenger's: it was trained on the bars as they are now.
pub fn on_common_bars(champion: &[ScoredForecast], challenger: &[ScoredForecast]) -> (Vec<Outcome>, Vec<Outcome>) {
    let both = challenger.iter().filter_map(|ours| {
        let theirs = champion.iter().find(|theirs| theirs.at == ours.at)?;
        Some((ScoredForecast { truth: ours.truth, ..*theirs }.outcome()?, ours.outcome()?))
    });
    both.unzip()
}

fn missed_coverage(champion: &[Outcome], challenger: &[Outcome], level: Level, rule: &PromotionRule) -> Option<String> {
    let target = level.fraction();
    let allowed = rule.coverage_tolerance + 2.0 * (target * (1.0 - target) / challenger.len() as f64).sqrt();
    let (ours, theirs) = (observed(challenger, level), observed(champion, level));
    let missed = (ours - target).abs() > allowed && (ours - target).abs() > (theirs - target).abs();
    missed.then(|| format!("its {target} intervals cover {ours:.3} of the outcomes, the champion's {theirs:.3}"))
}

fn observed(outcomes: &[Outcome], level: Level) -> f64 {
    outcomes.iter().filter(|outcome| outcome.is_inside(level)).count() as f64 / outcomes.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BarTime;
    use crate::evaluate::report_levels;
    use crate::evaluate::verdict::tests::outcomes;

    fn widened(outcomes: &[Outcome], factor: f64) -> Vec<Outcome> {
        let widen = |outcome: &Outcome| Outcome { forecast: outcome.forecast.affine(0.0, factor), ..outcome.clone() };
        outcomes.iter().map(widen).collect()
    }

    fn decided(champion: Option<&[Outcome]>, challenger: &[Outcome]) -> Promotion {
        decide(champion, challenger, &report_levels(), 1, &PromotionRule::default())
    }

    #[test]
    fn the_first_an_equal_and_a_better_one_are_taken_a_worse_one_is_not() {
        let good = outcomes(250, 0.0, 0.0, 1);
        let bad = widened(&good, 2.0);
        assert!(decided(None, &bad).promote);
        assert!(decided(Some(&good), &good).promote);
        assert!(decided(Some(&bad), &good).promote);
        let refused = decided(Some(&good), &bad);
        assert!(!refused.promote && refused.reason.starts_with("its pinball loss is 1."), "{refused:?}");
    }

    #[test]
    fn intervals_that_miss_are_refused_even_where_the_loss_is_about_even() {
        let good = outcomes(250, 0.0, 0.0, 1);
        let narrow = widened(&good, 0.72);
        let rule = PromotionRule { significance: 0.0, ..PromotionRule::default() };
        let refused = decide(Some(&good), &narrow, &report_levels(), 1, &rule);
        assert!(!refused.promote && refused.reason.starts_with("its 0.8 intervals cover"), "{refused:?}");
    }

    #[test]
    fn models_are_compared_on_the_bars_that_both_forecast() {
        let points = |first: i64, seed: u64| -> Vec<ScoredForecast> {
            let made = outcomes(50, 0.0, 0.0, seed).into_iter().zip(first..);
            made.map(|(o, day)| ScoredForecast::new(BarTime::from_seconds(day), &o.forecast, o.point, o.truth))
                .collect()
        };
        let (old, new) = (points(0, 1), points(20, 2));
        let (champion, challenger) = on_common_bars(&old, &new);
        assert_eq!((champion.len(), challenger.len()), (30, 30));
        assert!(champion.iter().zip(&challenger).all(|(a, b)| a.truth == b.truth));
        assert_eq!(challenger[0].truth, new[0].truth);
    }

    #[test]
    fn too_little_evidence_takes_the_newer_model_and_says_so() {
        let few = outcomes(10, 0.0, 0.0, 1);
        assert!(decided(Some(&few), &few).reason.contains("only 10 held-back points"));
    }
}
