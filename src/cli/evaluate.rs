//! The panel protocol on price files: every baseline and our network on the same points, as one table.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::ingest::{price_files, ticker_of_name};
use super::output::Output;
use super::reading::{ReadFlags, in_flags};
use super::train;
use crate::config::Settings;
use crate::domain::{Calendar, Series, Ticker, counted};
use crate::evaluate::panel::{self, PanelTicker};
use crate::evaluate::{Baseline, EvaluateError, Method, Network, ServedNetwork};
use crate::features::Market;
use crate::features::market::footprints;
use crate::ingest::{BodyFormat, ReadOptions, Warning, inflate, read};
use crate::jobs::calendar::Detector;
use crate::train::{Control, TrainConfig};

/// Which files, who is compared, and where the table goes.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files, or folders whose price files are taken.
    #[arg(required = true, value_name = "DIR")]
    paths: Vec<PathBuf>,
    /// Who is compared: baselines by name, `network` alone, `network+online` as it is served.
    #[arg(long, value_delimiter = ',', default_value = "naive,drift,historical,ewma,garch,har,network+online")]
    models: Vec<Contestant>,
    #[command(flatten)]
    network: train::NetworkFlags,
    /// Leave out each ticker's newest N bars: the same table of an earlier stretch.
    #[arg(long, value_name = "N", default_value_t = 0)]
    before: usize,
    /// Tickers at one time [default: one for each processor].
    #[arg(long, short)]
    jobs: Option<NonZeroUsize>,
    /// Also write the table as CSV.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Also write the table as Markdown.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    reading: ReadFlags,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contestant {
    Baseline(Baseline),
    /// The network with nothing on top.
    Network,
    /// The network as it is served: calibrated online.
    Served,
}

impl std::str::FromStr for Contestant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "network" => Ok(Self::Network),
            "network+online" => Ok(Self::Served),
            _ => text.parse().map(Self::Baseline).map_err(|error| format!("{error}, network or network+online")),
        }
    }
}

