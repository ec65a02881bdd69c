//! The two databases: how each is opened, and how one text of SQL runs on either.

use std::borrow::Cow;
use std::future::Future;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};

use super::StoreError;
use crate::config::DatabaseSettings;

/// An open database.
#[derive(Debug, Clone)]
pub(super) enum Db {
    /// Readers beside one writer: SQLite has one writer at a time, and waiting for it in a pool is fair
    /// where waiting in `busy_timeout` is not.
    Sqlite { readers: SqlitePool, writer: SqlitePool, limit: Duration },
    /// One pool for all.
    Postgres { pool: PgPool, limit: Duration },
}

/// Runs an expression with `$pool` bound to a pool for reading, for whichever database is open.
macro_rules! on {
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::store::db::Db::Sqlite { readers: $pool, .. } => $body,
            $crate::store::db::Db::Postgres { pool: $pool, .. } => $body,
        }
    };
}

/// The same with the pool that writes; `$begin` opens a transaction that holds the right to write from its start.
macro_rules! on_writer {
    ($db:expr, ($pool:ident, $begin:ident) => $body:expr) => {
        match $db {
            $crate::store::db::Db::Sqlite { writer: $pool, .. } => {
                let $begin = "BEGIN IMMEDIATE";
                $body
            }
            $crate::store::db::Db::Postgres { pool: $pool, .. } => {
                let $begin = "BEGIN";
                $body
            }
        }
    };
    ($db:expr, $pool:ident => $body:expr) => {
        match $db {
            $crate::store::db::Db::Sqlite { writer: $pool, .. } => $body,
            $crate::store::db::Db::Postgres { pool: $pool, .. } => $body,
        }
    };
}

pub(super) use {on, on_writer};

impl Db {
    pub(super) async fn connect(settings: &DatabaseSettings) -> Result<Self, StoreError> {
        let limit = Duration::from_millis(settings.timeout_ms);
        match settings.url.starts_with("sqlite:") {
            true => Self::open_sqlite(settings, limit).await,
            false => Self::open_postgres(settings, limit).await,
        }
    }

    async fn open_sqlite(settings: &DatabaseSettings, limit: Duration) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::from_str(&settings.url).map_err(open_error)?;
        if settings.url.contains(":memory:") || settings.url.contains("mode=memory") {
            let reason = "SQLite in memory is one connection's own, and we use several: name a file".to_owned();
            return Err(StoreError::Open { reason });
        }
        if let Some(folder) = options.get_filename().parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| StoreError::Open { reason: format!("{}: {error}", folder.display()) })?;
        }
        // FULL: at NORMAL a power cut takes back commits that were already acknowledged.
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(limit)
            .row_buffer_size(512)
            .pragma("cache_size", "-32768")
            .pragma("temp_store", "memory")
            // Who commits must not wait while megabytes are copied from the log: `checkpoints` does that.
            .pragma("wal_autocheckpoint", "0")
            .pragma("journal_size_limit", "67108864");
        let pool = || SqlitePoolOptions::new().acquire_timeout(limit);
        let one = pool().max_connections(1).idle_timeout(None).max_lifetime(None);
        let writer = connect_sqlite(one, options.clone()).await?;
        migrate_sqlite(&writer).await?;
        let readers = connect_sqlite(pool().max_connections(settings.max_connections), options.read_only(true)).await?;
        tokio::spawn(checkpoints(writer.clone()));
        Ok(Self::Sqlite { readers, writer, limit })
    }

    async fn open_postgres(settings: &DatabaseSettings, limit: Duration) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(&settings.url).map_err(open_error)?.application_name("candlecast");
        let pool = PgPoolOptions::new()
            .max_connections(settings.max_connections)
            .acquire_timeout(limit)
            .test_before_acquire(true)
            .connect_with(options)
            .await
            .map_err(open_error)?;
        migrator(POSTGRES_MIGRATIONS).run(&pool).await.map_err(|error| StoreError::Migrate(Box::new(error)))?;
        Ok(Self::Postgres { pool, limit })
    }

    /// Waits for a database call, no longer than configured: the library itself would wait for ever.
    pub(super) async fn run<T, E: From<StoreError>>(&self, call: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.run_within(self.limit(), call).await
    }

    /// The same for work that grows with what was sent: ten times the limit of one statement.
    pub(super) async fn run_long<T, E: From<StoreError>>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.run_within(self.limit() * 10, call).await
    }

    async fn run_within<T, E: From<StoreError>>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match tokio::time::timeout(limit, call).await {
            Ok(answer) => answer,
            Err(_) => Err(StoreError::Timeout { limit_ms: limit.as_millis() as u64 }.into()),
        }
    }

    fn limit(&self) -> Duration {
        match self {
            Self::Sqlite { limit, .. } | Self::Postgres { limit, .. } => *limit,
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer, .. } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { pool, .. } => pool.close().await,
        }
    }
}

