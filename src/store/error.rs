//! What can go wrong with a database, in words that do not depend on which.

/// Why the database did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It did not answer within the configured time.
    #[error("the database did not answer within {limit_ms} ms")]
    Timeout {
        /// The configured limit.
        limit_ms: u64,
    },
    /// It cannot be opened: path, rights, address, password.
    #[error("cannot open the database: {reason}")]
    Open {
        /// What it said.
        reason: String,
    },
    /// Its tables cannot be brought up to date.
    #[error("cannot migrate the database: {0}")]
    Migrate(#[source] Box<sqlx::migrate::MigrateError>),
    /// It refused or lost a statement.
    #[error("the database refused: {0}")]
    Database(#[source] Box<sqlx::Error>),
    /// It is a server, and what was asked for is a copy of a file.
    #[error("the database is a server, which its own tools copy")]
    IsServer,
    /// What it holds cannot be read as what it should be.
    #[error("{what} in the database cannot be read: {reason}")]
    Corrupt {
        /// Which value.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl StoreError {
    /// A stored value that does not parse.
    pub(super) fn corrupt(what: &'static str) -> impl FnOnce(String) -> Self {
        move |reason| Self::Corrupt { what, reason }
    }

    /// Whether trying again later may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Timeout { .. } => true,
            Self::Database(error) => {
                matches!(**error, sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed)
                    || error.as_database_error().is_some_and(|e| {
                        // Postgres: serialization, deadlock, shutdown, starting up; SQLite: busy.
                        matches!(e.code().as_deref(), Some("40001" | "40P01" | "57P01" | "57P03" | "5" | "517"))
                    })
            }
            _ => false,
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Box::new(error))
    }
}
