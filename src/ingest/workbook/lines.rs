//! A sheet of a workbook to delimited text, cell by cell: one with two cells far apart would be billions of them.

use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::Datelike;

use super::cells::{Cell, Cells, Kind};
use super::formats::Format;
use super::{Book, IngestLimits, ReadError, corrupt};
use crate::ingest::dates::date_of;
use crate::ingest::inflate::too_large;
use crate::ingest::json_rows;

/// So many lines with values show whether a sheet has a header, and so many bytes of them.
const MAX_HEAD_LINES: usize = 100;
const MAX_HEAD: usize = 1 << 20;

/// A sheet's first lines with values as delimited text, lines counted as its rows; `None` for one without cells, such
/// as a chart.
///
/// # Errors
/// `corrupt_body`; a cap that is passed.
pub(super) fn head(book: &Book, part: &str, limits: &IngestLimits) -> Result<Option<String>, ReadError> {
    let Some(cells) = Cells::new(part)? else { return Ok(None) };
    let room = Room::of(limits);
    let lines = Lines::read(book, cells, &room, |lines, row, text| {
        let is_full = lines.rows.len() == MAX_HEAD_LINES && lines.rows.last().is_some_and(|last| last.at < row);
        is_full || lines.text.len() + text.len() > MAX_HEAD
    })?;
    fitted(&[lines], limits).map(Some)
}

/// All of a sheet.
///
/// # Errors
/// As [`head`].
pub(super) fn text(book: &Book, part: &str, limits: &IngestLimits) -> Result<Option<String>, ReadError> {
    let Some(cells) = Cells::new(part)? else { return Ok(None) };
    let room = Room::of(limits);
    let read = |cells| Lines::read(book, cells, &room, |_, _, _| false);
    match cells.halves() {
        Err(cells) => fitted(&[read(cells)?], limits),
        Ok([first, second]) => {
            let (first, second) = rayon::join(|| read(first), || read(second));
            fitted(&[first?, second?], limits)
        }
    }
    .map(Some)
}

/// What the lines of a sheet may take together, whoever reads them.
struct Room<'a> {
    limits: &'a IngestLimits,
    taken: AtomicUsize,
}

impl<'a> Room<'a> {
    fn of(limits: &'a IngestLimits) -> Self {
        Self { limits, taken: AtomicUsize::new(0) }
    }

    fn take(&self, n_bytes: usize) -> Result<(), ReadError> {
        let before = self.taken.fetch_add(n_bytes, Ordering::Relaxed);
        if before + n_bytes > self.limits.max_inflated_bytes { Err(too_large(self.limits)) } else { Ok(()) }
    }
}

/// Cells that were read, row by row, beginning with the first column of the sheet.
struct Lines {
    text: String,
    rows: Vec<Row>,
    first_column: u32,
}

/// A row with values, by its number in the sheet.
struct Row {
    at: u32,
    start: usize,
    width: u32,
}

impl Lines {
    fn read(
        book: &Book,
        mut cells: Cells<'_>,
        room: &Room<'_>,
        is_enough: impl Fn(&Self, u32, &str) -> bool,
    ) -> Result<Self, ReadError> {
        /// Room is taken in steps, for two threads ask for it.
        const STEP: usize = 64 << 10;
        let (limits, mut taken) = (room.limits, 0);
        let mut lines = Self { text: String::new(), rows: Vec::new(), first_column: u32::MAX };
        while let Some(cell) = cells.next()? {
            let Cell { row, column, .. } = cell;
            if row as usize > limits.max_rows.saturating_add(1000) {
                return Err(ReadError::OverLimit { code: "too_many_rows", what: "rows", max: limits.max_rows });
            }
            let text = match cell.text.trim() {
                idx if cell.kind == Kind::Shared && !idx.is_empty() => {
                    let shared = idx.parse().ok().and_then(|idx| book.texts.get(idx));
                    shared.ok_or_else(|| corrupt("a cell shares a text that there is not"))?
                }
                text => text,
            };
            if text.is_empty() {
                continue;
            }
            if column as usize >= 4 * limits.max_columns {
                return Err(ReadError::OverLimit {
                    code: "too_many_columns",
                    what: "columns",
                    max: limits.max_columns,
                });
            }
            if is_enough(&lines, row, text) {
                break;
            }
            // A text that many cells share is stored once and read once a cell.
            if lines.text.len() + text.len() >= taken + STEP {
                room.take(lines.text.len() + text.len() - taken)?;
                taken = lines.text.len() + text.len();
            }
            lines.go_to(row, column)?;
            match cell.kind {
                Kind::Number => push_number(&mut lines.text, text, book.format(cell.style), book.is_1904),
                Kind::Bool if text == "1" || text.eq_ignore_ascii_case("true") => lines.text.push_str("true"),
                Kind::Bool if text == "0" || text.eq_ignore_ascii_case("false") => lines.text.push_str("false"),
                Kind::Shared | Kind::Text | Kind::Bool => json_rows::push_cell(&mut lines.text, text),
            }
        }
        Ok(lines)
    }

