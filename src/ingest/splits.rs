//! Steps between two bars that no market makes: splits that were not applied, and prices in another unit.

use super::{series, volume_basis};
use crate::domain::bar::RawBar;
use crate::domain::{Bar, Interval};

/// A step between two bars that no market makes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Jump {
    /// The first bar on the new scale.
    pub bar_idx: usize,
    /// Old scale over new: 5 where one share became five.
    pub ratio: f64,
    pub is_unit: bool,
    /// Whether volumes step with the price; they do not where they were adjusted already.
    pub moves_volume: bool,
}

/// Ratios of splits in use; their inverses are reverse splits.
const SPLITS: [f64; 14] = [1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 15.0, 20.0, 25.0, 50.0];
/// Cents for units, or thousands for units.
const UNITS: [f64; 2] = [100.0, 1000.0];
/// How far a session's move may take a step from the ratio, as a logarithm.
const TOLERANCE: f64 = 0.08;
/// Splits of some shares into some: so small that a bad day looks alike.
pub(super) const IN_SMALL_NUMBERS: [(u32, u32); 7] = [(6, 5), (5, 4), (4, 3), (3, 2), (8, 5), (5, 3), (7, 4)];
/// Ratios that are rare.
const RARE: [f64; 6] = [9.0, 12.0, 14.0, 30.0, 35.0, 40.0];

/// Steps of a split's or a unit's ratio, in the order of the bars.
pub(super) fn find(bars: &[Bar], interval: Interval) -> Vec<Jump> {
    let found: Vec<Jump> =
        (1..bars.len()).filter_map(|idx| plain(bars, idx).or_else(|| odd(bars, idx, interval))).collect();
    match interval {
        Interval::Minutes(_) if !found.is_empty() => by_sessions(bars, found),
        _ => found.into_iter().map(|jump| with_volume(bars, jump.bar_idx, jump)).collect(),
    }
}

fn with_volume(bars: &[Bar], bar_idx: usize, jump: Jump) -> Jump {
    Jump { moves_volume: !jump.is_unit && volume_basis::follows_split(bars, bar_idx, jump.ratio), ..jump }
}

/// Volumes of the last minutes of a day are not those of the first of the next: whole days are compared.
fn by_sessions(bars: &[Bar], found: Vec<Jump>) -> Vec<Jump> {
    let mut sessions: Vec<Bar> = Vec::new();
    for bar in bars {
        match sessions.last_mut().filter(|last| last.at().date() == bar.at().date()) {
            Some(last) => *last = series::merged(last, bar).unwrap_or(*last),
            None => sessions.push(*bar),
        }
    }
    let session = |jump: &Jump| sessions.partition_point(|day| day.at().date() < bars[jump.bar_idx].at().date());
    found.into_iter().map(|jump| with_volume(&sessions, session(&jump), jump)).collect()
}

/// Open and close both step by nearly the same known ratio.
fn plain(bars: &[Bar], bar_idx: usize) -> Option<Jump> {
    let (by_open, by_close) = steps(bars, bar_idx);
    if (0.7..=1.43).contains(&by_close) || (0.7..=1.43).contains(&by_open) {
        return None;
    }
    let near = |ratio: f64| {
        let tolerance = if ratio < 2.0 && ratio > 0.5 { TOLERANCE / 3.0 } else { TOLERANCE };
        (by_open / ratio).ln().abs() < tolerance && (by_close / ratio).ln().abs() < tolerance
    };
    let jump = |ratio: f64, is_unit: bool| Jump { bar_idx, ratio, is_unit, moves_volume: false };
    let unit = both_ways(UNITS.into_iter()).find(|ratio| near(*ratio));
    let split = || nearest(SPLITS.into_iter(), by_open).filter(|ratio| near(*ratio));
    unit.map(|ratio| jump(ratio, true)).or_else(|| split().map(|ratio| jump(ratio, false)))
}

/// A ratio that a crash could have made too, or a rare one: only where nothing but the scale is unusual. The step is exact
/// and lasts, the days around it are calm, and its volume is that of any day: who flees from a share trades it many times
/// over.
fn odd(bars: &[Bar], bar_idx: usize, interval: Interval) -> Option<Jump> {
    const NEAR: usize = 10;
    let (by_open, by_close) = steps(bars, bar_idx);
    if interval != Interval::Day || (0.86..=1.16).contains(&by_open) || bar_idx < NEAR || bar_idx + NEAR > bars.len() {
        return None;
    }
    let small = IN_SMALL_NUMBERS.into_iter().map(|(of, into)| f64::from(of) / f64::from(into));
    let ratio = nearest(small.chain(RARE), by_open)?;
    let is_exact = (by_open / ratio).ln().abs() < 0.02 && (by_close / ratio).ln().abs() < 0.03;
    let around = || (bar_idx - NEAR + 1..bar_idx + NEAR).filter(|at| *at != bar_idx);
    let n_around = 2.0 * NEAR as f64 - 2.0;
    let is_calm =
        around().map(|at| (bars[at].close() / bars[at - 1].close()).ln().abs()).sum::<f64>() < 0.02 * n_around;
    let lasts = bars[bar_idx..bar_idx + NEAR].iter().all(|bar| (bar.close() / bars[bar_idx].close()).ln().abs() < 0.1);
    let range = |bar: &Bar| (bar.high() / bar.low()).ln();
    let usual_range = bars[bar_idx - NEAR..bar_idx].iter().map(range).sum::<f64>() / NEAR as f64;
    let is_any_day = range(&bars[bar_idx]) < 2.0 * usual_range + 0.01;
    let volume = |bars: &[Bar]| bars.iter().map(Bar::volume).sum::<Option<f64>>().map(|sum| sum / bars.len() as f64);
    let traded = volume(&bars[bar_idx..=bar_idx])? / volume(&bars[bar_idx - NEAR..bar_idx])?;
    let is_quiet = !(0.2..=5.0).contains(&ratio) || traded < 2.5 * ratio.max(1.0);
    let is_split = is_exact && is_calm && lasts && is_any_day && is_quiet;
    is_split.then_some(Jump { bar_idx, ratio, is_unit: false, moves_volume: false })
}

