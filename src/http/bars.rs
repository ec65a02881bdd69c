//! Prices in and out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Path, Query};
use super::tickers::{calendar, find};
use super::upload::Upload;
use super::wire::{checked_limit, cut, edge, ticker};
use crate::domain::{Bar, BarTime, Interval, Series, Ticker};
use crate::ingest::{BodyFormat, PriceBasis, ReadOptions, write};
use crate::jobs::ingest::{IngestReport, IngestRequest, OnError, TickerReport, TrainChoice, ingest};
use crate::store::{JobRecord, OnConflict};

/// How a body is to be read and stored.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PostBarsQuery {
    /// Report all that would happen, store nothing.
    #[serde(default)]
    dry_run: bool,
    /// What a bad row does to the good ones.
    #[serde(default)]
    #[param(inline)]
    on_error: OnErrorQuery,
    /// What a bar that is stored with other values gets.
    #[serde(default)]
    #[param(inline)]
    on_conflict: OnConflictQuery,
    /// How dates are written, as `%d/%m/%Y`; detected where absent.
    date_format: Option<String>,
    /// What stands between fields: `,` `;` `|` or `tab`.
    delimiter: Option<String>,
    /// The decimal sign: `.` or `,`.
    decimal: Option<String>,
    /// The characters' encoding, as `utf-8` or `cp949`.
    encoding: Option<String>,
    /// Which prices are kept where a file has both.
    #[param(inline)]
    price_basis: Option<PriceBasisQuery>,
    /// Which column is which: `date,open,high,low,close,volume` by position, or `close:Last` by name.
    columns: Option<String>,
    /// A MIC (`XNYS`, `XKRX`, …), `24/7` or `weekdays`; by the ticker's suffix and the dates where absent.
    calendar: Option<String>,
    /// Whether the retraining policy may queue a training.
    #[serde(default)]
    #[param(inline)]
    train: TrainQuery,
}

/// What a bad row does.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnErrorQuery {
    /// Good rows are stored, bad ones reported.
    #[default]
    Quarantine,
    /// Any bad row refuses the whole body with 422.
    Reject,
}

/// What a stored bar with other values gets.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnConflictQuery {
    /// The values sent.
    #[default]
    Replace,
    /// The values stored.
    Keep,
    /// 409, and nothing of the body is stored.
    Reject,
}

/// Raw or adjusted prices.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum PriceBasisQuery {
    /// As traded.
    Raw,
    /// Scaled for dividends and splits.
    Adjusted,
}

/// Whether a training may be queued.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TrainQuery {
    /// When the ticker's policy says so.
    #[default]
    Auto,
    /// Not now.
    Never,
}

/// Counts of what came of rows: `received = inserted + updated + unchanged + refused`.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
struct Counts {
    /// Rows that claim to be bars.
    #[schema(example = 1258)]
    received: u64,
    /// Not stored before.
    #[schema(example = 1250)]
    inserted: u64,
    /// Stored with other values, replaced.
    #[schema(example = 0)]
    updated: u64,
    /// Stored already, or kept, or twice in the body.
    #[schema(example = 6)]
    unchanged: u64,
    /// No bars.
    #[schema(example = 2)]
    refused: u64,
}

/// How a body was read.
#[derive(Debug, Serialize, ToSchema)]
struct ReadBody {
    /// Whether nothing was stored because `dry_run` was asked for.
    dry_run: bool,
    /// How the body was understood; sent back as query parameters it pins the reading.
    #[schema(value_type = Object, example = json!({"name": "yahoo", "encoding": "utf-8", "delimiter": ",", "date_format": "%Y-%m-%d", "order": "ascending", "columns": {"date": "Date", "close": "Close"}, "price_basis": "raw"}))]
    dialect: Value,
    /// Refused rows with line, column, text, code and message.
    #[schema(value_type = Vec<Object>, example = json!([{"line": 17, "column": "high", "text": "9", "code": "high_below_low", "message": "high 9 is below low 11"}]))]
    refusals: Value,
    /// Whether more rows were refused than are told.
    refusals_truncated: bool,
    /// What looks wrong although each bar is valid.
    #[schema(value_type = Vec<Object>)]
    warnings: Value,
}

