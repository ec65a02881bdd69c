//! Lines of delimited text: where each begins, how many fields it has, and which have odd quotes.

use std::ops::Range;

use memchr::{memchr, memchr_iter};

use super::stretches::{processors, side_by_side};

/// One record of a file, as a span of its text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Record {
    pub start: u32,
    pub end: u32,
    /// The file's line it begins on, from 1.
    pub line: u32,
    pub fields: u16,
    pub quotes: Quotes,
}

/// What is known of a record's quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    None,
    Paired,
    /// One is open at the end of the line and no later line closes it.
    Odd,
}

impl Record {
    pub(super) fn text(self, text: &str) -> &str {
        &text[self.start as usize..self.end as usize]
    }
}

/// How many lines later a quoted field may end: a header or a name may have a line break, a price file no essay.
const MAX_FIELD_LINES: usize = 4;

/// Splits text into records; blank lines, and those of separators only, are left out. Line ends are `\n`, `\r\n`, or `\r` where no `\n` stands.
pub(super) fn scan(text: &str, delimiter: u8) -> Vec<Record> {
    let bytes = text.as_bytes();
    let line_end = if memchr(b'\n', bytes).is_some() { b'\n' } else { b'\r' };
    let n_parts = if bytes.len() < 2 * MIN_PART { 1 } else { (bytes.len() / MIN_PART).min(processors()) };
    scan_in(parts(bytes, line_end, n_parts), text, (line_end, delimiter))
}

fn scan_in(parts: Vec<Range<usize>>, text: &str, (line_end, delimiter): (u8, u8)) -> Vec<Record> {
    let bytes = text.as_bytes();
    let has_quotes = memchr(b'"', bytes).is_some();
    let scan = |part| lines(bytes, part, (line_end, delimiter), has_quotes);
    let mut parts = side_by_side(parts, scan).into_iter();
    let (mut records, mut n_lines) = parts.next().unwrap_or_default();
    for (later, n_later) in parts {
        records.extend(later.into_iter().map(|record| Record { line: record.line + n_lines, ..record }));
        n_lines += n_later;
    }
    if has_quotes { joined(text, delimiter, records) } else { records }
}

/// Whole lines, in about equal parts.
fn parts(bytes: &[u8], line_end: u8, n_parts: usize) -> Vec<Range<usize>> {
    let mut parts = Vec::with_capacity(n_parts);
    let mut start = 0;
    for idx in 1..=n_parts {
        let about = (bytes.len() / n_parts * idx).max(start);
        let rest = if idx == n_parts { None } else { memchr(line_end, &bytes[about..]) };
        let end = rest.map_or(bytes.len(), |at| about + at + 1);
        parts.push(start..end);
        start = end;
    }
    parts
}

/// Bytes a part at least: below it, starting a thread takes longer than reading.
const MIN_PART: usize = 1 << 20;

