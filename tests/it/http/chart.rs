//! The picture of a ticker.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use insta::assert_snapshot;

use super::forecasts::served;
use crate::support::app::{Answer, TestApp};
use crate::support::{half_hours, live_through, market, put, ticker};

const CHART: &str = "/v1/tickers/TEST/chart.svg";

/// The words of a picture, for those who cannot see it; fails where it is no XML.
fn words(answer: &Answer) -> String {
    let text = answer.text();
    let document = roxmltree::Document::parse(&text).expect("well-formed XML");
    assert_eq!(document.root_element().attribute("aria-labelledby"), Some("title description"));
    let said = |name: &str| {
        let found = document.descendants().find(|node| node.has_tag_name(("http://www.w3.org/2000/svg", name)));
        found.and_then(|node| node.text()).unwrap_or_default().trim().to_owned()
    };
    format!("{}\n{}", said("title"), said("desc"))
}

#[tokio::test]
async fn a_chart_shows_sessions_and_forecast_and_says_so() {
    let app = served().await;
    let chart = app.get(CHART).await;
    assert_eq!((chart.status, chart.header("content-type")), (StatusCode::OK, "image/svg+xml"));
    assert!(chart.header("content-security-policy").contains("default-src 'none'"));
    assert!(chart.text().contains("prefers-color-scheme: dark"));
    let said = words(&chart);
    assert!(said.starts_with("TEST: 120 sessions to 2024-11-22, forecast of the 5 after it\nLast close "), "{said}");
    assert!(said.contains("Forecast by model version 1. 2024-11-25: between "), "{said}");
    assert!(!said.contains("served before"), "nothing was served yet: {said}");
    assert!(!chart.text().contains("class=\"miss\""), "{said}");

    let ledger = app.get("/v1/tickers/TEST/ledger").await.json();
    assert_eq!(ledger["ledger"].as_array().unwrap().len(), 5, "what is drawn was told, and is kept");
    let one = words(&app.get(&format!("{CHART}?horizon=1&lookback=20")).await);
    assert!(one.starts_with("TEST: 20 sessions to 2024-11-22, forecast of the next\n"), "{one}");
}

#[tokio::test]
async fn bars_within_a_day_are_forecast_by_the_hours_of_their_exchange() {
    let app = TestApp::new().await;
    put(&app.app, &ticker("HALF"), &half_hours("HALF", 15)).await;
    let unnamed = words(&app.get("/v1/tickers/HALF/chart.svg").await);
    assert!(unnamed.contains("1 session ahead: between "), "nobody said whose hours: {unnamed}");
    let patch = app.send_body(Method::PATCH, "/v1/tickers/HALF", "application/json", r#"{"calendar": "XNYS"}"#).await;
    assert_eq!(patch.status, StatusCode::OK, "{}", patch.text());
    let chart = app.get("/v1/tickers/HALF/chart.svg").await;
    let said = words(&chart);
    assert!(said.starts_with("HALF: 120 sessions to 2024-11-22T20:30:00Z, forecast of the 5 after it\n"), "{said}");
    assert!(
        said.contains("2024-11-25T14:30:00Z: between ") && said.contains("2024-11-25T16:30:00Z: between "),
        "{said}"
    );
    assert_eq!(chart.text().matches("class=\"fan\" d=").count(), 2, "{}", chart.text());
}

#[tokio::test]
async fn past_forecasts_are_drawn_once_their_bars_have_come() {
    let app = TestApp::new().await;
    let (name, all) = (ticker("TEST"), market("TEST", 420));
    live_through(&app.app, &name, &all, 412).await;
    let chart = app.get(CHART).await;
    let said = words(&chart);
    let ledger = app.get("/v1/tickers/TEST/ledger?step=1").await.json();
    let is_inside = |entry: &&serde_json::Value| {
        let close = |idx: usize| entry["quantiles"][idx]["close"].as_f64().unwrap();
        let truth = entry["truth"]["close"].as_f64();
        truth.is_some_and(|truth| (close(2)..=close(10)).contains(&truth))
    };
    let inside = ledger["ledger"].as_array().unwrap().iter().filter(is_inside).count();
    assert!(
        said.contains(&format!("Of 8 forecasts served before, {inside} came true inside of the 80 % interval.")),
        "{said}"
    );
    assert_eq!(chart.text().matches("class=\"miss\"").count(), 8 - inside);
}

#[tokio::test]
async fn a_chart_is_good_until_the_ticker_moves() {
    let app = served().await;
    let tag = app.get(CHART).await.header("etag").to_owned();
    let ask =
        async |tag: &str| app.send(Request::get(CHART).header("if-none-match", tag).body(Body::empty()).unwrap()).await;
    let known = ask(&tag).await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (StatusCode::NOT_MODIFIED, 0, tag.as_str()));
    assert_eq!(ask("\"another\"").await.status, StatusCode::OK);
    assert_eq!(ask("nonsense").await.status, StatusCode::OK);
    put(&app.app, &ticker("TEST"), &market("TEST", 421)).await;
    let moved = ask(&tag).await;
    assert_eq!(moved.status, StatusCode::OK);
    assert_ne!(moved.header("etag"), tag);
}