/// What came of one ticker's file.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BarsReportBody {
    #[serde(flatten)]
    ticker: TickerCounts,
    #[serde(flatten)]
    read: ReadBody,
}

/// What came of a file of many tickers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ManyReportBody {
    /// How many tickers.
    #[schema(example = 505)]
    tickers: usize,
    #[serde(flatten)]
    counts: Counts,
    /// Each of them.
    per_ticker: Vec<TickerCounts>,
    #[serde(flatten)]
    read: ReadBody,
}

/// What came of one ticker's rows.
#[derive(Debug, Serialize, ToSchema)]
struct TickerCounts {
    /// Whose.
    #[schema(value_type = String, example = "AAPL")]
    ticker: Ticker,
    #[serde(flatten)]
    counts: Counts,
    /// The oldest stored session.
    #[schema(example = "2013-02-08")]
    first: Option<String>,
    /// The newest stored session.
    #[schema(example = "2018-02-07")]
    last: Option<String>,
    /// Bars stored in all.
    #[schema(example = 1256)]
    bars_total: u64,
    /// The state of the stored bars.
    #[schema(example = 3)]
    data_version: u64,
    /// The training that these bars queued.
    job: Option<JobLink>,
}

/// Where to follow a job.
#[derive(Debug, Serialize, ToSchema)]
struct JobLink {
    id: String,
    #[schema(example = "/v1/jobs/0199d2f4-6d9a-7cc2-a7a4-5e2f5a3c1b11")]
    url: String,
}

