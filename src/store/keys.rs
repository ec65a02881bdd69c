//! API keys, kept as hashes.

use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::db::{on, on_writer};
use super::tickers::parsed;
use super::{Store, StoreError};

/// What a key may do; each scope includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Read anything.
    Read,
    /// Send bars, train.
    Write,
    /// Delete tickers, manage keys.
    Admin,
}

impl Scope {
    /// As stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl std::str::FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            "admin" => Ok(Self::Admin),
            _ => Err(format!("scope {text:?} is none of read, write, admin")),
        }
    }
}

/// A key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyRecord {
    /// Names it to `keys revoke`.
    pub id: String,
    /// Whose or what for.
    pub name: String,
    /// What it may do.
    pub scope: Scope,
    /// When it was made, ms since 1970 UTC.
    pub created_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

macro_rules! key {
    ($row:expr) => {{
        let row = $row;
        Ok::<KeyRecord, StoreError>(KeyRecord {
            id: row.try_get("id")?,
            name: row.try_get("name")?,
            scope: parsed("a scope", &row.try_get::<String, _>("scope")?)?,
            created_at: row.try_get("created_at")?,
            revoked_at: row.try_get("revoked_at")?,
        })
    }};
}

impl Store {
    /// Keeps a key's hash.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn add_key(&self, id: &str, name: &str, hash: &str, scope: Scope) -> Result<(), StoreError> {
        const SQL: &str = "INSERT INTO api_keys (id, name, hash, scope, created_at)
             VALUES ($1, $2, $3, $4, (SELECT ms FROM clock))";
        self.db
            .run(async {
                on_writer!(&self.db, pool => {
                    sqlx::query(SQL).bind(id).bind(name).bind(hash).bind(scope.as_str()).execute(pool).await?;
                });
                Ok(())
            })
            .await
    }

    /// The key of a hash, unless it was revoked.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn key_by_hash(&self, hash: &str) -> Result<Option<KeyRecord>, StoreError> {
        const SQL: &str = "SELECT * FROM api_keys WHERE hash = $1 AND revoked_at IS NULL";
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let row = sqlx::query(SQL).bind(hash).fetch_optional(pool).await?;
                    row.map(|row| key!(row)).transpose()
                })
            })
            .await
    }

    /// All keys, the oldest first, revoked ones too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys(&self) -> Result<Vec<KeyRecord>, StoreError> {
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query("SELECT * FROM api_keys ORDER BY created_at, id").fetch_all(pool).await?;
                    rows.into_iter().map(|row| key!(row)).collect()
                })
            })
            .await
    }

    /// Whether any key is in force.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn has_keys(&self) -> Result<bool, StoreError> {
        Ok(self.keys().await?.iter().any(|key| key.revoked_at.is_none()))
    }

    /// Whether any key was ever made, in force or not.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn keys_were_made(&self) -> Result<bool, StoreError> {
        self.db
            .run(async {
                on!(&self.db, pool => {
                    Ok(sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM api_keys)").fetch_one(pool).await?)
                })
            })
            .await
    }

    /// Revokes a key; `false` when no key in force has this id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn revoke_key(&self, id: &str) -> Result<bool, StoreError> {
        const SQL: &str =
            "UPDATE api_keys SET revoked_at = (SELECT ms FROM clock) WHERE id = $1 AND revoked_at IS NULL";
        self.db
            .run(async {
                let rows = on_writer!(&self.db, pool => {
                    sqlx::query(SQL).bind(id).execute(pool).await?.rows_affected()
                });
                Ok(rows > 0)
            })
            .await
    }
}
