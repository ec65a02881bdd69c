//! Zip archives: an Excel workbook becomes delimited text, and an archive with one file becomes that file.

mod cells;
mod formats;
mod lines;
mod texts;
mod xml;

use std::cmp::Ordering;
use std::collections::HashMap;
use std::io::Cursor;

use quick_xml::events::Event;
use zip::ZipArchive;

use self::formats::Format;
use self::texts::Texts;
use super::inflate::{copy_counted, counted};
use super::{IngestLimits, ReadError, header, records};

/// Where Excel's parts lie, as `unified` writes it.
const WORKBOOK: &str = "xl/workbook.xml";
const RELATIONS: &str = "xl/_rels/workbook.xml.rels";
const TEXTS: &str = "xl/sharedstrings.xml";
const STYLES: &str = "xl/styles.xml";

/// A book of more is no price file; its first ones are looked at.
const MAX_SHEETS: usize = 255;
/// So many lines with values show whether a sheet has a header.
const MAX_HEAD: usize = 100;

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
/// `corrupt_body`; `inflated_too_large` as soon as what is unpacked passes the cap; `archive_files` where it holds more than
/// one price file; `not_csv` for other office documents.
pub(super) fn unpack(bytes: &[u8], limits: &IngestLimits) -> Result<Unpacked, ReadError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| corrupt(&error.to_string()))?;
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap_or_default().into_owned()).collect();
    let place = |(idx, name): (usize, &String)| (unified(name).trim_start_matches('/').to_owned(), idx);
    let places: HashMap<String, usize> = names.iter().enumerate().map(place).collect();
    if places.contains_key(WORKBOOK) {
        let (packed_len, n_bytes_left) = (bytes.len(), limits.max_inflated_bytes);
        return sheet(Parts { archive, places, packed_len, limits, n_bytes_left }).map(Unpacked::Sheet);
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
            counted(part, bytes.len(), "zip", limits).map(Unpacked::File)
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

/// A workbook: the names of its sheets with their parts, and what their cells refer to.
#[derive(Debug, Default)]
struct Book {
    sheets: Vec<(String, String)>,
    texts: Texts,
    formats: Vec<Format>,
    /// Whether its days are counted from 1904, as old Macs did.
    is_1904: bool,
}

impl Book {
    /// Reads all but the sheets.
    fn open(parts: &mut Parts<'_>) -> Result<Self, ReadError> {
        let mut book = Self::default();
        let workbook = parts.text(WORKBOOK)?.ok_or_else(|| corrupt("it has no xl/workbook.xml"))?;
        let relations = parts.text(RELATIONS)?.map(|part| relations(&part)).transpose()?.unwrap_or_default();
        let mut events = xml::events(&workbook);
        loop {
            match events.read_event().map_err(xml::corrupt_xml)? {
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    "workbookPr" => {
                        let is_1904 = xml::attribute(&tag, "date1904")?;
                        book.is_1904 = is_1904.is_some_and(|said| matches!(said.as_str(), "1" | "true"));
                    }
                    "sheet" if book.sheets.len() < MAX_SHEETS => {
                        let name = xml::attribute(&tag, "name")?.unwrap_or_default();
                        let part = xml::attribute(&tag, "id")?.and_then(|id| relations.get(&id));
                        // Two that are the same part would be read twice.
                        if let Some(part) = part.filter(|part| book.sheets.iter().all(|(_, before)| before != *part)) {
                            book.sheets.push((name, part.clone()));
                        }
                    }
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
        }
        book.texts = parts.text(TEXTS)?.map(|part| Texts::read(&part)).transpose()?.unwrap_or_default();
        book.formats = parts.text(STYLES)?.map(|part| formats::read(&part)).transpose()?.unwrap_or_default();
        Ok(book)
    }

    fn format(&self, style: Option<usize>) -> Format {
        style.and_then(|style| self.formats.get(style)).copied().unwrap_or(Format::Number)
    }
}

/// The part that each id of a workbook means.
fn relations(part: &str) -> Result<HashMap<String, String>, ReadError> {
    let (mut events, mut relations) = (xml::events(part), HashMap::new());
    loop {
        match events.read_event().map_err(xml::corrupt_xml)? {
            Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "Relationship" => {
                if let (Some(id), Some(target)) = (xml::attribute(&tag, "Id")?, xml::attribute(&tag, "Target")?) {
                    let target = unified(&target);
                    let from_xl = target.strip_prefix("./").unwrap_or(&target);
                    let part = target.strip_prefix('/').map_or_else(|| format!("xl/{from_xl}"), ToOwned::to_owned);
                    relations.insert(id, part);
                }
            }
            Event::Eof => return Ok(relations),
            _ => {}
        }
    }
}

/// The parts of a workbook, unpacked when they are asked for, all under one cap.
struct Parts<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    /// By name as `unified` writes it.
    places: HashMap<String, usize>,
    packed_len: usize,
    limits: &'a IngestLimits,
    n_bytes_left: usize,
}

impl Parts<'_> {
    /// A part's text; `None` where there is none of that name.
    fn text(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        let Some(place) = self.places.get(name) else { return Ok(None) };
        let part = self.archive.by_index(*place).map_err(|error| corrupt(&error.to_string()))?;
        // A claim only, and room that is not used takes no memory.
        let claimed = usize::try_from(part.size()).unwrap_or(usize::MAX).min(self.n_bytes_left);
        let mut bytes = Vec::with_capacity(claimed);
        self.n_bytes_left -= copy_counted(part, self.packed_len, "zip", self.limits, self.n_bytes_left, &mut bytes)?;
        String::from_utf8(bytes).map(Some).or_else(|error| {
            let bytes = error.into_bytes();
            // UTF-16 by its mark.
            match encoding_rs::UTF_8.decode(&bytes) {
                (text, _, false) => Ok(Some(text.into_owned())),
                (_, _, true) => Err(corrupt(&format!("{name} is no text"))),
            }
        })
    }
}

