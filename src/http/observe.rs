//! Around every request: its id, one line of log, its metrics, panics, safe headers, and the body of what went wrong.

use std::any::Any;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use metrics::Label;
use tracing::Instrument;
use uuid::Uuid;

use super::error::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers carry the id of their request, problems in their body too; each is logged and counted once.
pub(super) async fn observe(request: Request, next: Next) -> Response {
    let started = Instant::now();
    let id = request_id(request.headers());
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());

    let span = tracing::info_span!("request", id = %id);
    let answering = AssertUnwindSafe(next.run(request)).catch_unwind();
    let answered = answering.instrument(span.clone()).await;
    let mut response = answered.unwrap_or_else(|panic| on_panic(panic.as_ref()));
    harden(response.headers_mut());
    let code = write_problem(&mut response, &id);
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }

    let status = response.status().as_u16();
    let elapsed = started.elapsed();
    let labels = vec![
        Label::from_static_parts("method", method_label(&method)),
        Label::new("route", route),
        Label::new("status", response.status().as_str().to_owned()),
    ];
    metrics::histogram!("candlecast_http_request_duration_seconds", labels).record(elapsed.as_secs_f64());
    let duration_ms = elapsed.as_secs_f64() * 1e3;
    let _entered = span.enter();
    tracing::info!(
        target: "candlecast::access",
        %method, path = uri.path(), status, code, duration_ms, peer = peer.map(tracing::field::display), "answered"
    );
    response
}

/// A panic ends its request with a 500 and nothing else; what it said goes to the log.
fn on_panic(payload: &(dyn Any + Send)) -> Response {
    let said = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned());
    Problem::internal(format!("panic: {said}")).into_response()
}

/// Nothing here may be framed, sniffed or sent on.
fn harden(headers: &mut HeaderMap) {
    // At once: a map that grows as it is filled allocates again and again.
    headers.reserve(8);
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The client's own id where it is one that can be searched for, else a new one (UUID v7: it sorts by time).
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(is_plain)
        .map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Writes the body of a problem; its code.
fn write_problem(response: &mut Response, id: &str) -> Option<&'static str> {
    let problem = response.extensions_mut().remove::<Problem>()?;
    let body = problem.body(id);
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
    Some(problem.code())
}

/// Methods that clients make up must not make up series of metrics.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
