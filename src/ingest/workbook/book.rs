//! A workbook's parts: which are its sheets, and what their cells refer to (ECMA-376, part 2 for the package, part 1 for
//! the book).

use std::collections::{HashMap, HashSet};
use std::io::Cursor;

use quick_xml::events::Event;
use zip::ZipArchive;

use super::formats::{self, Format};
use super::texts::Texts;
use super::xml::{self, corrupt_xml};
use super::{IngestLimits, ReadError, copy_counted, corrupt};

/// A book of more is no price file; its first ones are looked at.
const MAX_SHEETS: usize = 255;
/// A longer name of a part is no file's.
const MAX_NAME: usize = 1 << 10;

/// What a workbook says beside its cells.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub sheets: Vec<Sheet>,
    pub texts: Texts,
    formats: Vec<Format>,
    /// Whether its days are counted from 1904, as old Macs did.
    pub is_1904: bool,
}

/// A sheet by its name and its part's place in the archive.
#[derive(Debug)]
pub(super) struct Sheet {
    pub name: String,
    pub place: usize,
    pub is_visible: bool,
}

impl Book {
    /// Reads all but the sheets; `None` where the archive is no workbook.
    ///
    /// # Errors
    /// `corrupt_body`; a cap that is passed.
    pub(super) fn open(parts: &mut Parts<'_, '_>) -> Result<Option<Self>, ReadError> {
        let package = parts.relations("", "_rels/.rels")?;
        let named = package.of_kind.get("officeDocument").filter(|name| parts.places.contains_key(*name));
        let name = named.cloned().unwrap_or_else(|| "xl/workbook.xml".to_owned());
        let Some(workbook) = parts.text(&name)? else { return Ok(None) };
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let relations = parts.relations(folder, &joined(folder, &format!("_rels/{file}.rels")))?;
        let (mut book, mut seen, mut is_workbook) = (Self::default(), HashSet::new(), false);
        let mut events = xml::events(&workbook);
        loop {
            match events.read_event().map_err(corrupt_xml)? {
                Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                    "workbook" => is_workbook = true,
                    // Newer Excels write a second element of that name, which says nothing of dates.
                    "workbookPr" => {
                        if let Some(said) = xml::attribute(&tag, "date1904")? {
                            book.is_1904 = matches!(said.as_str(), "1" | "true");
                        }
                    }
                    "sheet" if book.sheets.len() < MAX_SHEETS => {
                        let part = xml::attribute(&tag, "id")?.and_then(|id| relations.by_id.get(&id));
                        let place = part.and_then(|part| parts.places.get(part)).copied();
                        // Two that are the same part would be read twice.
                        if let Some(place) = place.filter(|place| seen.insert(*place)) {
                            let name = xml::attribute(&tag, "name")?.unwrap_or_default();
                            let is_visible = xml::attribute(&tag, "state")?.is_none_or(|state| state == "visible");
                            book.sheets.push(Sheet { name, place, is_visible });
                        }
                    }
                    _ => {}
                },
                Event::Eof => break,
                _ => {}
            }
        }
        if !is_workbook {
            return Ok(None);
        }
        let mut of_kind = |kind: &str, usual: &str| {
            let named = relations.of_kind.get(kind).cloned();
            parts.text(&named.unwrap_or_else(|| joined(folder, usual)))
        };
        let (texts, styles) = (of_kind("sharedStrings", "sharedstrings.xml")?, of_kind("styles", "styles.xml")?);
        book.texts = texts.map(|part| Texts::read(&part)).transpose()?.unwrap_or_default();
        book.formats = styles.map(|part| formats::read(&part)).transpose()?.unwrap_or_default();
        Ok(Some(book))
    }

    /// The format of a style by its place.
    pub(super) fn format(&self, style: Option<usize>) -> Format {
        style.and_then(|style| self.formats.get(style)).copied().unwrap_or(Format::Number)
    }
}

/// The parts that a part refers to.
#[derive(Debug, Default)]
struct Relations {
    by_id: HashMap<String, String>,
    /// The first by the last word of its type.
    of_kind: HashMap<String, String>,
}

