//! A worker's hold on a job, from its claim to its end.

use sqlx::Row;

use super::{JobRecord, JobState};
use crate::store::db::{Db, on_writer};
use crate::store::{Store, StoreError};

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

impl Store {
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
    /// later), or because this process stops (not a failure: it keeps its place). `false` when the lease is no longer this one.
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
                handed_back = handed_back + (1 - $3), error = COALESCE($4, error),
                run_after = CASE WHEN $3 = 1 THEN (SELECT ms FROM clock) + $5 ELSE run_after END
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
}
