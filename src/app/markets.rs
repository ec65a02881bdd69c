//! What the tickers of each exchange did together, kept in memory.
//!
//! A market is read when it is first asked for. After that answers take it as it is, and never wait for it: it is read again
//! in the background, of its tickers those whose bars changed, when some bars were stored and the last time is
//! [`refresh_ms`](crate::config::MarketSettings::refresh_ms) ago. If that changed it, its version does, and answers of before
//! look whether what they said still holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

use super::{App, ComputeError, FOLLOW_EVERY};
use crate::domain::{BarTime, Calendar, Interval, Series, Ticker};
use crate::features::market::footprints;
use crate::features::{Footprint, Market};
use crate::store::{StoreError, TickerRecord};

/// Why a market is not known.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its numbers could not be computed.
    #[error(transparent)]
    Compute(#[from] ComputeError),
}

/// The markets of a process.
#[derive(Debug, Default)]
pub(super) struct Markets {
    /// Whether bars of any ticker may have moved since markets were last read.
    has_moved: AtomicBool,
    by_exchange: Mutex<HashMap<String, Arc<Place>>>,
}

/// Where one market is kept.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// Its exchanges.
    mics: Vec<String>,
    /// As it was last read; `None` before it ever was.
    market: Mutex<Option<Arc<Market>>>,
    /// Of which bars that was; 0 before.
    version: AtomicI64,
    /// Whether anybody ever asked for it.
    is_asked_for: AtomicBool,
    /// Whose footprints it is made of, by the tickers' ids. Held while it is read, by one at a time.
    members: AsyncMutex<HashMap<i64, Member>>,
}

#[derive(Debug, Clone)]
struct Member {
    data_version: u64,
    footprints: Arc<[Footprint]>,
}

impl Place {
    fn new(mics: &[&str]) -> Self {
        Self { mics: mics.iter().map(ToString::to_string).collect(), ..Self::default() }
    }

    /// Of which bars it is; `None` before it was ever read.
    pub(super) fn version(&self) -> Option<i64> {
        Some(self.version.load(Ordering::Acquire)).filter(|version| *version != 0)
    }

    fn market(&self) -> Option<Arc<Market>> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Markets {
    /// Told when bars of any ticker may have moved.
    pub(super) fn moved(&self) {
        self.has_moved.store(true, Ordering::Release);
    }

    /// Of the exchanges whose sessions end together.
    fn of(&self, mics: &[&str]) -> Arc<Place> {
        let mut by_exchange = self.by_exchange.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_exchange.entry(mics.join(" ")).or_insert_with(|| Arc::new(Place::new(mics))))
    }

    fn asked_for(&self) -> Vec<Arc<Place>> {
        let by_exchange = self.by_exchange.lock().unwrap_or_else(PoisonError::into_inner);
        by_exchange.values().filter(|place| place.is_asked_for.load(Ordering::Acquire)).cloned().collect()
    }
}

/// Reading markets takes a tenth of the time at most: it rests so many times as long.
const REST: u32 = 9;

impl App {
    /// Whether what other tickers did may be known beside a ticker's bars.
    pub fn has_market(&self, record: &TickerRecord) -> bool {
        self.market_place(&record.calendar, record.interval).is_some()
    }

    pub(super) fn market_place(&self, calendar: &Calendar, interval: Interval) -> Option<Arc<Place>> {
        let may_have_one = self.settings.market.max_tickers > 0 && interval == Interval::Day;
        Market::calendars(calendar).filter(|_| may_have_one).map(|mics| self.markets.of(&mics))
    }

    /// A ticker's bars beside what its market did, as this process last saw that: for answers.
    ///
    /// # Errors
    /// When the market was never read and cannot be.
    pub async fn in_market(&self, record: &TickerRecord, series: Series) -> Result<Series, MarketError> {
        let Some(place) = self.market_place(&record.calendar, record.interval) else { return Ok(series) };
        let market = match place.market() {
            Some(market) => market,
            None => self.read_market(&place).await?,
        };
        self.around(market, record, series).await
    }

    /// The same with the market as it is now: for what takes longer than to look.
    ///
    /// # Errors
    /// When the market cannot be read.
    pub async fn in_newest_market(&self, record: &TickerRecord, series: Series) -> Result<Series, MarketError> {
        match self.market_place(&record.calendar, record.interval) {
            Some(place) => self.around(self.read_market(&place).await?, record, series).await,
            None => Ok(series),
        }
    }

