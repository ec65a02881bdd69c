//! From nothing to a forecast in one command: price files are stored, a model each is trained, the forecasts are
//! shown, and a server is left running to try things on.
//!
//! Everything lies in `data/demo`, which is made anew each time; the user's own database is not touched.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use chrono::Utc;
use tokio_util::sync::CancellationToken;

use super::output::Output;
use super::reading::ReadFlags;
use super::{forecast, generate, ingest, logging, output, progress, serve, train};
use crate::app::App;
use crate::config::Settings;
use crate::domain::{Calendar, Ticker};
use crate::evaluate::synthetic;
use crate::forecast::{ForecastRequest, Forecaster};
use crate::http::another;
use crate::ingest::BodyFormat;
use crate::jobs::Runner;
use crate::jobs::ingest::{IngestRequest, TrainChoice};
use crate::store::JobState;
use crate::train::TrainConfig;

/// Where everything of a demonstration lies.
const FOLDER: &str = "data/demo";
/// Size of the invented market.
const N_TICKERS: usize = 3;
const N_BARS: usize = 1_500;

/// Whose sessions the invented market trades on.
const MARKET: &str = "XNYS";

/// Whose prices.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Your own price files, or folders of them [default: an invented market].
    #[arg(value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// The market's sessions: an exchange's MIC, 24/7 or weekdays [default: by the ticker's suffix and the dates].
    #[arg(long)]
    calendar: Option<Calendar>,
    #[command(flatten)]
    reading: ReadFlags,
    /// End after the forecasts; leave no server running.
    #[arg(long)]
    no_serve: bool,
}

pub(super) async fn run(settings: Settings, arguments: &Arguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    logging::quiet(&settings);
    // A typing error, or a GPU that is not there, must not cost what the demonstration before has left.
    if let Some(path) = arguments.paths.iter().find(|path| !path.exists()) {
        bail!("{} is not there: name a price file, or a folder of them", path.display());
    }
    ingest::price_files(&arguments.paths)?;
    settings.worker.device.open()?;
    let stop = serve::stop_on_signal()?;
    if !arguments.no_serve {
        require_free(settings.http.listen)?;
    }
    let _lock = lock()?;
    let app = Arc::new(App::open(fresh_folder(settings)?).await?);
    let tickers = store(&app, arguments, out).await?;
    let n_trained = train_all(&app, &tickers, &stop, out).await?;
    if stop.is_cancelled() {
        app.store.close().await;
        out.say("stopped")?;
        return Ok(ExitCode::SUCCESS);
    }
    if n_trained == 0 {
        bail!("nothing could be trained, so there is nothing to show");
    }
    show_forecasts(&app, &tickers, out).await?;
    if arguments.no_serve {
        app.store.close().await;
        return Ok(ExitCode::SUCCESS);
    }
    let ticker = tickers.first().context("no tickers")?.clone();
    serve::answer(app, stop, out, |address| what_to_try(address, &ticker)).await?;
    // Below the ^C that the terminal shows.
    out.say(format!("\nstopped; {FOLDER} stays until the next demo"))?;
    Ok(ExitCode::SUCCESS)
}

/// Better now than after the training.
fn require_free(address: SocketAddr) -> anyhow::Result<()> {
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => bail!("cannot listen on {address}: {error}; {}", another(&address)),
    }
}

/// Held while a demonstration runs: another one, at another port, would take its files away.
fn lock() -> anyhow::Result<fs::File> {
    let path = Path::new(FOLDER).with_extension("lock");
    let failed = || format!("cannot lock {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).with_context(failed)?;
    let file = fs::File::create(&path).with_context(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => bail!("another demo runs on {FOLDER}: end it first, with Ctrl-C"),
        Err(fs::TryLockError::Error(error)) => Err(error).with_context(failed),
    }
}

fn fresh_folder(mut settings: Settings) -> anyhow::Result<Settings> {
    let folder = Path::new(FOLDER);
    let failed = || format!("cannot make {FOLDER} anew");
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(failed)?;
    }
    fs::create_dir_all(folder).with_context(failed)?;
    settings.database.url = format!("sqlite://{FOLDER}/candlecast.db");
    settings.models_dir = format!("{FOLDER}/models");
    Ok(settings)
}

async fn store(app: &Arc<App>, arguments: &Arguments, out: &mut Output) -> anyhow::Result<Vec<Ticker>> {
    let is_invented = arguments.paths.is_empty();
    let files = if is_invented { vec![invent_market(out)?] } else { ingest::price_files(&arguments.paths)? };
    let mut tickers = Vec::new();
    for path in files {
        let (format, encoding) = BodyFormat::of_file_name(&path.to_string_lossy());
        let request = IngestRequest {
            train: TrainChoice::Never,
            calendar: if is_invented { Some(MARKET.parse()?) } else { arguments.calendar.clone() },
            options: arguments.reading.options(),
            ..IngestRequest::new(None, format, encoding)
        };
        let report = match ingest::store_file(app, &path, request).await {
            Ok(report) => report,
            // One unreadable file of a folder does not cost the others.
            Err(error) => {
                eprintln!("left out: {}", output::one_line(&error));
                continue;
            }
        };
        ingest::print(&path, &report, out)?;
        tickers.extend(report.tickers.into_iter().map(|ticker| ticker.record.ticker));
    }
    if tickers.is_empty() {
        bail!("no file held any prices: candlecast inspect FILE tells what is wrong with one");
    }
    Ok(tickers)
}

fn invent_market(out: &mut Output) -> anyhow::Result<PathBuf> {
    let names = synthetic::tickers(N_TICKERS);
    let calendar: Calendar = MARKET.parse()?;
    let market = synthetic::market(0, &names, N_BARS, &calendar, Utc::now().date_naive());
    let path = Path::new(FOLDER).join("synthetic-market.csv");
    fs::write(&path, generate::csv(&market)).with_context(|| format!("cannot write {}", path.display()))?;
    out.say("SYNTHETIC DATA: an invented market. Your own: candlecast demo FILE.csv")?;
    Ok(path)
}

/// How many models came of it; what failed is told and does not cost the others.
async fn train_all(
    app: &Arc<App>,
    tickers: &[Ticker],
    stop: &CancellationToken,
    out: &mut Output,
) -> anyhow::Result<usize> {
    let runner = Runner::new(Arc::clone(app))?;
    let jobs = train::queue(app, tickers, &TrainConfig::default()).await?;
    let ended = progress::run_to_the_end(runner, app, jobs, stop).await?;
    train::print(&ended, out)?;
    Ok(ended.iter().filter(|job| job.state == JobState::Succeeded).count())
}

async fn show_forecasts(app: &Arc<App>, tickers: &[Ticker], out: &mut Output) -> anyhow::Result<()> {
    let forecaster = Forecaster::new(Arc::clone(app));
    let mut forecasts = Vec::new();
    for ticker in tickers {
        match forecaster.forecast(ticker, &ForecastRequest::default()).await {
            Ok(forecast) => forecasts.push(forecast),
            Err(error) => eprintln!("{ticker}: {error}"),
        }
    }
    forecast::print(&forecasts, out)
}

fn what_to_try(address: SocketAddr, ticker: &Ticker) -> String {
    let url = format!("http://{address}");
    format!(
        "
The server is running; in another terminal:

  curl -s '{url}/v1/tickers/{ticker}/forecast?horizon=5&levels=0.8'
  curl -s '{url}/v1/tickers/{ticker}/bars?limit=3'
  curl -s --data-binary @YOUR.csv '{url}/v1/tickers/YOUR/bars'

Charts: {url}/     API: {url}/docs     Ctrl-C ends it.
"
    )
}
