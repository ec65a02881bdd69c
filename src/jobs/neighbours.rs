//! A few bars beside those that are stored: whether they can be of the same interval.

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::ingest::IngestError;
use crate::app::App;
use crate::domain::{Bar, BarTime, Calendar, Interval, Series};
use crate::ingest::may_be_neighbours;
use crate::store::TickerRecord;

/// A few bars cannot tell by themselves of which interval they are: each stands on its usual day. Of more some may not.
const FEW: usize = 9;

/// Whether bars are of the series that they continue. Each must be one that is stored, or stand as far from those as its
/// interval's bars do, and on the day on which these stand; else they are of another interval, or weeks told by another day.
///
/// # Errors
/// [`IngestError::OtherInterval`] where one stands otherwise; [`IngestError::Store`] where the stored bars cannot be read.
pub(super) async fn check_neighbours(app: &App, record: &TickerRecord, sent: &Series) -> Result<(), IngestError> {
    let bars = sent.bars();
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return Ok(()) };
    let interval = sent.interval();
    // Gaps within a day have told all but a bar alone.
    let is_told = interval == Interval::Day || (matches!(interval, Interval::Minutes(_)) && bars.len() > 1);
    if is_told || record.interval != interval {
        return Ok(());
    }
    let reach = match interval {
        Interval::Minutes(minutes) => i64::from(minutes) * 60,
        _ => 31 * 86_400,
    };
    let (from, to) = (first.at().seconds() - reach, last.at().seconds() + reach);
    let (from, to) = (BarTime::from_seconds(from), BarTime::from_seconds(to));
    let stored: Vec<i64> =
        app.store.bars(record.id, from, to, u64::MAX).await?.iter().map(|bar| bar.at().seconds()).collect();
    let place = |bar: &Bar| stored.binary_search(&bar.at().seconds());
    let is_apart = |bar: &&Bar| {
        let next = place(bar).unwrap_or_else(|next| next);
        let beside = stored[next.saturating_sub(1)..].iter().take(2);
        beside.into_iter().all(|stored| may_be_neighbours(interval, *stored, bar.at().seconds()))
    };
    let new: Vec<&Bar> = bars.iter().filter(|bar| place(bar).is_err()).collect();
    let of_another = match interval {
        _ if !new.iter().all(is_apart) => true,
        // One bar a day at the same time is a day's.
        Interval::Minutes(_) if !new.is_empty() => {
            let newest = app.store.newest_bars(record.id, first.at(), 1).await?;
            newest.iter().any(|newest| (first.at().seconds() - newest.at().seconds()) % 86_400 == 0)
        }
        _ if !new.is_empty() => {
            let newest = app.store.newest_bars(record.id, BarTime::from_seconds(i64::MAX), MOST_COMPARED).await?;
            let stored: Vec<NaiveDate> = newest.iter().map(|bar| bar.at().date()).collect();
            let is_odd = |bar: &&&Bar| !stands_as_usual(interval, &stored, bar.at().date(), &record.calendar);
            let most = if bars.len() > FEW { new.len() / 5 } else { 0 };
            new.iter().filter(is_odd).count() > most
        }
        _ => false,
    };
    match of_another {
        false => Ok(()),
        true => Err(IngestError::OtherInterval { ticker: record.ticker.clone(), stored: record.interval }),
    }
}

/// How many of the newest stored bars show on which day weeks or months stand, and how many at least.
const MOST_COMPARED: u64 = 30;
const LEAST_COMPARED: usize = 8;

/// Weeks are told by one of their weekdays, months by their first or their last day; holidays move it. Series of too few
/// bars, or without a habit, tell nothing.
fn stands_as_usual(interval: Interval, stored: &[NaiveDate], date: NaiveDate, calendar: &Calendar) -> bool {
    let position = |date: &NaiveDate| match interval {
        Interval::Week => date.weekday().num_days_from_monday(),
        _ => u32::from(date.day() > 15),
    };
    let count = |wanted: u32| stored.iter().filter(|date| position(date) == wanted).count();
    let usual = (0..7).max_by_key(|wanted| count(*wanted)).unwrap_or(0);
    if stored.len() < LEAST_COMPARED || count(usual) * 10 < stored.len() * 8 {
        return true;
    }
    let is_moved_by = |days_away: i64| {
        let mut moved_over = (1..=days_away.abs()).map(|n_days| date - TimeDelta::days(n_days * days_away.signum()));
        match calendar {
            Calendar::Exchange(_) => moved_over.all(|date| calendar.is_session(date) == Some(false)),
            // Holidays are not known: a few days.
            _ if interval == Interval::Week => days_away.abs() <= 1,
            _ => days_away.abs() <= 9,
        }
    };
    match interval {
        Interval::Week => {
            let later = i64::from((position(&date) + 7 - usual) % 7);
            is_moved_by(later) || is_moved_by(later - 7)
        }
        _ if usual == 0 => is_moved_by(i64::from(date.day()) - 1),
        _ => is_moved_by(i64::from(date.day()) - i64::from(date.num_days_in_month())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("a date")
    }

    fn usual(interval: Interval, first: &str, step: u32, sent: &str, calendar: &str) -> bool {
        let stored: Vec<NaiveDate> = match interval {
            Interval::Week => (0..12).map(|n| date(first) + chrono::Days::new(7 * n)).collect(),
            _ => (0..12).filter_map(|n| date(first).checked_add_months(chrono::Months::new(n * step))).collect(),
        };
        stands_as_usual(interval, &stored, date(sent), &calendar.parse().expect("a calendar"))
    }

    #[test]
    fn a_week_stands_on_the_weekday_of_the_others_unless_holidays_move_it() {
        let friday = |sent, calendar| usual(Interval::Week, "2024-01-05", 0, sent, calendar);
        assert!(friday("2024-04-05", "XNYS") && friday("2024-03-28", "XNYS"), "Good Friday");
        assert!(!friday("2024-04-04", "XNYS") && !friday("2024-04-03", "weekdays") && friday("2024-04-04", "weekdays"));
        assert!(friday("2024-02-08", "XKRX") && !friday("2024-02-07", "XKRX"), "the lunar new year");
        let monday = |sent, calendar| usual(Interval::Week, "2024-01-01", 0, sent, calendar);
        assert!(monday("2024-04-01", "XNYS") && monday("2024-05-28", "XNYS"), "Memorial Day");
        assert!(monday("2025-10-10", "XKRX") && !monday("2025-10-17", "XKRX"), "Chuseok leaves a Friday");
        assert!(!monday("2024-04-02", "XNYS") && !monday("2024-04-03", "weekdays"));
    }

    #[test]
    fn a_month_stands_at_the_end_where_the_others_do() {
        let first = |sent, calendar| usual(Interval::Month, "2023-01-01", 1, sent, calendar);
        assert!(first("2024-03-01", "XNYS") && first("2024-09-03", "XNYS") && first("2024-03-04", "weekdays"));
        assert!(!first("2024-03-05", "XNYS") && !first("2024-03-17", "weekdays"));
        let last = |sent, calendar| usual(Interval::Month, "2023-01-31", 1, sent, calendar);
        assert!(last("2024-03-28", "XNYS") && last("2024-03-29", "weekdays") && !last("2024-03-15", "weekdays"));
    }

    #[test]
    fn few_bars_tell_no_habit() {
        let stored = [date("2024-01-05"), date("2024-01-12")];
        assert!(stands_as_usual(Interval::Week, &stored, date("2024-02-06"), &Calendar::Weekdays));
    }
}
