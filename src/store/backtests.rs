//! Backtests: the reports of walk-forward runs, and every forecast behind them.

use sqlx::Row;

use super::db::{on, on_writer};
use super::tickers::parsed;
use super::{Store, StoreError};
use crate::domain::Ticker;

/// A backtest as lists show it.
#[derive(Debug, Clone, PartialEq)]
pub struct BacktestRecord {
    /// That of the job which ran it.
    pub id: String,
    /// The state of the bars it ran on.
    pub data_version: u64,
    /// What was asked for.
    pub settings: serde_json::Value,
    /// What may be said of the model.
    pub verdict: String,
    /// ms since 1970 UTC.
    pub created_at: i64,
}

/// A backtest to be kept.
#[derive(Debug, Clone, PartialEq)]
pub struct NewBacktest {
    /// As in [`BacktestRecord`].
    pub id: String,
    /// As in [`BacktestRecord`].
    pub data_version: u64,
    /// As in [`BacktestRecord`].
    pub settings: serde_json::Value,
    /// As in [`BacktestRecord`].
    pub verdict: String,
    /// All scores and audits.
    pub report: serde_json::Value,
    /// Every forecast beside its truth, packed by who keeps it.
    pub points: Vec<u8>,
}

const COLUMNS: &str = "backtests.id, backtests.data_version, settings, verdict, created_at";

macro_rules! backtest {
    ($row:expr) => {{
        let row = $row;
        (|| -> Result<BacktestRecord, StoreError> {
            Ok(BacktestRecord {
                id: row.try_get("id")?,
                data_version: row.try_get::<i64, _>("data_version")? as u64,
                settings: parsed("a backtest", &row.try_get::<String, _>("settings")?)?,
                verdict: row.try_get("verdict")?,
                created_at: row.try_get("created_at")?,
            })
        })()
    }};
}

impl Store {
    /// Keeps a backtest, and of its ticker the newest `kept` ones; `false` when its job is no longer running (it was
    /// canceled, or went with its ticker): then nothing was written. Keeping the same one again changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_backtest(&self, backtest: &NewBacktest, kept: u32) -> Result<bool, StoreError> {
        const ADD: &str =
            "INSERT INTO backtests (id, ticker_id, data_version, settings, verdict, report, points, created_at)
             SELECT jobs.id, jobs.ticker_id, $2, $3, $4, $5, $6, clock.ms FROM jobs, clock
             WHERE jobs.id = $1 AND state = 'running' AND cancel_requested = FALSE
             ON CONFLICT (id) DO UPDATE SET verdict = backtests.verdict";
        const PRUNE: &str = "DELETE FROM backtests WHERE ticker_id = (SELECT ticker_id FROM jobs WHERE id = $1)
             AND id NOT IN (SELECT id FROM backtests WHERE ticker_id = (SELECT ticker_id FROM jobs WHERE id = $1)
                ORDER BY id DESC LIMIT $2)";
        self.db
            .run_long(async {
                on_writer!(&self.db, (pool, begin) => {
                    let mut tx = pool.begin_with(begin).await?;
                    let added = sqlx::query(ADD)
                        .bind(&backtest.id)
                        .bind(backtest.data_version as i64)
                        .bind(backtest.settings.to_string())
                        .bind(&backtest.verdict)
                        .bind(backtest.report.to_string())
                        .bind(&backtest.points)
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    sqlx::query(PRUNE).bind(&backtest.id).bind(i64::from(kept)).execute(&mut *tx).await?;
                    tx.commit().await?;
                    Ok(added == 1)
                })
            })
            .await
    }

    /// Backtests of a ticker, the newest first; only those older than the id `before`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backtests(
        &self,
        ticker: &Ticker,
        before: Option<&str>,
        limit: u32,
    ) -> Result<Vec<BacktestRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM backtests JOIN tickers ON tickers.id = ticker_id
             WHERE tickers.name = $1 AND (CAST($2 AS TEXT) IS NULL OR backtests.id < $2)
             ORDER BY backtests.id DESC LIMIT $3"
        );
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ticker.as_str()).bind(before);
                    let rows = query.bind(i64::from(limit)).fetch_all(pool).await?;
                    rows.into_iter().map(|row| backtest!(row)).collect()
                })
            })
            .await
    }

    /// One backtest of a ticker with its report.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backtest(
        &self,
        ticker: &Ticker,
        id: &str,
    ) -> Result<Option<(BacktestRecord, serde_json::Value)>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS}, report FROM backtests JOIN tickers ON tickers.id = ticker_id
             WHERE tickers.name = $1 AND backtests.id = $2"
        );
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ticker.as_str()).bind(id);
                    let Some(row) = query.fetch_optional(pool).await? else { return Ok(None) };
                    let report = parsed("a backtest", &row.try_get::<String, _>("report")?)?;
                    Ok(Some((backtest!(row)?, report)))
                })
            })
            .await
    }

    /// Every forecast of a backtest, packed as it was kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn backtest_points(&self, ticker: &Ticker, id: &str) -> Result<Option<Vec<u8>>, StoreError> {
        const SQL: &str = "SELECT points FROM backtests JOIN tickers ON tickers.id = ticker_id
             WHERE tickers.name = $1 AND backtests.id = $2";
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let row = sqlx::query(SQL).bind(ticker.as_str()).bind(id).fetch_optional(pool).await?;
                    Ok(row.map(|row| row.try_get::<Vec<u8>, _>(0)).transpose()?)
                })
            })
            .await
    }
}
