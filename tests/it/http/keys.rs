//! Who may call: keys, and what an open server answers.

use axum::body::Body;
use axum::http::{Method, Request, StatusCode, Version};
use candlecast::http::new_key;
use candlecast::store::Scope;
use insta::assert_snapshot;

use crate::support::app::{Answer, TestApp};

async fn with_key(app: &TestApp, key: &str) -> Answer {
    let request = Request::get("/v1/tickers").header("authorization", format!("Bearer {key}"));
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_key_is_asked_for_as_soon_as_one_exists_and_its_scope_holds() {
    let app = TestApp::with(|settings| settings.auth.cache_ms = 0).await;
    assert_eq!(app.get("/v1/tickers").await.status, StatusCode::OK);
    let (reader, writer) = (new_key(), new_key());
    app.app.store.add_key(&reader.id, "reader", &reader.hash, Scope::Read).await.unwrap();
    app.app.store.add_key(&writer.id, "writer", &writer.hash, Scope::Write).await.unwrap();

    assert_snapshot!(app.get("/v1/tickers").await.shown(), @r#"
    401 Unauthorized
    {
      "code": "unauthorized",
      "detail": "Send an API key as `Authorization: Bearer KEY`; `candlecast keys create --name NAME --scope read` makes one.",
      "request_id": "[request_id]",
      "status": 401,
      "title": "Unauthorized",
      "type": "/docs/problems#unauthorized"
    }
    "#);
    assert_eq!(app.get("/v1/tickers").await.header("www-authenticate"), "Bearer realm=\"candlecast\"");
    assert_eq!(app.get("/healthz").await.status, StatusCode::OK);
    let ask = async |method: Method, path: &str, authorization: &str| {
        let request = Request::builder().method(method).uri(path).header("authorization", authorization);
        app.send(request.body(Body::empty()).unwrap()).await
    };
    let bearer = |key: &str| format!("Bearer {key}");
    assert_eq!(ask(Method::GET, "/v1/tickers", &bearer(&reader.key)).await.status, StatusCode::OK);
    assert_eq!(ask(Method::GET, "/v1/tickers", "Basic eDp5").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(Method::GET, "/v1/tickers", &bearer("cc_wrong")).await.status, StatusCode::UNAUTHORIZED);
    let patch = ask(Method::PATCH, "/v1/tickers/AAPL", &bearer(&reader.key)).await;
    assert_snapshot!(patch.shown(), @r#"
    403 Forbidden
    {
      "code": "forbidden",
      "detail": "This needs the scope write; the key has read.",
      "needed": "write",
      "request_id": "[request_id]",
      "status": 403,
      "title": "Forbidden",
      "type": "/docs/problems#forbidden"
    }
    "#);
    assert_eq!(ask(Method::PATCH, "/v1/tickers/AAPL", &bearer(&writer.key)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(ask(Method::DELETE, "/v1/tickers/AAPL", &bearer(&writer.key)).await.status, StatusCode::FORBIDDEN);
    app.app.store.revoke_key(&reader.id).await.unwrap();
    assert_eq!(ask(Method::GET, "/v1/tickers", &bearer(&reader.key)).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn an_open_server_is_no_tool_for_web_pages() {
    let app = TestApp::new().await;
    let ask = async |name: &str, value: &str| {
        let request = Request::get("/v1/tickers").header("host", "localhost:8080").header(name, value);
        app.send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(ask("origin", "http://localhost:8080").await.status, StatusCode::OK);
    assert_eq!(ask("origin", "https://evil.example").await.json()["code"], "cross_origin");
    let posted = |site: &str| {
        let request = Request::post("/v1/bars").header("host", "localhost:8080").header("sec-fetch-site", site);
        app.send(request.header("content-type", "text/csv").body(Body::empty()).unwrap())
    };
    assert_eq!(posted("cross-site").await.json()["code"], "cross_origin");
    assert_ne!(posted("same-origin").await.json()["code"], "cross_origin");
    let rebound = Request::get("/v1/tickers").header("host", "evil.example:8080").body(Body::empty()).unwrap();
    let rebound = app.send(rebound).await.json();
    assert_eq!(rebound["code"], "foreign_host");
    let ways_out = [rebound, ask("origin", "https://evil.example").await.json(), posted("cross-site").await.json()];
    for refusal in ways_out {
        let detail = refusal["detail"].as_str().unwrap();
        assert!(detail.contains("http://localhost:8080") && detail.contains("candlecast keys create"), "{detail}");
    }
}

#[tokio::test]
async fn an_open_server_answers_nobody_who_comes_through_a_proxy() {
    let app = TestApp::new().await;
    let ask = async |name: &str, version: Version| {
        let request = Request::get("/v1/tickers").header("host", "127.0.0.1:8080").header(name, "203.0.113.9");
        app.send(request.version(version).body(Body::empty()).unwrap()).await
    };
    for name in ["forwarded", "x-forwarded-for", "x-real-ip", "via"] {
        let answer = ask(name, Version::HTTP_11).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{name}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(name) && detail.contains("candlecast keys create"), "{detail}");
    }
    assert_eq!(ask("x-other", Version::HTTP_10).await.status, StatusCode::UNAUTHORIZED, "as nginx speaks by default");
    assert_eq!(ask("x-other", Version::HTTP_11).await.status, StatusCode::OK);

    // Who has a key may come through a proxy, and what the proxy says counts for nothing.
    let key = new_key();
    app.app.store.add_key(&key.id, "proxied", &key.hash, Scope::Read).await.unwrap();
    let request = Request::get("/v1/tickers").header("x-forwarded-for", "127.0.0.1").header("host", "api.example");
    let request = request.header("authorization", format!("Bearer {}", key.key)).body(Body::empty()).unwrap();
    assert_eq!(app.send(request).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_server_that_had_keys_stays_closed_when_all_are_revoked() {
    let app = TestApp::with(|settings| settings.auth.cache_ms = 0).await;
    let key = new_key();
    app.app.store.add_key(&key.id, "only", &key.hash, Scope::Admin).await.unwrap();
    assert_eq!(with_key(&app, &key.key).await.status, StatusCode::OK);
    app.app.store.revoke_key(&key.id).await.unwrap();
    for refused in [app.get("/v1/tickers").await, with_key(&app, &key.key).await] {
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
        assert!(refused.text().contains("candlecast keys create"), "{}", refused.text());
    }
}

#[tokio::test]
async fn a_key_works_as_soon_as_it_is_made_also_where_it_was_tried_before() {
    let app = TestApp::new().await;
    let key = new_key();
    assert_eq!(with_key(&app, &key.key).await.status, StatusCode::UNAUTHORIZED);
    app.app.store.add_key(&key.id, "late", &key.hash, Scope::Read).await.unwrap();
    assert_eq!(with_key(&app, &key.key).await.status, StatusCode::OK);
}
