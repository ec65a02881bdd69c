//! Whose a row is: the column that names tickers.

use std::collections::HashSet;

use super::bars;
use super::sheet::{Note, Source};

/// Whether the ticker column names tickers. One that names them on the first of their rows is filled; one that turns out to
/// be something else is none.
pub(super) fn decide(source: &mut Source) -> bool {
    let Some(column) = source.layout.ticker else { return false };
    if source.layout.ticker_is_unsure && !tells_rows_apart(source, column) {
        source.layout.ticker = None;
        return false;
    }
    let names_them = names_tickers(source, column);
    if names_them && stand_once(source, column) {
        source.sheet.fill_down(column);
        let message = "the ticker stands on few rows: the rows below such a one were taken for the same ticker's";
        source.notes.push(Note { code: "ticker_above", message: message.to_owned() });
    }
    names_them
}

/// One name all through that is no ticker is a title; tickers differ or are valid. A column of names holds a ticker
/// only where it looks like one (`AAPL`; not `Apple`, not a vendor's number).
fn names_tickers(source: &Source, column: usize) -> bool {
    let first = source.sheet.cell(column, 0);
    let is_one = source.sheet.cells(column).all(|(_, name)| name == first || (name.is_empty() && !first.is_empty()));
    let is_code = !first.chars().any(char::is_lowercase) && first.chars().any(char::is_alphabetic);
    !is_one || (bars::ticker_of(first).is_some() && (is_code || !source.layout.ticker_is_name))
}

/// Whether the first row has a ticker and more than half of the others have none.
fn stand_once(source: &Source, column: usize) -> bool {
    let n_empty = source.sheet.cells(column).filter(|(_, name)| name.is_empty()).count();
    !source.sheet.cell(column, 0).is_empty() && n_empty * 2 > source.sheet.n_rows()
}

/// Whether rows of one date differ in the column, every row of a date in its own way.
fn tells_rows_apart(source: &Source, column: usize) -> bool {
    let (sheet, layout) = (&source.sheet, &source.layout);
    let n_rows = sheet.n_rows();
    let times = (0..n_rows).map(|row| (sheet.cell(layout.date, row), layout.time.map(|time| sheet.cell(time, row))));
    let named: HashSet<_> = times.clone().zip(sheet.cells(column).map(|(_, name)| name)).collect();
    let dates: HashSet<_> = times.collect();
    sheet.cells(column).all(|(_, name)| !name.is_empty()) && named.len() * 100 >= n_rows * 99 && dates.len() < n_rows
}
