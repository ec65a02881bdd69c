//! Bodies of prices on their way in.

use axum::Json;
use axum::extract::State;

use super::query::PostBarsQuery;
use super::report::{BarsReportBody, Counts, ManyReportBody, ReadBody, TickerCounts, split};
use crate::domain::Ticker;
use crate::http::Api;
use crate::http::error::{Problem, ProblemBody};
use crate::http::extract::{Path, Query};
use crate::http::upload::{Upload, is_one_line};
use crate::http::wire::ticker;
use crate::ingest::BodyFormat;
use crate::jobs::ingest::{Body, IngestRequest, TickerReport, ingest};

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
pub(in crate::http) async fn post_bars(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<PostBarsQuery>,
    upload: Upload,
) -> Result<Json<BarsReportBody>, Problem> {
    let (counts, reports, read) = take_in(&api, Some(ticker(&name)?), query, upload).await?;
    // A body of one ticker that is read has one: anything else is an error before.
    let report = reports.into_iter().next().ok_or_else(|| Problem::internal("a report without its ticker"))?;
    // A row that was refused for its ticker is nobody's, and still one of this body.
    Ok(Json(BarsReportBody { ticker: TickerCounts::from(report).with(counts), read }))
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
pub(in crate::http) async fn post_many(
    State(api): State<Api>,
    Query(query): Query<PostBarsQuery>,
    upload: Upload,
) -> Result<Json<ManyReportBody>, Problem> {
    let (counts, reports, read) = take_in(&api, None, query, upload).await?;
    let per_ticker: Vec<TickerCounts> = reports.into_iter().map(TickerCounts::from).collect();
    Ok(Json(ManyReportBody { tickers: per_ticker.len(), counts, per_ticker, read }))
}

const LOST_LINE_ENDS: &str =
    "The body has no line break: curl's -d strips them, curl --data-binary @FILE sends a file as it is.";

async fn take_in(
    api: &Api,
    ticker: Option<Ticker>,
    query: PostBarsQuery,
    upload: Upload,
) -> Result<(Counts, Vec<TickerReport>, ReadBody), Problem> {
    let Upload { bytes, format, encoding, charset, room } = upload;
    let request = query.request(IngestRequest::new(ticker, format, encoding), charset)?;
    let lost_line_ends = matches!(format, BodyFormat::Any | BodyFormat::Csv) && is_one_line(&bytes);
    let body = Body { bytes, room: Some(room) };
    let report = ingest(api.app(), body, &request).await.map_err(|error| {
        let problem = Problem::from(error);
        if lost_line_ends { problem.and_say(LOST_LINE_ENDS) } else { problem }
    })?;
    split(report)
}
