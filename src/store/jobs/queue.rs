//! Into the queue, and out of it before anybody began.

use sqlx::Row;

use super::JobRecord;
use super::record::{COLUMNS, job};
use crate::domain::Ticker;
use crate::store::db::on_writer;
use crate::store::tickers::parsed;
use crate::store::{Store, StoreError};

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
}
