//! A ticker's bars in order: equal rows at one time are counted, different ones refused.

use chrono::Datelike;

use super::bars::{Placed, Rows};
use super::refusals::Refusals;
use super::timing::Timing;
use super::{ReadError, Refusal, TickerReading, Warning, dates, meaning, repeats};
use crate::domain::bar::{BarError, RawBar};
use crate::domain::{Bar, Interval, Series, Ticker};

/// Puts bars in order. Where too many rows contradict others all are refused, and the error that the ticker's rows alone
/// would be is put to `several`.
pub(super) fn finish(
    rows: Rows,
    timing: &Timing,
    adjusts: bool,
    refusals: &mut Refusals,
    warnings: &mut Vec<Warning>,
    several: &mut Vec<ReadError>,
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
    if bars.iter().any(|row| row.is_aside) && !bars.iter().all(|row| row.is_aside) {
        let (aside, main): (Vec<Placed>, Vec<Placed>) = bars.into_iter().partition(|row| row.is_aside);
        bars = main;
        refused += aside.len();
        for row in aside {
            refusals.push(|| of_other_series(&row, interval, ticker.clone()));
        }
    }
    let mut kept: Vec<Bar> = Vec::with_capacity(bars.len());
    let mut lines: Vec<u32> = Vec::with_capacity(bars.len());
    let (mut duplicates, mut n_conflicts, mut n_far) = (0, 0, 0);
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
                n_conflicts += 1;
                n_far += usize::from((bar.close() / last.close()).ln().abs() > FAR);
                let ticker = ticker.clone();
                let kept_line = lines.last().copied().unwrap_or_default();
                refusals.push(|| conflict((last, kept_line), (&bar, line), interval, ticker));
            }
            _ => {
                kept.push(bar);
                lines.push(line);
            }
        }
    }
    let is_other = n_conflicts >= MANY_CONFLICTS || (n_conflicts > 1 && n_far == n_conflicts);
    if is_other && n_conflicts * 5 > n_rows {
        let error = several_series(n_conflicts, n_rows, ticker.as_ref());
        for (bar, line) in kept.iter().zip(&lines) {
            refusals.push(|| Refusal {
                line: u64::from(*line),
                column: None,
                text: interval.label(bar.at()),
                code: "several_series",
                message: error.to_string(),
                ticker: ticker.clone(),
            });
        }
        several.push(error);
        let series = Series::new(interval, Vec::new()).ok()?;
        return Some(TickerReading {
            received,
            ticker,
            told: None,
            duplicates,
            refused: refused + lines.len(),
            series,
        });
    }
    let repeated = repeats::find(&kept, interval);
    warnings.extend(repeated.warnings(&kept, ticker.as_ref()));
    let mut idx = 0;
    kept.retain(|_| {
        idx += 1;
        !repeated.holds(idx - 1)
    });
    let n_left_out = repeated.len() + usize::from(drop_running_period(&mut kept, interval, ticker.as_ref(), warnings));
    kept = meaning::judge(kept, interval, ticker.as_ref(), adjusts, warnings);
    let series = Series::new(interval, kept).ok()?;
    Some(TickerReading { received: received - n_left_out, ticker, told: None, duplicates, refused, series })
}

/// Vendors end weekly and monthly files with the running session, which the running week has already, or with a week
/// that is not over.
fn drop_running_period(
    bars: &mut Vec<Bar>,
    interval: Interval,
    ticker: Option<&Ticker>,
    warnings: &mut Vec<Warning>,
) -> bool {
    let days: Vec<i32> = match interval {
        Interval::Week | Interval::Month => bars.iter().map(|bar| (bar.at().seconds() / 86_400) as i32).collect(),
        Interval::Day | Interval::Minutes(_) => return false,
    };
    let [.., before, last] = days[..] else { return false };
    let n_days = last - before;
    let is_running = match interval {
        Interval::Week => is_in_week(&days, before, last),
        _ => {
            n_days < 16
                || (dates::date_of(before).month() == dates::date_of(last).month() && n_days < 31)
                || is_short_of_its_end(&days, last)
        }
    };
    let period = if interval == Interval::Week { "week" } else { "month" };
    let Some(last) = bars.last().filter(|_| is_running) else { return false };
    warnings.push(Warning {
        code: "running_period",
        session: Some(interval.label(last.at())),
        message: format!(
            "the last bar stands {n_days} days after the one before, in a series of {interval}: it is of a {period} that is \
             not over, and was left out"
        ),
        ticker: ticker.cloned(),
    });
    bars.pop();
    true
}

