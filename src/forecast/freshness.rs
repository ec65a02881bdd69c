//! How the newest bar stands to the clock: a forecast of a day that has passed is none.

use chrono::{Days, NaiveDate};

use super::ForecastWarning;
use crate::config::ForecastSettings;
use crate::domain::{BarTime, Calendar, Interval, counted};

/// That the newest bar is old, or of a day that has not come; `today` is the date in UTC.
pub(super) fn warning(
    newest: BarTime,
    interval: Interval,
    calendar: &Calendar,
    today: NaiveDate,
    settings: &ForecastSettings,
) -> Option<ForecastWarning> {
    let label = interval.label(newest);
    // East of Greenwich tomorrow has begun.
    if newest.date() > today.checked_add_days(Days::new(1)).unwrap_or(today) {
        let message = format!("the newest bar is of {label}, which has not come yet: is its date read rightly?");
        return Some(ForecastWarning { code: "future_bars", message });
    }
    let granted = granted(interval, settings);
    let most = granted.max(COUNTED);
    let passed = calendar.n_sessions_between(newest.date(), today, most);
    (passed >= granted).then(|| {
        let or_more = if passed == most { "at least " } else { "" };
        let message =
            format!("the newest bar is of {label}, and {or_more}{}: send newer bars", since(passed, calendar));
        ForecastWarning { code: "stale_bars", message }
    })
}

/// Sessions that are counted: a year of them. How many more makes no bar fresher, and takes time.
const COUNTED: usize = 250;

/// Whole sessions that pass before a bar of this interval is old.
fn granted(interval: Interval, settings: &ForecastSettings) -> usize {
    // A longer bar is named by one of its sessions: the others, and those of the bar after it, may pass too.
    let of_longer_bars = |sessions: usize| 2 * (sessions - 1);
    let sessions = settings.stale_after_sessions as usize;
    match interval {
        Interval::Minutes(_) => settings.stale_after_sessions_intraday as usize,
        Interval::Day => sessions,
        Interval::Week => sessions + of_longer_bars(5),
        Interval::Month => sessions + of_longer_bars(23),
    }
}

/// "5 sessions of XNYS have passed since".
fn since(passed: usize, calendar: &Calendar) -> String {
    let (one, whose) = match calendar {
        Calendar::Exchange(mic) => ("session", format!(" of {mic}")),
        Calendar::AllDays => ("day", String::new()),
        Calendar::Weekdays => ("weekday", String::new()),
    };
    match passed {
        1 => format!("a whole {one}{whose} has passed since"),
        _ => format!("{}{whose} have passed since", counted(passed, one)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(newest: &str, interval: Interval, calendar: &str, today: &str) -> String {
        let date = |text: &str| text.parse::<NaiveDate>().expect("a date");
        let calendar = calendar.parse().expect("a calendar");
        let newest = BarTime::end_of_date(date(newest));
        let warning = warning(newest, interval, &calendar, date(today), &ForecastSettings::default());
        warning.map(|warning| format!("{}: {}", warning.code, warning.message)).unwrap_or_default()
    }

    #[test]
    fn five_sessions_without_a_bar_are_told_and_four_are_not() {
        // Thanksgiving, 28 November 2024, is no session of New York.
        assert_eq!(told("2024-11-22", Interval::Day, "XNYS", "2024-12-02"), "");
        assert_eq!(
            told("2024-11-22", Interval::Day, "XNYS", "2024-12-03"),
            "stale_bars: the newest bar is of 2024-11-22, and 5 sessions of XNYS have passed since: send newer bars"
        );
        assert!(told("2024-11-22", Interval::Day, "weekdays", "2024-12-02").contains("5 weekdays have"));
        assert!(told("2024-11-22", Interval::Day, "24/7", "2024-11-28").contains("and 5 days have"));
        assert!(told("2024-11-22", Interval::Day, "24/7", "2025-07-29").contains("and 248 days have"));
        assert!(told("2014-11-22", Interval::Day, "24/7", "2024-11-22").contains("and at least 250 days have"));
        assert_eq!(told("2024-11-22", Interval::Day, "24/7", "2024-11-27"), "");
    }

    #[test]
    fn bars_within_a_day_are_old_after_a_day_and_longer_ones_have_the_time_that_they_take() {
        assert_eq!(told("2024-11-22", Interval::Minutes(30), "XNYS", "2024-11-25"), "");
        let a_day = told("2024-11-22", Interval::Minutes(30), "XNYS", "2024-11-26");
        assert!(a_day.contains("T23:59:59Z, and a whole session of XNYS has passed since"), "{a_day}");
        assert_eq!(told("2024-11-18", Interval::Week, "weekdays", "2024-12-05"), "", "12 weekdays");
        assert!(told("2024-11-18", Interval::Week, "weekdays", "2024-12-06").starts_with("stale_bars"), "13 weekdays");
        assert_eq!(told("2024-10-01", Interval::Month, "weekdays", "2024-12-09"), "", "48 weekdays");
        assert!(told("2024-10-01", Interval::Month, "weekdays", "2024-12-10").starts_with("stale_bars"), "49 weekdays");
    }

    #[test]
    fn a_bar_of_tomorrow_may_be_and_one_of_the_day_after_may_not() {
        assert_eq!(told("2024-11-23", Interval::Day, "24/7", "2024-11-22"), "");
        assert_eq!(
            told("2024-11-24", Interval::Day, "24/7", "2024-11-22"),
            "future_bars: the newest bar is of 2024-11-24, which has not come yet: is its date read rightly?"
        );
    }
}
