//! Whether a ticker's sessions are dated as the others' of its exchange are, told by returns.

/// How a ticker's session is dated beside the others', by a year of returns up to it. A vendor may name sessions by the
/// date after (a night of New York by Seoul's): such a ticker would see the others' tomorrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dating {
    /// What the others did on a date is known to the ticker by then: its returns follow those of the same session, not
    /// of the one before.
    pub(super) hears_others: bool,
    /// What the ticker did on a date is known to the others by then: theirs do not follow it a session later.
    pub(super) tells_others: bool,
}

/// Sessions of a year.
const YEAR: usize = 250;
/// Sessions without which nothing is told.
const MIN_SESSIONS: usize = 66;
/// By how many standard errors of a correlation returns must follow the same session more closely than another one,
/// either way up: with less nothing is taken from the market, or given to it.
const CLEARLY: f64 = 2.0;

/// How each session is dated, by what was known on it.
///
/// * `pairs` returns of the ticker and the mean of the others', a session each, ascending
pub(super) fn dating(pairs: &[(f64, f64)]) -> Vec<Dating> {
    // Sums up to each session: own squares, others' squares, and products with the others of the same session, of the one
    // before and of the one after.
    let mut sums = vec![[0.0; 5]];
    for (idx, (own, others)) in pairs.iter().enumerate() {
        let (own_before, others_before) = idx.checked_sub(1).map_or((0.0, 0.0), |before| pairs[before]);
        let terms = [own * own, others * others, own * others, own * others_before, own_before * others];
        let before = sums[idx];
        sums.push(std::array::from_fn(|term| before[term] + terms[term]));
    }
    let of_session = |idx: usize| {
        let n_sessions = (idx + 1).min(YEAR);
        let [own, others, same, late, early]: [f64; 5] =
            std::array::from_fn(|term| sums[idx + 1][term] - sums[idx + 1 - n_sessions][term]);
        let clearly = CLEARLY / (n_sessions as f64).sqrt() * (own * others).max(0.0).sqrt();
        let is_same_beside = |other: f64| n_sessions >= MIN_SESSIONS && same.abs() - other.abs() > clearly;
        Dating { hears_others: is_same_beside(late), tells_others: is_same_beside(early) }
    };
    (0..pairs.len()).map(of_session).collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// The last of 400 sessions, of a ticker that has `sign` times the others' returns `days_late` sessions later, or its
    /// own where that is `None`.
    fn last(sign: f64, days_late: Option<i64>) -> (bool, bool) {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let mut returns = || (0..402).map(|_| rng.random::<f64>() - 0.5).collect::<Vec<_>>();
        let (others, own) = (returns(), returns());
        let of = |day: usize| days_late.map_or(own[day], |late| sign * others[(day as i64 - late) as usize]);
        let pairs: Vec<(f64, f64)> = (1..=400).map(|day| (of(day), others[day])).collect();
        let Dating { hears_others, tells_others } = dating(&pairs)[399];
        assert!(dating(&pairs)[..65].iter().all(|one| !one.hears_others && !one.tells_others), "too few to tell");
        (hears_others, tells_others)
    }

    #[test]
    fn who_moves_with_the_others_or_against_them_on_the_same_session_hears_and_tells_and_nobody_else() {
        assert_eq!([1.0, -1.0].map(|sign| last(sign, Some(0))), [(true, true); 2]);
        for (sign, days_late) in [(1.0, Some(1)), (-1.0, Some(1)), (1.0, Some(-1)), (-1.0, Some(-1)), (1.0, None)] {
            assert_eq!(last(sign, days_late), (false, false), "{sign} {days_late:?}");
        }
    }
}
