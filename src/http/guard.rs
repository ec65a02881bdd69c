//! The gate before every guarded route: room for the request, its time, who calls, how often, and what they may.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::Route;
use governor::clock::{Clock, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Api;
use super::auth::{self, Caller, Credentials};
use super::error::Problem;
use crate::config::HttpSettings;

/// One for all routes, and one layer for all it does: every layer more is a box more a request.
pub(super) struct Gate {
    api: Api,
    permits: Semaphore,
    max_time: Duration,
    rates: Option<Arc<DefaultKeyedRateLimiter<CallerKey>>>,
}

impl Gate {
    /// As the settings of `api` say. Runs inside a tokio runtime.
    pub(super) fn new(api: Api) -> Self {
        let http = &api.settings().http;
        let rates = rates(http).map(Arc::new);
        if let Some(rates) = &rates {
            tokio::spawn(forget_callers(Arc::clone(rates), api.0.stop.clone()));
        }
        Self { permits: Semaphore::new(http.max_concurrent_requests), max_time: http.request_timeout(), rates, api }
    }

    /// Checks the rate before the database is asked who calls.
    async fn caller(&self, credentials: Credentials, peer: Option<IpAddr>) -> Result<Caller, Problem> {
        let keys = &self.api.0.keys;
        self.check_rate(keys.seen(&credentials).await, peer)?;
        let caller = keys.caller(credentials, &self.api.app().store).await;
        caller.map_err(|error| Problem::unavailable(&error))
    }

    /// Counts requests by API key; those without one, and a key's first, by the address they come from, never by what a
    /// header claims.
    fn check_rate(&self, key: Option<Arc<str>>, peer: Option<IpAddr>) -> Result<(), Problem> {
        let Some(rates) = &self.rates else { return Ok(()) };
        let key = key.map_or_else(|| CallerKey::Address(peer.map(network)), CallerKey::Key);
        rates.check_key(&key).map_err(|refused| {
            let wait = refused.wait_time_from(DefaultClock::default().now());
            Problem::new("rate_limited", "Requests come faster than this server allows one caller.")
                .retry_after(wait.as_secs().max(1))
        })
    }
}

/// Lets a request through or says why not. Past `max_concurrent_requests` it is turned away (waiting would only make
/// all of them late), after `request_timeout_ms` given up.
pub(super) async fn pass(gate: Arc<Gate>, request: Request, next: Arc<Route>) -> Result<Response, Infallible> {
    let Ok(_permit) = gate.permits.try_acquire() else {
        let problem = Problem::new("overloaded", "Too many requests are being worked on.").retry_after(1);
        return Ok(problem.into_response());
    };
    let answering = async {
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
        let caller = gate.caller(Credentials::of(request.headers()), peer).await;
        match caller.and_then(|caller| auth::authorize(&request, &caller)) {
            Ok(()) => Route::clone(&next).oneshot(request).await,
            Err(problem) => Ok(problem.into_response()),
        }
    };
    tokio::time::timeout(gate.max_time, answering).await.unwrap_or_else(|_| {
        let detail = format!("This took longer than {} ms and was given up.", gate.max_time.as_millis());
        Ok(Problem::new("timeout", detail).retry_after(5).into_response())
    })
}

/// How often one caller may ask, where the settings limit that.
fn rates(settings: &HttpSettings) -> Option<DefaultKeyedRateLimiter<CallerKey>> {
    let is_off = settings.listen.ip().is_loopback() && !settings.rate_limit_loopback;
    let per_second = NonZeroU32::new(settings.rate_limit_per_second).filter(|_| !is_off)?;
    let burst = NonZeroU32::new(settings.rate_limit_burst)?;
    Some(RateLimiter::keyed(Quota::per_second(per_second).allow_burst(burst)))
}

/// Callers who went away must not be remembered for ever.
async fn forget_callers(rates: Arc<DefaultKeyedRateLimiter<CallerKey>>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(FORGET_EVERY)).await.is_some() {
        rates.retain_recent();
    }
}

const FORGET_EVERY: Duration = Duration::from_secs(60);

/// Whose requests are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum CallerKey {
    Key(Arc<str>),
    Address(Option<IpAddr>),
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
