//! The cells of a sheet, one after another, as the part says them: which text, number or date each is, `lines` tells.
//!
//! Most cells of a price history are written alike, `<c r="B2" s="1"><v>12.5</v></c>`, and are read by their bytes; whatever is
//! written otherwise is taken by its XML events, which takes six times as long.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memmem};
use quick_xml::events::{BytesStart, Event};

use super::xml::{self, corrupt_xml};
use super::{ReadError, corrupt};

/// What a cell says, not yet understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cell<'a> {
    /// Counted from 0, as is the column.
    pub row: u32,
    pub column: u32,
    /// Its place in the list of formats; a number that says none is one, whatever the first format is.
    pub style: Option<usize>,
    pub kind: Kind,
    /// Empty where it has no value.
    pub text: Cow<'a, str>,
}

/// What the text of a cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A number, or a date by its format.
    Number,
    /// The place of a text that cells share.
    Shared,
    /// A text, an error's name, or a date in ISO's form.
    Text,
    Bool,
}

/// A sheet while its cells are read.
#[derive(Debug)]
pub(super) struct Cells<'a> {
    xml: &'a str,
    at: usize,
    /// The row that is read, and the column that is next where a cell does not say its own.
    row: u32,
    column: u32,
    /// Whether another reads on where this text ends.
    is_cut: bool,
}

/// What stands within a cell's tag.
#[derive(Debug, Default, Clone, Copy)]
struct Tag<'a> {
    place: Option<&'a str>,
    style: Option<&'a str>,
    kind: Option<&'a str>,
}

impl<'a> Cells<'a> {
    /// Goes to the first cell; `None` for a part that is no sheet of cells, such as a chart.
    pub(super) fn new(part: &'a str) -> Result<Option<Self>, ReadError> {
        let mut events = xml::events(part);
        loop {
            match events.read_event().map_err(corrupt_xml)? {
                Event::Start(tag) if tag.local_name().as_ref() == "sheetData" => {
                    let at = events.buffer_position() as usize;
                    return Ok(Some(Self { xml: part, at, row: 0, column: 0, is_cut: false }));
                }
                Event::Eof => return Ok(None),
                _ => {}
            }
        }
    }

    /// The same cells for two readers, if where a row begins can be told from the bytes in the middle: there are no comments,
    /// instructions or plain characters, which may hold anything, and the row says its number.
    pub(super) fn halves(self) -> Result<[Self; 2], Self> {
        let bytes = &self.xml.as_bytes()[self.at..];
        let is_plain = memmem::find(bytes, b"<!").is_none() && memmem::find(bytes, b"<?").is_none();
        let end = memmem::rfind(bytes, b"</sheetData>").filter(|_| is_plain).unwrap_or(0);
        let from = end / 2;
        match memmem::find(&bytes[from..end], b"<row r=\"") {
            None => Err(self),
            Some(found) => {
                let middle = self.at + from + found;
                Ok([Self { xml: &self.xml[..middle], is_cut: true, ..self }, Self { at: middle, ..self }])
            }
        }
    }