#[tokio::test]
async fn a_ticker_without_a_model_is_drawn_with_the_reason() {
    let app = TestApp::new().await;
    put(&app.app, &ticker("NEW"), &market("NEW", 300)).await;
    put(&app.app, &ticker("YOUNG"), &market("YOUNG", 90)).await;
    put(&app.app, &ticker("SHORT"), &market("SHORT", 7)).await;
    let of = async |name: &str| words(&app.get(&format!("/v1/tickers/{name}/chart.svg")).await);
    assert_snapshot!(of("NEW").await, @r#"
    NEW: 120 sessions to 2024-11-22
    Last close 23.78. No forecast: no model was trained yet.
    "#);
    let young = of("YOUNG").await;
    assert!(young.starts_with("YOUNG: 90 sessions to 2024-11-22, forecast of the 5 after it\n"), "{young}");
    assert!(young.contains("Forecast by the baseline har. 2024-11-25: between "), "{young}");
    assert_snapshot!(of("SHORT").await, @r#"
    SHORT: 7 sessions to 2024-11-22
    Last close 214.40. No forecast: it needs 35 bars, and has 7.
    "#);
}

#[tokio::test]
async fn what_cannot_be_drawn_is_refused() {
    let app = served().await;
    for (lookback, status) in [(19, 422), (20, 200), (500, 200), (501, 422)] {
        assert_eq!(app.get(&format!("{CHART}?lookback={lookback}")).await.status.as_u16(), status, "{lookback}");
    }
    for (horizon, status) in [(0, 422), (1, 200), (5, 200), (21, 422)] {
        assert_eq!(app.get(&format!("{CHART}?horizon={horizon}")).await.status.as_u16(), status, "{horizon}");
    }
    assert_snapshot!(app.get(&format!("{CHART}?lookback=19")).await.shown(), @r#"
    422 Unprocessable Entity
    {
      "code": "out_of_range",
      "detail": "lookback 19 is outside 20 to 500.",
      "max": 500,
      "min": 20,
      "name": "lookback",
      "request_id": "[request_id]",
      "status": 422,
      "title": "Out of range",
      "type": "/docs/problems#out_of_range"
    }
    "#);
    let code = async |path: &str| {
        let answer = app.get(path).await;
        assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
        format!("{} {}", answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default())
    };
    assert_eq!(code("/v1/tickers/NONE/chart.svg").await, "404 unknown_ticker");
    assert_eq!(code("/v1/tickers/A%20B/chart.svg").await, "400 bad_ticker");
    assert_eq!(code(&format!("{CHART}?lookbak=30")).await, "400 bad_query");
    assert_eq!(code(&format!("{CHART}?horizon=20")).await, "422 horizon_beyond_model");
}