    /// Begins a cell.
    fn go_to(&mut self, row: u32, column: u32) -> Result<(), ReadError> {
        if self.rows.last().is_none_or(|last| last.at < row) {
            self.rows.push(Row { at: row, start: self.text.len(), width: 0 });
        }
        self.first_column = self.first_column.min(column);
        let Some(last) = self.rows.last_mut().filter(|last| last.at == row && last.width <= column) else {
            return Err(out_of_order());
        };
        // The first cell of a line has no comma before it.
        let n_commas = column + 1 - last.width.max(1);
        self.text.extend(std::iter::repeat_n(',', n_commas as usize));
        last.width = column + 1;
        Ok(())
    }
}

/// The columns that are used, as wide in every line; empty rows between are empty lines. `parts` are of one sheet, one
/// after another.
fn fitted(parts: &[Lines], limits: &IngestLimits) -> Result<String, ReadError> {
    let width = parts.iter().flat_map(|lines| &lines.rows).map(|row| row.width).max().unwrap_or(0);
    let first_column = parts.iter().map(|lines| lines.first_column).min().unwrap_or(0) as usize;
    let n_bytes: usize = parts.iter().map(|lines| lines.text.len() + lines.rows.len()).sum();
    let mut out = String::with_capacity(n_bytes.min(limits.max_inflated_bytes));
    let mut line = 0;
    for lines in parts {
        let ends = lines.rows.iter().skip(1).map(|row| row.start).chain([lines.text.len()]);
        for (row, end) in lines.rows.iter().zip(ends) {
            let n_empty = row.at.checked_sub(line).ok_or_else(out_of_order)?;
            out.extend(std::iter::repeat_n('\n', n_empty as usize));
            out.push_str(&lines.text[row.start + first_column..end]);
            out.extend(std::iter::repeat_n(',', (width - row.width) as usize));
            out.push('\n');
            line = row.at + 1;
            if out.len() > limits.max_inflated_bytes {
                return Err(too_large(limits));
            }
        }
    }
    Ok(out)
}

fn out_of_order() -> ReadError {
    corrupt("its cells are not in order")
}

/// A number as a vendor would write it; what is none is left as it stands, for the row to be refused with it.
fn push_number(out: &mut String, text: &str, format: Format, is_1904: bool) {
    if format == Format::Number && is_short(text) {
        return out.push_str(text);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => match format {
            Format::Number => push_shortest(out, value),
            Format::Date => push_date(out, value, is_1904),
            Format::Duration => push_time(out, whole_seconds(value)),
        },
        _ => json_rows::push_cell(out, text),
    }
}

/// Whether a number is already written with the fewest digits that read back the same: a float holds any fifteen. Excel
/// writes seventeen, and `0.10000000000000001` for 0.1.
fn is_short(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "1"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_padded = fraction.ends_with('0') || (whole.len() > 1 && whole.starts_with('0'));
    text.len() <= 15 && is_digits(whole) && is_digits(fraction) && !is_padded
}

/// The shortest digits that read back the same.
fn push_shortest(out: &mut String, value: f64) {
    /// Below it every whole number is a float.
    const WHOLE: f64 = 9e15;
    if value.fract() == 0.0 && value.abs() < WHOLE {
        // Writing to a string cannot fail.
        let _ = write!(out, "{}", value as i64);
    } else {
        out.push_str(zmij::Buffer::new().format_finite(value));
    }
}

/// Days since the end of 1899, or of 1903, as a date; with its time of day if it has one, and that alone where there is
/// no day.
fn push_date(out: &mut String, serial: f64, is_1904: bool) {
    const UNIX_EPOCH: i64 = 25_569;
    const DAY: i64 = 86_400;
    let seconds = whole_seconds(serial);
    let (day, second) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    if day == 0 {
        return push_time(out, second);
    }
    // Excel has a 29th of February 1900: the days before it are one too high.
    let day = day + if is_1904 { 1462 } else { i64::from(day < 60) };
    let date = i32::try_from(day - UNIX_EPOCH).map(date_of).ok();
    let Some(date) = date.filter(|date| (1000..=9999).contains(&date.year())) else {
        return push_shortest(out, serial);
    };
    push_digits(out, date.year().unsigned_abs(), 1000);
    out.push('-');
    push_digits(out, date.month(), 10);
    out.push('-');
    push_digits(out, date.day(), 10);
    if second != 0 {
        out.push(' ');
        push_time(out, second);
    }
}

/// The last second that has begun; of days as fractions a thousandth is kept, so that 23:59:59.999 is of its day.
fn whole_seconds(days: f64) -> i64 {
    ((days * 86_400_000.0).round() as i64).div_euclid(1000)
}

fn push_time(out: &mut String, seconds: i64) {
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/// A number by its digits from that of `power` on; formatting by a pattern takes ten times as long.
fn push_digits(out: &mut String, value: u32, power: u32) {
    out.push(char::from(b'0' + (value / power % 10) as u8));
    if power > 1 {
        push_digits(out, value, power / 10);
    }
}
