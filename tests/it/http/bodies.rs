//! What a body is, how large it may be, and how long it keeps its room.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use candlecast::ingest::BodyFormat;
use candlecast::jobs::{self, ingest::IngestRequest};
use insta::assert_snapshot;
use tokio::sync::Semaphore;

use super::bars::TWO;
use crate::support::app::{TestApp, csv};

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
