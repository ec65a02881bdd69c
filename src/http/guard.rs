//! What keeps one client, or one fault, from the others: panics, concurrency, time-outs, rates, headers.

use std::any::Any;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::KeyExtractor;
use tower_governor::{GovernorError, GovernorLayer};

use super::Api;
use super::auth::Caller;
use super::error::Problem;
use crate::config::HttpSettings;

/// A panic ends its request with a 500 and nothing else; what it said goes to the log.
#[expect(clippy::needless_pass_by_value, reason = "the signature that CatchPanic calls")]
pub(super) fn on_panic(payload: Box<dyn Any + Send + 'static>) -> Response {
    let said = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned());
    Problem::internal(format!("panic: {said}")).into_response()
}

/// Turns requests away while `max_concurrent_requests` are worked on: waiting would only make all of them late.
pub(super) async fn limit_concurrency(State(permits): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    match permits.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::new("overloaded", "Too many requests are being worked on.").retry_after(1).into_response(),
    }
}

/// Gives up after `request_timeout_ms`.
pub(super) async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("This took longer than {} ms and was given up.", limit.as_millis());
            Problem::new("timeout", detail).retry_after(5).into_response()
        }
    }
}

/// Nothing here may be framed, sniffed or sent on.
pub(super) async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Limits how often one caller may ask, where the settings say so.
pub(super) fn limit_rate(router: Router<Api>, settings: &HttpSettings, stop: &CancellationToken) -> Router<Api> {
    let is_off = settings.listen.ip().is_loopback() && !settings.rate_limit_loopback;
    let Some(period) = Duration::from_secs(1).checked_div(settings.rate_limit_per_second).filter(|_| !is_off) else {
        return router;
    };
    let built = GovernorConfigBuilder::default()
        .period(period)
        .burst_size(settings.rate_limit_burst)
        .key_extractor(ByCaller)
        .finish();
    // None only for a burst or a period of 0, which the settings refuse.
    let Some(config) = built else { return router };
    let (limiter, stop) = (Arc::clone(config.limiter()), stop.clone());
    tokio::spawn(async move {
        // Callers who went away must not be remembered for ever.
        while stop.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
            limiter.retain_recent();
        }
    });
    router.layer(GovernorLayer::new(config).error_handler(|refusal| too_often(&refusal).into_response()))
}

const FORGET_EVERY: Duration = Duration::from_secs(60);

fn too_often(refusal: &GovernorError) -> Problem {
    match refusal {
        GovernorError::TooManyRequests { wait_time, .. } => {
            Problem::new("rate_limited", "Requests come faster than this server allows one caller.")
                .retry_after(*wait_time)
        }
        other => Problem::internal(other),
    }
}

/// Counts requests by API key; those without one by the address they come from, never by what a header claims.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByCaller;

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum CallerKey {
    Key(Arc<str>),
    Address(Option<IpAddr>),
}

impl KeyExtractor for ByCaller {
    type Key = CallerKey;

    fn extract<T>(&self, request: &axum::http::Request<T>) -> Result<CallerKey, GovernorError> {
        if let Some(Caller::Key { id, .. }) = request.extensions().get() {
            return Ok(CallerKey::Key(Arc::clone(id)));
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| network(peer.ip()));
        Ok(CallerKey::Address(peer))
    }
}

/// An IPv6 client has a whole /64 to send from.
fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => std::net::Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        },
    }
}
