//! What the tickers of each exchange did together, kept in memory.
//!
//! A market is read when it is first asked for, and of its tickers those whose bars changed are read again. Whether any
//! did, answers ask only when the *epoch* has risen: some bars were stored, and the last time is
//! [`refresh_ms`](crate::config::MarketSettings::refresh_ms) ago. So a stream of bars of other tickers does not make every
//! answer look at the database.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Mutex as AsyncMutex;

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
#[derive(Debug)]
pub(super) struct Markets {
    epoch: AtomicU64,
    pace: Mutex<Pace>,
    by_calendar: Mutex<HashMap<Calendar, Arc<AsyncMutex<Kept>>>>,
}

/// How often the epoch rises.
#[derive(Debug)]
struct Pace {
    /// Bars moved since it last rose.
    has_moved: bool,
    rose: Option<Instant>,
    every: Duration,
}

/// A market as it was last read.
#[derive(Debug, Default)]
struct Kept {
    /// At which epoch; `None` before it was ever read.
    epoch: Option<u64>,
    members: Vec<Member>,
    market: Arc<Market>,
}

#[derive(Debug, Clone)]
struct Member {
    ticker: Ticker,
    data_version: u64,
    footprints: Arc<[Footprint]>,
}

impl Markets {
    pub(super) fn new(refresh_ms: u64) -> Self {
        let pace = Pace { has_moved: false, rose: None, every: Duration::from_millis(refresh_ms) };
        Self { epoch: AtomicU64::new(0), pace: Mutex::new(pace), by_calendar: Mutex::default() }
    }

    /// Rises when an answer made before may miss what other tickers' bars say.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// Told now and then, and whether bars of any ticker may have moved since.
    pub(super) fn moved(&self, has_moved: bool) {
        let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        pace.has_moved |= has_moved;
        if pace.has_moved && pace.rose.is_none_or(|rose| rose.elapsed() >= pace.every) {
            (pace.has_moved, pace.rose) = (false, Some(Instant::now()));
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }

    fn of(&self, calendar: &Calendar) -> Arc<AsyncMutex<Kept>> {
        let mut by_calendar = self.by_calendar.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(by_calendar.entry(calendar.clone()).or_default())
    }
}

impl App {
    /// A ticker's bars beside what its market did, as this process last saw that: for answers.
    ///
    /// # Errors
    /// When the market has to be read and cannot be.
    pub async fn in_market(&self, record: &TickerRecord, series: Series) -> Result<Series, MarketError> {
        self.beside(record, series, |kept, epoch| kept.epoch == Some(epoch)).await
    }

    /// The same with the market as it is now: for what takes longer than to look.
    ///
    /// # Errors
    /// When the market cannot be read.
    pub async fn in_newest_market(&self, record: &TickerRecord, series: Series) -> Result<Series, MarketError> {
        self.beside(record, series, |_, _| false).await
    }

    async fn beside(
        &self,
        record: &TickerRecord,
        series: Series,
        is_good: impl Fn(&Kept, u64) -> bool,
    ) -> Result<Series, MarketError> {
        let max_tickers = self.settings.market.max_tickers;
        if max_tickers == 0 || record.interval != Interval::Day || !Market::has(&record.calendar) {
            return Ok(series);
        }
        let place = self.markets.of(&record.calendar);
        let market = {
            let mut kept = place.lock().await;
            // Read before everything else: what is read after it is at least as new as its tag says.
            let epoch = self.markets.epoch();
            if !is_good(&kept, epoch) {
                *kept = self.read_market(&kept, &record.calendar, max_tickers, epoch).await?;
            }
            Arc::clone(&kept.market)
        };
        Ok(market.around(&record.ticker, series))
    }

    async fn read_market(
        &self,
        before: &Kept,
        calendar: &Calendar,
        max_tickers: u32,
        epoch: u64,
    ) -> Result<Kept, MarketError> {
        let records = self.store.tickers_of_market(calendar, max_tickers).await?;
        let versions = before.members.iter().map(|member| (&member.ticker, member.data_version));
        if records.iter().map(|record| (&record.ticker, record.data_version)).eq(versions) {
            let (members, market) = (before.members.clone(), Arc::clone(&before.market));
            return Ok(Kept { epoch: Some(epoch), members, market });
        }
        let mut members = Vec::with_capacity(records.len());
        for TickerRecord { id, ticker, data_version, interval, .. } in records {
            let known = before.members.iter().find(|one| one.ticker == ticker && one.data_version == data_version);
            members.push(match known {
                Some(member) => member.clone(),
                None => {
                    let (first, last) = (BarTime::from_seconds(i64::MIN), BarTime::from_seconds(i64::MAX));
                    let bars = self.store.bars(id, first, last, u64::MAX).await?;
                    let series = Series::new(interval, bars).map_err(|error| StoreError::Corrupt {
                        what: "the order of bars",
                        reason: error.to_string(),
                    })?;
                    let footprints = self.computing.catch_up(move || footprints(&series)).await?;
                    Member { ticker, data_version, footprints: footprints.into() }
                }
            });
        }
        let own = |member: &Member| (member.ticker.clone(), Arc::clone(&member.footprints));
        let all: Vec<(Ticker, Arc<[Footprint]>)> = members.iter().map(own).collect();
        let market = Arc::new(self.computing.catch_up(move || Market::new(all)).await?);
        Ok(Kept { epoch: Some(epoch), members, market })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_rises_at_once_and_then_no_more_often_than_asked() {
        let markets = Markets::new(3_600_000);
        let after = |has_moved: bool| {
            markets.moved(has_moved);
            markets.epoch()
        };
        assert_eq!([after(false), after(true), after(true), after(false)], [0, 1, 1, 1]);
        let eager = Markets::new(0);
        let after = |has_moved: bool| {
            eager.moved(has_moved);
            eager.epoch()
        };
        assert_eq!([after(true), after(false), after(true)], [1, 1, 2]);
    }

    #[test]
    fn what_moved_too_soon_is_taken_up_later() {
        let markets = Markets::new(30);
        markets.moved(true);
        markets.moved(true);
        std::thread::sleep(Duration::from_millis(40));
        markets.moved(false);
        assert_eq!(markets.epoch(), 2);
    }
}
