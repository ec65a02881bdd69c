//! Dates and times as vendors write them: one cell to its parts.

use chrono::{Datelike, NaiveDate};

use super::clock::{Clock, clock};
use super::date_digits::{compact_with_time, number};
use super::date_triple::Triple;
use super::date_words::{era, is_filler, month};

/// When a row stands, before its zone is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Days since 1970-01-01.
    pub day: i32,
    /// Seconds of the day, where a time is written.
    pub second: Option<u32>,
    /// Seconds east of Greenwich, where a zone is written.
    pub offset: Option<i32>,
}

/// In which order day, month and year stand where the year does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Ymd,
    Dmy,
    Mdy,
    /// Years of the Republic of China, 1911 before ours.
    Roc,
    /// Day first, years of the Buddhist era, 543 ahead of ours.
    Buddhist,
    /// Days since 1899-12-30, as spreadsheets count.
    Excel,
    /// Years and months without days.
    Month,
}

/// A cell taken apart.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Triple(Triple, Clock),
    /// Eight, twelve or fourteen digits that begin with a date.
    Compact(Stamp),
    /// Seconds since 1970 by magnitude.
    Epoch(i64),
    /// A small number of days.
    Serial(f64),
}

const DAY: i64 = 86_400;
/// How far the Buddhist era's years are ahead; 2443 to 2643 are ours from 1900 on.
pub(super) const BUDDHIST_ERA: i32 = 543;
/// The first of January of the year 2443.
pub(super) const FIRST_BUDDHIST_DAY: i32 = 172_760;

impl Stamp {
    /// A cell read with an order; `None` where it is no date.
    pub(super) fn of(text: &str, order: Order) -> Option<Self> {
        if let Some(day) = iso_day(text).filter(|_| order != Order::Buddhist) {
            return Some(Self { day, second: None, offset: None });
        }
        if order == Order::Month {
            return month_alone(text).map(|day| Self { day, second: None, offset: None });
        }
        match shape(text)? {
            Shape::Compact(stamp) => Some(stamp),
            Shape::Epoch(seconds) => Some(Self::of_epoch(seconds)),
            Shape::Serial(days) if order == Order::Excel => Some(Self::of_serial(days)),
            Shape::Serial(_) => None,
            Shape::Triple(triple, clock) => triple.day(order).map(|day| Self::at(day, clock)),
        }
    }

    pub(super) fn at(day: i32, clock: Clock) -> Self {
        let second = clock.second;
        Self { day, second, offset: clock.zone.map(|zone| zone.offset_at(day, second.unwrap_or(0))) }
    }

    fn of_epoch(seconds: i64) -> Self {
        // The range of epochs below fits: 19 digits of nanoseconds end in 2286.
        let day = seconds.div_euclid(DAY) as i32;
        Self { day, second: Some(seconds.rem_euclid(DAY) as u32), offset: Some(0) }
    }

    fn of_serial(days: f64) -> Self {
        let whole = days.floor();
        let second = ((days - whole) * DAY as f64).round() as u32;
        let (day, second) = if i64::from(second) >= DAY { (whole as i32 + 1, 0) } else { (whole as i32, second) };
        Self { day: day - 25_569, second: (second > 0).then_some(second), offset: None }
    }
}

/// `2024-01-02`, the common case, without taking it apart.
pub(super) fn iso_day(text: &str) -> Option<i32> {
    let b = text.as_bytes();
    if b.len() != 10 || b[4] != b'-' || b[7] != b'-' {
        return None;
    }
    let number = |bytes: &[u8]| {
        bytes.iter().try_fold(0_u32, |n, byte| byte.is_ascii_digit().then(|| n * 10 + u32::from(byte - b'0')))
    };
    day_of(number(&b[..4])? as i32, number(&b[5..7])?, number(&b[8..])?)
}

