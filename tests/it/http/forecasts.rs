//! Training and forecasts from outside.

use axum::http::{Method, StatusCode};
use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Series};
use insta::assert_snapshot;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::{market, publish, put, ticker};

/// A service with 420 sessions of TEST and a champion.
pub(super) async fn served() -> TestApp {
    let app = TestApp::new().await;
    let (name, series) = (ticker("TEST"), market("TEST", 420));
    put(&app.app, &name, &series).await;
    publish(&app.app, &name, &series, true).await;
    app
}

#[tokio::test]
async fn a_forecast_has_the_shape_that_clients_know() {
    let app = served().await;
    let answer = app.get("/v1/tickers/test/forecast").await;
    let body = answer.json();
    assert_eq!(
        (answer.status, &body["ticker"], &body["model"]["version"]),
        (StatusCode::OK, &json!("TEST"), &json!(1))
    );
    let step = &body["steps"][0];
    assert_eq!(body["as_of"], body["model"]["trained_through"]);
    assert_eq!(step["step"], json!(1));
    let warnings = body["warnings"].as_array().unwrap();
    assert_eq!(warnings.iter().map(|told| &told["code"]).collect::<Vec<_>>(), ["stale_bars"], "bars of 2024");
    assert_eq!((&body["skill"]["n"], &body["skill"]["n_live"]), (&json!(77), &json!(0)), "bars held back in training");
    assert_eq!((&step["intervals"][0]["level"], &step["intervals"][1]["level"]), (&json!(0.8), &json!(0.95)));
    let shown: Vec<_> = step["quantiles"].as_array().unwrap().iter().map(|entry| entry["quantile"].clone()).collect();
    assert_eq!(json!(shown), json!([0.025, 0.1, 0.5, 0.9, 0.975]));
    let again = app.get("/v1/tickers/TEST/forecast").await;
    assert_eq!(again.body, answer.body);

    let five = app.get("/v1/tickers/TEST/forecast?horizon=5&quantiles=0.1&model=har").await.json();
    assert_eq!((five["steps"].as_array().unwrap().len(), &five["model"]["baseline"]), (5, &json!("har")));
    assert_eq!(five["steps"][4]["intervals"], json!([]));
}

#[tokio::test]
async fn prices_keep_the_rules_of_the_korea_exchange_when_asked() {
    let app = served().await;
    let plain = app.get("/v1/tickers/TEST/forecast?horizon=2").await.json();
    let kept = app.get("/v1/tickers/TEST/forecast?horizon=2&rules=krx").await.json();
    for (plain, kept) in plain["steps"].as_array().unwrap().iter().zip(kept["steps"].as_array().unwrap()) {
        assert_eq!(plain["return_log"], kept["return_log"], "the distribution is not touched");
        for at in ["/close", "/intervals/0/lower", "/intervals/1/upper", "/quantiles/0/close"] {
            let price = |step: &serde_json::Value| step.pointer(at).unwrap().as_f64().unwrap();
            assert_eq!(price(kept).to_bits(), candlecast::domain::krx::round_to_tick(price(plain)).to_bits(), "{at}");
        }
    }
    assert_eq!(app.get("/v1/tickers/TEST/forecast?rules=nyse").await.status, StatusCode::BAD_REQUEST);
    let many = app.get("/v1/forecasts?tickers=TEST&horizon=2&rules=krx").await.json();
    assert_eq!(many["forecasts"][0]["steps"], kept["steps"]);
}

#[tokio::test]
async fn an_answer_kept_in_memory_goes_when_bars_or_champion_move() {
    let app = served().await;
    let stored = market("TEST", 420);
    let last = *stored.last().unwrap();
    let next = RawBar {
        at: BarTime::from_seconds(last.at().seconds() + 3 * 86_400),
        open: last.close(),
        high: last.close() + 1.0,
        low: last.close() - 1.0,
        close: last.close() + 0.5,
        volume: None,
    };
    let all = Series::new(stored.interval(), [stored.bars(), &[Bar::new(next).unwrap()]].concat()).unwrap();
    let before = app.get("/v1/tickers/TEST/forecast").await.json();
    put(&app.app, &ticker("TEST"), &all).await;
    let after = app.get("/v1/tickers/TEST/forecast").await.json();
    assert_ne!((&before["as_of"], &before["data_version"]), (&after["as_of"], &after["data_version"]));
    assert_eq!(after["model"]["age_bars"], 1);

    publish(&app.app, &ticker("TEST"), &all, false).await;
    assert_eq!(app.get("/v1/tickers/TEST/forecast").await.json()["model"]["version"], 1, "a challenger serves nobody");
    let promoted = app.post_json("/v1/tickers/TEST/models/2/promote", "").await;
    assert_eq!((promoted.status, &promoted.json()["champion"]), (StatusCode::OK, &json!(true)));
    assert_eq!(app.get("/v1/tickers/TEST/forecast").await.json()["model"]["version"], 2);
    app.post_json("/v1/tickers/TEST/models/1/promote", "").await;
    assert_eq!(app.get("/v1/tickers/TEST/forecast").await.json()["model"]["version"], 1, "the way back");

    assert_eq!(app.delete("/v1/tickers/TEST").await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.get("/v1/tickers/TEST/forecast").await.json()["code"], "unknown_ticker");
}

