//! The rows of a large table, read by all processors: each takes a stretch, and what they say is joined in the
//! order of the file, as if one had read it. Then the tickers, likewise.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use super::bars::{self, Part, Rows, Rules};
use super::refusals::{Refusals, Skipped};
use super::sheet::Source;
use super::timing::Timing;
use super::{IngestLimits, ReadError, TickerReading, Warning, series};
use crate::domain::Ticker;

/// Rows a stretch at least: below it, starting a thread takes longer than reading.
const MIN_STRETCH: usize = 20_000;

/// Reads every row; refusals are added to those known.
///
/// # Errors
/// More tickers than the cap.
pub(super) fn read(
    source: &Source,
    rules: &Rules,
    limits: &IngestLimits,
    refusals: &mut Refusals,
) -> Result<(Vec<Rows>, Skipped), ReadError> {
    read_in(processors(), source, rules, limits, refusals)
}

fn read_in(
    processors: usize,
    source: &Source,
    rules: &Rules,
    limits: &IngestLimits,
    refusals: &mut Refusals,
) -> Result<(Vec<Rows>, Skipped), ReadError> {
    let stretches = stretches(source.sheet.n_rows(), processors);
    join(side_by_side(stretches, |stretch| bars::read(source, rules, limits, stretch)), limits, refusals)
}

/// Puts every ticker's bars in order.
pub(super) fn finish(
    all: Vec<Rows>,
    timing: &Timing,
    adjusts: bool,
    refusals: &mut Refusals,
    warnings: &mut Vec<Warning>,
) -> (Vec<TickerReading>, Vec<ReadError>) {
    let max = refusals.max();
    let n_rows: usize = all.iter().map(|rows| rows.bars.len()).sum();
    let parts = side_by_side(shares(all, n_rows.div_ceil(processors()).max(MIN_STRETCH)), |share| {
        let mut told = (Refusals::new(max), Vec::new(), Vec::new());
        let finish = |rows| series::finish(rows, timing, adjusts, &mut told.0, &mut told.1, &mut told.2);
        let tickers: Vec<TickerReading> = share.into_iter().filter_map(finish).collect();
        (tickers, told)
    });
    let (mut tickers, mut several) = (Vec::new(), Vec::new());
    for (part, told) in parts {
        tickers.extend(part);
        refusals.append(told.0);
        warnings.extend(told.1);
        several.extend(told.2);
    }
    (tickers, several)
}

/// How many threads are worth starting.
pub(super) fn processors() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Works on each part, on a thread of its own where there are several; what came of them in their order.
pub(super) fn side_by_side<T: Send, R: Send>(parts: Vec<T>, work: impl Fn(T) -> R + Sync) -> Vec<R> {
    if parts.len() < 2 {
        return parts.into_iter().map(work).collect();
    }
    let work = &work;
    thread::scope(|scope| {
        let running: Vec<_> = parts.into_iter().map(|part| scope.spawn(move || work(part))).collect();
        running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}

/// The tickers in their order, in shares of about `length` rows.
fn shares(all: Vec<Rows>, length: usize) -> Vec<Vec<Rows>> {
    let mut shares: Vec<Vec<Rows>> = Vec::new();
    let mut room = 0;
    for rows in all {
        if room == 0 || shares.is_empty() {
            shares.push(Vec::new());
            room = length;
        }
        room = room.saturating_sub(rows.bars.len());
        if let Some(share) = shares.last_mut() {
            share.push(rows);
        }
    }
    shares
}

fn stretches(n_rows: usize, processors: usize) -> Vec<Range<usize>> {
    let n_stretches = (n_rows / MIN_STRETCH).clamp(1, processors.max(1));
    let length = n_rows.div_ceil(n_stretches).max(1);
    (0..n_stretches).map(|idx| (idx * length).min(n_rows)..((idx + 1) * length).min(n_rows)).collect()
}

fn join(
    parts: Vec<Result<Part, ReadError>>,
    limits: &IngestLimits,
    refusals: &mut Refusals,
) -> Result<(Vec<Rows>, Skipped), ReadError> {
    let mut all: Vec<Rows> = Vec::new();
    let mut places: HashMap<Option<Ticker>, usize> = HashMap::new();
    let mut skipped = Skipped::default();
    for part in parts {
        let part = part?;
        for rows in part.tickers {
            match places.get(&rows.ticker) {
                Some(place) => all[*place].append(rows),
                None => {
                    places.insert(rows.ticker.clone(), all.len());
                    all.push(rows);
                }
            }
        }
        skipped.append(&part.skipped);
        refusals.append(part.refusals);
    }
    if all.len() > limits.max_tickers {
        let max = limits.max_tickers;
        return Err(ReadError::OverLimit { code: "too_many_tickers", what: "tickers", max });
    }
    Ok((all, skipped))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::bar::RawBar;
    use crate::domain::{Bar, BarTime};

    /// A ticker with so many equal rows.
    fn rows(name: &str, n_rows: u32) -> Rows {
        let at = BarTime::from_seconds(1_700_006_400);
        let raw = RawBar { at, open: 10.0, high: 11.0, low: 9.0, close: 10.0, volume: None };
        let bar = Bar::new(raw).expect("a bar");
        let bars = (1..=n_rows).map(|line| bars::Placed { bar, instant: at, line, is_aside: false }).collect();
        Rows { ticker: name.parse().ok(), bars, refused: 0, n_up: 0, n_down: 0 }
    }

    #[test]
    fn shares_keep_every_ticker_whole_and_in_its_place() {
        let sizes = [3, 0, 5, 1, 1, 9, 2];
        for length in 1..30 {
            let all = sizes.iter().enumerate().map(|(idx, n_rows)| rows(&format!("T{idx}"), *n_rows)).collect();
            let shares = shares(all, length);
            let told: Vec<u32> = shares.iter().flatten().map(|rows| rows.bars.len() as u32).collect();
            assert_eq!(told, sizes);
            let n_rows: Vec<usize> =
                shares.iter().map(|share| share.iter().map(|rows| rows.bars.len()).sum()).collect();
            assert!(n_rows.iter().rev().skip(1).all(|n_rows| *n_rows >= length), "{length}: {n_rows:?}");
            assert!(
                shares.iter().all(|share| {
                    share[..share.len() - 1].iter().map(|rows| rows.bars.len()).sum::<usize>() < length
                })
            );
        }
    }

    #[test]
    fn work_side_by_side_comes_back_in_order() {
        let squares = side_by_side((0..7_u64).collect(), |number| {
            // Later ones are done first.
            thread::sleep(std::time::Duration::from_millis(7 - number));
            number * number
        });
        assert_eq!(squares, [0, 1, 4, 9, 16, 25, 36]);
    }
}