/// Days since 1970 of a date that exists.
pub(super) fn day_of(year: i32, month: u32, day: u32) -> Option<i32> {
    let n_days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => return None,
    };
    if day == 0 || day > n_days || !(0..=9999).contains(&year) {
        return None;
    }
    // Hinnant (2013), "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let month_idx = (month as i32 + 9) % 12;
    let day_of_year = (153 * month_idx + 2) / 5 + day as i32 - 1;
    Some(era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468)
}

/// Whether a year can only be one of the Buddhist era.
pub(super) fn is_buddhist(year: i32) -> bool {
    (1900 + BUDDHIST_ERA..=2100 + BUDDHIST_ERA).contains(&year)
}

/// The calendar date of a day number.
pub(super) fn date_of(day: i32) -> NaiveDate {
    NaiveDate::from_num_days_from_ce_opt(day.saturating_add(719_163)).unwrap_or(NaiveDate::MIN)
}

/// Whether a cell reads as a date in any order; short numbers do not.
pub(super) fn looks_like_date(text: &str) -> bool {
    match shape(text) {
        // Six digits are a number more often than a date.
        Some(Shape::Triple(triple, _)) if triple.is_run_together(text) => false,
        Some(Shape::Triple(triple, _)) => {
            [Order::Ymd, Order::Dmy, Order::Mdy].iter().any(|order| triple.day(*order).is_some())
        }
        Some(Shape::Compact(_) | Shape::Epoch(_)) => true,
        _ => false,
    }
}

/// Takes a cell apart; `None` where it is neither three numbers nor one that can be a date.
pub(super) fn shape(text: &str) -> Option<Shape> {
    let text = text.trim().trim_matches(['\'', '"', '\u{200e}']).trim();
    if text.is_empty() || text.len() > 80 {
        return None;
    }
    // `/Date(1704153600000)/`, as .NET writes JSON.
    if let Some(inner) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
        return number(inner.split(['+', '-']).next().unwrap_or(inner))
            .filter(|shape| matches!(shape, Shape::Epoch(_)));
    }
    if let Some(compact) = compact_with_time(text) {
        return Some(compact);
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.matches('.').count() <= 1 {
        return number(text);
    }
    let (triple, rest) = after_tuesday(text).or_else(|| triple(text))?;
    clock(rest).map(|clock| Shape::Triple(triple, clock))
}

/// The first day of a month that stands for it: `2024-01`, `Jan 2024`, `2024年1月`; not `Jan-24`, which can be a day.
pub(super) fn month_alone(text: &str) -> Option<i32> {
    let text = text.trim().trim_end_matches(['月', '월']);
    let (one, other) = text.split_once([' ', '-', '/', '年', '년'])?;
    let year = |part: &str| part.parse().ok().filter(|year| part.len() == 4 && (1800..=2100).contains(year));
    let (year, rest) = year(one).map(|year| (year, other)).or_else(|| Some((year(other)?, one)))?;
    let rest = rest.trim();
    day_of(year, month(rest).or_else(|| rest.parse().ok().filter(|_| rest.len() <= 2))?, 1)
}

/// `mar. 02/01/2024`: March in English, and in French, Spanish and Italian Tuesday where a whole date follows.
fn after_tuesday(text: &str) -> Option<(Triple, &str)> {
    let rest = text.strip_prefix("mar").or_else(|| text.strip_prefix("Mar"))?.trim_start_matches(['.', ',']);
    let date = rest.strip_prefix(' ')?;
    let has_month = |found: &(Triple, &str)| found.0.named_month().is_some();
    // `mar 2 ene 2024` has its month; else in one word: `Mar 02 2024 0930` is none.
    triple(date)
        .filter(has_month)
        .or_else(|| triple(date.split(' ').next()?).filter(|found| !has_month(found)).and_then(|_| triple(date)))
}

