//! The SQLite side of [`put_bars`](crate::store::Store::put_bars): many rows a statement.

use std::sync::{Arc, LazyLock};

use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Connection, Row};

use super::{BarsOutcome, OnConflict, PutBarsError, SentBars, bar, check_kind, conflict, span};
use crate::domain::bar::RawBar;
use crate::domain::{Bar, BarTime, Calendar};
use crate::store::tickers::{COLUMNS, RAISE_REVISION, record};
use crate::store::{StoreError, TickerRecord};

/// Rows a statement at most: more gain nothing. Lengths are powers of two, so that a handful of prepared statements
/// serves all: parsing one of 258 rows takes as long as storing them.
const CHUNK: usize = 1024;

pub(super) async fn put(
    writer: &SqlitePool,
    sent: &[SentBars<'_>],
    on_conflict: OnConflict,
    dry_run: bool,
) -> Result<Vec<BarsOutcome>, PutBarsError> {
    let mut connection = writer.acquire().await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let revision: i64 = sqlx::query_scalar(RAISE_REVISION).fetch_one(&mut *tx).await?;
    let mut outcomes = Vec::with_capacity(sent.len());
    for sent in sent {
        outcomes.push(put_one(&mut tx, sent, on_conflict, revision).await?);
    }
    match dry_run {
        true => tx.rollback().await?,
        false => tx.commit().await?,
    }
    Ok(outcomes)
}

async fn put_one(
    tx: &mut SqliteConnection,
    sent: &SentBars<'_>,
    on_conflict: OnConflict,
    revision: i64,
) -> Result<BarsOutcome, PutBarsError> {
    let record = find_or_make!(&mut *tx, sent, "");
    check_kind(sent, &record)?;
    if on_conflict == OnConflict::Reject && record.bars_total > 0 {
        let stored = overlapping(tx, record.id, sent).await?;
        if let Some(refusal) = conflict(sent, &stored) {
            return Err(refusal);
        }
    }
    let (mut inserted, mut updated) = (0, 0);
    let mut rest = sent.series.bars();
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(CHUNK.min(rest.len()));
        rest = after;
        let new = write(tx, &INSERT, record.id, chunk).await?;
        inserted += new;
        if new < chunk.len() as u64 && on_conflict == OnConflict::Replace {
            updated += write(tx, &UPDATE, record.id, chunk).await?;
        }
    }
    let unchanged = sent.series.len() as u64 - inserted - updated;
    let record = keep_count!(&mut *tx, sent, &record, inserted, updated, revision);
    Ok(BarsOutcome { inserted, updated, unchanged, record })
}

/// The stored bars at or between the times of those sent.
async fn overlapping(tx: &mut SqliteConnection, id: i64, sent: &SentBars<'_>) -> Result<Vec<Bar>, StoreError> {
    const SQL: &str =
        "SELECT ts, open, high, low, close, volume FROM bars WHERE ticker_id = $1 AND ts BETWEEN $2 AND $3";
    let bars = sent.series.bars();
    let ends = bars.first().zip(bars.last()).map(|(first, last)| (first.at().seconds(), last.at().seconds()));
    let (from, to) = ends.unwrap_or_default();
    let rows = sqlx::query(SQL).bind(id).bind(from).bind(to).fetch_all(&mut *tx).await?;
    let read = |row: sqlx::sqlite::SqliteRow| {
        bar(RawBar {
            at: BarTime::from_seconds(row.try_get(0)?),
            open: row.try_get(1)?,
            high: row.try_get(2)?,
            low: row.try_get(3)?,
            close: row.try_get(4)?,
            volume: row.try_get(5)?,
        })
    };
    rows.into_iter().map(read).collect()
}

/// Writes at most [`CHUNK`] bars. The last one fills the statement up: a bar that is there already changes nothing
/// and is not counted, and one statement costs less than its length in several.
async fn write(tx: &mut SqliteConnection, sql: &'static Statements, id: i64, bars: &[Bar]) -> Result<u64, StoreError> {
    let length = bars.len().next_power_of_two();
    let text = Arc::clone(&sql[length.ilog2() as usize]);
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
    for bar in bars.iter().chain(std::iter::repeat_n(&bars[bars.len() - 1], length - bars.len())) {
        query = query
            .bind(id)
            .bind(bar.at().seconds())
            .bind(bar.open())
            .bind(bar.high())
            .bind(bar.low())
            .bind(bar.close())
            .bind(bar.volume());
    }
    Ok(query.execute(&mut *tx).await?.rows_affected())
}

/// One statement for each power of two up to [`CHUNK`], by its exponent.
type Statements = LazyLock<Vec<Arc<str>>>;

static INSERT: Statements = LazyLock::new(|| statements("ON CONFLICT DO NOTHING"));
static UPDATE: Statements = LazyLock::new(|| {
    statements(
        "ON CONFLICT (ticker_id, ts) DO UPDATE SET open = excluded.open, high = excluded.high, low = excluded.low,
         close = excluded.close, volume = excluded.volume
         WHERE bars.open <> excluded.open OR bars.high <> excluded.high OR bars.low <> excluded.low
            OR bars.close <> excluded.close OR bars.volume IS NOT excluded.volume",
    )
});

fn statements(tail: &str) -> Vec<Arc<str>> {
    (0..=CHUNK.ilog2()).map(|exponent| statement(tail, 1 << exponent).into()).collect()
}

fn statement(tail: &str, n_bars: usize) -> String {
    let values = vec!["(?,?,?,?,?,?,?)"; n_bars].join(",");
    format!("INSERT INTO bars (ticker_id, ts, open, high, low, close, volume) VALUES {values} {tail}")
}
