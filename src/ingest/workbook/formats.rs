//! Which styles of a workbook show a number as a date or a time (ECMA-376, part 1, 18.8.30 and 18.8.31).

use std::collections::HashMap;

use quick_xml::events::Event;

use super::ReadError;
use super::xml::{self, corrupt_xml};

/// How a number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Number,
    /// A date, a time, or both.
    Date,
    /// Hours that may be more than 24.
    Duration,
}

/// The format of each style, from the part `styles.xml`.
///
/// # Errors
/// `corrupt_body`.
pub(super) fn read(part: &str) -> Result<Vec<Format>, ReadError> {
    let (mut events, mut formats) = (xml::events(part), Vec::new());
    let mut of_the_book: HashMap<String, Format> = HashMap::new();
    let mut is_in_cells = false;
    loop {
        match events.read_event().map_err(corrupt_xml)? {
            Event::Start(tag) | Event::Empty(tag) => match tag.local_name().as_ref() {
                "numFmt" => {
                    if let (Some(id), Some(code)) =
                        (xml::attribute(&tag, "numFmtId")?, xml::attribute(&tag, "formatCode")?)
                    {
                        of_the_book.insert(id, of_code(&code));
                    }
                }
                "cellXfs" => is_in_cells = true,
                "xf" if is_in_cells => {
                    let id = xml::attribute(&tag, "numFmtId")?.unwrap_or_default();
                    formats.push(of_the_book.get(&id).copied().unwrap_or_else(|| built_in(&id)));
                }
                _ => {}
            },
            Event::End(tag) if tag.local_name().as_ref() == "cellXfs" => is_in_cells = false,
            Event::Eof => return Ok(formats),
            _ => {}
        }
    }
}

/// Those that Excel knows without being told; 27 to 36 and 50 to 58 are East Asia's.
fn built_in(id: &str) -> Format {
    match id.parse::<u32>() {
        Ok(46) => Format::Duration,
        Ok(14..=22 | 27..=36 | 45 | 47 | 50..=58) => Format::Date,
        _ => Format::Number,
    }
}

/// By the first section of a code, without what is quoted, escaped, or a colour, a currency or a condition in brackets.
fn of_code(code: &str) -> Format {
    let mut chars = code.chars();
    while let Some(c) = chars.next() {
        match c.to_ascii_lowercase() {
            '"' => {
                chars.by_ref().find(|c| *c == '"');
            }
            '\\' | '_' | '*' => {
                chars.next();
            }
            '[' => {
                let inner: String = chars.by_ref().take_while(|c| *c != ']').map(|c| c.to_ascii_lowercase()).collect();
                let is_elapsed = |unit: char| !inner.is_empty() && inner.chars().all(|c| c == unit);
                if ['h', 'm', 's'].into_iter().any(is_elapsed) {
                    return Format::Duration;
                }
            }
            ';' => break,
            'd' | 'm' | 'h' | 'y' | 's' => return Format::Date,
            _ => {}
        }
    }
    Format::Number
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_code() {
        for (code, format) in [
            ("General", Format::Number),
            ("#,##0.00_);[Red](#,##0.00)", Format::Number),
            ("0.00E+00", Format::Number),
            ("#,##0\\ \\d", Format::Number),
            ("#,##0\" days\"", Format::Number),
            ("[$¥-411]#,##0;d", Format::Number),
            ("_-* #,##0.00 _s_-", Format::Number),
            ("yyyy-mm-dd", Format::Date),
            ("[$-409]DD-MMM-YY;@", Format::Date),
            ("[DBNum1]yyyy\"年\"m\"月\"d\"日\"", Format::Date),
            ("hh:mm AM/PM", Format::Date),
            ("[h]:mm:ss", Format::Duration),
            ("[MM]:ss", Format::Duration),
        ] {
            assert_eq!(of_code(code), format, "{code}");
        }
    }

    #[test]
    fn a_cell_s_style_is_counted_among_those_of_cells() {
        let part = r#"<styleSheet><numFmts><numFmt numFmtId="164" formatCode="yyyy&quot;-&quot;mm"/></numFmts>
            <cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>
            <cellXfs><xf numFmtId="0"/><xf numFmtId="164"><alignment/></xf><xf numFmtId="46"/><xf/></cellXfs>
            <cellStyles/></styleSheet>"#;
        let expected = [Format::Number, Format::Date, Format::Duration, Format::Number];
        assert_eq!(read(part).expect("styles"), expected);
    }
}