pub(super) fn run(settings: &Settings, arguments: &Arguments, out: &mut Output) -> anyhow::Result<()> {
    let config = train::config_of(arguments.network.fields())?;
    config.check(&settings.limits.train)?;
    let control = Control { device: settings.worker.device.open()?, ..Control::quiet() };
    let mut notes = Vec::new();
    let (mut sources, mut unusable) = read_all(settings, arguments, &mut notes)?;
    for Note { file, code, message } in &notes {
        eprintln!("note: {file}: {} ({code})", in_flags(message));
    }
    let n_jobs = arguments.jobs.or(thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let mut tickers = Vec::new();
    for source in &mut sources {
        source.series = source.series.slice(0..source.series.len().saturating_sub(arguments.before));
    }
    put_in_markets(&mut sources, settings.market.max_tickers as usize);
    for (source, outcome) in score_all(&sources, &arguments.models, &config, &control, n_jobs) {
        match outcome {
            Ok(ticker) => {
                unusable.extend(refused_by(&ticker).map(|reason| Unusable { name: source.name.clone(), reason }));
                tickers.push(ticker);
            }
            Err(error) => unusable.push(Unusable { name: source.name.clone(), reason: error.to_string() }),
        }
    }
    for Unusable { name, reason } in &unusable {
        eprintln!("left out: {name}: {}", in_flags(reason));
    }
    if !tickers.iter().any(is_scored) {
        bail!("no ticker could be scored, for the reasons above");
    }
    let n_in_market = sources.iter().filter(|source| has_market(source)).count();
    print(&tickers, &unusable, &notes, n_in_market, arguments, out)
}

fn has_market(source: &Source) -> bool {
    (0..source.series.len()).any(|idx| source.series.market(idx).is_some())
}

/// Puts beside each ticker's bars what the others of its exchange did, as the service does: the first `max_tickers` of
/// each are its market.
fn put_in_markets(sources: &mut [Source], max_tickers: usize) {
    let mut detector = Detector::default();
    let calendars: Vec<Calendar> =
        sources.iter().map(|source| detector.calendar(&source.ticker, &source.series)).collect();
    let mut members: HashMap<Vec<&str>, Vec<&Source>> = HashMap::new();
    for (source, calendar) in sources.iter().zip(&calendars) {
        if let Some(mics) = Market::calendars(calendar) {
            members.entry(mics).or_default().push(source);
        }
    }
    let market = |members: Vec<&Source>| {
        let member = |source: &&Source| (source.ticker.clone(), footprints(&source.series).into());
        Market::new(members.iter().take(max_tickers).map(member))
    };
    let markets: HashMap<Vec<&str>, Market> =
        members.into_iter().map(|(mics, members)| (mics, market(members))).collect();
    for (source, calendar) in sources.iter_mut().zip(&calendars) {
        if let Some(market) = Market::calendars(calendar).and_then(|mics| markets.get(&mics)) {
            source.series = market.around(&source.ticker, source.series.clone());
        }
    }
}

fn is_scored(ticker: &PanelTicker) -> bool {
    ticker.runs.iter().all(|run| run.outcomes.is_ok())
}

/// Why a ticker counts for no model: all have the same points, or none.
fn refused_by(ticker: &PanelTicker) -> Option<String> {
    let (run, error) = ticker.runs.iter().find_map(|run| Some((run, run.outcomes.as_ref().err()?)))?;
    Some(format!("{error}; without {} in --models it may be scored by the others", run.label))
}

/// One ticker's bars and where they came from.
struct Source {
    name: String,
    ticker: Ticker,
    series: Series,
}

/// What looks wrong in a file, as its reader says it.
#[derive(Debug, serde::Serialize)]
struct Note {
    file: String,
    code: &'static str,
    message: String,
}

impl Note {
    fn of(path: &Path, warning: &Warning) -> Self {
        let whose = warning.ticker.as_ref().map(|ticker| format!("{ticker}: ")).unwrap_or_default();
        let session = warning.session.as_ref().map(|session| format!("{session}: ")).unwrap_or_default();
        let message = format!("{whose}{session}{}", warning.message);
        Self { file: path.display().to_string(), code: warning.code, message }
    }
}

/// What could not be scored, and why.
struct Unusable {
    name: String,
    reason: String,
}

/// Every ticker of every file that can be read.
fn read_all(
    settings: &Settings,
    arguments: &Arguments,
    notes: &mut Vec<Note>,
) -> anyhow::Result<(Vec<Source>, Vec<Unusable>)> {
    let (mut sources, mut unusable, mut known) = (Vec::new(), Vec::new(), BTreeSet::new());
    let options = arguments.reading.options();
    for path in price_files(&arguments.paths)? {
        match read_file(settings, &path, &options, notes) {
            Ok(found) => sources.extend(found),
            Err(error) => {
                unusable.push(Unusable { name: path.display().to_string(), reason: format!("{error:#}") });
            }
        }
    }
    if let Some(twice) = sources.iter().find(|source| !known.insert(source.ticker.clone())) {
        bail!("{} has {}, and so has a file before it: each ticker counts once", twice.name, twice.ticker);
    }
    Ok((sources, unusable))
}

fn read_file(
    settings: &Settings,
    path: &Path,
    options: &ReadOptions,
    told: &mut Vec<Note>,
) -> anyhow::Result<Vec<Source>> {
    let limits = &settings.limits.ingest;
    let (format, encoding) = BodyFormat::of_file_name(&path.to_string_lossy());
    let bytes = inflate(fs::read(path)?, encoding, limits)?;
    let reading = read(&bytes, format, options, limits)?;
    told.extend(reading.warnings.iter().map(|warning| Note::of(path, warning)));
    let source = |part: crate::ingest::TickerReading| {
        let ticker = part.name().cloned().map_or_else(|| ticker_of_name(path), Ok)?;
        Ok(Source { name: path.display().to_string(), ticker, series: part.series })
    };
    reading.tickers.into_iter().map(source).collect()
}

type Scored<'a> = (&'a Source, Result<PanelTicker, EvaluateError>);