#[tokio::test]
async fn what_cannot_be_forecast_is_refused_with_the_way_out() {
    let app = served().await;
    put(&app.app, &ticker("NEW"), &market("NEW", 300)).await;
    assert_snapshot!(app.get("/v1/tickers/NEW/forecast").await.shown(), @r#"
    409 Conflict
    {
      "code": "no_model_yet",
      "detail": "NEW has no model yet; train one, or wait for its job, or ask a baseline with model=har.",
      "job": null,
      "request_id": "[request_id]",
      "status": 409,
      "ticker": "NEW",
      "title": "No model yet",
      "type": "/docs/problems#no_model_yet"
    }
    "#);
    assert_snapshot!(app.get("/v1/tickers/TEST/forecast?horizon=21").await.shown(), @r#"
    422 Unprocessable Entity
    {
      "code": "out_of_range",
      "detail": "horizon 21 is outside 1 to 20.",
      "max": 20,
      "min": 1,
      "name": "horizon",
      "request_id": "[request_id]",
      "status": 422,
      "title": "Out of range",
      "type": "/docs/problems#out_of_range"
    }
    "#);
    let code = async |path: &str| {
        let answer = app.get(path).await;
        format!("{} {}", answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or_default())
    };
    assert_eq!(code("/v1/tickers/TEST/forecast?horizon=0").await, "422 out_of_range");
    assert_eq!(code("/v1/tickers/TEST/forecast?horizon=-1").await, "400 bad_query");
    assert_eq!(code("/v1/tickers/TEST/forecast?horizn=1").await, "400 bad_query");
    assert_eq!(code("/v1/tickers/TEST/forecast?horizon=20").await, "422 horizon_beyond_model");
    assert_eq!(code("/v1/tickers/TEST/forecast?levels=80").await, "422 bad_level");
    assert_eq!(code("/v1/tickers/TEST/forecast?levels=a").await, "400 bad_query");
    assert_eq!(code("/v1/tickers/TEST/forecast?quantiles=1").await, "422 bad_level");
    assert_eq!(code("/v1/tickers/TEST/forecast?model=oracle").await, "422 unknown_model");
    assert_eq!(code("/v1/tickers/TEST/forecast?model=9").await, "404 unknown_version");
    assert_eq!(code("/v1/tickers/TEST/forecast?as_of=1999-01-01").await, "422 nothing_before");
    assert_eq!(code("/v1/tickers/TEST/forecast?as_of=soon").await, "400 bad_query");
    assert_eq!(code("/v1/tickers/NONE/forecast").await, "404 unknown_ticker");
    assert_eq!(code("/v1/tickers/..%2Fetc/forecast").await, "400 bad_ticker");
    let many = (10..43).map(|percent| format!("0.{percent}")).collect::<Vec<_>>().join(",");
    assert_eq!(code(&format!("/v1/tickers/TEST/forecast?levels={many}")).await, "422 out_of_range");
    assert_eq!(app.get(&format!("/v1/tickers/TEST/forecast?levels={}", &many[5..])).await.status, StatusCode::OK);
}

#[tokio::test]
async fn many_are_forecast_at_once_and_those_without_are_told_apart() {
    let app = served().await;
    put(&app.app, &ticker("NEW"), &market("NEW", 300)).await;
    let all = app.get("/v1/forecasts").await.json();
    assert_eq!((all["forecasts"].as_array().unwrap().len(), &all["missing"][0]["code"]), (1, &json!("no_model_yet")));
    let page = app.get("/v1/forecasts?limit=1&model=naive").await.json();
    assert_eq!((&page["forecasts"][0]["ticker"], &page["next_cursor"]), (&json!("NEW"), &json!("NEW")));
    let rest = app.get("/v1/forecasts?limit=1&model=naive&cursor=NEW").await.json();
    assert_eq!((&rest["forecasts"][0]["ticker"], &rest["next_cursor"]), (&json!("TEST"), &json!(null)));
    let named = app.get("/v1/forecasts?tickers=test,%20NONE,TEST").await.json();
    assert_eq!(
        (named["forecasts"].as_array().unwrap().len(), &named["missing"][0]["code"]),
        (1, &json!("unknown_ticker"))
    );
}

#[tokio::test]
async fn a_window_that_was_never_stored_is_forecast_too() {
    let app = served().await;
    let series = market("TEST", 420);
    let bars: Vec<_> = series
        .bars()
        .iter()
        .map(|bar| json!({"session": series.interval().label(bar.at()), "open": bar.open(), "high": bar.high(), "low": bar.low(), "close": bar.close(), "volume": bar.volume()}))
        .collect();
    let stored = app.get("/v1/tickers/TEST/forecast").await.json();
    let sent = app.post_json("/v1/forecasts", &json!({"ticker": "TEST", "bars": bars}).to_string()).await;
    assert_eq!(sent.json()["steps"], stored["steps"], "{}", sent.text());

    let mut broken = bars.clone();
    broken[7]["high"] = json!(0.5);
    let refused = app.post_json("/v1/forecasts", &json!({"ticker": "TEST", "bars": broken}).to_string()).await.json();
    assert_eq!((&refused["code"], &refused["bar"], &refused["column"]), (&json!("bad_bar"), &json!(7), &json!("high")));
    let code =
        async |body: serde_json::Value| app.post_json("/v1/forecasts", &body.to_string()).await.json()["code"].clone();
    assert_eq!(code(json!({"ticker": "TEST", "bars": []})).await, "out_of_range");
    assert_eq!(code(json!({"ticker": "TEST", "bars": bars[..10]})).await, "too_few_bars");
    assert_eq!(code(json!({"bars": bars})).await, "bad_field");

    let by =
        async |model: &str| app.post_json("/v1/forecasts", &json!({"model": model, "bars": bars}).to_string()).await;
    let (named, har) = (by("test/1").await.json(), by("har").await.json());
    assert_eq!((&named["steps"], &named["model"]["version"]), (&stored["steps"], &json!(1)));
    assert_eq!(
        (&har["model"]["baseline"], &har["calendar"], &har["ticker"]),
        (&json!("har"), &json!("weekdays"), &json!(null))
    );
    for (model, expected) in [
        ("champion", "unknown_model"),
        ("1", "unknown_model"),
        ("oracle", "unknown_model"),
        ("TEST/oracle", "unknown_model"),
        ("TEST/9", "unknown_version"),
        ("NONE/1", "unknown_ticker"),
        ("A B/1", "bad_ticker"),
    ] {
        assert_eq!(by(model).await.json()["code"], expected, "{model}");
    }
    assert_eq!(code(json!({"ticker": "TEST", "bars": bars, "colour": 1})).await, "bad_field");
    assert_eq!(
        app.send_body(Method::POST, "/v1/forecasts", "text/csv", "{}").await.json()["code"],
        "unsupported_media_type"
    );
    assert_snapshot!(app.post_json("/v1/forecasts", "{\"ticker\": ").await.shown(), @r#"
    400 Bad Request
    {
      "code": "bad_json",
      "column": 11,
      "detail": "the JSON ends before it is complete",
      "line": 1,
      "request_id": "[request_id]",
      "status": 400,
      "title": "Bad json",
      "type": "/docs/problems#bad_json"
    }
    "#);
}

#[tokio::test]
async fn the_ledger_has_what_was_served_and_what_came_true() {
    let app = served().await;
    let forecast = app.get("/v1/tickers/TEST/forecast?as_of=2024-11-21").await.json();
    app.get("/v1/tickers/TEST/forecast").await;
    let ledger = app.get("/v1/tickers/TEST/ledger").await.json();
    let entries = ledger["ledger"].as_array().unwrap();
    assert_eq!(entries.len(), 2, "{ledger}");
    assert_eq!(
        (&entries[0]["as_of"], &entries[0]["live"], &entries[0]["truth"]),
        (&json!("2024-11-22"), &json!(true), &json!(null))
    );
    assert_eq!((&entries[1]["live"], &entries[1]["truth"]["session"]), (&json!(false), &json!("2024-11-22")));
    assert!((entries[1]["close"].as_f64().unwrap() - forecast["steps"][0]["close"].as_f64().unwrap()).abs() < 1e-9);
    assert!(entries[1]["truth"]["pinball"].as_f64().unwrap() >= 0.0);
    let live = app.get("/v1/tickers/TEST/ledger?live=true&from=2024-11-22").await.json();
    assert_eq!(live["ledger"].as_array().unwrap().len(), 1);
    assert_eq!(app.get("/v1/tickers/NONE/ledger").await.json()["code"], "unknown_ticker");

    let page = app.get("/v1/tickers/TEST/ledger?limit=1").await.json();
    let cursor = page["next_cursor"].as_str().expect("there is more");
    let rest = app.get(&format!("/v1/tickers/TEST/ledger?limit=1&cursor={cursor}")).await.json();
    assert_eq!((&page["ledger"][0], &rest["ledger"][0]), (&entries[0], &entries[1]));
    assert_eq!(rest["next_cursor"], json!(null));
    assert_eq!(app.get("/v1/tickers/TEST/ledger?cursor=1").await.json()["code"], "bad_cursor");
    for (step, status) in [(0, 422), (1, 200), (20, 200), (21, 422)] {
        let answer = app.get(&format!("/v1/tickers/TEST/ledger?step={step}")).await;
        assert_eq!(answer.status.as_u16(), status, "step {step}: {}", answer.text());
    }

    app.get("/v1/tickers/TEST/forecast?model=HAR").await;
    for (model, count) in [("champion", 2), ("1", 2), ("2", 0), ("HAR", 1), ("naive", 0)] {
        let of = app.get(&format!("/v1/tickers/TEST/ledger?model={model}")).await.json();
        assert_eq!(of["ledger"].as_array().unwrap().len(), count, "{model}: {of}");
    }
    let refused = app.get("/v1/tickers/TEST/ledger?model=arima").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (422, &json!("unknown_model")));
}
