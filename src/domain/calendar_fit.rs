//! Which market's sessions a series' dates are, and which sessions it lacks.

use std::collections::HashSet;

use chrono::{Days, NaiveDate};

use super::Calendar;

/// How many of the newest dates are looked at: a year has every holiday once.
const NEWEST: usize = 260;
/// Fewer dates than this prove no market.
const FEWEST: usize = 120;
/// Weekdays without a session on which there must be no bar before they count as evidence.
const FEWEST_HOLIDAYS: usize = 4;
/// Markets told apart by their holidays. Working out lunar ones takes longer than reading a file, and no market that has
/// them lacks enough of them to pass for one of the others: they are looked at where none of the others fits.
const MARKETS: [&[&str]; 2] = [&["XNYS", "XTKS", "XLON", "XFRA"], &["XKRX", "XHKG", "XNSE"]];

/// How well dates fit a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fit {
    /// Bars on days without a session, and sessions without a bar.
    n_wrong: usize,
    /// Weekdays without a session and without a bar.
    n_holidays: usize,
}

impl Calendar {
    /// The calendar on whose sessions ascending dates stand: every day where weekends are traded, a market where a
    /// year of dates keeps its holidays and no other's; `None` where the dates do not say clearly.
    pub fn of_dates(dates: &[NaiveDate]) -> Option<Self> {
        let n_weekend = dates.iter().filter(|date| Self::Weekdays.is_session(**date) == Some(false)).count();
        // Of seven days two are a weekend's; a stray bar on one is an error of the file, not a market.
        if dates.len() >= 7 && n_weekend * 5 >= dates.len() {
            return Some(Self::AllDays);
        }
        let newest = &dates[dates.len().saturating_sub(NEWEST)..];
        if newest.len() < FEWEST {
            return None;
        }
        let mut fits: Vec<(Fit, Self)> = Vec::new();
        for markets in MARKETS {
            for calendar in markets.iter().filter_map(|mic| mic.parse::<Self>().ok()) {
                let Some(fit) = calendar.fit(newest) else { continue };
                if fit.n_wrong == 0 && fit.n_holidays >= FEWEST_HOLIDAYS {
                    return Some(calendar);
                }
                fits.push((fit, calendar));
            }
            fits.sort_by_key(|(fit, _)| fit.n_wrong);
            if is_clear(&fits, newest.len()) {
                return fits.into_iter().next().map(|(_, calendar)| calendar);
            }
        }
        None
    }

    /// The sessions between the first and the last of ascending dates that have no bar; days of years that the
    /// calendar does not know are none.
    pub fn missing_sessions(&self, dates: &[NaiveDate]) -> Vec<NaiveDate> {
        let known: HashSet<&NaiveDate> = dates.iter().collect();
        days_of(dates).filter(|day| !known.contains(day) && self.is_session(*day) == Some(true)).collect()
    }

    fn fit(&self, dates: &[NaiveDate]) -> Option<Fit> {
        let known: HashSet<&NaiveDate> = dates.iter().collect();
        let mut fit = Fit { n_wrong: 0, n_holidays: 0 };
        for day in days_of(dates) {
            let is_session = self.is_session(day)?;
            fit.n_wrong += usize::from(is_session != known.contains(&day));
            let is_weekday = Self::Weekdays.is_session(day) == Some(true);
            fit.n_holidays += usize::from(is_weekday && !is_session && !known.contains(&day));
        }
        Some(fit)
    }
}

/// Whether the first of `fits`, best first, has its year's holidays and nearly no wrong day, and the second clearly more.
fn is_clear(fits: &[(Fit, Calendar)], n_dates: usize) -> bool {
    let mut fits = fits.iter().map(|(fit, _)| fit);
    fits.next().is_some_and(|best| {
        best.n_wrong * 100 <= n_dates
            && best.n_holidays >= FEWEST_HOLIDAYS
            && fits.next().is_none_or(|second| second.n_wrong >= best.n_wrong + FEWEST_HOLIDAYS)
    })
}

/// Every day from the first to the last of ascending dates.
fn days_of(dates: &[NaiveDate]) -> impl Iterator<Item = NaiveDate> {
    let (first, last) = (dates.first().copied(), dates.last().copied().unwrap_or_default());
    std::iter::successors(first, |day| day.checked_add_days(Days::new(1))).take_while(move |day| *day <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(mic: &str, from: &str, count: usize) -> Vec<NaiveDate> {
        let calendar: Calendar = mic.parse().expect("a calendar");
        calendar.sessions_after(from.parse().expect("a date"), count)
    }

    fn of(dates: &[NaiveDate]) -> Option<String> {
        Calendar::of_dates(dates).map(String::from)
    }

    #[test]
    fn a_year_of_dates_tells_its_market() {
        for mic in ["XNYS", "XTKS", "XLON", "XKRX"] {
            assert_eq!(of(&sessions(mic, "2023-01-02", 300)).as_deref(), Some(mic), "{mic}");
        }
        assert_eq!(of(&sessions("24/7", "2023-01-02", 60)).as_deref(), Some("24/7"));
    }

    #[test]
    fn a_day_that_is_lacking_hides_no_market() {
        for mic in ["XNYS", "XTKS", "XKRX", "XHKG", "XNSE"] {
            let mut dates = sessions(mic, "2023-01-02", 300);
            dates.remove(200);
            assert_eq!(of(&dates).as_deref(), Some(mic), "{mic}");
        }
    }

    #[test]
    fn what_is_not_clear_is_no_market() {
        assert_eq!(of(&sessions("XNYS", "2023-01-02", 60)), None);
        assert_eq!(of(&sessions("weekdays", "2023-01-02", 300)), None);
        // One session in ten is not there.
        let holey: Vec<NaiveDate> = sessions("XNYS", "2023-01-02", 300)
            .into_iter()
            .enumerate()
            .filter_map(|(idx, date)| (idx % 10 > 0).then_some(date))
            .collect();
        assert_eq!(of(&holey), None);
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn sessions_without_a_bar_are_found() {
        let mut dates = sessions("XNYS", "2024-06-28", 10);
        let lost = dates.remove(4);
        let calendar: Calendar = "XNYS".parse().expect("a calendar");
        assert_eq!(calendar.missing_sessions(&dates), [lost]);
        assert_eq!(calendar.missing_sessions(&[]), []);
    }
}
