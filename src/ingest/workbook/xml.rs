//! What the parts of a workbook have in common as XML.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::QName;
use quick_xml::{Reader, XmlVersion, escape};

use super::{ReadError, corrupt};

/// A part's events, borrowed from its text.
pub(super) type Events<'a> = Reader<&'a [u8]>;

/// The events from somewhere in a part on: what was opened before may be closed.
pub(super) fn events(part: &str) -> Events<'_> {
    let mut events = Reader::from_str(part);
    events.config_mut().check_end_names = false;
    events.config_mut().allow_unmatched_ends = true;
    events
}

/// An attribute by its name, whatever namespace that is in.
pub(super) fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<Option<String>, ReadError> {
    let mut attributes = tag.attributes();
    for attribute in attributes.with_checks(false) {
        let attribute = attribute.map_err(|error| corrupt_xml(error.into()))?;
        if attribute.key.local_name().as_ref() == name {
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(corrupt_xml)?;
            return Ok(Some(value.into_owned()));
        }
    }
    Ok(None)
}

/// The text of an element whose tag was read, up to its end.
pub(super) fn content(events: &mut Events<'_>, name: QName<'_>) -> Result<String, ReadError> {
    let mut text = String::new();
    loop {
        match events.read_event().map_err(corrupt_xml)? {
            Event::Text(part) => text.push_str(&part.xml10_content()),
            Event::CData(part) => text.push_str(&part.xml10_content()),
            Event::GeneralRef(entity) => match escape::resolve_predefined_entity(&entity) {
                Some(meant) => text.push_str(meant),
                None => {
                    let meant = entity.resolve_char_ref().map_err(corrupt_xml)?;
                    text.push(meant.ok_or_else(|| corrupt(&format!("a text has &{};", &*entity)))?);
                }
            },
            Event::End(end) if end.name() == name => return Ok(unescaped(text)),
            Event::Eof => return Err(corrupt("a part ends in the middle of a text")),
            _ => {}
        }
    }
}

/// A text that may be written in several runs, without what tells how it is spoken.
pub(super) fn rich_text(events: &mut Events<'_>, name: QName<'_>) -> Result<String, ReadError> {
    let mut text = String::new();
    loop {
        match events.read_event().map_err(corrupt_xml)? {
            Event::Start(tag) => match tag.local_name().as_ref() {
                "t" => text.push_str(&content(events, tag.name())?),
                "rPh" => {
                    events.read_to_end(tag.name()).map_err(corrupt_xml)?;
                }
                _ => {}
            },
            Event::End(end) if end.name() == name => return Ok(text),
            Event::Eof => return Err(corrupt("a part ends in the middle of a text")),
            _ => {}
        }
    }
}

/// Excel writes what XML cannot hold by its number in UTF-16, a line's end as `_x000D_`.
fn unescaped(text: String) -> String {
    const LEN: usize = "_x000D_".len();
    let unit_at = |at: usize| {
        let hex = text.get(at..at + LEN)?.strip_prefix("_x")?.strip_suffix('_')?;
        u16::from_str_radix(hex, 16).ok()
    };
    let (mut out, mut at) = (String::new(), 0);
    while let Some(found) = text[at..].find("_x") {
        out.push_str(&text[at..at + found]);
        at += found;
        let units: Vec<u16> = (0..).map_while(|idx| unit_at(at + idx * LEN)).collect();
        match units.len() {
            0 => {
                out.push_str("_x");
                at += "_x".len();
            }
            n_units => {
                out.push_str(&String::from_utf16_lossy(&units));
                at += n_units * LEN;
            }
        }
    }
    match at {
        0 => text,
        _ => out + &text[at..],
    }
}

pub(super) fn corrupt_xml(error: quick_xml::Error) -> ReadError {
    corrupt(&error.to_string())
}

#[cfg(test)]
mod tests {
    use super::unescaped;

    #[test]
    fn what_excel_escapes_is_what_it_stood_for() {
        for (written, meant) in [
            ("open_x000D_", "open\r"),
            ("_x005F_x000D_", "_x000D_"),
            ("_xD83D__xDCF7_!", "📷!"),
            ("_x12_x0041_", "_x12A"),
            ("index_x", "index_x"),
            ("_xZZZZ_", "_xZZZZ_"),
            ("일_x0041_", "일A"),
        ] {
            assert_eq!(unescaped(written.to_owned()), meant, "{written}");
        }
    }
}
