//! A few bars beside those that are stored: whether they can be of the same interval.

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::ingest::IngestError;
use crate::app::App;
use crate::domain::{Bar, BarTime, Calendar, Interval, Series};
use crate::ingest::shortest_gap;
use crate::store::TickerRecord;

/// So many bars tell by themselves.
const TELLING: usize = 9;

/// Whether a few bars are of the series that they continue: by themselves they cannot tell. Each must be one that is
/// stored, or stand as far from those as its interval's bars do, and on the day on which these stand; else they are of
/// another interval, sent to the wrong series.
///
/// # Errors
/// [`IngestError::OtherInterval`] where one stands otherwise.
pub(super) async fn check_neighbours(app: &App, record: &TickerRecord, sent: &Series) -> Result<(), IngestError> {
    let bars = sent.bars();
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return Ok(()) };
    let shortest = match (sent.interval(), bars) {
        // Gaps within a day have told all but a bar alone.
        (Interval::Minutes(minutes), [_]) => Some(i64::from(minutes) * 60),
        (interval, _) => shortest_gap(interval),
    };
    let Some(shortest) = shortest.filter(|_| bars.len() <= TELLING && record.interval == sent.interval()) else {
        return Ok(());
    };
    let (from, to) = (first.at().seconds() - shortest, last.at().seconds() + shortest);
    let (from, to) = (BarTime::from_seconds(from), BarTime::from_seconds(to));
    let stored: Vec<i64> =
        app.store.bars(record.id, from, to, u64::MAX).await?.iter().map(|bar| bar.at().seconds()).collect();
    let is_stored = |bar: &&Bar| stored.contains(&bar.at().seconds());
    let is_apart =
        |bar: &&Bar| stored.iter().all(|stored| stored.abs_diff(bar.at().seconds()) >= shortest.unsigned_abs());
    let new: Vec<&Bar> = bars.iter().filter(|bar| !is_stored(bar)).collect();
    let of_another = match sent.interval() {
        _ if !new.iter().all(is_apart) => true,
        // One bar a day at the same time is a day's.
        Interval::Minutes(_) if !new.is_empty() => {
            let newest = app.store.newest_bars(record.id, first.at(), 1).await?;
            newest.iter().any(|newest| (first.at().seconds() - newest.at().seconds()) % 86_400 == 0)
        }
        interval if !new.is_empty() => {
            let newest = app.store.newest_bars(record.id, BarTime::from_seconds(i64::MAX), MOST_COMPARED).await?;
            let stored: Vec<NaiveDate> = newest.iter().map(|bar| bar.at().date()).collect();
            !new.iter().all(|bar| stands_as_usual(interval, &stored, bar.at().date(), &record.calendar))
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
    let days_away = match interval {
        Interval::Week => match (position(&date) + 7 - usual) % 7 {
            later @ 0..=3 => i64::from(later),
            earlier => i64::from(earlier) - 7,
        },
        _ if usual == 0 => i64::from(date.day()) - 1,
        _ => i64::from(date.day()) - i64::from(date.num_days_in_month()),
    };
    let mut moved_over = (1..=days_away.abs()).map(|n_days| date - TimeDelta::days(n_days * days_away.signum()));
    match calendar {
        Calendar::Exchange(_) => moved_over.all(|date| calendar.is_session(date) == Some(false)),
        // Holidays are not known: a few days.
        _ if interval == Interval::Week => days_away.abs() <= 1,
        _ => days_away.abs() <= 9,
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
