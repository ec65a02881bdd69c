//! Which column is which: from header lines, or from what the caller says.

use std::collections::BTreeMap;

use super::columns::{self, Named, Role};
use super::records::{self, Record};
use super::{ReadError, ReadOptions, dates};

/// The columns of a table by their meaning; positions count from 0.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    /// Header texts, one a column.
    pub names: Vec<String>,
    pub date: usize,
    pub time: Option<usize>,
    pub ticker: Option<usize>,
    /// One for each ticker that has columns of its own; a long or a single-ticker file has one.
    pub groups: Vec<Group>,
}

/// The columns of one ticker.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Group {
    /// The ticker that the header names.
    pub ticker: Option<String>,
    pub open: usize,
    pub high: usize,
    pub low: usize,
    pub close: usize,
    /// Candidates, surest first: `(tier, column)`.
    pub volumes: Vec<(u8, usize)>,
    pub adj_open: Option<usize>,
    pub adj_high: Option<usize>,
    pub adj_low: Option<usize>,
    pub adj_close: Option<usize>,
    pub adj_volume: Option<usize>,
}

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
            cells.iter().filter_map(|cell| columns::named(cell)).map(|named| (named.role, named.ticker)).collect();
        roles.sort();
        roles.dedup();
        let is_value = |cell: &String| cell.parse::<f64>().is_ok() || dates::looks_like_date(cell);
        let begins_with_date =
            cells.first().and_then(|cell| columns::named(cell)).is_some_and(|n| n.role == Role::Date);
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

/// Finds and reads the header of a file.
///
/// # Errors
/// `missing_header` with a guess, `missing_column`, `duplicate_column`, …
pub(super) fn find(text: &str, records: &[Record], delimiter: u8, options: &ReadOptions) -> Result<Header, ReadError> {
    let best = best_line(text, records, delimiter);
    if let Some(columns) = &options.columns
        && !columns.contains(':')
    {
        let data_from = best.map_or(0, |(idx, _)| idx + 1);
        return Ok(Header { data_from, record: None, layout: by_position(columns)? });
    }
    let Some((idx, _)) = best else { return Err(super::guess::no_header(text, records, delimiter)) };
    let cells = |idx: usize| records.get(idx).map(|record| records::fields(record.text(text), delimiter));
    let mut names = cells(idx).unwrap_or_default();
    let mut tickers: Option<Vec<String>> = None;
    let mut data_from = idx + 1;
    let mut date_name = None;
    // yfinance writes up to three lines: names, tickers, and the name of the index.
    while let Some(next) = cells(data_from).filter(|next| data_from <= idx + 2 && is_header_line(next, &names)) {
        match is_index_line(&next) {
            true => date_name = next.first().cloned(),
            false => tickers = Some(next),
        }
        data_from += 1;
    }
    if let Some(above) = idx.checked_sub(1).and_then(cells).filter(|above| is_ticker_line(above, &names)) {
        tickers = Some(above);
    }
    // A row that is one field wider than the header has an index without a name (R writes such files).
    let modal = modal_width(&records[data_from..]);
    let has_trailing_sign = names.last().is_some_and(String::is_empty);
    if modal == names.len() + 1 && !has_trailing_sign && !trails_empty(text, &records[data_from..], delimiter) {
        names.insert(0, String::new());
        if let Some(tickers) = &mut tickers {
            tickers.insert(0, String::new());
        }
    }
    if let Some(date_name) = date_name {
        names[0] = date_name;
    }
    let first_row = cells(data_from).unwrap_or_default();
    let layout = resolve(names, tickers.as_deref(), &first_row, options)
        .map_err(|error| error.on_line(u64::from(records[idx].line)))?;
    Ok(Header { data_from, record: Some(idx), layout })
}

/// The layout of a table whose names are known (JSON, Parquet).
pub(super) fn of_names(names: Vec<String>, first_row: &[String], options: &ReadOptions) -> Result<Layout, ReadError> {
    match &options.columns {
        Some(columns) if !columns.contains(':') => by_position(columns),
        _ => resolve(names, None, first_row, options),
    }
}

/// A line below the header that holds no values: `Ticker,AAPL,AAPL` or `Date,,,`.
fn is_header_line(cells: &[String], names: &[String]) -> bool {
    is_index_line(cells) || is_ticker_line(cells, names)
}