/// The parts of a workbook, unpacked when they are asked for, all under one cap.
pub(super) struct Parts<'a, 'b> {
    archive: &'a mut ZipArchive<Cursor<&'b [u8]>>,
    /// By name as `unified` writes it.
    places: HashMap<String, usize>,
    packed_len: usize,
    limits: &'a IngestLimits,
    n_bytes_left: usize,
}

impl<'a, 'b> Parts<'a, 'b> {
    pub(super) fn new(
        archive: &'a mut ZipArchive<Cursor<&'b [u8]>>,
        names: &[String],
        packed_len: usize,
        limits: &'a IngestLimits,
    ) -> Self {
        let place = |(idx, name): (usize, &String)| (joined("", &unified(name)), idx);
        let places = names.iter().enumerate().map(place).collect();
        Self { archive, places, packed_len, limits, n_bytes_left: limits.max_inflated_bytes }
    }

    /// A part's text; `None` where there is none of that name.
    fn text(&mut self, name: &str) -> Result<Option<String>, ReadError> {
        self.places.get(name).copied().map(|place| self.text_at(place)).transpose()
    }

    /// The text of the part at a place of the archive.
    ///
    /// # Errors
    /// `corrupt_body`; a cap that is passed.
    pub(super) fn text_at(&mut self, place: usize) -> Result<String, ReadError> {
        let part = self.archive.by_index(place).map_err(|error| corrupt(&error.to_string()))?;
        // A claim only, and room that is not used takes no memory.
        let claimed = usize::try_from(part.size()).unwrap_or(usize::MAX).min(self.n_bytes_left);
        let mut bytes = Vec::with_capacity(claimed);
        self.n_bytes_left -= copy_counted(part, self.packed_len, "zip", self.limits, self.n_bytes_left, &mut bytes)?;
        let text = String::from_utf8(bytes).or_else(|error| {
            let bytes = error.into_bytes();
            // UTF-16 by its mark.
            match encoding_rs::UTF_8.decode(&bytes) {
                (text, _, false) => Ok(text.into_owned()),
                (_, _, true) => Err(corrupt("one of its parts is no text")),
            }
        })?;
        Ok(text.strip_prefix('\u{feff}').map(ToOwned::to_owned).unwrap_or(text))
    }

    /// What the part `name` says of those that a part in `folder` refers to.
    fn relations(&mut self, folder: &str, name: &str) -> Result<Relations, ReadError> {
        let mut relations = Relations::default();
        let Some(part) = self.text(name)? else { return Ok(relations) };
        let mut events = xml::events(&part);
        loop {
            match events.read_event().map_err(corrupt_xml)? {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "Relationship" => {
                    let of = |name| xml::attribute(&tag, name);
                    let Some(target) = of("Target")?.filter(|target| target.len() <= MAX_NAME) else { continue };
                    let part = joined(folder, &unified(&target));
                    let kind = of("Type")?.and_then(|kind| Some(kind.rsplit_once('/')?.1.to_owned()));
                    if let Some(kind) = kind {
                        relations.of_kind.entry(kind).or_insert_with(|| part.clone());
                    }
                    if let Some(id) = of("Id")? {
                        relations.by_id.insert(id, part);
                    }
                }
                Event::Eof => return Ok(relations),
                _ => {}
            }
        }
    }
}

/// A part's name as it is compared: some programs write `XL\\Worksheets\\`.
fn unified(name: &str) -> String {
    name.replace('\\', "/").to_ascii_lowercase()
}

/// Where a target lies that is told from a folder; `/xl/…` is told from the top.
fn joined(folder: &str, target: &str) -> String {
    let folder = if target.starts_with('/') { "" } else { folder };
    let mut steps: Vec<&str> = Vec::new();
    for step in folder.split('/').chain(target.split('/')) {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    steps.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_told_from_its_folder_or_from_the_top() {
        for (folder, target, expected) in [
            ("xl", "worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "./worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "/xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "../xl/worksheets/sheet1.xml", "xl/worksheets/sheet1.xml"),
            ("xl", "../../sheet1.xml", "sheet1.xml"),
            ("", "xl/workbook2.xml", "xl/workbook2.xml"),
        ] {
            assert_eq!(joined(folder, target), expected, "{target}");
        }
    }
}
