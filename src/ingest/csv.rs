//! Delimited text to columns of text. Polars splits the fields; what could trip it (quotes, odd widths,
//! footers) is taken out before, with line numbers.

use std::borrow::Cow;
use std::io::Cursor;
use std::sync::Arc;

use memchr::memchr;
use polars::prelude::{CsvParseOptions, CsvReadOptions, DataType, Field, Schema, SerReader};

use super::header::{self, Header};
use super::layout::Layout;
use super::numbers::{self, NumberFormat};
use super::records::{self, Quotes, Record};
use super::sheet::{Note, Rejected, Sheet, Source};
use super::{IngestLimits, ReadError, ReadOptions, bars, columns, dates};

/// Separators in the order in which ties are decided.
const DELIMITERS: [u8; 4] = [b',', b'\t', b';', b'|'];
/// How much of a file is looked at to find its separator.
const HEAD: usize = 64 << 10;
/// Between the fields that Polars is given when they had quotes: no text has it.
const UNIT_SEPARATOR: u8 = 0x1f;

/// Reads delimited text.
///
/// # Errors
/// When no header is found or a cap is passed.
pub(super) fn read(text: &str, options: &ReadOptions, limits: &IngestLimits) -> Result<Source, ReadError> {
    let text = without_sep_line(text);
    let (text, delimiter) = match &options.delimiter {
        Some(chosen) => (Cow::Borrowed(text), delimiter_of(chosen)?),
        None => parted(text),
    };
    let is_rewritten = matches!(text, Cow::Owned(_));
    let text = text.as_ref();
    let records = records::scan(text, delimiter);
    let mut found = header::find(text, &records, delimiter, options, limits)?;
    let data = &records[found.data_from.min(records.len())..];
    if data.len() > limits.max_rows {
        return Err(ReadError::OverLimit { code: "too_many_rows", what: "rows", max: limits.max_rows });
    }
    let width = fit_width(&mut found.layout, header::modal_width(data));
    if width > limits.max_columns {
        return Err(ReadError::OverLimit { code: "too_many_columns", what: "columns", max: limits.max_columns });
    }
    let mut sorted = sort_out(text, &records, &found, delimiter, width);
    if sorted.rows.is_empty() && sorted.rejected.is_empty() {
        return Err(ReadError::unusable("no_rows", "the body has a header and no rows below it"));
    }
    let mut sheet = split(text, &sorted.rows, delimiter, width, &found.layout)?;
    sheet.join(&found.layout.joined);
    if !found.layout.left_out.is_empty() {
        let names = found.layout.left_out.join(", ");
        let message = format!("the file's own prices were read; columns of {names} beside them were left out");
        sorted.notes.push(Note { code: "columns_left_out", message });
    }
    if !found.layout.incomplete.is_empty() {
        let names = found.layout.incomplete.join(", ");
        let message = format!("columns of {names} were left out: they are not open, high, low and close");
        sorted.notes.push(Note { code: "columns_left_out", message });
    }
    let has_commas = delimiter != b',' || memchr(b'"', text.as_bytes()).is_some();
    Ok(Source {
        has_commas,
        commas_are_quoted: delimiter == b',',
        signs_beside: if has_commas { signs_beside(text, &sorted.rows, delimiter, &found.layout) } else { (0, 0) },
        layout: found.layout,
        sheet,
        rejected: sorted.rejected,
        notes: sorted.notes,
        delimiter: (!is_rewritten).then(|| char::from(delimiter).to_string()),
        is_typed: false,
        told_zone: None,
    })
}

/// Excel's `sep=;` before the header.
fn without_sep_line(text: &str) -> &str {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let first = first.trim().trim_matches('"');
    if first.len() <= 5 && first.to_ascii_lowercase().starts_with("sep=") { rest } else { text }
}

