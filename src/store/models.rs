//! Model versions: what was trained, and which one answers.

use sqlx::Row;

use super::db::{on, on_writer};
use super::tickers::{MOVE, RAISE_REVISION, parsed};
use super::{Store, StoreError};
use crate::domain::{BarTime, Ticker};

/// A model version as stored; its numbers lie in the artifact.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelRecord {
    /// Counts from 1, a ticker.
    pub version: u32,
    /// The job that trained it.
    pub job_id: Option<String>,
    /// The state of the bars it was trained on.
    pub data_version: u64,
    /// How many bars that were.
    pub bars: u64,
    /// The first of them.
    pub first: BarTime,
    /// The last of them.
    pub last: BarTime,
    /// Of the artifact.
    pub sha256: String,
    /// The artifact's length.
    pub bytes: u64,
    /// All else that is known of it.
    pub manifest: serde_json::Value,
    /// What came of it when it challenged the champion; `None` where it never did. Kept by
    /// [`set_promotion`](Store::set_promotion).
    pub promotion: Option<serde_json::Value>,
    /// ms since 1970 UTC; given by the database.
    pub created_at: i64,
}

const COLUMNS: &str =
    "version, job_id, models.data_version, bars, models.first_ts, models.last_ts, sha256, bytes, manifest, promotion,
     created_at";

macro_rules! model {
    ($row:expr) => {{
        let row = $row;
        (|| -> Result<ModelRecord, StoreError> {
            Ok(ModelRecord {
                version: row.try_get::<i64, _>("version")? as u32,
                job_id: row.try_get("job_id")?,
                data_version: row.try_get::<i64, _>("data_version")? as u64,
                bars: row.try_get::<i64, _>("bars")? as u64,
                first: BarTime::from_seconds(row.try_get("first_ts")?),
                last: BarTime::from_seconds(row.try_get("last_ts")?),
                sha256: row.try_get("sha256")?,
                bytes: row.try_get::<i64, _>("bytes")? as u64,
                manifest: parsed("a manifest", &row.try_get::<String, _>("manifest")?)?,
                promotion: row
                    .try_get::<Option<String>, _>("promotion")?
                    .map(|text| parsed("a promotion", &text))
                    .transpose()?,
                created_at: row.try_get("created_at")?,
            })
        })()
    }};
}

impl Store {
    /// Keeps a version; `false` when the ticker is gone or the number is taken. Gone is also a ticker that was
    /// deleted and sent anew while the job trained: the job went with the old one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_model(&self, ticker: &Ticker, model: &ModelRecord) -> Result<bool, StoreError> {
        const SQL: &str = "INSERT INTO models (ticker_id, version, job_id, data_version, bars, first_ts, last_ts,
                sha256, bytes, manifest, created_at)
             SELECT tickers.id, $2, $3, $4, $5, $6, $7, $8, $9, $10, clock.ms FROM tickers, clock
             WHERE tickers.name = $1 AND (CAST($3 AS TEXT) IS NULL
                OR EXISTS (SELECT 1 FROM jobs WHERE jobs.id = $3 AND jobs.ticker_id = tickers.id))
             ON CONFLICT (ticker_id, version) DO NOTHING";
        self.db
            .run(async {
                let rows = on_writer!(&self.db, pool => {
                    sqlx::query(SQL)
                        .bind(ticker.as_str())
                        .bind(i64::from(model.version))
                        .bind(&model.job_id)
                        .bind(model.data_version as i64)
                        .bind(model.bars as i64)
                        .bind(model.first.seconds())
                        .bind(model.last.seconds())
                        .bind(&model.sha256)
                        .bind(model.bytes as i64)
                        .bind(model.manifest.to_string())
                        .execute(pool)
                        .await?
                        .rows_affected()
                });
                Ok(rows == 1)
            })
            .await
    }

    /// All versions of a ticker, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn models(&self, ticker: &Ticker) -> Result<Vec<ModelRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM models JOIN tickers ON tickers.id = ticker_id
             WHERE tickers.name = $1 ORDER BY version DESC"
        );
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ticker.as_str()).fetch_all(pool).await?;
                    rows.into_iter().map(|row| model!(row)).collect()
                })
            })
            .await
    }

    /// For each ticker the number of bars after the last one that its champion was trained on; `None` for a ticker
    /// without one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn champion_ages(&self) -> Result<Vec<Option<u64>>, StoreError> {
        const SQL: &str = "SELECT models.version,
                (SELECT COUNT(*) FROM bars WHERE bars.ticker_id = tickers.id AND bars.ts > models.last_ts)
             FROM tickers LEFT JOIN models ON models.ticker_id = tickers.id AND models.version = tickers.champion";
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(SQL).fetch_all(pool).await?;
                    rows.into_iter()
                        .map(|row| {
                            let champion: Option<i64> = row.try_get(0)?;
                            let age = row.try_get::<i64, _>(1)? as u64;
                            Ok(champion.map(|_| age))
                        })
                        .collect()
                })
            })
            .await
    }

    /// One version of a ticker.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn model(&self, ticker: &Ticker, version: u32) -> Result<Option<ModelRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM models JOIN tickers ON tickers.id = ticker_id
             WHERE tickers.name = $1 AND version = $2"
        );
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ticker.as_str()).bind(i64::from(version));
                    query.fetch_optional(pool).await?.map(|row| model!(row)).transpose()
                })
            })
            .await
    }

    /// The version trained last.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_model(&self, ticker: &Ticker) -> Result<Option<ModelRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM models JOIN tickers ON tickers.id = ticker_id
             WHERE tickers.name = $1 ORDER BY version DESC LIMIT 1"
        );
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ticker.as_str());
                    query.fetch_optional(pool).await?.map(|row| model!(row)).transpose()
                })
            })
            .await
    }

    /// Keeps what came of a version when it challenged the champion.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_promotion(
        &self,
        ticker: &Ticker,
        version: u32,
        promotion: &serde_json::Value,
    ) -> Result<(), StoreError> {
        const SQL: &str = "UPDATE models SET promotion = $3
             WHERE version = $2 AND ticker_id = (SELECT id FROM tickers WHERE name = $1)";
        self.db
            .run(async {
                on_writer!(&self.db, pool => {
                    let query = sqlx::query(SQL).bind(ticker.as_str()).bind(i64::from(version));
                    query.bind(promotion.to_string()).execute(pool).await?.rows_affected()
                });
                Ok(())
            })
            .await
    }

    /// Makes a version the champion if the champion still is `expected`; `false` when it is another by now,
    /// or there is no such version.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn promote(&self, ticker: &Ticker, version: u32, expected: Option<u32>) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE tickers SET champion = $2
             WHERE name = $1 AND COALESCE(champion, 0) = COALESCE($3, 0)
               AND EXISTS (SELECT 1 FROM models WHERE ticker_id = tickers.id AND version = $2)";
        self.db
            .run(async {
                on_writer!(&self.db, (pool, begin) => {
                    let mut tx = pool.begin_with(begin).await?;
                    let rows = sqlx::query(SQL)
                        .bind(ticker.as_str())
                        .bind(i64::from(version))
                        .bind(expected.map(i64::from))
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    // After the ticker's row, as everywhere: the other way round waits for an upload in a circle.
                    let revision: i64 = sqlx::query_scalar(RAISE_REVISION).fetch_one(&mut *tx).await?;
                    sqlx::query(MOVE).bind(ticker.as_str()).bind(revision).execute(&mut *tx).await?;
                    match rows {
                        1 => tx.commit().await?,
                        _ => tx.rollback().await?,
                    }
                    Ok(rows == 1)
                })
            })
            .await
    }
}