    /// The next cell, in the order of the part; empty ones too.
    ///
    /// # Errors
    /// `corrupt_body`.
    pub(super) fn next(&mut self) -> Result<Option<Cell<'a>>, ReadError> {
        loop {
            // What stands between tags means nothing here.
            self.at += memchr(b'<', &self.xml.as_bytes()[self.at..]).unwrap_or(self.xml.len() - self.at);
            let rest = &self.xml[self.at..];
            if let Some((cell, n_bytes)) = self.plain(rest)? {
                self.at += n_bytes;
                return Ok(Some(cell));
            }
            let mut events = xml::events(rest);
            let event = events.read_event().map_err(corrupt_xml)?;
            match &event {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().as_ref() == "row" => {
                    if let Some(number) = xml::attribute(tag, "r")? {
                        self.row =
                            number.trim().parse::<u32>().ok().and_then(|n| n.checked_sub(1)).ok_or_else(misplaced)?;
                    }
                    self.column = 0;
                    if matches!(event, Event::Empty(_)) {
                        self.row = self.row.saturating_add(1);
                    }
                }
                Event::End(tag) if tag.local_name().as_ref() == "row" => {
                    self.row = self.row.saturating_add(1);
                    self.column = 0;
                }
                Event::Empty(tag) if tag.local_name().as_ref() == "c" => {
                    let cell = self.cell(of_event(tag)?.borrowed(), Cow::Borrowed(""))?;
                    self.at += events.buffer_position() as usize;
                    return Ok(Some(cell));
                }
                Event::Start(tag) if tag.local_name().as_ref() == "c" => {
                    let tag = of_event(tag)?;
                    let (text, is_inline) = value(&mut events, &tag)?;
                    let mut cell = self.cell(tag.borrowed(), Cow::Owned(text))?;
                    if is_inline {
                        cell.kind = Kind::Text;
                    }
                    self.at += events.buffer_position() as usize;
                    return Ok(Some(cell));
                }
                Event::End(tag) if tag.local_name().as_ref() == "sheetData" => return Ok(None),
                Event::Eof if self.is_cut => return Ok(None),
                Event::Eof => return Err(corrupt("a sheet ends in the middle")),
                _ => {}
            }
            self.at += events.buffer_position() as usize;
        }
    }

    /// A cell that is written as most are, and its bytes; `None` for everything else.
    fn plain(&mut self, xml: &'a str) -> Result<Option<(Cell<'a>, usize)>, ReadError> {
        let Some((tag, text, after)) = parts_of_plain(xml) else { return Ok(None) };
        Ok(Some((self.cell(tag, Cow::Borrowed(text))?, xml.len() - after.len())))
    }

    fn cell<'b>(&mut self, tag: Tag<'_>, text: Cow<'b, str>) -> Result<Cell<'b>, ReadError> {
        let (row, column) = match tag.place {
            Some(place) => place_of(place).ok_or_else(misplaced)?,
            None => (self.row, self.column),
        };
        self.column = column.saturating_add(1);
        let kind = match tag.kind {
            None | Some("n") => Kind::Number,
            Some("s") => Kind::Shared,
            Some("str" | "inlineStr" | "is" | "d" | "e") => Kind::Text,
            Some("b") => Kind::Bool,
            Some(other) => return Err(corrupt(&format!("a cell is of an unknown type, {other}"))),
        };
        let style = tag.style.and_then(|style| style.parse().ok());
        Ok(Cell { row, column, style, kind, text })
    }
}

/// Tag, text and what comes after it of `<c …><v>…</v></c>`, `<c …><is><t>…</t></is></c>` and `<c …/>`.
fn parts_of_plain(xml: &str) -> Option<(Tag<'_>, &str, &str)> {
    let rest = xml.strip_prefix("<c").filter(|rest| rest.starts_with([' ', '>']))?;
    let end = memchr(b'>', rest.as_bytes())?;
    let (tag, body) = (&rest[..end], &rest[end + 1..]);
    if let Some(tag) = tag.strip_suffix('/') {
        return Some((attributes(tag)?, "", body));
    }
    let tag = attributes(tag)?;
    let is_inline = matches!(tag.kind, Some("inlineStr" | "is"));
    let (body, closing) = match is_inline {
        false => (body.strip_prefix("<v>")?, "</v></c>"),
        true => (body.strip_prefix("<is><t>")?, "</t></is></c>"),
    };
    let end = memchr2(b'<', b'&', body.as_bytes())?;
    let text = &body[..end];
    let after = body[end..].strip_prefix(closing)?;
    let is_escaped = tag.kind.is_some() && memmem::find(text.as_bytes(), b"_x").is_some();
    (!is_escaped).then_some((tag, text, after))
}

/// The attributes of a tag, where each is written `name="value"` and nothing in it is escaped.
fn attributes(mut tag: &str) -> Option<Tag<'_>> {
    let mut found = Tag::default();
    loop {
        tag = tag.trim_ascii_start();
        if tag.is_empty() {
            return Some(found);
        }
        let (name, value) = tag.split_at(memchr(b'=', tag.as_bytes())?);
        let value = value.strip_prefix("=\"")?;
        let (value, after) = value.split_at(memchr2(b'"', b'&', value.as_bytes())?);
        tag = after.strip_prefix('"')?;
        match name {
            "r" => found.place = Some(value),
            "s" => found.style = Some(value),
            "t" => found.kind = Some(value),
            _ => {}
        }
    }
}

/// The same of a tag as its event tells them.
struct OfEvent {
    place: Option<String>,
    style: Option<String>,
    kind: Option<String>,
}

impl OfEvent {
    fn borrowed(&self) -> Tag<'_> {
        Tag { place: self.place.as_deref(), style: self.style.as_deref(), kind: self.kind.as_deref() }
    }
}