fn delimiter_of(chosen: &str) -> Result<u8, ReadError> {
    match chosen {
        "tab" | "\\t" | "\t" => Ok(b'\t'),
        "comma" => Ok(b','),
        "semicolon" => Ok(b';'),
        "pipe" => Ok(b'|'),
        _ => match chosen.as_bytes() {
            [byte] if DELIMITERS.contains(byte) || matches!(byte, b':' | b' ' | b'^' | b'~') => Ok(*byte),
            _ => Err(ReadError::BadOption { option: "delimiter", message: format!("{chosen:?} is none of , ; | tab") }),
        },
    }
}

/// The text and what parts its fields. Where nothing does: lines that are quoted as a whole lose their quotes, then
/// runs of spaces become tabs.
fn parted(text: &str) -> (Cow<'_, str>, u8) {
    let (delimiter, score) = detect(text);
    if score > 0 {
        return (Cow::Borrowed(text), delimiter);
    }
    for rewritten in [unquoted_lines(text), Some(spaces_as_tabs(text))].into_iter().flatten() {
        let (delimiter, score) = detect(&rewritten);
        if score >= 4 {
            return (Cow::Owned(rewritten), delimiter);
        }
    }
    (Cow::Borrowed(text), delimiter)
}

/// `"2024-01-02,10,11"`: lines that were pasted into one column of a spreadsheet.
fn unquoted_lines(text: &str) -> Option<String> {
    let mut lines = text.lines().map(|line| {
        let line = line.trim();
        if line.is_empty() { Some("") } else { line.strip_prefix('"')?.strip_suffix('"') }
    });
    lines.clone().take(20).all(|line| line.is_some()).then_some(())?;
    let lines: Vec<String> = lines.by_ref().map(|line| line.unwrap_or_default().replace("\"\"", "\"")).collect();
    Some(lines.join("\n"))
}

/// Columns that are aligned with spaces, line by line; spaces within quotes stay.
fn spaces_as_tabs(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let mut in_quotes = false;
        for c in line.trim().chars() {
            in_quotes ^= c == '"';
            match c {
                ' ' | '\t' if !in_quotes => {
                    if !out.ends_with('\t') {
                        out.push('\t');
                    }
                }
                c => out.push(c),
            }
        }
        out.push('\n');
    }
    out
}

