//! Answers kept as bytes for as long as nothing of their ticker has moved, nor of its market, and the day is the same.

use std::sync::LazyLock;

use bytes::Bytes;
use chrono::{NaiveDate, Utc};
use metrics::{Counter, counter};
use moka::future::Cache;

use crate::app::TickerState;
use crate::domain::Ticker;

static HITS: LazyLock<Counter> = LazyLock::new(|| counter!("candlecast_forecast_cache_total", "outcome" => "hit"));
static MISSES: LazyLock<Counter> = LazyLock::new(|| counter!("candlecast_forecast_cache_total", "outcome" => "miss"));

/// Bytes kept over all tickers.
const MAX_BYTES: u64 = 64 << 20;
/// Longer queries are rare, and a client that varies them would only push the others out.
const MAX_QUERY_LEN: usize = 128;

/// What an answer says besides its query: it is right for as long as this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Made {
    state: TickerState,
    /// In UTC: by it a newest bar is old, or of a day that has not come.
    day: NaiveDate,
}

impl Made {
    /// Of an answer that is begun now; `None` where there is no such ticker.
    pub(super) fn now(state: Option<TickerState>) -> Option<Self> {
        Some(Self { state: state?, day: Utc::now().date_naive() })
    }
}

/// Ticker and query; no ticker has a question mark.
fn key(ticker: &Ticker, query: &str) -> String {
    [ticker.as_str(), "?", query].concat()
}

/// Answers of `GET …/forecast` by [`key`].
pub(in crate::http) struct ForecastCache {
    answers: Cache<String, (Made, Bytes)>,
}

impl ForecastCache {
    pub(in crate::http) fn new() -> Self {
        let weigh = |key: &String, (_, bytes): &(Made, Bytes)| (key.len() + bytes.len() + 128) as u32;
        Self { answers: Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).build() }
    }

    /// The answer, if one made `now` would be the same.
    pub(super) async fn get(&self, ticker: &Ticker, query: &str, now: Option<Made>) -> Option<Bytes> {
        let now = now.filter(|_| query.len() <= MAX_QUERY_LEN)?;
        let kept = self.answers.get(&key(ticker, query)).await;
        let hit = kept.filter(|(made, _)| *made == now).map(|(_, bytes)| bytes);
        let counter = if hit.is_some() { &HITS } else { &MISSES };
        counter.increment(1);
        hit
    }

    pub(super) async fn put(&self, ticker: &Ticker, query: &str, made: Option<Made>, bytes: Bytes) {
        if let Some(made) = made.filter(|_| query.len() <= MAX_QUERY_LEN) {
            self.answers.insert(key(ticker, query), (made, bytes)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_answer_lasts_until_its_ticker_moves_or_the_day_ends() {
        let (cache, ticker) = (ForecastCache::new(), "TEST".parse::<Ticker>().expect("a ticker"));
        let made = Made::now(Some(TickerState { revision: 7, market: Some(1) })).expect("a state");
        cache.put(&ticker, "horizon=5", Some(made), Bytes::from_static(b"{}")).await;
        let with = |revision, market| Made { state: TickerState { revision, market: Some(market) }, ..made };
        let kept = async |query: &str, now: Made| cache.get(&ticker, query, Some(now)).await.is_some();
        assert!(kept("horizon=5", made).await);
        assert!(!kept("horizon=4", made).await);
        assert!(!kept("horizon=5", with(8, 1)).await, "the ticker moved");
        assert!(!kept("horizon=5", with(7, 2)).await, "its market moved");
        let tomorrow = made.day.succ_opt().expect("a day");
        assert!(!kept("horizon=5", Made { day: tomorrow, ..made }).await, "what was of today is of yesterday");
        assert_eq!(Made::now(None), None);
    }
}
