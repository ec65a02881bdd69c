//! Rows on days without a session that only repeat the day before: some vendors write one for every day.

use super::Warning;
use crate::domain::{Bar, Calendar, Interval, Ticker};

/// Positions of bars that repeat, ascending.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Repeats {
    /// Equal to the bar before in all numbers, volume too.
    ghosts: Vec<usize>,
    /// Flat at the close before, without a trade.
    fillers: Vec<usize>,
}

impl Repeats {
    pub(super) fn len(&self) -> usize {
        self.ghosts.len() + self.fillers.len()
    }

    pub(super) fn holds(&self, bar_idx: usize) -> bool {
        self.ghosts.binary_search(&bar_idx).is_ok() || self.fillers.binary_search(&bar_idx).is_ok()
    }

    /// What was found, by kind.
    pub(super) fn warnings(&self, bars: &[Bar], ticker: Option<&Ticker>) -> Vec<Warning> {
        let kinds = [
            (&self.ghosts, "ghost_rows", "repeat the bar before to the last digit, volume too,"),
            (&self.fillers, "filler_rows", "are flat at the close before and without volume,"),
        ];
        let told = kinds.into_iter().filter_map(|(found, code, what)| {
            let first = *found.first()?;
            let message = format!("{} bars {what} on days without a session: they were left out", found.len());
            let session = Some(Interval::Day.label(bars[first].at()));
            Some(Warning { code, session, message, ticker: ticker.cloned() })
        });
        told.collect()
    }
}

/// Finds repeating bars of a daily series on days that are no session of the exchange on whose sessions the others
/// stand; on weekends also where no exchange is known, when every bar of a weekend is one.
pub(super) fn find(bars: &[Bar], interval: Interval) -> Repeats {
    if interval != Interval::Day || bars.len() < 2 {
        return Repeats::default();
    }
    let at = |test: fn(&[Bar]) -> bool| -> Vec<usize> {
        (1..bars.len()).filter(|idx| test(&bars[idx - 1..=*idx])).collect()
    };
    let mut found = Repeats { ghosts: at(is_ghost), fillers: at(is_filler) };
    if found.len() == 0 {
        return found;
    }
    let others: Vec<Bar> = bars.iter().enumerate().filter(|(idx, _)| !found.holds(*idx)).map(|(_, bar)| *bar).collect();
    let has_no_weekends = !others.iter().any(|bar| Calendar::Weekdays.is_session(bar.at().date()) == Some(false));
    let calendar = calendar_of(&others).or((has_no_weekends && others.len() >= 10).then_some(Calendar::Weekdays));
    let is_closed = |idx: &usize| {
        calendar.as_ref().is_some_and(|calendar| calendar.is_session(bars[*idx].at().date()) == Some(false))
    };
    found.ghosts.retain(is_closed);
    found.fillers.retain(is_closed);
    // One alone is a quiet day of a market whose holiday the calendar has wrong; more are a vendor's habit.
    if found.fillers.len() < 2 {
        found.fillers.clear();
    }
    found
}

/// Equal in all five numbers, with a range and a volume.
fn is_ghost(pair: &[Bar]) -> bool {
    let same = |value: fn(&Bar) -> f64| value(&pair[0]).to_bits() == value(&pair[1]).to_bits();
    pair[1].high() > pair[1].low()
        && pair[1].volume().is_some_and(|volume| volume > 1.0)
        && pair[0].volume() == pair[1].volume()
        && same(Bar::open)
        && same(Bar::high)
        && same(Bar::low)
        && same(Bar::close)
}

/// Flat at the close before, and nothing was traded.
fn is_filler(pair: &[Bar]) -> bool {
    let close = pair[0].close().to_bits();
    pair[1].volume() == Some(0.0) && [pair[1].high(), pair[1].low()].iter().all(|price| price.to_bits() == close)
}

/// The exchange on whose sessions nearly all bars stand, if there is one.
fn calendar_of(bars: &[Bar]) -> Option<Calendar> {
    const MARKETS: [&str; 5] = ["XNYS", "XKRX", "XTKS", "XLON", "XHKG"];
    let n_off =
        |calendar: &Calendar| bars.iter().filter(|bar| calendar.is_session(bar.at().date()) == Some(false)).count();
    let mut best: Option<(usize, Calendar)> = None;
    for calendar in MARKETS.iter().filter_map(|mic| mic.parse::<Calendar>().ok()) {
        let n_off = n_off(&calendar);
        if best.as_ref().is_none_or(|(least, _)| n_off < *least) {
            best = Some((n_off, calendar));
        }
        // Working out a lunar year's holidays takes longer than reading a file: not where a market fits already.
        if n_off == 0 {
            break;
        }
    }
    best.filter(|(n_off, _)| n_off * 100 <= bars.len()).map(|(_, calendar)| calendar)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BarTime;
    use crate::domain::bar::RawBar;

    /// Bars of four weeks from Monday 2024-03-04; `volume` of a Saturday and a Sunday.
    fn weeks(weekend: Option<f64>) -> Vec<Bar> {
        let monday = 19_786;
        let bar = |day: i64| {
            let close = 100.0 + day.div_euclid(7) as f64 * 5.0 + day.rem_euclid(7).min(4) as f64;
            let at = BarTime::from_seconds((monday + day) * 86_400);
            let is_weekend = day.rem_euclid(7) > 4;
            let (spread, volume) = if is_weekend { (0.0, weekend) } else { (1.0, Some(500.0 + day as f64)) };
            let raw = RawBar { at, open: close, high: close + spread, low: close - spread, close, volume };
            (!is_weekend || weekend.is_some()).then(|| Bar::new(raw).expect("a valid bar"))
        };
        (0..28).filter_map(bar).collect()
    }

    #[test]
    fn flat_weekends_without_volume_are_fillers_and_traded_ones_are_not() {
        assert_eq!(find(&weeks(Some(0.0)), Interval::Day).fillers, [5, 6, 12, 13, 19, 20, 26, 27]);
        assert_eq!(find(&weeks(Some(3.0)), Interval::Day), Repeats::default());
        assert_eq!(find(&weeks(None), Interval::Day), Repeats::default());
        assert_eq!(find(&weeks(Some(0.0)), Interval::Minutes(60)), Repeats::default());
    }
}
