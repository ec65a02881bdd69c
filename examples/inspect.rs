//! Reads price files and tells in one line of JSON a file what came of them:
//! `cargo run --release --example inspect -- FILE…`, with `-o name=value` for an option.

use std::io::Write;

use candlecast::domain::{Bar, Series};
use candlecast::ingest::{BodyFormat, IngestLimits, ReadOptions, Reading, inflate, read};
use serde_json::{Value, json};

fn main() -> std::io::Result<()> {
    let limits = IngestLimits::default();
    let mut options = serde_json::Map::new();
    let mut files = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match (arg.as_str(), files.is_empty()) {
            ("-o", _) => {
                let pair = args.next().unwrap_or_default();
                let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
                options.insert(name.to_owned(), Value::String(value.to_owned()));
            }
            _ => files.push(arg),
        }
    }
    let options: ReadOptions = serde_json::from_value(Value::Object(options)).map_err(std::io::Error::other)?;
    let mut out = std::io::stdout().lock();
    for file in files {
        let started = std::time::Instant::now();
        let (format, encoding) = BodyFormat::of_file_name(&file);
        let answer =
            inflate(std::fs::read(&file)?, encoding, &limits).and_then(|bytes| read(&bytes, format, &options, &limits));
        let mut told = match answer {
            Err(error) => json!({"error": error.code(), "message": error.to_string()}),
            Ok(reading) => json!({
                "received": reading.received,
                "bars": reading.tickers.iter().map(|ticker| ticker.series.len()).sum::<usize>(),
                "tickers": reading.tickers.len(),
                "duplicates": reading.tickers.iter().map(|ticker| ticker.duplicates).sum::<usize>(),
                "refused": reading.refusals_total,
                "first": reading.tickers.first().and_then(|ticker| bar(ticker.series.bars().first()?, &ticker.series)),
                "last": reading.tickers.first().and_then(|ticker| bar(ticker.series.last()?, &ticker.series)),
                "sum_close": sum(&reading, |bar| bar.close()),
                "sum_volume": sum(&reading, |bar| bar.volume().unwrap_or(0.0)),
                "ticker": reading.tickers.first().and_then(|ticker| ticker.ticker.clone()),
                "refusals": reading.refusals.iter().take(3).collect::<Vec<_>>(),
                "dialect": reading.dialect,
                "warnings": reading.warnings,
            }),
        };
        told["file"] = Value::String(file);
        told["ms"] = json!(started.elapsed().as_millis() as u64);
        writeln!(out, "{told}")?;
    }
    Ok(())
}

/// Over all bars of all tickers: one number that any misread cell changes.
fn sum(reading: &Reading, of: fn(&Bar) -> f64) -> f64 {
    reading.tickers.iter().flat_map(|ticker| ticker.series.bars()).map(of).sum()
}

fn bar(bar: &Bar, series: &Series) -> Option<Value> {
    let session = series.interval().label(bar.at());
    Some(json!([session, bar.open(), bar.high(), bar.low(), bar.close(), bar.volume()]))
}
