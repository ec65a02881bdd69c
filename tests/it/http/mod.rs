//! The API from outside: the real router over a temporary store.

mod bars;
mod bodies;
mod bars_continue;
mod bars_queue;
mod chart;
mod forecasts;
mod guards;
mod jobs;
mod keys;
mod limits;
mod models;
mod server;
mod topologies;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use insta::assert_snapshot;

use crate::support::app::TestApp;

#[tokio::test]
async fn the_service_says_what_it_is() {
    let app = TestApp::new().await;
    assert_snapshot!(app.get("/healthz").await.shown(), @r#"
    200 OK
    {
      "status": "ok"
    }
    "#);
    assert_snapshot!(app.get("/readyz").await.shown(), @r#"
    200 OK
    {
      "status": "ok"
    }
    "#);
    assert_eq!(app.get("/v1/version").await.json()["version"], env!("CARGO_PKG_VERSION"));
    let limits = app.get("/v1/limits").await.json();
    assert_eq!((&limits["training"]["hidden"], &limits["max_horizon"]), (&512.into(), &20.into()));
    let metrics = app.get("/metrics").await.text();
    assert!(metrics.contains("candlecast_jobs{state=\"enqueued\"} 0"), "{metrics}");
    assert!(metrics.contains("route=\"/v1/limits\""), "{metrics}");
    app.stop.cancel();
    assert_eq!(app.get("/readyz").await.json()["code"], "stopping");
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_its_request_id() {
    let app = TestApp::new().await;
    let answer = app.get("/nowhere").await;
    assert_snapshot!(answer.shown(), @r#"
    404 Not Found
    {
      "code": "not_found",
      "detail": "There is nothing at this path; /docs lists what there is.",
      "request_id": "[request_id]",
      "status": 404,
      "title": "Not found",
      "type": "/docs/problems#not_found"
    }
    "#);
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.json()["request_id"], answer.header("x-request-id"));
    assert_snapshot!(app.send_body(Method::PUT, "/v1/jobs", "text/plain", "").await.shown(), @r#"
    405 Method Not Allowed
    {
      "code": "method_not_allowed",
      "detail": "This path does not take this method. It takes GET, HEAD.",
      "request_id": "[request_id]",
      "status": 405,
      "title": "Method not allowed",
      "type": "/docs/problems#method_not_allowed"
    }
    "#);
    assert_eq!(app.send_body(Method::PUT, "/v1/jobs", "text/plain", "").await.header("allow"), "GET,HEAD");
    assert_snapshot!(app.get("/v1/tickers/A%20B").await.shown(), @r#"
    400 Bad Request
    {
      "code": "bad_ticker",
      "detail": "\"A B\" is not a ticker: use 1 to 32 letters, digits or . - = ^ _, and begin with a letter, a digit or ^.",
      "request_id": "[request_id]",
      "status": 400,
      "title": "Bad ticker",
      "type": "/docs/problems#bad_ticker"
    }
    "#);
    assert_snapshot!(app.get("/v1/tickers/AAPL").await.shown(), @r#"
    404 Not Found
    {
      "code": "unknown_ticker",
      "detail": "No bars of AAPL were ever sent: POST them to /v1/tickers/AAPL/bars.",
      "request_id": "[request_id]",
      "status": 404,
      "ticker": "AAPL",
      "title": "Unknown ticker",
      "type": "/docs/problems#unknown_ticker"
    }
    "#);
    assert_snapshot!(app.get("/v1/tickers?limt=5").await.shown(), @r#"
    400 Bad Request
    {
      "code": "bad_query",
      "detail": "limt: unknown field `limt`, expected one of `query`, `limit`, `cursor`",
      "request_id": "[request_id]",
      "status": 400,
      "title": "Bad query",
      "type": "/docs/problems#bad_query"
    }
    "#);
    assert_snapshot!(app.get("/v1/tickers?limit=x").await.shown(), @r#"
    400 Bad Request
    {
      "code": "bad_query",
      "detail": "limit: must be a whole number",
      "request_id": "[request_id]",
      "status": 400,
      "title": "Bad query",
      "type": "/docs/problems#bad_query"
    }
    "#);
    assert_snapshot!(app.get("/v1/tickers?cursor=%00").await.shown(), @r#"
    400 Bad Request
    {
      "code": "bad_cursor",
      "detail": "This cursor is not one that a list of tickers gave.",
      "request_id": "[request_id]",
      "status": 400,
      "title": "Bad cursor",
      "type": "/docs/problems#bad_cursor"
    }
    "#);
    assert_snapshot!(app.get("/v1/jobs/none").await.shown(), @r#"
    404 Not Found
    {
      "code": "unknown_job",
      "detail": "There is no job \"none\".",
      "request_id": "[request_id]",
      "status": 404,
      "title": "Unknown job",
      "type": "/docs/problems#unknown_job"
    }
    "#);
    assert_snapshot!(app.get("/v1/jobs?cursor=none").await.shown(), @r#"
    400 Bad Request
    {
      "code": "bad_cursor",
      "detail": "This cursor is not one that a list of jobs gave.",
      "request_id": "[request_id]",
      "status": 400,
      "title": "Bad cursor",
      "type": "/docs/problems#bad_cursor"
    }
    "#);
    assert_snapshot!(app.get("/v1/jobs?state=lost").await.shown(), @r#"
    400 Bad Request
    {
      "code": "bad_query",
      "detail": "state: unknown variant `lost`, expected one of `enqueued`, `running`, `succeeded`, `failed`, `canceled`",
      "request_id": "[request_id]",
      "status": 400,
      "title": "Bad query",
      "type": "/docs/problems#bad_query"
    }
    "#);
    assert_eq!(app.get("/v1/tickers/%FF").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_client_may_name_its_request_where_the_name_is_plain() {
    let app = TestApp::new().await;
    let ask = async |id: &str| {
        let request = Request::get("/healthz").header("x-request-id", id).body(Body::empty()).unwrap();
        app.send(request).await.header("x-request-id").to_owned()
    };
    assert_eq!(ask("my-request.1").await, "my-request.1");
    assert_eq!(ask("a\"b").await.len(), 36);
    assert_eq!(ask(&"x".repeat(65)).await.len(), 36);
}

#[tokio::test]
async fn page_limits_hold_from_both_sides() {
    let app = TestApp::with(|settings| settings.limits.query.max_page = 5).await;
    for (limit, status) in [(0, 422), (1, 200), (5, 200), (6, 422)] {
        assert_eq!(app.get(&format!("/v1/tickers?limit={limit}")).await.status.as_u16(), status, "{limit}");
    }
    assert_snapshot!(app.get("/v1/jobs?limit=6").await.shown(), @r#"
    422 Unprocessable Entity
    {
      "code": "out_of_range",
      "detail": "limit 6 is outside 1 to 5.",
      "max": 5,
      "min": 1,
      "name": "limit",
      "request_id": "[request_id]",
      "status": 422,
      "title": "Out of range",
      "type": "/docs/problems#out_of_range"
    }
    "#);
}

#[tokio::test]
async fn what_cannot_be_is_named_by_its_place() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/TEST/bars?train=never", crate::support::app::csv(30)).await;
    let told = |answer: crate::support::app::Answer| {
        let problem = answer.json();
        let of = |name: &str| problem[name].as_str().unwrap_or("no field").to_owned();
        format!("{}, {}: {}", of("code"), of("field"), of("detail"))
    };
    let bar = r#"{"session": "2024-01-02", "open": "x", "high": 1, "low": 1, "close": 1}"#;
    let window = format!("{{\"model\": \"naive\", \"bars\": [{bar}]}}");
    assert_snapshot!(
        [
            told(app.post_json("/v1/tickers/TEST/backtests", r#"{"refit": "never"}"#).await),
            told(app.post_json("/v1/forecasts", &window).await),
            told(app.post_json("/v1/forecasts", "{}").await),
            told(app.get("/v1/tickers/TEST/models/newest").await),
        ]
        .join("\n"),
        @r#"
    bad_field, refit: refit: invalid type: string "never", expected a boolean
    bad_field, bars[0].open: bars[0].open: invalid type: string "x", expected f64
    bad_field, no field: missing field `bars`
    bad_path, no field: "newest" in the path is not a whole number.
    "#
    );
}

#[tokio::test]
async fn too_many_requests_get_429_with_the_time_to_wait() {
    let app = TestApp::with(|settings| {
        settings.http.rate_limit_loopback = true;
        settings.http.rate_limit_per_second = 1;
        settings.http.rate_limit_burst = 3;
    })
    .await;
    for _ in 0..3 {
        assert_eq!(app.get("/v1/version").await.status, StatusCode::OK);
    }
    let refused = app.get("/v1/version").await;
    assert_snapshot!(refused.shown(), @r#"
    429 Too Many Requests
    {
      "code": "rate_limited",
      "detail": "Requests come faster than this server allows one caller.",
      "request_id": "[request_id]",
      "status": 429,
      "title": "Rate limited",
      "type": "/docs/problems#rate_limited"
    }
    "#);
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(app.get("/healthz").await.status, StatusCode::OK, "probes are not limited");
}

#[tokio::test]
async fn the_description_is_complete_and_works_offline() {
    let app = TestApp::new().await;
    let document = app.get("/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("500"), "{method} {path} does not say what a fault looks like");
            assert!(operation["description"].is_string() || operation["summary"].is_string(), "{method} {path}");
            assert!(
                !operation["summary"].to_string().contains('`'),
                "{method} {path}: shown as it is, not as Markdown"
            );
        }
    }
    let docs = app.get("/docs/").await;
    assert_eq!(docs.status, StatusCode::OK);
    assert!(!docs.text().contains("https://"), "something comes from elsewhere: {}", docs.text());
    let problems = app.get("/docs/problems").await.text();
    for code in ["rate_limited", "high_below_low", "ambiguous_date", "split_suspected", "diverged", "model_aging"] {
        assert_eq!(problems.matches(&format!("id=\"{code}\"")).count(), 1, "{code}: {problems}");
    }
    assert_eq!(problems.matches("id=\"bad_ticker\"").count(), 1, "of a path and of a row: one anchor");
}
