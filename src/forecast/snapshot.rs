//! What a forecast needs of a ticker, kept in memory until the ticker's revision moves.

use std::sync::Arc;

use moka::future::Cache;

use crate::app::App;
use crate::domain::{BarTime, Series, Ticker};
use crate::registry::LoadedModel;
use crate::store::{Store, StoreError, TickerRecord};

use super::{ForecastError, ForecastWarning, ModelChoice};

/// A ticker as of one revision.
#[derive(Debug)]
pub(super) struct Snapshot {
    revision: i64,
    pub(super) record: TickerRecord,
    /// The newest bars, as many as the champion reads.
    pub(super) newest: Arc<Series>,
    pub(super) champion: Option<Arc<LoadedModel>>,
    /// Why `champion` is an older version than the one promoted, if it is.
    pub(super) champion_refused: Option<String>,
    /// Bars after the last one that the champion was trained on.
    pub(super) champion_age_bars: u64,
}

impl Snapshot {
    /// That another version than the champion answers, and why.
    pub(super) fn refusal_warning(&self, asked: ModelChoice) -> Option<ForecastWarning> {
        let refused = self.champion_refused.as_ref().filter(|_| asked == ModelChoice::Champion)?;
        let message = format!("an older version answers: {refused}; train again or promote another one");
        Some(ForecastWarning { code: "champion_refused", message })
    }
}

/// Snapshots of the tickers asked for lately.
#[derive(Debug)]
pub(super) struct Snapshots {
    kept: Cache<Ticker, Arc<Snapshot>>,
}

/// Bars kept for all tickers together; a bar is 56 bytes.
const KEPT_BARS: u64 = 4_000_000;

/// Bars that a snapshot holds where no champion says how many it reads.
const BARS_WITHOUT_CHAMPION: u64 = 300;

impl Snapshots {
    pub(super) fn new() -> Self {
        let weigh = |_: &Ticker, snapshot: &Arc<Snapshot>| snapshot.newest.len() as u32 + 100;
        Self { kept: Cache::builder().max_capacity(KEPT_BARS).weigher(weigh).build() }
    }

    /// The ticker as it is now: from memory where its revision has not moved.
    pub(super) async fn get(&self, app: &App, ticker: &Ticker) -> Result<Arc<Snapshot>, ForecastError> {
        // The revision is read first: what is read after it is at least as new as its tag says.
        let unknown = || ForecastError::UnknownTicker { ticker: ticker.clone() };
        let revision = app.revision(ticker).ok_or_else(unknown)?;
        if let Some(kept) = self.kept.get(ticker).await.filter(|kept| kept.revision == revision) {
            return Ok(kept);
        }
        let record = app.store.ticker(ticker).await?.ok_or_else(unknown)?;
        let (champion, refusal) = app.registry.serving(&record).await?.unzip();
        let champion_refused = refusal.flatten().map(|refusal| refusal.to_string());
        let reads = champion.as_ref().map_or(BARS_WITHOUT_CHAMPION, |loaded| loaded.model.memory() as u64);
        let newest = newest_bars(&app.store, &record, None, reads).await?;
        let champion_age_bars = match &champion {
            Some(loaded) => app.store.count_bars_after(record.id, loaded.manifest.last).await?,
            None => 0,
        };
        let newest = Arc::new(newest);
        let snapshot = Snapshot { revision, record, newest, champion, champion_refused, champion_age_bars };
        let snapshot = Arc::new(snapshot);
        self.kept.insert(ticker.clone(), Arc::clone(&snapshot)).await;
        Ok(snapshot)
    }
}

/// The newest `count` bars up to `as_of`.
pub(super) async fn newest_bars(
    store: &Store,
    record: &TickerRecord,
    as_of: Option<BarTime>,
    count: u64,
) -> Result<Series, StoreError> {
    let to = as_of.unwrap_or(BarTime::from_seconds(i64::MAX));
    let bars = store.newest_bars(record.id, to, count).await?;
    Series::new(record.interval, bars)
        .map_err(|error| StoreError::Corrupt { what: "the order of bars", reason: error.to_string() })
}
