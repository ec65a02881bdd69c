//! Every route on one page.

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Problem;
use super::{
    Api, backtests, bars, docs, forecasts, guard, jobs, ledger, metrics, models, observe, page, service, tickers,
};

/// What needs a key where keys exist.
fn guarded() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(docs::Head::openapi())
        .routes(routes!(tickers::get_tickers))
        .routes(routes!(tickers::get_ticker, tickers::patch_ticker, tickers::delete_ticker))
        .routes(routes!(bars::post::post_bars, bars::get::get_bars))
        .routes(routes!(bars::post::post_many))
        .routes(routes!(jobs::get_jobs))
        .routes(routes!(jobs::get_job, jobs::delete_job))
        .routes(routes!(jobs::get_job_events))
        .routes(routes!(models::post_model, models::get_models))
        .routes(routes!(models::get_model))
        .routes(routes!(models::get_weights))
        .routes(routes!(models::post_promotion))
        .routes(routes!(backtests::post_backtest, backtests::get_backtests))
        .routes(routes!(backtests::get_backtest))
        .routes(routes!(forecasts::get_forecast))
        .routes(routes!(forecasts::get_forecasts, forecasts::post_forecast))
        .routes(routes!(ledger::get_ledger))
        .routes(routes!(service::get_limits))
        .routes(routes!(service::get_version))
        .routes(routes!(metrics::get_metrics))
}

/// What anybody may ask: it tells nothing of the data.
fn open() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(service::get_health)).routes(routes!(service::get_readiness))
}

/// The OpenAPI 3.1 document of all routes.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let (_, document) = guarded().merge(open()).split_for_parts();
    docs::complete(document)
}

/// All routes with all that stands around them. Runs inside a tokio runtime.
pub fn router(api: Api) -> Router {
    metrics::begin();
    let (guarded, _) = guarded().split_for_parts();
    let (open, _) = open().split_for_parts();
    let gate = Arc::new(guard::Gate::new(api.clone()));
    let guarded = guarded.layer(from_fn_with_state(gate, guard::pass));
    guarded
        .merge(open)
        .merge(docs::router(&openapi()))
        .merge(page::router())
        .fallback(|| async { Problem::new("not_found", "There is nothing at this path; /docs lists what there is.") })
        .method_not_allowed_fallback(|| async {
            Problem::new("method_not_allowed", "This path does not take this method.")
        })
        .layer(from_fn(observe::observe))
        .with_state(api)
}
