//! Where in a vendor's answer the bars lie, and in which shape.

use serde_json::{Map, Value};

use super::columns::Role;
use super::json_rows::{Rows, cell, flat, n_named};
use super::{IngestLimits, bars, columns, dates};

/// How deep bars may lie in an answer's wrapping.
const MAX_DEPTH: usize = 6;

/// The largest table of bars within a value.
pub(super) fn find(value: &Value, depth: usize, limits: &IngestLimits) -> Option<Rows> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::Array(items) => of_array(items, limits)
            .or_else(|| of_named_tables(items, depth, limits))
            .or_else(|| largest(items.iter(), depth, limits)),
        Value::Object(object) => yahoo_chart(value, limits)
            .or_else(|| named_rows(object, limits))
            .or_else(|| of_columns(object, limits))
            .or_else(|| of_keyed(object, limits))
            .or_else(|| by_ticker(object, depth, limits))
            .or_else(|| largest(object.values(), depth, limits)),
        _ => None,
    }
}

fn largest<'a>(values: impl Iterator<Item = &'a Value>, depth: usize, limits: &IngestLimits) -> Option<Rows> {
    let mut tables: Vec<Rows> = values.filter_map(|value| find(value, depth + 1, limits)).collect();
    tables.sort_by_key(|rows| std::cmp::Reverse(rows.n_rows));
    let mut tables = tables.into_iter();
    let mut first = tables.next()?;
    first.has_rival |= tables.next().is_some_and(|second| second.names == first.names);
    Some(first)
}

/// `{"AAPL": [bars], "MSFT": [bars]}`: tables under the names of tickers, which vendors write in capitals.
fn by_ticker(object: &Map<String, Value>, depth: usize, limits: &IngestLimits) -> Option<Rows> {
    let is_ticker = |name: &String| !name.chars().any(char::is_lowercase) && bars::ticker_of(name).is_some();
    if object.is_empty() || !object.keys().all(is_ticker) {
        return None;
    }
    let parts: Vec<(String, Rows)> =
        object.iter().filter_map(|(name, value)| Some((name.clone(), find(value, depth + 1, limits)?))).collect();
    (!parts.is_empty() && parts.iter().all(|(_, rows)| !rows.names.is_empty())).then(|| Rows::of_tickers(parts, limits))
}

/// `[{"symbol": "AAPL", "historical": [bars]}, …]`: tables beside the ticker they are of.
fn of_named_tables(items: &[Value], depth: usize, limits: &IngestLimits) -> Option<Rows> {
    let part = |item: &Value| -> Option<(String, Rows)> {
        let object = item.as_object()?;
        let names = object.iter().filter_map(|(name, value)| Some((columns::named(name)?, value.as_str()?)));
        let tickers = names.filter(|(named, text)| named.role == Role::Ticker && bars::ticker_of(text).is_some());
        let (_, ticker) = tickers.min_by_key(|(named, _)| named.tier)?;
        let tables = object.values().filter(|value| value.is_array() || value.is_object());
        Some((ticker.to_owned(), largest(tables, depth, limits)?))
            .filter(|(_, rows)| !rows.has_rival && !rows.names.is_empty())
    };
    items
        .iter()
        .map(part)
        .collect::<Option<Vec<_>>>()
        .filter(|parts| !parts.is_empty())
        .map(|parts| Rows::of_tickers(parts, limits))
}

fn of_array(items: &[Value], limits: &IngestLimits) -> Option<Rows> {
    let is_bar = match items.first()? {
        Value::Object(object) => n_named(flat(object).map(|(name, _)| name)) >= 3,
        Value::String(line) => line.split(',').count() >= 5,
        Value::Array(array) => array.len() >= 5 && array.iter().all(|value| !value.is_object() && !value.is_array()),
        _ => false,
    };
    is_bar.then(|| {
        let mut rows = Rows::new(limits);
        items.iter().for_each(|item| rows.push(item, None));
        rows
    })
}

/// `{"t": […], "o": […], …}`: arrays of one length under known names.
fn of_columns(object: &Map<String, Value>, limits: &IngestLimits) -> Option<Rows> {
    let arrays: Vec<(&String, &Vec<Value>)> =
        object.iter().filter_map(|(name, value)| value.as_array().map(|array| (name, array))).collect();
    let n_rows = arrays.iter().find(|(name, _)| columns::named(name).is_some())?.1.len();
    let equal: Vec<_> = arrays.into_iter().filter(|(_, array)| array.len() == n_rows).collect();
    let is_flat = equal.iter().all(|(_, array)| !array.iter().any(|value| value.is_object() || value.is_array()));
    (n_named(equal.iter().map(|(name, _)| *name)) >= 3 && is_flat).then(|| zipped(&equal, limits))
}

fn zipped(arrays: &[(&String, &Vec<Value>)], limits: &IngestLimits) -> Rows {
    let mut rows = Rows::new(limits);
    rows.names = arrays.iter().map(|(name, _)| (*name).clone()).collect();
    rows.n_rows = arrays.iter().map(|(_, array)| array.len()).min().unwrap_or(0);
    for row in 0..rows.n_rows {
        let cells: Vec<String> = arrays.iter().map(|(_, array)| cell(&array[row])).collect();
        rows.push_line(cells.iter().map(String::as_str));
    }
    rows
}

