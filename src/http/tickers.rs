//! What is known of a ticker beside its bars.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Json as JsonIn, Path, Query};
use super::jobs::JobBody;
use super::wire::{cut, page_size, start_of_tickers, ticker};
use crate::app::App;
use crate::domain::{Bar, BarTime, Calendar, Ticker};
use crate::jobs::due;
use crate::registry::Policy;
use crate::store::{TickerPatch, TickerRecord};

/// A ticker and where it stands.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TickerBody {
    /// Its name.
    #[schema(value_type = String, example = "AAPL")]
    ticker: Ticker,
    /// Bars stored.
    #[schema(example = 1258)]
    bars_total: u64,
    /// The oldest session.
    #[schema(example = "2013-02-08")]
    first: Option<String>,
    /// The newest session.
    #[schema(example = "2018-02-07")]
    last: Option<String>,
    /// The newest close.
    #[schema(example = 159.54)]
    last_close: Option<f64>,
    /// Raised by each change of the bars.
    data_version: u64,
    /// How much time a bar covers.
    #[schema(example = "1d")]
    interval: String,
    /// Its market's sessions.
    #[schema(example = "XNYS")]
    calendar: String,
    /// ISO 4217, where known.
    currency: Option<String>,
    /// `raw` or `adjusted`.
    #[schema(example = "raw")]
    price_basis: &'static str,
    /// The model version that answers.
    champion: Option<u32>,
    /// When models are retrained, and when they are too old to answer.
    policy: PolicyBody,
    /// Whether a training is due, and why.
    retraining: RetrainingBody,
    /// The newest job.
    last_job: Option<JobBody>,
}

/// When models are retrained, and when they are too old to answer; ages are counted in bars.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyBody {
    /// Whether new bars may queue a training.
    #[schema(example = true)]
    automatic: Option<bool>,
    /// Bars needed before the first training.
    #[schema(example = 250, minimum = 1)]
    min_bars: Option<u32>,
    /// A training is due this many bars after the last one.
    #[schema(example = 20, minimum = 1)]
    retrain_after_bars: Option<u32>,
    /// Whether one is also due when the champion's live intervals miss their levels by more than luck.
    #[schema(example = true)]
    retrain_on_coverage_drift: Option<bool>,
    /// A champion older than this no longer answers; null: it always does.
    #[schema(example = 250, minimum = 1)]
    #[serde(default, deserialize_with = "present")]
    expire_after_bars: Option<Option<u32>>,
}

/// A field that is there, so that `null` is told from absence.
fn present<'de, D: serde::Deserializer<'de>>(field: D) -> Result<Option<Option<u32>>, D::Error> {
    Option::deserialize(field).map(Some)
}

/// Whether a training is due.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RetrainingBody {
    /// Whether new bars will queue one.
    due: bool,
    /// Why, or why not.
    #[schema(example = "no model yet")]
    reason: String,
}

/// Which tickers to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct TickersQuery {
    /// Only those whose name contains this.
    #[serde(default)]
    query: String,
    /// Entries on a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// A page of tickers by name.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TickersBody {
    tickers: Vec<TickerBody>,
    /// Pass as `cursor` for what follows; null at the end.
    next_cursor: Option<String>,
}

/// What of a ticker to change; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TickerPatchBody {
    /// A MIC (`XNYS`, `XKRX`, …), `24/7` or `weekdays`.
    #[schema(example = "XNYS")]
    calendar: Option<String>,
    /// Three letters, as ISO 4217 has them.
    #[schema(example = "USD")]
    currency: Option<String>,
    /// Fields of the policy; what is left out stays.
    policy: Option<PolicyBody>,
}

