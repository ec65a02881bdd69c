//! A sheet of a workbook to delimited text, cell by cell: one with two cells far apart would be billions of them.

use std::fmt::Write;

use chrono::Datelike;

use super::cells::{Cell, Cells, Kind};
use super::formats::Format;
use super::{Book, IngestLimits, ReadError, corrupt};
use crate::ingest::dates::date_of;
use crate::ingest::inflate::too_large;
use crate::ingest::json_rows;

/// A sheet's first `max_lines` lines with values as delimited text, lines counted as its rows; `None` for one without
/// cells, such as a chart.
///
/// # Errors
/// `corrupt_body`; a cap that is passed.
pub(super) fn head(
    book: &Book,
    part: &str,
    max_lines: usize,
    limits: &IngestLimits,
) -> Result<Option<String>, ReadError> {
    let Some(cells) = Cells::new(part)? else { return Ok(None) };
    Lines::read(book, cells, max_lines, limits)?.fitted(limits).map(Some)
}

/// All of a sheet.
///
/// # Errors
/// As [`head`].
pub(super) fn text(book: &Book, part: &str, limits: &IngestLimits) -> Result<Option<String>, ReadError> {
    let Some(cells) = Cells::new(part)? else { return Ok(None) };
    let read = |cells| Lines::read(book, cells, usize::MAX, limits);
    let lines = match cells.halves() {
        Err(cells) => read(cells)?,
        Ok([first, second]) => {
            let (first, second) = rayon::join(|| read(first), || read(second));
            first?.and(second?)?
        }
    };
    lines.fitted(limits).map(Some)
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
    fn read(book: &Book, mut cells: Cells<'_>, max_lines: usize, limits: &IngestLimits) -> Result<Self, ReadError> {
        let mut lines = Self { text: String::new(), rows: Vec::new(), first_column: u32::MAX };
        while let Some(cell) = cells.next()? {
            let Cell { row, column, .. } = cell;
            if row as usize > limits.max_rows.saturating_add(1000) {
                return Err(ReadError::OverLimit { code: "too_many_rows", what: "rows", max: limits.max_rows });
            }
            let text = match cell.kind {
                Kind::Shared if !cell.text.is_empty() => {
                    let shared = cell.text.parse().ok().and_then(|idx| book.texts.get(idx));
                    shared.ok_or_else(|| corrupt("a cell shares a text that there is not"))?
                }
                _ => cell.text.trim(),
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
            if lines.rows.len() == max_lines && lines.rows.last().is_some_and(|last| last.at < row) {
                break;
            }
            lines.go_to(row, column)?;
            match cell.kind {
                Kind::Number => push_number(&mut lines.text, text, book.format(cell.style), book.is_1904),
                Kind::Bool => lines.text.push_str(if matches!(text, "1" | "true") { "true" } else { "false" }),
                // A text that many cells share is stored once and read once a cell.
                Kind::Shared | Kind::Text => json_rows::push_cell(&mut lines.text, text),
            }
            refuse_over_cap(&lines.text, limits)?;
        }
        Ok(lines)
    }

    /// These lines and those of the rest of the sheet.
    fn and(mut self, rest: Self) -> Result<Self, ReadError> {
        if let (Some(last), Some(next)) = (self.rows.last(), rest.rows.first())
            && last.at >= next.at
        {
            return Err(out_of_order());
        }
        let n_bytes = self.text.len();
        self.text.push_str(&rest.text);
        self.rows.extend(rest.rows.into_iter().map(|row| Row { start: n_bytes + row.start, ..row }));
        self.first_column = self.first_column.min(rest.first_column);
        Ok(self)
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

    /// The columns that are used, as wide in every line; empty rows between are empty lines.
    fn fitted(self, limits: &IngestLimits) -> Result<String, ReadError> {
        let width = self.rows.iter().map(|row| row.width).max().unwrap_or(0);
        let mut out = String::with_capacity(self.text.len() + self.rows.len());
        let ends = self.rows.iter().skip(1).map(|row| row.start).chain([self.text.len()]);
        let mut line = 0;
        for (row, end) in self.rows.iter().zip(ends) {
            out.extend(std::iter::repeat_n('\n', (row.at - line) as usize));
            out.push_str(&self.text[row.start + self.first_column as usize..end]);
            out.extend(std::iter::repeat_n(',', (width - row.width) as usize));
            out.push('\n');
            line = row.at + 1;
            refuse_over_cap(&out, limits)?;
        }
        Ok(out)
    }
}

fn out_of_order() -> ReadError {
    corrupt("its cells are not in order")
}

fn refuse_over_cap(text: &str, limits: &IngestLimits) -> Result<(), ReadError> {
    if text.len() > limits.max_inflated_bytes { Err(too_large(limits)) } else { Ok(()) }
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
            Format::Duration => push_time(out, value),
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
    const SECONDS: f64 = 86_400.0;
    if (0.0..1.0).contains(&serial) {
        return push_time(out, serial);
    }
    let seconds = (serial * SECONDS).round() as i64;
    let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
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
        push_time(out, second as f64 / SECONDS);
    }
}

fn push_time(out: &mut String, days: f64) {
    let seconds = (days * 86_400.0).round() as i64;
    let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

/// A number by its digits from that of `power` on; formatting by a pattern takes ten times as long.
fn push_digits(out: &mut String, value: u32, power: u32) {
    out.push(char::from(b'0' + (value / power % 10) as u8));
    if power > 1 {
        push_digits(out, value, power / 10);
    }
}
