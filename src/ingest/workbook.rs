//! Zip archives: an Excel workbook becomes delimited text, and an archive with one file becomes that file.

use std::io::{Cursor, Read};

use calamine::{Data, Reader, Xlsx};
use zip::ZipArchive;

use super::inflate::counted;
use super::{IngestLimits, ReadError, header, json_rows, records};

/// What a zip holds.
#[derive(Debug)]
pub(super) enum Unpacked {
    /// A workbook's sheet as delimited text, lines counted as its rows.
    Sheet(String),
    /// The bytes of the only price file.
    File(Vec<u8>),
}

/// Files in an archive that are no price files.
const IGNORED: [&str; 5] = ["__macosx/", ".ds_store", "readme", "license", "thumbs.db"];

/// Opens a zip.
///
/// # Errors
/// `corrupt_body`; `inflated_too_large` before any part is read whole; `archive_files` where it holds more than
/// one price file; `not_csv` for other office documents.
pub(super) fn unpack(bytes: &[u8], limits: &IngestLimits) -> Result<Unpacked, ReadError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| corrupt(&error.to_string()))?;
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap_or_default().into_owned()).collect();
    if names.iter().any(|name| name.starts_with("xl/")) {
        let max = limits.max_inflated_bytes;
        let mut total = 0;
        for idx in 0..archive.len() {
            let part = archive.by_index(idx).map_err(|error| corrupt(&error.to_string()))?;
            total += counted(part, bytes.len(), "zip", limits)?.len();
            if total > max {
                return Err(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max });
            }
        }
        return sheet(bytes, limits).map(Unpacked::Sheet);
    }
    if names.iter().any(|name| name == "[Content_Types].xml" || name == "mimetype") {
        return Err(ReadError::unreadable(
            "not_csv",
            "the body is an office document without a table that is read: save it as CSV or .xlsx",
        ));
    }
    let is_file = |name: &&String| {
        let lower = name.to_ascii_lowercase();
        !lower.ends_with('/') && !IGNORED.iter().any(|ignored| lower.contains(ignored))
    };
    let files: Vec<&String> = names.iter().filter(is_file).collect();
    match files.as_slice() {
        [only] => {
            let part = archive.by_name(only).map_err(|error| corrupt(&error.to_string()))?;
            if part.encrypted() {
                return Err(ReadError::unreadable("corrupt_body", "the zip has a password: unpack it first"));
            }
            counted(part.take(u64::MAX), bytes.len(), "zip", limits).map(Unpacked::File)
        }
        [] => Err(ReadError::unusable("empty_body", "the zip has no files")),
        several => {
            let shown: Vec<&str> = several.iter().take(5).map(|name| name.as_str()).collect();
            Err(ReadError::unusable(
                "archive_files",
                format!("the zip has {} files ({} …): send them one by one", several.len(), shown.join(", ")),
            ))
        }
    }
}

/// The sheet with the best header as delimited text.
fn sheet(bytes: &[u8], limits: &IngestLimits) -> Result<String, ReadError> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(|error| corrupt(&error.to_string()))?;
    let mut best: Option<(usize, String)> = None;
    for name in book.sheet_names() {
        let Some(text) = text(&mut book, &name, limits)? else { continue };
        let score = header::best_line(&text, &records::scan(&text, b','), b',').map_or(0, |(_, score)| score);
        if best.as_ref().is_none_or(|(most, _)| score > *most) {
            best = Some((score, text));
        }
    }
    best.map(|(_, text)| text)
        .filter(|text| !text.trim().is_empty())
        .ok_or_else(|| ReadError::unusable("empty_body", "the workbook has no sheet with values"))
}

/// A sheet as delimited text, lines counted as its rows; `None` for one without cells, such as a chart. Cells are read one
/// by one: a sheet with two cells far apart would be billions of them.
fn text(book: &mut Xlsx<Cursor<&[u8]>>, name: &str, limits: &IngestLimits) -> Result<Option<String>, ReadError> {
    let Ok(mut cells) = book.worksheet_cells_reader(name) else { return Ok(None) };
    let mut rows: Vec<(u32, Vec<(u32, String)>)> = Vec::new();
    // A text that many cells share is stored once and read once a cell.
    let mut n_bytes = 0;
    while let Some(found) = cells.next_cell().map_err(|error| corrupt(&error.to_string()))? {
        let (row, column) = found.get_position();
        if row as usize > limits.max_rows.saturating_add(1000) {
            return Err(ReadError::OverLimit { code: "too_many_rows", what: "rows", max: limits.max_rows });
        }
        let text = cell(&found.get_value().clone().into());
        if text.is_empty() {
            continue;
        }
        n_bytes += text.len();
        if n_bytes > limits.max_inflated_bytes {
            let max = limits.max_inflated_bytes;
            return Err(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max });
        }
        if column as usize >= 4 * limits.max_columns {
            return Err(ReadError::OverLimit { code: "too_many_columns", what: "columns", max: limits.max_columns });
        }
        match rows.last_mut() {
            Some((last, cells)) if *last == row => cells.push((column, text)),
            Some((last, _)) if *last > row => return Err(corrupt("its rows are not in order")),
            _ => rows.push((row, vec![(column, text)])),
        }
    }
    written(&rows, limits).map(Some)
}

/// Rows with the columns that are used; empty rows between are empty lines.
fn written(rows: &[(u32, Vec<(u32, String)>)], limits: &IngestLimits) -> Result<String, ReadError> {
    let columns = || rows.iter().flat_map(|(_, cells)| cells.iter().map(|(column, _)| *column));
    let (first, last) = (columns().min().unwrap_or(0), columns().max().unwrap_or(0));
    let mut out = String::new();
    let mut line = 0;
    for (row, cells) in rows {
        out.extend(std::iter::repeat_n('\n', (row - line) as usize));
        let mut texts = vec![""; (last - first) as usize + 1];
        for (column, text) in cells {
            texts[(column - first) as usize] = text;
        }
        json_rows::push_line(&mut out, texts.into_iter());
        line = row + 1;
        if out.len() > limits.max_inflated_bytes {
            let max = limits.max_inflated_bytes;
            return Err(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max });
        }
    }
    Ok(out)
}

fn cell(value: &Data) -> String {
    match value {
        Data::Empty => String::new(),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.trim().to_owned(),
        Data::DateTime(stamp) if stamp.is_datetime() => {
            let (year, month, day, hour, minute, second, _) = stamp.to_ymd_hms_milli();
            match (hour, minute, second) {
                (0, 0, 0) => format!("{year:04}-{month:02}-{day:02}"),
                _ => format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
            }
        }
        Data::DateTime(duration) => {
            let seconds = (duration.as_f64() * 86_400.0).round() as i64;
            format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
        }
        other => other.to_string(),
    }
}

fn corrupt(why: &str) -> ReadError {
    ReadError::unreadable("corrupt_body", format!("the zip or workbook cannot be opened: {why}"))
}
