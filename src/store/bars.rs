//! Bars: stored whole or not at all, counted exactly.

mod postgres;
mod sqlite;

use sqlx::Row;

use super::db::{Db, on};
use super::{PriceBasis, Store, StoreError, TickerRecord};
use crate::domain::bar::RawBar;
use crate::domain::{Bar, BarTime, Calendar, Interval, Series, Ticker};

/// What a bar that is already stored with other values gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// The values sent.
    #[default]
    Replace,
    /// The values stored.
    Keep,
    /// A refusal of the whole body.
    Reject,
}

/// One ticker's part of a body.
#[derive(Debug, Clone)]
pub struct SentBars<'a> {
    /// Whose.
    pub ticker: &'a Ticker,
    /// The bars.
    pub series: &'a Series,
    /// For a ticker not seen before (and for an old one where `Some`).
    pub calendar: Option<Calendar>,
    /// For a ticker not seen before.
    pub currency: Option<String>,
    /// Must be the stored series' own.
    pub price_basis: PriceBasis,
    /// The time of the newest stored bar, of a week or month that was not over, and of the sent one that takes its place.
    pub finishes: Option<(BarTime, BarTime)>,
}

/// What became of one ticker's bars.
#[derive(Debug, Clone, PartialEq)]
pub struct BarsOutcome {
    /// Not stored before.
    pub inserted: u64,
    /// Stored with other values, replaced.
    pub updated: u64,
    /// Stored already, or kept.
    pub unchanged: u64,
    /// The ticker afterwards (in a dry run: as it would be).
    pub record: TickerRecord,
}

/// Why a body was not stored; nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum PutBarsError {
    /// A stored bar differs, and the sender asked to refuse that.
    #[error("{ticker} {session} is stored with other values: {stored}, sent: {sent}")]
    Conflict {
        /// Whose.
        ticker: Ticker,
        /// Which bar.
        session: String,
        /// Open, high, low, close, volume as stored.
        stored: String,
        /// As sent.
        sent: String,
    },
    /// Daily bars for a series of minutes, say.
    #[error("{ticker} holds bars of {stored}, these are of {sent}: send them under another ticker")]
    Interval {
        /// Whose.
        ticker: Ticker,
        /// The series' own.
        stored: Interval,
        /// As sent.
        sent: Interval,
    },
    /// Adjusted prices for a series of raw ones, or the other way round.
    #[error("{ticker} holds {} prices, these are {}: a series is never mixed; send them under another ticker, or delete the old series first", .stored.as_str(), .sent.as_str())]
    PriceBasis {
        /// Whose.
        ticker: Ticker,
        /// The series' own.
        stored: PriceBasis,
        /// As sent.
        sent: PriceBasis,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for PutBarsError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Stores the bars of a body in one transaction: all of them durable when this returns, or none.
    /// A dry run counts the same and leaves nothing behind.
    ///
    /// # Errors
    /// When a stored bar differs under [`OnConflict::Reject`], interval or price basis are another than
    /// the stored series', or the database fails.
    pub async fn put_bars(
        &self,
        sent: &[SentBars<'_>],
        on_conflict: OnConflict,
        dry_run: bool,
    ) -> Result<Vec<BarsOutcome>, PutBarsError> {
        self.db
            .run_long(async {
                match &self.db {
                    Db::Sqlite { writer, .. } => sqlite::put(writer, sent, on_conflict, dry_run).await,
                    Db::Postgres { pool, .. } => postgres::put(pool, sent, on_conflict, dry_run).await,
                }
            })
            .await
    }

    /// Bars of a ticker from `from` to `to`, both included, ascending, at most `limit`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn bars(&self, ticker_id: i64, from: BarTime, to: BarTime, limit: u64) -> Result<Vec<Bar>, StoreError> {
        const SQL: &str = "SELECT ts, open, high, low, close, volume FROM bars
             WHERE ticker_id = $1 AND ts >= $2 AND ts <= $3 ORDER BY ts LIMIT $4";
        self.read_bars(SQL, ticker_id, from, to, limit).await
    }

    /// The newest `limit` bars up to `to`, ascending.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn newest_bars(&self, ticker_id: i64, to: BarTime, limit: u64) -> Result<Vec<Bar>, StoreError> {
        const SQL: &str = "SELECT ts, open, high, low, close, volume FROM bars
             WHERE ticker_id = $1 AND ts >= $2 AND ts <= $3 ORDER BY ts DESC LIMIT $4";
        let mut bars = self.read_bars(SQL, ticker_id, BarTime::from_seconds(i64::MIN), to, limit).await?;
        bars.reverse();
        Ok(bars)
    }

    /// How many bars stand after `after`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_bars_after(&self, ticker_id: i64, after: BarTime) -> Result<u64, StoreError> {
        self.count_bars_between(ticker_id, after, BarTime::from_seconds(i64::MAX)).await
    }

    /// How many bars stand after `after`, up to and including `to`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count_bars_between(&self, ticker_id: i64, after: BarTime, to: BarTime) -> Result<u64, StoreError> {
        const SQL: &str = "SELECT COUNT(*) FROM bars WHERE ticker_id = $1 AND ts > $2 AND ts <= $3";
        self.db
            .run(async {
                let count: i64 = on!(&self.db, pool => {
                    let query = sqlx::query_scalar(SQL).bind(ticker_id).bind(after.seconds()).bind(to.seconds());
                    query.fetch_one(pool).await?
                });
                Ok(count as u64)
            })
            .await
    }

    async fn read_bars(
        &self,
        sql: &'static str,
        ticker_id: i64,
        from: BarTime,
        to: BarTime,
        limit: u64,
    ) -> Result<Vec<Bar>, StoreError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.db
            .run(async {
                on!(&self.db, pool => {
                    let query = sqlx::query(sql).bind(ticker_id).bind(from.seconds()).bind(to.seconds()).bind(limit);
                    let rows = query.fetch_all(pool).await?;
                    rows.into_iter()
                        .map(|row| bar(RawBar {
                            at: BarTime::from_seconds(row.try_get(0)?),
                            open: row.try_get(1)?,
                            high: row.try_get(2)?,
                            low: row.try_get(3)?,
                            close: row.try_get(4)?,
                            volume: row.try_get(5)?,
                        }))
                        .collect()
                })
            })
            .await
    }
}

