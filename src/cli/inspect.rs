//! What would be read of files, and why; nothing is stored and no database is needed.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::bail;
use serde_json::{Value, json};

use super::ingest::{Files, note, price_files, print_refusals};
use super::output::Output;
use super::reading::{in_flags, of_query};
use crate::config::Settings;
use crate::domain::counted;
use crate::ingest::{BarRecord, BodyFormat, ReadError, Reading, inflate, read};

/// Bars shown of each ticker, and tickers of which they are shown.
const BARS_SHOWN: usize = 3;
const TICKERS_SHOWN: usize = 3;

/// Which files are only looked at.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: Files,
}

/// Tells how each file is understood; those that cannot be used are told too, and fail the command at its end.
pub(super) fn run(settings: &Settings, arguments: &Arguments, out: &mut Output) -> anyhow::Result<()> {
    let (options, limits) = (arguments.files.reading.options(), &settings.limits.ingest);
    let paths = price_files(&arguments.files.paths)?;
    let mut n_unusable = 0;
    for path in &paths {
        let (format, encoding) = BodyFormat::of_file_name(&path.to_string_lossy());
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if paths.len() == 1 => bail!("cannot read {}: {error}", path.display()),
            Err(error) => {
                n_unusable += 1;
                eprintln!("left out: cannot read {}: {error}", path.display());
                continue;
            }
        };
        match inflate(bytes, encoding, limits).and_then(|bytes| read(&bytes, format, &options, limits)) {
            Ok(reading) if out.json => out.json(&as_json(path, &reading))?,
            Ok(reading) => print(path, &reading, out)?,
            Err(error) => {
                n_unusable += 1;
                print_error(path, &error, out)?;
            }
        }
    }
    match (n_unusable, paths.len()) {
        (0, _) => Ok(()),
        (_, 1) => bail!("the file cannot be used"),
        (few, all) => bail!("{few} of {all} files cannot be used"),
    }
}

fn print_error(path: &Path, error: &ReadError, out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.json(&json!({ "file": path, "code": error.code(), "message": error.to_string() }));
    }
    out.say(format!("{}: refused ({}): {}", path.display(), error.code(), in_flags(&error.to_string())))
}

fn print(path: &Path, reading: &Reading, out: &mut Output) -> anyhow::Result<()> {
    let n_bars: usize = reading.tickers.iter().map(|ticker| ticker.series.len()).sum();
    let n_equal: usize = reading.tickers.iter().map(|ticker| ticker.duplicates).sum();
    let equal = if n_equal > 0 { format!(", {n_equal} equal to or joined with another") } else { String::new() };
    out.say(format!(
        "{}: {}, {} of {}, {} refused{equal}",
        path.display(),
        counted(reading.tickers.len(), "ticker"),
        counted(n_bars, "bar"),
        counted(reading.received, "row"),
        reading.refusals_total
    ))?;
    let dialect = &reading.dialect;
    let delimiter =
        dialect.delimiter.as_ref().map(|delimiter| format!(", separated by {delimiter:?}")).unwrap_or_default();
    out.say(format!(
        "  read as {}, {}{delimiter}, decimals {:?}, {}, interval {}",
        dialect.name, dialect.encoding, dialect.decimal, dialect.order, dialect.interval
    ))?;
    out.say(format!("  dates {}: {}", dialect.date_format, dialect.why_date_format))?;
    let columns: Vec<String> = dialect.columns.iter().map(|(column, header)| format!("{column} = {header}")).collect();
    out.say(format!("  columns: {}", columns.join(", ")))?;
    print_bars(reading, out)?;
    for (code, count) in by_code(reading) {
        let n_shown = reading.refusals.len();
        let of_first =
            if n_shown < reading.refusals_total { format!(" of the first {n_shown}") } else { String::new() };
        out.say(format!("  refused for {code}: {count}{of_first}"))?;
    }
    print_refusals(&reading.refusals, reading.refusals_total as u64, out)?;
    reading.warnings.iter().try_for_each(|warning| out.say(note(warning)))?;
    out.say(format!("  to read such files always so: {}", of_query(&dialect.query)))
}

/// The first bars as they were read.
fn print_bars(reading: &Reading, out: &mut Output) -> anyhow::Result<()> {
    for part in reading.tickers.iter().take(TICKERS_SHOWN) {
        let name = part.name().map(|ticker| format!("{ticker} ")).unwrap_or_default();
        for bar in part.series.bars().iter().take(BARS_SHOWN) {
            let BarRecord { session, open, high, low, close, volume } = BarRecord::of(bar, &part.series);
            let volume = volume.map_or_else(|| "none".to_owned(), |volume| volume.to_string());
            out.say(format!("  {name}{session}: open {open}, high {high}, low {low}, close {close}, volume {volume}"))?;
        }
    }
    Ok(())
}

/// Refusals that were kept, counted by their code.
fn by_code(reading: &Reading) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for refusal in &reading.refusals {
        *counts.entry(refusal.code).or_default() += 1;
    }
    counts
}

fn as_json(path: &Path, reading: &Reading) -> Value {
    let tickers = reading.tickers.iter().map(|part| {
        let first: Vec<BarRecord> =
            part.series.bars().iter().take(BARS_SHOWN).map(|bar| BarRecord::of(bar, &part.series)).collect();
        json!({ "ticker": part.name(), "bars": part.series.len(), "duplicates": part.duplicates, "first_bars": first })
    });
    json!({
        "file": path,
        "received": reading.received,
        "bars": reading.tickers.iter().map(|ticker| ticker.series.len()).sum::<usize>(),
        "refused": reading.refusals_total,
        "refused_by_code": by_code(reading),
        "tickers": tickers.collect::<Vec<_>>(),
        "dialect": reading.dialect,
        "refusals": reading.refusals,
        "warnings": reading.warnings,
    })
}