/// The separator with which some line names most columns, and how many; else the one that parts lines most evenly.
fn detect(text: &str) -> (u8, usize) {
    let mut end = text.len().min(HEAD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = &text[..end];
    let mut best = (b',', 0, 0);
    for delimiter in DELIMITERS.into_iter().filter(|delimiter| head.as_bytes().contains(delimiter)) {
        let records = records::scan(head, delimiter);
        let score = header::best_line(head, &records, delimiter).map_or(0, |(_, score)| score);
        let width = header::modal_width(&records);
        if (score, width) > (best.1, best.2) {
            best = (delimiter, score, width);
        }
    }
    (best.0, best.1)
}

/// The width of rows; names are padded or lose empty ends to fit them.
fn fit_width(layout: &mut Layout, modal: usize) -> usize {
    while layout.names.len() > modal && layout.names.last().is_some_and(String::is_empty) {
        layout.names.pop();
    }
    if modal > layout.names.len() && layout.names.iter().all(|name| columns::key(name) == *name || name == "-") {
        // Named by position: further columns need no name.
        layout.names.resize(modal, String::new());
    }
    layout.names.len()
}

struct Sorted {
    rows: Vec<Record>,
    rejected: Vec<Rejected>,
    notes: Vec<Note>,
}

/// Parts records into rows, refused lines and lines that are no rows.
fn sort_out(text: &str, records: &[Record], header: &Header, delimiter: u8, width: usize) -> Sorted {
    let names = header.record.map(|idx| records[idx].text(text));
    let data = &records[header.data_from.min(records.len())..];
    let n_footers = footers(text, data, &header.layout, delimiter, width);
    let mut sorted = Sorted { rows: Vec::with_capacity(data.len()), rejected: Vec::new(), notes: Vec::new() };
    let (mut n_comments, mut n_headers, mut n_events) = (0, 0, 0);
    let n_hashes = data.iter().filter(|record| record.text(text).starts_with('#')).count();
    let tickers_have_hashes = n_hashes * 2 > data.len();
    for record in &data[..data.len() - n_footers] {
        let line = record.text(text);
        if is_comment(line, delimiter, width, tickers_have_hashes) {
            n_comments += 1;
        } else if record.quotes == Quotes::Odd {
            sorted.rejected.push(Rejected::new(
                record.line,
                "bad_quote",
                line,
                "a quote is open to the end of the line",
            ));
        } else if usize::from(record.fields) == width || only_empty_beyond(line, delimiter, width, *record) {
            let line = line.trim_start_matches('\u{feff}');
            match names.is_some_and(|names| names.trim_start_matches('\u{feff}').eq_ignore_ascii_case(line)) {
                true => n_headers += 1,
                false => sorted.rows.push(*record),
            }
        } else if record.fields < 4 && bars::is_event(line) {
            n_events += 1;
        } else {
            let message = format!("the line has {} fields where the header has {width}", record.fields);
            sorted.rejected.push(Rejected::new(record.line, "row_width", line, &message));
        }
    }
    for (count, code, what) in [
        (n_comments, "comment_lines", "lines that begin with # were left out"),
        (n_headers, "repeated_header", "repeated header lines were left out"),
        (n_events, "corporate_actions", "lines that tell a dividend or a split were left out"),
        (n_footers, "footer_lines", "lines after the last row were left out"),
    ] {
        if count > 0 {
            sorted.notes.push(Note { code, message: format!("{count} {what}") });
        }
    }
    sorted
}

/// A line that begins with #: unless it is `#N/A`, a spreadsheet's `########` for a date in a column too narrow, or a row that
/// begins with a ticker (`#BTC`), where most do.
fn is_comment(line: &str, delimiter: u8, width: usize, tickers_have_hashes: bool) -> bool {
    let Some(rest) = line.strip_prefix('#').filter(|_| !line.starts_with("#N")) else { return false };
    let first = rest.split(char::from(delimiter)).next().unwrap_or_default();
    let is_narrow = first.len() >= 2 && first.bytes().all(|byte| byte == b'#');
    let is_ticker = tickers_have_hashes && first.bytes().all(|byte| byte.is_ascii_uppercase()) && !first.is_empty();
    !(is_narrow || is_ticker) || records::fields(line, delimiter).len() != width
}

fn only_empty_beyond(line: &str, delimiter: u8, width: usize, record: Record) -> bool {
    usize::from(record.fields) > width
        && records::fields(line, delimiter).get(width..).is_some_and(|rest| rest.iter().all(String::is_empty))
}

/// How many records at the end are notes of the source: without a date and without a price.
fn footers(text: &str, data: &[Record], layout: &Layout, delimiter: u8, width: usize) -> usize {
    const MOST: usize = 40;
    let is_footer = |record: &&Record| {
        let fields = records::fields(record.text(text), delimiter);
        let has_date = match layout.joined.iter().find(|joined| joined.at == layout.date) {
            Some(joined) => joined.parts.iter().all(|at| fields.get(*at).is_some_and(|cell| !cell.is_empty())),
            None => fields.get(layout.date).is_some_and(|cell| dates::looks_like_date(cell)),
        };
        let is_price = |at: usize| {
            let formats = [NumberFormat::DOT, NumberFormat::COMMA];
            fields.get(at).is_some_and(|cell| formats.iter().any(|format| format.price(cell).is_ok()))
        };
        // A number in a line of another width proves nothing: a footer counts its rows.
        let has_price = fields.len() == width && layout.groups.iter().any(|g| is_price(g.close) || is_price(g.open));
        let begins_with_digit = fields.first().is_some_and(|cell| cell.starts_with(|c: char| c.is_ascii_digit()));
        !has_date && !has_price && !begins_with_digit
    };
    let is_narrow = |record: &&Record| usize::from(record.fields) < width;
    let tail = data.iter().rev().take(MOST).take_while(|record| is_footer(record) || is_narrow(record)).count();
    // What follows a note is one too, a table of its own say; a line cut short before it is a row.
    let tail = &data[data.len() - tail..];
    tail.iter().position(|record| is_footer(&record)).map_or(0, |first| tail.len() - first)
}

/// Decimal signs of numbers in columns that nobody reads: with a dot, and with a comma.
fn signs_beside(text: &str, rows: &[Record], delimiter: u8, layout: &Layout) -> (usize, usize) {
    const SAMPLE: usize = 200;
    let used = layout.used();
    let is_number = |cell: &str| {
        cell.chars().any(|c| c.is_ascii_digit())
            && cell
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '+' | '-' | '−' | '%' | ' ' | '\u{a0}'))
    };
    let (mut n_dot, mut n_comma) = (0, 0);
    for record in rows.iter().take(SAMPLE) {
        for (_, cell) in
            records::fields(record.text(text), delimiter).iter().enumerate().filter(|(at, _)| !used.contains(at))
        {
            match numbers::evidence(cell) {
                _ if !is_number(cell) || dates::looks_like_date(cell) => {}
                numbers::Evidence::Dot => n_dot += 1,
                numbers::Evidence::Comma => n_comma += 1,
                _ => {}
            }
        }
    }
    (n_dot, n_comma)
}

