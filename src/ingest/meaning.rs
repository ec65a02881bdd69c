//! What looks wrong in a series of valid bars: splits that were not applied, prices in another unit, holes.

use super::splits::{self, Jump, on_the_newest_scale};
use super::{Warning, volume_basis};
use crate::domain::{Bar, Interval, Ticker, counted};

/// Sessions more than this many days apart are a hole; long holidays reach 11.
const LONG_GAP_DAYS: i64 = 15;

/// Warns of jumps and holes, and puts earlier bars on the newest scale when `adjusts`.
pub(super) fn judge(
    bars: Vec<Bar>,
    interval: Interval,
    ticker: Option<&Ticker>,
    adjusts: bool,
    warnings: &mut Vec<Warning>,
) -> Vec<Bar> {
    let jumps = splits::find(&bars, interval);
    let warning = |code, session: &Bar, message| Warning {
        code,
        session: Some(interval.label(session.at())),
        message,
        ticker: ticker.cloned(),
    };
    let units: Vec<&Jump> = jumps.iter().filter(|jump| jump.is_unit).collect();
    if let Some(first) = units.first() {
        let (before, bar) = (&bars[first.bar_idx - 1], &bars[first.bar_idx]);
        warnings.push(warning(
            "unit_error_suspected",
            bar,
            format!(
                "the close goes from {} to {}, a step of {}: prices in another unit (pence for pounds)?{}",
                before.close(),
                bar.close(),
                named(first.ratio),
                if units.len() > 1 { format!(" There are {} such steps", units.len()) } else { String::new() }
            ),
        ));
    }
    let splits: Vec<Jump> = jumps.iter().filter(|jump| !jump.is_unit).copied().collect();
    for split in splits.iter().take(10) {
        let (before, bar) = (&bars[split.bar_idx - 1], &bars[split.bar_idx]);
        let what = if adjusts {
            "earlier bars were put on the new scale"
        } else {
            "pass adjust=split to put earlier bars on the new scale"
        };
        let volumes = if split.moves_volume { "" } else { "; volumes do not step with it and stay as they are" };
        warnings.push(warning(
            "split_suspected",
            bar,
            format!(
                "the close goes from {} to {}, as after a split of {}: {what}{volumes}",
                before.close(),
                bar.close(),
                named(split.ratio)
            ),
        ));
    }
    if interval != Interval::Day {
        return if adjusts { on_the_newest_scale(bars, &splits) } else { bars };
    }
    if let Some((bar_idx, ratio)) = splits.is_empty().then(|| volume_basis::lone_step(&bars)).flatten() {
        warnings.push(warning(
            "volume_basis_suspected",
            &bars[bar_idx],
            format!(
                "volumes step by about {} from here on and prices do not: are prices adjusted for a split and volumes as traded?",
                named(ratio)
            ),
        ));
    }
    let gap = |pair: &[Bar]| (pair[1].at().seconds() - pair[0].at().seconds()) / 86_400;
    let holes: Vec<usize> = (1..bars.len()).filter(|idx| gap(&bars[idx - 1..=*idx]) > LONG_GAP_DAYS).collect();
    if let Some(first) = holes.first() {
        warnings.push(warning(
            "long_gap",
            &bars[*first],
            format!(
                "{} days without a bar before this one; {} in all",
                gap(&bars[first - 1..=*first]),
                counted(holes.len(), "such hole")
            ),
        ));
    }
    if adjusts { on_the_newest_scale(bars, &splits) } else { bars }
}

fn named(ratio: f64) -> String {
    let round = |value: f64| (value * 10.0).round() / 10.0;
    let fraction = splits::IN_SMALL_NUMBERS
        .into_iter()
        .flat_map(|(of, into)| [(of, into), (into, of)])
        .find(|(of, into)| (ratio - f64::from(*of) / f64::from(*into)).abs() < 1e-9);
    match fraction {
        Some((of, into)) => format!("{of}:{into}"),
        None if ratio >= 1.0 => format!("{}:1", round(ratio)),
        None => format!("1:{}", round(1.0 / ratio)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BarTime;
    use crate::domain::bar::RawBar;

    fn bars(closes: &[f64]) -> Vec<Bar> {
        let bar = |(day, close): (usize, &f64)| {
            let at = BarTime::from_seconds(day as i64 * 86_400);
            let (high, low) = (close * 1.01, close * 0.99);
            Bar::new(RawBar { at, open: *close, high, low, close: *close, volume: Some(100.0) }).expect("valid")
        };
        closes.iter().enumerate().map(bar).collect()
    }

    fn codes(closes: &[f64]) -> Vec<(&'static str, usize)> {
        let mut warnings = Vec::new();
        judge(bars(closes), Interval::Day, None, false, &mut warnings);
        let day = |warning: &Warning| warning.session.as_deref().and_then(|s| s[8..].parse().ok()).unwrap_or(0);
        warnings.iter().map(|warning| (warning.code, day(warning))).collect()
    }

    #[test]
    fn splits_and_units_are_suspected_and_crashes_are_not() {
        assert_eq!(codes(&[100.0, 101.0, 20.3, 20.0]), [("split_suspected", 3)]);
        assert_eq!(codes(&[20.0, 20.3, 101.0, 100.0]), [("split_suspected", 3)]);
        assert_eq!(codes(&[100.0, 67.0, 66.0]), [("split_suspected", 2)]);
        assert_eq!(codes(&[14.5, 1450.0, 14.5]), [("unit_error_suspected", 2)]);
        assert_eq!(codes(&[100.0, 75.0, 80.0, 62.0, 85.0]), []);
    }

    #[test]
    fn a_split_is_named_by_whole_numbers_both_ways() {
        let ratios = [1.25, 0.8, 0.75, 4.0 / 3.0, 5.0, 0.2, 2.5];
        assert_eq!(ratios.map(named), ["5:4", "4:5", "3:4", "4:3", "5:1", "1:5", "2.5:1"]);
    }

    #[test]
    fn adjusting_puts_earlier_bars_on_the_newest_scale() {
        let mut warnings = Vec::new();
        let out = judge(bars(&[400.0, 404.0, 101.0, 100.0, 50.5]), Interval::Day, None, true, &mut warnings);
        let closes: Vec<f64> = out.iter().map(Bar::close).collect();
        assert_eq!(closes, [50.0, 50.5, 50.5, 50.0, 50.5]);
        assert_eq!(out[0].volume(), Some(800.0));
        assert_eq!(warnings.len(), 2);
    }
}
