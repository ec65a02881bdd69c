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
      "detail": "NEW has no model yet; train one, or ask a baseline with model=har.",
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
async fn a_training_is_queued_once_and_every_cap_holds_before_a_job_exists() {
    let app = TestApp::new().await;
    put(&app.app, &ticker("TEST"), &market("TEST", 420)).await;
    for (config, code) in [
        (r#"{"hidden": 513}"#, "bad_config"),
        (r#"{"layers": 5}"#, "bad_config"),
        (r#"{"lookback": 513}"#, "bad_config"),
        (r#"{"hidden": 0}"#, "bad_config"),
        (r#"{"horizon": 21}"#, "bad_field"),
        (r#"{"hiden": 16}"#, "bad_field"),
        (r#"{"hidden": "many"}"#, "bad_field"),
        (r#"{"lookback": 400}"#, "too_few_bars"),
        ("[", "bad_json"),
    ] {
        assert_eq!(app.post_json("/v1/tickers/TEST/models", config).await.json()["code"], code, "{config}");
    }
    assert_snapshot!(app.post_json("/v1/tickers/TEST/models", r#"{"hidden": 513}"#).await.shown(), @r#"
    422 Unprocessable Entity
    {
      "code": "bad_config",
      "detail": "hidden 513 is outside 1 to 512.",
      "field": "hidden",
      "max": 512,
      "request_id": "[request_id]",
      "status": 422,
      "title": "Bad config",
      "type": "/docs/problems#bad_config"
    }
    "#);
    assert_eq!(app.get("/v1/jobs").await.json()["jobs"], json!([]), "no job was made for a refused config");

    let first = app.post_json("/v1/tickers/TEST/models", r#"{"hidden": 512, "layers": 4}"#).await;
    assert_eq!(first.status, StatusCode::ACCEPTED);
    assert_snapshot!(first.shown(), @r#"
    202 Accepted
    {
      "already_queued": false,
      "attempt": 0,
      "cancel_requested": false,
      "config": {
        "batch_size": 128,
        "cell": "lstm",
        "clip_norm": 1.0,
        "dropout": 0.0,
        "ensemble": 4,
        "epochs": 12,
        "features": [
          "returns",
          "ranges",
          "volatility",
          "volume",
          "season"
        ],
        "hidden": 512,
        "horizon": 5,
        "layers": 4,
        "learning_rate": 0.001,
        "levels": [
          0.025,
          0.05,
          0.1,
          0.2,
          0.3,
          0.4,
          0.5,
          0.6,
          0.7,
          0.8,
          0.9,
          0.95,
          0.975
        ],
        "lookback": 20,
        "patience": 3,
        "preset": "default",
        "seed": 0,
        "tbptt_steps": null,
        "topology": "many_to_one",
        "weight_decay": 0.001
      },
      "created_at": "[created_at]",
      "error": null,
      "finished_at": null,
      "id": "[id]",
      "kind": "train",
      "progress": null,
      "queue": {
        "jobs_ahead": 0,
        "jobs_running": 0,
        "not_before": null,
        "reason": "the next look of a worker takes it up; if that takes longer than moments, no worker runs"
      },
      "result": null,
      "started_at": null,
      "state": "enqueued",
      "ticker": "TEST"
    }
    "#);
    let id = first.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(first.header("location"), format!("/v1/jobs/{id}"));
    let second = app.post_json("/v1/tickers/TEST/models", "").await.json();
    assert_eq!((&second["id"], &second["already_queued"]), (&json!(id), &json!(true)), "one active training a ticker");
    assert_eq!(second["config"], first.json()["config"], "it goes on with its own config");
    assert_eq!(app.get("/v1/tickers/TEST").await.json()["last_job"]["id"], *id);
    assert_eq!(app.get("/v1/tickers/TEST/forecast").await.json()["job"]["id"], *id);

    let canceled = app.delete(&format!("/v1/jobs/{id}")).await.json();
    assert_eq!((&canceled["state"], &canceled["cancel_requested"]), (&json!("canceled"), &json!(true)));
    let events = app.get(&format!("/v1/jobs/{id}/events")).await;
    assert!(events.text().starts_with("event: canceled\ndata: {"), "{}", events.text());
    assert_eq!(events.header("content-type"), "text/event-stream");
    assert_snapshot!(app.delete(&format!("/v1/jobs/{id}")).await.shown(), @r#"
    409 Conflict
    {
      "code": "job_finished",
      "detail": "This job has ended already: canceled.",
      "request_id": "[request_id]",
      "state": "canceled",
      "status": 409,
      "title": "Job finished",
      "type": "/docs/problems#job_finished"
    }
    "#);
}

#[tokio::test]
async fn versions_are_told_with_what_they_were_made_from() {
    let app = served().await;
    let models = app.get("/v1/tickers/TEST/models").await.json();
    let model = app.get("/v1/tickers/TEST/models/1").await.json();
    assert_eq!(models["models"][0], model);
    assert_eq!(
        (&model["champion"], &model["config"]["cell"], &model["bars"]),
        (&json!(true), &json!("lstm"), &json!(420))
    );
    let weights = app.get("/v1/tickers/TEST/models/1/weights").await;
    assert_eq!(weights.body.len() as u64, model["bytes"].as_u64().unwrap());
    assert_eq!(app.get("/v1/tickers/TEST/models/9").await.json()["code"], "unknown_version");
    assert_eq!(app.get("/v1/tickers/TEST/models/x").await.json()["code"], "bad_path");
    assert_eq!(app.post_json("/v1/tickers/TEST/models/9/promote", "").await.json()["code"], "unknown_version");
}

#[tokio::test]
async fn a_ticker_tells_where_it_stands_and_takes_another_policy() {
    let app = served().await;
    let ticker = app.get("/v1/tickers/TEST").await;
    assert_snapshot!(ticker.shown(), @r#"
    200 OK
    {
      "bars_total": 420,
      "calendar": "weekdays",
      "champion": 1,
      "currency": null,
      "data_version": 1,
      "first": "2023-04-17",
      "interval": "1d",
      "last": "2024-11-22",
      "last_close": 31.8,
      "last_job": null,
      "policy": {
        "automatic": true,
        "expire_after_bars": 250,
        "min_bars": 250,
        "retrain_after_bars": 20,
        "retrain_on_coverage_drift": true
      },
      "price_basis": "raw",
      "retraining": {
        "due": false,
        "reason": "0 bars since the champion's last, the policy retrains after 20"
      },
      "ticker": "TEST"
    }
    "#);
    let patch =
        async |body: &str| app.send_body(Method::PATCH, "/v1/tickers/TEST", "application/json", body.to_owned()).await;
    let patched = patch(
        r#"{"calendar": "XNYS", "currency": "USD", "policy": {"retrain_after_bars": 5, "expire_after_bars": null}}"#,
    )
    .await
    .json();
    assert_eq!((&patched["calendar"], &patched["currency"]), (&json!("XNYS"), &json!("USD")));
    assert_eq!(
        patched["policy"],
        json!({"automatic": true, "min_bars": 250, "retrain_after_bars": 5, "retrain_on_coverage_drift": true, "expire_after_bars": null})
    );
    assert_eq!(patch(r#"{"policy": {"min_bars": 0}}"#).await.json()["code"], "bad_policy");
    let refused = patch(r#"{"calendar": "XXXX"}"#).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["code"]), (422, &json!("unknown_calendar")));
    assert!(refused.json()["known"].as_array().unwrap().contains(&json!("XNYS")), "{}", refused.text());
    assert_eq!(patch(r#"{"currency": "dollars"}"#).await.json()["code"], "bad_field");
    assert_eq!(patch(r#"{"name": "OTHER"}"#).await.json()["code"], "bad_field");
    let list = app.get("/v1/tickers?query=es").await.json();
    assert_eq!((list["tickers"].as_array().unwrap().len(), &list["next_cursor"]), (1, &json!(null)));
    assert_eq!(app.get("/v1/tickers?query=zz").await.json()["tickers"], json!([]));
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
