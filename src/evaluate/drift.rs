//! Whether intervals have stopped to mean what they say.

use statrs::distribution::{Binomial, DiscreteCDF};

use super::Outcome;
use crate::domain::Level;

/// Intervals whose share of truths inside is not their level by more than luck.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CoverageDrift {
    /// The probability that they are meant to cover.
    pub level: f64,
    /// Truths inside.
    pub n_inside: usize,
    /// Of how many.
    pub n: usize,
}

/// Outcomes that are looked at: the newest so many, about a quarter of sessions.
const WINDOW: usize = 60;

/// Outcomes below which not even a run of misses is evidence.
pub const MIN_OUTCOMES: usize = 10;

/// A miss is drift where right intervals would give one at least as large, on its side, less often than this. Asked
/// anew with each bar, a looser bound would be passed by luck within a year.
const SIGNIFICANCE: f64 = 5e-4;

/// The first of `levels` whose intervals miss it on the newest outcomes: exact binomial test on each side.
///
/// * `outcomes` one session ahead each, in order of time
pub fn coverage_drift(outcomes: &[Outcome], levels: &[Level]) -> Option<CoverageDrift> {
    let outcomes = &outcomes[outcomes.len().saturating_sub(WINDOW)..];
    let n = outcomes.len();
    if n < MIN_OUTCOMES {
        return None;
    }
    levels.iter().find_map(|level| {
        let n_inside = outcomes.iter().filter(|outcome| outcome.is_inside(*level)).count();
        let by_luck = Binomial::new(level.fraction(), n as u64).ok()?;
        let as_few = by_luck.cdf(n_inside as u64);
        let as_many = n_inside.checked_sub(1).map_or(1.0, |fewer| by_luck.sf(fewer as u64));
        (as_few.min(as_many) < SIGNIFICANCE).then_some(CoverageDrift { level: level.fraction(), n_inside, n })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::report_levels;
    use crate::evaluate::verdict::tests::outcomes;

    fn scaled(n: usize, factor: f64, seed: u64) -> Vec<Outcome> {
        let widen = |outcome: Outcome| Outcome { forecast: outcome.forecast.affine(0.0, factor), ..outcome };
        outcomes(n, 0.0, 0.0, seed).into_iter().map(widen).collect()
    }

    #[test]
    fn right_intervals_are_hardly_ever_called_drifting() {
        let called = (0..200).filter(|seed| coverage_drift(&scaled(60, 1.0, *seed), &report_levels()).is_some());
        assert!(called.count() <= 1);
    }

    #[test]
    fn intervals_too_narrow_or_too_wide_are_and_few_outcomes_need_to_miss_clearly() {
        let narrow = coverage_drift(&scaled(60, 0.4, 1), &report_levels()).expect("half of them fall outside");
        assert_eq!((narrow.level, narrow.n), (0.8, 60));
        assert!(narrow.n_inside < 35);
        assert!(coverage_drift(&scaled(60, 3.0, 1), &report_levels()).is_some());
        assert!(coverage_drift(&scaled(10, 0.05, 1), &report_levels()).is_some());
        assert_eq!(coverage_drift(&scaled(9, 0.05, 1), &report_levels()), None);
    }
}
