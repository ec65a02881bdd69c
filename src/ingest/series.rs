//! A ticker's bars in order: equal rows at one time are counted, different ones refused.

use super::bars::{Placed, Refusals, Rows};
use super::timing::Timing;
use super::{Refusal, TickerReading, Warning, meaning, repeats};
use crate::domain::bar::{BarError, RawBar};
use crate::domain::{Bar, Interval, Series, Ticker};

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
    if n_down > 0 {
        bars.sort_by_key(|row| (row.instant, row.line));
    }
    let mut kept: Vec<Bar> = Vec::with_capacity(bars.len());
    let mut kept_line = 0;
    let mut duplicates = 0;
    for Placed { bar, line, .. } in bars {
        match kept.last_mut() {
            Some(last) if last.at() == bar.at() && timing.resamples() => {
                match merged(last, &bar) {
                    Ok(session) => {
                        *last = session;
                        // Rows that went into a session are neither refused nor lost.
                        duplicates += 1;
                    }
                    Err(error) => {
                        refused += 1;
                        let ticker = ticker.clone();
                        refusals.push(|| unmergeable(&error, &bar, line, interval, ticker));
                    }
                }
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
    let repeated = repeats::find(&kept, interval);
    warnings.extend(repeated.warnings(&kept, ticker.as_ref()));
    let mut idx = 0;
    kept.retain(|_| {
        idx += 1;
        !repeated.holds(idx - 1)
    });
    kept = meaning::judge(kept, interval, ticker.as_ref(), adjusts, warnings);
    let series = Series::new(interval, kept).ok()?;
    Some(TickerReading { received: received - repeated.len(), ticker, duplicates, refused, series })
}

/// Two parts of a session as one.
///
/// # Errors
/// A volume that is too large when summed: the prices of two valid bars are always one.
fn merged(first: &Bar, then: &Bar) -> Result<Bar, BarError> {
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
}

fn unmergeable(error: &BarError, bar: &Bar, line: u32, interval: Interval, ticker: Option<Ticker>) -> Refusal {
    Refusal {
        line: u64::from(line),
        column: Some(error.column()),
        text: bar.volume().map(|volume| volume.to_string()).unwrap_or_default(),
        code: error.code(),
        message: format!("put together with the rows before it on {}: {error}", interval.label(bar.at())),
        ticker,
    }
}

fn conflict(kept: &Bar, kept_line: u32, bar: &Bar, line: u32, interval: Interval, ticker: Option<Ticker>) -> Refusal {
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
