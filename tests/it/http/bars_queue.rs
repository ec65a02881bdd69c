//! Bars that are sent queue the trainings that are due, also after a failure.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;

use crate::support::app::{TestApp, csv};

#[tokio::test]
async fn enough_bars_queue_a_training_unless_told_not_to() {
    let app = TestApp::new().await;
    assert_eq!(app.post_csv("/v1/tickers/SHORT/bars", csv(249)).await.json()["job"], json!(null));
    assert_eq!(app.post_csv("/v1/tickers/LATER/bars?train=never", csv(400)).await.json()["job"], json!(null));
    let queued = app.post_csv("/v1/tickers/AAPL/bars", csv(400)).await.json();
    let url = queued["job"]["url"].as_str().expect("a job");
    let job = app.get(url).await.json();
    assert_eq!((&job["state"], &job["ticker"], &job["kind"]), (&json!("enqueued"), &json!("AAPL"), &json!("train")));
}

#[tokio::test]
async fn stored_bars_are_acknowledged_and_their_training_made_up_for_when_the_queue_fails() {
    let app = TestApp::new().await;
    let database = sqlx::SqlitePool::connect(&app.app.settings.database.url).await.expect("the same file");
    const FAIL: &str = "CREATE TRIGGER no_jobs BEFORE INSERT ON jobs BEGIN SELECT RAISE(ABORT, 'injected'); END";
    sqlx::query(FAIL).execute(&database).await.expect("made");

    let answer = app.post_csv("/v1/tickers/AAPL/bars", csv(400)).await;
    let report = answer.json();
    assert_eq!(answer.status, StatusCode::OK, "{report}");
    assert_eq!((&report["inserted"], &report["job"]), (&json!(400), &json!(null)));
    let warnings = report["warnings"].as_array().expect("warnings");
    assert!(warnings.iter().any(|warning| warning["code"] == "training_not_queued"), "{report}");
    assert_eq!(app.get("/v1/tickers/AAPL").await.json()["bars_total"], json!(400));

    sqlx::query("DROP TRIGGER no_jobs").execute(&database).await.expect("dropped");
    wait_for_job(&app, "AAPL").await;
}

/// A database that fails for the first ticker is not asked for the others in the caller's time.
#[tokio::test]
async fn after_the_first_failure_the_trainings_of_all_other_tickers_are_queued_in_the_background() {
    let app = TestApp::new().await;
    let database = sqlx::SqlitePool::connect(&app.app.settings.database.url).await.expect("the same file");
    const FAIL: &str = "CREATE TRIGGER no_jobs BEFORE INSERT ON jobs
        WHEN NEW.ticker_id = (SELECT id FROM tickers WHERE name = 'A') BEGIN SELECT RAISE(ABORT, 'injected'); END";
    sqlx::query(FAIL).execute(&database).await.expect("made");
    let rows = csv(300);
    let (header, rows) = rows.split_once('\n').expect("a header");
    let of = |name: &str| -> String { rows.lines().map(|row| format!("{name},{row}\n")).collect() };
    let body = format!("Ticker,{header}\n{}{}{}", of("A"), of("B"), of("C"));
    let report = app.post_csv("/v1/bars", body).await.json();
    assert_eq!(report["inserted"], json!(900), "{report}");
    let warnings = report["warnings"].as_array().expect("warnings");
    let not_queued: Vec<_> = warnings.iter().filter(|warning| warning["code"] == "training_not_queued").collect();
    let told = not_queued[0]["message"].as_str().expect("a message");
    assert!(not_queued.len() == 1 && told.contains("3 tickers (A, B, C)"), "{report}");
    assert!(report["per_ticker"].as_array().expect("tickers").iter().all(|ticker| ticker["job"].is_null()), "{report}");
    for name in ["B", "C"] {
        wait_for_job(&app, name).await;
    }
    assert_eq!(app.get("/v1/jobs?ticker=A").await.json()["jobs"], json!([]));
}

#[tokio::test]
async fn a_training_that_was_canceled_is_not_queued_again_by_the_same_bars() {
    let app = TestApp::new().await;
    let queued = app.post_csv("/v1/tickers/AAPL/bars", csv(400)).await.json();
    let url = queued["job"]["url"].as_str().expect("a job").to_owned();
    let id = url.rsplit('/').next().expect("an id");
    app.app.store.cancel_job(id).await.expect("asked").expect("there");
    let again = app.post_csv("/v1/tickers/AAPL/bars", csv(400)).await.json();
    assert_eq!((&again["unchanged"], &again["job"]), (&json!(400), &json!(null)), "{again}");
    let more = app.post_csv("/v1/tickers/AAPL/bars", csv(401)).await.json();
    assert!(more["job"]["url"].is_string(), "{more}");
}

/// What queueing depends on is stored with the bars: it is known also to who comes after a restart.
#[tokio::test]
async fn a_rewritten_history_whose_training_was_lost_is_queued_when_it_is_sent_again() {
    let app = TestApp::new().await;
    let first = csv(400);
    app.post_csv("/v1/tickers/AAPL/bars", first.clone()).await;
    // Every volume is another.
    let other = first.replace('\n', "0\n").replacen("Volume0", "Volume", 1);
    let job = app.get("/v1/jobs?ticker=AAPL").await.json()["jobs"][0]["id"].as_str().expect("a job").to_owned();
    app.app.store.cancel_job(&job).await.expect("asked").expect("there");
    let rewritten = app.post_csv("/v1/tickers/AAPL/bars?train=never", other.clone()).await.json();
    assert!(rewritten["updated"].as_u64().expect("a count") > 20, "{rewritten}");
    let again = app.post_csv("/v1/tickers/AAPL/bars", other.clone()).await.json();
    assert_eq!(again["updated"], json!(0));
    assert!(again["job"]["url"].is_string(), "{again}");
}

async fn wait_for_job(app: &TestApp, ticker: &str) {
    let queued = async {
        while app.get(&format!("/v1/jobs?ticker={ticker}")).await.json()["jobs"].as_array().is_none_or(Vec::is_empty) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), queued).await.expect("queued without being asked");
}

#[tokio::test]
async fn who_sends_the_same_bars_again_gets_the_training_that_is_due() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/AAPL/bars?train=never", csv(400)).await;
    let again = app.post_csv("/v1/tickers/AAPL/bars", csv(400)).await.json();
    assert_eq!(again["unchanged"], json!(400));
    assert!(again["job"]["url"].is_string(), "{again}");
}
