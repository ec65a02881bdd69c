//! What a bar covers, by how far apart the rows stand.

use chrono::Datelike;

use super::ReadError;
use super::clock::Zone;
use super::dates::Stamp;
use crate::domain::{BarTime, Interval};

pub(super) const DAY: i64 = 86_400;
/// So many gaps between bars tell what a bar covers.
pub(super) const TELLING: usize = 8;
/// Bars closer than this are of one day.
pub(super) const SHORTEST_DAY: i64 = 20 * 3600;

/// Seconds since 1970; `zone` is that of stamps without one, UTC where there is none.
pub(super) fn instant(stamp: &Stamp, zone: Option<Zone>) -> i64 {
    let second = stamp.second.unwrap_or(0);
    let offset = stamp.offset.or_else(|| zone.map(|zone| zone.offset_at(stamp.day, second))).unwrap_or(0);
    i64::from(stamp.day) * DAY + i64::from(second) - i64::from(offset)
}

/// The shortest gap where many are such and all are multiples of it, for bars without a trade are left out; else the one in
/// the middle. `gaps` ascend.
pub(super) fn typical_of(gaps: &[i64]) -> i64 {
    let (Some(shortest), Some(middle)) = (gaps.first(), gaps.get(gaps.len() / 2)) else { return DAY };
    let n_shortest = gaps.partition_point(|gap| gap == shortest);
    let is_step = n_shortest >= 2
        && n_shortest * 4 >= gaps.len()
        && *middle < SHORTEST_DAY
        && gaps.iter().all(|gap| gap % shortest == 0);
    if is_step { *shortest } else { *middle }
}

/// Whether a few bars can be of a series of that interval and not of a longer one. `gaps` ascend; a bar alone has none.
pub(super) fn fits(interval: Interval, gaps: &[i64], stamps: &[Stamp]) -> bool {
    /// From one day's last bar to the next day's first.
    const NIGHT: std::ops::Range<i64> = 13 * 3600..SHORTEST_DAY;
    let is_within = |longest: i64| {
        let mut pairs = stamps.windows(2).map(|pair| (instant(&pair[0], None), instant(&pair[1], None)));
        pairs.all(|(one, next)| one == next || may_be_neighbours(interval, one, next))
            && gaps.first().is_none_or(|gap| *gap <= longest)
    };
    match interval {
        Interval::Minutes(minutes) => {
            let step = i64::from(minutes) * 60;
            let common = gaps.iter().fold(0, |common, gap| greatest_common_divisor(*gap, common));
            // Weekends and holidays may be between.
            let is_night = |gap: i64| NIGHT.contains(&(gap % DAY));
            let is_told = gaps
                .first()
                .is_none_or(|gap| common % step == 0 && (is_night(*gap) || (*gap < SHORTEST_DAY && common == step)));
            stamps.iter().all(|stamp| stamp.second.is_some()) && is_told
        }
        Interval::Day => false,
        Interval::Week => is_within(9 * DAY),
        Interval::Month => is_within(36 * DAY),
    }
}

fn greatest_common_divisor(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Whether bars at these seconds can be two of a series, whichever of their days its weeks or months are told by. A week
/// that holidays leave one Friday stands three days before the next.
pub fn may_be_neighbours(interval: Interval, one: i64, other: i64) -> bool {
    let gap = one.abs_diff(other) as i64;
    let week = |seconds: i64| BarTime::from_seconds(seconds).date().iso_week();
    match interval {
        Interval::Minutes(minutes) => gap >= i64::from(minutes) * 60,
        Interval::Day => gap >= SHORTEST_DAY,
        Interval::Week => gap >= 5 * DAY || (gap >= 3 * DAY && week(one) != week(other)),
        Interval::Month => gap >= 26 * DAY,
    }
}

/// Weeks and months where nearly all of many gaps are such, or all of a few; other sparse rows are sessions.
///
/// # Errors
/// `interval_unsupported` for quarters and years.
pub(super) fn sessions(gaps: &[i64]) -> Result<Interval, ReadError> {
    /// So few gaps tell only if all of them are alike.
    const FEW: usize = 3;
    let days = |gap: &i64| (gap + DAY / 2) / DAY;
    let most = |range: std::ops::RangeInclusive<i64>| {
        let n_within = gaps.iter().filter(|gap| range.contains(&days(gap))).count();
        gaps.len() >= TELLING && n_within * 10 >= gaps.len() * 8
    };
    let all =
        |range: std::ops::RangeInclusive<i64>| gaps.len() >= FEW && gaps.iter().all(|gap| range.contains(&days(gap)));
    if most(5..=9) || all(6..=8) {
        Ok(Interval::Week)
    } else if most(26..=36) || all(27..=34) {
        Ok(Interval::Month)
    } else if most(80..=100) || most(355..=375) || all(85..=95) || all(360..=370) {
        let apart = if days(&gaps[gaps.len() / 2]) < 200 { "quarter" } else { "year" };
        Err(ReadError::unusable(
            "interval_unsupported",
            format!("the rows stand a {apart} apart: bars of minutes, days, weeks and months are read"),
        ))
    } else {
        Ok(Interval::Day)
    }
}
