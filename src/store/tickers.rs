//! Tickers: what is known of each but its bars.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::db::{Db, on, on_writer};
use super::{Store, StoreError};
use crate::domain::{BarTime, Calendar, Interval, Ticker};

/// Whether prices are as quoted on their day, or adjusted for later splits and dividends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceBasis {
    /// As quoted.
    Raw,
    /// Adjusted.
    Adjusted,
}

impl PriceBasis {
    /// As stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Adjusted => "adjusted",
        }
    }
}

impl FromStr for PriceBasis {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "raw" => Ok(Self::Raw),
            "adjusted" => Ok(Self::Adjusted),
            _ => Err(format!("price_basis {text:?} is neither raw nor adjusted")),
        }
    }
}

/// A ticker as stored.
#[derive(Debug, Clone, PartialEq)]
pub struct TickerRecord {
    /// Row id.
    pub id: i64,
    /// Its name.
    pub ticker: Ticker,
    /// How much time a bar covers; fixed by the first file.
    pub interval: Interval,
    /// Its market's sessions.
    pub calendar: Calendar,
    /// ISO 4217, where known.
    pub currency: Option<String>,
    /// Raw or adjusted prices; fixed by the first file.
    pub price_basis: PriceBasis,
    /// The retraining policy as JSON; `{}` is the default.
    pub policy: serde_json::Value,
    /// The model version that answers.
    pub champion: Option<u32>,
    /// Raised by each change of the bars.
    pub data_version: u64,
    /// The newest of these versions that replaced more than one bar in twenty: models of earlier ones have learned
    /// another history. 0 where none did.
    pub rewritten_version: u64,
    /// Raised by each change of anything, from one counter over all tickers.
    pub revision: i64,
    /// Bars stored.
    pub bars_total: u64,
    /// The oldest bar.
    pub first: Option<BarTime>,
    /// The newest bar.
    pub last: Option<BarTime>,
}

/// A ticker that moved.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// Which.
    pub ticker: Ticker,
    /// Its revision now.
    pub revision: i64,
    /// Whether it was not deleted.
    pub is_alive: bool,
    /// Calendar and interval, where it has them and they are known to this release.
    pub kind: Option<(Calendar, Interval)>,
}

/// What a client may change of a ticker.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TickerPatch {
    /// Another calendar.
    pub calendar: Option<Calendar>,
    /// Another currency.
    pub currency: Option<String>,
    /// Another policy, as JSON.
    pub policy: Option<serde_json::Value>,
}

pub(super) const COLUMNS: &str = "id, name, interval, calendar, currency, price_basis, policy, champion, data_version, rewritten_version, revision, bars_total, first_ts, last_ts";

/// Raises the counter. On Postgres it runs after all rows of tickers are locked: the counter's row stays locked until
/// the commit, so numbers become visible in the order in which they were given, and nobody waits in a circle.
pub(super) const RAISE_REVISION: &str = "UPDATE counters SET value = value + 1 WHERE name = 'revision' RETURNING value";

/// Gives a raised revision to a ticker.
pub(super) const MOVE: &str = "UPDATE tickers SET revision = $2 WHERE name = $1";

