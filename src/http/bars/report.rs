//! What came of a body of prices.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::domain::Ticker;
use crate::http::error::Problem;
use crate::jobs::ingest::{IngestReport, TickerReport};
use crate::store::JobRecord;

/// Counts of what came of rows: `received = inserted + updated + unchanged + refused`.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub(super) struct Counts {
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
pub(super) struct ReadBody {
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
pub(in crate::http) struct BarsReportBody {
    #[serde(flatten)]
    pub(super) ticker: TickerCounts,
    #[serde(flatten)]
    pub(super) read: ReadBody,
}

/// What came of a file of many tickers.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ManyReportBody {
    /// How many tickers.
    #[schema(example = 505)]
    pub(super) tickers: usize,
    #[serde(flatten)]
    pub(super) counts: Counts,
    /// Each of them.
    pub(super) per_ticker: Vec<TickerCounts>,
    #[serde(flatten)]
    pub(super) read: ReadBody,
}

/// What came of one ticker's rows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TickerCounts {
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

/// An answer's parts: the counts of all, each ticker, how the body was read.
pub(super) fn split(report: IngestReport) -> Result<(Counts, Vec<TickerReport>, ReadBody), Problem> {
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

impl TickerCounts {
    pub(super) fn with(self, counts: Counts) -> Self {
        Self { counts, ..self }
    }
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