/// A part's name as it is compared: some programs write `XL\Worksheets\`.
fn unified(name: &str) -> String {
    name.replace('\\', "/").to_ascii_lowercase()
}

/// The sheet with the best header as delimited text.
fn sheet(mut parts: Parts<'_>) -> Result<String, ReadError> {
    let (book, limits) = (Book::open(&mut parts)?, parts.limits);
    let mut best: Vec<&str> = Vec::new();
    let (mut best_score, mut best_part) = (None, String::new());
    for (name, part) in &book.sheets {
        let Some(part) = parts.text(part)? else { continue };
        let Some(head) = lines::head(&book, &part, MAX_HEAD, limits)? else { continue };
        let records = records::scan(&head, b',');
        let header = header::best_line(&head, &records, b',').filter(|(at, _)| at + 1 < records.len());
        let score = header.map_or(0, |(_, score)| score);
        match Some(score).cmp(&best_score) {
            Ordering::Less => {}
            Ordering::Equal => best.push(name),
            Ordering::Greater => (best, best_score, best_part) = (vec![name.as_str()], Some(score), part),
        }
    }
    if let ([first, second, ..], Some(1..)) = (best.as_slice(), best_score) {
        let n_sheets = best.len();
        let more = if n_sheets > 2 { " …" } else { "" };
        return Err(ReadError::unusable(
            "archive_files",
            format!(
                "the workbook has {n_sheets} sheets of prices ({first}, {second}{more}): save each as a file of its own, or \
                 put all into one with a column of tickers"
            ),
        ));
    }
    let text = match best.is_empty() {
        true => None,
        false => lines::text(&book, &best_part, limits)?,
    };
    text.filter(|text| !text.trim().is_empty())
        .ok_or_else(|| ReadError::unusable("empty_body", "the workbook has no sheet with values"))
}

fn corrupt(why: &str) -> ReadError {
    ReadError::unreadable("corrupt_body", format!("the zip or workbook cannot be opened: {why}"))
}

#[cfg(test)]
mod tests {
    use calamine::{Data, Reader, Xlsx};
    use proptest::prelude::*;

    use super::cells::tests::book_of;
    use super::*;