/// Stores one ticker's price history: any broker's CSV, a JSON array of bars, or Parquet; gzip and zstd are unpacked.
/// The answer comes when all of it is durable.
#[utoipa::path(post, path = "/v1/tickers/{ticker}/bars", tag = "bars",
    params(("ticker" = String, Path, example = "AAPL"), PostBarsQuery),
    request_body(content((String = "text/csv", example = "Date,Open,High,Low,Close,Volume\n2018-02-06,154.83,163.72,154.0,163.03,68243838\n2018-02-07,163.085,163.4,159.0685,159.54,51608580\n"), (Vec<Object> = "application/json"), (Vec<u8> = "application/vnd.apache.parquet"))),
    responses(
    (status = 200, description = "What was stored", body = BarsReportBody),
    (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "Contradicts what is stored", body = ProblemBody, content_type = "application/problem+json"),
    (status = 413, description = "Over a cap of /v1/limits", body = ProblemBody, content_type = "application/problem+json"),
    (status = 415, description = "A media type or encoding that is not read", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "Nothing usable, a column missing, or bad rows with on_error=reject", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn post_bars(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<PostBarsQuery>,
    upload: Upload,
) -> Result<Json<BarsReportBody>, Problem> {
    let (counts, reports, read) = take_in(&api, Some(ticker(&name)?), query, upload).await?;
    // A body of one ticker that is read has one: anything else is an error before.
    let report = reports.into_iter().next().ok_or_else(|| Problem::internal("a report without its ticker"))?;
    Ok(Json(BarsReportBody { ticker: TickerCounts { counts, ..report.into() }, read }))
}

/// Stores a file of many tickers, told apart by a column (`ticker`, `symbol`, `Name`, `종목코드`, …); all of it or
/// nothing.
#[utoipa::path(post, path = "/v1/bars", tag = "bars", params(PostBarsQuery),
    request_body(content((String = "text/csv", example = "date,open,high,low,close,volume,Name\n2018-02-07,163.085,163.4,159.0685,159.54,51608580,AAPL\n"), (Vec<Object> = "application/json"), (Vec<u8> = "application/vnd.apache.parquet"))),
    responses(
    (status = 200, description = "What was stored", body = ManyReportBody),
    (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "Contradicts what is stored", body = ProblemBody, content_type = "application/problem+json"),
    (status = 413, description = "Over a cap of /v1/limits", body = ProblemBody, content_type = "application/problem+json"),
    (status = 415, description = "A media type or encoding that is not read", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "Nothing usable, a column missing, or bad rows with on_error=reject", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn post_many(
    State(api): State<Api>,
    Query(query): Query<PostBarsQuery>,
    upload: Upload,
) -> Result<Json<ManyReportBody>, Problem> {
    let (counts, reports, read) = take_in(&api, None, query, upload).await?;
    let per_ticker: Vec<TickerCounts> = reports.into_iter().map(TickerCounts::from).collect();
    Ok(Json(ManyReportBody { tickers: per_ticker.len(), counts, per_ticker, read }))
}

async fn take_in(
    api: &Api,
    ticker: Option<Ticker>,
    query: PostBarsQuery,
    upload: Upload,
) -> Result<(Counts, Vec<TickerReport>, ReadBody), Problem> {
    let Upload { bytes, format, encoding, charset, room } = upload;
    let mut request = IngestRequest::new(ticker, format, encoding);
    request.calendar = query.calendar.as_deref().map(calendar).transpose()?;
    request.dry_run = query.dry_run;
    request.on_error = match query.on_error {
        OnErrorQuery::Quarantine => OnError::Quarantine,
        OnErrorQuery::Reject => OnError::Reject,
    };
    request.on_conflict = match query.on_conflict {
        OnConflictQuery::Replace => OnConflict::Replace,
        OnConflictQuery::Keep => OnConflict::Keep,
        OnConflictQuery::Reject => OnConflict::Reject,
    };
    request.train = match query.train {
        TrainQuery::Auto => TrainChoice::Auto,
        TrainQuery::Never => TrainChoice::Never,
    };
    request.options = ReadOptions {
        date_format: query.date_format,
        delimiter: query.delimiter,
        decimal: query.decimal,
        encoding: query.encoding.or(charset),
        price_basis: query.price_basis.map(|basis| match basis {
            PriceBasisQuery::Raw => PriceBasis::Raw,
            PriceBasisQuery::Adjusted => PriceBasis::Adjusted,
        }),
        columns: query.columns,
        ..ReadOptions::default()
    };
    let report = ingest(api.app(), bytes, &request).await?;
    drop(room);
    split(report)
}

fn split(report: IngestReport) -> Result<(Counts, Vec<TickerReport>, ReadBody), Problem> {
    let IngestReport { received, inserted, updated, unchanged, refused, .. } = report;
    let counts = Counts { received, inserted, updated, unchanged, refused };
    let read = ReadBody {
        dry_run: report.dry_run,
        dialect: serde_json::to_value(&report.dialect).map_err(Problem::internal)?,
        refusals: serde_json::to_value(&report.refusals).map_err(Problem::internal)?,
        refusals_truncated: report.refusals_truncated,
        warnings: serde_json::to_value(&report.warnings).map_err(Problem::internal)?,
    };
    Ok((counts, report.tickers, read))
}

impl From<TickerReport> for TickerCounts {
    fn from(report: TickerReport) -> Self {
        let TickerReport { received, inserted, updated, unchanged, refused, record, job } = report;
        let label = |at| record.interval.label(at);
        let link = |job: JobRecord| JobLink { url: format!("/v1/jobs/{}", job.id), id: job.id };
        Self {
            counts: Counts { received, inserted, updated, unchanged, refused },
            first: record.first.map(label),
            last: record.last.map(label),
            bars_total: record.bars_total,
            data_version: record.data_version,
            job: job.map(link),
            ticker: record.ticker,
        }
    }
}

/// Which bars, and as what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct GetBarsQuery {
    /// The first session.
    #[param(example = "2018-01-01")]
    from: Option<String>,
    /// The last session.
    #[param(example = "2018-02-07")]
    to: Option<String>,
    /// Bars in one answer.
    #[param(minimum = 1, maximum = 100_000)]
    limit: Option<u32>,
    /// Where the answer before ended.
    cursor: Option<String>,
    /// `json`, `csv` or `parquet`.
    #[serde(default)]
    #[param(inline)]
    format: FormatQuery,
}

/// The form of an answer.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum FormatQuery {
    /// A JSON object.
    #[default]
    Json,
    /// Comma CSV with a header.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// Bars, ascending.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BarsBody {
    bars: Vec<BarBody>,
    /// Pass as `cursor` for what follows; null at the end.
    next_cursor: Option<String>,
}

/// One bar.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BarBody {
    /// A date, or RFC 3339 UTC within a day.
    #[schema(example = "2018-02-07")]
    session: String,
    #[schema(example = 163.085)]
    open: f64,
    #[schema(example = 163.4)]
    high: f64,
    #[schema(example = 159.0685)]
    low: f64,
    #[schema(example = 159.54)]
    close: f64,
    #[schema(example = 51_608_580.0)]
    volume: Option<f64>,
}

/// Stored bars, ascending. For CSV and Parquet the cursor to go on with is the header `x-next-cursor`.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/bars", tag = "bars",
    params(("ticker" = String, Path, example = "AAPL"), GetBarsQuery), responses(
    (status = 200, description = "The bars", content((BarsBody = "application/json"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet"))),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A limit outside of the caps", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_bars(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<GetBarsQuery>,
) -> Result<Response, Problem> {
    let record = find(&api, &name).await?;
    let max = api.settings().limits.query.max_bars;
    let page = checked_limit(query.limit, max, max)?;
    let from = query.from.as_deref().map(|text| edge("from", text, false)).transpose()?;
    let to = query.to.as_deref().map(|text| edge("to", text, true)).transpose()?;
    let cursor = query.cursor.as_deref().map(after).transpose()?;
    let from = from.into_iter().chain(cursor).max().unwrap_or(BarTime::from_seconds(i64::MIN));
    let to = to.unwrap_or(BarTime::from_seconds(i64::MAX));
    let bars = api.app().store.bars(record.id, from, to, page as u64 + 1).await?;
    let (bars, next_cursor) = cut(bars, page, |bar| bar.at().seconds().to_string());
    answer(record.interval, bars, next_cursor, query.format)
}

fn answer(
    interval: Interval,
    bars: Vec<Bar>,
    next_cursor: Option<String>,
    format: FormatQuery,
) -> Result<Response, Problem> {
    let (content_type, format) = match format {
        FormatQuery::Json => {
            let bars = bars.iter().map(|bar| BarBody::new(interval, bar)).collect();
            return Ok(Json(BarsBody { bars, next_cursor }).into_response());
        }
        FormatQuery::Csv => ("text/csv; charset=utf-8", BodyFormat::Csv),
        FormatQuery::Parquet => ("application/vnd.apache.parquet", BodyFormat::Parquet),
    };
    let series = Series::new(interval, bars).map_err(Problem::internal)?;
    let bytes = write(&series, format).map_err(Problem::internal)?;
    let mut response = ([(header::CONTENT_TYPE, content_type)], bytes).into_response();
    if let Some(cursor) = next_cursor {
        let cursor = HeaderValue::from_str(&cursor).map_err(Problem::internal)?;
        response.headers_mut().insert(HeaderName::from_static("x-next-cursor"), cursor);
    }
    Ok(response)
}

impl BarBody {
    fn new(interval: Interval, bar: &Bar) -> Self {
        Self {
            session: interval.label(bar.at()),
            open: bar.open(),
            high: bar.high(),
            low: bar.low(),
            close: bar.close(),
            volume: bar.volume(),
        }
    }
}

/// The first time after a cursor.
fn after(cursor: &str) -> Result<BarTime, Problem> {
    let seconds = cursor.parse::<i64>().ok().and_then(|seconds| seconds.checked_add(1));
    let refuse = || Problem::new("bad_cursor", "This cursor is not one that a list of bars gave.");
    seconds.map(BarTime::from_seconds).ok_or_else(refuse)
}