/// Reads three parts and gives what follows them.
fn triple(text: &str) -> Option<(Triple, &str)> {
    let mut triple = Triple { parts: [0; 3], digits: [0; 3], era: 0 };
    let (mut n_parts, mut rest) = (0, text);
    while n_parts < 3 {
        rest =
            rest.trim_start_matches([' ', '-', '/', '.', ',', '\'', '年', '月', '년', '월', '(', ')', '\u{a0}', '_']);
        let c = rest.chars().next()?;
        if c.is_ascii_digit() || ('０'..='９').contains(&c) {
            let end = rest.find(|c: char| !c.is_ascii_digit() && !('０'..='９').contains(&c)).unwrap_or(rest.len());
            let value = rest[..end].chars().try_fold(0_u32, |n, c| {
                let digit = c.to_digit(10).or_else(|| (c as u32).checked_sub('０' as u32))?;
                n.checked_mul(10)?.checked_add(digit)
            })?;
            let n_digits = rest[..end].chars().count();
            // A time cannot come before the date is whole.
            if n_digits > 4 || rest[end..].starts_with(':') {
                return None;
            }
            triple.parts[n_parts] = value;
            triple.digits[n_parts] = n_digits as u8;
            n_parts += 1;
            rest = &rest[end..];
        } else {
            let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
            let word = rest[..end].to_lowercase();
            if end == 0 {
                return None;
            }
            if let Some(month) = month(&word) {
                if triple.digits[..n_parts].contains(&0) {
                    return None;
                }
                triple.parts[n_parts] = month;
                n_parts += 1;
            } else if let Some(era) = era(&word) {
                triple.era = era;
            } else if !is_filler(&word) {
                return None;
            }
            rest = &rest[end..];
        }
    }
    let names = triple.digits.iter().filter(|digits| **digits == 0).count();
    (names <= 1).then_some((triple, rest))
}

