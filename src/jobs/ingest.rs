//! A body of prices becomes stored bars: the one way in, for HTTP and the command line alike.
//!
//! Reading is done on a blocking thread; what is stored is durable when [`ingest`] returns, all of the body or
//! nothing of it. New bars queue a training where the ticker's policy says so.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::calendar;
use super::level::level_break;
use super::neighbours::check_neighbours;
use super::settle::{Settled, StoredTicker, settle};
use super::whose::{name, other_told};
use crate::app::App;
use crate::domain::{Calendar, Interval, Ticker};
use crate::ingest::{
    BodyFormat, ContentEncoding, Dialect, ReadError, ReadOptions, Reading, Refusal, TickerReading, Warning,
};
use crate::store::{BarsOutcome, JobRecord, OnConflict, PriceBasis, PutBarsError, SentBars, StoreError, TickerRecord};

/// A file of prices as it came.
#[derive(Debug)]
pub struct Body {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its room in memory: given back when the work on it has ended, also where nobody waits for its end any more.
    pub room: Option<OwnedSemaphorePermit>,
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, room: None }
    }
}

/// What to do with a body.
#[derive(Debug, Clone)]
pub struct IngestRequest {
    /// Whose bars these are; `None` where a column of the body says so, row by row.
    pub ticker: Option<Ticker>,
    /// What the body is.
    pub format: BodyFormat,
    /// How it is packed.
    pub encoding: ContentEncoding,
    /// What the caller says about it.
    pub options: ReadOptions,
    /// Report all that would happen, store nothing.
    pub dry_run: bool,
    /// What a bad row does to the good ones.
    pub on_error: OnError,
    /// What a bar that is stored with other values gets.
    pub on_conflict: OnConflict,
    /// The market's sessions; detected where absent.
    pub calendar: Option<Calendar>,
    /// Whether the policy may queue a training.
    pub train: TrainChoice,
}

impl IngestRequest {
    /// A body of one ticker (or, with `None`, of those that its own column names), all else at its default.
    pub fn new(ticker: Option<Ticker>, format: BodyFormat, encoding: ContentEncoding) -> Self {
        Self {
            ticker,
            format,
            encoding,
            options: ReadOptions::default(),
            dry_run: false,
            on_error: OnError::default(),
            on_conflict: OnConflict::default(),
            calendar: None,
            train: TrainChoice::default(),
        }
    }
}

/// What a bad row does to the good ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// Nothing: they are stored, it is reported.
    #[default]
    Quarantine,
    /// The whole body is refused.
    Reject,
}

/// Whether new bars may queue a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrainChoice {
    /// When the ticker's policy says so.
    #[default]
    Auto,
    /// Not now.
    Never,
}

/// What came of a body. `received = inserted + updated + unchanged + refused`.
#[derive(Debug, Clone)]
pub struct IngestReport {
    /// Rows that claim to be bars.
    pub received: u64,
    /// Bars not stored before.
    pub inserted: u64,
    /// Bars stored with other values, replaced.
    pub updated: u64,
    /// Bars stored already, or kept, or twice in the body.
    pub unchanged: u64,
    /// Rows that are no bar.
    pub refused: u64,
    /// How the body was understood.
    pub dialect: Dialect,
    /// Refused rows, up to the cap on reports.
    pub refusals: Vec<Refusal>,
    /// Whether more rows were refused than are told.
    pub refusals_truncated: bool,
    /// What looks wrong although each bar is valid.
    pub warnings: Vec<Warning>,
    /// Whether nothing was stored because of `dry_run`.
    pub dry_run: bool,
    /// Each ticker of the body.
    pub tickers: Vec<TickerReport>,
}

/// What came of one ticker's rows.
#[derive(Debug, Clone)]
pub struct TickerReport {
    /// The ticker afterwards (in a dry run: as it would be).
    pub record: TickerRecord,
    /// Rows that claim to be bars of it.
    pub received: u64,
    /// As in [`IngestReport`].
    pub inserted: u64,
    /// As in [`IngestReport`].
    pub updated: u64,
    /// As in [`IngestReport`].
    pub unchanged: u64,
    /// As in [`IngestReport`].
    pub refused: u64,
    /// The training that these bars queued.
    pub job: Option<JobRecord>,
}

