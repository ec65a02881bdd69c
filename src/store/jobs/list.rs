//! Jobs as they are looked at.

use sqlx::Row;

use super::record::{COLUMNS, job};
use super::{JobRecord, JobState};
use crate::domain::Ticker;
use crate::store::db::{Db, on};
use crate::store::tickers::parsed;
use crate::store::{Store, StoreError};

/// Where a job that waits stands in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueuePlace {
    /// Waiting jobs that will be taken up before it.
    pub ahead: u64,
    /// Jobs that run now, on all workers: not those whose worker no longer says so.
    pub running: u64,
    /// When its next try is due, ms since 1970 UTC; `None` where it could begin now.
    pub not_before: Option<i64>,
}

/// What of the jobs to list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// Only of this kind.
    pub kind: Option<&'static str>,
    /// Only in this state.
    pub state: Option<JobState>,
    /// Only of this ticker.
    pub ticker: Option<Ticker>,
    /// Only older than this id.
    pub before: Option<String>,
}

impl Store {
    /// One job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job(&self, id: &str) -> Result<Option<JobRecord>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM jobs JOIN tickers ON tickers.id = ticker_id WHERE jobs.id = $1");
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id).fetch_optional(pool).await?;
                    row.map(|row| job!(row)).transpose()
                })
            })
            .await
    }

    /// Jobs, the newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self, filter: &JobFilter, limit: u32) -> Result<Vec<JobRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM jobs JOIN tickers ON tickers.id = ticker_id
             WHERE (CAST($1 AS TEXT) IS NULL OR state = $1) AND (CAST($2 AS TEXT) IS NULL OR tickers.name = $2)
               AND (CAST($3 AS TEXT) IS NULL OR jobs.id < $3) AND (CAST($4 AS TEXT) IS NULL OR kind = $4)
             ORDER BY jobs.id DESC LIMIT $5"
        );
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                        .bind(filter.state.map(JobState::as_str))
                        .bind(filter.ticker.as_ref().map(Ticker::as_str))
                        .bind(&filter.before)
                        .bind(filter.kind)
                        .bind(i64::from(limit))
                        .fetch_all(pool)
                        .await?;
                    rows.into_iter().map(|row| job!(row)).collect()
                })
            })
            .await
    }

    /// Those of the named tickers for whose bars no job of this kind was ever queued: they have no champion, or their
    /// history was rewritten after the last one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn without_job(&self, kind: &str, names: &[&str]) -> Result<Vec<Ticker>, StoreError> {
        let (list, version) = match &self.db {
            Db::Sqlite { .. } => ("SELECT value FROM json_each($1)", "CAST(payload ->> 'data_version' AS INTEGER)"),
            Db::Postgres { .. } => {
                ("SELECT json_array_elements_text($1::json)", "CAST(payload::json ->> 'data_version' AS BIGINT)")
            }
        };
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT name FROM tickers WHERE name IN ({list}) AND (champion IS NULL OR rewritten_version > 0)
               AND NOT EXISTS (SELECT 1 FROM jobs
                 WHERE ticker_id = tickers.id AND kind = $2 AND {version} >= rewritten_version)"
        ));
        let names = serde_json::Value::from(names).to_string();
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(sql).bind(&names).bind(kind).fetch_all(pool).await?;
                    rows.into_iter().map(|row| parsed("a ticker", &row.try_get::<String, _>(0)?)).collect()
                })
            })
            .await
    }

    /// Where a job stands in the queue; `None` when it does not wait (any more).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue_place(&self, id: &str) -> Result<Option<QueuePlace>, StoreError> {
        // In the order in which workers claim.
        const SQL: &str = "SELECT
               (SELECT COUNT(*) FROM jobs AS other WHERE other.state = 'enqueued'
                  AND (other.run_after < jobs.run_after OR (other.run_after = jobs.run_after AND other.id < jobs.id))),
               (SELECT COUNT(*) FROM jobs AS other WHERE other.state = 'running' AND other.lease_until >= clock.ms),
               CASE WHEN jobs.run_after > clock.ms THEN jobs.run_after END
             FROM jobs, clock WHERE jobs.id = $1 AND jobs.state = 'enqueued'";
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let row = sqlx::query(SQL).bind(id).fetch_optional(pool).await?;
                    row.map(|row| Ok::<_, StoreError>(QueuePlace {
                        ahead: row.try_get::<i64, _>(0)? as u64,
                        running: row.try_get::<i64, _>(1)? as u64,
                        not_before: row.try_get(2)?,
                    }))
                    .transpose()
                })
            })
            .await
    }

    /// For how long the job that waits longest has been due, in ms; `None` when none waits for a worker. A job that
    /// waits for its next try is not due before its time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queue_age_ms(&self) -> Result<Option<u64>, StoreError> {
        const SQL: &str = "SELECT MAX(clock.ms - run_after) FROM jobs, clock
             WHERE state = 'enqueued' AND run_after <= clock.ms";
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let age: Option<i64> = sqlx::query_scalar(SQL).fetch_one(pool).await?;
                    Ok(age.map(i64::unsigned_abs))
                })
            })
            .await
    }

    /// How many jobs stand in each state.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_jobs(&self) -> Result<Vec<(JobState, u64)>, StoreError> {
        const SQL: &str = "SELECT state, COUNT(*) FROM jobs GROUP BY state";
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(SQL).fetch_all(pool).await?;
                    rows.into_iter()
                        .map(|row| {
                            let state = parsed("a job's state", &row.try_get::<String, _>(0)?)?;
                            Ok((state, row.try_get::<i64, _>(1)? as u64))
                        })
                        .collect()
                })
            })
            .await
    }
}