/// Whether a day is Saturday or Sunday.
pub(super) fn is_weekend(day: i32) -> bool {
    date_of(day).weekday().number_from_monday() > 5
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str, order: Order) -> String {
        match Stamp::of(text, order) {
            None => "none".to_owned(),
            Some(stamp) => {
                let time = stamp.second.map(|s| format!(" {:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60));
                let zone = stamp.offset.map(|s| format!(" {:+}", f64::from(s) / 3600.0));
                format!("{}{}{}", date_of(stamp.day), time.unwrap_or_default(), zone.unwrap_or_default())
            }
        }
    }

    #[test]
    fn dates_are_read_as_vendors_write_them() {
        for (text, order, expected) in [
            ("2024-01-02", Order::Ymd, "2024-01-02"),
            ("2024- 01- 02", Order::Ymd, "2024-01-02"),
            ("2016/1/4", Order::Ymd, "2016-01-04"),
            ("2024.11.12", Order::Mdy, "2024-11-12"),
            ("20240627", Order::Ymd, "2024-06-27"),
            ("12/13/2024", Order::Mdy, "2024-12-13"),
            ("28.03.2024", Order::Dmy, "2024-03-28"),
            ("11/09/17", Order::Mdy, "2017-11-09"),
            ("Oct 17, 2019", Order::Ymd, "2019-10-17"),
            ("17-Oct-19", Order::Dmy, "2019-10-17"),
            ("Oct-17-19", Order::Dmy, "2019-10-17"),
            ("Di, 02.01.2024", Order::Dmy, "2024-01-02"),
            ("mar. 02/01/2024", Order::Dmy, "2024-01-02"),
            ("mar. 2 janv. 2024", Order::Dmy, "2024-01-02"),
            ("mar 02 Ene '24", Order::Dmy, "2024-01-02"),
            ("1130102", Order::Roc, "2024-01-02"),
            ("20240102093500000", Order::Ymd, "2024-01-02 09:35:00"),
            ("2024-01", Order::Month, "2024-01-01"),
            ("January 2024", Order::Month, "2024-01-01"),
            ("2024년 1월", Order::Month, "2024-01-01"),
            ("2024-13", Order::Month, "none"),
            ("Mar 2 2024", Order::Dmy, "2024-03-02"),
            ("Mar 02 2024 0930", Order::Dmy, "2024-03-02 09:30:00"),
            ("2. marraskuuta 2024", Order::Dmy, "2024-11-02"),
            ("2. července 2024", Order::Dmy, "2024-07-02"),
            ("2. června 2024", Order::Dmy, "2024-06-02"),
            ("2 Ιουλίου 2024", Order::Dmy, "2024-07-02"),
            ("2 вересня 2024", Order::Dmy, "2024-09-02"),
            ("2 noiembrie 2024", Order::Dmy, "2024-11-02"),
            ("2 rugsėjo 2024", Order::Dmy, "2024-09-02"),
            ("2019-Oct-17", Order::Mdy, "2019-10-17"),
            ("Thu, 17 October 2019", Order::Ymd, "2019-10-17"),
            ("2024년 1월 9일", Order::Ymd, "2024-01-09"),
            ("2024年1月9日(火)", Order::Ymd, "2024-01-09"),
            ("令和6年1月9日", Order::Ymd, "2024-01-09"),
            ("113/01/02", Order::Roc, "2024-01-02"),
            ("92/06/30", Order::Roc, "2003-06-30"),
            ("45293", Order::Excel, "2024-01-02"),
            ("1704153600", Order::Ymd, "2024-01-02 00:00:00 +0"),
            ("1704153600000", Order::Ymd, "2024-01-02 00:00:00 +0"),
            ("1704153600000000000", Order::Ymd, "2024-01-02 00:00:00 +0"),
            ("2024-01-02T09:15:00+05:30", Order::Ymd, "2024-01-02 09:15:00 +5.5"),
            ("2024-01-02 00:00:00 UTC", Order::Ymd, "2024-01-02 00:00:00 +0"),
            ("2024-01-02T00:00:00.123456789Z", Order::Ymd, "2024-01-02 00:00:00 +0"),
            ("11/5/2019 9:30", Order::Mdy, "2019-11-05 09:30:00"),
            ("11/5/2019 9:30 PM", Order::Mdy, "2019-11-05 21:30:00"),
            ("2024-01-02 오후 3:30", Order::Ymd, "2024-01-02 15:30:00"),
            ("20240102 0930", Order::Ymd, "2024-01-02 09:30:00"),
            ("20240102 093000", Order::Ymd, "2024-01-02 09:30:00"),
            ("20240702 09:30:00 US/Eastern", Order::Ymd, "2024-07-02 09:30:00 -4"),
            ("2024-03-04 01-PM", Order::Ymd, "2024-03-04 13:00:00"),
            ("2024-01-02,二", Order::Ymd, "2024-01-02"),
            ("Tue Jan 02 2024 00:00:00 GMT+0900 (Korean Standard Time)", Order::Ymd, "2024-01-02 00:00:00 +9"),
            ("240102", Order::Ymd, "2024-01-02"),
            ("02012024", Order::Dmy, "2024-01-02"),
            ("29/02/2567", Order::Buddhist, "2024-02-29"),
            ("202401020930", Order::Ymd, "2024-01-02 09:30:00"),
        ] {
            assert_eq!(read(text, order), expected, "{text}");
        }
    }

    #[test]
    fn the_first_year_of_the_buddhist_era_is_where_the_constant_says() {
        assert_eq!(day_of(1900 + BUDDHIST_ERA, 1, 1), Some(FIRST_BUDDHIST_DAY));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "2024-02-30",
            "2016-12-31T23:59:60Z",
            "=TODAY()",
            "abc",
            "12:30",
            "2024-01",
            "13/13/2024",
            "1.5",
            "Total 1 2",
        ] {
            assert_eq!(Stamp::of(text, Order::Mdy), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,30}") {
            for order in [Order::Ymd, Order::Dmy, Order::Mdy, Order::Roc, Order::Excel, Order::Month] {
                let _ = Stamp::of(&text, order);
            }
            let _ = super::super::clock::Zone::of_name(&text);
        }

        #[test]
        fn day_numbers_agree_with_chrono(day in -62_000..47_000_i32) {
            let date = date_of(day);
            prop_assert_eq!(day_of(date.year(), date.month(), date.day()), Some(day));
        }
    }
}
