//! Which column is the date: by its name, and by what stands in it.

use std::collections::HashSet;

use super::columns::{self, Named, Role};
use super::dates::{self, Order, Stamp};

/// Leaves one column for the date among those found by name, or finds one by its values; two that are as sure and
/// hold different days stay, for the caller to choose.
pub(super) fn decide(names: &[String], sample: &[Vec<String>], found: &mut Vec<(usize, Named)>) {
    replace_dates_by_stamps(sample, found);
    let mut candidates: Vec<(u8, usize)> =
        found.iter().filter(|(_, named)| named.role == Role::Date).map(|(idx, named)| (named.tier, *idx)).collect();
    if candidates.is_empty() {
        return find(names, sample, found);
    }
    if candidates.len() == 1 || sample.is_empty() {
        return;
    }
    candidates.sort_unstable();
    let has_time = found.iter().any(|(_, named)| named.role == Role::Time);
    let kept = surest(&candidates, sample, has_time);
    found.retain(|(idx, named)| named.role != Role::Date || kept.contains(idx));
}

/// A column called time that holds whole stamps, of the days that the date tells (or those beside them, in another zone),
/// is no time of day: where the date has no times, it is the date.
fn replace_dates_by_stamps(sample: &[Vec<String>], found: &mut Vec<(usize, Named)>) {
    let stamp = |row: &Vec<String>, at: usize| Stamp::of(row.get(at)?, Order::Ymd);
    let only = |role: Role| {
        let mut of = found.iter().filter(|(_, named)| named.role == role).map(|(at, _)| *at);
        of.next().filter(|_| of.next().is_none())
    };
    let (Some(date), Some(time)) = (only(Role::Date), only(Role::Time)) else { return };
    let is_stamp_of_day = |row: &&Vec<String>| {
        let (Some(date), Some(time)) = (stamp(row, date), stamp(row, time)) else { return false };
        time.second.is_some() && (date.day - time.day).abs() <= 1
    };
    let n_stamps = sample.iter().filter(is_stamp_of_day).count();
    if n_stamps == 0 || n_stamps * 10 < sample.len() * 9 {
        return;
    }
    let has_times =
        sample.iter().any(|row| stamp(row, date).and_then(|stamp| stamp.second).is_some_and(|second| second > 0));
    let dropped = if has_times { time } else { date };
    found.retain(|(at, _)| *at != dropped);
    if !has_times {
        found.iter_mut().filter(|(at, _)| *at == time).for_each(|(_, named)| named.role = Role::Date);
    }
}

/// Of several candidates: those that hold dates in most rows, and tell rows apart as well as the best does (a date
/// beside a full time stamp does not); of these the surest by name, and of equal ones that hold the same days the first.
fn surest(candidates: &[(u8, usize)], sample: &[Vec<String>], has_time: bool) -> Vec<usize> {
    let cell = |row: &'_ Vec<String>, idx: usize| row.get(idx).cloned().unwrap_or_default();
    let n_valid = |idx: usize| sample.iter().filter(|row| is_date(row.get(idx))).count();
    let n_distinct = |idx: usize| sample.iter().map(|row| cell(row, idx)).collect::<HashSet<_>>().len();
    let most_valid = candidates.iter().map(|(_, idx)| n_valid(*idx)).max().unwrap_or(0);
    let mut left: Vec<(u8, usize)> =
        candidates.iter().copied().filter(|(_, idx)| n_valid(*idx) * 10 >= most_valid * 9).collect();
    if !has_time {
        let most_distinct = left.iter().map(|(_, idx)| n_distinct(*idx)).max().unwrap_or(0);
        left.retain(|(_, idx)| n_distinct(*idx) * 10 >= most_distinct * 9);
    }
    let Some((best_tier, first)) = left.first().copied() else { return Vec::new() };
    left.retain(|(tier, _)| *tier == best_tier);
    let day = |row: &Vec<String>, idx: usize| Stamp::of(&cell(row, idx), Order::Ymd).map(|stamp| stamp.day);
    let is_same = |idx: usize| {
        sample.iter().all(|row| {
            cell(row, idx) == cell(row, first) || (day(row, idx).is_some() && day(row, idx) == day(row, first))
        })
    };
    if !left.iter().all(|(_, idx)| is_same(*idx)) {
        return left.iter().map(|(_, idx)| *idx).collect();
    }
    // Of begin and end the begin.
    let instant = |row: &Vec<String>, idx: usize| {
        let stamp = Stamp::of(&cell(row, idx), Order::Ymd)?;
        Some((stamp.offset?, stamp.day, stamp.second?))
    };
    let is_before = |idx: usize, other: usize| {
        sample
            .iter()
            .all(|row| matches!((instant(row, idx), instant(row, other)), (Some(a), Some(b)) if a.0 == b.0 && a < b))
    };
    vec![left.iter().map(|(_, idx)| *idx).find(|idx| is_before(*idx, first)).unwrap_or(first)]
}

