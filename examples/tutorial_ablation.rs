//! What the common Keras tutorial of stock prices does wrong, and what each repair does to its score.
//!
//! `cargo run --release --example tutorial_ablation` invents a file as the Korean exchange (KRX) gives it, runs the
//! ladder of repairs on it and writes `docs/tutorial-ablation.md`; with a file of your own (a KRX download, or any
//! that `candlecast inspect` reads) it prints the same page and writes nothing.
#![expect(clippy::print_stdout, reason = "an example shows its result")]

#[path = "plot/mod.rs"]
mod plot;
mod tutorial;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, bail};
use candlecast::domain::{Bar, Calendar};
use candlecast::evaluate::{metrics, synthetic};
use candlecast::ingest::{BodyFormat, IngestLimits, ReadOptions, read};
use tutorial::{Point, Repairs, Run, TEST_ROWS, WINDOW};

const SEEDS: u64 = 5;
const N_ROWS: usize = 2_500;
/// Rows below which the ladder says nothing.
const MIN_ROWS: usize = 2 * TEST_ROWS + 10 * WINDOW;

fn main() -> anyhow::Result<()> {
    let path = std::env::args().nth(1);
    let bytes = match &path {
        Some(path) => std::fs::read(path).with_context(|| format!("cannot read {path}"))?,
        None => invented_krx_file()?,
    };
    let (oldest_first, newest_first) = both_orders(&bytes)?;
    let mut steps = Vec::new();
    for (idx, title) in TITLES.iter().enumerate() {
        let rows = if idx == 0 { &newest_first } else { &oldest_first };
        let runs = (1..=SEEDS).map(|seed| tutorial::run(rows, repairs(idx), seed)).collect::<Result<Vec<_>, _>>()?;
        let step = Step { title, runs };
        println!("{}", step.row());
        steps.push(step);
    }
    let page = page(&steps, oldest_first.len(), path.as_deref());
    match path {
        Some(_) => println!("\n{page}"),
        None => {
            draw("tutorial", "As in the tutorial: the last 200 rows of the file", &steps[0])?;
            draw("tutorial-repaired", "All repaired: the last 200 sessions", &steps[TITLES.len() - 1])?;
            std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/tutorial-ablation.md"), page)?;
        }
    }
    Ok(())
}

/// The ladder; each step keeps the repairs before it.
const TITLES: [&str; 6] = [
    "as in the tutorial",
    "the sort is kept",
    "scaler fitted on training rows",
    "windows validated in order",
    "past close as input",
    "returns as target",
];

fn repairs(step: usize) -> Repairs {
    Repairs { scaler: step >= 2, validation: step >= 3, input: step >= 4, target: step >= 5 }
}

/// A market of one share with Korean headers, whole won, the newest session first, in the encoding of Korean
/// spreadsheets. The seed is one whose last 200 sessions reach prices never seen before, as shares do.
fn invented_krx_file() -> anyhow::Result<Vec<u8>> {
    let (calendar, last): (Calendar, _) = ("XKRX".parse()?, "2025-12-30".parse()?);
    let (_, series) = synthetic::market(37, &synthetic::tickers(1), N_ROWS, &calendar, last).remove(0);
    let mut csv = String::from("일자,종가,대비,등락률,시가,고가,저가,거래량\n");
    let won = |price: f64| (price * 1_000.0).round();
    for pair in series.bars().windows(2).rev() {
        let [before, bar] = [pair[0], pair[1]];
        let change = won(bar.close()) - won(before.close());
        writeln!(
            csv,
            "{},{},{change},{:.2},{},{},{},{}",
            bar.at().date().format("%Y/%m/%d"),
            won(bar.close()),
            100.0 * change / won(before.close()),
            won(bar.open()),
            won(bar.high()),
            won(bar.low()),
            bar.volume().unwrap_or(0.0)
        )?;
    }
    Ok(encoding_rs::EUC_KR.encode(&csv).0.into_owned())
}

/// The rows in order of time, and as a file that begins with the newest session has them.
fn both_orders(bytes: &[u8]) -> anyhow::Result<(Vec<Bar>, Vec<Bar>)> {
    let mut reading = read(bytes, BodyFormat::Csv, &ReadOptions::default(), &IngestLimits::default())?;
    if reading.tickers.len() != 1 {
        bail!("{} tickers: bring the file of one", reading.tickers.len());
    }
    let ascending = reading.tickers.remove(0).series.bars().to_vec();
    if ascending.len() < MIN_ROWS {
        bail!("{} rows: the ladder needs {MIN_ROWS}", ascending.len());
    }
    let descending = ascending.iter().rev().copied().collect();
    Ok((ascending, descending))
}