/// Why nothing of a body was stored.
#[derive(Debug, thiserror::Error)]
pub enum IngestError {
    /// It cannot be read, or nothing in it is a bar.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Rows were refused, and the caller wants all or nothing.
    #[error("{refused} of {received} rows are no bars; line {}: {}", .first.line, .first.message)]
    Refused {
        /// Rows in all.
        received: usize,
        /// Refused rows.
        refused: usize,
        /// Them, up to the cap on reports.
        refusals: Vec<Refusal>,
        /// The first of them.
        first: Box<Refusal>,
    },
    /// Sent as one ticker's bars, but the body names another.
    #[error(
        "sent as {asked}, but the file's own ticker column says {found}; send it to POST /v1/bars, or to the ticker it names"
    )]
    TickerMismatch {
        /// The ticker asked for.
        asked: Ticker,
        /// What the body names.
        found: String,
    },
    /// Sent as many tickers' bars, but nothing says whose they are.
    #[error(
        "no column says whose bars these are (ticker, symbol, Name, 종목코드 …); send one ticker's file to POST /v1/tickers/TICKER/bars"
    )]
    NoTickerColumn,
    /// A few bars for a series of which they cannot be, by where they stand.
    #[error(
        "{ticker} holds bars of {stored}, and the one of {sent} stands as none of these would: nearer to that of {beside}, on \
         another day of the week or month than the others, or at the same time of another day. Send bars of {stored} here and \
         others under another ticker; several at a time tell what they cover"
    )]
    OtherInterval {
        /// Whose.
        ticker: Ticker,
        /// The series' own.
        stored: Interval,
        /// The bar that was sent.
        sent: String,
        /// The stored bar that it was compared with.
        beside: String,
    },
    /// The store refused.
    #[error(transparent)]
    Put(#[from] PutBarsError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of ours.
    #[error("reading ended in a panic")]
    Panic,
}

/// Reads a body and stores its bars. What is stored is acknowledged: a training that cannot be queued afterwards is told
/// as a warning and queued as soon as that is possible.
///
/// # Errors
/// When nothing of it was stored; the error says why.
pub async fn ingest(
    app: &Arc<App>,
    body: impl Into<Body>,
    request: &IngestRequest,
) -> Result<IngestReport, IngestError> {
    let body = body.into();
    let mut known = known(app, request.ticker.iter()).await?;
    let continues = request.ticker.as_ref().and_then(|ticker| stored_interval(&known, ticker));
    // Only names in the body tell which series a few bars of many tickers continue.
    let again = (request.ticker.is_none() && body.bytes.len() <= SHORT_BODY).then(|| body.bytes.clone());
    let (mut reading, mut room) = read(app, body, request, continues).await?;
    if request.ticker.is_none() {
        known = self::known(app, reading.tickers.iter().filter_map(TickerReading::name)).await?;
    }
    if let Some(bytes) = again
        && let Some(interval) = other_interval(&known, &reading)
    {
        (reading, room) = read(app, Body { bytes, room }, request, Some(interval)).await?;
    }
    let _room = room;
    if let (OnError::Reject, Some(first)) = (request.on_error, reading.refusals.first()) {
        return Err(IngestError::Refused {
            received: reading.received,
            refused: reading.refusals_total,
            first: Box::new(first.clone()),
            refusals: reading.refusals,
        });
    }
    let mut named = name(&reading.tickers, request.ticker.as_ref())?;
    // A ticker of whose rows none is a bar is not made: its refusals are told, and its first bars find its market.
    named.retain(|(_, part)| !part.series.is_empty());
    let basis = price_basis(&reading.dialect);
    let mut sent = Vec::with_capacity(named.len());
    let mut detector = calendar::Detector::default();
    let mut warnings: Vec<Warning> = Vec::new();
    for (ticker, part) in &named {
        warnings.extend(other_told(ticker, part));
        let known = known.get(ticker);
        let mut finishes = None;
        if let Some(record) = known {
            finishes = check_neighbours(app, record, &part.series, request.on_conflict).await?;
            warnings.extend(level_break(app, record, &part.series).await?);
        }
        let calendar = match &request.calendar {
            Some(calendar) => Some(calendar.clone()),
            // Detection is for the first file: later ones must not move a series to another market.
            None if known.is_some_and(|record| record.bars_total > 0) => None,
            None => Some(detector.calendar(ticker, &part.series)),
        };
        sent.push(SentBars { ticker, series: &part.series, calendar, currency: None, price_basis: basis, finishes });
    }
    let outcomes = app.store.put_bars(&sent, request.on_conflict, request.dry_run).await?;
    warnings.extend(detector.told());
    // Of many tickers the counts tell.
    if let ([outcome], [(ticker, part)]) = (outcomes.as_slice(), named.as_slice()) {
        warnings.extend(calendar::missing_sessions(ticker, &part.series, &outcome.record.calendar));
        warnings.extend(calendar::off_calendar(ticker, &part.series, &outcome.record.calendar));
    }
    let mut settled = match request.train {
        TrainChoice::Auto if !request.dry_run => settle_apart(app, &outcomes).await,
        _ => Settled::default(),
    };
    warnings.append(&mut settled.warnings);
    let reports = outcomes.into_iter().zip(&named).map(|(outcome, (ticker, part))| {
        let job = settled.jobs.remove(ticker);
        report(outcome, part, job)
    });
    let tickers = reports.collect();
    if !request.dry_run {
        refresh(app).await;
    }
    reading.warnings.extend(warnings);
    Ok(sum(reading, tickers, request.dry_run))
}

