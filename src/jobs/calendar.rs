//! Which market a series' sessions are of, and which of them it lacks.

use chrono::NaiveDate;

use crate::domain::{Bar, Calendar, Interval, Series, Ticker};
use crate::ingest::Warning;

/// How many of the newest bars tell a market: a year has every holiday once.
const NEWEST: usize = 260;

/// Finds the calendars of series not seen before. Those of one body mostly have the same dates: they are compared
/// with a market's once.
#[derive(Debug, Default)]
pub struct Detector {
    last: Option<(Vec<NaiveDate>, Option<Calendar>)>,
    by_dates: Vec<(Ticker, Calendar)>,
    /// Of which nothing told the market, though there may be holidays.
    open: Vec<Ticker>,
}

impl Detector {
    /// By the ticker's suffix, then by its dates, then by a code that only fits Korea; Monday to Friday where none of
    /// them tells.
    pub fn calendar(&mut self, ticker: &Ticker, series: &Series) -> Calendar {
        if let Some(calendar) = Calendar::of_ticker(ticker) {
            return calendar;
        }
        let dates = dates(&series.bars()[series.len().saturating_sub(NEWEST)..]);
        let of_dates = match &self.last {
            Some((known, calendar)) if *known == dates => calendar.clone(),
            _ => Calendar::of_dates(&dates),
        };
        let found = of_dates.clone().or_else(|| korea(ticker, &dates));
        match &found {
            Some(calendar) => self.by_dates.push((ticker.clone(), calendar.clone())),
            None if series.interval() != Interval::Day || keeps_no_holiday(&dates) => {}
            None => self.open.push(ticker.clone()),
        }
        self.last = Some((dates, of_dates));
        found.unwrap_or(Calendar::Weekdays)
    }

    /// What to tell of the calendars found: which were taken without anybody naming them.
    pub(super) fn told(&self) -> impl Iterator<Item = Warning> {
        let of_first = |first: &Ticker, count: usize| match count {
            1 => ("the dates".to_owned(), Some(first.clone())),
            several => (format!("the dates of {several} tickers, the first {first},"), None),
        };
        let detected = self.by_dates.first().map(|(first, calendar)| {
            let (whose, ticker) = of_first(first, self.by_dates.len());
            let message = format!(
                "{whose} are sessions of {calendar}: forecasts name its next ones; pass calendar where it is another"
            );
            Warning { code: "calendar_detected", session: None, message, ticker }
        });
        let assumed = self.open.first().map(|first| {
            let (whose, ticker) = of_first(first, self.open.len());
            let message = format!(
                "{whose} do not tell which market they are of: every day from Monday to Friday is taken for a session, \
                 holidays too; pass calendar, as in calendar=XNYS"
            );
            Warning { code: "calendar_assumed", session: None, message, ticker }
        });
        detected.into_iter().chain(assumed)
    }
}

/// Whether a year of dates has every weekday: an invented market, or one without holidays.
fn keeps_no_holiday(dates: &[NaiveDate]) -> bool {
    dates.len() >= NEWEST && Calendar::Weekdays.missing_sessions(dates).is_empty()
}

/// A code such as `005930`, unless bars stand on the exchange's holidays: the mainland's codes look alike.
fn korea(ticker: &Ticker, dates: &[NaiveDate]) -> Option<Calendar> {
    let calendar = ticker.is_krx_code().then(|| "XKRX".parse::<Calendar>().ok())??;
    let n_off = dates.iter().filter(|date| calendar.is_session(**date) == Some(false)).count();
    (n_off * 100 <= dates.len()).then_some(calendar)
}

/// Sessions of a market within a daily series that have no bar; `None` where none is missing, or no market is known.
pub(super) fn missing_sessions(ticker: &Ticker, series: &Series, calendar: &Calendar) -> Option<Warning> {
    if series.interval() != Interval::Day || !matches!(calendar, Calendar::Exchange(_)) {
        return None;
    }
    let missing = calendar.missing_sessions(&dates(series.bars()));
    let first = missing.first()?;
    Some(Warning {
        code: "missing_sessions",
        session: Some(first.to_string()),
        message: match missing.len() {
            1 => format!("the session {first} of {calendar} has no bar"),
            several => format!("{several} sessions of {calendar} have no bar, the first {first}"),
        },
        ticker: Some(ticker.clone()),
    })
}

/// Bars of a daily series on days that are no session of its market; `None` where there are none.
pub(super) fn off_calendar(ticker: &Ticker, series: &Series, calendar: &Calendar) -> Option<Warning> {
    if series.interval() != Interval::Day {
        return None;
    }
    let is_off = |date: &NaiveDate| calendar.is_session(*date) == Some(false);
    let off: Vec<NaiveDate> = dates(series.bars()).into_iter().filter(is_off).collect();
    let first = off.first()?;
    Some(Warning {
        code: "off_calendar",
        session: Some(first.to_string()),
        message: match off.len() {
            1 => format!(
                "the bar of {first} stands on no session of {calendar}: is the calendar another one, or is it a row of a \
                 holiday?"
            ),
            several => format!(
                "{several} bars stand on days that are no session of {calendar}, the first {first}: is the calendar \
                 another one, or are they rows of holidays?"
            ),
        },
        ticker: Some(ticker.clone()),
    })
}

