//! The line of a file that names its columns, and what else of its head is no row.

use std::collections::BTreeMap;

use super::columns::{self, Role};
use super::layout::{self, Joined, Layout};
use super::records::{self, Record};
use super::{IngestLimits, ReadError, ReadOptions, dates, guess};

/// A header found in a file.
#[derive(Debug)]
pub(super) struct Header {
    /// The first record that may be a bar.
    pub data_from: usize,
    /// The record of the names; `None` where the caller gave them.
    pub record: Option<usize>,
    pub layout: Layout,
}

/// How many records may stand before a header: legal notices are long.
const MAX_PREAMBLE: usize = 60;

/// The line that names most columns, and how many it names; `None` where no line looks like a header: three
/// names, or fewer where nothing in the line is a value.
pub(super) fn best_line(text: &str, records: &[Record], delimiter: u8) -> Option<(usize, usize)> {
    let score = |record: &Record| {
        let cells = records::fields(record.text(text), delimiter);
        let mut roles: Vec<(Role, Option<String>)> =
            columns::all_named(&cells).into_iter().map(|(_, named)| (named.role, named.ticker)).collect();
        roles.sort();
        roles.dedup();
        let is_value = |cell: &String| cell.parse::<f64>().is_ok() || dates::looks_like_date(cell);
        let begins_with_date = cells
            .first()
            .and_then(|cell| columns::named(cell))
            .is_some_and(|n| matches!(n.role, Role::Date | Role::Time));
        match roles.len() {
            score @ 3.. => score,
            2 if cells.len() >= 3 && !cells.iter().any(is_value) => 2,
            1 if cells.len() >= 3 && begins_with_date && !cells.iter().any(is_value) => 1,
            _ => 0,
        }
    };
    let scored = records.iter().take(MAX_PREAMBLE).enumerate().filter(|(_, record)| record.fields >= 2);
    let best = scored.map(|(idx, record)| (idx, score(record))).rev().max_by_key(|(_, score)| *score);
    best.filter(|(_, score)| *score > 0)
}

/// How many lines above the names may say whose columns they are.
const TICKERS_ABOVE: usize = 8;
/// How many rows are looked at to tell which column is which.
const SAMPLE: usize = 200;

/// Finds and reads the header of a file.
///
/// # Errors
/// `missing_header` with a guess, `too_many_columns`, `missing_column`, `duplicate_column`, …
pub(super) fn find(
    text: &str,
    records: &[Record],
    delimiter: u8,
    options: &ReadOptions,
    limits: &IngestLimits,
) -> Result<Header, ReadError> {
    let best = best_line(text, records, delimiter);
    if let Some(columns) = &options.columns
        && !columns.contains(':')
    {
        let data_from = best.map_or(0, |(idx, _)| idx + 1);
        return Ok(Header { data_from, record: None, layout: layout::by_position(columns)? });
    }
    let cells = |idx: usize| records.get(idx).map(|record| records::fields(record.text(text), delimiter));
    let holds_chosen = |at: &usize| {
        let (Some(columns), Some(cells)) = (&options.columns, cells(*at)) else { return false };
        let mut chosen = columns
            .split(',')
            .filter_map(|choice| Some(choice.split_once(':')?.1.trim()))
            .filter(|name| *name != "-")
            .peekable();
        chosen.peek().is_some() && chosen.all(|name| cells.iter().any(|cell| cell.trim() == name))
    };
    let best = best.map(|(idx, _)| idx);
    let chosen = best.filter(holds_chosen).or_else(|| (0..records.len().min(MAX_PREAMBLE)).find(holds_chosen));
    let Some(idx) = chosen.or(best) else {
        return Err(guess::no_header(text, records, delimiter));
    };
    let mut names = cells(idx).unwrap_or_default();
    // Before names are compared with each other. Empty ones at the end are no columns.
    if names.iter().rposition(|name| !name.is_empty()).is_some_and(|last| last >= limits.max_columns) {
        return Err(ReadError::OverLimit { code: "too_many_columns", what: "columns", max: limits.max_columns });
    }
    // `날짜,주가,,,,거래량` above `,시가,고가,저가,종가,`: a name that spans two lines stands in the upper one.
    let upper = idx.checked_sub(1).and_then(cells).filter(|upper| upper.len() == names.len());
    let spans_two = |(name, upper): &(&mut String, String)| {
        let role = columns::named(upper).map(|named| named.role);
        name.is_empty() && matches!(role, Some(Role::Date | Role::Time | Role::Volume))
    };
    let above: Vec<_> = names.iter_mut().zip(upper.into_iter().flatten()).filter(spans_two).collect();
    if above.len() > 1 {
        above.into_iter().for_each(|(name, upper)| *name = upper);
    }
    let mut tickers: Option<Vec<String>> = None;
    let mut data_from = idx + 1;
    let mut date_name = None;
    // yfinance writes up to three lines: names, tickers, and the name of the index; others a line of units.
    while let Some(next) = cells(data_from).filter(|_| data_from <= idx + 2) {
        if is_index_line(&next) {
            date_name = next.first().cloned();
        } else if is_ticker_line(&next, &names) {
            tickers = Some(next);
        } else if !is_rule(&next) && (!is_unit_line(&next) || cells(data_from + 1).is_none_or(|row| !has_value(&row))) {
            break;
        }
        data_from += 1;
    }
    let above = (idx.saturating_sub(TICKERS_ABOVE)..idx).rev().filter_map(|above| Some((above, cells(above)?)));
    let above = above.filter(|(at, above)| is_ticker_line(above, &names) && (at + 1 == idx || !above[0].is_empty()));
    if let Some((_, above)) = above.into_iter().next() {
        tickers = Some(above);
    }
    // A row that is one field wider than the header has an index without a name (R writes such files).
    let modal = modal_width(&records[data_from..]);
    let has_trailing_sign = names.last().is_some_and(String::is_empty);
    let mut splits_dates = false;
    if modal == names.len() + 1 && !has_trailing_sign && !trails_empty(text, &records[data_from..], delimiter) {
        splits_dates = cells(data_from).is_some_and(|row| is_split_date(&row));
        let at = match begins_with_dates(&names, cells(data_from)) {
            Some(false) => {
                let message = "rows have one field more than the header has names, and it is no index: put numbers with commas in \
                               quotes, or name every column";
                return Err(ReadError::unusable("row_width", message).on_line(u64::from(records[data_from].line)));
            }
            Some(true) => names.len(),
            None => usize::from(splits_dates),
        };
        names.insert(at, String::new());
        if let Some(tickers) = &mut tickers {
            tickers.insert(at, String::new());
        }
    }
    if let Some(date_name) = date_name {
        names[0] = date_name;
    }
    let sample: Vec<Vec<String>> = (data_from..records.len()).take(SAMPLE).filter_map(cells).collect();
    let mut layout = layout::resolve(names, tickers.as_deref(), &sample, options)
        .map_err(|error| error.on_line(u64::from(records[idx].line)))?;
    if splits_dates && layout.date == 0 {
        layout.joined.push(Joined { at: 0, parts: vec![0, 1], sign: ' ' });
    }
    Ok(Header { data_from, record: Some(idx), layout })
}

