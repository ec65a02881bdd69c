//! Where in a vendor's answer the bars lie, and in which shape.

use std::borrow::Cow;

use super::clock::Zone;
use super::columns::Role;
use super::json_rows::{Room, Rows, flat, n_named};
use super::json_value::{Fields, Json};
use super::{ReadError, bars, columns, dates};
use crate::domain::Ticker;

/// How deep bars may lie in an answer's wrapping.
const MAX_DEPTH: usize = 6;

/// The largest table of bars within a value.
pub(super) fn find<'a>(value: &Json<'_>, depth: usize, room: &'a Room) -> Option<Rows<'a>> {
    if depth > MAX_DEPTH || room.is_spent() {
        return None;
    }
    match value {
        Json::Array(items) => of_array(items, room)
            .or_else(|| of_named_tables(items, depth, room))
            .or_else(|| largest(items.iter(), depth, room)),
        Json::Object(object) => yahoo_chart(value, room)
            .or_else(|| named_rows(object, room))
            .or_else(|| of_columns(object, room))
            .or_else(|| of_keyed(object, room))
            .or_else(|| by_ticker(object, depth, room))
            .or_else(|| largest(object.values(), depth, room)),
        _ => None,
    }
}

fn largest<'a, 'b, 'v: 'b>(
    values: impl Iterator<Item = &'b Json<'v>>,
    depth: usize,
    room: &'a Room,
) -> Option<Rows<'a>> {
    let mut tables: Vec<Rows<'_>> = values.filter_map(|value| find(value, depth + 1, room)).collect();
    // Of two as long, not the one that is wider than may be read.
    tables.sort_by_key(|rows| (std::cmp::Reverse(rows.n_rows), rows.is_full()));
    let mut tables = tables.into_iter();
    let mut first = tables.next()?;
    first.has_rival |= tables.next().is_some_and(|second| second.names == first.names);
    Some(first)
}

/// `{"AAPL": [bars], "MSFT": [bars]}`: tables under the names of tickers, which vendors write in capitals.
fn by_ticker<'a>(object: &Fields, depth: usize, room: &'a Room) -> Option<Rows<'a>> {
    let is_ticker = |name: &str| !name.chars().any(char::is_lowercase) && bars::ticker_of(name).is_some();
    if object.is_empty() || !object.keys().all(is_ticker) {
        return None;
    }
    let parts: Vec<(String, Rows<'a>)> =
        object.iter().filter_map(|(name, value)| Some((name.to_owned(), find(value, depth + 1, room)?))).collect();
    (!parts.is_empty() && parts.iter().all(|(_, rows)| !rows.names.is_empty())).then(|| Rows::of_tickers(parts, room))
}

/// `[{"symbol": "AAPL", "historical": [bars]}, …]`: tables beside the ticker they are of.
fn of_named_tables<'a>(items: &[Json], depth: usize, room: &'a Room) -> Option<Rows<'a>> {
    let part = |item: &Json| -> Option<(String, Rows<'a>)> {
        let object = item.as_object()?;
        let names = object.iter().filter_map(|(name, value)| Some((columns::named(name)?, value.as_str()?)));
        let tickers = names.filter(|(named, text)| named.role == Role::Ticker && bars::ticker_of(text).is_some());
        let (_, ticker) = tickers.min_by_key(|(named, _)| named.tier)?;
        let tables = object.values().filter(|value| value.is_nested());
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

fn of_array<'a>(items: &[Json], room: &'a Room) -> Option<Rows<'a>> {
    let is_bar = match items.first()? {
        Json::Object(object) => {
            let fields = flat(object).filter(|(_, value)| !matches!(value, Json::Array(_)));
            n_named(fields.map(|(name, _)| name)) >= 3 && !object.values().any(is_table)
        }
        Json::Text(line) => line.split(',').count() >= 5,
        Json::Array(array) => array.len() >= 5 && !array.iter().any(Json::is_nested),
        _ => false,
    };
    is_bar.then(|| {
        let mut rows = Rows::new(room);
        items.iter().for_each(|item| rows.push(item, None));
        rows
    })
}

/// A list of bars beside a quote of the day, which looks like a bar itself.
fn is_table(value: &Json) -> bool {
    let first = value.as_array().and_then(|items| items.first()?.as_object());
    first.is_some_and(|first| n_named(first.keys()) >= 4)
}

/// `{"t": […], "o": […], …}`: arrays of one length under known names.
fn of_columns<'a>(object: &Fields, room: &'a Room) -> Option<Rows<'a>> {
    let arrays: Vec<(&str, &[Json])> =
        object.iter().filter_map(|(name, value)| Some((name, value.as_array()?))).collect();
    let n_rows = arrays.iter().find(|(name, _)| columns::named(name).is_some())?.1.len();
    let equal: Vec<_> = arrays.into_iter().filter(|(_, array)| array.len() == n_rows).collect();
    let is_flat = equal.iter().all(|(_, array)| !array.iter().any(Json::is_nested));
    (n_named(equal.iter().map(|(name, _)| *name)) >= 3 && is_flat).then(|| zipped(&equal, room))
}