impl Store {
    /// One ticker.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn ticker(&self, ticker: &Ticker) -> Result<Option<TickerRecord>, StoreError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tickers WHERE name = $1"));
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let row = sqlx::query(sql).bind(ticker.as_str()).fetch_optional(pool).await?;
                    row.map(|row| record!(row)).transpose()
                })
            })
            .await
    }

    /// A query for the texts of `$1`, a JSON list.
    fn texts_of_json(&self) -> &'static str {
        match &self.db {
            Db::Sqlite { .. } => "SELECT value FROM json_each($1)",
            Db::Postgres { .. } => "SELECT json_array_elements_text($1::json)",
        }
    }

    /// Those of the named tickers that there are, in no order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tickers_named(&self, names: &[&str]) -> Result<Vec<TickerRecord>, StoreError> {
        let list = self.texts_of_json();
        let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM tickers WHERE name IN ({list})"));
        let names = serde_json::Value::from(names).to_string();
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(sql).bind(&names).fetch_all(pool).await?;
                    rows.into_iter().map(|row| record!(row)).collect()
                })
            })
            .await
    }

    /// Tickers by name, after `cursor`, whose name contains `query` (in upper case), at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tickers(&self, query: &str, cursor: &str, limit: u32) -> Result<Vec<TickerRecord>, StoreError> {
        // What is asked for is a text and no pattern: `_` is a character of tickers.
        let text = query.to_ascii_uppercase().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        let pattern = format!("%{text}%");
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM tickers WHERE name > $1 AND name LIKE $2 ESCAPE '\\' ORDER BY name LIMIT $3"
        ));
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows =
                        sqlx::query(sql).bind(cursor).bind(&pattern).bind(i64::from(limit)).fetch_all(pool).await?;
                    rows.into_iter().map(|row| record!(row)).collect()
                })
            })
            .await
    }

    /// Those of some calendars with daily bars, in the order in which they were first stored, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tickers_of_market(&self, calendars: &[String], limit: u32) -> Result<Vec<TickerRecord>, StoreError> {
        let list = self.texts_of_json();
        let sql = sqlx::AssertSqlSafe(format!(
            "SELECT {COLUMNS} FROM tickers WHERE calendar IN ({list}) AND interval = $2 ORDER BY id LIMIT $3"
        ));
        let calendars = serde_json::Value::from(calendars).to_string();
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(sql)
                        .bind(&calendars)
                        .bind(Interval::Day.to_string())
                        .bind(i64::from(limit))
                        .fetch_all(pool)
                        .await?;
                    rows.into_iter().map(|row| record!(row)).collect()
                })
            })
            .await
    }

    /// Every ticker that moved after `revision`, ascending by its own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn moved_since(&self, revision: i64) -> Result<Vec<Moved>, StoreError> {
        const SQL: &str = "SELECT name, revision, calendar, interval FROM tickers WHERE revision > $1
             UNION ALL SELECT name, revision, NULL, NULL FROM deleted_tickers WHERE revision > $1 ORDER BY 2";
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let rows = sqlx::query(SQL).bind(revision).fetch_all(pool).await?;
                    rows.into_iter()
                        .map(|row| {
                            let text = |column: usize| row.try_get::<Option<String>, _>(column);
                            let (calendar, interval) = (text(2)?, text(3)?);
                            let is_alive = calendar.is_some();
                            // Of a ticker that only a newer release reads, all others must not be lost from sight.
                            let kind = calendar
                                .and_then(|calendar| calendar.parse().ok())
                                .zip(interval.and_then(|interval| interval.parse().ok()));
                            let ticker = parsed("a ticker", &row.try_get::<String, _>(0)?)?;
                            Ok(Moved { ticker, revision: row.try_get(1)?, is_alive, kind })
                        })
                        .collect()
                })
            })
            .await
    }

    /// Changes a ticker's settings; `None` when there is no such ticker.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn patch_ticker(&self, ticker: &Ticker, patch: &TickerPatch) -> Result<Option<TickerRecord>, StoreError> {
        const SQL: &str = "UPDATE tickers SET calendar = COALESCE($2, calendar), currency = COALESCE($3, currency),
             policy = COALESCE($4, policy) WHERE name = $1";
        let calendar = patch.calendar.as_ref().map(ToString::to_string);
        let policy = patch.policy.as_ref().map(ToString::to_string);
        self.db
            .run(async {
                on_writer!(&self.db, (pool, begin) => {
                    let mut tx = pool.begin_with(begin).await?;
                    sqlx::query(SQL)
                        .bind(ticker.as_str())
                        .bind(&calendar)
                        .bind(&patch.currency)
                        .bind(&policy)
                        .execute(&mut *tx)
                        .await?;
                    let revision: i64 = sqlx::query_scalar(RAISE_REVISION).fetch_one(&mut *tx).await?;
                    sqlx::query(MOVE).bind(ticker.as_str()).bind(revision).execute(&mut *tx).await?;
                    tx.commit().await?;
                });
                Ok::<_, StoreError>(())
            })
            .await?;
        self.ticker(ticker).await
    }

    /// Deletes a ticker with its bars, jobs and model versions; `false` when there was none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_ticker(&self, ticker: &Ticker) -> Result<bool, StoreError> {
        const GRAVE: &str = "INSERT INTO deleted_tickers (name, revision) VALUES ($1, $2)
             ON CONFLICT (name) DO UPDATE SET revision = excluded.revision";
        self.db
            .run_long(async {
                on_writer!(&self.db, (pool, begin) => {
                    let mut tx = pool.begin_with(begin).await?;
                    let deleted = sqlx::query("DELETE FROM tickers WHERE name = $1")
                        .bind(ticker.as_str())
                        .execute(&mut *tx)
                        .await?
                        .rows_affected();
                    let revision: i64 = sqlx::query_scalar(RAISE_REVISION).fetch_one(&mut *tx).await?;
                    sqlx::query(GRAVE).bind(ticker.as_str()).bind(revision).execute(&mut *tx).await?;
                    tx.commit().await?;
                    Ok(deleted > 0)
                })
            })
            .await
    }
}

/// A row of [`COLUMNS`] as a record, for either database's row type.
macro_rules! record {
    ($row:expr) => {{
        let row = $row;
        (|| -> Result<$crate::store::TickerRecord, $crate::store::StoreError> {
            let text = |column: &'static str| row.try_get::<String, _>(column);
            Ok($crate::store::TickerRecord {
                id: row.try_get("id")?,
                ticker: $crate::store::tickers::parsed("a ticker", &text("name")?)?,
                interval: $crate::store::tickers::parsed("an interval", &text("interval")?)?,
                calendar: $crate::store::tickers::parsed("a calendar", &text("calendar")?)?,
                currency: row.try_get("currency")?,
                price_basis: $crate::store::tickers::parsed("a price basis", &text("price_basis")?)?,
                policy: $crate::store::tickers::parsed("a policy", &text("policy")?)?,
                champion: row.try_get::<Option<i64>, _>("champion")?.map(|version| version as u32),
                data_version: row.try_get::<i64, _>("data_version")? as u64,
                rewritten_version: row.try_get::<i64, _>("rewritten_version")? as u64,
                revision: row.try_get("revision")?,
                bars_total: row.try_get::<i64, _>("bars_total")? as u64,
                first: row.try_get::<Option<i64>, _>("first_ts")?.map($crate::domain::BarTime::from_seconds),
                last: row.try_get::<Option<i64>, _>("last_ts")?.map($crate::domain::BarTime::from_seconds),
            })
        })()
    }};
}
pub(super) use record;

pub(super) fn parsed<T: FromStr>(what: &'static str, text: &str) -> Result<T, StoreError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| StoreError::corrupt(what)(error.to_string()))
}