/// Lets Polars split the rows.
fn split(text: &str, rows: &[Record], delimiter: u8, width: usize, layout: &Layout) -> Result<Sheet, ReadError> {
    let lines: Vec<u32> = rows.iter().map(|record| record.line).collect();
    if lines.is_empty() {
        return Ok(Sheet::default());
    }
    let is_plain = |pair: &[Record]| pair[1].line == pair[0].line + 1 && pair[1].start == pair[0].end + 1;
    let is_clean = rows.iter().all(|record| record.quotes == Quotes::None && usize::from(record.fields) == width)
        && rows.windows(2).all(is_plain)
        && memchr(b'\r', text.as_bytes()).is_none();
    let (body, separator) = match (is_clean, rows.first(), rows.last()) {
        (true, Some(first), Some(last)) => (Cow::Borrowed(&text[first.start as usize..last.end as usize]), delimiter),
        _ => (Cow::Owned(rewritten(text, rows, delimiter, width)), UNIT_SEPARATOR),
    };
    let used = layout.used();
    let schema = Schema::from_iter((0..width).map(|idx| Field::new(format!("c{idx}").into(), DataType::String)));
    let parse = CsvParseOptions::default()
        .with_separator(separator)
        .with_quote_char(None)
        .with_missing_is_null(false)
        .with_truncate_ragged_lines(true);
    let read = CsvReadOptions::default()
        .with_has_header(false)
        .with_schema(Some(Arc::new(schema)))
        .with_projection(Some(Arc::new(used.clone())))
        .with_parse_options(parse)
        .with_rechunk(false)
        .into_reader_with_file_handle(Cursor::new(body.as_bytes()))
        .finish();
    let frame = match read {
        Ok(frame) if frame.height() == lines.len() => frame,
        Ok(frame) => {
            let message = format!("{} lines were read as {} rows", lines.len(), frame.height());
            return Err(ReadError::unreadable("unreadable_rows", message));
        }
        Err(error) => return Err(ReadError::unreadable("unreadable_rows", error.to_string())),
    };
    Sheet::new(frame, &used, lines)
}

/// The rows with a separator that no text has, and without quotes.
fn rewritten(text: &str, rows: &[Record], delimiter: u8, width: usize) -> String {
    let mut out = String::with_capacity(text.len());
    for record in rows {
        let line = record.text(text);
        if record.quotes == Quotes::None && usize::from(record.fields) == width {
            let cells = line.split(char::from(delimiter));
            push_cells(&mut out, cells);
        } else {
            let cells = records::fields(line, delimiter);
            push_cells(&mut out, cells.iter().take(width).map(String::as_str));
        }
        out.push('\n');
    }
    out
}

fn push_cells<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for (idx, cell) in cells.enumerate() {
        if idx > 0 {
            out.push(char::from(UNIT_SEPARATOR));
        }
        match cell.contains([char::from(UNIT_SEPARATOR), '\n', '\r']) {
            true => out.extend(cell.chars().map(|c| if c.is_control() { ' ' } else { c })),
            false => out.push_str(cell),
        }
    }
}