fn is_index_line(cells: &[String]) -> bool {
    let is_date = |cell: &String| columns::named(cell).is_some_and(|named| named.role == Role::Date);
    cells.len() > 1 && cells.first().is_some_and(is_date) && cells[1..].iter().all(String::is_empty)
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

/// `date,open,high,low,close,volume`: one name a column, `-` for one that is not read.
fn by_position(columns: &str) -> Result<Layout, ReadError> {
    let bad = |message: String| ReadError::BadOption { option: "columns", message };
    let mut found = Vec::new();
    let names: Vec<String> = columns.split(',').map(|name| name.trim().to_owned()).collect();
    for (idx, name) in names.iter().enumerate() {
        if name.is_empty() || name == "-" || name == "_" {
            continue;
        }
        let role = Role::of_name(name).or_else(|| columns::named(name).map(|named| named.role));
        let Some(role) = role else {
            return Err(bad(format!(
                "{name:?} is none of date, time, ticker, open, high, low, close, volume, adj_close, -"
            )));
        };
        found.push((idx, Named { role, tier: 0, ticker: None }));
    }
    assemble(names, found, None)
}

/// The roles of named columns, the caller's choices first.
fn resolve(
    names: Vec<String>,
    tickers: Option<&[String]>,
    first_row: &[String],
    options: &ReadOptions,
) -> Result<Layout, ReadError> {
    let mut found: Vec<(usize, Named)> =
        names.iter().enumerate().filter_map(|(idx, name)| columns::named(name).map(|named| (idx, named))).collect();
    if let Some(chosen) = &options.columns {
        for choice in chosen.split(',').filter(|choice| !choice.trim().is_empty()) {
            choose(choice, &names, &mut found)?;
        }
    }
    if let Some(tickers) = tickers {
        for (idx, named) in &mut found {
            let ticker = tickers.get(*idx).filter(|ticker| named.role.is_per_ticker() && !ticker.is_empty());
            named.ticker = ticker.cloned();
        }
        // In `Price,Close,High` of yfinance the first name is the index's.
        found.retain(|(idx, named)| *idx > 0 || !named.role.is_per_ticker());
    }
    only_whole_groups_have_tickers(&mut found);
    if !found.iter().any(|(_, named)| matches!(named.role, Role::Date)) {
        find_date(&names, first_row, &mut found);
    }
    assemble(names, found, tickers)
}

/// `close:Last` takes the column named `Last` for the close.
fn choose(choice: &str, names: &[String], found: &mut Vec<(usize, Named)>) -> Result<(), ReadError> {
    let bad = |message: String| ReadError::BadOption { option: "columns", message };
    let (role_name, header) = choice.split_once(':').ok_or_else(|| bad(format!("{choice:?} has no ':'")))?;
    let (role_name, header) = (role_name.trim(), header.trim());
    let role = Role::of_name(role_name)
        .ok_or_else(|| bad(format!("{role_name:?} is none of date, time, ticker, open, high, low, close, volume")))?;
    let at = names
        .iter()
        .position(|name| name.trim() == header)
        .or_else(|| names.iter().position(|name| columns::key(name) == columns::key(header)))
        .ok_or_else(|| bad(format!("the file has no column {header:?}: it has {}", list(names))))?;
    found.retain(|(idx, named)| *idx != at && named.role != role);
    found.push((at, Named { role, tier: 0, ticker: None }));
    Ok(())
}

/// `Volume ETH` beside a plain `open` is a volume, not the column of a ticker ETH: a ticker in headers
/// counts where its four prices are there.
fn only_whole_groups_have_tickers(found: &mut [(usize, Named)]) {
    let has = |found: &[(usize, Named)], ticker: &String, role: Role| {
        found.iter().any(|(_, named)| named.role == role && named.ticker.as_ref() == Some(ticker))
    };
    let tickers: Vec<String> = found.iter().filter_map(|(_, named)| named.ticker.clone()).collect();
    for ticker in tickers {
        let is_whole = [Role::Open, Role::High, Role::Low].iter().all(|role| has(found, &ticker, *role))
            && (has(found, &ticker, Role::Close) || has(found, &ticker, Role::AdjClose));
        if !is_whole {
            for (_, named) in found.iter_mut().filter(|(_, named)| named.ticker.as_ref() == Some(&ticker)) {
                named.ticker = None;
            }
        }
    }
}

/// Without a column called date: `time` or `index` where it holds dates, else the first column that does.
fn find_date(names: &[String], first_row: &[String], found: &mut Vec<(usize, Named)>) {
    if let Some((_, named)) = found.iter_mut().find(|(_, named)| named.role == Role::Time) {
        named.role = Role::Date;
        return;
    }
    let is_free = |idx: usize| !found.iter().any(|(taken, _)| *taken == idx);
    let is_nameless =
        |name: &str| matches!(columns::key(name).as_str(), "" | "index" | "unnamed0" | "idx" | "symbolname" | "key");
    let holds_date = |idx: usize| first_row.get(idx).is_some_and(|cell| dates::looks_like_date(cell));
    let at = (0..names.len()).find(|idx| is_free(*idx) && is_nameless(&names[*idx]) && holds_date(*idx));
    if let Some(at) = at.or_else(|| Some(0).filter(|idx| is_free(*idx) && holds_date(*idx))) {
        found.push((at, Named { role: Role::Date, tier: 9, ticker: None }));
    }
}

fn assemble(names: Vec<String>, found: Vec<(usize, Named)>, tickers: Option<&[String]>) -> Result<Layout, ReadError> {
    let pick = |role: Role, ticker: Option<&String>| pick(&names, &found, role, ticker);
    let mut of: Vec<Option<String>> = Vec::new();
    for (_, named) in found.iter().filter(|(_, named)| named.role.is_per_ticker()) {
        if !of.contains(&named.ticker) {
            of.push(named.ticker.clone());
        }
    }
    // Plain columns beside whole tickers are notes.
    if of.iter().any(Option::is_some) {
        of.retain(Option::is_some);
    }
    if of.is_empty() {
        of.push(None);
    }
    let date = pick(Role::Date, None)?;
    let mut groups = Vec::with_capacity(of.len());
    for ticker in of {
        let ticker = ticker.as_ref();
        let price = |role: Role| pick(role, ticker);
        let adj_close = price(Role::AdjClose)?;
        let close = price(Role::Close)?.or(adj_close);
        let prices = [price(Role::Open)?, price(Role::High)?, price(Role::Low)?, close];
        let ([Some(open), Some(high), Some(low), Some(close)], true) = (prices, date.is_some()) else {
            return Err(missing(&names, prices, date, tickers));
        };
        let mut volumes: Vec<(u8, usize)> = found
            .iter()
            .filter(|(_, named)| named.role == Role::Volume && named.ticker.as_ref() == ticker)
            .map(|(idx, named)| (named.tier, *idx))
            .collect();
        volumes.sort_unstable();
        groups.push(Group {
            ticker: ticker.cloned(),
            open,
            high,
            low,
            close,
            volumes,
            adj_open: price(Role::AdjOpen)?,
            adj_high: price(Role::AdjHigh)?,
            adj_low: price(Role::AdjLow)?,
            adj_close,
            adj_volume: price(Role::AdjVolume)?,
        });
    }
    let time = pick(Role::Time, None)?;
    let ticker = pick(Role::Ticker, None)?;
    let Some(date) = date else { return Err(missing(&names, [None; 4], None, tickers)) };
    Ok(Layout { date, time, ticker, groups, names })
}

/// The surest column of a role.
fn pick(
    names: &[String],
    found: &[(usize, Named)],
    role: Role,
    ticker: Option<&String>,
) -> Result<Option<usize>, ReadError> {
    let mut candidates: Vec<(u8, usize)> = found
        .iter()
        .filter(|(_, named)| named.role == role && (!role.is_per_ticker() || named.ticker.as_ref() == ticker))
        .map(|(idx, named)| (named.tier, *idx))
        .collect();
    candidates.sort_unstable();
    match candidates.as_slice() {
        [(first_tier, first), (second_tier, second), ..] if first_tier == second_tier && role != Role::Ticker => {
            Err(ReadError::Unusable {
                code: "duplicate_column",
                message: format!(
                    "both {:?} and {:?} could be the {name}: pass columns={name}:{} or rename one",
                    names[*first],
                    names[*second],
                    names[*first],
                    name = role.name()
                ),
                line: None,
                column: Some(names[*second].clone()),
            })
        }
        [(_, first), ..] => Ok(Some(*first)),
        [] => Ok(None),
    }
}

fn missing(names: &[String], prices: [Option<usize>; 4], date: Option<usize>, tickers: Option<&[String]>) -> ReadError {
    let roles = [Role::Open, Role::High, Role::Low, Role::Close];
    let absent: Vec<&str> =
        roles.iter().zip(prices).filter(|(_, at)| at.is_none()).map(|(role, _)| role.name()).collect();
    let has = list(names);
    let has_word = |words: &[&str]| names.iter().any(|name| words.contains(&columns::key(name).as_str()));
    if has_word(&["bid", "ask", "bidprice", "askprice"]) && prices[..3].iter().all(Option::is_none) {
        let message =
            format!("the file has quotes or ticks, not bars: it has {has}; send bars with open, high, low, close");
        return ReadError::unusable("tick_data", message);
    }
    match (date, absent.as_slice()) {
        (None, _) => ReadError::missing(
            "date",
            format!("no column is a date: the file has {has}; name one date, or pass columns=date:NAME"),
        ),
        (_, ["open", "high", "low"]) => ReadError::missing(
            "open",
            format!(
                "the file has closes only ({has}): a bar needs open, high and low too, because the forecast's \
                 volatility is measured from them"
            ),
        ),
        _ if tickers.is_none() && absent.len() == 4 => ReadError::missing(
            "open",
            format!(
                "no column is a price: the file has {has}; a column a ticker holds closes only, and a bar needs \
                 open, high, low and close"
            ),
        ),
        (_, absent) => ReadError::missing(
            absent.first().copied().unwrap_or("close"),
            format!("no column is {}: the file has {has}; rename one, or pass columns=NAME:HEADER", absent.join(", ")),
        ),
    }
}

fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut shown: Vec<String> =
        names.iter().take(SHOWN).map(|name| format!("{:?}", name.chars().take(40).collect::<String>())).collect();
    if names.len() > SHOWN {
        shown.push(format!("and {} more", names.len() - SHOWN));
    }
    shown.join(", ")
}