fn is_date(cell: Option<&String>) -> bool {
    cell.is_some_and(|cell| dates::looks_like_date(cell))
}

/// Without a column called date: `time` where there is one, an index without a name, the first column, or the only
/// one left that holds dates.
fn find(names: &[String], sample: &[Vec<String>], found: &mut Vec<(usize, Named)>) {
    let is_free = |idx: usize| !found.iter().any(|(taken, _)| *taken == idx);
    let is_nameless = |name: &str| {
        matches!(columns::key(name).as_str(), "" | "index" | "unnamed0" | "idx" | "symbolname" | "key" | "indexlevel0")
    };
    let all_that = |holds: fn(&str) -> bool| {
        let holds_them = |idx: usize| {
            let n_dates = sample.iter().filter(|row| row.get(idx).is_some_and(|cell| holds(cell))).count();
            n_dates > 0 && n_dates * 10 >= sample.len() * 8
        };
        (0..names.len()).filter(|idx| is_free(*idx) && holds_them(*idx)).collect::<Vec<_>>()
    };
    let mut free = all_that(dates::looks_like_date);
    if free.is_empty() {
        free = all_that(|cell| dates::month_alone(cell).is_some());
    }
    let at = free.iter().copied().find(|idx| is_nameless(&names[*idx]));
    if let Some(time) = found.iter().position(|(_, named)| named.role == Role::Time) {
        let holds_stamps = sample.iter().any(|row| is_date(row.get(found[time].0)));
        match at.filter(|at| !holds_stamps || tells_days(*at, sample)) {
            Some(at) => {
                if holds_stamps {
                    found.remove(time);
                }
                found.push((at, Named { role: Role::Date, tier: 9, ticker: None }));
            }
            None => found[time].1.role = Role::Date,
        }
        return;
    }
    let only = || match free.as_slice() {
        [0, ..] => Some(0),
        [only] if is_surely_date(*only, sample) => Some(*only),
        _ => None,
    };
    if let Some(at) = at.or_else(only) {
        found.push((at, Named { role: Role::Date, tier: 9, ticker: None }));
    }
}

/// Whether a column holds a day of its own on each row: that says more than stamps in another zone (`20240103` beside an epoch).
fn tells_days(column: usize, sample: &[Vec<String>]) -> bool {
    let days: Vec<Stamp> = sample.iter().filter_map(|row| Stamp::of(row.get(column)?, Order::Ymd)).collect();
    let distinct: HashSet<i32> = days.iter().map(|stamp| stamp.day).collect();
    days.iter().all(|stamp| stamp.second.is_none()) && distinct.len() * 10 >= sample.len() * 9
}

/// By values alone a large number is an epoch only where it ticks like a clock: a market's worth reads as one too.
fn is_surely_date(column: usize, sample: &[Vec<String>]) -> bool {
    let cells = || sample.iter().filter_map(|row| row.get(column)).map(String::as_str);
    if !cells().all(|cell| cell.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')) {
        return true;
    }
    let stamps: Vec<Stamp> = cells().filter_map(|cell| Stamp::of(cell, Order::Ymd)).collect();
    let instant = |stamp: &Stamp| i64::from(stamp.day) * 86_400 + i64::from(stamp.second.unwrap_or(0));
    let steps: Vec<i64> = stamps.windows(2).map(|pair| instant(&pair[1]) - instant(&pair[0])).collect();
    let is_one_way = steps.iter().all(|step| *step > 0) || steps.iter().all(|step| *step < 0);
    steps.len() >= 4 && is_one_way && steps.iter().all(|step| step % 60 == 0)
}
