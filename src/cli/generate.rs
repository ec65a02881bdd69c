//! An invented market as CSV, for trying things out without anybody's data.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use chrono::{NaiveDate, Utc};

use super::output::Output;
use crate::domain::{Calendar, Series, Ticker};
use crate::evaluate::synthetic;

/// What market to invent.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// How many tickers.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=9_999))]
    tickers: u32,
    /// Sessions of each.
    #[arg(long, default_value_t = 1_500, value_parser = clap::value_parser!(u32).range(1..=60_000))]
    bars: u32,
    /// The same seed gives the same market.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Whose sessions: an exchange's MIC, 24/7 or weekdays.
    #[arg(long, default_value = "XNYS")]
    calendar: Calendar,
    /// The last session [default: today].
    #[arg(long, value_name = "DATE")]
    last: Option<NaiveDate>,
    /// A file in place of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A file a ticker in this folder, which is made.
    #[arg(long, value_name = "FOLDER", conflicts_with = "output")]
    folder: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, out: &mut Output) -> anyhow::Result<()> {
    let names = synthetic::tickers(arguments.tickers as usize);
    let last = arguments.last.unwrap_or_else(|| Utc::now().date_naive());
    let market = synthetic::market(arguments.seed, &names, arguments.bars as usize, &arguments.calendar, last);
    match (&arguments.output, &arguments.folder) {
        (_, Some(folder)) => {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
            market.iter().try_for_each(|one| write(&folder.join(format!("{}.csv", one.0)), std::slice::from_ref(one)))
        }
        (Some(path), None) => write(path, &market),
        (None, None) => out.raw(csv(&market).as_bytes()),
    }
}

fn write(path: &Path, market: &[(Ticker, Series)]) -> anyhow::Result<()> {
    fs::write(path, csv(market)).with_context(|| format!("cannot write {}", path.display()))
}

/// One file with a ticker column, as `POST /v1/bars` takes it.
pub(super) fn csv(market: &[(Ticker, Series)]) -> String {
    let mut text = String::from("ticker,date,open,high,low,close,volume\n");
    for (ticker, series) in market {
        for bar in series.bars() {
            let (date, volume) = (bar.at().date(), bar.volume().unwrap_or_default());
            let [open, high, low, close] = [bar.open(), bar.high(), bar.low(), bar.close()];
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{ticker},{date},{open:.2},{high:.2},{low:.2},{close:.2},{volume:.0}");
        }
    }
    text
}
