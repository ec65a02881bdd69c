//! What happened around the same days of earlier quarters.
//!
//! Companies report at about the same day of each quarter, and the session after it moves two to four times
//! as much as others. The dates are in no price file, but past reports show as gaps 13, 26, 39 … weeks ago.

use super::columns::Columns;

const DAY_SECONDS: i64 = 86_400;
/// Thirteen weeks, so that the same weekday is met, for two years.
const LAGS_DAYS: [i64; 8] = [91, 182, 273, 364, 455, 546, 637, 728];
/// A report moves by a day or so from one quarter to the next; how wild a session was is told by those days too.
const WINDOW_DAYS: i64 = 1;
/// Mean squared gap over variance where nothing is known.
const USUAL_GAP: f64 = 0.3;
/// Bars looked back at most: two years where every day trades.
const REACH: usize = 900;

/// Gaps and surprises of the sessions a whole number of quarters before the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Season {
    /// Mean squared gap over the variance known then, of the very days.
    pub gap: f64,
    /// Mean log surprise of the session's variance, of those days and their neighbors.
    pub surprise: f64,
}

impl Season {
    /// As known at bar `bar_idx`, for the day on which the next bar should stand.
    pub fn at(columns: &Columns, bar_idx: usize) -> Self {
        let first = (bar_idx + 1).saturating_sub(REACH);
        let days = &columns.at[first..=bar_idx];
        let day = |idx: usize| days[idx].seconds().div_euclid(DAY_SECONDS);
        let today = day(days.len() - 1);
        // As it went on from the same day of the last weeks, the shortest way: markets trade on other days of the week,
        // on all, or once. A holiday now and then makes it longer.
        let step_after = |weeks: i64| {
            let after = days.partition_point(|at| at.seconds().div_euclid(DAY_SECONDS) <= today - 7 * weeks);
            let met = after.checked_sub(1).filter(|idx| day(*idx) == today - 7 * weeks)?;
            Some(day(met + 1) - day(met))
        };
        let next = today + (1..=3).filter_map(step_after).min().unwrap_or(1);
        let (mut gap, mut n_same, mut surprise, mut n_met) = (0.0, 0.0, 0.0, 0.0);
        for lag in LAGS_DAYS {
            let earliest = days.partition_point(|at| at.seconds().div_euclid(DAY_SECONDS) < next - lag - WINDOW_DAYS);
            for idx in (earliest..days.len()).take_while(|idx| day(*idx) <= next - lag + WINDOW_DAYS) {
                // The first month of a series has no variance to be measured against.
                if first + idx > Columns::MONTH {
                    surprise += columns.surprise[first + idx];
                    n_met += 1.0;
                    if day(idx) == next - lag {
                        gap += columns.scaled_gap[first + idx];
                        n_same += 1.0;
                    }
                }
            }
        }
        Self {
            gap: if n_same > 0.0 { gap / n_same } else { USUAL_GAP },
            surprise: if n_met > 0.0 { surprise / n_met } else { 0.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::{Bar, BarTime, RawBar};

    /// Weekdays whose price never moves but by a gap on one of them.
    fn with_gap_on(day_of_gap: i64, n_days: i64) -> Columns {
        // 1970-01-05 was a Monday.
        let days = (4..4 + n_days).filter(|day| (day - 4) % 7 < 5);
        let bar = |day: i64| {
            let price = if day < day_of_gap { 100.0 } else { 110.0 };
            let (at, high, low) = (BarTime::from_seconds(day * DAY_SECONDS), price * 1.01, price * 0.99);
            Bar::new(RawBar { at, open: price, high, low, close: price, volume: None }).expect("valid")
        };
        Columns::from_bars(&days.map(bar).collect::<Vec<_>>())
    }

    #[test]
    fn a_gap_is_told_thirteen_weeks_later_on_its_day_and_its_surprise_on_the_neighbors() {
        // A Wednesday, six weeks after the first bar, and the bar before the Wednesday thirteen weeks later.
        let gap = 4 + 44;
        let season_before = |day: i64| {
            let columns = with_gap_on(gap, 200);
            let before = columns.at.iter().rposition(|at| at.seconds() < day * DAY_SECONDS).expect("earlier bars");
            Season::at(&columns, before)
        };
        assert_eq!(season_before(gap + 91).gap, 10.0);
        assert_eq!((season_before(gap + 90).gap, season_before(gap + 92).gap), (0.0, 0.0));
        let surprise = |day: i64| season_before(day).surprise;
        // The day before met two calm days and the gap; after a gap all is calmer than the month that holds it.
        assert!(surprise(gap + 90) > 1.0 && surprise(gap + 92) > surprise(gap + 94) + 1.0);
        let weekly = |weeks: i64| {
            let bar = |idx: i64| {
                let price = if idx < 5 { 100.0 } else { 110.0 };
                let at = BarTime::from_seconds((4 + 7 * idx) * DAY_SECONDS);
                Bar::new(RawBar { at, open: price, high: price, low: price, close: price, volume: None })
                    .expect("valid")
            };
            Season::at(&Columns::from_bars(&(0..weeks).map(bar).collect::<Vec<_>>()), weeks as usize - 1)
        };
        // A quarter before the next week lies the fifth week, too early to be known; later on calm weeks lie there.
        assert_eq!((weekly(17).gap, weekly(40).gap), (USUAL_GAP, 0.0));
        let nothing_known = Season::at(&with_gap_on(gap, 60), 30);
        assert_eq!(nothing_known, Season { gap: USUAL_GAP, surprise: 0.0 });
    }
}
