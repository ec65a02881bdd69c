//! All SQL: SQLite and Postgres behind one set of functions.
//!
//! In go domain values, out come plain records; no type of the database library leaves this room. Both
//! databases bind `$1`, so one SQL text serves both wherever the dialects agree; `db::on!` runs it on
//! whichever is open. Every call ends within the configured time. Times are the database's clock, so that
//! two machines need not agree on theirs.
//!
//! Absent on purpose: rules. What a transition means is decided in `jobs` and `registry`; what holds it
//! against another process doing the same is here, in the WHERE of each statement.

mod db;
pub mod backtests;
pub mod bars;
mod copy;
pub mod error;
pub mod jobs;
pub mod keys;
pub mod ledger;
pub mod models;
pub mod tickers;

pub use backtests::{BacktestRecord, NewBacktest};
pub use bars::{BarsOutcome, OnConflict, PutBarsError, SentBars};
pub use error::StoreError;
pub use jobs::{JobFilter, JobRecord, JobState, Lease, QueuePlace};
pub use keys::{KeyRecord, Scope};
pub use ledger::{LedgerEntry, LedgerFilter, LedgerPlace};
pub use models::ModelRecord;
pub use tickers::{Moved, PriceBasis, TickerPatch, TickerRecord};

use crate::config::DatabaseSettings;

/// The database, open and migrated; cloning shares the connections.
#[derive(Debug, Clone)]
pub struct Store {
    db: db::Db,
}

impl Store {
    /// Opens the database, making a SQLite file and its folder where missing, and brings its tables up to date.
    ///
    /// # Errors
    /// When it cannot be reached or made, or a migration fails.
    pub async fn connect(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        Ok(Self { db: db::Db::connect(settings).await? })
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not, or not in time.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.db
            .run(async {
                db::on!(&self.db, pool => { sqlx::query("SELECT 1").execute(pool).await?; });
                Ok(())
            })
            .await
    }

    /// Whether other machines can share this database.
    pub fn is_shared(&self) -> bool {
        matches!(self.db, db::Db::Postgres { .. })
    }

    /// Closes all connections; SQLite then writes its log back into the file.
    pub async fn close(&self) {
        self.db.close().await;
    }
}
