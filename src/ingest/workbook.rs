//! Zip archives: an Excel workbook becomes delimited text, and an archive with one file becomes that file.

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};

use calamine::{Reader, Xlsx};
use quick_xml::events::Event;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::inflate::{copy_counted, counted, too_large};
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
/// `corrupt_body`; `inflated_too_large` as soon as what is unpacked passes the cap; `archive_files` where it holds more than
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
    // A claim only: room that is not used takes no memory.
    let claimed = archive.decompressed_size().map_or(0, |size| size.min(max as u128) as usize);
    let (mut parts, mut total) = (ZipWriter::new(Cursor::new(Vec::with_capacity(claimed))), 0);
    for idx in 0..archive.len() {
        let part = archive.by_index(idx).map_err(failed)?;
        let name = part.name().map_err(failed)?.into_owned();
        let lower = name.to_ascii_lowercase();
        if !lower.ends_with(".xml") && !lower.ends_with(".rels") {
            continue;
        }
        parts.start_file(name, as_it_is).map_err(failed)?;
        let (is_shared, is_styles) = (lower.ends_with("sharedstrings.xml"), lower.ends_with("styles.xml"));
        let left = max - total;
        if is_shared || is_styles {
            let mut text = Vec::new();
            copy_counted(part, packed_len, "zip", limits, left, &mut text)?;
            if is_shared {
                hide_count(&mut text);
            } else {
                total += size_of_styles(&text)?;
            }
            total += text.len();
            parts.write_all(&text).map_err(|error| corrupt(&error.to_string()))?;
        } else {
            total += copy_counted(part, packed_len, "zip", limits, left, &mut parts)?;
        }
        if total > max {
            return Err(too_large(limits));
        }
    }
    Ok(parts.finish().map_err(failed)?.into_inner())
}

/// calamine makes room for as many texts as the part claims to have: a claim that no memory can hold would end the process.
fn hide_count(shared_texts: &mut [u8]) {
    const CLAIM: &[u8] = b"uniqueCount";
    let claims: Vec<usize> = memchr::memmem::find_iter(shared_texts, CLAIM).collect();
    claims.into_iter().for_each(|at| shared_texts[at] = b'_');
}

/// calamine copies the font and the format of a style into each that refers to them: a kilobyte of packed text could take all
/// memory. The caps are Excel's own, in bytes generously; the answer is what the copies may take.
fn size_of_styles(styles: &[u8]) -> Result<usize, ReadError> {
    const MAX_TAG: usize = 2 << 10;
    const MAX_STYLES: usize = 65_490;
    const MAX_TAGS: usize = 16 * MAX_STYLES;
    let (mut n_tags, mut n_styles, mut longest) = (0, 0, 0);
    let mut reader = quick_xml::Reader::from_reader(styles);
    reader.config_mut().check_end_names = false;
    loop {
        match reader.read_event().map_err(|error| corrupt(&error.to_string()))? {
            Event::Start(tag) | Event::Empty(tag) => {
                n_tags += 1;
                n_styles += usize::from(tag.local_name().as_ref() == "xf");
                longest = tag.len().max(longest);
                if tag.len() > MAX_TAG || n_tags > MAX_TAGS || n_styles > MAX_STYLES {
                    return Err(corrupt("its cell styles are more, or longer, than Excel can keep"));
                }
            }
            Event::Eof => return Ok(2 * n_styles * longest),
            _ => {}
        }
    }
}

/// A workbook's parts, which may be read a few times and no more: any number of sheets may be said to be the same part.
pub(super) struct Parts<'a> {
    parts: Cursor<&'a [u8]>,
    n_bytes_left: usize,
}

impl<'a> Parts<'a> {
    fn new(parts: &'a [u8]) -> Self {
        // Once to open the book, once to look at all sheets, and once to read the best.
        Self { parts: Cursor::new(parts), n_bytes_left: 3 * parts.len() + (1 << 20) }
    }
}

impl Read for Parts<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let n_bytes = self.parts.read(out)?;
        let left = self.n_bytes_left.checked_sub(n_bytes);
        self.n_bytes_left = left.ok_or_else(|| io::Error::other("many of its sheets are the same part"))?;
        Ok(n_bytes)
    }
}

impl Seek for Parts<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.parts.seek(to)
    }
}

/// The sheet with the best header as delimited text.
fn sheet(parts: &[u8], limits: &IngestLimits) -> Result<String, ReadError> {
    /// A book of more is no price file; its first ones are looked at.
    const MAX_SHEETS: usize = 255;
    let mut book: Xlsx<_> = Xlsx::new(Parts::new(parts)).map_err(|error| corrupt(&error.to_string()))?;
    let names = book.sheet_names();
    let mut best: Option<(usize, &String)> = None;
    for name in names.iter().take(MAX_SHEETS).filter(|_| names.len() > 1) {
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
