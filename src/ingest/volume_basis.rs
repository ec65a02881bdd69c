//! Volumes on another basis than prices: adjusted prices beside volumes as traded, or the other way round.

use crate::domain::Bar;

/// Bars on each side of a step that show its size.
const NEAR: usize = 10;
/// Bars on each side that show that it lasts.
const FAR: usize = 40;
/// Ratios of splits that stand out of what volumes do by themselves: a crash makes them three- or fourfold for weeks.
const RATIOS: [f64; 6] = [5.0, 7.0, 10.0, 15.0, 20.0, 50.0];
/// How far from a ratio the step may be, as a logarithm.
const TOLERANCE: f64 = 0.22;

/// Whether volumes step by the inverse of a price's split ratio, as they do where both are as traded. Too few bars
/// with a volume say nothing: then they do.
pub(super) fn follows_split(bars: &[Bar], bar_idx: usize, ratio: f64) -> bool {
    const FEW: usize = 3;
    let n_bars = NEAR.min(bar_idx).min(bars.len().saturating_sub(bar_idx));
    match step(bars, bar_idx, n_bars).filter(|_| n_bars >= FEW) {
        Some(step) => (step / ratio.ln()) > 0.5,
        None => true,
    }
}

/// The first bar where volumes step up or down by a split's ratio for good while the price goes on, and the ratio.
pub(super) fn lone_step(bars: &[Bar]) -> Option<(usize, f64)> {
    if bars.len() < 2 * FAR || bars.iter().any(|bar| bar.volume().is_none()) {
        return None;
    }
    let mut sums = Vec::with_capacity(bars.len() + 1);
    sums.push(0.0);
    for bar in bars {
        sums.push(sums[sums.len() - 1] + bar.volume().unwrap_or(0.0));
    }
    // Sums first, they cost nothing; logarithms where these point.
    let roughly = |idx: usize| {
        let (before, after) = (sums[idx] - sums[idx - FAR], sums[idx + FAR] - sums[idx]);
        before * 2.0 < after || after * 2.0 < before
    };
    let fits = |idx: usize| -> Option<(usize, f64)> {
        let (near, far) = (step(bars, idx, NEAR)?, step(bars, idx, FAR)?);
        let ratio = RATIOS
            .into_iter()
            .flat_map(|ratio| [ratio, 1.0 / ratio])
            .find(|ratio| (near - ratio.ln()).abs() < TOLERANCE && (far - ratio.ln()).abs() < TOLERANCE)?;
        let is_calm = (bars[idx].close() / bars[idx - 1].close()).ln().abs() < 0.25;
        // Within each side volumes must lie closer together than the step is high.
        let is_clean = 3.0 * spread(bars, idx, NEAR)? < near.abs();
        (is_calm && is_clean).then_some((idx, ratio))
    };
    let first = (FAR..=bars.len() - FAR).filter(|idx| roughly(*idx)).find_map(|idx| fits(idx).map(|_| idx))?;
    // Bars next to the step fit too: it is where the difference is largest.
    let size = |idx: usize| step(bars, idx, NEAR).map_or(0.0, f64::abs);
    let nearby = (first..=(first + NEAR).min(bars.len() - FAR)).filter_map(|idx| Some((size(idx), fits(idx)?)));
    nearby.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, found)| found)
}

/// How much higher the logarithm of volumes lies in `n` bars from `bar_idx` on than in those before it.
fn step(bars: &[Bar], bar_idx: usize, n: usize) -> Option<f64> {
    let (before, after) = sides(bars, bar_idx, n)?;
    Some(mean(&after) - mean(&before))
}

/// Mean distance of the logarithm of volumes from the mean of their side.
fn spread(bars: &[Bar], bar_idx: usize, n: usize) -> Option<f64> {
    let (before, after) = sides(bars, bar_idx, n)?;
    let of = |side: &[f64]| {
        let mean = mean(side);
        side.iter().map(|value| (value - mean).abs()).sum::<f64>() / side.len() as f64
    };
    Some(of(&before).max(of(&after)))
}

fn sides(bars: &[Bar], bar_idx: usize, n: usize) -> Option<(Vec<f64>, Vec<f64>)> {
    let log = |bar: &Bar| bar.volume().filter(|volume| *volume > 0.0).map(f64::ln);
    let side = |range: std::ops::Range<usize>| -> Option<Vec<f64>> { bars.get(range)?.iter().map(log).collect() };
    Some((side(bar_idx.checked_sub(n)?..bar_idx)?, side(bar_idx..bar_idx + n)?))
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BarTime;
    use crate::domain::bar::RawBar;

    /// Bars whose volumes go to and fro by a third, times `factor` from bar `from` on.
    fn bars(count: usize, from: usize, factor: f64) -> Vec<Bar> {
        let bar = |idx: usize| {
            let volume = [900.0, 1_100.0, 1_000.0, 1_200.0][idx % 4] * if idx < from { 1.0 } else { factor };
            let at = BarTime::from_seconds(idx as i64 * 86_400);
            let raw = RawBar { at, open: 10.0, high: 11.0, low: 9.0, close: 10.0, volume: Some(volume) };
            Bar::new(raw).expect("a valid bar")
        };
        (0..count).map(bar).collect()
    }

    #[test]
    fn a_lasting_step_of_a_split_s_size_is_found_and_a_busy_week_is_not() {
        assert_eq!(lone_step(&bars(120, 60, 7.0)), Some((60, 7.0)));
        assert_eq!(lone_step(&bars(120, 60, 0.2)), Some((60, 0.2)));
        assert_eq!(lone_step(&bars(120, 60, 1.5)), None);
        assert_eq!(lone_step(&bars(120, 115, 7.0)), None);
        assert_eq!(lone_step(&bars(50, 25, 7.0)), None);
    }

    #[test]
    fn volumes_as_traded_follow_a_split_and_adjusted_ones_do_not() {
        assert!(follows_split(&bars(60, 30, 4.0), 30, 4.0));
        assert!(!follows_split(&bars(60, 30, 1.0), 30, 4.0));
        assert!(follows_split(&bars(60, 30, 0.1), 30, 0.1));
        assert!(follows_split(&bars(5, 3, 1.0), 3, 4.0));
    }
}
