//! The HTTP API and the page: routes, wire types, problems.
//!
//! A handler extracts, calls one function of a room above and wraps what it gives; `routes` is the whole map.
//! Wire types are this room's own, so that a change of a domain type never changes the contract by accident.
//! Around all handlers stand two layers: `observe` (request id, log, metrics, panics, bodies of problems) and
//! `guard` (the cap on concurrent requests, the time-out, who calls, how often, what that caller may).
//!
//! Absent on purpose: work. Bars are read and stored by `jobs::ingest`, which the command line joins too.

mod auth;
mod backtests;
mod bars;
mod chart;
mod codes;
mod docs;
mod error;
mod extract;
mod forecasts;
mod guard;
mod jobs;
mod ledger;
mod local;
mod metrics;
mod models;
mod observe;
mod page;
mod routes;
mod server;
mod service;
mod tickers;
mod upload;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Settings;
use crate::forecast::Forecaster;
use crate::store::StoreError;
pub use auth::{NewKey, new_key};
pub use routes::{openapi, router};

/// What handlers share.
#[derive(Clone)]
pub struct Api(Arc<Shared>);

struct Shared {
    app: Arc<App>,
    stop: CancellationToken,
    keys: auth::Keys,
    /// One permit is a KiB of request body in memory.
    bodies: Arc<Semaphore>,
    event_streams: Arc<Semaphore>,
    forecaster: Forecaster,
    forecasts: forecasts::ForecastCache,
}

impl Api {
    /// The state of one server over `app`; `stop` ends event streams and makes `/readyz` say no.
    pub fn new(app: Arc<App>, stop: CancellationToken) -> Self {
        let http = &app.settings.http;
        Self(Arc::new(Shared {
            keys: auth::Keys::new(&app.settings),
            bodies: Arc::new(Semaphore::new((http.max_bodies_bytes >> 10).min(Semaphore::MAX_PERMITS))),
            event_streams: Arc::new(Semaphore::new(http.max_event_streams)),
            forecaster: Forecaster::new(Arc::clone(&app)),
            forecasts: forecasts::ForecastCache::new(),
            app,
            stop,
        }))
    }

    fn app(&self) -> &Arc<App> {
        &self.0.app
    }

    fn settings(&self) -> &Settings {
        &self.0.app.settings
    }
}

/// A server that is bound, and not yet answering.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    api: Api,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others could call, and nothing tells them apart.
    #[error(
        "refusing to listen on {address}, which others can reach, without an API key: make one with `candlecast keys create --name NAME --scope write`, or listen on 127.0.0.1"
    )]
    NoKey {
        /// The address asked for.
        address: SocketAddr,
    },
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}; {}", another(.address))]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What to pass where an address is taken.
pub(crate) fn another(taken: &SocketAddr) -> String {
    let beside = |port: u16| SocketAddr::new(taken.ip(), port);
    format!("name another port with --listen {}, or any free one with --listen {}", beside(taken.port() ^ 1), beside(0))
}

impl Server {
    /// Takes the address of the settings. Clients may connect from here on; they are answered once it
    /// [`run`](Self::run)s.
    ///
    /// # Errors
    /// When the address is beyond loopback and no API key exists, or it cannot be bound.
    pub async fn bind(app: Arc<App>, stop: CancellationToken) -> Result<Self, ServeError> {
        let address = app.settings.http.listen;
        auth::bootstrap(&app).await?;
        if !address.ip().is_loopback() && !app.store.has_keys().await? {
            return Err(ServeError::NoKey { address });
        }
        let failed = |source| ServeError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, api: Api::new(app, stop) })
    }

    /// Where it listens; the port is a real one even when 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, then finishes what was accepted within `http.shutdown_timeout_ms`.
    pub async fn run(self) {
        let settings = self.api.settings().http.clone();
        let stop = self.api.0.stop.clone();
        let upkeep = tokio::spawn(metrics::upkeep(stop.clone()));
        server::serve(self.listener, router(self.api), &settings, &stop).await;
        upkeep.abort();
    }
}
