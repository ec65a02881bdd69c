//! Where in a vendor's answer the bars lie, and in which shape.

use serde_json::{Map, Value};

use super::columns::Role;
use super::json_rows::{Room, Rows, cell, flat, n_named};
use super::{bars, columns, dates};

/// How deep bars may lie in an answer's wrapping.
const MAX_DEPTH: usize = 6;

/// The largest table of bars within a value.
pub(super) fn find<'a>(value: &Value, depth: usize, room: &'a Room) -> Option<Rows<'a>> {
    if depth > MAX_DEPTH || room.is_spent() {
        return None;
    }
    match value {
        Value::Array(items) => of_array(items, room)
            .or_else(|| of_named_tables(items, depth, room))
            .or_else(|| largest(items.iter(), depth, room)),
        Value::Object(object) => yahoo_chart(value, room)
            .or_else(|| named_rows(object, room))
            .or_else(|| of_columns(object, room))
            .or_else(|| of_keyed(object, room))
            .or_else(|| by_ticker(object, depth, room))
            .or_else(|| largest(object.values(), depth, room)),
        _ => None,
    }
}

fn largest<'a, 'v>(values: impl Iterator<Item = &'v Value>, depth: usize, room: &'a Room) -> Option<Rows<'a>> {
    let mut tables: Vec<Rows<'_>> = values.filter_map(|value| find(value, depth + 1, room)).collect();
    // Of two as long, not the one that is wider than may be read.
    tables.sort_by_key(|rows| (std::cmp::Reverse(rows.n_rows), rows.is_full()));
    let mut tables = tables.into_iter();
    let mut first = tables.next()?;
    first.has_rival |= tables.next().is_some_and(|second| second.names == first.names);
    Some(first)
}

/// `{"AAPL": [bars], "MSFT": [bars]}`: tables under the names of tickers, which vendors write in capitals.
fn by_ticker<'a>(object: &Map<String, Value>, depth: usize, room: &'a Room) -> Option<Rows<'a>> {
    let is_ticker = |name: &String| !name.chars().any(char::is_lowercase) && bars::ticker_of(name).is_some();
    if object.is_empty() || !object.keys().all(is_ticker) {
        return None;
    }
    let parts: Vec<(String, Rows<'a>)> =
        object.iter().filter_map(|(name, value)| Some((name.clone(), find(value, depth + 1, room)?))).collect();
    (!parts.is_empty() && parts.iter().all(|(_, rows)| !rows.names.is_empty())).then(|| Rows::of_tickers(parts, room))
}

/// `[{"symbol": "AAPL", "historical": [bars]}, …]`: tables beside the ticker they are of.
fn of_named_tables<'a>(items: &[Value], depth: usize, room: &'a Room) -> Option<Rows<'a>> {
    let part = |item: &Value| -> Option<(String, Rows<'a>)> {
        let object = item.as_object()?;
        let names = object.iter().filter_map(|(name, value)| Some((columns::named(name)?, value.as_str()?)));
        let tickers = names.filter(|(named, text)| named.role == Role::Ticker && bars::ticker_of(text).is_some());
        let (_, ticker) = tickers.min_by_key(|(named, _)| named.tier)?;
        let tables = object.values().filter(|value| value.is_array() || value.is_object());
        Some((ticker.to_owned(), largest(tables, depth, room)?))
            .filter(|(_, rows)| !rows.has_rival && !rows.names.is_empty())
    };
    items
        .iter()
        .map(part)
        .collect::<Option<Vec<_>>>()
        .filter(|parts| !parts.is_empty())
        .map(|parts| Rows::of_tickers(parts, room))
}

fn of_array<'a>(items: &[Value], room: &'a Room) -> Option<Rows<'a>> {
    let is_bar = match items.first()? {
        Value::Object(object) => n_named(flat(object).map(|(name, _)| name)) >= 3,
        Value::String(line) => line.split(',').count() >= 5,
        Value::Array(array) => array.len() >= 5 && array.iter().all(|value| !value.is_object() && !value.is_array()),
        _ => false,
    };
    is_bar.then(|| {
        let mut rows = Rows::new(room);
        items.iter().for_each(|item| rows.push(item, None));
        rows
    })
}

/// `{"t": […], "o": […], …}`: arrays of one length under known names.
fn of_columns<'a>(object: &Map<String, Value>, room: &'a Room) -> Option<Rows<'a>> {
    let arrays: Vec<(&String, &Vec<Value>)> =
        object.iter().filter_map(|(name, value)| value.as_array().map(|array| (name, array))).collect();
    let n_rows = arrays.iter().find(|(name, _)| columns::named(name).is_some())?.1.len();
    let equal: Vec<_> = arrays.into_iter().filter(|(_, array)| array.len() == n_rows).collect();
    let is_flat = equal.iter().all(|(_, array)| !array.iter().any(|value| value.is_object() || value.is_array()));
    (n_named(equal.iter().map(|(name, _)| *name)) >= 3 && is_flat).then(|| zipped(&equal, room))
}