/// The records of a part, lines counted from its own first, and how many lines it has.
fn lines(bytes: &[u8], part: Range<usize>, (line_end, delimiter): (u8, u8), has_quotes: bool) -> (Vec<Record>, u32) {
    let mut records: Vec<Record> = Vec::with_capacity(part.len() / 40 + 1);
    let (mut start, mut n_lines) = (part.start, 0);
    let ends = memchr_iter(line_end, &bytes[part.clone()]).map(|at| part.start + at);
    for end in ends.chain([part.end]) {
        let line = &bytes[start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        n_lines += 1;
        let is_blank = line.iter().all(|byte| matches!(byte, b' ' | b'\t') || *byte == delimiter);
        if !is_blank {
            let (fields, quotes) = match has_quotes {
                true => counted(line, delimiter),
                false => (1 + line.iter().filter(|byte| **byte == delimiter).count(), Quotes::None),
            };
            records.push(Record {
                start: start as u32,
                end: (start + line.len()) as u32,
                line: n_lines,
                fields: fields.min(usize::from(u16::MAX)) as u16,
                quotes,
            });
        }
        start = end + 1;
    }
    // What follows a part's last line end is the next part's first line.
    (records, n_lines - 1)
}

fn counted(line: &[u8], delimiter: u8) -> (usize, Quotes) {
    let (mut fields, mut n_quotes) = (1, 0_usize);
    for byte in line {
        if *byte == b'"' {
            n_quotes += 1;
        } else if *byte == delimiter && n_quotes % 2 == 0 {
            fields += 1;
        }
    }
    let quotes = match n_quotes {
        0 => Quotes::None,
        n if n % 2 == 0 => Quotes::Paired,
        _ => Quotes::Odd,
    };
    (fields, quotes)
}

/// Puts a quoted field that runs over lines together: where a quote stays open at a line's end and one of
/// the next lines closes it.
fn joined(text: &str, delimiter: u8, records: Vec<Record>) -> Vec<Record> {
    let mut out = Vec::with_capacity(records.len());
    let mut idx = 0;
    while idx < records.len() {
        let mut record = records[idx];
        let mut next = idx + 1;
        if record.quotes == Quotes::Odd && opens_a_field(record.text(text), delimiter) {
            let window = &records[next..records.len().min(next + MAX_FIELD_LINES)];
            if let Some(closing) = window.iter().position(|later| later.quotes == Quotes::Odd) {
                record.end = window[closing].end;
                let (fields, quotes) = counted(record.text(text).as_bytes(), delimiter);
                record.fields = fields.min(usize::from(u16::MAX)) as u16;
                record.quotes = quotes;
                next += closing + 1;
            }
        }
        out.push(record);
        idx = next;
    }
    out
}

/// Whether the last quote of a line stands at the beginning of a field.
fn opens_a_field(line: &str, delimiter: u8) -> bool {
    line.rfind('"').is_some_and(|at| {
        let before = line[..at].trim_end_matches(' ');
        before.is_empty() || before.as_bytes().last() == Some(&delimiter)
    })
}

/// The fields of a record, trimmed, without their quotes.
pub(super) fn fields(record: &str, delimiter: u8) -> Vec<String> {
    let mut out = Vec::new();
    let (mut field, mut in_quotes) = (String::new(), false);
    let mut chars = record.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if in_quotes && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if in_quotes => in_quotes = false,
            '"' if field.trim().is_empty() => {
                field.clear();
                in_quotes = true;
            }
            c if c == char::from(delimiter) && !in_quotes => {
                out.push(field.trim().to_owned());
                field.clear();
            }
            c => field.push(c),
        }
    }
    out.push(field.trim().to_owned());
    // Excel guards text with ="005930".
    for field in &mut out {
        if let Some(inner) = field.strip_prefix("=\"").and_then(|rest| rest.strip_suffix('"')) {
            *field = inner.to_owned();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(u32, u16, Quotes)> {
        scan(text, b',').iter().map(|record| (record.line, record.fields, record.quotes)).collect()
    }

    #[test]
    fn records_know_their_line_and_width() {
        assert_eq!(told("a,b\r\n\n1,2\n"), [(1, 2, Quotes::None), (3, 2, Quotes::None)]);
        assert_eq!(told("a,b\r1,2\r"), [(1, 2, Quotes::None), (2, 2, Quotes::None)]);
        assert_eq!(told("a,\"1,2\",c"), [(1, 3, Quotes::Paired)]);
    }

    #[test]
    fn a_quoted_line_break_joins_and_a_stray_quote_does_not() {
        assert_eq!(told("a,b\n1,\"2\n3\"\n4,5"), [(1, 2, Quotes::None), (2, 2, Quotes::Paired), (4, 2, Quotes::None)]);
        assert_eq!(told("1,2\"3\n4,5\n6,7"), [(1, 2, Quotes::Odd), (2, 2, Quotes::None), (3, 2, Quotes::None)]);
    }

    #[test]
    fn parts_of_a_text_join_to_what_one_would_be() {
        let rows: String = (0..200).map(|row| format!("{row},\"1,5\",\"a\nb\"\n\n")).collect();
        for text in [rows.clone(), rows.replace('\n', "\r\n"), rows.replace('\n', "\r"), rows.replace('"', "")] {
            let line_end = if text.contains('\n') { b'\n' } else { b'\r' };
            let whole = scan(&text, b',');
            for n_parts in 1..9 {
                let parts = parts(text.as_bytes(), line_end, n_parts);
                assert_eq!((parts.len(), parts[n_parts - 1].end), (n_parts, text.len()));
                assert_eq!(scan_in(parts, &text, (line_end, b',')), whole, "{n_parts}");
            }
        }
    }

    #[test]
    fn fields_lose_their_quotes() {
        assert_eq!(fields("\"a \"\"b\"\"\", \"1,234\" ,=\"005930\",x", b','), ["a \"b\"", "1,234", "005930", "x"]);
    }
}
