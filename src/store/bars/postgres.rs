//! The Postgres side of [`put_bars`](crate::store::Store::put_bars): COPY into a temporary table, then merge.

use std::collections::HashMap;

use sqlx::postgres::{PgConnection, PgPool};
use sqlx::{Connection, Row};

use super::{BarsOutcome, Change, FINISH, OnConflict, PutBarsError, SentBars, bar, check_kind, conflict};
use crate::domain::bar::RawBar;
use crate::domain::{Bar, BarTime, Calendar};
use crate::store::tickers::{COLUMNS, RAISE_REVISION, record};
use crate::store::{StoreError, TickerRecord};

pub(super) async fn put(
    pool: &PgPool,
    sent: &[SentBars<'_>],
    on_conflict: OnConflict,
    dry_run: bool,
) -> Result<Vec<BarsOutcome>, PutBarsError> {
    let mut connection = pool.acquire().await?;
    let mut tx = connection.begin().await?;
    // Always in the order of names: two bodies that share tickers then never wait for each other in a circle.
    let mut by_name: Vec<usize> = (0..sent.len()).collect();
    by_name.sort_by_key(|idx| sent[*idx].ticker);
    let mut records = HashMap::with_capacity(sent.len());
    for idx in by_name {
        // Locked until the end of the transaction: two bodies for one ticker take turns.
        let record = find_or_make(&mut tx, &sent[idx]).await?;
        check_kind(&sent[idx], &record)?;
        records.insert(idx, record);
    }
    let record_of = |idx: usize| records[&idx].clone();
    copy(&mut tx, sent.iter().enumerate().map(|(idx, sent)| (records[&idx].id, sent))).await?;
    if on_conflict == OnConflict::Reject {
        refuse_conflicts(&mut tx, sent, &records).await?;
    }
    let mut finished = HashMap::new();
    for (idx, sent) in sent.iter().enumerate() {
        let Some((from, to)) = sent.finishes else { continue };
        let query = sqlx::query(FINISH).bind(records[&idx].id).bind(from.seconds()).bind(to.seconds());
        finished.insert(records[&idx].id, query.execute(&mut *tx).await?.rows_affected());
    }
    let inserted = counts(&mut tx, INSERT).await?;
    let updated = match on_conflict {
        OnConflict::Replace => counts(&mut tx, UPDATE).await?,
        OnConflict::Keep | OnConflict::Reject => HashMap::new(),
    };
    // Last: the counter stays locked from here to the commit.
    let revision: i64 = sqlx::query_scalar(RAISE_REVISION).fetch_one(&mut *tx).await?;
    let mut outcomes = Vec::with_capacity(sent.len());
    for (idx, sent) in sent.iter().enumerate() {
        let before = record_of(idx);
        let count = |of: &HashMap<i64, u64>| of.get(&before.id).copied().unwrap_or(0);
        let (inserted, updated) = (count(&inserted) - count(&finished), count(&updated) + count(&finished));
        let unchanged = sent.series.len() as u64 - inserted - updated;
        let change = Change::of(sent, &before, inserted, updated, revision);
        let record = keep_count(&mut tx, before.id, inserted, change).await?;
        outcomes.push(BarsOutcome { inserted, updated, unchanged, record });
    }
    match dry_run {
        true => tx.rollback().await?,
        false => tx.commit().await?,
    }
    Ok(outcomes)
}

/// The record of a ticker, made where there is none. The update that changes nothing holds the row, so that two bodies
/// for one ticker go one after the other; it touches no key, so that what only refers to the ticker (forecasts, jobs)
/// does not wait.
async fn find_or_make(tx: &mut PgConnection, sent: &SentBars<'_>) -> Result<TickerRecord, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "INSERT INTO tickers (name, interval, calendar, currency, price_basis, policy)
         VALUES ($1, $2, $3, $4, $5, '{{}}') ON CONFLICT (name) DO UPDATE SET interval = tickers.interval
         RETURNING {COLUMNS}"
    ));
    let calendar = sent.calendar.as_ref().unwrap_or(&Calendar::Weekdays);
    let row = sqlx::query(sql)
        .bind(sent.ticker.as_str())
        .bind(sent.series.interval().to_string())
        .bind(calendar.to_string())
        .bind(&sent.currency)
        .bind(sent.price_basis.as_str())
        .fetch_one(tx)
        .await?;
    record!(row)
}

