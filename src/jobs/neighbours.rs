//! Bars beside those that are stored: whether they can be of the same interval.

use chrono::{Datelike, NaiveDate, TimeDelta};

use super::ingest::IngestError;
use crate::app::App;
use crate::domain::{Bar, BarTime, Calendar, Interval, Series};
use crate::ingest::may_be_neighbours;
use crate::store::{OnConflict, TickerRecord};

/// A few bars cannot tell by themselves of which interval they are: each stands on its usual day. Of more some may not.
const FEW: usize = 9;

/// Whether bars are of the series that they continue. Each must be one that is stored, or stand as far from those as its
/// interval's bars do, and on the day on which these stand; else they are of another interval, or weeks told by another day.
///
/// A file that was exported before its last week or month was over may have told it by another day than the next file does:
/// `Some` with the time of that stored bar and of the one sent that takes its place.
///
/// # Errors
/// [`IngestError::OtherInterval`] where one stands otherwise; [`IngestError::Store`] where the stored bars cannot be read.
pub(super) async fn check_neighbours(
    app: &App,
    record: &TickerRecord,
    sent: &Series,
    on_conflict: OnConflict,
) -> Result<Option<(BarTime, BarTime)>, IngestError> {
    let bars = sent.bars();
    let (Some(first), Some(last)) = (bars.first(), bars.last()) else { return Ok(None) };
    let interval = sent.interval();
    // Gaps within a day have told all but a bar alone.
    let is_told = interval == Interval::Day || (matches!(interval, Interval::Minutes(_)) && bars.len() > 1);
    if is_told || record.interval != interval {
        return Ok(None);
    }
    let reach = match interval {
        Interval::Minutes(minutes) => i64::from(minutes) * 60,
        _ => 31 * 86_400,
    };
    let (from, to) = (first.at().seconds() - reach, last.at().seconds() + reach);
    let (from, to) = (BarTime::from_seconds(from), BarTime::from_seconds(to));
    let mut stored: Vec<BarTime> = app.store.bars(record.id, from, to, u64::MAX).await?.iter().map(Bar::at).collect();
    let new: Vec<BarTime> = bars.iter().map(Bar::at).filter(|at| stored.binary_search(at).is_err()).collect();
    let up_to = if matches!(interval, Interval::Minutes(_)) { first.at() } else { BarTime::from_seconds(i64::MAX) };
    let newest = app.store.newest_bars(record.id, up_to, MOST_COMPARED).await?;
    let newest_at = newest.last().map(Bar::at);
    let dates: Vec<NaiveDate> = newest.iter().map(|bar| bar.at().date()).collect();
    let finished = newest
        .last()
        .and_then(|newest| finished(interval, newest, &dates, bars))
        .filter(|_| on_conflict == OnConflict::Replace);
    if finished.is_some() {
        stored.retain(|at| Some(*at) != newest_at);
    }
    let too_near = |at: &BarTime| {
        let next = stored.partition_point(|stored| stored < at);
        let mut beside = stored[next.saturating_sub(1)..].iter().take(2);
        beside.find(|stored| !may_be_neighbours(interval, stored.seconds(), at.seconds())).copied()
    };
    let crowded = new.iter().find_map(|at| Some((*at, too_near(at)?)));
    let odd = || match interval {
        // One bar a day at the same time is a day's.
        Interval::Minutes(_) => {
            let is_a_day_s =
                |at: &BarTime| newest_at.is_some_and(|newest| (at.seconds() - newest.seconds()) % 86_400 == 0);
            new.first().copied().filter(is_a_day_s)
        }
        _ => {
            let is_odd = |at: &&BarTime| !stands_as_usual(interval, &dates, at.date(), &record.calendar);
            let most = if bars.len() > FEW { new.len() / 5 } else { 0 };
            new.iter().filter(is_odd).nth(most).copied()
        }
    };
    match crowded.or_else(|| Some((odd()?, newest_at?))) {
        None => Ok(newest_at.zip(finished.map(Bar::at))),
        Some((sent, beside)) => Err(IngestError::OtherInterval {
            ticker: record.ticker.clone(),
            stored: record.interval,
            sent: interval.label(sent),
            beside: interval.label(beside),
        }),
    }
}