fn bar(raw: RawBar) -> Result<Bar, StoreError> {
    Bar::new(raw).map_err(|error| StoreError::corrupt("a bar")(error.to_string()))
}

/// Open, high, low, close and volume in one line, for messages.
fn shown(bar: &Bar) -> String {
    let volume = bar.volume().map_or_else(|| "no volume".to_owned(), |volume| volume.to_string());
    format!("{} {} {} {} {volume}", bar.open(), bar.high(), bar.low(), bar.close())
}

/// Takes a stored bar away for the one that finishes it, unless that is stored already. The other is inserted afterwards and
/// counts as an update.
const FINISH: &str = "DELETE FROM bars WHERE ticker_id = $1 AND ts = $2
     AND NOT EXISTS (SELECT 1 FROM bars WHERE ticker_id = $1 AND ts = $3)";

/// The first stored bar that differs from the one sent at its time, as an error.
fn conflict(sent: &SentBars<'_>, stored: &[Bar]) -> Option<PutBarsError> {
    let bars = sent.series.bars();
    stored.iter().find_map(|old| {
        let new = &bars[bars.binary_search_by_key(&old.at(), Bar::at).ok()?];
        (new != old).then(|| PutBarsError::Conflict {
            ticker: sent.ticker.clone(),
            session: sent.series.interval().label(old.at()),
            stored: shown(old),
            sent: shown(new),
        })
    })
}

/// Whether these bars may join the stored series.
fn check_kind(sent: &SentBars<'_>, record: &TickerRecord) -> Result<(), PutBarsError> {
    let interval = sent.series.interval();
    if record.bars_total > 0 && record.interval != interval {
        let ticker = sent.ticker.clone();
        return Err(PutBarsError::Interval { ticker, stored: record.interval, sent: interval });
    }
    if record.bars_total > 0 && record.price_basis != sent.price_basis {
        let ticker = sent.ticker.clone();
        return Err(PutBarsError::PriceBasis { ticker, stored: record.price_basis, sent: sent.price_basis });
    }
    Ok(())
}

/// What of a ticker changes with the bars just written.
struct Change {
    calendar: Calendar,
    interval: Interval,
    price_basis: PriceBasis,
    first: Option<i64>,
    last: Option<i64>,
    /// By how much the bars' version is raised.
    version_step: i64,
    rewritten_version: i64,
    revision: i64,
}

/// Of a history of which more than one bar in this many was replaced, a model has learned something else.
const REWRITTEN: u64 = 20;

impl Change {
    fn of(sent: &SentBars<'_>, before: &TickerRecord, inserted: u64, updated: u64, revision: i64) -> Self {
        let calendar = sent.calendar.clone().unwrap_or_else(|| before.calendar.clone());
        let (interval, price_basis) = match before.bars_total == 0 {
            true => (sent.series.interval(), sent.price_basis),
            false => (before.interval, before.price_basis),
        };
        let (first, last) = span(sent, before);
        let n_changed = inserted + updated;
        let is_rewritten = updated * REWRITTEN > before.bars_total + inserted;
        let moved = n_changed > 0 || calendar != before.calendar;
        Self {
            calendar,
            interval,
            price_basis,
            first: first.map(BarTime::seconds),
            last: last.map(BarTime::seconds),
            version_step: i64::from(n_changed > 0),
            rewritten_version: if is_rewritten { before.data_version + 1 } else { before.rewritten_version } as i64,
            revision: if moved { revision } else { before.revision },
        }
    }
}

/// First and last time of the bars sent, or the record's where they reach further.
fn span(sent: &SentBars<'_>, record: &TickerRecord) -> (Option<BarTime>, Option<BarTime>) {
    let bars = sent.series.bars();
    let (first, last) = (bars.first().map(Bar::at), bars.last().map(Bar::at));
    (record.first.into_iter().chain(first).min(), record.last.into_iter().chain(last).max())
}
