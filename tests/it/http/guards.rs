//! What keeps requests from each other: caps on how many are worked on, on bodies in memory, on followers.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use candlecast::http::new_key;
use candlecast::store::Scope;
use tokio::sync::mpsc;

use crate::support::app::{Answer, TestApp};
use crate::support::{market, publish, put, ticker};

/// A body of bars that arrives when it is told to; dropping the sender ends it.
fn slow_body(ticker: &str) -> (mpsc::Sender<&'static str>, Request<Body>) {
    let (sender, receiver) = mpsc::channel::<&'static str>(1);
    let chunks = futures::stream::unfold(receiver, |mut receiver| async move {
        let chunk = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(chunk.as_bytes())), receiver))
    });
    let request = Request::post(format!("/v1/tickers/{ticker}/bars?train=never"));
    (sender, request.body(Body::from_stream(chunks)).unwrap())
}

const BARS: &str = "date,open,high,low,close\n2024-01-02,1,1,1,1\n";

fn send(app: &TestApp, request: Request<Body>) -> tokio::task::JoinHandle<(StatusCode, String)> {
    let router = app.router.clone();
    tokio::spawn(async move {
        let response = tower::ServiceExt::oneshot(router, request).await.expect("infallible");
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body").to_bytes();
        (status, String::from_utf8_lossy(&body).into_owned())
    })
}

fn told(answer: &Answer) -> (u16, String, String) {
    let code = answer.json()["code"].as_str().unwrap_or_default().to_owned();
    (answer.status.as_u16(), code, answer.header("retry-after").to_owned())
}

#[tokio::test]
async fn past_the_cap_on_requests_others_are_told_to_come_back() {
    let app = TestApp::with(|settings| settings.http.max_concurrent_requests = 2).await;
    let (first, second) = (slow_body("A"), slow_body("B"));
    let working = [send(&app, first.1), send(&app, second.1)];
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(told(&app.get("/v1/version").await), (503, "overloaded".into(), "1".into()));
    assert_eq!(app.get("/healthz").await.status, StatusCode::OK, "probes are not capped");
    for sender in [first.0, second.0] {
        sender.send(BARS).await.expect("it is waited for");
    }
    for work in working {
        let (status, body) = work.await.expect("answered");
        assert_eq!(status, StatusCode::OK, "{body}");
    }
    assert_eq!(app.get("/v1/version").await.status, StatusCode::OK, "there is room again");
}

#[tokio::test]
async fn a_body_waits_for_room_in_memory_and_then_goes_on() {
    let app = TestApp::with(|settings| {
        settings.limits.ingest.max_body_bytes = 1 << 20;
        settings.http.max_bodies_bytes = 1 << 20;
    })
    .await;
    // Its length is not announced, so it may become as long as any.
    let (sender, request) = slow_body("A");
    let first = send(&app, request);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let second = send(&app, Request::post("/v1/tickers/B/bars?train=never").body(Body::from(BARS)).unwrap());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!second.is_finished(), "the first has all the room");
    assert_eq!(app.get("/v1/version").await.status, StatusCode::OK, "who brings no body need not wait");
    sender.send(BARS).await.expect("it is waited for");
    drop(sender);
    for work in [first, second] {
        let (status, body) = work.await.expect("answered");
        assert_eq!(status, StatusCode::OK, "{body}");
    }
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up_with_the_time_to_come_back() {
    let app = TestApp::with(|settings| settings.http.request_timeout_ms = 100).await;
    let (_sender, request) = slow_body("A");
    assert_eq!(told(&app.send(request).await), (503, "timeout".into(), "5".into()));
    assert_eq!(app.get("/v1/tickers/A").await.status, StatusCode::NOT_FOUND, "nothing of it is stored");
}

#[tokio::test]
async fn past_the_cap_on_followers_others_are_told_to_ask_instead() {
    let app = TestApp::with(|settings| settings.http.max_event_streams = 1).await;
    put(&app.app, &ticker("TEST"), &market("TEST", 420)).await;
    let job = app.post_json("/v1/tickers/TEST/models", "{}").await.json();
    let events = format!("/v1/jobs/{}/events", job["id"].as_str().unwrap());
    let follow = || Request::get(&events).body(Body::empty()).unwrap();
    let first = tower::ServiceExt::oneshot(app.router.clone(), follow()).await.expect("infallible");
    assert_eq!(first.status(), StatusCode::OK);
    assert_eq!(told(&app.get(&events).await), (503, "overloaded".into(), "10".into()));
    drop(first);
    let next = tower::ServiceExt::oneshot(app.router.clone(), follow()).await.expect("infallible");
    assert_eq!(next.status(), StatusCode::OK, "who went away leaves its place");
}

