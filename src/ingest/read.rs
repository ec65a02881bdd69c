//! The whole journey of a body.

use super::decode::Decoded;
use super::refusals::{Lines, Refusals, Skipped};
use super::sheet::Source;
use super::workbook::{self, Unpacked};
use super::{
    BodyFormat, IngestLimits, ReadError, ReadOptions, Reading, Refusal, Warning, csv, decode, dialect, json, parquet,
    reading::TickerReading, rules, stretches,
};

/// Reads a body that [`inflate`](super::inflate) has unpacked.
///
/// # Errors
/// When nothing of the body can be used; the code and the sentence say why, and what to send or pass instead.
/// Single rows that are no bars are in [`Reading::refusals`].
pub fn read(
    bytes: &[u8],
    format: BodyFormat,
    options: &ReadOptions,
    limits: &IngestLimits,
) -> Result<Reading, ReadError> {
    if bytes.is_empty() {
        return Err(ReadError::unusable("empty_body", "the body is empty: send a header line and one line a bar"));
    }
    if bytes.len() > limits.max_inflated_bytes {
        let max = limits.max_inflated_bytes;
        return Err(ReadError::OverLimit { code: "inflated_too_large", what: "unpacked bytes", max });
    }
    match if format == BodyFormat::Any { BodyFormat::of_first_bytes(bytes) } else { format } {
        BodyFormat::Any | BodyFormat::Csv if bytes.starts_with(b"PK\x03\x04") => read_zip(bytes, options, limits),
        BodyFormat::Any | BodyFormat::Csv => {
            let decoded = decode::decode(bytes, options.encoding.as_deref())?;
            let is_json = BodyFormat::of_first_bytes(decoded.text.as_bytes()) == BodyFormat::Json;
            match format {
                // In UTF-16 the first bytes did not show it.
                BodyFormat::Any if is_json => read_json(&decoded, options, limits),
                _ if is_json => Err(json::sent_as_text(decoded.text.trim_start())),
                _ => finish(csv::read(&decoded.text, options, limits)?, decoded.encoding, options, limits),
            }
        }
        BodyFormat::Json => read_json(&decode::json(bytes)?, options, limits),
        BodyFormat::Parquet => finish(parquet::read(bytes, options, limits)?, "utf-8", options, limits),
    }
}

/// A workbook, or an archive of one file; archives within archives are not opened.
fn read_zip(bytes: &[u8], options: &ReadOptions, limits: &IngestLimits) -> Result<Reading, ReadError> {
    match workbook::unpack(bytes, limits)? {
        Unpacked::Sheet(text) => {
            let mut source = csv::read(&text, &ReadOptions { delimiter: None, ..options.clone() }, limits)?;
            source.delimiter = None;
            finish(source, "utf-8", options, limits)
        }
        Unpacked::File(inner) if inner.starts_with(b"PK\x03\x04") => {
            Err(ReadError::unreadable("not_csv", "the zip holds another zip: unpack it first"))
        }
        Unpacked::File(inner) => read(&inner, BodyFormat::Any, options, limits),
    }
}

fn read_json(decoded: &Decoded<'_>, options: &ReadOptions, limits: &IngestLimits) -> Result<Reading, ReadError> {
    let table = json::to_csv(&decoded.text, limits)?;
    let mut source = csv::read(&table.csv, options, limits)?;
    (source.delimiter, source.told_zone) = (None, table.zone);
    let mut reading = finish(source, decoded.encoding, options, limits)?;
    if let [TickerReading { ticker: None, told, .. }] = reading.tickers.as_mut_slice() {
        *told = table.ticker.and_then(|name| name.parse().ok());
    }
    if table.has_header {
        // Records count from 1; the header is not one of them.
        for refusal in &mut reading.refusals {
            refusal.line = refusal.line.saturating_sub(1);
        }
    }
    Ok(reading)
}

