//! The ledger: every forecast that was served, kept before it was answered.

use sqlx::Row;

use super::db::{on, on_writer};
use super::tickers::parsed;
use super::{Store, StoreError};
use crate::domain::BarTime;

/// One step of a forecast that was served.
#[derive(Debug, Clone, PartialEq)]
pub struct LedgerEntry {
    /// The last bar that it saw.
    pub as_of: BarTime,
    /// Sessions ahead, from 1.
    pub step: u32,
    /// Who forecast: a version's number, or a baseline's name.
    pub model: String,
    /// The state of the bars.
    pub data_version: u64,
    /// What it knew of its market: a digest, 0 where nothing.
    pub market: i64,
    /// Of how many other tickers it knew the session of `as_of`; `None` where of none.
    pub market_tickers: Option<u32>,
    /// Whether `as_of` was the newest bar when it was served: only then is it a forecast and not a replay.
    pub live: bool,
    /// The close of `as_of`.
    pub last_close: f64,
    /// The point forecast, log return from that close.
    pub point: f64,
    /// Quantiles of that log return at [`SCORE_LEVELS`](crate::evaluate::SCORE_LEVELS).
    pub quantiles: Vec<f64>,
    /// ms since 1970 UTC; given by the database.
    pub served_at: i64,
}

/// Where an entry stands in the order of reading: the newest forecasts first, of one bar the nearest step first, and of one
/// step and model those of the newest bars, the one served last first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerPlace {
    /// The last bar that the forecast saw.
    pub as_of: BarTime,
    /// Sessions ahead.
    pub step: u32,
    /// Who forecast.
    pub model: String,
    /// The state of the bars.
    pub data_version: u64,
    /// When it was served.
    pub served_at: i64,
    /// What it knew of its market.
    pub market: i64,
}

/// Which entries to read; by default all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerFilter {
    /// Forecasts made as of this bar or later.
    pub from: BarTime,
    /// Forecasts made as of this bar or earlier.
    pub to: BarTime,
    /// Only those that were live.
    pub live_only: bool,
    /// Of a model's forecasts of one step as of one bar only the one served first.
    pub first_only: bool,
    /// Only this step.
    pub step: Option<u32>,
    /// Only those of this model, as [`LedgerEntry::model`] names it.
    pub model: Option<String>,
    /// Only those that are read after this one.
    pub after: Option<LedgerPlace>,
    /// The newest so many.
    pub limit: u32,
}

impl Default for LedgerFilter {
    fn default() -> Self {
        Self {
            from: BarTime::from_seconds(i64::MIN),
            to: BarTime::from_seconds(i64::MAX),
            live_only: false,
            first_only: false,
            step: None,
            model: None,
            after: None,
            limit: u32::MAX,
        }
    }
}

impl LedgerEntry {
    /// Where it stands in the order of reading.
    pub fn place(&self) -> LedgerPlace {
        let Self { as_of, step, data_version, served_at, market, .. } = *self;
        LedgerPlace { as_of, step, model: self.model.clone(), data_version, served_at, market }
    }
}

impl Store {
    /// Keeps the steps of a forecast. The same forecast (bar, step, model, data version, market) is kept once.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_to_ledger(&self, ticker_id: i64, entries: &[LedgerEntry]) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO ledger
                (ticker_id, as_of_ts, step, model, data_version, live, last_close, point, quantiles, market, market_tickers,
                 served_at)
             SELECT tickers.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, clock.ms FROM tickers, clock WHERE tickers.id = $1
             ON CONFLICT DO NOTHING";
        self.db
            .run(async {
                on_writer!(&self.db, (pool, begin) => {
                    let mut tx = pool.begin_with(begin).await?;
                    for entry in entries {
                        sqlx::query(SQL)
                            .bind(ticker_id)
                            .bind(entry.as_of.seconds())
                            .bind(i64::from(entry.step))
                            .bind(&entry.model)
                            .bind(entry.data_version as i64)
                            .bind(entry.live)
                            .bind(entry.last_close)
                            .bind(entry.point)
                            .bind(serde_json::to_string(&entry.quantiles).unwrap_or_default())
                            .bind(entry.market)
                            .bind(entry.market_tickers.map(i64::from))
                            .execute(&mut *tx)
                            .await?;
                    }
                    tx.commit().await?;
                });
                Ok(())
            })
            .await
    }

    /// Entries of a ticker, the newest forecasts first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ledger(&self, ticker_id: i64, filter: &LedgerFilter) -> Result<Vec<LedgerEntry>, StoreError> {
        const SQL: &str =
            "SELECT as_of_ts, step, model, data_version, live, last_close, point, quantiles, served_at, market,
             market_tickers
             FROM ledger WHERE ticker_id = $1 AND as_of_ts >= $2 AND as_of_ts <= $3
               AND (live = TRUE OR $4 = 0) AND (step = $5 OR $5 = 0) AND (model = $12 OR $12 = '')
               AND ($14 = 0 OR (as_of_ts, step, model, served_at) IN
                    (SELECT as_of_ts, step, model, MIN(served_at) FROM ledger
                     WHERE ticker_id = $1 AND as_of_ts >= $2 AND as_of_ts <= $3 AND (step = $5 OR $5 = 0)
                     GROUP BY as_of_ts, step, model))
               AND ($7 = 0 OR as_of_ts < $8 OR (as_of_ts = $8 AND (step > $9 OR (step = $9 AND
                    (model > $10 OR (model = $10 AND
                    (data_version < $11 OR (data_version = $11 AND
                    (served_at < $15 OR (served_at = $15 AND market > $13))))))))))
             ORDER BY as_of_ts DESC, step, model, data_version DESC, served_at DESC, market LIMIT $6";
        let after = filter.after.as_ref();
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(SQL)
                        .bind(ticker_id)
                        .bind(filter.from.seconds())
                        .bind(filter.to.seconds())
                        .bind(i64::from(filter.live_only))
                        .bind(i64::from(filter.step.unwrap_or(0)))
                        .bind(i64::from(filter.limit))
                        .bind(i64::from(after.is_some()))
                        .bind(after.map_or(0, |place| place.as_of.seconds()))
                        .bind(after.map_or(0, |place| i64::from(place.step)))
                        .bind(after.map_or("", |place| place.model.as_str()))
                        .bind(after.map_or(0, |place| place.data_version as i64))
                        .bind(filter.model.as_deref().unwrap_or_default())
                        .bind(after.map_or(0, |place| place.market))
                        .bind(i64::from(filter.first_only))
                        .bind(after.map_or(0, |place| place.served_at))
                        .fetch_all(pool)
                        .await?;
                    rows.into_iter()
                        .map(|row| Ok(LedgerEntry {
                            as_of: BarTime::from_seconds(row.try_get(0)?),
                            step: row.try_get::<i64, _>(1)? as u32,
                            model: row.try_get(2)?,
                            data_version: row.try_get::<i64, _>(3)? as u64,
                            live: row.try_get(4)?,
                            last_close: row.try_get(5)?,
                            point: row.try_get(6)?,
                            quantiles: quantiles(&row.try_get::<String, _>(7)?)?,
                            served_at: row.try_get(8)?,
                            market: row.try_get(9)?,
                            market_tickers: row.try_get::<Option<i64>, _>(10)?.map(|count| count as u32),
                        }))
                        .collect()
                })
            })
            .await
    }
}

fn quantiles(text: &str) -> Result<Vec<f64>, StoreError> {
    let json: serde_json::Value = parsed("a ledger entry", text)?;
    serde_json::from_value(json).map_err(|error| StoreError::corrupt("a ledger entry")(error.to_string()))
}
