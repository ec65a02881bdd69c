//! What a running process owns, built once.

mod computing;
mod markets;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex, Notify};
use tokio_util::sync::CancellationToken;

use crate::config::Settings;
use crate::domain::Ticker;
use crate::registry::{Registry, RegistryError};
use crate::store::{Moved, Store, StoreError};
pub use computing::{ComputeError, Computing, Turn};
pub use markets::MarketError;
use markets::{Markets, Place};

/// The parts that requests, jobs and commands share.
#[derive(Debug)]
pub struct App {
    /// The settings the process runs with.
    pub settings: Settings,
    /// The database.
    pub store: Store,
    /// Model versions and their artifacts.
    pub registry: Registry,
    /// Wakes this process's workers when it queued a job; jobs of other processes are found by looking.
    pub job_queued: Notify,
    /// The processors, as answers share them.
    pub computing: Computing,
    revisions: Revisions,
    markets: Markets,
    unsettled: Unsettled,
}

/// Why a process cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The artifacts.
    #[error(transparent)]
    Registry(#[from] RegistryError),
}

impl App {
    /// Opens database and artifacts, making what is missing.
    ///
    /// # Errors
    /// When either cannot be opened.
    pub async fn open(settings: Settings) -> Result<Self, AppError> {
        let store = Store::connect(&settings.database).await?;
        let registry = Registry::open(&settings.models_dir, store.clone())?;
        let computing = Computing::new(&settings.http);
        let app = Self {
            settings,
            store,
            registry,
            job_queued: Notify::new(),
            computing,
            revisions: Revisions::default(),
            markets: Markets::default(),
            unsettled: Unsettled::default(),
        };
        app.refresh().await?;
        Ok(app)
    }

    /// How a ticker stands, as this process knows it. `None`: no such ticker.
    pub fn state(&self, ticker: &Ticker) -> Option<TickerState> {
        self.revisions.of(ticker)
    }

    /// Takes up what moved in the database. Called after each change that this process makes, so that who
    /// sent it reads it, and by [`follow`](Self::follow) for changes that other processes make.
    ///
    /// # Errors
    /// When the database fails; what was known stays.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        self.revisions.refresh(self).await
    }

    /// Takes up tickers whose training could not be queued, to see to them later: those that nobody sees to yet.
    pub fn claim_unsettled(&self, tickers: impl IntoIterator<Item = Ticker>) -> Vec<Ticker> {
        self.unsettled.claim(tickers)
    }

    /// Leaves a ticker that was taken up so.
    pub fn release_unsettled(&self, ticker: &Ticker) {
        self.unsettled.release(ticker);
    }

    /// Takes up what other processes change, and what other tickers did, until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        tokio::join!(self.follow_revisions(&stop), stop.run_until_cancelled(self.follow_markets()));
    }

    async fn follow_revisions(&self, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(FOLLOW_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if let Err(error) = self.refresh().await {
                tracing::warn!(%error, "cannot see what other processes changed; answers may be old until this works again");
            }
        }
    }
}

/// Tickers whose training could not be queued; each is seen to once.
#[derive(Debug, Default)]
struct Unsettled(std::sync::Mutex<HashSet<Ticker>>);

impl Unsettled {
    fn claim(&self, tickers: impl IntoIterator<Item = Ticker>) -> Vec<Ticker> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickers.into_iter().filter(|ticker| all.insert(ticker.clone())).collect()
    }

    fn release(&self, ticker: &Ticker) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(ticker);
    }
}

/// How long an answer of this process may lag behind a change made by another one.
const FOLLOW_EVERY: Duration = Duration::from_millis(250);

/// How a ticker stands: an answer made while it stood so is still right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TickerState {
    /// The newest change of the ticker.
    pub revision: i64,
    /// What its market is known to have done, as a number that is the same in all processes: 0 where it has none, `None`
    /// while this process never read it.
    pub market: Option<i64>,
}

#[derive(Debug)]
struct Known {
    revision: i64,
    market: Option<Arc<Place>>,
}

/// The newest known revision of every ticker, and where what its market did is kept.
#[derive(Debug, Default)]
struct Revisions {
    known: RwLock<HashMap<Ticker, Known>>,
    /// The highest revision taken up; held while refreshing, so that refreshes do not overtake each other.
    taken_up: Mutex<i64>,
}

impl Revisions {
    fn of(&self, ticker: &Ticker) -> Option<TickerState> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let Known { revision, market } = known.get(ticker)?;
        Some(TickerState { revision: *revision, market: market.as_ref().map_or(Some(0), |place| place.version()) })
    }

    async fn refresh(&self, app: &App) -> Result<(), StoreError> {
        let mut taken_up = self.taken_up.lock().await;
        let moved = app.store.moved_since(*taken_up).await?;
        if moved.is_empty() {
            return Ok(());
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for Moved { ticker, revision, is_alive, kind } in moved {
            *taken_up = revision.max(*taken_up);
            let market = kind.and_then(|(calendar, interval)| app.market_place(&calendar, interval));
            match is_alive {
                true => known.insert(ticker, Known { revision, market }),
                false => known.remove(&ticker),
            };
        }
        drop(known);
        app.markets.moved();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ticker_whose_training_waits_is_seen_to_once() {
        let unsettled = Unsettled::default();
        let tickers = || ["A", "B"].map(|name| name.parse::<Ticker>().expect("a ticker"));
        assert_eq!(unsettled.claim(tickers()), tickers());
        assert_eq!(unsettled.claim(tickers()), []);
        unsettled.release(&tickers()[1]);
        assert_eq!(unsettled.claim(tickers()), tickers()[1..]);
    }
}
