//! How a body was understood, in words that a caller can send back.

use std::collections::BTreeMap;

use super::date_vote::DateReading;
use super::sheet::Source;
use super::{Dialect, ReadOptions, bars, columns, date_pattern};

/// In which order the rows of the file stand.
pub(super) fn order(rows: &[bars::Rows]) -> &'static str {
    let (up, down) = rows.iter().fold((0, 0), |(up, down), rows| (up + rows.n_up, down + rows.n_down));
    match (up, down) {
        (_, 0) => "ascending",
        (0, _) => "descending",
        _ => "unsorted",
    }
}

/// Tells how a body was understood.
pub(super) fn told(
    source: &Source,
    encoding: &str,
    rules: &bars::Rules,
    dates: &DateReading,
    order: &'static str,
    options: &ReadOptions,
) -> Dialect {
    let layout = &source.layout;
    let name_of = |column: usize| layout.names.get(column).cloned().unwrap_or_default();
    let mut columns = BTreeMap::from([("date".to_owned(), name_of(layout.date))]);
    if let Some(group) = layout.groups.first() {
        let volume = group.volumes.first().map(|(_, column)| *column);
        let found = [
            ("time", layout.time),
            ("ticker", layout.ticker),
            ("open", Some(group.open)),
            ("high", Some(group.high)),
            ("low", Some(group.low)),
            ("close", Some(group.close)),
            ("volume", volume),
            ("adj_close", group.adj_close.filter(|column| *column != group.close)),
        ];
        columns.extend(found.into_iter().filter_map(|(role, at)| at.map(|at| (role.to_owned(), name_of(at)))));
    }
    let pinned = pinned(source, encoding, rules, dates, options);
    Dialect {
        name: vendor(&layout.names).to_owned(),
        encoding: encoding.to_owned(),
        delimiter: source.delimiter.clone(),
        decimal: char::from(rules.numbers.decimal).to_string(),
        date_format: dates.pattern.clone(),
        order,
        columns,
        price_basis: rules.price_basis,
        interval: rules.timing.interval.to_string(),
        why_date_format: dates.why,
        query: query(&pinned),
    }
}

/// The options that make the next reading of such a file the same without looking for evidence; what the caller
/// said stays.
fn pinned(
    source: &Source,
    encoding: &str,
    rules: &bars::Rules,
    dates: &DateReading,
    options: &ReadOptions,
) -> ReadOptions {
    let has_both = source.layout.groups.iter().all(|group| group.adj_close.is_some_and(|column| column != group.close));
    ReadOptions {
        // One that the dates did not need would be wrong of the next file that does.
        date_format: options.date_format.clone().filter(|_| !dates.is_told_by_all).or_else(|| {
            let is_read = date_pattern::order_of(&dates.pattern) == Ok(rules.clocks.order);
            is_read.then(|| dates.pattern.clone())
        }),
        delimiter: source.delimiter.clone(),
        decimal: Some(char::from(rules.numbers.decimal).to_string()),
        encoding: source.delimiter.as_ref().map(|_| encoding.to_owned()),
        price_basis: has_both.then_some(rules.price_basis),
        columns: options.columns.clone().or_else(|| columns_by_name(source, rules.reads_tickers)),
        ..options.clone()
    }
}

/// `date:Date,open:Open,…`; `None` where the names alone do not say it: several tickers, a column without a name.
fn columns_by_name(source: &Source, reads_tickers: bool) -> Option<String> {
    let layout = &source.layout;
    let [group] = layout.groups.as_slice() else { return None };
    let mut columns = vec![
        ("date", layout.date),
        ("open", group.open),
        ("high", group.high),
        ("low", group.low),
        ("close", group.close),
    ];
    columns.extend(layout.time.map(|at| ("time", at)));
    columns.extend(layout.ticker.filter(|_| reads_tickers).map(|at| ("ticker", at)));
    columns.extend(group.volumes.first().map(|(_, at)| ("volume", *at)));
    columns.extend(group.adj_close.map(|at| ("adj_close", at)).filter(|(_, at)| *at != group.close));
    let name = |at: usize| layout.names.get(at).map(String::as_str).unwrap_or_default();
    let is_plain = |at: usize| {
        let is_only = layout.names.iter().filter(|other| other.as_str() == name(at)).count() == 1;
        is_only && !name(at).is_empty() && !name(at).contains([',', ':'])
    };
    let is_named = group.ticker.is_none() && columns.iter().all(|(_, at)| is_plain(*at));
    is_named.then(|| columns.iter().map(|(role, at)| format!("{role}:{}", name(*at))).collect::<Vec<_>>().join(","))
}

/// Options as they stand in a URL.
fn query(options: &ReadOptions) -> String {
    let fields = serde_json::to_value(options).unwrap_or_default();
    let pairs = fields.as_object().into_iter().flatten().filter_map(|(name, value)| Some((name, value.as_str()?)));
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// Who writes such headers; told to people, never used to read.
fn vendor(names: &[String]) -> &'static str {
    let keys: Vec<String> = names.iter().map(|name| columns::key(name)).collect();
    let has = |wanted: &[&str]| wanted.iter().all(|key| keys.iter().any(|known| known == key));
    match () {
        () if has(&["date", "open", "high", "low", "close", "adjclose", "volume"]) => "yahoo",
        () if has(&["closelast"]) => "nasdaq",
        () if has(&["price", "vol", "change"]) || has(&["종가", "거래량", "변동"]) || has(&["ultimo", "vol"]) => {
            "investing"
        }
        () if has(&["일자", "종가", "등락률"]) || has(&["종목코드", "종목명", "종가"]) => "krx",
        () if has(&["날짜", "시가", "등락률"]) => "pykrx",
        () if names.iter().any(|name| name.trim().eq_ignore_ascii_case("<open>")) => "metatrader",
        () if has(&["成交股數", "開盤價"]) => "twse",
        () if has(&["始値", "終値"]) => "japanese",
        () if has(&["收盘价", "开盘价"]) => "chinese",
        () if has(&["time", "open", "high", "low", "close"]) && !has(&["date"]) => "tradingview",
        () if has(&["timestamp", "open", "high", "low", "close"]) => "alphavantage",
        () if has(&["date", "open", "high", "low", "close", "change"]) => "financedatareader",
        () => "generic",
    }
}
