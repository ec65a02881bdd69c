//! Which dates an exchange trades on.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, LazyLock, RwLock};

use chrono::{Datelike, Days, NaiveDate, Weekday};
use finance_dates::calendar::{Calendar as Holidays, CalendarSource, calendar_for_exchange};
use serde::{Deserialize, Serialize};

use super::{Bar, BarTime, Interval, Ticker};

/// The sessions of a market: an exchange by its MIC (`XNYS`, `XKRX`, `XTKS`, …), `24/7`, or `weekdays`
/// where the exchange is not known.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Calendar {
    /// An exchange by its market identifier code (ISO 10383).
    Exchange(Arc<str>),
    /// Every day, as crypto assets trade.
    AllDays,
    /// Monday to Friday, holidays unknown.
    Weekdays,
}

/// A name that is no calendar.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "calendar {text:?} is unknown: use 24/7, weekdays, or an exchange's MIC, as {} or another one of ISO 10383",
    Calendar::LARGEST.join(", ")
)]
pub struct CalendarError {
    /// What was given.
    pub text: String,
}

/// What vendors write behind a ticker's last dot, by market. Frankfurt's floor and Xetra are two: they close at other hours.
const SUFFIXES: [(&str, &str); 35] = [
    ("KS KQ KN", "XKRX"),
    ("T", "XTKS"),
    ("US", "XNYS"),
    ("L IL", "XLON"),
    ("NS", "XNSE"),
    ("BO", "XBOM"),
    ("HK", "XHKG"),
    ("SS SH SZ", "XSHG"),
    ("TW", "XTAI"),
    ("TWO", "XTAI"),
    ("DE", "XETR"),
    ("F", "XFRA"),
    ("PA", "XPAR"),
    ("AS", "XAMS"),
    ("BR", "XBRU"),
    ("LS", "XLIS"),
    ("MI", "XMIL"),
    ("MC", "XMAD"),
    ("SW", "XSWX"),
    ("VI", "XWBO"),
    ("ST", "XSTO"),
    ("CO", "XCSE"),
    ("HE", "XHEL"),
    ("OL", "XOSL"),
    ("WA", "XWAR"),
    ("TO V", "XTSE"),
    ("AX", "XASX"),
    ("NZ", "XNZE"),
    ("SI", "XSES"),
    ("JK", "XIDX"),
    ("KL", "XKLS"),
    ("BK", "XBKK"),
    ("SA", "BVMF"),
    ("MX", "XMEX"),
    ("JO", "XJSE"),
];

/// The years for which exchange holidays are modelled; lunar and one-off holidays further ahead are not decided yet.
const MODELLED_YEARS: std::ops::RangeInclusive<i32> = 2000..=2027;

impl Calendar {
    /// The MICs of the largest exchanges; there are more.
    pub const LARGEST: [&str; 22] = [
        "XNYS", "XNAS", "XTSE", "BVMF", "XMEX", "XLON", "XFRA", "XPAR", "XAMS", "XMIL", "XMAD", "XSWX", "XSTO", "XTKS",
        "XKRX", "XHKG", "XSHG", "XTAI", "XNSE", "XBOM", "XSES", "XASX",
    ];

    /// The calendar that a ticker's suffix names (`.KS` and `.KQ` Korea, `.T` Tokyo, …), if it names one.
    pub fn of_ticker(ticker: &Ticker) -> Option<Self> {
        let suffix = ticker.suffix()?;
        let (_, mic) = SUFFIXES.iter().find(|(suffixes, _)| suffixes.split(' ').any(|known| known == suffix))?;
        mic.parse().ok()
    }

    /// Whether a date is a session; `None` where the calendar does not know.
    pub fn is_session(&self, date: NaiveDate) -> Option<bool> {
        match self {
            Self::AllDays => Some(true),
            Self::Weekdays => Some(is_weekday(date)),
            Self::Exchange(_) if !MODELLED_YEARS.contains(&date.year()) => None,
            Self::Exchange(mic) if is_no_holiday(mic, date) => Some(true),
            Self::Exchange(mic) => exchange(mic).map(|holidays| holidays.is_business_day(date)),
        }
    }

    /// The next `count` sessions after a date. Shorter than `count` where the calendar ends: what lies
    /// beyond is unknown.
    pub fn sessions_after(&self, date: NaiveDate, count: usize) -> Vec<NaiveDate> {
        let following = |date: &NaiveDate| date.checked_add_days(Days::new(1));
        std::iter::successors(following(&date), following)
            .map_while(|date| self.is_session(date).map(|is_session| (date, is_session)))
            .filter_map(|(date, is_session)| is_session.then_some(date))
            .take(count)
            .collect()
    }