#[tokio::test]
async fn a_rate_is_each_caller_s_own_and_comes_back() {
    let app = TestApp::with(|settings| {
        settings.http.rate_limit_loopback = true;
        settings.http.rate_limit_per_second = 20;
        settings.http.rate_limit_burst = 2;
    })
    .await;
    let ask = async |peer: [u8; 4]| {
        let peer = std::net::SocketAddr::from((peer, 1));
        let mut request = Request::get("/v1/version").header("x-forwarded-for", "8.8.8.8").body(Body::empty()).unwrap();
        request.extensions_mut().insert(axum::extract::ConnectInfo(peer));
        told(&app.send(request).await)
    };
    // Without a key nobody is let in through a proxy; the rate counts all the same.
    let (fine, refused) =
        ((401, "unauthorized".to_owned(), String::new()), (429, "rate_limited".to_owned(), "1".to_owned()));
    assert_eq!([ask([127, 0, 0, 1]).await, ask([127, 0, 0, 1]).await], [fine.clone(), fine.clone()]);
    assert_eq!(ask([127, 0, 0, 1]).await, refused);
    assert_eq!(ask([127, 0, 0, 2]).await, fine, "another address, whatever its header claims");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(ask([127, 0, 0, 1]).await, fine);
}

#[tokio::test]
async fn who_guesses_keys_is_told_to_wait_before_the_database_is_asked_and_a_key_counts_for_itself() {
    let app = TestApp::with(|settings| {
        settings.auth.cache_ms = 0;
        settings.http.rate_limit_loopback = true;
        settings.http.rate_limit_per_second = 1;
        settings.http.rate_limit_burst = 4;
    })
    .await;
    let key = new_key();
    app.app.store.add_key(&key.id, "known", &key.hash, Scope::Read).await.unwrap();
    let ask = async |key: String| {
        let request = Request::get("/v1/version").header("authorization", format!("Bearer {key}"));
        app.send(request.body(Body::empty()).unwrap()).await.status.as_u16()
    };
    assert_eq!(ask(key.key.clone()).await, 200);
    let database = sqlx::SqlitePool::connect(&app.app.settings.database.url).await.expect("the same file");
    sqlx::query("ALTER TABLE api_keys RENAME TO elsewhere").execute(&database).await.expect("renamed");
    let guesses = futures::future::join_all((0..20).map(|idx| ask(format!("cc_{idx}")))).await;
    assert!(guesses.contains(&429), "each asked the database: {guesses:?}");
    sqlx::query("ALTER TABLE elsewhere RENAME TO api_keys").execute(&database).await.expect("renamed");
    assert_eq!(ask(key.key.clone()).await, 200, "whoever guesses from the same address");
}

#[tokio::test(flavor = "multi_thread")]
async fn past_the_cap_on_computing_others_are_told_to_come_back_and_memory_answers_all_the_same() {
    let app = TestApp::with(|settings| {
        settings.http.computing_threads = 1;
        settings.http.max_computing_requests = 1;
    })
    .await;
    put(&app.app, &ticker("TEST"), &market("TEST", 420)).await;
    let cached = "/v1/tickers/TEST/forecast?model=har";
    assert_eq!(app.get(cached).await.status, StatusCode::OK);
    let (long, series) = (ticker("LONG"), market("LONG", 2_600));
    put(&app.app, &long, &series.slice(0..2_599)).await;
    publish(&app.app, &long, &series.slice(2_179..2_599), true).await;
    let champion = async || app.get("/v1/tickers/LONG/forecast").await.json()["as_of"].clone();
    let before = champion().await;

    let (go, wait) = std::sync::mpsc::channel::<()>();
    let turn = app.app.computing.turn();
    let working = turn.run(move || wait.recv());
    let asking = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let busy = (503, "overloaded".to_owned(), "1".to_owned());
        for path in [
            "/v1/tickers/TEST/forecast?model=ewma",
            "/v1/tickers/TEST/forecast?model=har&as_of=2024-06-03",
            "/v1/tickers/TEST/forecast?model=9",
            "/v1/forecasts?tickers=TEST&model=ewma",
            "/v1/tickers/LONG/bars",
            "/v1/tickers/LONG/backtests/0199d2f4-6d9a-7cc2-a7a4-5e2f5a3c1b11?format=csv",
        ] {
            assert_eq!(told(&app.get(path).await), busy, "{path}");
        }
        let window =
            r#"{"model": "naive", "bars": [{"session": "2024-01-02", "open": 1, "high": 1, "low": 1, "close": 1}]}"#;
        assert_eq!(told(&app.post_json("/v1/forecasts", window).await), busy);
        assert_eq!(app.get(cached).await.status, StatusCode::OK, "what is in memory is answered");
        assert_eq!(app.get("/v1/tickers/LONG/bars?limit=2000").await.status, StatusCode::OK, "so is a page of bars");
        let span = app.get("/v1/tickers/LONG/bars?from=2024-01-02&to=2024-06-28").await;
        assert_eq!(span.status, StatusCode::OK, "and a short span of a long history");
        put(&app.app, &long, &series).await;
        let moved = tokio::time::timeout(Duration::from_secs(20), champion()).await;
        assert_ne!(moved.expect("it waits for nobody"), before, "a bar came, and the champion has seen it");
        go.send(()).expect("it waits");
    };
    let (worked, ()) = tokio::join!(working, asking);
    worked.expect("computed").expect("told to go on");
    drop(turn);
    assert_eq!(app.get("/v1/tickers/TEST/forecast?model=ewma").await.status, StatusCode::OK, "there is room again");
}
