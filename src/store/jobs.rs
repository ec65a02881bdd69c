//! Jobs: every transition is one statement, with the lease's token in its WHERE.
//!
//! `enqueued → running → succeeded | failed | canceled`. A worker holds a job by a lease that it must renew;
//! a lease that ran out is anybody's to take up, under a new token, and what the old holder still writes
//! finds no row (fencing). An attempt that was interrupted is not one that failed.

use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::db::{Db, on, on_writer};
use super::tickers::parsed;
use super::{Store, StoreError};
use crate::domain::Ticker;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for a worker.
    Enqueued,
    /// A worker holds it.
    Running,
    /// Done.
    Succeeded,
    /// Gave up.
    Failed,
    /// Canceled by a client.
    Canceled,
}

impl JobState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 5] = [Self::Enqueued, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// As stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing more will happen to it.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Enqueued | Self::Running)
    }
}

impl std::str::FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("state {text:?} is none of enqueued, running, succeeded, failed, canceled"))
    }
}

/// A job as stored. Times are ms since 1970 UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// UUIDv7: ids ascend with time.
    pub id: String,
    /// `train` or `backtest`.
    pub kind: String,
    /// Whose.
    pub ticker: Ticker,
    /// Where it stands.
    pub state: JobState,
    /// What to do, by the kind's own rules.
    pub payload: serde_json::Value,
    /// How often a worker began it.
    pub attempt: u32,
    /// How many of these attempts failed (the others were interrupted).
    pub failures: u32,
    /// A client wants it canceled.
    pub cancel_requested: bool,
    /// When it was queued.
    pub created_at: i64,
    /// When the first attempt began.
    pub started_at: Option<i64>,
    /// When it became final.
    pub finished_at: Option<i64>,
    /// As last reported.
    pub progress: Option<serde_json::Value>,
    /// Of a success.
    pub result: Option<serde_json::Value>,
    /// Of a failure.
    pub error: Option<serde_json::Value>,
}

/// The right to work on a job until the database's clock reaches its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// Which job.
    pub job_id: String,
    /// Fences: a later holder has a higher one.
    pub token: i64,
}

/// How a job ends.
#[derive(Debug, Clone, PartialEq)]
pub enum JobEnd {
    /// With a result.
    Succeeded(serde_json::Value),
    /// With `{code, message}`.
    Failed(serde_json::Value),
    /// As asked.
    Canceled,
}

/// What a heartbeat learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heartbeat {
    /// Go on.
    Held,
    /// Stop: a client canceled.
    CancelRequested,
    /// Stop: the lease ran out and somebody else holds the job, or it was deleted.
    Lost,
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

const COLUMNS: &str = "jobs.id, kind, tickers.name AS ticker, state, payload, attempt, failures, cancel_requested,
    created_at, started_at, finished_at, progress, result, error";

macro_rules! job {
    ($row:expr) => {{
        let row = $row;
        (|| -> Result<JobRecord, StoreError> {
            let json = |column: &'static str| -> Result<Option<serde_json::Value>, StoreError> {
                row.try_get::<Option<String>, _>(column)?.map(|text| parsed("a job", &text)).transpose()
            };
            Ok(JobRecord {
                id: row.try_get("id")?,
                kind: row.try_get("kind")?,
                ticker: parsed("a ticker", &row.try_get::<String, _>("ticker")?)?,
                state: parsed("a job's state", &row.try_get::<String, _>("state")?)?,
                payload: json("payload")?.unwrap_or_default(),
                attempt: row.try_get::<i64, _>("attempt")? as u32,
                failures: row.try_get::<i64, _>("failures")? as u32,
                cancel_requested: row.try_get("cancel_requested")?,
                created_at: row.try_get("created_at")?,
                started_at: row.try_get("started_at")?,
                finished_at: row.try_get("finished_at")?,
                progress: json("progress")?,
                result: json("result")?,
                error: json("error")?,
            })
        })()
    }};
}

