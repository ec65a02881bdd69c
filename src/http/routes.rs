//! Every route on one page.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::MatchedPath;
use axum::routing::Route;
use tower::{layer::layer_fn, service_fn};
use utoipa::OpenApi;
use utoipa::openapi::PathItem;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Problem;
use super::{
    Api, backtests, bars, chart, docs, forecasts, guard, jobs, ledger, metrics, models, observe, page, service, tickers,
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
        .routes(routes!(chart::get_chart))
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
    let (guarded, _) = guarded().split_for_parts();
    around(guarded, api)
}

/// All that stands around the routes that need a key, and the routes that need none.
fn around(guarded: Router<Api>, api: Api) -> Router {
    metrics::begin();
    let (open, _) = open().split_for_parts();
    let gate = Arc::new(guard::Gate::new(api.clone()));
    let document = openapi();
    let methods = Arc::new(methods_by_path(&document));
    // Not axum's `from_fn`: that copies and boxes all that is below it several times a request.
    let guarded = guarded.layer(layer_fn(move |route: Route| {
        let (gate, route) = (Arc::clone(&gate), Arc::new(route));
        service_fn(move |request| guard::pass(Arc::clone(&gate), request, Arc::clone(&route)))
    }));
    guarded
        .merge(open)
        .merge(docs::router(&document))
        .merge(page::router())
        .fallback(|| async { Problem::new("not_found", "There is nothing at this path; /docs lists what there is.") })
        .method_not_allowed_fallback(move |path: Option<MatchedPath>| async move {
            let problem = Problem::new("method_not_allowed", "This path does not take this method.");
            let allowed = path.and_then(|path| methods.get(path.as_str()).cloned());
            allowed.into_iter().fold(problem, |problem, allowed| problem.and_say(&allowed))
        })
        .layer(layer_fn(|route: Route| {
            let route = Arc::new(route);
            service_fn(move |request| observe::observe(request, Arc::clone(&route)))
        }))
        .with_state(api)
}

/// What each path takes, as a sentence. The header `Allow` says the same, but is set only beyond all handlers and layers.
fn methods_by_path(document: &utoipa::openapi::OpenApi) -> HashMap<String, String> {
    let sentence = |item: &PathItem| {
        let known = [
            ("GET, HEAD", &item.get),
            ("POST", &item.post),
            ("PUT", &item.put),
            ("PATCH", &item.patch),
            ("DELETE", &item.delete),
        ];
        let taken: Vec<&str> =
            known.into_iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| name).collect();
        format!("It takes {}.", taken.join(", "))
    };
    document.paths.paths.iter().map(|(path, item)| (path.clone(), sentence(item))).collect()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{Request, StatusCode};
    use axum::routing::get;
    use tokio_util::sync::CancellationToken;
    use tower::ServiceExt;

    use super::*;
    use crate::app::App;
    use crate::config::{DatabaseSettings, Settings};

    #[expect(clippy::panic, reason = "the fault that is caught")]
    async fn faulty() -> &'static str {
        panic!("the password is 1234")
    }

    #[tokio::test]
    async fn a_panic_in_a_handler_is_a_500_that_tells_nothing_and_the_process_lives() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            models_dir: folder.path().join("models").display().to_string(),
            database: DatabaseSettings::sqlite(&folder.path().join("test.db")),
            ..Settings::default()
        };
        let app = Arc::new(App::open(settings).await.unwrap());
        let router = around(Router::new().route("/v1/faulty", get(faulty)), Api::new(app, CancellationToken::new()));
        let ask = async |path: &str| {
            let request = Request::get(path).header("x-request-id", "mine").body(Body::empty()).unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            (parts.status, serde_json::from_slice(&to_bytes(body, 1 << 20).await.unwrap()).unwrap())
        };
        for _ in 0..2 {
            let (status, problem): (_, serde_json::Value) = ask("/v1/faulty").await;
            assert_eq!((status, &problem["code"]), (StatusCode::INTERNAL_SERVER_ERROR, &"internal".into()));
            assert_eq!(problem["request_id"], "mine");
            assert!(!problem.to_string().contains("1234"), "{problem}");
        }
        assert_eq!(ask("/readyz").await.0, StatusCode::OK);
    }
}
