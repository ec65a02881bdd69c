//! A ticker's bars in order: equal rows at one time are counted, different ones refused.

use super::bars::{Refusals, Rows};
use super::timing::Timing;
use super::{Refusal, TickerReading, Warning, meaning};
use crate::domain::bar::RawBar;
use crate::domain::{Bar, Calendar, Interval, Series};

/// Puts bars in order.
pub(super) fn finish(
    rows: Rows,
    timing: &Timing,
    adjusts: bool,
    refusals: &mut Refusals,
    warnings: &mut Vec<Warning>,
) -> Option<TickerReading> {
    let Rows { ticker, mut bars, mut refused, n_up, n_down } = rows;
    let n_rows = bars.len();
    let received = n_rows + refused;
    let interval = timing.interval;
    if n_up == 0 && n_down > 0 {
        bars.reverse();
    }
    // Stable: of two rows at one time the one that stands first in the file goes first.
    if bars.windows(2).any(|pair| pair[0].0.at() > pair[1].0.at()) || n_down > 0 {
        bars.sort_by_key(|(bar, line)| (bar.at(), *line));
    }
    let mut kept: Vec<Bar> = Vec::with_capacity(bars.len());
    let mut kept_line = 0;
    let mut duplicates = 0;
    for (bar, line) in bars {
        match kept.last_mut() {
            Some(last) if last.at() == bar.at() && timing.resamples() => {
                *last = merged(last, &bar)?;
                // Rows that went into a session are neither refused nor lost.
                duplicates += 1;
            }
            Some(last) if last.at() == bar.at() && *last == bar => duplicates += 1,
            Some(last) if last.at() == bar.at() => {
                refused += 1;
                let ticker = ticker.clone();
                refusals.push(|| conflict(last, kept_line, &bar, line, interval, ticker));
            }
            _ => {
                kept.push(bar);
                kept_line = line;
            }
        }
    }
    let ghosts = ghosts(&kept, interval);
    if let Some(first) = ghosts.first() {
        warnings.push(Warning {
            code: "ghost_rows",
            session: Some(interval.label(kept[*first].at())),
            message: format!(
                "{} bars repeat the bar before to the last digit, volume too, on days without a session: they were left \
                 out",
                ghosts.len()
            ),
            ticker: ticker.clone(),
        });
        let mut idx = 0;
        kept.retain(|_| {
            idx += 1;
            ghosts.binary_search(&(idx - 1)).is_err()
        });
    }
    kept = meaning::judge(kept, interval, ticker.as_ref(), adjusts, warnings);
    let series = Series::new(interval, kept).ok()?;
    Some(TickerReading { received: received - ghosts.len(), ticker, duplicates, refused, series })
}

/// Bars equal to the one before in all five numbers, with a range and a volume, on a day that is no session of
/// the exchange on whose sessions the others stand.
fn ghosts(bars: &[Bar], interval: Interval) -> Vec<usize> {
    let is_ghost = |pair: &[Bar]| {
        let same = |value: fn(&Bar) -> f64| value(&pair[0]).to_bits() == value(&pair[1]).to_bits();
        pair[1].high() > pair[1].low()
            && pair[1].volume().is_some_and(|volume| volume > 1.0)
            && pair[0].volume() == pair[1].volume()
            && same(Bar::open)
            && same(Bar::high)
            && same(Bar::low)
            && same(Bar::close)
    };
    let found: Vec<usize> = (1..bars.len()).filter(|idx| is_ghost(&bars[idx - 1..=*idx])).collect();
    if found.is_empty() || interval != Interval::Day {
        return Vec::new();
    }
    let Some(calendar) = calendar_of(bars) else { return Vec::new() };
    found.into_iter().filter(|idx| calendar.is_session(bars[*idx].at().date()) == Some(false)).collect()
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

/// Two parts of a session as one.
fn merged(first: &Bar, then: &Bar) -> Option<Bar> {
    let volume = match (first.volume(), then.volume()) {
        (Some(a), Some(b)) => Some(a + b),
        (a, b) => a.or(b),
    };
    Bar::new(RawBar {
        at: first.at(),
        open: first.open(),
        high: first.high().max(then.high()),
        low: first.low().min(then.low()),
        close: then.close(),
        volume,
    })
    .ok()
}

fn conflict(
    kept: &Bar,
    kept_line: u32,
    bar: &Bar,
    line: u32,
    interval: Interval,
    ticker: Option<crate::domain::Ticker>,
) -> Refusal {
    Refusal {
        line: u64::from(line),
        column: Some("date"),
        text: interval.label(bar.at()),
        code: "conflicting_duplicate",
        message: format!(
            "{} stands on line {kept_line} with {} and here with {}; the first was kept",
            interval.label(bar.at()),
            told(kept),
            told(bar)
        ),
        ticker,
    }
}

fn told(bar: &Bar) -> String {
    let volume = bar.volume().map(|volume| format!(", volume {volume}")).unwrap_or_default();
    format!("{} {} {} {}{volume}", bar.open(), bar.high(), bar.low(), bar.close())
}