fn dates(bars: &[Bar]) -> Vec<NaiveDate> {
    let mut dates: Vec<NaiveDate> = bars.iter().map(Bar::at).map(|at| at.date()).collect();
    dates.dedup();
    dates
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BarTime;
    use crate::domain::bar::RawBar;

    fn series(dates: &[NaiveDate]) -> Series {
        let bar = |date: &NaiveDate| {
            let at = BarTime::from_date(*date);
            Bar::new(RawBar { at, open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: None }).expect("a flat bar")
        };
        Series::new(Interval::Day, dates.iter().map(bar).collect()).expect("ascending")
    }

    fn sessions(mic: &str, count: usize) -> Vec<NaiveDate> {
        let calendar: Calendar = mic.parse().expect("a calendar");
        calendar.sessions_after("2023-01-02".parse().expect("a date"), count)
    }

    fn detected(ticker: &str, dates: &[NaiveDate]) -> String {
        Detector::default().calendar(&ticker.parse().expect("a ticker"), &series(dates)).to_string()
    }

    #[test]
    fn a_calendar_is_known_by_suffix_then_by_dates_then_by_code() {
        assert_eq!(detected("005930.KS", &sessions("24/7", 70)), "XKRX");
        assert_eq!(detected("BTC-USD", &sessions("24/7", 70)), "24/7");
        assert_eq!(detected("AAPL", &sessions("XNYS", 260)), "XNYS");
        assert_eq!(detected("7203", &sessions("XTKS", 260)), "XTKS");
        assert_eq!(detected("005930", &sessions("XKRX", 30)), "XKRX");
        assert_eq!(detected("600000", &sessions("XSHG", 100)), "weekdays");
        assert_eq!(detected("AAPL", &sessions("XNYS", 2)), "weekdays");
    }

    #[test]
    fn what_was_detected_and_what_is_missing_is_told() {
        let mut dates = sessions("XNYS", 260);
        let lost = dates.remove(100);
        let (ticker, calendar): (Ticker, Calendar) =
            ("AAPL".parse().expect("a ticker"), "XNYS".parse().expect("a MIC"));
        let warning = missing_sessions(&ticker, &series(&dates), &calendar).expect("one is missing");
        assert_eq!((warning.code, warning.session), ("missing_sessions", Some(lost.to_string())));
        assert_eq!(missing_sessions(&ticker, &series(&sessions("XNYS", 9)), &calendar), None);
        assert_eq!(off_calendar(&ticker, &series(&dates), &calendar), None);
        let christmas: NaiveDate = "2023-12-25".parse().expect("a date");
        let at = dates.partition_point(|date| *date < christmas);
        dates.insert(at, christmas);
        let warning = off_calendar(&ticker, &series(&dates), &calendar).expect("one is a holiday");
        assert_eq!((warning.code, warning.session.as_deref()), ("off_calendar", Some("2023-12-25")));
    }

    #[test]
    fn a_market_that_nobody_named_is_told_found_or_not() {
        let told = |tickers: &[&str], dates: &[NaiveDate]| -> Vec<(&str, String)> {
            let mut detector = Detector::default();
            for ticker in tickers {
                detector.calendar(&ticker.parse().expect("a ticker"), &series(dates));
            }
            detector.told().map(|warning| (warning.code, warning.message)).collect()
        };
        let codes = |tickers: &[&str], dates: &[NaiveDate]| -> Vec<&str> {
            told(tickers, dates).into_iter().map(|(code, _)| code).collect()
        };
        assert_eq!(codes(&["AAPL"], &sessions("XNYS", 260)), ["calendar_detected"]);
        assert!(told(&["AAPL"], &sessions("XNYS", 260))[0].1.contains("XNYS"));
        assert!(codes(&["005930.KS", "7203.T"], &sessions("XKRX", 60)).is_empty(), "the suffix says it");
        assert_eq!(codes(&["AAPL"], &sessions("XNYS", 60)), ["calendar_assumed"], "too few to tell");
        assert_eq!(
            codes(&["PETR4"], &sessions("BVMF", 400)),
            ["calendar_assumed"],
            "of none of the markets told by dates"
        );
        assert!(codes(&["SYN0001"], &sessions("weekdays", 400)).is_empty(), "there are no holidays to know");
        assert!(
            told(&["AAPL", "MSFT"], &sessions("XNYS", 60))[0].1.starts_with("the dates of 2 tickers, the first AAPL,")
        );
    }
}
