//! What the tickers of each exchange did together, kept in memory.
//!
//! A market is read when it is first asked for. After that answers take it as it is, and never wait for it: it is read again
//! in the background, of its tickers those whose bars changed, when some bars were stored and the last time is
//! [`refresh_ms`](crate::config::MarketSettings::refresh_ms) ago. If that changed it, the *epoch* rises, and answers of before
//! look whether what they said still holds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;
use tokio_util::sync::CancellationToken;

use super::{App, ComputeError};
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
    epoch: AtomicU64,
    /// Whether bars of any ticker may have moved since markets were last read.
    has_moved: AtomicBool,
    by_calendar: Mutex<HashMap<Calendar, Arc<Place>>>,
}

/// Where one exchange's market is kept.
#[derive(Debug, Default)]
struct Place {
    /// As it was last read; `None` before it ever was.
    market: Mutex<Option<Arc<Market>>>,
    /// Whose footprints it is made of. Held while it is read, by one at a time.
    members: AsyncMutex<Vec<Member>>,
}

#[derive(Debug, Clone)]
struct Member {
    ticker: Ticker,
    data_version: u64,
    footprints: Arc<[Footprint]>,
}

impl Place {
    fn market(&self) -> Option<Arc<Market>> {
        self.market.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Markets {
    /// Told when bars of any ticker may have moved.
    pub(super) fn moved(&self) {
        self.has_moved.store(true, Ordering::Release);
    }

    /// Rises when a market changed: an answer made before may not know what it does now.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn of(&self, calendar: &Calendar) -> Arc<Place> {
        let mut by_calendar = self.by_calendar.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_calendar.entry(calendar.clone()).or_default())
    }

    fn calendars(&self) -> Vec<Calendar> {
        self.by_calendar.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }
}

/// Reading markets may take this share of the time at most.
const SHARE: u32 = 10;

impl App {
    /// Whether what other tickers did may be known beside a ticker's bars.
    pub fn has_market(&self, record: &TickerRecord) -> bool {
        self.settings.market.max_tickers > 0 && record.interval == Interval::Day && Market::has(&record.calendar)
    }

    /// A ticker's bars beside what its market did, as this process last saw that: for answers.
    ///
    /// # Errors
    /// When the market was never read and cannot be.
    pub async fn in_market(&self, record: &TickerRecord, series: Series) -> Result<Series, MarketError> {
        if !self.has_market(record) {
            return Ok(series);
        }
        let market = match self.markets.of(&record.calendar).market() {
            Some(market) => market,
            None => self.read_market(&record.calendar).await?,
        };
        Ok(market.around(&record.ticker, series))
    }

    /// The same with the market as it is now: for what takes longer than to look.
    ///
    /// # Errors
    /// When the market cannot be read.
    pub async fn in_newest_market(&self, record: &TickerRecord, series: Series) -> Result<Series, MarketError> {
        match self.has_market(record) {
            true => Ok(self.read_market(&record.calendar).await?.around(&record.ticker, series)),
            false => Ok(series),
        }
    }

    /// Takes up what moved in the markets that were ever asked for.
    ///
    /// # Errors
    /// When one cannot be read; it stays as it was, and those after it.
    pub async fn refresh_markets(&self) -> Result<(), MarketError> {
        if self.markets.has_moved.swap(false, Ordering::AcqRel) {
            for calendar in self.markets.calendars() {
                self.read_market(&calendar).await.inspect_err(|_| self.markets.moved())?;
            }
        }
        Ok(())
    }

    /// Keeps markets up to date, until `stop`.
    pub(super) async fn follow_markets(&self, stop: &CancellationToken) {
        let mut pause = Duration::from_millis(self.settings.market.refresh_ms).max(super::FOLLOW_EVERY);
        let least = pause;
        while stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_some() {
            let begun = Instant::now();
            if let Err(error) = self.refresh_markets().await {
                tracing::warn!(%error, "cannot see what other tickers did; forecasts know their market as it was");
            }
            pause = least.max(begun.elapsed() * SHARE);
        }
    }

    /// The market of an exchange as it is stored now.
    async fn read_market(&self, calendar: &Calendar) -> Result<Arc<Market>, MarketError> {
        let place = self.markets.of(calendar);
        let mut members = place.members.lock().await;
        let records = self.store.tickers_of_market(calendar, self.settings.market.max_tickers).await?;
        let known = members.iter().map(|member| (&member.ticker, member.data_version));
        if let Some(market) = place.market()
            && records.iter().map(|record| (&record.ticker, record.data_version)).eq(known)
        {
            return Ok(market);
        }
        let mut now = Vec::with_capacity(records.len());
        for record in records {
            let is_it = |one: &&Member| one.ticker == record.ticker && one.data_version == record.data_version;
            now.push(match members.iter().find(is_it) {
                Some(member) => member.clone(),
                None => self.read_member(record).await?,
            });
        }
        *members = now;
        let own = |member: &Member| (member.ticker.clone(), Arc::clone(&member.footprints));
        let all: Vec<(Ticker, Arc<[Footprint]>)> = members.iter().map(own).collect();
        let market = Arc::new(self.computing.catch_up(move || Market::new(all)).await?);
        *place.market.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&market));
        // After the market is there for who looks because of it.
        self.markets.epoch.fetch_add(1, Ordering::Release);
        Ok(market)
    }

    async fn read_member(&self, record: TickerRecord) -> Result<Member, MarketError> {
        let (first, last) = (BarTime::from_seconds(i64::MIN), BarTime::from_seconds(i64::MAX));
        // Bars may be newer than the record: the next look finds it moved and reads them again.
        let bars = self.store.bars(record.id, first, last, u64::MAX).await?;
        let corrupt = |error: crate::domain::series::SeriesError| StoreError::Corrupt {
            what: "the order of bars",
            reason: error.to_string(),
        };
        let series = Series::new(record.interval, bars).map_err(corrupt)?;
        let footprints = self.computing.catch_up(move || footprints(&series)).await?;
        Ok(Member { ticker: record.ticker, data_version: record.data_version, footprints: footprints.into() })
    }
}
