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
const CHUNK: usize = 2048;

pub(super) async fn put(
    writer: &SqlitePool,
    sent: &[SentBars<'_>],
    on_conflict: OnConflict,
    dry_run: bool,
) -> Result<Vec<BarsOutcome>, PutBarsError> {
    let mut connection = writer.acquire().await?;
    let mut tx = connection.begin_with("BEGIN IMMEDIATE").await?;
    let revision: i64 = sqlx::query_scalar(RAISE_REVISION).fetch_one(&mut *tx).await?;
    let mut records = Vec::with_capacity(sent.len());
    for sent in sent {
        records.push(find(&mut tx, sent, on_conflict).await?);
    }
    let counts = write_all(&mut tx, sent, &records, on_conflict).await?;
    let mut outcomes = Vec::with_capacity(sent.len());
    for ((sent, record), Count { inserted, updated }) in sent.iter().zip(&records).zip(counts) {
        let unchanged = sent.series.len() as u64 - inserted - updated;
        let record = keep_count!(&mut *tx, sent, record, inserted, updated, revision);
        outcomes.push(BarsOutcome { inserted, updated, unchanged, record });
    }
    match dry_run {
        true => tx.rollback().await?,
        false => tx.commit().await?,
    }
    Ok(outcomes)
}

/// The ticker's record, made where there is none, if it may take the bars.
async fn find(
    tx: &mut SqliteConnection,
    sent: &SentBars<'_>,
    on_conflict: OnConflict,
) -> Result<TickerRecord, PutBarsError> {
    let record = find_or_make!(&mut *tx, sent);
    check_kind(sent, &record)?;
    if on_conflict == OnConflict::Reject && record.bars_total > 0 {
        let stored = overlapping(tx, record.id, sent).await?;
        if let Some(refusal) = conflict(sent, &stored) {
            return Err(refusal);
        }
    }
    Ok(record)
}

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    inserted: u64,
    updated: u64,
}

/// Bars for one statement, each with its ticker's id.
type Rows<'a> = [(i64, &'a Bar)];

/// Writes the bars of all tickers, each known by its record.
async fn write_all(
    tx: &mut SqliteConnection,
    sent: &[SentBars<'_>],
    records: &[TickerRecord],
    on_conflict: OnConflict,
) -> Result<Vec<Count>, StoreError> {
    let rows: Vec<Vec<(i64, &Bar)>> = sent
        .iter()
        .zip(records)
        .map(|(sent, record)| sent.series.bars().iter().map(|bar| (record.id, bar)).collect())
        .collect();
    // Tickers without any bars share statements: all that they sent is new, so nothing needs counting.
    let (fresh, known): (Vec<usize>, Vec<usize>) = (0..sent.len()).partition(|idx| records[*idx].bars_total == 0);
    let mut counts = vec![Count::default(); sent.len()];
    let mut shared = Vec::with_capacity(fresh.iter().map(|idx| rows[*idx].len()).sum());
    for idx in fresh {
        shared.extend_from_slice(&rows[idx]);
        counts[idx].inserted = rows[idx].len() as u64;
    }
    write(tx, &INSERT, &shared).await?;
    for idx in known {
        counts[idx].inserted = write(tx, &INSERT, &rows[idx]).await?;
        if counts[idx].inserted < rows[idx].len() as u64 && on_conflict == OnConflict::Replace {
            counts[idx].updated = write(tx, &UPDATE, &rows[idx]).await?;
        }
    }
    Ok(counts)
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

/// Runs a statement over rows, [`CHUNK`] at a time; how many it changed. While the database works on one chunk the next
/// is filled in.
async fn write(tx: &mut SqliteConnection, sql: &'static Statements, rows: &Rows<'_>) -> Result<u64, StoreError> {
    let chunks: Vec<&Rows<'_>> = rows.chunks(CHUNK).collect();
    let mut changed = 0;
    let mut next = chunks.first().map(|chunk| filled(sql, chunk));
    let mut at = 0;
    while let Some(query) = next {
        at += 1;
        let (done, following) =
            tokio::join!(query.execute(&mut *tx), async { chunks.get(at).map(|chunk| filled(sql, chunk)) });
        changed += done?.rows_affected();
        next = following;
    }
    Ok(changed)
}

type Filled = sqlx::query::Query<'static, sqlx::Sqlite, sqlx::sqlite::SqliteArguments>;

/// The statement for one chunk. The last row fills it up to its length: one that is there already changes nothing and
/// is not counted, and one statement costs less than its length in several.
fn filled(sql: &'static Statements, rows: &Rows<'_>) -> Filled {
    let length = rows.len().next_power_of_two();
    let text = Arc::clone(&sql[length.ilog2() as usize]);
    let mut query = sqlx::query(sqlx::AssertSqlSafe(text));
    for (id, bar) in rows.iter().chain(std::iter::repeat_n(&rows[rows.len() - 1], length - rows.len())) {
        query = query
            .bind(id)
            .bind(bar.at().seconds())
            .bind(bar.open())
            .bind(bar.high())
            .bind(bar.low())
            .bind(bar.close())
            .bind(bar.volume());
    }
    query
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
