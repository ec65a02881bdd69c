//! Zip archives: an Excel workbook becomes delimited text, and an archive with one file becomes that file.

use std::io::{Cursor, Write};

use calamine::{Reader, Xlsx};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::inflate::counted;
use super::worksheet::{self, MAX_HEAD};
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
/// `corrupt_body`; `inflated_too_large` before any part is read whole; `archive_files` where it holds more than
/// one price file; `not_csv` for other office documents.
pub(super) fn unpack(bytes: &[u8], limits: &IngestLimits) -> Result<Unpacked, ReadError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| corrupt(&error.to_string()))?;
    let names: Vec<String> = archive.file_names().map(|name| name.unwrap_or_default().into_owned()).collect();
    if names.iter().any(|name| name.starts_with("xl/")) {
        let parts = unpacked_parts(&mut archive, bytes.len(), limits)?;
        return sheet(&parts, limits).map(Unpacked::Sheet);
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

/// The workbook's parts as an archive that packs nothing: unpacked once and under the caps, however often calamine looks
/// at them. Pictures and macros are left out.
fn unpacked_parts(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    packed_len: usize,
    limits: &IngestLimits,
) -> Result<Vec<u8>, ReadError> {
    let failed = |error: zip::result::ZipError| corrupt(&error.to_string());
    let as_it_is = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let max = limits.max_inflated_bytes;
    let (mut parts, mut total) = (ZipWriter::new(Cursor::new(Vec::new())), 0);
    for idx in 0..archive.len() {
        let part = archive.by_index(idx).map_err(failed)?;
        let name = part.name().map_err(failed)?.into_owned();
        let lower = name.to_ascii_lowercase();
        if !lower.ends_with(".xml") && !lower.ends_with(".rels") {
            continue;
        }
        let mut text = counted(part, packed_len, "zip", limits)?;
        total += text.len();
        if total > max {
            return Err(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max });
        }
        if lower.ends_with("sharedstrings.xml") {
            hide_count(&mut text);
        }
        parts.start_file(name, as_it_is).map_err(failed)?;
        parts.write_all(&text).map_err(|error| corrupt(&error.to_string()))?;
    }
    Ok(parts.finish().map_err(failed)?.into_inner())
}

/// calamine makes room for as many texts as the part claims to have: a claim that no memory can hold would end the process.
fn hide_count(shared_texts: &mut [u8]) {
    const CLAIM: &[u8] = b"uniqueCount";
    let claims: Vec<usize> = memchr::memmem::find_iter(shared_texts, CLAIM).collect();
    claims.into_iter().for_each(|at| shared_texts[at] = b'_');
}

/// The sheet with the best header as delimited text.
fn sheet(parts: &[u8], limits: &IngestLimits) -> Result<String, ReadError> {
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(parts)).map_err(|error| corrupt(&error.to_string()))?;
    let names = book.sheet_names();
    let mut best: Option<(usize, &String)> = None;
    for name in names.iter().filter(|_| names.len() > 1) {
        let Some(head) = worksheet::text(&mut book, name, MAX_HEAD, limits)? else { continue };
        let score = header::best_line(&head, &records::scan(&head, b','), b',').map_or(0, |(_, score)| score);
        if best.is_none_or(|(most, _)| score > most) {
            best = Some((score, name));
        }
    }
    let best = best.map(|(_, name)| name).or(names.first());
    let text = best.map(|name| worksheet::text(&mut book, name, usize::MAX, limits)).transpose()?.flatten();
    text.filter(|text| !text.trim().is_empty())
        .ok_or_else(|| ReadError::unusable("empty_body", "the workbook has no sheet with values"))
}

pub(super) fn corrupt(why: &str) -> ReadError {
    ReadError::unreadable("corrupt_body", format!("the zip or workbook cannot be opened: {why}"))
}