fn of_event(tag: &BytesStart<'_>) -> Result<OfEvent, ReadError> {
    let of = |name| xml::attribute(tag, name);
    Ok(OfEvent { place: of("r")?, style: of("s")?, kind: of("t")? })
}

/// The value of a cell whose tag was read, up to its end, and whether it is a text within the cell. A formula is what it was
/// computed to.
fn value(events: &mut xml::Events<'_>, tag: &OfEvent) -> Result<(String, bool), ReadError> {
    let mut is_inline = matches!(tag.kind.as_deref(), Some("inlineStr" | "is"));
    let mut text = String::new();
    loop {
        match events.read_event().map_err(corrupt_xml)? {
            Event::Start(inner) => {
                let name = inner.local_name();
                match name.as_ref() {
                    "v" if !is_inline => text = xml::content(events, inner.name())?,
                    "is" => (text, is_inline) = (xml::rich_text(events, inner.name())?, true),
                    _ => {
                        events.read_to_end(inner.name()).map_err(corrupt_xml)?;
                    }
                }
            }
            Event::End(inner) if inner.local_name().as_ref() == "c" => return Ok((text, is_inline)),
            Event::Eof => return Err(corrupt("a sheet ends in the middle of a cell")),
            _ => {}
        }
    }
}

/// Row and column, from 0, of a place such as `B2`.
fn place_of(place: &str) -> Option<(u32, u32)> {
    let n_letters = place.bytes().take_while(u8::is_ascii_alphabetic).count();
    let (letters, digits) = place.split_at(n_letters);
    let column = letters.bytes().try_fold(0_u32, |column, letter| {
        column.checked_mul(26)?.checked_add(u32::from(letter.to_ascii_uppercase() - b'A') + 1)
    })?;
    Some((digits.parse::<u32>().ok()?.checked_sub(1)?, column.checked_sub(1)?))
}

