//! The SQLite side of [`put_bars`](crate::store::Store::put_bars): many rows a statement.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde_json::json;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{Connection, Row};

use super::{BarsOutcome, Change, FINISH, OnConflict, PutBarsError, SentBars, bar, check_kind, conflict};
use crate::domain::bar::RawBar;
use crate::domain::{Bar, BarTime, Calendar, Ticker};
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
    let records = find_or_make(&mut tx, sent).await?;
    for (sent, record) in sent.iter().zip(&records) {
        check_kind(sent, record)?;
        if on_conflict == OnConflict::Reject && record.bars_total > 0 {
            let stored = overlapping(&mut tx, record.id, sent).await?;
            if let Some(refusal) = conflict(sent, &stored) {
                return Err(refusal);
            }
        }
    }
    let counts = write_all(&mut tx, sent, &records, on_conflict).await?;
    let records = keep_counts(&mut tx, sent, &records, &counts, revision).await?;
    let outcomes = sent.iter().zip(counts).zip(records).map(|((sent, Count { inserted, updated }), record)| {
        BarsOutcome { inserted, updated, unchanged: sent.series.len() as u64 - inserted - updated, record }
    });
    let outcomes = outcomes.collect();
    match dry_run {
        true => tx.rollback().await?,
        false => tx.commit().await?,
    }
    Ok(outcomes)
}

/// The tickers' records in the order of `sent`, made where there are none: one statement for all.
async fn find_or_make(tx: &mut SqliteConnection, sent: &[SentBars<'_>]) -> Result<Vec<TickerRecord>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "INSERT INTO tickers (name, interval, calendar, currency, price_basis, policy)
         SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, '{{}}' FROM json_each($1) WHERE TRUE
         ON CONFLICT (name) DO UPDATE SET interval = tickers.interval RETURNING {COLUMNS}"
    ));
    let rows = sent.iter().map(|sent| {
        let calendar = sent.calendar.as_ref().unwrap_or(&Calendar::Weekdays);
        let (name, interval) = (sent.ticker.as_str(), sent.series.interval().to_string());
        json!([name, interval, calendar.to_string(), sent.currency, sent.price_basis.as_str()])
    });
    records(tx, sql, rows.collect(), sent.iter().map(|sent| sent.ticker)).await
}

/// Keeps the tickers' counts, spans and versions in step with the bars just written; the records afterwards.
async fn keep_counts(
    tx: &mut SqliteConnection,
    sent: &[SentBars<'_>],
    before: &[TickerRecord],
    counts: &[Count],
    revision: i64,
) -> Result<Vec<TickerRecord>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "UPDATE tickers SET bars_total = bars_total + (value ->> 1), data_version = data_version + (value ->> 2),
         revision = value ->> 3, first_ts = value ->> 4, last_ts = value ->> 5, calendar = value ->> 6,
         interval = value ->> 7, price_basis = value ->> 8, rewritten_version = value ->> 9
         FROM json_each($1) AS sent WHERE tickers.id = (sent.value ->> 0) RETURNING {COLUMNS}"
    ));
    let rows = sent.iter().zip(before).zip(counts).map(|((sent, before), count)| {
        let change = Change::of(sent, before, count.inserted, count.updated, revision);
        json!([
            before.id,
            count.inserted,
            change.version_step,
            change.revision,
            change.first,
            change.last,
            change.calendar.to_string(),
            change.interval.to_string(),
            change.price_basis.as_str(),
            change.rewritten_version,
        ])
    });
    records(tx, sql, rows.collect(), before.iter().map(|record| &record.ticker)).await
}

/// Runs a statement over a JSON array of rows; the records it returns, in the order of `tickers`.
async fn records<'a>(
    tx: &mut SqliteConnection,
    sql: sqlx::AssertSqlSafe<String>,
    rows: serde_json::Value,
    tickers: impl Iterator<Item = &'a Ticker>,
) -> Result<Vec<TickerRecord>, StoreError> {
    let rows = sqlx::query(sql).bind(rows.to_string()).fetch_all(tx).await?;
    let records: Vec<TickerRecord> = rows.into_iter().map(|row| record!(row)).collect::<Result<_, _>>()?;
    let mut by_name: HashMap<Ticker, TickerRecord> =
        records.into_iter().map(|record| (record.ticker.clone(), record)).collect();
    tickers
        .map(|ticker| {
            by_name.remove(ticker).ok_or_else(|| StoreError::corrupt("a ticker")(format!("{ticker} is not there")))
        })
        .collect()
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
        let mut n_finished = 0;
        if let Some((unfinished, finished)) = sent[idx].finishes {
            let query = sqlx::query(FINISH).bind(records[idx].id).bind(unfinished.seconds()).bind(finished.seconds());
            n_finished = query.execute(&mut *tx).await?.rows_affected();
        }
        let n_written = write(tx, &INSERT, &rows[idx]).await?;
        counts[idx] = Count { inserted: n_written - n_finished, updated: n_finished };
        if n_written < rows[idx].len() as u64 && on_conflict == OnConflict::Replace {
            counts[idx].updated += write(tx, &UPDATE, &rows[idx]).await?;
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