/// Runs the protocol on each ticker, `n_jobs` at a time; answers in the order of the sources.
fn score_all<'a>(
    sources: &'a [Source],
    contestants: &[Contestant],
    config: &TrainConfig,
    control: &Control,
    n_jobs: usize,
) -> Vec<Scored<'a>> {
    let bar = ProgressBar::new(sources.len() as u64).with_style(style());
    let (next, (tell, told)) = (AtomicUsize::new(0), mpsc::channel());
    let mut scored: Vec<(usize, Scored)> = thread::scope(|scope| {
        for _ in 0..n_jobs.min(sources.len()) {
            let (tell, next) = (tell.clone(), &next);
            scope.spawn(move || {
                while let Some((idx, source)) = nth(sources, next.fetch_add(1, Ordering::Relaxed)) {
                    // The receiver outlives the scope.
                    let _ = tell.send((idx, (source, score(source, contestants, config, control))));
                }
            });
        }
        drop(tell);
        told.iter()
            .inspect(|(_, (source, _))| {
                bar.set_message(source.ticker.to_string());
                bar.inc(1);
            })
            .collect()
    });
    bar.finish_and_clear();
    scored.sort_by_key(|(idx, _)| *idx);
    scored.into_iter().map(|(_, scored)| scored).collect()
}

fn nth<T>(entries: &[T], idx: usize) -> Option<(usize, &T)> {
    entries.get(idx).map(|entry| (idx, entry))
}

fn score(
    source: &Source,
    contestants: &[Contestant],
    config: &TrainConfig,
    control: &Control,
) -> Result<PanelTicker, EvaluateError> {
    let begun = Instant::now();
    let network = || Network { name: "network".to_owned(), config: config.clone(), control };
    let (network, served) = (network(), ServedNetwork { network: network() });
    let mut methods: Vec<&dyn Method> = Vec::with_capacity(contestants.len());
    for contestant in contestants {
        methods.push(match contestant {
            Contestant::Baseline(baseline) => baseline,
            Contestant::Network => &network,
            Contestant::Served => &served,
        });
    }
    panel::run_ticker(&source.ticker, &source.series, &methods, &|| begun.elapsed().as_secs_f64())
}

fn print(
    tickers: &[PanelTicker],
    unusable: &[Unusable],
    notes: &[Note],
    n_in_market: usize,
    arguments: &Arguments,
    out: &mut Output,
) -> anyhow::Result<()> {
    let rows = panel::table(tickers);
    let scored = || tickers.iter().filter(|ticker| is_scored(ticker));
    for (path, text) in [(&arguments.csv, panel::csv(&rows)), (&arguments.markdown, panel::markdown(&rows))] {
        if let Some(path) = path {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    if out.json {
        let of_ticker =
            |ticker: &PanelTicker| json!({"ticker": ticker.ticker, "rows": panel::table(std::slice::from_ref(ticker))});
        let left_out = |one: &Unusable| json!({"file": one.name, "reason": one.reason});
        return out.json(&json!({
            "sessions": panel::SESSIONS, "before": arguments.before, "rows": rows, "tickers": scored().map(of_ticker).collect::<Vec<_>>(),
            "notes": notes, "n_in_market": n_in_market,
            "left_out": unusable.iter().map(left_out).collect::<Vec<_>>(),
        }));
    }
    out.raw(panel::markdown(&rows).as_bytes())?;
    let newest = match arguments.before {
        0 => "of each".to_owned(),
        n_bars => format!("of each before its newest {n_bars}"),
    };
    out.say(format!(
        "{}, the last {} sessions {newest}, one session ahead, fitted on what lies before; {n_in_market} beside others of their \
         exchange; {} left out",
        counted(scored().count(), "ticker"),
        panel::SESSIONS,
        unusable.len()
    ))
}

fn style() -> ProgressStyle {
    let template = "{bar:32.cyan/dim} {pos}/{len} tickers  {elapsed} of about {duration}  {msg}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
