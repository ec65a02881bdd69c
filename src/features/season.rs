//! What happened around the same days of earlier quarters.
//!
//! Companies report at about the same day of each quarter, and the session after it moves two to four times
//! as much as others. The dates are in no price file, but past reports show as gaps 13, 26, 39 … weeks ago.

use chrono::Datelike;

use super::columns::Columns;

const DAY_SECONDS: i64 = 86_400;
/// Thirteen weeks, so that the same weekday is met, for two years.
const LAGS_DAYS: [i64; 8] = [91, 182, 273, 364, 455, 546, 637, 728];
/// A report moves by a day or so from one quarter to the next.
const WINDOW_DAYS: i64 = 1;
/// Bars looked back at most: two years where every day trades.
const REACH: usize = 900;

/// Gaps and surprises of the sessions a whole number of quarters before the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Season {
    /// ln(0.3 + mean squared gap over the variance known then).
    pub gap_log: f64,
    /// Mean log surprise of the session's variance.
    pub surprise: f64,
}

impl Season {
    /// As known at bar `bar_idx`, for the weekday after it.
    pub fn at(columns: &Columns, bar_idx: usize) -> Self {
        let first = (bar_idx + 1).saturating_sub(REACH);
        let days = &columns.at[first..=bar_idx];
        let day = |idx: usize| days[idx].seconds().div_euclid(DAY_SECONDS);
        let ahead = match columns.at[bar_idx].date().weekday().num_days_from_monday() {
            weekday @ 4.. => 7 - i64::from(weekday),
            _ => 1,
        };
        let next = day(days.len() - 1) + ahead;
        let (mut gap, mut surprise, mut n_met) = (0.0, 0.0, 0.0);
        for lag in LAGS_DAYS {
            let earliest = days.partition_point(|at| at.seconds().div_euclid(DAY_SECONDS) < next - lag - WINDOW_DAYS);
            for idx in (earliest..days.len()).take_while(|idx| day(*idx) <= next - lag + WINDOW_DAYS) {
                // The first month of a series has no variance to be measured against.
                if first + idx > Columns::MONTH {
                    gap += columns.scaled_gap[first + idx];
                    surprise += columns.surprise[first + idx];
                    n_met += 1.0;
                }
            }
        }
        match n_met > 0.0 {
            true => Self { gap_log: (0.3_f64 + gap / n_met).ln(), surprise: surprise / n_met },
            false => Self { gap_log: 0.6_f64.ln(), surprise: 0.0 },
        }
    }
}
