//! Zip archives: an Excel workbook becomes delimited text, and an archive with one file becomes that file.

mod book;
mod cells;
mod formats;
mod lines;
mod texts;
mod xml;

use std::cmp::Ordering;
use std::io::Cursor;

use zip::ZipArchive;

use self::book::{Book, Parts};
use super::inflate::{copy_counted, counted};
use super::{IngestLimits, ReadError, header, records};

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
    let is_office = names.iter().any(|name| name == "[Content_Types].xml" || name == "mimetype");
    if is_office || names.iter().any(|name| name.starts_with("xl/")) {
        let mut parts = Parts::new(&mut archive, &names, bytes.len(), limits);
        if let Some(book) = Book::open(&mut parts)? {
            return sheet(&book, &mut parts, limits).map(Unpacked::Sheet);
        }
    }
    if is_office {
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

/// The sheet with the best header as delimited text; one that is hidden goes behind one that is not.
fn sheet(book: &Book, parts: &mut Parts<'_, '_>, limits: &IngestLimits) -> Result<String, ReadError> {
    let mut best: Vec<&str> = Vec::new();
    let (mut best_score, mut best_part) = (None, String::new());
    for sheet in &book.sheets {
        let part = parts.text_at(sheet.place)?;
        let Some(head) = lines::head(book, &part, limits)?.filter(|head| !head.trim().is_empty()) else { continue };
        let records = records::scan(&head, b',');
        let header = header::best_line(&head, &records, b',').filter(|(at, _)| at + 1 < records.len());
        let score = Some((header.map_or(0, |(_, score)| score), sheet.is_visible));
        match score.cmp(&best_score) {
            Ordering::Less => {}
            Ordering::Equal => best.push(&sheet.name),
            Ordering::Greater => (best, best_score, best_part) = (vec![sheet.name.as_str()], score, part),
        }
    }
    if let ([first, second, ..], Some((1.., _))) = (best.as_slice(), best_score) {
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
    let text = if best.is_empty() { None } else { lines::text(book, &best_part, limits)? };
    text.filter(|text| !text.trim().is_empty())
        .ok_or_else(|| ReadError::unusable("empty_body", "the workbook has no sheet with values"))
}

fn corrupt(why: &str) -> ReadError {
    ReadError::unreadable("corrupt_body", format!("the zip or workbook cannot be opened: {why}"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use calamine::{Data, Reader, Xlsx};
    use proptest::prelude::*;

    use super::*;

    /// A workbook of one sheet, "Prices", with some shared texts and, as its second style, a date.
    fn book_of(sheet: &str, is_1904: bool) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        let sheet = format!("<worksheet><sheetData>{sheet}</sheetData></worksheet>");
        let workbook = format!(
            r#"<workbook><workbookPr date1904="{is_1904}"/><extLst><ext><x15:workbookPr chartTrackingRefBase="1"/></ext></extLst><sheets><sheet name="Prices" r:id="rId1"/></sheets></workbook>"#
        );
        let office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let package = format!(
            r#"<Relationships><Relationship Id="rId1" Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>"#
        );
        let sheets = package.replace("officeDocument\"", "worksheet\"").replace("xl/workbook", "worksheets/sheet1");
        for (name, part) in [
            ("_rels/.rels", package.as_str()),
            ("xl/workbook.xml", &workbook),
            ("xl/_rels/workbook.xml.rels", &sheets),
            (
                "xl/sharedStrings.xml",
                "<sst><si><t>date</t></si><si><t> A, \"B\" </t></si><si/><si><r><t>x</t></r><r><t>y</t></r></si></sst>",
            ),
            ("xl/styles.xml", r#"<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14"/></cellXfs></styleSheet>"#),
            ("xl/worksheets/sheet1.xml", &sheet),
        ] {
            zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("a part");
            zip.write_all(part.as_bytes()).expect("into memory");
        }
        zip.finish().expect("into memory").into_inner()
    }

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
                    (61_u32..80_000, 0_u32..86_400_000).prop_map(|(day, ms)| {
                        format!("<c s=\"1\"><v>{}</v></c>", f64::from(day) + f64::from(ms) / 86_400_000.0)
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
            every in 1_usize..3,
            is_1904 in any::<bool>(),
        ) {
            let cell = |row: usize, (column, cell): (usize, &String)| match has_places {
                true => {
                    let place = format!("<c r=\"{}{}\"", char::from(b'A' + column as u8), row * every + 1);
                    cell.replacen("<c", &place, 1)
                }
                false => cell.clone(),
            };
            let row = |(at, cells): (usize, &[String])| {
                let number = if has_places { format!(" r=\"{}\"", at * every + 1) } else { String::new() };
                let cells: String = cells.iter().enumerate().map(|found| cell(at, found)).collect();
                format!("<row{number}>{cells}</row>")
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
