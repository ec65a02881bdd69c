//! Trainings, versions and where a ticker stands, from outside.

use axum::http::{Method, StatusCode};
use insta::assert_snapshot;
use serde_json::json;

use super::forecasts::served;
use crate::support::app::TestApp;
use crate::support::{market, put, ticker};

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
