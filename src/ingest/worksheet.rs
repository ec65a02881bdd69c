//! A sheet of a workbook to delimited text, cell by cell: one with two cells far apart would be billions of them.

use std::fmt::Write;

use calamine::{Data, DataRef, ExcelDateTime, Xlsx, XlsxError};

use super::workbook::{Parts, corrupt};
use super::{IngestLimits, ReadError, json_rows};

/// So many lines with values show whether a sheet has a header.
pub(super) const MAX_HEAD: usize = 100;

/// A sheet's first `max_lines` lines with values as delimited text, lines counted as its rows; `None` for one without
/// cells, such as a chart.
///
/// # Errors
/// `corrupt_body`; a cap that is passed.
pub(super) fn text(
    book: &mut Xlsx<Parts<'_>>,
    name: &str,
    max_lines: usize,
    limits: &IngestLimits,
) -> Result<Option<String>, ReadError> {
    let mut cells = match book.worksheet_cells_reader(name) {
        Err(error @ (XlsxError::Io(_) | XlsxError::Zip(_) | XlsxError::Xml(_))) => {
            return Err(corrupt(&error.to_string()));
        }
        Err(_) => return Ok(None),
        Ok(cells) => cells,
    };
    let mut lines = Lines { text: String::new(), rows: Vec::new(), first_column: u32::MAX };
    while let Some(found) = cells.next_cell().map_err(|error| corrupt(&error.to_string()))? {
        let (row, column) = found.get_position();
        if row as usize > limits.max_rows.saturating_add(1000) {
            return Err(ReadError::OverLimit { code: "too_many_rows", what: "rows", max: limits.max_rows });
        }
        if is_empty(found.get_value()) {
            continue;
        }
        if column as usize >= 4 * limits.max_columns {
            return Err(ReadError::OverLimit { code: "too_many_columns", what: "columns", max: limits.max_columns });
        }
        if lines.rows.len() == max_lines && lines.rows.last().is_some_and(|last| last.at < row) {
            break;
        }
        lines.go_to(row, column)?;
        // A text that many cells share is stored once and read once a cell.
        push(&mut lines.text, found.get_value());
        refuse_over_cap(&lines.text, limits)?;
    }
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
    /// Begins a cell.
    fn go_to(&mut self, row: u32, column: u32) -> Result<(), ReadError> {
        if self.rows.last().is_none_or(|last| last.at < row) {
            self.rows.push(Row { at: row, start: self.text.len(), width: 0 });
        }
        self.first_column = self.first_column.min(column);
        let Some(last) = self.rows.last_mut().filter(|last| last.at == row && last.width <= column) else {
            return Err(corrupt("its cells are not in order"));
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

fn refuse_over_cap(text: &str, limits: &IngestLimits) -> Result<(), ReadError> {
    let max = limits.max_inflated_bytes;
    match text.len() > max {
        true => Err(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max }),
        false => Ok(()),
    }
}

fn is_empty(value: &DataRef) -> bool {
    match value {
        DataRef::Empty => true,
        DataRef::SharedString(text) => text.trim().is_empty(),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// A value as a vendor would write it.
fn push(out: &mut String, value: &DataRef) {
    match value {
        DataRef::SharedString(text) => json_rows::push_cell(out, text.trim()),
        DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => {
            json_rows::push_cell(out, text.trim());
        }
        DataRef::Float(value) => push_number(out, *value),
        DataRef::DateTime(stamp) if stamp.is_datetime() => push_date(out, stamp),
        DataRef::DateTime(duration) => {
            let seconds = (duration.as_f64() * 86_400.0).round() as i64;
            // Writing to a string cannot fail.
            let _ = write!(out, "{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
        }
        other => json_rows::push_cell(out, &Data::from(other.clone()).to_string()),
    }
}

/// The shortest digits that read back the same.
fn push_number(out: &mut String, value: f64) {
    /// Below it every whole number is a float.
    const WHOLE: f64 = 9e15;
    let _ = match value {
        value if value.fract() == 0.0 && value.abs() < WHOLE => write!(out, "{}", value as i64),
        value if value.is_finite() => out.write_str(zmij::Buffer::new().format_finite(value)),
        value => write!(out, "{value}"),
    };
}

fn push_date(out: &mut String, stamp: &ExcelDateTime) {
    let (year, month, day, hour, minute, second, _) = stamp.to_ymd_hms_milli();
    push_digits(out, year, 1000);
    out.push('-');
    push_digits(out, month.into(), 10);
    out.push('-');
    push_digits(out, day.into(), 10);
    if (hour, minute, second) != (0, 0, 0) {
        let _ = write!(out, " {hour:02}:{minute:02}:{second:02}");
    }
}

/// A number by its digits from that of `power` on; formatting by a pattern takes ten times as long.
fn push_digits(out: &mut String, value: u16, power: u16) {
    out.push(char::from(b'0' + (value / power % 10) as u8));
    if power > 1 {
        push_digits(out, value, power / 10);
    }
}
