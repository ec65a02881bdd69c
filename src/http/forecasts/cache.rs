//! Answers kept as bytes for as long as nothing of their ticker has moved.

use bytes::Bytes;
use moka::future::Cache;

use crate::domain::Ticker;

/// Bytes kept over all tickers.
const MAX_BYTES: u64 = 64 << 20;
/// Longer queries are rare, and a client that varies them would only push the others out.
const MAX_QUERY_LEN: usize = 128;

/// Answers of `GET …/forecast` by ticker and query.
pub(in crate::http) struct ForecastCache {
    answers: Cache<(Ticker, String), (i64, Bytes)>,
}

impl ForecastCache {
    pub(in crate::http) fn new() -> Self {
        let weigh = |(ticker, query): &(Ticker, String), (_, bytes): &(i64, Bytes)| {
            (ticker.as_str().len() + query.len() + bytes.len() + 128) as u32
        };
        Self { answers: Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).build() }
    }

    /// The answer, if it was made at this revision.
    pub(super) async fn get(&self, ticker: &Ticker, query: &str, revision: Option<i64>) -> Option<Bytes> {
        let revision = revision.filter(|_| query.len() <= MAX_QUERY_LEN)?;
        let kept = self.answers.get(&(ticker.clone(), query.to_owned())).await;
        let hit = kept.filter(|(made_at, _)| *made_at == revision).map(|(_, bytes)| bytes);
        let outcome = if hit.is_some() { "hit" } else { "miss" };
        metrics::counter!("candlecast_forecast_cache_total", "outcome" => outcome).increment(1);
        hit
    }

    pub(super) async fn put(&self, ticker: Ticker, query: String, revision: Option<i64>, bytes: Bytes) {
        if let Some(revision) = revision.filter(|_| query.len() <= MAX_QUERY_LEN) {
            self.answers.insert((ticker, query), (revision, bytes)).await;
        }
    }
}