/// In a task of its own: what is stored gets its trainings also where the caller leaves.
async fn settle_apart(app: &Arc<App>, outcomes: &[BarsOutcome]) -> Settled {
    let stored = outcomes.iter().map(|outcome| StoredTicker {
        record: outcome.record.clone(),
        is_changed: outcome.inserted + outcome.updated > 0,
    });
    let settled = tokio::spawn(settle(Arc::clone(app), stored.collect())).await;
    settled.unwrap_or_else(|error| {
        tracing::error!(%error, "bars are stored, queueing their trainings ended in a panic");
        Settled::default()
    })
}

/// A body of fewer bytes may be too few bars to tell their interval.
const SHORT_BODY: usize = 64 << 10;

/// What the bars of a stored series cover; `None` for one without bars.
fn stored_interval(known: &HashMap<Ticker, TickerRecord>, ticker: &Ticker) -> Option<Interval> {
    known.get(ticker).filter(|record| record.bars_total > 0).map(|record| record.interval)
}

/// The interval of the first series that the body continues, where it was read as another.
fn other_interval(known: &HashMap<Ticker, TickerRecord>, reading: &Reading) -> Option<Interval> {
    let parts = reading.tickers.iter().filter(|part| !part.series.is_empty());
    let (read, stored) =
        parts.filter_map(|part| Some((part.series.interval(), stored_interval(known, part.name()?)?))).next()?;
    Some(stored).filter(|stored| *stored != read)
}

async fn read(
    app: &Arc<App>,
    body: Body,
    request: &IngestRequest,
    continues: Option<Interval>,
) -> Result<(Reading, Option<OwnedSemaphorePermit>), IngestError> {
    let (format, encoding) = (request.format, request.encoding);
    let options = ReadOptions { continues, ..request.options.clone() };
    let app = Arc::clone(app);
    // The thread has the room: it reads to the end even when the caller leaves.
    let reading = tokio::task::spawn_blocking(move || {
        let Body { bytes, room } = body;
        let limits = &app.settings.limits.ingest;
        let text = crate::ingest::inflate(bytes, encoding, limits)?;
        let reading = crate::ingest::read(&text, format, &options, limits)?;
        Ok::<_, ReadError>((reading, room))
    });
    Ok(reading.await.map_err(|_| IngestError::Panic)??)
}

/// Those of the tickers that are stored.
async fn known(app: &App, tickers: impl Iterator<Item = &Ticker>) -> Result<HashMap<Ticker, TickerRecord>, StoreError> {
    let names: Vec<&str> = tickers.map(Ticker::as_str).collect();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let records = app.store.tickers_named(&names).await?;
    Ok(records.into_iter().map(|record| (record.ticker.clone(), record)).collect())
}

fn price_basis(dialect: &Dialect) -> PriceBasis {
    match dialect.price_basis {
        crate::ingest::PriceBasis::Raw => PriceBasis::Raw,
        crate::ingest::PriceBasis::Adjusted => PriceBasis::Adjusted,
    }
}

/// What was stored is known to this process at once; where that fails, as soon as [`App::follow`] sees it.
async fn refresh(app: &App) {
    if let Err(error) = app.refresh().await {
        tracing::warn!(%error, "stored; answers of this process may be old for a moment");
    }
}

fn report(outcome: BarsOutcome, part: &TickerReading, job: Option<JobRecord>) -> TickerReport {
    TickerReport {
        received: part.received as u64,
        inserted: outcome.inserted,
        updated: outcome.updated,
        unchanged: outcome.unchanged + part.duplicates as u64,
        refused: part.refused as u64,
        record: outcome.record,
        job,
    }
}

fn sum(reading: Reading, tickers: Vec<TickerReport>, dry_run: bool) -> IngestReport {
    let total = |of: fn(&TickerReport) -> u64| tickers.iter().map(of).sum::<u64>();
    // Tickers without a bar are not stored and have no report.
    let without_bars = reading.tickers.iter().filter(|part| part.series.is_empty());
    let n_equal: u64 = without_bars.map(|part| part.duplicates as u64).sum();
    IngestReport {
        received: reading.received as u64,
        inserted: total(|ticker| ticker.inserted),
        updated: total(|ticker| ticker.updated),
        unchanged: total(|ticker| ticker.unchanged) + n_equal,
        refused: reading.refusals_total as u64,
        dialect: reading.dialect,
        refusals_truncated: reading.refusals.len() < reading.refusals_total,
        refusals: reading.refusals,
        warnings: reading.warnings,
        dry_run,
        tickers,
    }
}