/// `Jul 09, 2026` without quotes is two fields.
fn is_split_date(row: &[String]) -> bool {
    let is_year = |cell: &String| cell.len() == 4 && cell.bytes().all(|byte| byte.is_ascii_digit());
    let [day, year, ..] = row else { return false };
    is_year(year)
        && day.contains(' ')
        && day.starts_with(char::is_alphabetic)
        && dates::looks_like_date(&format!("{day} {year}"))
}

/// Where the first name is the date and the first field of a row is one, the last field lacks its name: whether it can. Not where
/// the last name is the volume and what stands there is a price, or a part of a volume with a comma and no quotes.
fn begins_with_dates(names: &[String], row: Option<Vec<String>>) -> Option<bool> {
    let is_date = names.first().and_then(|name| columns::named(name)).is_some_and(|named| named.role == Role::Date);
    let begins = |row: &Vec<String>, at: usize| row.get(at).is_some_and(|cell| dates::looks_like_date(cell));
    let is_volume = names.last().and_then(|name| columns::named(name)).is_some_and(|named| named.role == Role::Volume);
    let may_be_last = |row: &Vec<String>| match row.as_slice() {
        [.., volume, beyond] if is_volume => {
            volume.len() > 3 && beyond.len() != 3 && volume.bytes().all(|byte| byte.is_ascii_digit())
        }
        _ => true,
    };
    row.filter(|row| is_date && begins(row, 0) && !begins(row, 1)).map(|row| may_be_last(&row))
}

/// `|------|:----:|`: a line drawn below the names.
fn is_rule(cells: &[String]) -> bool {
    let is_drawn = |cell: &String| cell.chars().all(|c| matches!(c, '-' | ':' | '=' | '+' | '─'));
    cells.iter().all(is_drawn) && cells.iter().any(|cell| cell.len() >= 2)
}

/// `Date,,,`: the name of the index below the others.
fn is_index_line(cells: &[String]) -> bool {
    let is_date = |cell: &String| columns::named(cell).is_some_and(|named| named.role == Role::Date);
    cells.first().is_some_and(is_date) && cells[1..].iter().all(String::is_empty)
}

/// `,(KRW),(KRW),(shares)` or `Frequency,DAILY,DAILY`: words below the names, and no value.
fn is_unit_line(cells: &[String]) -> bool {
    !has_value(cells) && cells.iter().filter(|cell| cell.chars().any(char::is_alphabetic)).count() >= 2
}

/// Whether some cell begins like a number or reads as a date.
fn has_value(cells: &[String]) -> bool {
    cells.iter().any(|cell| cell.chars().any(|c| c.is_numeric()) || dates::looks_like_date(cell))
}

fn is_ticker_line(cells: &[String], names: &[String]) -> bool {
    let first = cells.first().map(|cell| columns::key(cell)).unwrap_or_default();
    let is_ticker = |cell: &String| {
        cell.parse::<crate::domain::Ticker>().is_ok()
            && !cell.starts_with(|c: char| c.is_ascii_digit() && !cell.contains('.') && cell.len() < 4)
            && dates::Stamp::of(cell, dates::Order::Ymd).is_none()
            && columns::named(cell).is_none()
    };
    cells.len() == names.len()
        && matches!(first.as_str(), "ticker" | "tickers" | "symbol" | "symbols" | "")
        && cells.len() > 1
        && cells[1..].iter().all(|cell| is_ticker(cell) && cell.parse::<f64>().is_err())
}

/// The width that most records have.
pub(super) fn modal_width(records: &[Record]) -> usize {
    let mut counts: BTreeMap<u16, usize> = BTreeMap::new();
    for record in records {
        *counts.entry(record.fields).or_default() += 1;
    }
    counts.into_iter().max_by_key(|(_, count)| *count).map_or(0, |(width, _)| usize::from(width))
}

fn trails_empty(text: &str, records: &[Record], delimiter: u8) -> bool {
    records.iter().take(20).all(|record| record.text(text).trim_end().as_bytes().last() == Some(&delimiter))
}