/// Copies what was committed from the log into the database file, until the pool is closed. What is committed is
/// durable in the log already; the last connection to close copies the rest.
async fn checkpoints(writer: SqlitePool) {
    let mut ticks = tokio::time::interval(CHECKPOINT_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    while !writer.is_closed() {
        ticks.tick().await;
        match sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&writer).await {
            // Busy with a long write, or closing: the next tick is soon enough.
            Ok(_) | Err(sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed) => {}
            Err(error) => tracing::warn!(%error, "the log of the database could not be copied into its file; it grows"),
        }
    }
}

const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// How often what another process that starts is in the way of is tried again, and after how long.
const TRIES: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// Opens a file. While another process turns a new one to write-ahead logging SQLite answers that it is locked at once,
/// whatever the busy timeout.
async fn connect_sqlite(pool: SqlitePoolOptions, options: SqliteConnectOptions) -> Result<SqlitePool, StoreError> {
    const BUSY: &str = "5";
    let mut tries = 1;
    loop {
        match pool.clone().connect_with(options.clone()).await {
            Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(BUSY) && tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer.map_err(open_error),
        }
    }
}

/// Brings the tables up to date. Two processes that start at once on a new file both begin; the library has no lock
/// for SQLite, so one of them fails on what the other has just made, and finds it done when it looks again.
async fn migrate_sqlite(writer: &SqlitePool) -> Result<(), StoreError> {
    let mut tries = 1;
    while let Err(error) = migrator(SQLITE_MIGRATIONS).run(writer).await {
        let is_race = matches!(error, MigrateError::Execute(_) | MigrateError::ExecuteMigration(..));
        if !is_race || tries == TRIES {
            return Err(StoreError::Migrate(Box::new(error)));
        }
        tries += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}

/// Migrations by number; a file once released is never edited.
const SQLITE_MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "spine", include_str!("../../migrations/sqlite/0001_spine.sql")),
    (2, "ledger", include_str!("../../migrations/sqlite/0002_ledger.sql")),
    (3, "backtests", include_str!("../../migrations/sqlite/0003_backtests.sql")),
    (4, "promotion", include_str!("../../migrations/sqlite/0004_promotion.sql")),
    (5, "handed_back", include_str!("../../migrations/sqlite/0005_handed_back.sql")),
    (6, "rewritten", include_str!("../../migrations/sqlite/0006_rewritten.sql")),
    (7, "markets", include_str!("../../migrations/sqlite/0007_markets.sql")),
];
const POSTGRES_MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "spine", include_str!("../../migrations/postgres/0001_spine.sql")),
    (2, "ledger", include_str!("../../migrations/postgres/0002_ledger.sql")),
    (3, "backtests", include_str!("../../migrations/postgres/0003_backtests.sql")),
    (4, "promotion", include_str!("../../migrations/postgres/0004_promotion.sql")),
    (5, "handed_back", include_str!("../../migrations/postgres/0005_handed_back.sql")),
    (6, "rewritten", include_str!("../../migrations/postgres/0006_rewritten.sql")),
    (7, "markets", include_str!("../../migrations/postgres/0007_markets.sql")),
];

fn migrator(migrations: &[(i64, &'static str, &'static str)]) -> Migrator {
    let migration = |&(version, description, sql): &(i64, &'static str, &'static str)| {
        let (kind, text) = (MigrationType::Simple, sqlx::SqlSafeStr::into_sql_str(sql));
        Migration::new(version, Cow::Borrowed(description), kind, text, false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

fn open_error(error: sqlx::Error) -> StoreError {
    StoreError::Open { reason: error.to_string() }
}