impl Store {
    /// Queues a job, unless one of this kind is active for the ticker: then that one is the answer.
    /// `None` when there is no such ticker; `true` beside a job that is new.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn enqueue(
        &self,
        id: &str,
        kind: &str,
        ticker: &Ticker,
        payload: &serde_json::Value,
    ) -> Result<Option<(JobRecord, bool)>, StoreError> {
        const MAKE: &str = "INSERT INTO jobs (id, kind, ticker_id, state, payload, run_after, created_at)
             SELECT $1, $2, tickers.id, 'enqueued', $3, clock.ms, clock.ms FROM tickers, clock WHERE tickers.name = $4
             ON CONFLICT (ticker_id, kind) WHERE state IN ('enqueued', 'running') DO NOTHING";
        let active = format!(
            "SELECT {COLUMNS} FROM jobs JOIN tickers ON tickers.id = ticker_id
             WHERE kind = $1 AND tickers.name = $2 AND state IN ('enqueued', 'running')"
        );
        let own = format!("SELECT {COLUMNS} FROM jobs JOIN tickers ON tickers.id = ticker_id WHERE jobs.id = $1");
        self.db
            .run(async {
                // The active job may end between the two statements; then the next round makes a new one.
                for _ in 0..3 {
                    let made = on_writer!(&self.db, pool => {
                        sqlx::query(MAKE).bind(id).bind(kind).bind(payload.to_string()).bind(ticker.as_str())
                            .execute(pool).await?.rows_affected() == 1
                    });
                    let found = on_writer!(&self.db, pool => {
                        // Our own may have been taken, and even be done, by the time we look.
                        let query = match made {
                            true => sqlx::query(sqlx::AssertSqlSafe(own.clone())).bind(id),
                            false => sqlx::query(sqlx::AssertSqlSafe(active.clone())).bind(kind).bind(ticker.as_str()),
                        };
                        query.fetch_optional(pool).await?.map(|row| job!(row)).transpose()?
                    });
                    if let Some(job) = found {
                        return Ok(Some((job, made)));
                    }
                    // Deleted meanwhile, or never there.
                    if made || self.ticker(ticker).await?.is_none() {
                        return Ok(None);
                    }
                }
                Err(StoreError::corrupt("the queue")(format!("{kind} of {ticker} ends as fast as it is queued")))
            })
            .await
    }

    /// Takes the job that waits longest (or one whose lease ran out) for `lease_ms`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn claim(&self, kinds: &[&str], lease_ms: u64) -> Result<Option<(JobRecord, Lease)>, StoreError> {
        let kinds = kinds.iter().map(|kind| format!("'{}'", kind.replace('\'', ""))).collect::<Vec<_>>().join(",");
        let lock = if matches!(self.db, Db::Postgres { .. }) { "FOR UPDATE SKIP LOCKED" } else { "" };
        let take = format!(
            "UPDATE jobs SET state = 'running', attempt = attempt + 1, lease_token = lease_token + 1,
                lease_until = (SELECT ms FROM clock) + $1, started_at = COALESCE(started_at, (SELECT ms FROM clock))
             WHERE id = (SELECT id FROM jobs WHERE kind IN ({kinds}) AND
                ((state = 'enqueued' AND run_after <= (SELECT ms FROM clock))
                 OR (state = 'running' AND lease_until < (SELECT ms FROM clock)))
                ORDER BY run_after, id LIMIT 1 {lock})
             RETURNING id, lease_token"
        );
        let taken = self
            .db
            .run(async {
                on_writer!(&self.db, pool => {
                    let row = sqlx::query(sqlx::AssertSqlSafe(take)).bind(lease_ms as i64).fetch_optional(pool).await?;
                    row.map(|row| Ok::<_, StoreError>(Lease { job_id: row.try_get(0)?, token: row.try_get(1)? })).transpose()
                })
            })
            .await?;
        let Some(lease) = taken else { return Ok(None) };
        Ok(self.job(&lease.job_id).await?.map(|job| (job, lease)))
    }

    /// Renews a lease, carries progress out and cancel in.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn heartbeat(
        &self,
        lease: &Lease,
        lease_ms: u64,
        progress: Option<&serde_json::Value>,
    ) -> Result<Heartbeat, StoreError> {
        const SQL: &str = "UPDATE jobs SET lease_until = (SELECT ms FROM clock) + $3, progress = COALESCE($4, progress)
             WHERE id = $1 AND lease_token = $2 AND state = 'running' RETURNING cancel_requested";
        self.db
            .run(async {
                on_writer!(&self.db, pool => {
                    let row = sqlx::query(SQL)
                        .bind(&lease.job_id)
                        .bind(lease.token)
                        .bind(lease_ms as i64)
                        .bind(progress.map(ToString::to_string))
                        .fetch_optional(pool)
                        .await?;
                    Ok(match row.map(|row| row.try_get::<bool, _>(0)).transpose()? {
                        None => Heartbeat::Lost,
                        Some(true) => Heartbeat::CancelRequested,
                        Some(false) => Heartbeat::Held,
                    })
                })
            })
            .await
    }

    /// Ends a job; `false` when the lease is no longer this one: then nothing was written.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn end_job(&self, lease: &Lease, end: &JobEnd) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE jobs SET state = $3, result = $4, error = $5, lease_until = NULL,
                finished_at = (SELECT ms FROM clock), failures = failures + $6
             WHERE id = $1 AND lease_token = $2 AND state = 'running'";
        let (state, result, error) = match end {
            JobEnd::Succeeded(result) => (JobState::Succeeded, Some(result.to_string()), None),
            JobEnd::Failed(error) => (JobState::Failed, None, Some(error.to_string())),
            JobEnd::Canceled => (JobState::Canceled, None, None),
        };
        self.db
            .run(async {
                let rows = on_writer!(&self.db, pool => {
                    sqlx::query(SQL)
                        .bind(&lease.job_id)
                        .bind(lease.token)
                        .bind(state.as_str())
                        .bind(&result)
                        .bind(&error)
                        .bind(i64::from(state == JobState::Failed))
                        .execute(pool)
                        .await?
                        .rows_affected()
                });
                Ok(rows == 1)
            })
            .await
    }

    /// Puts a job back in the queue: after a failure worth another try (`failed` with its error, `delay_ms`
    /// later), or because this process stops (not a failure). `false` when the lease is no longer this one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn requeue(
        &self,
        lease: &Lease,
        failed: Option<&serde_json::Value>,
        delay_ms: u64,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE jobs SET state = 'enqueued', lease_until = NULL, failures = failures + $3,
                error = COALESCE($4, error), run_after = (SELECT ms FROM clock) + $5
             WHERE id = $1 AND lease_token = $2 AND state = 'running'";
        self.db
            .run(async {
                let rows = on_writer!(&self.db, pool => {
                    sqlx::query(SQL)
                        .bind(&lease.job_id)
                        .bind(lease.token)
                        .bind(i64::from(failed.is_some()))
                        .bind(failed.map(ToString::to_string))
                        .bind(delay_ms as i64)
                        .execute(pool)
                        .await?
                        .rows_affected()
                });
                Ok(rows == 1)
            })
            .await
    }

    /// Cancels: a waiting job at once, a running one by asking its worker. The job afterwards; `None` when
    /// there is none. A final job stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cancel_job(&self, id: &str) -> Result<Option<JobRecord>, StoreError> {
        const WAITING: &str = "UPDATE jobs SET state = 'canceled', cancel_requested = TRUE,
             finished_at = (SELECT ms FROM clock) WHERE id = $1 AND state = 'enqueued'";
        const RUNNING: &str = "UPDATE jobs SET cancel_requested = TRUE WHERE id = $1 AND state = 'running'";
        self.db
            .run(async {
                on_writer!(&self.db, pool => {
                    if sqlx::query(WAITING).bind(id).execute(pool).await?.rows_affected() == 0 {
                        sqlx::query(RUNNING).bind(id).execute(pool).await?;
                    }
                });
                Ok::<_, StoreError>(())
            })
            .await?;
        self.job(id).await
    }

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