fn finish(
    mut source: Source,
    encoding: &str,
    options: &ReadOptions,
    limits: &IngestLimits,
) -> Result<Reading, ReadError> {
    let mut refusals = Refusals::new(limits.max_refusals_reported);
    for rejected in std::mem::take(&mut source.rejected) {
        refusals.push(|| Refusal {
            line: u64::from(rejected.line),
            column: None,
            text: rejected.text,
            code: rejected.code,
            message: rejected.message,
            ticker: None,
        });
    }
    let n_lines_refused = refusals.total;
    let (rules, dates) = rules::decide(&mut source, options)?;
    let (rows, skipped) = stretches::read(&source, &rules, limits, &mut refusals)?;
    let mut warnings = notes(&source, &skipped);
    warnings.extend(rules.timing.assumed.map(|message| plain("time_zone_assumed", message)));
    let order = dialect::order(&rows);
    let names_bad = refusals.total - n_lines_refused - rows.iter().map(|rows| rows.refused).sum::<usize>();
    let dialect = dialect::told(&source, encoding, &rules, &dates, order, options);
    drop(source);
    let (mut tickers, several) =
        stretches::finish(rows, &rules.timing, options.adjust.is_some(), &mut refusals, &mut warnings);
    cap(&mut warnings);
    refusals.kept.sort_by_key(|refusal| refusal.line);
    let received = n_lines_refused + names_bad + tickers.iter().map(|ticker| ticker.received).sum::<usize>();
    if tickers.iter().all(|ticker| ticker.series.is_empty()) {
        if let Some(error) = several.into_iter().next() {
            return Err(error);
        }
        return Err(nothing_usable(received, refusals, &warnings));
    }
    // A line that is no row belongs to the only ticker there is.
    if let [only] = tickers.as_mut_slice() {
        only.received += n_lines_refused + names_bad;
        only.refused += n_lines_refused + names_bad;
    }
    Ok(Reading { received, tickers, refusals: refusals.kept, refusals_total: refusals.total, dialect, warnings })
}

/// A file of hundreds of tickers can have thousands of warnings: the first tell, a last one counts.
fn cap(warnings: &mut Vec<Warning>) {
    const MOST: usize = 100;
    let beyond = warnings.len().saturating_sub(MOST);
    if beyond > 0 {
        warnings.truncate(MOST);
        warnings.push(plain("more_warnings", format!("{beyond} more warnings are not listed")));
    }
}

fn nothing_usable(received: usize, refusals: Refusals, warnings: &[Warning]) -> ReadError {
    match refusals.kept.first().cloned() {
        Some(first) => ReadError::NoUsableRows { received, refusals: refusals.kept, first: Box::new(first) },
        None => {
            let why = warnings.first().map_or("there are none", |warning| warning.message.as_str());
            ReadError::unusable("no_usable_rows", format!("no row is a bar: {why}"))
        }
    }
}

fn plain(code: &'static str, message: impl Into<String>) -> Warning {
    Warning { code, session: None, message: message.into(), ticker: None }
}

fn notes(source: &Source, skipped: &Skipped) -> Vec<Warning> {
    let mut warnings: Vec<Warning> = source.notes.iter().map(|note| plain(note.code, note.message.clone())).collect();
    let kinds: [(&Lines, &'static str, &str); 5] = [
        (
            &skipped.halted,
            "halted_sessions",
            "rows tell of sessions without a trade (zeros beside a close, or a status): they make no bar",
        ),
        (&skipped.zero, "zero_rows", "rows are zeros: they make no bar"),
        (&skipped.empty, "empty_rows", "rows have no prices: they make no bar"),
        (&skipped.events, "corporate_actions", "rows tell a dividend or a split: they make no bar"),
        (&skipped.running, "running_period", "rows are said to be of a time that is not over: they were left out"),
    ];
    for (lines, code, what) in kinds {
        if lines.count > 0 {
            warnings.push(plain(code, format!("{} {what} (the first is line {})", lines.count, lines.first)));
        }
    }
    warnings
}