/// Whether the last of the days of weeks is of the week before it. Weeks begin on the weekday that most of them are told
/// by; those told by their last session may end a day early before a holiday.
fn is_in_week(days: &[i32], before: i32, last: i32) -> bool {
    const FEW: usize = 8;
    let weekday = |day: i32| dates::date_of(day).weekday().num_days_from_monday() as i32;
    let count = |wanted: i32| days.iter().filter(|day| weekday(**day) == wanted).count();
    let usual = if days.len() < FEW { 0 } else { (0..7).rev().max_by_key(|day| count(*day)).unwrap_or(0) };
    match usual {
        3..=5 => last - before < 6,
        _ => last - before < 7 && (weekday(before) - usual).rem_euclid(7) < (weekday(last) - usual).rem_euclid(7),
    }
}

/// Whether months are told by their last session and the last one cannot be: Shanghai's January of 2020 ended on the 23rd.
fn is_short_of_its_end(days: &[i32], last: i32) -> bool {
    const EARLIEST_END: u32 = 23;
    let day_of_month = |day: i32| dates::date_of(day).day();
    let n_late = days.iter().filter(|day| day_of_month(**day) >= 25).count();
    n_late * 10 >= days.len() * 8 && day_of_month(last) < EARLIEST_END
}

/// So many rows that contradict others, more than a fifth of all, are no slips but another series; fewer are where all are this
/// far (log return) from what they contradict.
const MANY_CONFLICTS: usize = 5;
const FAR: f64 = 0.1;

fn several_series(n_conflicts: usize, n_rows: usize, ticker: Option<&Ticker>) -> ReadError {
    let of = ticker.map(|ticker| format!(" of {ticker}")).unwrap_or_default();
    ReadError::unusable(
        "several_series",
        format!(
            "{n_conflicts} of {n_rows} rows{of} stand at the time of another row with other prices: the file holds several \
             tickers, contracts or sessions of a day, or times that were not read; pass columns=ticker:NAME or \
             columns=time:NAME if a column tells them apart, else send them one by one"
        ),
    )
}

/// Two parts of a session as one.
///
/// # Errors
/// A volume that is too large when summed: the prices of two valid bars are always one.
pub(super) fn merged(first: &Bar, then: &Bar) -> Result<Bar, BarError> {
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

/// `then` stands at the time of `kept`; each with its line.
fn conflict(
    (kept, kept_line): (&Bar, u32),
    (then, line): (&Bar, u32),
    interval: Interval,
    ticker: Option<Ticker>,
) -> Refusal {
    Refusal {
        line: u64::from(line),
        column: Some("date"),
        text: interval.label(then.at()),
        code: "conflicting_duplicate",
        message: format!(
            "{} stands on line {kept_line} with {} and here with {}; the first was kept",
            interval.label(then.at()),
            told(kept),
            told(then)
        ),
        ticker,
    }
}

fn of_other_series(row: &Placed, interval: Interval, ticker: Option<Ticker>) -> Refusal {
    Refusal {
        line: u64::from(row.line),
        column: None,
        text: interval.label(row.bar.at()),
        code: "other_series",
        message: "the row is of another series (a block deal, a bond): the share's own is EQ".to_owned(),
        ticker,
    }
}

fn told(bar: &Bar) -> String {
    let volume = bar.volume().map(|volume| format!(", volume {volume}")).unwrap_or_default();
    format!("{} {} {} {}{volume}", bar.open(), bar.high(), bar.low(), bar.close())
}