fn misplaced() -> ReadError {
    corrupt("a cell or a row says no place that there is")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(sheet: &str) -> Vec<(u32, u32, Option<usize>, Kind, String)> {
        let part = format!("<worksheet><cols/><sheetData>{sheet}</sheetData><pageMargins/></worksheet>");
        let mut cells = Cells::new(&part).expect("XML").expect("a sheet");
        let mut all = Vec::new();
        while let Some(cell) = cells.next().expect("cells") {
            all.push((cell.row, cell.column, cell.style, cell.kind, cell.text.into_owned()));
        }
        all
    }

    #[test]
    fn a_cell_is_the_same_however_it_is_written() {
        let number = |row, column| (row, column, Some(1), Kind::Number, "12.5".to_owned());
        for cell in [
            r#"<c r="B3" s="1"><v>12.5</v></c>"#,
            r#"<c s="1" r="b3" t="n" cm="1"><v>12.5</v></c>"#,
            "<c r='B3' s='1'><v>12.5</v></c>",
            "<c r=\"B3\"\n  s=\"1\" ><v>12.5</v></c>",
            "<c r=\"B3\" s=\"1\">\n  <v>12.5</v>\n</c>",
            r#"<x:c r="B3" s="1"><x:v>12.5</x:v></x:c>"#,
            r#"<c r="B3" s="1"><f>A1*2</f><v>12.5</v></c>"#,
            r#"<c r="B3" s="1"><v>12.5</v><extLst><ext><v>9</v></ext></extLst></c>"#,
            r#"<c r="B3" s="1"><v><![CDATA[12.5]]></v></c>"#,
            r#"<c r="B3" s="&#49;"><v>12&#46;5</v></c>"#,
        ] {
            assert_eq!(cells(&format!("<row r=\"3\">{cell}</row>")), [number(2, 1)], "{cell}");
        }
        let text = |text: &str| (0, 0, None, Kind::Text, text.to_owned());
        for (cell, expected) in [
            (r#"<c t="inlineStr"><is><t>A &amp; B</t></is></c>"#, "A & B"),
            (r#"<c t="inlineStr"><is><t>date</t></is></c>"#, "date"),
            (
                r#"<c t="inlineStr"><is><r><t xml:space="preserve">Adj </t></r><r><t>Close</t></r></is></c>"#,
                "Adj Close",
            ),
            (r#"<c t="inlineStr"><is><t>日付</t><rPh sb="0" eb="2"><t>ひづけ</t></rPh></is></c>"#, "日付"),
            (r#"<c t="inlineStr"><v>7</v><is><t>date</t></is></c>"#, "date"),
            (r#"<c t="str"><v>line_x000D_break_x005F_x</v></c>"#, "line\rbreak_x"),
            (r#"<c t="is"><is><t>date</t></is></c>"#, "date"),
            (r#"<c t="s"><is><t>7</t></is></c>"#, "7"),
            (r#"<c t="e"><v>#N/A</v></c>"#, "#N/A"),
            (r#"<c t="d"><v>2024-01-02</v></c>"#, "2024-01-02"),
            (r#"<c t="str"></c>"#, ""),
            (r#"<c t="str"/>"#, ""),
        ] {
            assert_eq!(cells(&format!("<row>{cell}</row>")), [text(expected)], "{cell}");
        }
    }

    #[test]
    fn a_cell_without_a_place_comes_after_the_one_before() {
        let places = |sheet: &str| -> Vec<(u32, u32)> {
            cells(sheet).into_iter().map(|(row, column, ..)| (row, column)).collect()
        };
        let sheet =
            r#"<row><c/><c><v>1</v></c></row><row/><row><c r="C3"/><c/></row><row r="9"><c/></row><row><c/></row>"#;
        assert_eq!(places(sheet), [(0, 0), (0, 1), (2, 2), (2, 3), (8, 0), (9, 0)]);
        assert_eq!(places(r#"<row r="1"><c r="AA1"/><c r="XFD1048576"/></row>"#), [(0, 26), (1_048_575, 16_383)]);
    }

    #[test]
    fn two_readers_find_the_cells_that_one_does() {
        let row = |at: u32| format!("<row r=\"{at}\"><c r=\"A{at}\"><v>{at}</v></c></row>");
        let rows: String = (1..=20).filter(|at| at % 3 > 0).map(row).collect();
        let halves = |sheet: &str| {
            let part = format!("<worksheet><sheetData>{sheet}</sheetData></worksheet>");
            let cells = Cells::new(&part).expect("XML").expect("a sheet");
            let mut places = Vec::new();
            for mut half in cells.halves().ok()? {
                let before = places.len();
                while let Some(cell) = half.next().expect("cells") {
                    places.push((cell.row, cell.column));
                }
                assert!(places.len() > before, "each has some");
            }
            Some(places)
        };
        let one: Vec<(u32, u32)> = cells(&rows).into_iter().map(|(row, column, ..)| (row, column)).collect();
        assert_eq!(halves(&rows), Some(one));
        for hides_a_row in ["<!--<row r=\"9\">-->", "<?a <row r=\"9\">?>", "<c><v><![CDATA[<row r=\"9\">]]></v></c>"] {
            assert_eq!(halves(&format!("{rows}{hides_a_row}{rows}")), None, "{hides_a_row}");
        }
        assert_eq!(halves("<row><c><v>1</v></c></row>"), None, "rows that say no number");
    }

    #[test]
    fn marks_and_letters_of_any_length_break_nothing() {
        let cell = |text: &str| (0, 0, None, Kind::Number, text.to_owned());
        assert_eq!(cells("\u{feff}<x 가=\"\"가><row>\u{feff}<c><v>1</v></c></row>"), [cell("1")]);
    }

    #[test]
    fn a_sheet_that_is_broken_is_refused() {
        for sheet in [
            "<row><c><v>1</v></c></row>",
            "<row><c r=\"1\"><v>1</v></c></row></sheetData>",
            "<row><c r=\"A0\"><v>1</v></c></row></sheetData>",
            "<row><c r=\"AAAAAAAAAAAA1\"><v>1</v></c></row></sheetData>",
            "<row r=\"x\"></row></sheetData>",
            "<row><c><v>1</v>",
            "<row><c t=\"odd\"><v>1</v></c></row></sheetData>",
            "<row><c t=\"str\"><v>&nothing;</v></c></row></sheetData>",
        ] {
            let part = format!("<worksheet><sheetData>{sheet}");
            let mut cells = Cells::new(&part).expect("XML").expect("a sheet");
            let end = loop {
                match cells.next() {
                    Ok(Some(_)) => {}
                    end => break end.map(|_| ()),
                }
            };
            assert!(end.is_err_and(|error| error.code() == "corrupt_body"), "{sheet}");
        }
        assert!(Cells::new("<chartsheet><drawing/></chartsheet>").expect("XML").is_none());
    }
}
