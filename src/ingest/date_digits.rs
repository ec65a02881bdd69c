//! Dates and instants that are written in digits alone.

use super::clock::{Clock, clock, compact_time};
use super::date_triple::Triple;
use super::dates::{Shape, Stamp, day_of};

/// `20240102 093000`, `20240102  09:30:00 US/Eastern`, `20240102T0930`.
pub(super) fn compact_with_time(text: &str) -> Option<Shape> {
    let (date, time) = text.split_at_checked(8)?;
    let day = compact_day(date)?;
    let is_apart = time.starts_with([' ', 'T', 't', '-', '_', ';', ',']) && time.len() > 1;
    is_apart.then(|| Some(Shape::Compact(Stamp::at(day, clock(time.trim_start_matches(['-', ';']))?))))?
}

/// `20240102`.
fn compact_day(digits: &str) -> Option<i32> {
    let number = |range: std::ops::Range<usize>| digits.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let year = number(0..4)? as i32;
    (1800..=2200).contains(&year).then_some(())?;
    day_of(year, number(4..6)?, number(6..8)?)
}

/// A date or an instant by how many digits it has.
pub(super) fn number(text: &str) -> Option<Shape> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let value: i64 = whole.parse().ok()?;
    let compact =
        |day: Option<i32>, second: Option<u32>| Some(Shape::Compact(Stamp { day: day?, second, offset: None }));
    let date = || compact_day(whole);
    // Two digits a part, the last with two or four: the rows decide which is which.
    let parted = || {
        let part = |range: std::ops::Range<usize>| whole.get(range).and_then(|digits| digits.parse::<u32>().ok());
        let parts = [part(0..2)?, part(2..4)?, part(4..whole.len())?];
        Some(Shape::Triple(Triple { parts, digits: [2, 2, whole.len() as u8 - 4], era: 0 }, Clock::default()))
    };
    match whole.len() {
        6 if fraction.bytes().all(|byte| byte == b'0') => parted(),
        7 if fraction.is_empty() => of_republic(whole),
        8 if fraction.bytes().all(|byte| byte == b'0') => compact(date(), None).or_else(parted),
        12 if date().is_some() => compact(date(), compact_time(&whole[8..])),
        14 if date().is_some() => compact(date(), compact_time(&whole[8..])),
        // With thousandths of a second; as an epoch it would be of the year 2611.
        17 if date().is_some() => compact(date(), compact_time(&whole[8..14])),
        9..=11 => Some(Shape::Epoch(value)),
        12..=14 => Some(Shape::Epoch(value.div_euclid(1_000))),
        15..=17 => Some(Shape::Epoch(value.div_euclid(1_000_000))),
        18..=19 => Some(Shape::Epoch(value.div_euclid(1_000_000_000))),
        4..=5 => text.parse().ok().filter(|days| (1_000.0..80_000.0).contains(days)).map(Shape::Serial),
        _ => None,
    }
}

/// `1130102`: a year of the Republic of China. No year of ours that lacks a digit can be one.
fn of_republic(digits: &str) -> Option<Shape> {
    let part = |range: std::ops::Range<usize>| digits.get(range).and_then(|digits| digits.parse::<u32>().ok());
    let parts @ [year, month, day] = [part(0..3)?, part(3..5)?, part(5..7)?];
    let is_date = (51..=150).contains(&year) && day_of(year as i32 + 1911, month, day).is_some();
    is_date.then_some(Shape::Triple(Triple { parts, digits: [3, 2, 2], era: 0 }, Clock::default()))
}