    async fn around(&self, market: Arc<Market>, record: &TickerRecord, series: Series) -> Result<Series, MarketError> {
        let ticker = record.ticker.clone();
        Ok(self.computing.catch_up(move || market.around(&ticker, series)).await?)
    }

    /// Takes up what moved in the markets that were ever asked for.
    ///
    /// # Errors
    /// When one could not be read: it stays as it was, and is tried again the next time.
    pub async fn refresh_markets(&self) -> Result<(), MarketError> {
        let mut outcome = Ok(());
        if self.markets.has_moved.swap(false, Ordering::AcqRel) {
            for place in self.markets.asked_for() {
                if let Err(error) = self.read_market(&place).await {
                    self.markets.moved();
                    outcome = Err(error);
                }
            }
        }
        outcome
    }

    /// Keeps markets up to date.
    pub(super) async fn follow_markets(&self) {
        let least = Duration::from_millis(self.settings.market.refresh_ms).max(FOLLOW_EVERY);
        let mut rest = least;
        loop {
            tokio::time::sleep(rest).await;
            let begun = Instant::now();
            if let Err(error) = self.refresh_markets().await {
                tracing::warn!(%error, "cannot see what other tickers did; forecasts know their market as it was");
            }
            rest = least.max(begun.elapsed() * REST);
        }
    }

    /// A market as it is stored now.
    async fn read_market(&self, place: &Place) -> Result<Arc<Market>, MarketError> {
        // Before the tickers are looked at: what moves after that is followed.
        place.is_asked_for.store(true, Ordering::Release);
        let mut members = place.members.lock().await;
        let records = self.store.tickers_of_market(&place.mics, self.settings.market.max_tickers).await?;
        let version = version(&records);
        if let Some(market) = place.market().filter(|_| place.version() == Some(version)) {
            return Ok(market);
        }
        let mut now = HashMap::with_capacity(records.len());
        let mut all: Vec<(Ticker, Arc<[Footprint]>)> = Vec::with_capacity(records.len());
        for record in records {
            let kept = members.get(&record.id).filter(|kept| kept.data_version == record.data_version);
            let member = match kept {
                Some(kept) => kept.clone(),
                None => self.read_member(&record).await?,
            };
            all.push((record.ticker, Arc::clone(&member.footprints)));
            now.insert(record.id, member);
        }
        let market = Arc::new(self.computing.catch_up(move || Market::new(all)).await?);
        *members = now;
        *place.market.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&market));
        // After the market is there for who looks because of it.
        place.version.store(version, Ordering::Release);
        Ok(market)
    }

    /// One whose bars are not what can be stored is left out: the others have a market all the same.
    async fn read_member(&self, record: &TickerRecord) -> Result<Member, MarketError> {
        let (first, last) = (BarTime::from_seconds(i64::MIN), BarTime::from_seconds(i64::MAX));
        // Bars may be newer than the record: the next look finds it moved and reads them again.
        let footprints = match self.store.bars(record.id, first, last, u64::MAX).await {
            Ok(bars) => match Series::new(record.interval, bars) {
                Ok(series) => self.computing.catch_up(move || footprints(&series)).await?,
                Err(error) => left_out(record, &error),
            },
            Err(error @ StoreError::Corrupt { .. }) => left_out(record, &error),
            Err(error) => return Err(error.into()),
        };
        Ok(Member { data_version: record.data_version, footprints: footprints.into() })
    }
}

fn left_out(record: &TickerRecord, error: &dyn std::error::Error) -> Vec<Footprint> {
    tracing::error!(ticker = %record.ticker, %error, "the market of {} goes without it", record.calendar);
    Vec::new()
}

/// Of the tickers that make a market and their bars, above 0.
fn version(records: &[TickerRecord]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    for TickerRecord { id, data_version, .. } in records {
        hasher.update(&id.to_le_bytes());
        hasher.update(&data_version.to_le_bytes());
    }
    let [first, ..] = *hasher.finalize().as_bytes().as_chunks::<8>().0 else { return 1 };
    (i64::from_le_bytes(first) & i64::MAX).max(1)
}