/// Objects by date: `{"2024-01-02": {"1. open": …}}`, or columns of them as pandas writes.
fn of_keyed(object: &Map<String, Value>, limits: &IngestLimits) -> Option<Rows> {
    let (key, first) = object.iter().next()?;
    let fields = first.as_object()?;
    let is_key = |key: &String| dates::looks_like_date(key) || is_counted(key);
    if is_key(key) && n_named(fields.keys()) >= 3 && are_codes(object, |_, record| day_in(record.as_object()?)) {
        return Some(Rows::of_tickers(
            object.iter().map(|(code, record)| (code.clone(), of_record(record, limits))).collect(),
            limits,
        ));
    }
    if is_key(key) && n_named(fields.keys()) >= 3 {
        let mut rows = Rows::new(limits);
        for (index, record) in object {
            rows.push(record, Some(index.as_str()).filter(|_| !is_counted(index)));
        }
        return Some(rows);
    }
    let is_by_column = n_named(object.keys()) >= 4 && fields.keys().next().is_some_and(is_key);
    is_by_column.then(|| {
        let record = |index: &String| -> Value {
            let fields = object.iter();
            fields.filter_map(|(name, column)| Some((name.clone(), column.as_object()?.get(index)?.clone()))).collect()
        };
        let days = day_in(object).and_then(Value::as_object);
        if are_codes(fields, |index, _| days?.get(index)) {
            return Rows::of_tickers(
                fields.keys().map(|code| (code.clone(), of_record(&record(code), limits))).collect(),
                limits,
            );
        }
        let mut rows = Rows::new(limits);
        for index in fields.keys() {
            rows.push(&record(index), Some(index.as_str()).filter(|_| !is_counted(index)));
        }
        rows
    })
}

/// Rows are counted by pandas where they have no date of their own as a key.
fn is_counted(key: &str) -> bool {
    key.len() <= 7 && key.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether keys of digits are codes of companies (`005930`), not counted rows: all as long, and with zeros before them or, of
/// one day only, with gaps between them. A frame that was filtered has gaps, too, but a day of its own in each row.
fn are_codes<'a>(object: &'a Map<String, Value>, day_of: impl Fn(&'a str, &'a Value) -> Option<&'a Value>) -> bool {
    const SHORTEST: usize = 4;
    let Some(first) = object.keys().next() else { return false };
    let is_code = |key: &String| is_counted(key) && key.len() == first.len() && key.len() >= SHORTEST;
    if !object.keys().all(is_code) {
        return false;
    }
    let mut numbers: Vec<u32> = object.keys().filter_map(|key| key.parse().ok()).collect();
    numbers.sort_unstable();
    let mut days = object.iter().map(|(key, value)| day_of(key, value));
    let day = days.next();
    object.keys().any(|key| key.starts_with('0'))
        || (numbers.windows(2).any(|pair| pair[1] != pair[0] + 1) && days.all(|other| Some(other) == day))
}

/// The field that is the date.
fn day_in(fields: &Map<String, Value>) -> Option<&Value> {
    fields
        .iter()
        .find(|(name, _)| columns::named(name).is_some_and(|named| named.role == columns::Role::Date))
        .map(|(_, value)| value)
}

fn of_record(record: &Value, limits: &IngestLimits) -> Rows {
    let mut rows = Rows::new(limits);
    rows.push(record, None);
    rows
}

/// A list of names beside a list of rows: pandas' `columns` and `data`, `fields` and `items`, `column` and `item` …;
/// names may be objects that have a `name`.
fn named_rows(object: &Map<String, Value>, limits: &IngestLimits) -> Option<Rows> {
    let name = |value: &Value| value.as_str().or_else(|| value.get("name")?.as_str()).map(str::to_owned);
    let names: Vec<String> = object.values().find_map(|value| {
        // A long list is a column of texts, not one of names.
        let list = value.as_array().filter(|list| list.len() <= 4 * limits.max_columns)?;
        let names: Vec<String> = list.iter().map(name).collect::<Option<_>>()?;
        (n_named(names.iter()) >= 3).then_some(names)
    })?;
    let is_row = |row: &Value| row.as_array().is_some_and(|cells| cells.len() == names.len());
    let data = object.values().find_map(|value| value.as_array().filter(|rows| rows.first().is_some_and(is_row)))?;
    let index = object.get("index").and_then(Value::as_array);
    let index = index.filter(|index| index.first().is_some_and(|first| dates::looks_like_date(&cell(first))));
    let mut rows = Rows::new(limits);
    rows.names = names;
    if index.is_some() {
        rows.names.insert(0, "date".to_owned());
    }
    for (row, record) in data.iter().enumerate() {
        let mut cells: Vec<String> = record.as_array()?.iter().map(cell).collect();
        if let Some(index) = index {
            cells.insert(0, index.get(row).map(cell).unwrap_or_default());
        }
        rows.push_line(cells.iter().map(String::as_str));
        rows.n_rows += 1;
    }
    Some(rows)
}

/// Yahoo's chart answer: time stamps beside `indicators.quote[0]`.
fn yahoo_chart(value: &Value, limits: &IngestLimits) -> Option<Rows> {
    let stamps = value.get("timestamp")?.as_array()?;
    let indicators = value.get("indicators")?;
    let quote = indicators.get("quote")?.get(0)?.as_object()?;
    let adjusted = indicators.get("adjclose").and_then(|adjusted| adjusted.get(0)).and_then(Value::as_object);
    let date = "timestamp".to_owned();
    let mut arrays: Vec<(&String, &Vec<Value>)> = vec![(&date, stamps)];
    let fields = quote.iter().chain(adjusted.into_iter().flatten());
    arrays.extend(fields.filter_map(|(name, value)| value.as_array().map(|array| (name, array))));
    arrays.retain(|(_, array)| array.len() == stamps.len());
    (arrays.len() >= 5).then(|| zipped(&arrays, limits))
}