fn zipped<'a>(arrays: &[(&String, &Vec<Value>)], room: &'a Room) -> Rows<'a> {
    let mut rows = Rows::named(arrays.iter().map(|(name, _)| (*name).clone()).collect(), room);
    rows.n_rows = arrays.iter().map(|(_, array)| array.len()).min().unwrap_or(0);
    for row in 0..rows.n_rows {
        let cells: Vec<String> = arrays.iter().map(|(_, array)| cell(&array[row])).collect();
        rows.push_line(cells.iter().map(String::as_str));
    }
    rows
}

/// Objects by date: `{"2024-01-02": {"1. open": …}}`, or columns of them as pandas writes.
fn of_keyed<'a>(object: &Map<String, Value>, room: &'a Room) -> Option<Rows<'a>> {
    let (key, first) = object.iter().next()?;
    let fields = first.as_object()?;
    let is_key = |key: &String| dates::looks_like_date(key) || is_counted(key);
    let names_tickers = |fields: &Map<String, Value>| fields.keys().any(|name| is_ticker(name));
    if is_key(key)
        && n_named(fields.keys()) >= 3
        && !names_tickers(fields)
        && are_codes(object, |_, record| day_in(record.as_object()?))
    {
        return Some(Rows::of_tickers(
            object.iter().map(|(code, record)| (code.clone(), of_record(record, room))).collect(),
            room,
        ));
    }
    if is_key(key) && n_named(fields.keys()) >= 3 {
        let mut rows = Rows::new(room);
        for (index, record) in object {
            rows.push(record, Some(index.as_str()).filter(|_| !is_counted(index)));
        }
        return Some(rows);
    }
    let is_by_column = n_named(object.keys()) >= 4 && fields.keys().next().is_some_and(is_key);
    is_by_column.then(|| {
        // Each row looks into each of them.
        if object.len() > room.max_columns {
            return Rows::too_wide(fields.len(), room);
        }
        let record = |index: &String| -> Value {
            let fields = object.iter();
            fields.filter_map(|(name, column)| Some((name.clone(), column.as_object()?.get(index)?.clone()))).collect()
        };
        let days = day_in(object).and_then(Value::as_object);
        if !names_tickers(object) && are_codes(fields, |index, _| days?.get(index)) {
            return Rows::of_tickers(
                fields.keys().map(|code| (code.clone(), of_record(&record(code), room))).collect(),
                room,
            );
        }
        let mut rows = Rows::new(room);
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

/// Whether a field tells whose a record is: then its key is a row's number, though it looks like a code.
fn is_ticker(name: &str) -> bool {
    columns::named(name).is_some_and(|named| named.role == Role::Ticker && named.tier == 0)
}

/// The field that is the date.
fn day_in(fields: &Map<String, Value>) -> Option<&Value> {
    fields
        .iter()
        .find(|(name, _)| columns::named(name).is_some_and(|named| named.role == Role::Date))
        .map(|(_, value)| value)
}

fn of_record<'a>(record: &Value, room: &'a Room) -> Rows<'a> {
    let mut rows = Rows::new(room);
    rows.push(record, None);
    rows
}

/// A list of names beside a list of rows: pandas' `columns` and `data`, `fields` and `items`, `column` and `item` …;
/// names may be objects that have a `name`.
fn named_rows<'a>(object: &Map<String, Value>, room: &'a Room) -> Option<Rows<'a>> {
    let name = |value: &Value| value.as_str().or_else(|| value.get("name")?.as_str()).map(str::to_owned);
    let names: Vec<String> = object.values().find_map(|value| {
        // A long list is a column of texts, not one of names.
        let list = value.as_array().filter(|list| list.len() <= 4 * room.max_columns)?;
        let names: Vec<String> = list.iter().map(name).collect::<Option<_>>()?;
        (n_named(names.iter()) >= 3).then_some(names)
    })?;
    let is_row = |row: &Value| row.as_array().is_some_and(|cells| cells.len() == names.len());
    let data = object.values().find_map(|value| value.as_array().filter(|rows| rows.first().is_some_and(is_row)))?;
    let index = object.get("index").and_then(Value::as_array);
    let index = index.filter(|index| index.first().is_some_and(|first| dates::looks_like_date(&cell(first))));
    let date = index.map(|_| "date".to_owned());
    let mut rows = Rows::named(date.into_iter().chain(names).collect(), room);
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
fn yahoo_chart<'a>(value: &Value, room: &'a Room) -> Option<Rows<'a>> {
    let stamps = value.get("timestamp")?.as_array()?;
    let indicators = value.get("indicators")?;
    let quote = indicators.get("quote")?.get(0)?.as_object()?;
    let adjusted = indicators.get("adjclose").and_then(|adjusted| adjusted.get(0)).and_then(Value::as_object);
    let date = "timestamp".to_owned();
    let mut arrays: Vec<(&String, &Vec<Value>)> = vec![(&date, stamps)];
    let fields = quote.iter().chain(adjusted.into_iter().flatten());
    arrays.extend(fields.filter_map(|(name, value)| value.as_array().map(|array| (name, array))));
    arrays.retain(|(_, array)| array.len() == stamps.len());
    (arrays.len() >= 5).then(|| zipped(&arrays, room))
}