/// Tickers by name.
#[utoipa::path(get, path = "/v1/tickers", tag = "bars", params(TickersQuery), responses(
    (status = 200, description = "A page of tickers", body = TickersBody),
    (status = 422, description = "A limit outside of the caps", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_tickers(
    State(api): State<Api>,
    Query(query): Query<TickersQuery>,
) -> Result<Json<TickersBody>, Problem> {
    let page = page_size(query.limit, &api.settings().limits.query)?;
    let cursor = start_of_tickers(query.cursor.as_deref())?;
    let records = api.app().store.tickers(&query.query, &cursor, page as u32 + 1).await?;
    let (records, next_cursor) = cut(records, page, |record| record.ticker.to_string());
    let bodies = futures::stream::iter(records.into_iter().map(|record| describe(api.app(), record)));
    Ok(Json(TickersBody { tickers: bodies.buffered(4).try_collect().await?, next_cursor }))
}

/// One ticker.
#[utoipa::path(get, path = "/v1/tickers/{ticker}", tag = "bars", params(("ticker" = String, Path, example = "AAPL")), responses(
    (status = 200, description = "The ticker", body = TickerBody),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_ticker(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<TickerBody>, Problem> {
    let record = find(&api, &name).await?;
    Ok(Json(describe(api.app(), record).await?))
}

/// Changes calendar, currency or policy.
#[utoipa::path(patch, path = "/v1/tickers/{ticker}", tag = "bars", params(("ticker" = String, Path, example = "AAPL")),
    request_body = TickerPatchBody, responses(
    (status = 200, description = "The ticker as it now is", body = TickerBody),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
    (status = 415, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A field cannot be", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn patch_ticker(
    State(api): State<Api>,
    Path(name): Path<String>,
    JsonIn(body): JsonIn<TickerPatchBody>,
) -> Result<Json<TickerBody>, Problem> {
    let record = find(&api, &name).await?;
    let patch = TickerPatch {
        calendar: body.calendar.as_deref().map(calendar).transpose()?,
        currency: body.currency.map(currency).transpose()?,
        policy: body.policy.map(|policy| merged(due::policy(&record), policy)).transpose()?,
    };
    let changed = api.app().store.patch_ticker(&record.ticker, &patch).await?;
    api.app().refresh().await?;
    let record = changed.ok_or_else(|| Problem::unknown_ticker(&record.ticker))?;
    Ok(Json(describe(api.app(), record).await?))
}

/// Deletes a ticker with its bars, jobs and models.
#[utoipa::path(delete, path = "/v1/tickers/{ticker}", tag = "bars", params(("ticker" = String, Path, example = "AAPL")), responses(
    (status = 204, description = "Deleted"),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn delete_ticker(State(api): State<Api>, Path(name): Path<String>) -> Result<StatusCode, Problem> {
    let app = api.app();
    let ticker = find(&api, &name).await?.ticker;
    let versions: Vec<u32> = app.store.models(&ticker).await?.iter().map(|model| model.version).collect();
    if !app.store.delete_ticker(&ticker).await? {
        return Err(Problem::unknown_ticker(&ticker));
    }
    app.refresh().await?;
    // The rows are gone, so nothing serves these files any more, whether or not they can be removed now.
    app.registry.delete_ticker(&ticker, &versions).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The record of a ticker of a path.
pub(super) async fn find(api: &Api, name: &str) -> Result<TickerRecord, Problem> {
    let ticker = ticker(name)?;
    api.app().store.ticker(&ticker).await?.ok_or_else(|| Problem::unknown_ticker(&ticker))
}

/// A calendar by its name.
pub(super) fn calendar(text: &str) -> Result<Calendar, Problem> {
    text.parse().map_err(|error: crate::domain::calendar::CalendarError| {
        let known: Vec<&str> = ["24/7", "weekdays"].into_iter().chain(Calendar::LARGEST).collect();
        Problem::new("unknown_calendar", format!("{error}.")).with("field", "calendar").with("known", known)
    })
}

fn currency(text: String) -> Result<String, Problem> {
    match text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
        true => Ok(text),
        false => {
            Err(Problem::new("bad_field", "currency: use three capital letters, as in USD.").with("field", "currency"))
        }
    }
}

/// A policy with some of its fields replaced, as it is stored.
fn merged(policy: Policy, new: PolicyBody) -> Result<serde_json::Value, Problem> {
    let policy = Policy {
        automatic: new.automatic.unwrap_or(policy.automatic),
        min_bars: new.min_bars.unwrap_or(policy.min_bars),
        retrain_after_bars: new.retrain_after_bars.unwrap_or(policy.retrain_after_bars),
        retrain_on_coverage_drift: new.retrain_on_coverage_drift.unwrap_or(policy.retrain_on_coverage_drift),
        expire_after_bars: new.expire_after_bars.unwrap_or(policy.expire_after_bars),
    };
    policy.check().map_err(|error| Problem::new("bad_policy", format!("{error}.")))?;
    serde_json::to_value(policy).map_err(Problem::internal)
}

/// A ticker with what its policy and its last job say.
async fn describe(app: &App, record: TickerRecord) -> Result<TickerBody, Problem> {
    let standing = due::standing(app, &record).await?;
    let policy = due::policy(&record);
    let newest = app.store.newest_bars(record.id, BarTime::from_seconds(i64::MAX), 1).await?;
    let label = |at| record.interval.label(at);
    Ok(TickerBody {
        last_close: newest.last().map(Bar::close),
        bars_total: record.bars_total,
        first: record.first.map(label),
        last: record.last.map(label),
        data_version: record.data_version,
        interval: record.interval.to_string(),
        calendar: record.calendar.to_string(),
        currency: record.currency,
        price_basis: record.price_basis.as_str(),
        champion: record.champion,
        policy: PolicyBody {
            automatic: Some(policy.automatic),
            min_bars: Some(policy.min_bars),
            retrain_after_bars: Some(policy.retrain_after_bars),
            retrain_on_coverage_drift: Some(policy.retrain_on_coverage_drift),
            expire_after_bars: Some(policy.expire_after_bars),
        },
        retraining: RetrainingBody { due: standing.retraining.due, reason: standing.retraining.reason },
        last_job: standing.last_job.map(JobBody::from),
        ticker: record.ticker,
    })
}
