//! Stored bars on their way out.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::domain::{Bar, BarTime, Interval, Series};
use crate::http::Api;
use crate::http::error::{Problem, ProblemBody};
use crate::http::extract::{Path, Query};
use crate::http::tickers::find;
use crate::http::wire::{checked_limit, cut, edge, start};
use crate::ingest::{BodyFormat, write};

/// Which bars, and as what.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct GetBarsQuery {
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
pub(in crate::http) enum FormatQuery {
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
pub(in crate::http) struct BarsBody {
    bars: Vec<BarBody>,
    /// Pass as `cursor` for what follows; null at the end.
    next_cursor: Option<String>,
}

/// One bar.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct BarBody {
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
pub(in crate::http) async fn get_bars(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<GetBarsQuery>,
) -> Result<Response, Problem> {
    let record = find(&api, &name).await?;
    let max = api.settings().limits.query.max_bars;
    let page = checked_limit(query.limit, max, max)?;
    let from = query.from.as_deref().map(|text| edge("from", text, false)).transpose()?;
    let to = query.to.as_deref().map(|text| edge("to", text, true)).transpose()?;
    let cursor = start(query.cursor.as_deref(), "bars", after)?;
    let from = from.into_iter().chain(cursor).max().unwrap_or(BarTime::from_seconds(i64::MIN));
    let to = to.unwrap_or(BarTime::from_seconds(i64::MAX));
    // Many bars are not even read before there is a turn to write them.
    let turn = api.app().computing.turn();
    if record.bars_total.min(page as u64) > AT_ONCE as u64 {
        let before = BarTime::from_seconds(from.seconds().saturating_sub(1));
        let count = api.app().store.count_bars_between(record.id, before, to).await?;
        if count.min(page as u64) > AT_ONCE as u64 {
            turn.take().await?;
        }
    }
    let bars = api.app().store.bars(record.id, from, to, page as u64 + 1).await?;
    let (bars, next_cursor) = cut(bars, page, |bar| bar.at().seconds().to_string());
    let interval = record.interval;
    match bars.len() {
        0..=AT_ONCE => answer(interval, bars, next_cursor, query.format),
        _ => turn.run(move || answer(interval, bars, next_cursor, query.format)).await?,
    }
}

/// Bars that are written in less time than it takes to wait for a thread.
const AT_ONCE: usize = 2_000;

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
fn after(cursor: &str) -> Option<BarTime> {
    cursor.parse::<i64>().ok()?.checked_add(1).map(BarTime::from_seconds)
}