/// One rung with its trainings.
struct Step {
    title: &'static str,
    runs: Vec<Run>,
}

impl Step {
    fn row(&self) -> String {
        let validation = mean(self.runs.iter().map(|run| rmse_ratio(&run.validation)));
        let tests: Vec<f64> = self.runs.iter().map(|run| rmse_ratio(&run.test)).collect();
        let (least, most) = tests.iter().fold((f64::MAX, f64::MIN), |(a, b), ratio| (a.min(*ratio), b.max(*ratio)));
        let mut p_values: Vec<f64> = self.runs.iter().filter_map(|run| p_value(&run.test)).collect();
        p_values.sort_by(f64::total_cmp);
        let p_value = p_values.get(p_values.len() / 2).map_or("–".to_owned(), |p| format!("{p:.3}"));
        format!(
            "| {} | {validation:.2} | {:.3} ({least:.3} to {most:.3}) | {p_value} | {:.3} |",
            self.title,
            mean(tests.iter().copied()),
            mean(self.runs.iter().map(|run| r_squared(&run.test))),
        )
    }
}

/// Error of the log price over that of "no change" on the same rows.
fn rmse_ratio(points: &[Point]) -> f64 {
    let (errors, moves): (Vec<f64>, Vec<f64>) = points.iter().map(error_and_move).unzip();
    metrics::rmse_ratio_to_naive(&errors, &moves).unwrap_or(f64::NAN)
}

/// One-sided: how easily luck makes errors this much smaller than those of "no change".
fn p_value(points: &[Point]) -> Option<f64> {
    let differences = points.iter().map(error_and_move).map(|(error, moved)| error * error - moved * moved);
    metrics::diebold_mariano(&differences.collect::<Vec<_>>(), 1).map(|test| test.p_value)
}

fn error_and_move(point: &Point) -> (f64, f64) {
    ((point.close / point.forecast.max(1e-9)).ln(), (point.close / point.last).ln())
}

/// The share of the price's variance that is "explained": what the eye sees in a chart of actual against predicted.
fn r_squared(points: &[Point]) -> f64 {
    let center = mean(points.iter().map(|point| point.close));
    let residual: f64 = points.iter().map(|point| (point.close - point.forecast).powi(2)).sum();
    1.0 - residual / points.iter().map(|point| (point.close - center).powi(2)).sum::<f64>()
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    metrics::mean(values).unwrap_or(f64::NAN)
}

fn draw(name: &str, title: &str, step: &Step) -> anyhow::Result<()> {
    let line = |value: fn(&Point) -> f64| (1..).map(f64::from).zip(step.runs[0].test.iter().map(value));
    plot::Chart::new(title, "row of the test", "close, won")
        .line("actual", line(|point| point.close))
        .line("predicted", line(|point| point.forecast))
        .line("no change", line(|point| point.last))
        .save(name)?;
    Ok(())
}

fn page(steps: &[Step], n_rows: usize, path: Option<&str>) -> String {
    let no_change = Step { title: "**\"no change\"**", runs: vec![no_change(&steps[1].runs[0])] };
    let rows: String = steps.iter().map(|step| step.row() + "\n").collect();
    let file = path
        .map_or("an invented file in the format of the Korean exchange (no real prices)".to_owned(), |path| {
            format!("`{path}`")
        });
    let no_change = format!("| {} | 1.00 | 1.000 | – | {:.3} |", no_change.title, r_squared(&no_change.runs[0].test));
    PAGE.replace("{file}", &file)
        .replace("{n_rows}", &n_rows.to_string())
        .replace("{seeds}", &SEEDS.to_string())
        .replace("{rows}", &format!("{rows}{no_change}"))
}

/// The run whose forecasts are the last closes.
fn no_change(run: &Run) -> Run {
    let still = |points: &[Point]| points.iter().map(|point| Point { forecast: point.last, ..*point }).collect();
    Run { validation: still(&run.validation), test: still(&run.test) }
}

const PAGE: &str = include_str!("tutorial/page.md");