/// The close before over the open and over the close.
fn steps(bars: &[Bar], bar_idx: usize) -> (f64, f64) {
    let (before, bar) = (&bars[bar_idx - 1], &bars[bar_idx]);
    (before.close() / bar.open(), before.close() / bar.close())
}

fn both_ways(ratios: impl Iterator<Item = f64>) -> impl Iterator<Item = f64> {
    ratios.flat_map(|ratio| [ratio, 1.0 / ratio])
}

fn nearest(ratios: impl Iterator<Item = f64>, step: f64) -> Option<f64> {
    let distance = |ratio: &f64| (step / ratio).ln().abs();
    both_ways(ratios).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// Bars before a split are divided by its ratio, their volumes multiplied.
pub(super) fn on_the_newest_scale(bars: Vec<Bar>, splits: &[Jump]) -> Vec<Bar> {
    let (mut ratio, mut volume_ratio) = (1.0, 1.0);
    let mut pending = splits.iter().rev().peekable();
    let mut out: Vec<Bar> = Vec::with_capacity(bars.len());
    for (idx, bar) in bars.iter().enumerate().rev() {
        out.push(scaled(bar, ratio, volume_ratio).unwrap_or(*bar));
        if let Some(split) = pending.next_if(|split| split.bar_idx == idx) {
            ratio *= split.ratio;
            volume_ratio *= if split.moves_volume { split.ratio } else { 1.0 };
        }
    }
    out.reverse();
    out
}

fn scaled(bar: &Bar, ratio: f64, volume_ratio: f64) -> Option<Bar> {
    Bar::new(RawBar {
        at: bar.at(),
        open: bar.open() / ratio,
        high: bar.high() / ratio,
        low: bar.low() / ratio,
        close: bar.close() / ratio,
        volume: bar.volume().map(|volume| volume * volume_ratio),
    })
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BarTime;

    /// Calm days, and from day 20 on prices over `ratio`; that day opens `gap` away and trades `volume`.
    fn stepped(ratio: f64, gap: f64, volume: f64) -> Vec<Bar> {
        let bar = |day: usize| {
            let close = (100.0 + (day % 3) as f64) / if day < 20 { 1.0 } else { ratio };
            let open = if day == 20 { close * gap } else { close };
            let at = BarTime::from_seconds(day as i64 * 86_400);
            let (high, low) = (open.max(close) * 1.01, open.min(close) * 0.99);
            let volume = Some(if day == 20 { volume } else { 1_000.0 });
            Bar::new(RawBar { at, open, high, low, close, volume }).expect("valid")
        };
        (0..40).map(bar).collect()
    }

    fn ratios(bars: &[Bar]) -> Vec<f64> {
        find(bars, Interval::Day).iter().map(|jump| (jump.ratio * 1000.0).round() / 1000.0).collect()
    }

    #[test]
    fn odd_ratios_are_splits_where_nothing_else_is_unusual() {
        for (ratio, found) in
            [(1.5, 1.5), (1.25, 1.25), (4.0 / 3.0, 1.333), (0.8, 0.8), (7.0, 7.0), (1.0 / 15.0, 0.067)]
        {
            assert_eq!(ratios(&stepped(ratio, 1.0, 1_200.0)), [found], "{ratio}");
        }
        assert_eq!(ratios(&stepped(12.0, 1.0, 1_200.0)), [12.0]);
        assert_eq!(ratios(&stepped(1.25, 1.0, 9_000.0)), [0.0; 0], "a bad day is traded many times over");
        assert_eq!(ratios(&stepped(1.25, 1.05, 1_200.0)), [0.0; 0], "opened elsewhere");
        assert_eq!(ratios(&stepped(1.29, 1.0, 1_200.0)), [0.0; 0], "no ratio of small numbers");
        assert_eq!(ratios(&stepped(1.25, 1.0, 1_200.0)[..25]), [0.0; 0], "nothing shows that it lasts");
    }

    #[test]
    fn minutes_are_judged_by_whole_days() {
        // Half of a day's volume is traded in its last minutes, whatever the split did.
        let bar = |idx: usize| {
            let (day, minute) = (idx / 30, idx % 30);
            let price = if day < 6 { 100.0 } else { 50.0 };
            let volume = if minute < 20 { 10.0 } else { 100.0 } * if day < 6 { 1.0 } else { 2.0 };
            let at = BarTime::from_seconds(day as i64 * 86_400 + minute as i64 * 60);
            Bar::new(RawBar { at, open: price, high: price, low: price, close: price, volume: Some(volume) })
                .expect("valid")
        };
        let bars: Vec<Bar> = (0..360).map(bar).collect();
        let found = find(&bars, Interval::Minutes(1));
        assert_eq!(found.iter().map(|jump| (jump.bar_idx, jump.moves_volume)).collect::<Vec<_>>(), [(180, true)]);
    }
}