    /// How many sessions lie between two dates, neither of them counted, and none beyond `most`; weekdays are sessions
    /// where the calendar does not know.
    pub fn n_sessions_between(&self, from: NaiveDate, to: NaiveDate, most: usize) -> usize {
        let days = from.iter_days().skip(1).take_while(|date| *date < to);
        days.filter(|date| self.is_session(*date).unwrap_or_else(|| is_weekday(*date))).take(most).count()
    }

    /// The names of the `count` bars after `at`: sessions for daily bars, times within the regular hours of an
    /// exchange for shorter ones; `None` where unknown.
    ///
    /// * `bars` ascending up to `at`, as far as there are: they show whether bars are named by their start or their end
    pub fn labels_after(&self, at: BarTime, bars: &[Bar], interval: Interval, count: usize) -> Vec<Option<String>> {
        let mut labels: Vec<Option<String>> = match (self, interval) {
            (_, Interval::Day) => {
                self.sessions_after(at.date(), count).into_iter().map(|date| Some(date.to_string())).collect()
            }
            (Self::AllDays, Interval::Minutes(minutes)) => (1..=count as i64)
                .map(|step| BarTime::from_seconds(at.seconds() + step * 60 * i64::from(minutes)))
                .map(|next| Some(interval.label(next)))
                .collect(),
            (Self::Exchange(mic), Interval::Minutes(minutes)) => exchange(mic)
                .into_iter()
                .flat_map(|holidays| times_after(&holidays, at, bars, minutes, count))
                .map(|next| Some(interval.label(next)))
                .collect(),
            _ => Vec::new(),
        };
        labels.resize(count, None);
        labels
    }
}

impl FromStr for Calendar {
    type Err = CalendarError;

    fn from_str(text: &str) -> Result<Self, CalendarError> {
        match text {
            "24/7" => Ok(Self::AllDays),
            "weekdays" => Ok(Self::Weekdays),
            _ => {
                let mic = text.to_ascii_uppercase();
                let is_mic = mic.len() == 4 && mic.bytes().all(|byte| byte.is_ascii_alphanumeric());
                match is_mic && exchange(&mic).is_some() {
                    true => Ok(Self::Exchange(mic.into())),
                    false => Err(CalendarError { text: text.chars().take(64).collect() }),
                }
            }
        }
    }
}

impl TryFrom<String> for Calendar {
    type Error = CalendarError;

    fn try_from(text: String) -> Result<Self, CalendarError> {
        text.parse()
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.to_string()
    }
}

impl fmt::Display for Calendar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(mic) => f.write_str(mic),
            Self::AllDays => f.write_str("24/7"),
            Self::Weekdays => f.write_str("weekdays"),
        }
    }
}

/// The `count` times after `at` at which bars of `minutes` stand within the regular hours of an exchange. A session's
/// bars stand as far from its open as `at` from its own. Who stamps the ends of bars has one at a close and none at an
/// open; one at the close alone may be that of the closing auction.
fn times_after(holidays: &Holidays, at: BarTime, bars: &[Bar], minutes: u32, count: usize) -> Vec<BarTime> {
    let (step, mut times) = (60 * i64::from(minutes), Vec::with_capacity(count));
    let day = |days: i64| at.date().checked_add_signed(chrono::TimeDelta::days(days));
    // The sessions of the last week tell how bars are stamped. No market is closed for a month.
    let days: Vec<NaiveDate> = (-7..31).filter_map(day).filter(|day| MODELLED_YEARS.contains(&day.year())).collect();
    let (Some(first), Some(last)) = (days.first(), days.last()) else { return times };
    let hours = holidays.sessions_between(*first, *last).into_iter();
    let hours: Vec<(i64, i64)> = hours.map(|(open, close)| (open.timestamp(), close.timestamp())).collect();
    let at = at.seconds();
    let own = hours.iter().find(|(open, close)| (*open..=*close).contains(&at));
    let stands = |time: i64| time == at || bars.binary_search_by_key(&time, |bar| bar.at().seconds()).is_ok();
    let stamps_end = hours.iter().any(|(_, close)| stands(*close)) && !hours.iter().any(|(open, _)| stands(*open));
    let phase = match own.filter(|(_, close)| *close != at).map_or(0, |(open, _)| (at - open) % step) {
        0 if stamps_end => step,
        phase => phase,
    };
    for (open, close) in hours {
        let last = if stamps_end { close } else { close - 1 };
        let stands = (0..).map(|idx| open + phase + idx * step).take_while(|time| *time <= last);
        times.extend(stands.filter(|time| *time > at).map(BarTime::from_seconds).take(count - times.len()));
        if times.len() == count {
            break;
        }
    }
    times
}

