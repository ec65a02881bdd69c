//! The rows of a large table, read by all processors: each takes a stretch, and what they say is joined in the
//! order of the file, as if one had read it.

use std::collections::HashMap;
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use super::bars::{self, Part, Refusals, Rows, Rules, Skipped};
use super::sheet::Source;
use super::{IngestLimits, ReadError};
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
    let processors = thread::available_parallelism().map_or(1, usize::from);
    read_in(processors, source, rules, limits, refusals)
}

fn read_in(
    processors: usize,
    source: &Source,
    rules: &Rules,
    limits: &IngestLimits,
    refusals: &mut Refusals,
) -> Result<(Vec<Rows>, Skipped), ReadError> {
    let stretches = stretches(source.sheet.n_rows(), processors);
    let read = |stretch: Range<usize>| bars::read(source, rules, limits, stretch);
    let parts = match stretches.as_slice() {
        [] => Vec::new(),
        [only] => vec![read(only.clone())],
        many => thread::scope(|scope| {
            let running: Vec<_> = many.iter().map(|stretch| scope.spawn(|| read(stretch.clone()))).collect();
            running.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
        }),
    };
    join(parts, limits, refusals)
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
