//! Jobs as clients see them while they wait.

use axum::http::StatusCode;
use candlecast::store::JobFilter;
use serde_json::json;

use crate::support::app::TestApp;
use crate::support::{market, put, ticker};

#[tokio::test]
async fn a_job_that_is_queued_is_told_so_even_where_its_place_cannot_be_read() {
    let app = TestApp::new().await;
    put(&app.app, &ticker("TEST"), &market("TEST", 420)).await;
    let database = sqlx::SqlitePool::connect(&app.app.settings.database.url).await.expect("the same file");
    // Nothing but leases and the place in the queue reads it.
    sqlx::query("ALTER TABLE jobs RENAME COLUMN lease_until TO gone").execute(&database).await.expect("renamed");

    let answer = app.post_json("/v1/tickers/TEST/models", "").await;
    assert_eq!(answer.status, StatusCode::ACCEPTED, "{}", answer.text());
    let told = answer.json();
    assert_eq!((&told["state"], &told["queue"]), (&json!("enqueued"), &json!(null)), "{told}");
    let queued = app.app.store.jobs(&JobFilter::default(), 10).await.expect("the rest is there");
    assert_eq!(queued.iter().map(|job| json!(job.id)).collect::<Vec<_>>(), [told["id"].clone()]);
    let path = answer.header("location").to_owned();
    assert_eq!(app.get(&path).await.json()["code"], "internal", "who asks for the place is told that it failed");
}