fn zipped<'a>(arrays: &[(&str, &[Json])], room: &'a Room) -> Rows<'a> {
    let mut rows = Rows::named(arrays.iter().map(|(name, _)| (*name).to_owned()).collect(), room);
    rows.n_rows = arrays.iter().map(|(_, array)| array.len()).min().unwrap_or(0);
    for row in 0..rows.n_rows {
        rows.push_values(arrays.iter().map(|(_, array)| &array[row]));
    }
    rows
}

/// Objects by date: `{"2024-01-02": {"1. open": …}}`, or columns of them as pandas writes.
fn of_keyed<'a, 'v>(object: &'v Fields<'v>, room: &'a Room) -> Option<Rows<'a>> {
    let (key, first) = object.iter().next()?;
    let fields = first.as_object()?;
    let is_key = |key: &str| dates::looks_like_date(key) || is_counted(key);
    let names_tickers = |fields: &Fields| fields.keys().any(is_ticker);
    if is_key(key)
        && n_named(fields.keys()) >= 3
        && !names_tickers(fields)
        && are_codes(object, |_, record| day_in(record.as_object()?))
    {
        return Some(Rows::of_tickers(
            object.iter().map(|(code, record)| (code.to_owned(), of_record(record, room))).collect(),
            room,
        ));
    }
    if is_key(key) && n_named(fields.keys()) >= 3 {
        let mut rows = Rows::new(room);
        for (index, record) in object.iter() {
            rows.push(record, Some(index).filter(|_| !is_counted(index)));
        }
        return Some(rows);
    }
    let is_by_column = n_named(object.keys()) >= 4 && fields.keys().next().is_some_and(is_key);
    is_by_column.then(|| {
        // Each row looks into each of them.
        if object.len() > room.max_columns {
            return Rows::too_wide(fields.len(), room);
        }
        let record = |index: &str| {
            let fields = object.iter();
            let of_index = |(name, column): (_, &Json<'v>)| Some((Cow::Borrowed(name), column.get(index)?.clone()));
            Json::Object(Fields::new(fields.filter_map(of_index).collect()))
        };
        let days = day_in(object).and_then(Json::as_object);
        if !names_tickers(object) && are_codes(fields, |index, _| days?.get(index)) {
            return Rows::of_tickers(
                fields.keys().map(|code| (code.to_owned(), of_record(&record(code), room))).collect(),
                room,
            );
        }
        let mut rows = Rows::new(room);
        for index in fields.keys() {
            rows.push(&record(index), Some(index).filter(|_| !is_counted(index)));
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
fn are_codes<'b, 'v: 'b>(
    object: &'b Fields<'v>,
    day_of: impl Fn(&'b str, &'b Json<'v>) -> Option<&'b Json<'v>>,
) -> bool {
    const SHORTEST: usize = 4;
    let Some(first) = object.keys().next() else { return false };
    let is_code = |key: &str| is_counted(key) && key.len() == first.len() && key.len() >= SHORTEST;
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
fn day_in<'b, 'v>(fields: &'b Fields<'v>) -> Option<&'b Json<'v>> {
    fields
        .iter()
        .find(|(name, _)| columns::named(name).is_some_and(|named| named.role == Role::Date))
        .map(|(_, value)| value)
}

fn of_record<'a>(record: &Json, room: &'a Room) -> Rows<'a> {
    let mut rows = Rows::new(room);
    rows.push(record, None);
    rows
}

/// A list of names beside a list of rows: pandas' `columns` and `data`, `fields` and `items`, `column` and `item` …;
/// names may be objects that have a `name`.
fn named_rows<'a>(object: &Fields, room: &'a Room) -> Option<Rows<'a>> {
    let name = |value: &Json| value.as_str().or_else(|| value.get("name")?.as_str()).map(str::to_owned);
    let names: Vec<String> = object.values().find_map(|value| {
        // A long list is a column of texts, not one of names.
        let list = value.as_array().filter(|list| list.len() <= 4 * room.max_columns)?;
        let names: Vec<String> = list.iter().map(name).collect::<Option<_>>()?;
        (n_named(names.iter().map(String::as_str)) >= 3).then_some(names)
    })?;
    let is_row = |row: &Json| row.as_array().is_some_and(|cells| cells.len() == names.len());
    let data = object.values().find_map(|value| value.as_array().filter(|rows| rows.first().is_some_and(is_row)))?;
    let index = object.get("index").and_then(Json::as_array);
    let index = index.filter(|index| index.first().is_some_and(|first| dates::looks_like_date(&first.text())));
    let date = index.map(|_| "date".to_owned());
    let mut rows = Rows::named(date.into_iter().chain(names).collect(), room);
    for (row, record) in data.iter().enumerate() {
        let date = index.map(|index| index.get(row).unwrap_or(&Json::Null));
        let cells: Vec<&Json> = date.into_iter().chain(record.as_array()?).collect();
        rows.push_values(cells.into_iter());
        rows.n_rows += 1;
    }
    Some(rows)
}

/// Yahoo's chart answer: time stamps beside `indicators.quote[0]`.
fn yahoo_chart<'a>(value: &Json, room: &'a Room) -> Option<Rows<'a>> {
    let stamps = value.get("timestamp")?.as_array()?;
    let indicators = value.get("indicators")?;
    let first = |name| indicators.get(name)?.as_array()?.first()?.as_object();
    let mut arrays: Vec<(&str, &[Json])> = vec![("timestamp", stamps)];
    let fields = first("quote")?.iter().chain(first("adjclose").into_iter().flat_map(Fields::iter));
    arrays.extend(fields.filter_map(|(name, value)| Some((name, value.as_array()?))));
    arrays.retain(|(_, array)| array.len() == stamps.len());
    (arrays.len() >= 5).then(|| zipped(&arrays, room))
}

/// What has more parts is one of bars.
const MAX_SIDE_BY_SIDE: usize = 64;

/// The zone that an answer tells beside its bars (Yahoo, Twelve Data, Alpha Vantage); `None` where it tells none, or several.
pub(super) fn zone(value: &Json) -> Option<String> {
    told(value, |name, text| {
        // Folding letters takes its time, and an answer has a million names.
        has(name, b"zone")
            && matches!(columns::key(name).as_str(), "exchangetimezonename" | "exchangetimezone" | "timezone")
            && Zone::of_name(text).is_some()
    })
}

/// Whose bars an answer says that they are (Polygon, FMP, Twelve Data, Yahoo, Alpha Vantage); `None` where it does not, or
/// names several.
pub(super) fn ticker(value: &Json) -> Option<String> {
    told(value, |name, text| {
        (has(name, b"symbol") || has(name, b"ticker"))
            && matches!(columns::key(name).as_str(), "symbol" | "ticker" | "tickersymbol" | "stocksymbol")
            && text.parse::<Ticker>().is_ok()
    })
}

fn has(name: &str, part: &[u8]) -> bool {
    name.as_bytes().windows(part.len()).any(|found| found.eq_ignore_ascii_case(part))
}

/// The only text of an answer, whatever it stands beside, that is what is looked for by its name.
fn told(value: &Json, is_meant: impl Fn(&str, &str) -> bool) -> Option<String> {
    fn collect<'a>(value: &'a Json, depth: usize, is_meant: &dyn Fn(&str, &str) -> bool, found: &mut Vec<&'a str>) {
        match value {
            _ if depth > MAX_DEPTH => {}
            Json::Array(items) if items.len() <= MAX_SIDE_BY_SIDE => {
                items.iter().for_each(|item| collect(item, depth + 1, is_meant, found));
            }
            Json::Object(object) if object.len() <= MAX_SIDE_BY_SIDE => {
                for (name, value) in object.iter() {
                    match value {
                        Json::Text(text) if is_meant(name, text) => found.push(text),
                        _ => collect(value, depth + 1, is_meant, found),
                    }
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, 0, &is_meant, &mut found);
    found.sort_unstable();
    found.dedup();
    match found.as_slice() {
        [only] => Some((*only).to_owned()),
        _ => None,
    }
}

pub(super) fn no_bars() -> ReadError {
    ReadError::missing(
        "date",
        "the JSON has no bars: send an array of objects with date, open, high, low, close, volume",
    )
}

/// What an answer without bars has instead.
pub(super) fn no_bars_in(value: &Json) -> ReadError {
    const SHOWN: usize = 12;
    let Some(record) = first_record(value, 0) else { return no_bars() };
    let names: Vec<&str> = record.keys().take(SHOWN).collect();
    let is_object = |name: &str| record.get(name).is_some_and(|value| value.as_object().is_some());
    if is_object("bid") && is_object("ask") {
        let message =
            "the JSON has bars of bids and asks, and no middle: ask its source for one of them (OANDA: price=M)";
        return ReadError::missing("open", message);
    }
    let has = |role: Role| record.keys().any(|name| columns::named(name).is_some_and(|named| named.role == role));
    if has(Role::Close) && !has(Role::Open) {
        let message = format!("the JSON has closes only ({}): a bar needs open, high and low too", names.join(", "));
        return ReadError::missing("open", message);
    }
    let message = format!(
        "the JSON has no bars: its records have {}; a bar needs date, open, high, low, close under names of their own",
        names.join(", ")
    );
    ReadError::missing("date", message)
}

/// The first object of a list of them.
fn first_record<'b, 'v>(value: &'b Json<'v>, depth: usize) -> Option<&'b Fields<'v>> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Json::Array(items) => items.first()?.as_object(),
        Json::Object(object) => object.values().find_map(|value| first_record(value, depth + 1)),
        _ => None,
    }
}