fn is_weekday(date: NaiveDate) -> bool {
    !matches!(date.weekday(), Weekday::Sat | Weekday::Sun)
}

/// Hangul Day became a holiday again in 2013; the library has it a year early.
fn is_no_holiday(mic: &str, date: NaiveDate) -> bool {
    mic == "XKRX" && (date.year(), date.month(), date.day()) == (2012, 10, 9)
}

/// Xetra is the Frankfurt exchange's own system and keeps its holidays; the library knows the floor only.
const XETRA: (&str, &str) = ("XETR", "XFRA");

/// Codes for trades without a market; the library lets them follow New York.
const NO_MARKET: [&str; 3] = ["XXXX", "PYPR", "SIMU"];

/// The holidays of an exchange whose own rules are modelled; building one takes long enough to keep it.
/// Only codes that exist are kept, so that made-up ones cannot fill the memory.
fn exchange(mic: &str) -> Option<Arc<Holidays>> {
    static KNOWN: LazyLock<RwLock<HashMap<String, Arc<Holidays>>>> = LazyLock::new(RwLock::default);
    let kept = KNOWN.read().ok().and_then(|known| known.get(mic).cloned());
    if kept.is_some() {
        return kept;
    }
    if NO_MARKET.contains(&mic) {
        return None;
    }
    let modelled = calendar_for_exchange(if mic == XETRA.0 { XETRA.1 } else { mic })
        .filter(|c| matches!(c.source, CalendarSource::Modeled))?;
    let holidays = Arc::new(modelled);
    if let Ok(mut known) = KNOWN.write() {
        known.insert(mic.to_owned(), Arc::clone(&holidays));
    }
    Some(holidays)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::RawBar;

    fn date(text: &str) -> NaiveDate {
        text.parse().expect("an ISO date")
    }

    fn next(calendar: &str, after: &str, count: usize) -> Vec<String> {
        let calendar: Calendar = calendar.parse().expect("a calendar");
        calendar.sessions_after(date(after), count).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_next_session_skips_weekends_and_the_exchange_s_holidays() {
        // Thanksgiving 2024 was 28 November; it and the weekend are skipped.
        assert_eq!(next("XNYS", "2024-11-27", 2), ["2024-11-29", "2024-12-02"]);
        // Hangul Day is a holiday since 2013.
        assert_eq!(
            (next("XKRX", "2012-10-08", 1), next("XKRX", "2013-10-08", 1)),
            (vec!["2012-10-09".to_owned()], vec!["2013-10-10".to_owned()])
        );
        // Seollal 2024: 9 to 12 February.
        assert_eq!(next("XKRX", "2024-02-08", 1), ["2024-02-13"]);
        // Japan's year end: 31 December to 3 January.
        assert_eq!(next("XTKS", "2023-12-29", 1), ["2024-01-04"]);
        assert_eq!(next("24/7", "2024-11-29", 2), ["2024-11-30", "2024-12-01"]);
        assert_eq!(next("weekdays", "2024-11-29", 1), ["2024-12-02"]);
    }

    #[test]
    fn beyond_the_calendar_s_end_sessions_are_unknown() {
        assert_eq!(next("XNYS", "2027-12-30", 5), ["2027-12-31"]);
        let calendar: Calendar = "XNYS".parse().expect("a calendar");
        assert_eq!(calendar.is_session(date("2028-01-03")), None);
        let labels = calendar.labels_after(BarTime::from_date(date("2027-12-30")), &[], Interval::Day, 2);
        assert_eq!(labels, [Some("2027-12-31".to_owned()), None]);
    }

    #[test]
    fn sessions_between_two_dates_are_counted_also_where_the_calendar_ends() {
        let between = |calendar: &str, from, to| {
            calendar.parse::<Calendar>().expect("a calendar").n_sessions_between(date(from), date(to), 10)
        };
        assert_eq!(between("XNYS", "2024-11-27", "2024-12-03"), 2, "Thanksgiving and a weekend are none");
        assert_eq!(between("24/7", "2024-11-27", "2024-12-03"), 5);
        assert_eq!(between("weekdays", "2024-11-29", "2024-12-02"), 0);
        assert_eq!(between("weekdays", "2024-11-29", "2024-11-20"), 0, "the other way round");
        assert_eq!(between("XNYS", "2027-12-30", "2028-01-06"), 4, "the last one known, then weekdays");
        assert_eq!(between("24/7", "2024-11-01", "2024-11-12"), 10);
        assert_eq!(between("24/7", "2024-11-01", "2034-11-12"), 10, "and no more are counted");
    }

    #[test]
    fn within_a_day_bars_stand_in_the_hours_of_the_exchange() {
        let after = |calendar: &str, times: &[&str], minutes, count| {
            let calendar: Calendar = calendar.parse().expect("a calendar");
            let bar = |at: &&str| {
                let at = BarTime::from_instant(chrono::DateTime::parse_from_rfc3339(at).expect("RFC 3339").to_utc());
                Bar::new(RawBar { at, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: None }).expect("a bar")
            };
            let bars: Vec<Bar> = times.iter().map(bar).collect();
            let at = bars.last().expect("a bar").at();
            let labels = calendar.labels_after(at, &bars, Interval::Minutes(minutes), count);
            labels.into_iter().map(|label| label.unwrap_or_default().replace(":00Z", "")).collect::<Vec<_>>().join(" ")
        };
        let next = |calendar: &str, at: &str, minutes, count| after(calendar, &[at], minutes, count);
        // New York closes at 21:00 UTC; Thanksgiving is skipped, the day after closes at 18:00.
        assert_eq!(next("XNYS", "2024-11-27T19:30:00Z", 60, 3), "2024-11-27T20:30 2024-11-29T14:30 2024-11-29T15:30");
        assert_eq!(
            next("XNYS", "2024-11-27T20:00:00Z", 60, 2),
            "2024-11-29T15:00 2024-11-29T16:00",
            "on the full hour"
        );
        assert_eq!(next("XNYS", "2024-11-27T20:30:00Z", 30, 2), "2024-11-29T14:30 2024-11-29T15:00");
        assert_eq!(next("XNYS", "2024-11-29T17:55:00Z", 5, 1), "2024-12-02T14:30");
        assert_eq!(next("XNYS", "2024-11-27T21:00:00Z", 30, 1), "2024-11-29T15:00", "stamped at the bars' ends");
        // Clocks change on 10 March 2024 in New York.
        assert_eq!(next("XNYS", "2024-03-08T20:30:00Z", 30, 1), "2024-03-11T13:30");
        assert_eq!(next("XKRX", "2024-11-22T06:29:00Z", 1, 1), "2024-11-25T00:00");
        // The closing auction stands at the close, also where bars are stamped at their starts.
        let auction = ["2024-11-22T00:00:00Z", "2024-11-22T06:19:00Z", "2024-11-22T06:30:00Z"];
        assert_eq!(after("XKRX", &auction, 1, 2), "2024-11-25T00:00 2024-11-25T00:01");
        let ends = ["2024-11-21T06:30:00Z", "2024-11-22T00:01:00Z", "2024-11-22T06:29:00Z"];
        assert_eq!(after("XKRX", &ends, 1, 2), "2024-11-22T06:30 2024-11-25T00:01", "in the middle of a session too");
        assert_eq!(next("24/7", "2024-11-29T23:30:00Z", 30, 1), "2024-11-30T00:00");
        assert_eq!(next("weekdays", "2024-11-27T20:30:00Z", 30, 2), " ", "nobody said whose hours");
    }

    #[test]
    fn every_exchange_that_a_refusal_names_is_known() {
        assert!("XETR".parse::<Calendar>().is_ok(), "Xetra");
        for mic in Calendar::LARGEST {
            assert!(mic.parse::<Calendar>().is_ok(), "{mic}");
        }
    }

    #[test]
    fn a_suffix_names_its_exchange_and_a_wrong_name_is_refused() {
        let of = |text: &str| text.parse::<Ticker>().ok().and_then(|t| Calendar::of_ticker(&t)).map(String::from);
        assert_eq!(of("005930.KS").as_deref(), Some("XKRX"));
        assert_eq!(of("7203.T").as_deref(), Some("XTKS"));
        assert_eq!(of("AAPL"), None);
        for (suffixes, mic) in SUFFIXES {
            for suffix in suffixes.split(' ') {
                assert_eq!(of(&format!("X.{suffix}")).as_deref(), Some(mic), "{suffix}");
            }
        }
        for text in ["", "ZZZZ", "XXXX", "NYSE!", "24/5", "FOREX"] {
            assert!(text.parse::<Calendar>().is_err(), "{text:?}");
        }
    }
}
