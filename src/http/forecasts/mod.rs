//! What comes next, for one ticker, for many, and for a window that was never stored.

mod body;
mod cache;
mod query;
mod window;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Json as JsonIn, Path, Query};
use super::jobs::JobBody;
use super::wire::{checked_limit, cut, out_of_range, start_of_tickers, ticker};
use crate::app::Turn;
use crate::domain::Ticker;
use crate::forecast::{Forecast, ForecastError, ForecastRequest};
use crate::jobs::due::TRAIN;
use crate::store::JobFilter;
use body::{ForecastBody, ForecastsBody, MissingBody};
pub(super) use cache::ForecastCache;
use cache::Made;
pub(super) use query::model;
use query::{ForecastQuery, ForecastsQuery, PriceRules};
use window::{WindowBody, WindowModel};

/// The forecast from the newest window of stored bars. A ticker that has too few bars for a network is answered by
/// the best baseline that they suffice for, with the warning `baseline_used`.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/forecast", tag = "forecasts",
    params(("ticker" = String, Path, example = "AAPL"), ForecastQuery), responses(
    (status = 200, description = "The forecast", body = ForecastBody),
    (status = 404, description = "No such ticker or version", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "`no_model_yet` (with the job) or `model_expired`", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A horizon, level or cutoff that cannot be, or too few bars", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_forecast(
    State(api): State<Api>,
    Path(name): Path<String>,
    uri: Uri,
) -> Result<Response, Problem> {
    let ticker = ticker(&name)?;
    let made = Made::now(api.app().state(&ticker));
    let raw = uri.query().unwrap_or_default();
    if let Some(bytes) = api.0.forecasts.get(&ticker, raw, made).await {
        return Ok(json(bytes));
    }
    let Query(query) = Query::of(&uri)?;
    // In a box of its own: as a part of this future its 28 KiB would be allocated and moved for answers from memory too.
    let bytes = Box::pin(computed(&api, &ticker, &query)).await?;
    // State and day were read before the forecast was made: the answer is at least as new as its tag says.
    api.0.forecasts.put(&ticker, raw, made, bytes.clone()).await;
    Ok(json(bytes))
}

async fn computed(api: &Api, ticker: &Ticker, query: &ForecastQuery) -> Result<Bytes, Problem> {
    let request = query.request(&api.settings().limits.query)?;
    let body = one(api, &api.app().computing.turn(), ticker, &request, query.rules).await?;
    Ok(Bytes::from(serde_json::to_vec(&body).map_err(Problem::internal)?))
}

/// Forecasts of many tickers: those named, or all by name, a page at a time. Those that have none are told apart.
#[utoipa::path(get, path = "/v1/forecasts", tag = "forecasts", params(ForecastsQuery), responses(
    (status = 200, description = "A page of forecasts", body = ForecastsBody),
    (status = 422, description = "A limit, horizon or level that cannot be", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_forecasts(
    State(api): State<Api>,
    Query(query): Query<ForecastsQuery>,
) -> Result<Json<ForecastsBody>, Problem> {
    let limits = &api.settings().limits.query;
    let page = checked_limit(query.limit, limits.default_page, limits.max_forecasts)?;
    let request = query.request(limits)?;
    let (tickers, next_cursor) = match query.tickers()? {
        Some(named) if named.len() > limits.max_forecasts => {
            return Err(out_of_range("tickers", named.len(), limits.max_forecasts));
        }
        Some(named) => (named, None),
        None => {
            let cursor = start_of_tickers(query.cursor.as_deref())?;
            let records = api.app().store.tickers("", &cursor, page as u32 + 1).await?;
            cut(records.into_iter().map(|record| record.ticker).collect(), page, Ticker::to_string)
        }
    };
    let (asking, turn, asked, rules) = (&api, &api.app().computing.turn(), &request, query.rules);
    let made: Vec<_> = futures::stream::iter(tickers)
        .map(|ticker| async move {
            match one(asking, turn, &ticker, asked, rules).await {
                // Not a matter of this ticker: a list with holes would be taken for all that there is.
                Err(problem) if problem.may_pass() => Err(problem),
                made => Ok((ticker, made)),
            }
        })
        .buffered(AT_ONCE)
        // At once: what would be computed of the others is not sent.
        .try_collect()
        .await?;
    let mut body = ForecastsBody { forecasts: Vec::new(), missing: Vec::new(), next_cursor };
    for (ticker, made) in made {
        match made {
            Ok(forecast) => body.forecasts.push(forecast),
            Err(problem) => body.missing.push(MissingBody::new(&ticker, &problem)),
        }
    }
    Ok(Json(body))
}

/// How many tickers of one request are forecast at one time: as many as leave room for other requests.
const AT_ONCE: usize = 4;

/// A forecast from bars that the request brings; nothing is stored.
#[utoipa::path(post, path = "/v1/forecasts", tag = "forecasts", request_body = WindowBody, responses(
    (status = 200, description = "The forecast", body = ForecastBody),
    (status = 404, description = "No such ticker or version", body = ProblemBody, content_type = "application/problem+json"),
    (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "`no_model_yet` or `model_expired`", body = ProblemBody, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
    (status = 415, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A bar, horizon or level that cannot be", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn post_forecast(
    State(api): State<Api>,
    JsonIn(body): JsonIn<WindowBody>,
) -> Result<Json<ForecastBody>, Problem> {
    let limits = &api.settings().limits.query;
    let (model, request) = body.model(limits)?;
    let series = body.series(limits)?;
    let forecaster = &api.0.forecaster;
    let forecast = match model {
        WindowModel::Of(ticker) => forecaster.forecast_window(&ticker, series, &request).await?,
        WindowModel::Baseline(baseline) => forecaster.baseline_window(baseline, series, &request).await?,
    };
    Ok(Json(forecast.into()))
}

/// A ticker's forecast; rules are kept in the answer only, the ledger scores what the model said.
async fn one(
    api: &Api,
    turn: &Turn<'_>,
    ticker: &Ticker,
    request: &ForecastRequest,
    rules: Option<PriceRules>,
) -> Result<ForecastBody, Problem> {
    match api.0.forecaster.forecast_in(turn, ticker, request).await {
        Ok(forecast) => Ok(with_rules(forecast, rules).into()),
        Err(error @ ForecastError::NoModelYet { .. }) => {
            let filter = JobFilter { kind: Some(TRAIN), ticker: Some(ticker.clone()), ..JobFilter::default() };
            let store = &api.app().store;
            let job = match store.jobs(&filter, 1).await?.pop() {
                Some(job) => Some(JobBody::placed(store, job).await?),
                None => None,
            };
            let job = serde_json::to_value(job).map_err(Problem::internal)?;
            Err(Problem::from(error).with("job", job))
        }
        Err(error) => Err(error.into()),
    }
}

fn with_rules(mut forecast: Forecast, rules: Option<PriceRules>) -> Forecast {
    if rules == Some(PriceRules::Krx) {
        let last_close = forecast.last_close;
        forecast.steps = forecast.steps.into_iter().map(|step| step.under_krx_rules(last_close)).collect();
    }
    forecast
}

fn json(bytes: Bytes) -> Response {
    let mut response = Response::new(Body::from(bytes));
    // With room for the headers of all answers, which are added later: a map that grows hashes and moves what it has.
    *response.headers_mut() = HeaderMap::with_capacity(8);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
