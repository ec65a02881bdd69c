//! Prices in and out, from outside.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use candlecast::ingest::{BodyFormat, ReadOptions};
use candlecast::jobs::{self, ingest::IngestRequest};
use insta::assert_snapshot;
use serde_json::json;
use tokio::sync::Semaphore;

use crate::support::app::{TestApp, csv};

const TWO: &str = "Date,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n2024-01-03,10.5,12,10,11,600\n";
const ONE_BAD: &str = "Date,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n2024-01-03,10.5,9,11,11,600\n";

#[tokio::test]
async fn a_price_history_is_stored_counted_and_read_back() {
    let app = TestApp::new().await;
    assert_snapshot!(app.post_csv("/v1/tickers/aapl/bars", TWO).await.shown(), @r#"
    200 OK
    {
      "bars_total": 2,
      "data_version": 1,
      "dialect": {
        "columns": {
          "close": "Close",
          "date": "Date",
          "high": "High",
          "low": "Low",
          "open": "Open",
          "volume": "Volume"
        },
        "date_format": "%Y-%m-%d",
        "decimal": ".",
        "delimiter": ",",
        "encoding": "utf-8",
        "interval": "1d",
        "name": "generic",
        "order": "ascending",
        "price_basis": "raw",
        "query": "columns=date%3ADate%2Copen%3AOpen%2Chigh%3AHigh%2Clow%3ALow%2Cclose%3AClose%2Cvolume%3AVolume&date_format=%25Y-%25m-%25d&decimal=.&delimiter=%2C&encoding=utf-8",
        "why_date_format": "every date shows its year"
      },
      "dry_run": false,
      "first": "2024-01-02",
      "inserted": 2,
      "job": null,
      "last": "2024-01-03",
      "received": 2,
      "refusals": [],
      "refusals_truncated": false,
      "refused": 0,
      "ticker": "AAPL",
      "unchanged": 0,
      "updated": 0,
      "warnings": []
    }
    "#);
    let again = app.post_csv("/v1/tickers/AAPL/bars", TWO).await.json();
    assert_eq!((&again["unchanged"], &again["inserted"], &again["data_version"]), (&json!(2), &json!(0), &json!(1)));
    let changed = app.post_csv("/v1/tickers/AAPL/bars", TWO.replace("11,600", "11.5,600")).await.json();
    assert_eq!(
        (&changed["updated"], &changed["unchanged"], &changed["data_version"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_snapshot!(app.get("/v1/tickers/AAPL/bars").await.shown(), @r#"
    200 OK
    {
      "bars": [
        {
          "close": 10.5,
          "high": 11.0,
          "low": 9.0,
          "open": 10.0,
          "session": "2024-01-02",
          "volume": 500.0
        },
        {
          "close": 11.5,
          "high": 12.0,
          "low": 10.0,
          "open": 10.5,
          "session": "2024-01-03",
          "volume": 600.0
        }
      ],
      "next_cursor": null
    }
    "#);
    let csv = app.get("/v1/tickers/AAPL/bars?format=csv").await;
    assert_snapshot!(csv.text(), @r#"
    session,open,high,low,close,volume
    2024-01-02,10.0,11.0,9.0,10.5,500.0
    2024-01-03,10.5,12.0,10.0,11.5,600.0
    "#);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let parquet = app.get("/v1/tickers/AAPL/bars?format=parquet").await;
    let sent = app
        .send_body(Method::POST, "/v1/tickers/COPY/bars", parquet.header("content-type"), parquet.body.clone())
        .await;
    assert_eq!(sent.json()["inserted"], 2, "{}", sent.text());
}

#[tokio::test]
async fn bars_are_paged_without_a_gap() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/AAPL/bars?train=never", csv(10)).await;
    let all = app.get("/v1/tickers/AAPL/bars").await.json();
    let first = app.get("/v1/tickers/AAPL/bars?limit=4").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("/v1/tickers/AAPL/bars?cursor={cursor}")).await.json();
    let bars = |page: &serde_json::Value| page["bars"].as_array().unwrap().clone();
    assert_eq!([bars(&first), bars(&rest)].concat(), bars(&all));
    assert_eq!(rest["next_cursor"], json!(null));
    assert_eq!(app.get("/v1/tickers/AAPL/bars?limit=4&format=csv").await.header("x-next-cursor"), cursor);
    let span = app.get("/v1/tickers/AAPL/bars?from=2020-01-02&to=2020-01-03").await.json();
    assert_eq!(bars(&span).len(), 2);
    assert_eq!(app.get("/v1/tickers/AAPL/bars?from=then").await.json()["code"], "bad_query");
    assert_eq!(app.get("/v1/tickers/AAPL/bars?cursor=x").await.json()["code"], "bad_cursor");
    assert_eq!(app.get("/v1/tickers/AAPL/bars?limit=100001").await.json()["code"], "out_of_range");
}

#[tokio::test]
async fn one_bad_row_costs_itself_or_all_of_the_body_as_asked() {
    let app = TestApp::new().await;
    assert_snapshot!(app.post_csv("/v1/tickers/AAPL/bars?on_error=reject", ONE_BAD).await.shown(), @r#"
    422 Unprocessable Entity
    {
      "code": "high_below_low",
      "column": "high",
      "detail": "1 of 2 rows are no bars; line 3: high 9 is below low 11",
      "line": 3,
      "received": 2,
      "refusals": [
        {
          "code": "high_below_low",
          "column": "high",
          "line": 3,
          "message": "high 9 is below low 11",
          "text": "9"
        }
      ],
      "refused": 1,
      "request_id": "[request_id]",
      "status": 422,
      "text": "9",
      "title": "High below low",
      "type": "/docs/problems#high_below_low"
    }
    "#);
    assert_eq!(app.get("/v1/tickers/AAPL").await.status, StatusCode::NOT_FOUND, "nothing is stored after a refusal");
    let dry = app.post_csv("/v1/tickers/AAPL/bars?dry_run=true", ONE_BAD).await.json();
    assert_eq!((&dry["inserted"], &dry["refused"], &dry["dry_run"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!(app.get("/v1/tickers/AAPL").await.status, StatusCode::NOT_FOUND, "a dry run stores nothing");
    let stored = app.post_csv("/v1/tickers/AAPL/bars", ONE_BAD).await.json();
    assert_eq!((&stored["inserted"], &stored["refusals"][0]["line"]), (&json!(1), &json!(3)));
    let nothing = app.post_csv("/v1/tickers/NONE/bars", "Date,Open,High,Low,Close\n2024-01-03,10,9,11,11\n").await;
    assert_eq!((nothing.status.as_u16(), &nothing.json()["code"]), (422, &json!("no_usable_rows")));
}

#[tokio::test]
async fn a_stored_bar_is_replaced_kept_or_defended_as_asked() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/AAPL/bars", TWO).await;
    let other = TWO.replace("11,600", "11.5,600");
    let refused = app.post_csv("/v1/tickers/AAPL/bars?on_conflict=reject", other.clone()).await;
    assert_snapshot!(refused.shown(), @r#"
    409 Conflict
    {
      "code": "bar_conflict",
      "detail": "AAPL 2024-01-03 is stored with other values: 10.5 12 10 11 600, sent: 10.5 12 10 11.5 600.",
      "request_id": "[request_id]",
      "session": "2024-01-03",
      "status": 409,
      "ticker": "AAPL",
      "title": "Bar conflict",
      "type": "/docs/problems#bar_conflict"
    }
    "#);
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars?on_conflict=keep", other.clone()).await.json()["unchanged"], 2);
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", other).await.json()["updated"], 1);
}

#[tokio::test]
async fn many_tickers_come_in_one_file() {
    let app = TestApp::new().await;
    let file = "date,open,high,low,close,volume,Name\n2024-01-02,10,11,9,10.5,500,AAPL\n2024-01-02,20,21,19,20.5,500,MSFT\n2024-01-03,20,21,19,20.5,500,MSFT\n";
    let answer = app.post_csv("/v1/bars", file).await.json();
    assert_eq!((&answer["tickers"], &answer["inserted"], &answer["received"]), (&json!(2), &json!(3), &json!(3)));
    assert_eq!((&answer["per_ticker"][1]["ticker"], &answer["per_ticker"][1]["inserted"]), (&json!("MSFT"), &json!(2)));
    assert_eq!(app.post_csv("/v1/bars", TWO).await.json()["code"], "no_ticker_column");
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", file).await.json()["code"], "ticker_mismatch");
    let one = "date,open,high,low,close,volume,Name\n2024-01-02,10,11,9,10.5,500,MSFT\n";
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", one).await.json()["code"], "ticker_mismatch");
}

#[tokio::test]
async fn a_body_is_what_its_headers_say_or_refused() {
    let app = TestApp::new().await;
    let post = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = Request::post("/v1/tickers/AAPL/bars");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        app.send(request.body(Body::from(body)).unwrap()).await
    };
    let code = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let answer = post(headers, body).await;
        format!("{} {}", answer.status.as_u16(), answer.json()["code"].as_str().unwrap_or("-"))
    };
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(TWO.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    let json = br#"[{"session": "2024-01-04", "open": 1, "high": 2, "low": 1, "close": 2, "volume": 5}]"#.to_vec();
    assert_eq!(code(&[], TWO.into()).await, "200 -", "no content type is CSV");
    assert_eq!(code(&[("content-encoding", "gzip")], gzip.clone()).await, "200 -");
    assert_eq!(code(&[("content-encoding", "zstd")], zstd::encode_all(TWO.as_bytes(), 1).unwrap()).await, "200 -");
    assert_eq!(code(&[("content-type", "application/json")], json.clone()).await, "200 -");
    assert_eq!(code(&[], json.clone()).await, "200 -", "nothing is said");
    assert_eq!(
        code(&[("content-type", "application/x-www-form-urlencoded")], json.clone()).await,
        "200 -",
        "as curl does"
    );
    assert_eq!(code(&[("content-type", "text/csv")], json).await, "422 missing_column", "another thing is said");
    assert_eq!(code(&[], gzip.clone()).await, "200 -", "nothing is said");
    assert_eq!(code(&[], zstd::encode_all(TWO.as_bytes(), 1).unwrap()).await, "200 -", "nothing is said");
    assert_eq!(code(&[("content-encoding", "identity")], gzip.clone()).await, "415 looks_like_gzip");
    assert_eq!(code(&[("content-type", "text/csv")], gzip.clone()).await, "415 looks_like_gzip", "text is said");
    assert_eq!(code(&[("content-encoding", "br")], gzip).await, "415 unsupported_encoding");
    assert_eq!(code(&[("content-encoding", "gzip")], TWO.into()).await, "400 corrupt_body");
    assert_eq!(code(&[("content-type", "image/png")], TWO.into()).await, "415 unsupported_media_type");
    assert_eq!(code(&[], Vec::new()).await, "422 empty_body");
    let form = post(&[("content-type", "multipart/form-data; boundary=x")], TWO.into()).await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert!(form.json()["detail"].as_str().unwrap().contains("curl --data-binary @FILE"), "{}", form.text());
    for rows in [1, 50] {
        let stripped = post(&[], TWO.repeat(rows).replace('\n', "").into()).await.json();
        assert!(stripped["detail"].as_str().unwrap().contains("curl's -d strips them"), "{stripped}");
    }
    let latin = post(&[], b"Datum;Er\xf6ffnung;Hoch;Tief;Schluss2024-01-02;1;2;1;2".to_vec()).await.json();
    assert!(latin["detail"].as_str().unwrap().contains("curl's -d strips them"), "{latin}");
    let json = post(&[], br#"{"a":1}"#.to_vec()).await.json();
    assert!(!json["detail"].as_str().unwrap().contains("curl's -d"), "{json}");
    assert_eq!(code(&[("content-type", "text/csv; charset=klingon")], TWO.into()).await, "415 unsupported_encoding");
}

#[tokio::test]
async fn the_caps_on_bodies_hold_from_both_sides() {
    let app = TestApp::with(|settings| {
        settings.limits.ingest.max_body_bytes = TWO.len();
        settings.limits.ingest.max_rows = 2;
        settings.limits.ingest.max_columns = 6;
    })
    .await;
    let longer = format!("{TWO}\n");
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", TWO).await.status, StatusCode::OK);
    assert_snapshot!(app.post_csv("/v1/tickers/AAPL/bars", longer.clone()).await.shown(), @r#"
    413 Payload Too Large
    {
      "code": "body_too_large",
      "detail": "The body is above 89 bytes.",
      "limit": "max_body_bytes",
      "max": 89,
      "request_id": "[request_id]",
      "status": 413,
      "title": "Body too large",
      "type": "/docs/problems#body_too_large"
    }
    "#);
    // The same without an announced length.
    let chunks = futures::stream::iter(
        longer.into_bytes().chunks(7).map(<[u8]>::to_vec).map(Ok::<_, std::io::Error>).collect::<Vec<_>>(),
    );
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", Body::from_stream(chunks)).await.json()["code"], "body_too_large");
    let three = "d,o,h,l,c\n2024-01-02,1,1,1,1\n2024-01-03,1,1,1,1\n2024-01-04,1,1,1,1\n"
        .replace("d,o,h,l,c", "date,open,high,low,close");
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", three).await.json()["code"], "too_many_rows");
    let wide = "date,open,high,low,close,volume,x\n2024-01-02,1,1,1,1,1,1\n";
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", wide).await.json()["code"], "too_many_columns");
}

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

/// The only thread for reading is kept busy, so that the body's reading has not begun when the caller leaves.
#[test]
fn a_body_keeps_its_room_until_its_reading_ends_even_when_nobody_waits_for_it() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
    runtime.expect("a runtime").block_on(async {
        let app = TestApp::new().await;
        let (release, released) = std::sync::mpsc::channel::<()>();
        let busy = tokio::task::spawn_blocking(move || released.recv());
        let all = Arc::new(Semaphore::new(1));
        let room = Arc::clone(&all).acquire_owned().await.expect("room");
        let request =
            IngestRequest::new("AAPL".parse().ok(), BodyFormat::Csv, candlecast::ingest::ContentEncoding::Identity);
        let body = jobs::ingest::Body { bytes: csv(5).into_bytes(), room: Some(room) };
        let left = tokio::time::timeout(Duration::from_millis(50), jobs::ingest::ingest(&app.app, body, &request));
        assert!(left.await.is_err(), "the caller leaves before the body is read");
        assert_eq!(all.available_permits(), 0, "its bytes are still in memory");
        release.send(()).expect("still busy");
        busy.await.expect("ends").expect("told");
        let given_back = tokio::time::timeout(Duration::from_secs(30), all.acquire());
        drop(given_back.await.expect("given back").expect("open"));
    });
}

#[tokio::test]
async fn every_option_of_reading_is_a_query_parameter() {
    let document = TestApp::new().await.get("/openapi.json").await.json();
    let options = serde_json::to_value(ReadOptions::default()).unwrap();
    for path in ["/v1/bars", "/v1/tickers/{ticker}/bars"] {
        let parameters = document["paths"][path]["post"]["parameters"].as_array().unwrap();
        for option in options.as_object().unwrap().keys() {
            assert!(parameters.iter().any(|parameter| parameter["name"] == *option), "{path}: {option}");
        }
    }
}

#[tokio::test]
async fn a_file_within_the_day_is_read_in_its_zone_and_put_together_to_sessions() {
    let app = TestApp::new().await;
    let hours = "time,open,high,low,close,volume\n2024-01-02 09:30,10,11,9,10.5,5\n2024-01-02 10:30,10.5,12,10,11,6\n\
        2024-01-02 11:30,11,11.5,8,9,7\n2024-01-03 09:30,9,10,8.5,9.5,8\n";
    let stored = app.post_csv("/v1/tickers/ZONED/bars?timezone=%2B09:00", hours).await.json();
    assert_eq!((&stored["first"], &stored["inserted"]), (&json!("2024-01-02T00:30:00Z"), &json!(4)), "{stored}");
    let daily = app.post_csv("/v1/tickers/DAILY/bars?resample=1d", hours).await.json();
    assert_eq!((&daily["inserted"], &daily["last"]), (&json!(2), &json!("2024-01-03")), "{daily}");
    let bar = app.get("/v1/tickers/DAILY/bars?limit=1").await.json()["bars"][0].clone();
    assert_eq!(
        bar,
        json!({"session": "2024-01-02", "open": 10.0, "high": 12.0, "low": 8.0, "close": 9.0, "volume": 18.0})
    );
    let split = "date,open,high,low,close,volume\n2024-01-02,100,101,99,100,5\n2024-01-03,100,102,99,100,5\n\
        2024-01-04,20,20.3,19.8,20,25\n2024-01-05,20,20.2,19.9,20.1,25\n";
    app.post_csv("/v1/tickers/SPLIT/bars?adjust=split", split).await;
    let first = app.get("/v1/tickers/SPLIT/bars?limit=1").await.json()["bars"][0].clone();
    assert_eq!((&first["close"], &first["volume"]), (&json!(20.0), &json!(25.0)));
    for query in ["adjust=dividends", "resample=1w", "timezone=Mars"] {
        let refused = app.post_csv(&format!("/v1/tickers/NONE/bars?{query}"), hours).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}: {}", refused.text());
    }
}

#[tokio::test]
async fn bars_on_another_level_than_those_stored_are_told() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/AAPL/bars", TWO).await;
    let codes = |answer: &serde_json::Value| -> Vec<String> {
        let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().filter_map(|warning| warning["code"].as_str().map(str::to_owned)).collect()
    };
    let next = "Date,Open,High,Low,Close,Volume\n2024-01-04,11,12,10,11.5,500\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars?dry_run=true", next).await.json();
    assert!(!codes(&answer).contains(&"level_break".to_owned()), "{answer}");
    let other_unit = "Date,Open,High,Low,Close,Volume\n2024-01-04,7000,7100,6900,7050,500\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars", other_unit).await.json();
    assert!(codes(&answer).contains(&"level_break".to_owned()), "{answer}");
    let same_days = "Date,Open,High,Low,Close,Volume\n2024-01-02,20,22,18,21,500\n2024-01-03,21,24,20,22,600\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars?dry_run=true", same_days).await.json();
    assert!(codes(&answer).contains(&"level_break".to_owned()), "{answer}");
}

/// What `rows` come to when they are sent after `weeks` or `hours`.
async fn appended(history: &str, rows: &str, path: &str) -> serde_json::Value {
    const HEADER: &str = "date,open,high,low,close,volume\n";
    let app = TestApp::new().await;
    let first = app.post_csv("/v1/tickers/SHORT/bars", format!("{HEADER}{history}")).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let header = if path == "/v1/bars" { "ticker,date,open,high,low,close,volume\n" } else { HEADER };
    let mut told = app.post_csv(path, format!("{header}{rows}")).await.json();
    told["interval"] = app.get("/v1/tickers/SHORT").await.json()["interval"].clone();
    told
}

#[tokio::test]
async fn a_few_bars_take_the_interval_of_the_series_that_they_continue() {
    let day = |n: i64| chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date") + chrono::Duration::days(n);
    let weeks: String = (0..12).map(|week| format!("{},10,11,9,10.5,5\n", day(7 * week))).collect();
    let hours: String = (0..12).map(|hour| format!("2024-01-02T{hour:02}:00:00Z,10,11,9,10.5,5\n")).collect();
    let one = "/v1/tickers/SHORT/bars";
    for (history, rows, path, inserted, last) in [
        (&weeks, "2024-03-25,10,11,9,10.5,5\n", one, 1, "2024-03-25"),
        (
            &weeks,
            "2024-03-18,10,11,9,10.5,5\n2024-03-25,10,11,9,10.5,5\n2024-04-01,10,11,9,10.5,5\n",
            one,
            2,
            "2024-04-01",
        ),
        (&weeks, "SHORT,2024-03-25,10,11,9,10.5,5\n", "/v1/bars", 1, "2024-03-25"),
        (&hours, "2024-01-03T09:00:00Z,10,11,9,10.5,5\n", one, 1, "2024-01-03T09:00:00Z"),
        (
            &hours,
            "2024-01-03T15:00:00Z,10,11,9,10.5,5\n2024-01-04T09:00:00Z,10,11,9,10.5,5\n",
            one,
            2,
            "2024-01-04T09:00:00Z",
        ),
    ] {
        let told = appended(history, rows, path).await;
        assert_eq!(
            (&told["inserted"], &told["dialect"]["interval"]),
            (&json!(inserted), &told["interval"]),
            "{rows} {told}"
        );
        if path == one {
            assert_eq!(told["last"], json!(last), "{rows} {told}");
        }
    }
    let fridays: String = (0..12).map(|week| format!("{},10,11,9,10.5,5\n", day(7 * week + 4))).collect();
    let weekend = "2024-01-05T20:30:00Z,10,11,9,10.5,5\n2024-01-08T14:30:00Z,10,11,9,10.5,5\n";
    for (history, rows, inserted) in [(&weeks, weeks.as_str(), 0), (&hours, weekend, 2)] {
        assert_eq!(appended(history, rows, one).await["inserted"], inserted, "{rows}");
    }
    // What cannot be of the series is refused as before.
    for (history, rows) in [
        (&weeks, "2024-03-25,10,11,9,10.5,5\n2024-03-26,10,11,9,10.5,5\n"),
        (&weeks, "2024-03-22,10,11,9,10.5,5\n2024-03-25,10,11,9,10.5,5\n"),
        (&weeks, fridays.as_str()),
        (
            &hours,
            "2024-01-03T09:00:00Z,10,11,9,10.5,5\n2024-01-03T09:15:00Z,10,11,9,10.5,5\n2024-01-03T09:30:00Z,10,11,9,10.5,5\n",
        ),
        (&hours, "2024-01-03,10,11,9,10.5,5\n"),
    ] {
        assert_eq!(appended(history, rows, one).await["code"], "interval_mismatch", "{rows}");
    }
}

#[tokio::test]
async fn days_sent_to_a_weekly_or_monthly_series_are_refused_also_one_at_a_time() {
    let day = |n: i64| chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date") + chrono::Duration::days(n);
    let weeks: String = (0..12).map(|week| format!("{},10,11,9,10.5,5\n", day(7 * week))).collect();
    let months: String = (0..12).map(|month| format!("2024-{:02}-01,10,11,9,10.5,5\n", month + 1)).collect();
    for (history, date, is_refused) in [
        // Weeks end with that of Monday, 18 March.
        (&weeks, "2024-03-19", true),
        (&weeks, "2024-03-22", true),
        (&weeks, "2024-03-25", false),
        // A holiday moves a week's first session.
        (&weeks, "2024-03-26", false),
        (&weeks, "2024-03-18", false),
        (&weeks, "2024-01-11", true),
        (&months, "2024-12-20", true),
        (&months, "2025-01-02", false),
        (&months, "2024-06-01", false),
        (&months, "2024-06-03", true),
    ] {
        for (ticker, path) in [("", "/v1/tickers/SHORT/bars"), ("SHORT,", "/v1/bars")] {
            let told = appended(history, &format!("{ticker}{date},10,11,9,10.5,5\n"), path).await;
            let expected = if is_refused { json!("interval_mismatch") } else { json!(null) };
            assert_eq!(told["code"], expected, "{date} {told}");
        }
    }
}

#[tokio::test]
async fn a_bar_of_another_length_is_refused_by_a_series_within_the_day_also_alone() {
    // Until 11:00 on 1 January.
    let hours: String = (0..12).map(|hour| format!("2024-01-01T{hour:02}:00:00Z,10,11,9,10.5,5\n")).collect();
    for (times, is_refused) in [
        (&["2024-01-02T09:00:00Z"] as &[&str], false),
        (&["2024-01-01T12:00:00Z"], false),
        (&["2024-01-01T11:00:00Z"], false),
        (&["2024-01-01T11:15:00Z"], true),
        // One bar a day.
        (&["2024-01-02T11:00:00Z"], true),
        (&["2024-01-02T14:30:00Z", "2024-01-03T14:30:00Z", "2024-01-04T14:30:00Z"], true),
        (&["2024-01-02 00:00:00", "2024-01-03 00:00:00", "2024-01-04 00:00:00"], true),
        (&["2024-01-02T12:00:00Z", "2024-01-02T16:00:00Z", "2024-01-02T20:00:00Z"], true),
    ] {
        let rows: String = times.iter().map(|time| format!("{time},10,11,9,10.5,5\n")).collect();
        let told = appended(&hours, &rows, "/v1/tickers/SHORT/bars").await;
        let expected = if is_refused { json!("interval_mismatch") } else { json!(null) };
        assert_eq!(told["code"], expected, "{times:?} {told}");
    }
}

#[tokio::test]
async fn a_file_that_undoes_an_applied_split_is_told() {
    let app = TestApp::new().await;
    let raw = "date,open,high,low,close,volume\n2024-01-02,100,101,99,100,5\n2024-01-03,100,102,99,100,5\n\
        2024-01-04,20,20.3,19.8,20,25\n2024-01-05,20,20.2,19.9,20.1,25\n2024-01-08,20,20.2,19.9,20.1,25\n";
    app.post_csv("/v1/tickers/SPLIT/bars?adjust=split", raw).await;
    let told = |answer: &serde_json::Value| -> Option<String> {
        let warnings = answer["warnings"].as_array()?;
        let found = warnings.iter().find(|warning| warning["code"] == "level_break")?;
        found["message"].as_str().map(str::to_owned)
    };
    let again = app.post_csv("/v1/tickers/SPLIT/bars?adjust=split", raw).await.json();
    assert_eq!((told(&again), &again["unchanged"]), (None, &json!(5)), "{again}");
    let undone = app.post_csv("/v1/tickers/SPLIT/bars?dry_run=true", raw).await.json();
    let message = told(&undone).expect("a warning");
    assert!(
        message.starts_with("2 of the sessions sent are 5.0000 times") && message.contains("adjust=split"),
        "{message}"
    );
}

#[tokio::test]
async fn bars_on_days_without_a_session_are_told() {
    let app = TestApp::new().await;
    let body = "date,open,high,low,close,volume\n2023-12-22,10,11,9,10.5,5\n2023-12-25,10,11,9,10.6,6\n2023-12-26,10,11,9,10.7,7\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars?calendar=XNYS&dry_run=true", body).await.json();
    let warning = answer["warnings"].as_array().and_then(|all| all.iter().find(|one| one["code"] == "off_calendar"));
    assert_eq!(warning.map(|warning| &warning["session"]), Some(&json!("2023-12-25")), "{answer}");
}

#[tokio::test]
async fn a_ticker_without_a_bar_is_not_made_by_a_file_of_many() {
    let app = TestApp::new().await;
    let body = "ticker,date,open,high,low,close,volume\nAAPL,2024-01-02,10,11,9,10.5,5\nAAPL,2024-01-03,10,11,9,10.5,5\n\
        ZZZ,2024-01-02,0,0,0,5,0\n";
    let answer = app.post_csv("/v1/bars", body).await.json();
    assert_eq!((&answer["tickers"], &answer["inserted"]), (&json!(1), &json!(2)), "{answer}");
    assert_eq!(app.get("/v1/tickers/ZZZ").await.json()["code"], "unknown_ticker");
    // Ten rows that contradict each other, the first of them twice.
    let row = |day: u8, close: u8| format!("ZZZ,2024-01-{day:02},10,15,9,{close},5\n");
    let torn: String = [row(1, 10)].into_iter().chain((1..=5).map(|day| row(day, 10) + &row(day, 11))).collect();
    let answer = app.post_csv("/v1/bars", format!("{body}{torn}")).await.json();
    let counts = ["received", "inserted", "updated", "unchanged", "refused"].map(|name| answer[name].as_u64());
    assert_eq!(counts, [13, 0, 0, 3, 10].map(Some), "{answer}");
}