/// The only bar sent of the newest stored one's week or month, where it stands later and nearer to the usual day, and holds what
/// that one does: a single day of the week does not.
fn finished<'a>(interval: Interval, newest: &Bar, stored: &[NaiveDate], bars: &'a [Bar]) -> Option<&'a Bar> {
    let begun = newest.at().date();
    let is_of_same = |date: NaiveDate| match interval {
        Interval::Week => date.iso_week() == begun.iso_week(),
        Interval::Month => (date.year(), date.month()) == (begun.year(), begun.month()),
        Interval::Day | Interval::Minutes(_) => false,
    };
    let mut same = bars.iter().filter(|bar| is_of_same(bar.at().date()));
    let (bar, None) = (same.next()?, same.next()) else { return None };
    let distance = |date: NaiveDate| Some(days_away(interval, stored, date)?.map(i64::abs).into_iter().min());
    let date = bar.at().date();
    let holds = bar.open() == newest.open()
        && bar.high() >= newest.high()
        && bar.low() <= newest.low()
        && bar.volume().zip(newest.volume()).is_none_or(|(whole, begun)| whole >= begun);
    (holds && date > begun && distance(date)? < distance(begun)?).then_some(bar)
}

/// How many of the newest stored bars show on which day weeks or months stand, and how many at least.
const MOST_COMPARED: u64 = 30;
const LEAST_COMPARED: usize = 8;

/// How many days after and before the day on which the others stand a date is: weeks are told by one of their weekdays, months
/// by their first or their last day. `None` of series of too few bars, or without a habit.
fn days_away(interval: Interval, stored: &[NaiveDate], date: NaiveDate) -> Option<[i64; 2]> {
    let position = |date: &NaiveDate| match interval {
        Interval::Week => date.weekday().num_days_from_monday(),
        _ => u32::from(date.day() > 15),
    };
    let count = |wanted: u32| stored.iter().filter(|date| position(date) == wanted).count();
    let usual = (0..7).max_by_key(|wanted| count(*wanted)).unwrap_or(0);
    if stored.len() < LEAST_COMPARED || count(usual) * 10 < stored.len() * 8 {
        return None;
    }
    Some(match interval {
        Interval::Week => {
            let later = i64::from((position(&date) + 7 - usual) % 7);
            [later, later - 7]
        }
        _ if usual == 0 => [i64::from(date.day()) - 1; 2],
        _ => [i64::from(date.day()) - i64::from(date.num_days_in_month()); 2],
    })
}

/// Whether a date stands where the others do, or holidays moved it. Series without a habit tell nothing.
fn stands_as_usual(interval: Interval, stored: &[NaiveDate], date: NaiveDate, calendar: &Calendar) -> bool {
    let is_moved_by = |days_away: i64| {
        let mut moved_over = (1..=days_away.abs()).map(|n_days| date - TimeDelta::days(n_days * days_away.signum()));
        match calendar {
            Calendar::Exchange(_) => moved_over.all(|date| calendar.is_session(date) == Some(false)),
            // Holidays are not known: a few days.
            _ if interval == Interval::Week => days_away.abs() <= 1,
            _ => days_away.abs() <= 9,
        }
    };
    days_away(interval, stored, date).is_none_or(|ways| ways.into_iter().any(is_moved_by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::RawBar;

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
    fn a_month_s_end_finishes_the_day_before_it() {
        let stored: Vec<NaiveDate> =
            (0..12).filter_map(|n| date("2023-04-28").checked_add_months(chrono::Months::new(n))).collect();
        let bar = |text: &str| {
            let at = BarTime::from_seconds((date(text) - NaiveDate::default()).num_seconds());
            Bar::new(RawBar { at, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: None }).expect("valid")
        };
        let mut begun = bar("2024-03-28");
        let found = |begun: &Bar, interval, texts: &[&str]| {
            let bars: Vec<Bar> = texts.iter().map(|text| bar(text)).collect();
            finished(interval, begun, &stored, &bars).map(|bar| bar.at().date().to_string())
        };
        // The newest is of 28 March.
        assert_eq!(found(&begun, Interval::Month, &["2024-03-29", "2024-04-30"]).as_deref(), Some("2024-03-29"));
        for (interval, texts) in [
            (Interval::Month, &["2024-03-27"][..]),
            (Interval::Month, &["2024-04-30"]),
            (Interval::Month, &["2024-03-28", "2024-03-29"]),
            (Interval::Day, &["2024-03-29"]),
        ] {
            assert_eq!(found(&begun, interval, texts), None, "{texts:?}");
        }
        // A day of the month does not reach what the month has reached.
        begun = Bar::new(RawBar { at: begun.at(), open: 1.0, high: 1.1, low: 1.0, close: 1.0, volume: None })
            .expect("valid");
        assert_eq!(found(&begun, Interval::Month, &["2024-03-29"]), None);
    }

    #[test]
    fn few_bars_tell_no_habit() {
        let stored = [date("2024-01-05"), date("2024-01-12")];
        assert!(stands_as_usual(Interval::Week, &stored, date("2024-02-06"), &Calendar::Weekdays));
    }
}
