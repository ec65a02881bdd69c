//! Around every request: its id, one line of log, its metrics, panics, safe headers, and the body of what went wrong.

use std::any::Any;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{ConnectInfo, MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use futures::FutureExt;
use tower::ServiceExt;
use tracing::Instrument;
use uuid::Uuid;

use super::error::Problem;
use super::metrics;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Answers carry the id of their request, problems in their body too; each is logged and counted once.
pub(super) async fn observe(request: Request, next: Arc<Route>) -> Result<Response, Infallible> {
    let started = Instant::now();
    let header = request_id(request.headers());
    let id = header.to_str().unwrap_or_default();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let method = request.method().clone();
    let uri = request.uri().clone();
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());

    let span = tracing::info_span!("request", id = %id);
    let answering = AssertUnwindSafe(Route::clone(&next).oneshot(request)).catch_unwind();
    let answered = answering.instrument(span.clone()).await;
    let Ok(mut response) = answered.unwrap_or_else(|panic| Ok(on_panic(panic.as_ref())));
    harden(response.headers_mut());
    let code = write_problem(&mut response, id);
    response.headers_mut().insert(REQUEST_ID, header);

    let status = response.status();
    let seconds = started.elapsed().as_secs_f64();
    let route = route.as_ref().map_or("unmatched", MatchedPath::as_str);
    metrics::answered(route, method_label(&method), status, seconds);
    let _entered = span.enter();
    tracing::info!(
        target: "candlecast::access",
        %method, path = uri.path(), status = status.as_u16(), code, duration_ms = seconds * 1e3,
        peer = peer.map(tracing::field::display), "answered"
    );
    Ok(response)
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
        (RESOURCE_POLICY, "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// The client's own id where it is one that can be searched for, else a new one (UUID v7: it sorts by time).
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |id: &&HeaderValue| {
        (1..=64).contains(&id.len()) && id.as_bytes().iter().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(c))
    };
    headers.get(REQUEST_ID).filter(is_plain).cloned().unwrap_or_else(new_id)
}

#[expect(clippy::expect_used, reason = "hexadecimal digits and hyphens can stand in a header")]
fn new_id() -> HeaderValue {
    let mut text = Uuid::encode_buffer();
    HeaderValue::from_str(Uuid::now_v7().hyphenated().encode_lower(&mut text)).expect("digits and hyphens")
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
