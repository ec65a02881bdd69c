//! Times of day and zones as vendors write them.

use chrono::{NaiveDateTime, Offset, TimeZone, offset::LocalResult};
use chrono_tz::Tz;

use super::dates::date_of;

/// A time of day and its zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Clock {
    pub second: Option<u32>,
    pub zone: Option<Zone>,
}

/// Where a clock hangs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i32),
    /// A place of the time zone database; its offset changes with the seasons.
    Place(Tz),
}

impl Zone {
    /// `+09:00`, `UTC`, `America/New_York`; `None` for a name of neither kind.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        let name = name.trim();
        offset(name).map(Self::Fixed).or_else(|| name.parse().ok().map(Self::Place))
    }

    /// Seconds east at a local date and time. A time that stands twice, when clocks are set back, is the first; one
    /// that is skipped, when they are set forward, is read by the clock as it was before.
    pub(super) fn offset_at(self, day: i32, second: u32) -> i32 {
        let place = match self {
            Self::Fixed(offset) => return offset,
            Self::Place(place) => place,
        };
        let local = date_of(day).and_time(chrono::NaiveTime::MIN) + chrono::TimeDelta::seconds(i64::from(second));
        let of = |local: NaiveDateTime| match place.offset_from_local_datetime(&local) {
            LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => Some(offset.fix().local_minus_utc()),
            LocalResult::None => None,
        };
        of(local).or_else(|| of(local - chrono::TimeDelta::hours(3))).unwrap_or(0)
    }

    /// Seconds east at an instant, in seconds since 1970.
    pub(super) fn offset_of_instant(self, instant: i64) -> i32 {
        match self {
            Self::Fixed(offset) => offset,
            Self::Place(place) => chrono::DateTime::from_timestamp(instant, 0)
                .map_or(0, |utc| place.offset_from_utc_datetime(&utc.naive_utc()).fix().local_minus_utc()),
        }
    }
}

/// `93000`, `0930`, `153000`, `9` as seconds of the day.
pub(super) fn compact_time(digits: &str) -> Option<u32> {
    if digits.is_empty() || digits.len() > 6 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u32 = digits.parse().ok()?;
    let value = match digits.len() {
        1 | 2 => value * 10_000,
        3 | 4 => value * 100,
        _ => value,
    };
    seconds(value / 10_000, value / 100 % 100, value % 100)
}

/// `93000`, `100` (00:01:00), `0` as seconds of the day.
pub(super) fn compact_time_with_seconds(digits: &str) -> Option<u32> {
    let is_time = !digits.is_empty() && digits.len() <= 6 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let value: u32 = digits.parse().ok().filter(|_| is_time)?;
    seconds(value / 10_000, value / 100 % 100, value % 100)
}

