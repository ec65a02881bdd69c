//! What several bodies share.

use std::ops::RangeInclusive;

use chrono::{DateTime, NaiveDate, SecondsFormat};

use super::error::Problem;
use crate::config::QueryLimits;
use crate::domain::{BarTime, Ticker};

/// A time of the store as RFC 3339 UTC.
pub(super) fn instant(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// How many entries a page has.
pub(super) fn page_size(asked: Option<u32>, limits: &QueryLimits) -> Result<usize, Problem> {
    checked_limit(asked, limits.default_page, limits.max_page)
}

/// A `limit` within `1..=max`.
pub(super) fn checked_limit(asked: Option<u32>, default: usize, max: usize) -> Result<usize, Problem> {
    match asked.map(|asked| asked as usize) {
        None => Ok(default.min(max)),
        Some(asked) if (1..=max).contains(&asked) => Ok(asked),
        Some(asked) => Err(out_of_range("limit", asked, max)),
    }
}

/// A number that can be read but not be granted, of those that begin with 1.
pub(super) fn out_of_range(name: &str, asked: usize, max: usize) -> Problem {
    outside(name, asked, 1..=max)
}

/// A number that can be read but not be granted.
pub(super) fn outside(name: &str, asked: usize, granted: RangeInclusive<usize>) -> Problem {
    let (min, max) = granted.into_inner();
    Problem::new("out_of_range", format!("{name} {asked} is outside {min} to {max}."))
        .with("name", name)
        .with("min", min)
        .with("max", max)
}

/// A ticker of a path, a query or a body.
pub(super) fn ticker(text: &str) -> Result<Ticker, Problem> {
    text.parse().map_err(|error: crate::domain::ticker::TickerError| Problem::new("bad_ticker", format!("{error}.")))
}

/// One end of a span, or a cutoff: a date (its first second, or with `whole_day` its last), or an instant.
pub(super) fn edge(name: &str, text: &str, whole_day: bool) -> Result<BarTime, Problem> {
    if let Ok(date) = text.parse::<NaiveDate>() {
        return Ok(if whole_day { BarTime::end_of_date(date) } else { BarTime::from_date(date) });
    }
    let instant = DateTime::parse_from_rfc3339(text);
    instant.map(|instant| BarTime::from_instant(instant.to_utc())).map_err(|_| {
        Problem::new("bad_query", format!("{name}: {text:?} is neither a date (2018-01-31) nor RFC 3339."))
    })
}

/// Where a page begins: a cursor as a list of `what` gave it, understood by `read`.
pub(super) fn start<T>(
    cursor: Option<&str>,
    what: &str,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, Problem> {
    let refuse = || Problem::new("bad_cursor", format!("This cursor is not one that a list of {what} gave."));
    cursor.map(|text| read(text).ok_or_else(refuse)).transpose()
}

/// Where a page of tickers begins; the empty text is before all of them.
pub(super) fn start_of_tickers(cursor: Option<&str>) -> Result<String, Problem> {
    let given = cursor.filter(|cursor| !cursor.is_empty());
    let after = start(given, "tickers", |cursor| cursor.parse::<Ticker>().ok())?;
    Ok(after.map(|ticker| ticker.to_string()).unwrap_or_default())
}

/// Cuts a list that was asked for with one entry more than the page has; the cursor to go on with is the last
/// entry's own.
pub(super) fn cut<T>(mut entries: Vec<T>, page: usize, cursor: impl Fn(&T) -> String) -> (Vec<T>, Option<String>) {
    let has_more = entries.len() > page;
    entries.truncate(page);
    let next = entries.last().filter(|_| has_more).map(cursor);
    (entries, next)
}
