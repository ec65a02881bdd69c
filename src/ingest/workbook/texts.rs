//! The texts that cells of a workbook share.

use quick_xml::events::Event;

use super::ReadError;
use super::xml::{self, corrupt_xml};

/// All shared texts, one after another: a claim of a count is not believed, and a text takes no room of its own.
#[derive(Debug, Default)]
pub(super) struct Texts {
    all: String,
    ends: Vec<usize>,
}

impl Texts {
    /// Reads the part `sharedStrings.xml`.
    ///
    /// # Errors
    /// `corrupt_body`.
    pub(super) fn read(part: &str) -> Result<Self, ReadError> {
        let (mut texts, mut events) = (Self::default(), xml::events(part));
        loop {
            match events.read_event().map_err(corrupt_xml)? {
                Event::Start(tag) if tag.local_name().as_ref() == "si" => {
                    texts.push(xml::rich_text(&mut events, tag.name())?.trim());
                }
                Event::Empty(tag) if tag.local_name().as_ref() == "si" => texts.push(""),
                Event::Eof => return Ok(texts),
                _ => {}
            }
        }
    }

    fn push(&mut self, text: &str) {
        self.all.push_str(text);
        self.ends.push(self.all.len());
    }

    pub(super) fn get(&self, idx: usize) -> Option<&str> {
        let end = *self.ends.get(idx)?;
        let start = idx.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.all[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::Texts;

    #[test]
    fn a_text_is_found_by_its_place() {
        let part = r#"<sst uniqueCount="99999999999"><si><t> date </t></si><si/><si></si>
            <si><r><rPr><b/></rPr><t>Adj</t></r><r><t xml:space="preserve"> Close</t></r></si>
            <si><t>銘柄</t><rPh sb="0" eb="2"><t>メイガラ</t></rPh></si></sst>"#;
        let texts = Texts::read(part).expect("texts");
        let all: Vec<&str> = (0..).map_while(|idx| texts.get(idx)).collect();
        assert_eq!(all, ["date", "", "", "Adj Close", "銘柄"]);
        assert_eq!(Texts::read("<sst><si><t>").map_err(|error| error.code()).err(), Some("corrupt_body"));
    }
}