fn seconds(hour: u32, minute: u32, second: u32) -> Option<u32> {
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

/// What follows a date: nothing, or a time with an optional zone.
pub(super) fn clock(text: &str) -> Option<Clock> {
    let mut rest = text.trim_start_matches(['일', '日', '.', ',', 'T', 't', ' ', '_', ';', '\u{a0}']);
    // `(화)`, `(火)`, `二`: a weekday.
    if rest.starts_with('(') {
        rest = rest.split_once(')').filter(|(inside, _)| inside.chars().count() <= 4)?.1.trim_start();
    }
    // `2 января 2024 г.`: the year's word.
    if is_weekday(rest) || matches!(rest, "г" | "г.") {
        return Some(Clock::default());
    }
    if rest.is_empty() || rest.eq_ignore_ascii_case("z") && text.starts_with([' ', 'z', 'Z']) {
        return Some(Clock::default());
    }
    if let Some(zone) = Zone::of_name(rest) {
        return Some(Clock { second: None, zone: Some(zone) });
    }
    // `20240102 0930`, `2024.01.02 093000`.
    if let Some(second) = compact_time(rest).filter(|_| rest.len() >= 4) {
        return Some(Clock { second: Some(second), zone: None });
    }
    let (is_afternoon, after) = half(rest);
    rest = after;
    let hour = digits(&mut rest)?;
    let mut second = 0;
    let minute = match rest.strip_prefix(':').or_else(|| rest.strip_prefix('시')).or_else(|| rest.strip_prefix('時'))
    {
        Some(after) => {
            rest = after.trim_start();
            let minute = digits(&mut rest)?;
            rest = rest.trim_start_matches(['분', '分']);
            minute
        }
        // `01-PM`.
        None if is_afternoon.is_none() && half(rest.trim_start_matches('-')).0.is_some() => {
            let (is_afternoon, after) = half(rest.trim_start_matches('-'));
            let hour = of_half(hour, is_afternoon)?;
            return after.is_empty().then_some(Clock { second: Some(seconds(hour, 0, 0)?), zone: None });
        }
        None => return None,
    };
    if let Some(after) = rest.strip_prefix(':') {
        rest = after;
        second = digits(&mut rest)?;
        if let Some(after) = rest.strip_prefix(['.', ',']) {
            let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
            (1..=12).contains(&end).then_some(())?;
            rest = &after[end..];
        }
    }
    rest = rest.trim_start();
    let (is_afternoon_behind, after) = half(rest);
    rest = after;
    let hour = of_half(hour, is_afternoon.or(is_afternoon_behind))?;
    let zone = match rest.trim() {
        "" => None,
        named => Some(Zone::of_name(without_remark(named))?),
    };
    Some(Clock { second: Some(seconds(hour, minute, second)?), zone })
}

/// `GMT+0900 (Korean Standard Time)`.
fn without_remark(zone: &str) -> &str {
    zone.split_once(" (").map_or(zone, |(zone, _)| zone)
}

/// An hour of twelve.
fn of_half(hour: u32, is_afternoon: Option<bool>) -> Option<u32> {
    match is_afternoon {
        Some(_) if !(1..=12).contains(&hour) => None,
        Some(true) => Some(hour % 12 + 12),
        Some(false) => Some(hour % 12),
        None => Some(hour),
    }
}

/// `二`, `周二`, `화요일`, `火`.
fn is_weekday(text: &str) -> bool {
    let name = text.trim_start_matches(['周', '週', '星', '期']).trim_end_matches(['요', '일', '曜', '日']);
    let mut letters = name.chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => "一二三四五六天월화수목금토月火水木金土".contains(letter),
        (None, None) => !text.is_empty(),
        _ => false,
    }
}

/// `AM` or `오후` before or behind a time, and what follows.
fn half(text: &str) -> (Option<bool>, &str) {
    const HALVES: [(&str, bool); 10] = [
        ("AM", false),
        ("PM", true),
        ("am", false),
        ("pm", true),
        ("a.m.", false),
        ("p.m.", true),
        ("오전", false),
        ("오후", true),
        ("午前", false),
        ("午後", true),
    ];
    let found = HALVES
        .iter()
        .find_map(|(name, is_afternoon)| text.strip_prefix(name).map(|rest| (Some(*is_afternoon), rest.trim_start())));
    found.unwrap_or((None, text))
}

fn digits(rest: &mut &str) -> Option<u32> {
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let value = rest.get(..end).filter(|digits| (1..=2).contains(&digits.len()))?.parse().ok()?;
    *rest = &rest[end..];
    Some(value)
}

/// `Z`, `+09:00`, `-0600`, `UTC`, `KST`, `+09:00[Asia/Seoul]` as seconds east.
fn offset(text: &str) -> Option<i32> {
    let text = text.trim();
    let text = text.split_once('[').map_or(text, |(offset, _)| offset).trim();
    let named = match text.to_ascii_uppercase().as_str() {
        "Z" | "UTC" | "GMT" => Some(0),
        "KST" | "JST" => Some(9 * 3600),
        "HKT" | "SGT" => Some(8 * 3600),
        "EST" => Some(-5 * 3600),
        "EDT" => Some(-4 * 3600),
        "CET" => Some(3600),
        "CEST" => Some(2 * 3600),
        _ => None,
    };
    if named.is_some() {
        return named;
    }
    let text = text.strip_prefix("UTC").or_else(|| text.strip_prefix("GMT")).unwrap_or(text).trim();
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let bare: String = rest.chars().filter(|c| *c != ':').collect();
    if !bare.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes) = match bare.len() {
        1 | 2 => (bare.parse::<i32>().ok()?, 0),
        4 => (bare[..2].parse().ok()?, bare[2..].parse::<i32>().ok()?),
        _ => return None,
    };
    (hours <= 14 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}