    /// What calamine reads in a cell, in our words.
    fn by_calamine(value: &Data) -> String {
        match value {
            Data::Float(number) if number.fract() == 0.0 => format!("{}", *number as i64),
            Data::Float(number) => format!("{number}"),
            Data::DateTime(stamp) if stamp.is_datetime() => {
                let (year, month, day, hour, minute, second, _) = stamp.to_ymd_hms_milli();
                match (hour, minute, second) {
                    (0, 0, 0) => format!("{year}-{month:02}-{day:02}"),
                    _ => format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}"),
                }
            }
            other => other.to_string().trim().to_owned(),
        }
    }

    proptest! {
        /// calamine is slower and knows all of the format: what it reads is what a workbook says.
        #[test]
        fn a_workbook_says_what_calamine_reads_in_it(
            cells in prop::collection::vec(
                prop_oneof![
                    (0_u32..2_000_000, 0_u32..4).prop_map(|(units, digits)| {
                        let number = f64::from(units) / 10_f64.powi(digits as i32);
                        format!("<c><v>{number}</v></c>")
                    }),
                    (1e-6..1e6_f64).prop_map(|value| {
                        format!("<c t=\"n\"><v>{value:.17e}</v></c>")
                    }),
                    (61_u32..80_000, 0_u32..86_400).prop_map(|(day, second)| {
                        format!("<c s=\"1\"><v>{}</v></c>", f64::from(day) + f64::from(second) / 86_400.0)
                    }),
                    (1_u32..80_000).prop_map(|day| format!("<c s=\"1\"><v>{day}</v></c>")),
                    (0_usize..4).prop_map(|idx| format!("<c t=\"s\"><v>{idx}</v></c>")),
                    "[a-zA-Z가-힣 .]{0,8}".prop_map(|text| format!("<c t=\"inlineStr\"><is><t>{text}</t></is></c>")),
                    "[a-z&<]{0,5}".prop_map(|text| {
                        let text = text.replace('&', "&amp;").replace('<', "&lt;");
                        format!("<c t=\"str\"><f>A1</f><v>{text}</v></c>")
                    }),
                    Just("<c t=\"b\"><v>1</v></c>".to_owned()),
                    Just("<c t=\"e\"><v>#N/A</v></c>".to_owned()),
                    Just("<c s=\"1\"/>".to_owned()),
                ],
                1..40,
            ),
            width in 1_usize..6,
            has_places in any::<bool>(),
            is_1904 in any::<bool>(),
        ) {
            let cell = |row: usize, (column, cell): (usize, &String)| match has_places {
                true => cell.replacen("<c", &format!("<c r=\"{}{}\"", char::from(b'A' + column as u8), row + 1), 1),
                false => cell.clone(),
            };
            let row = |(at, cells): (usize, &[String])| {
                format!("<row>{}</row>", cells.iter().enumerate().map(|found| cell(at, found)).collect::<String>())
            };
            let bytes = book_of(&cells.chunks(width).enumerate().map(row).collect::<String>(), is_1904);
            let mut book: Xlsx<_> = Xlsx::new(Cursor::new(bytes.as_slice())).expect("a workbook");
            let range = book.worksheet_range("Prices").expect("a sheet");
            let mut expected: Vec<Vec<String>> =
                range.rows().map(|row| row.iter().map(by_calamine).collect()).collect();
            // Both leave out what is empty around the values, but not alike.
            let trimmed = |rows: &mut Vec<Vec<String>>| {
                rows.iter_mut().for_each(|row| {
                    let n_used = row.iter().rposition(|cell| !cell.is_empty()).map_or(0, |last| last + 1);
                    row.truncate(n_used);
                });
                while rows.last().is_some_and(Vec::is_empty) {
                    rows.pop();
                }
            };
            trimmed(&mut expected);
            match unpack(&bytes, &IngestLimits::default()) {
                Ok(Unpacked::Sheet(text)) => {
                    let mut read: Vec<Vec<String>> =
                        records::scan(&text, b',').iter().map(|record| records::fields(record.text(&text), b',')).collect();
                    trimmed(&mut read);
                    let first = expected.iter().filter_map(|row| row.iter().position(|cell| !cell.is_empty())).min();
                    expected.iter_mut().for_each(|row| drop(row.drain(..first.unwrap_or(0).min(row.len()))));
                    let without_empty = |rows: Vec<Vec<String>>| -> Vec<Vec<String>> {
                        rows.into_iter().filter(|row| !row.is_empty()).collect()
                    };
                    prop_assert_eq!(without_empty(read), without_empty(expected));
                }
                other => prop_assert!(expected.is_empty(), "{:?} instead of {:?}", other, expected),
            }
        }
    }
}