/// Keeps a ticker's counts, span and versions in step with the bars just written; the record afterwards.
async fn keep_count(tx: &mut PgConnection, id: i64, inserted: u64, change: Change) -> Result<TickerRecord, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "UPDATE tickers SET bars_total = bars_total + $2, data_version = data_version + $3, revision = $4,
         first_ts = $5, last_ts = $6, calendar = $7, interval = $8, price_basis = $9, rewritten_version = $10
         WHERE id = $1 RETURNING {COLUMNS}"
    ));
    let row = sqlx::query(sql)
        .bind(id)
        .bind(inserted as i64)
        .bind(change.version_step)
        .bind(change.revision)
        .bind(change.first)
        .bind(change.last)
        .bind(change.calendar.to_string())
        .bind(change.interval.to_string())
        .bind(change.price_basis.as_str())
        .bind(change.rewritten_version)
        .fetch_one(tx)
        .await?;
    record!(row)
}

const INSERT: &str = "WITH new AS (
        INSERT INTO bars SELECT * FROM sent ON CONFLICT DO NOTHING RETURNING ticker_id)
    SELECT ticker_id, count(*) FROM new GROUP BY ticker_id";
const UPDATE: &str = "WITH changed AS (
        UPDATE bars SET open = sent.open, high = sent.high, low = sent.low, close = sent.close, volume = sent.volume
        FROM sent WHERE bars.ticker_id = sent.ticker_id AND bars.ts = sent.ts
          AND (bars.open, bars.high, bars.low, bars.close, bars.volume)
              IS DISTINCT FROM (sent.open, sent.high, sent.low, sent.close, sent.volume)
        RETURNING bars.ticker_id)
    SELECT ticker_id, count(*) FROM changed GROUP BY ticker_id";

async fn counts(tx: &mut PgConnection, sql: &'static str) -> Result<HashMap<i64, u64>, StoreError> {
    let rows = sqlx::query(sql).fetch_all(tx).await?;
    rows.into_iter().map(|row| Ok((row.try_get(0)?, row.try_get::<i64, _>(1)? as u64))).collect()
}

async fn refuse_conflicts(
    tx: &mut PgConnection,
    sent: &[SentBars<'_>],
    records: &HashMap<usize, TickerRecord>,
) -> Result<(), PutBarsError> {
    const SQL: &str = "SELECT bars.* FROM bars JOIN sent ON bars.ticker_id = sent.ticker_id AND bars.ts = sent.ts
         WHERE bars.ticker_id = $1 ORDER BY bars.ts";
    for (idx, sent) in sent.iter().enumerate() {
        let rows = sqlx::query(SQL).bind(records[&idx].id).fetch_all(&mut *tx).await?;
        let read = |row: sqlx::postgres::PgRow| {
            bar(RawBar {
                at: BarTime::from_seconds(row.try_get("ts")?),
                open: row.try_get("open")?,
                high: row.try_get("high")?,
                low: row.try_get("low")?,
                close: row.try_get("close")?,
                volume: row.try_get("volume")?,
            })
        };
        let stored = rows.into_iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
        if let Some(refusal) = conflict(sent, &stored) {
            return Err(refusal);
        }
    }
    Ok(())
}

/// Sends the rows in Postgres's binary COPY format (its manual, "COPY", section Binary Format).
async fn copy<'a, 'b: 'a>(
    tx: &mut PgConnection,
    sent: impl Iterator<Item = (i64, &'a SentBars<'b>)>,
) -> Result<(), StoreError> {
    const FLUSH: usize = 1 << 20;
    sqlx::query("CREATE TEMPORARY TABLE sent (LIKE bars) ON COMMIT DROP").execute(&mut *tx).await?;
    let mut copy = tx.copy_in_raw("COPY sent FROM STDIN (FORMAT binary)").await?;
    let mut buffer = Vec::with_capacity(FLUSH + 128);
    buffer.extend_from_slice(b"PGCOPY\n\xff\r\n\0");
    buffer.extend_from_slice(&[0; 8]); // flags, length of the header's extension
    for (id, sent) in sent {
        for bar in sent.series.bars() {
            push_row(&mut buffer, id, bar);
            if buffer.len() >= FLUSH {
                copy.send(buffer.as_slice()).await?;
                buffer.clear();
            }
        }
    }
    buffer.extend_from_slice(&(-1_i16).to_be_bytes());
    copy.send(buffer.as_slice()).await?;
    copy.finish().await?;
    Ok(())
}

fn push_row(buffer: &mut Vec<u8>, id: i64, bar: &Bar) {
    let row = [
        Some(id.to_be_bytes()),
        Some(bar.at().seconds().to_be_bytes()),
        Some(bar.open().to_be_bytes()),
        Some(bar.high().to_be_bytes()),
        Some(bar.low().to_be_bytes()),
        Some(bar.close().to_be_bytes()),
        bar.volume().map(f64::to_be_bytes),
    ];
    buffer.extend_from_slice(&(row.len() as i16).to_be_bytes());
    for value in row {
        match value {
            Some(bytes) => {
                buffer.extend_from_slice(&8_i32.to_be_bytes());
                buffer.extend_from_slice(&bytes);
            }
            None => buffer.extend_from_slice(&(-1_i32).to_be_bytes()),
        }
    }
}
