//! Files in the formats of many vendors, with invented prices: one fixture a format, and what must come of it.

use std::path::PathBuf;

use candlecast::domain::{Bar, Series};
use candlecast::ingest::{BodyFormat, IngestLimits, ReadError, ReadOptions, Reading, inflate, read};
use proptest::prelude::*;

/// A line of `expected.tsv`: empty fields are not compared.
struct Expected<'a> {
    file: &'a str,
    options: &'a str,
    code: &'a str,
    n_bars: &'a str,
    /// Session, open, high, low and close.
    first: &'a str,
    last: &'a str,
    sum_close: &'a str,
    sum_volume: &'a str,
    warning: &'a str,
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/it/fixtures/dialects")
}

fn expected(line: &str) -> Expected<'_> {
    let fields: Vec<&str> = line.split('\t').collect();
    let [file, options, code, n_bars, first, last, sum_close, sum_volume, warning] = fields[..] else {
        panic!("{line:?} has not nine fields")
    };
    Expected { file, options, code, n_bars, first, last, sum_close, sum_volume, warning }
}

fn options(pairs: impl Iterator<Item = (String, String)>) -> ReadOptions {
    let pairs = pairs.map(|(name, value)| (name, value.into())).collect();
    serde_json::from_value(serde_json::Value::Object(pairs)).expect("options")
}

/// `name=value name=value`.
fn in_words(text: &str) -> ReadOptions {
    let pair = |option: &str| option.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    options(text.split_whitespace().map(|option| pair(option).expect("name=value")))
}

fn reading(file: &str, options: &ReadOptions) -> Result<Reading, ReadError> {
    let limits = IngestLimits::default();
    let (format, encoding) = BodyFormat::of_file_name(file);
    inflate(std::fs::read(folder().join(file)).expect("a fixture"), encoding, &limits)
        .and_then(|bytes| read(&bytes, format, options, &limits))
}

fn told(bar: &Bar, series: &Series) -> String {
    let prices = [bar.open(), bar.high(), bar.low(), bar.close()].map(|price| format!("{price:?}"));
    format!("{} {}", series.interval().label(bar.at()), prices.join(" "))
}

/// Says what differs; `None` where all is as it must be.
fn difference(expected: &Expected<'_>) -> Option<String> {
    let reading = match reading(expected.file, &in_words(expected.options)) {
        Err(error) if error.code() == expected.code => return None,
        Err(error) => return Some(format!("refused: {}: {error}", error.code())),
        Ok(_) if !expected.code.is_empty() => return Some(format!("read, expected {}", expected.code)),
        Ok(reading) => reading,
    };
    let bars = || reading.tickers.iter().flat_map(|ticker| ticker.series.bars());
    let series = &reading.tickers[0].series;
    let sum = |of: fn(&Bar) -> f64| bars().map(of).sum::<f64>();
    let is_near = |found: f64, text: &str| {
        text.is_empty() || (found - text.parse::<f64>().expect("a number")).abs() <= 1e-6 * found.abs().max(1.0)
    };
    let (sum_close, sum_volume) = (sum(Bar::close), sum(|bar| bar.volume().unwrap_or(0.0)));
    let found = [
        (expected.n_bars, bars().count().to_string()),
        (expected.first, told(&series.bars()[0], series)),
        (expected.last, told(series.last()?, series)),
    ];
    if reading.refusals_total > 0 {
        return Some(format!("{} rows refused: {:?}", reading.refusals_total, reading.refusals.first()));
    }
    if let Some((wanted, found)) = found.into_iter().find(|(wanted, found)| !wanted.is_empty() && wanted != found) {
        return Some(format!("{found}, expected {wanted}"));
    }
    if !is_near(sum_close, expected.sum_close) || !is_near(sum_volume, expected.sum_volume) {
        return Some(format!("sums {sum_close} and {sum_volume}"));
    }
    let is_told = reading.warnings.iter().any(|warning| warning.code == expected.warning);
    (!expected.warning.is_empty() && !is_told).then(|| format!("no warning {}", expected.warning))
}

#[test]
fn every_format_has_its_outcome() {
    let table = std::fs::read_to_string(folder().join("expected.tsv")).expect("the table");
    let lines: Vec<Expected<'_>> = table.lines().skip(1).map(expected).collect();
    let wrong: Vec<String> = lines
        .iter()
        .filter_map(|expected| difference(expected).map(|difference| format!("{}: {difference}", expected.file)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), lines.len(), wrong.join("\n"));
    let n_files = std::fs::read_dir(folder()).expect("the fixtures").count() - 1;
    assert_eq!(lines.len(), n_files, "each fixture has one line");
}

/// What a reading echoes pins it: sent back as options, the same bytes give the same bars.
#[test]
fn a_dialect_sent_back_reads_the_same() {
    let table = std::fs::read_to_string(folder().join("expected.tsv")).expect("the table");
    for expected in table.lines().skip(1).map(expected).filter(|expected| expected.code.is_empty()) {
        let first = reading(expected.file, &in_words(expected.options)).expect(expected.file);
        let query = &first.dialect.query;
        let pinned = options(url::form_urlencoded::parse(query.as_bytes()).into_owned());
        let again = reading(expected.file, &pinned).map(|reading| reading.tickers);
        assert_eq!(again, Ok(first.tickers), "{} with {query}", expected.file);
    }
}

/// A change to a file: where (as a share of its length) and what.
#[derive(Debug, Clone)]
enum Change {
    Byte(f64, u8),
    Cut(f64, f64),
    Twice(f64, f64),
    Put(f64, &'static str),
}

fn any_change() -> impl Strategy<Value = Change> {
    const TOKENS: [&str; 22] = [
        ",",
        ";",
        "\t",
        "\"",
        "\n",
        "\r",
        "-",
        "0",
        "1e308",
        "99999999999999999999",
        "NaN",
        "2024-02-30",
        "\u{feff}",
        "é",
        "날짜",
        "Date",
        "Open",
        "(",
        "{",
        "[",
        "%",
        "\0",
    ];
    prop_oneof![
        (0.0..1.0, any::<u8>()).prop_map(|(at, byte)| Change::Byte(at, byte)),
        (0.0..1.0, 0.0..0.3).prop_map(|(at, share)| Change::Cut(at, share)),
        (0.0..1.0, 0.0..0.3).prop_map(|(at, share)| Change::Twice(at, share)),
        (0.0..1.0, prop::sample::select(TOKENS.to_vec())).prop_map(|(at, token)| Change::Put(at, token)),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let place = |share: f64| ((bytes.len() as f64 * share) as usize).min(bytes.len().saturating_sub(1));
        match change {
            _ if bytes.is_empty() => {}
            Change::Byte(at, byte) => {
                let at = place(*at);
                bytes[at] = *byte;
            }
            Change::Cut(at, share) => {
                let (from, to) = (place(*at), place(at + share));
                bytes.drain(from..to.max(from));
            }
            Change::Twice(at, share) => {
                let (from, to) = (place(*at), place(at + share));
                let part = bytes[from..to.max(from)].to_vec();
                bytes.splice(from..from, part);
            }
            Change::Put(at, token) => {
                let at = place(*at);
                bytes.splice(at..at, token.bytes());
            }
        }
    }
    bytes
}

proptest! {
    // More by `PROPTEST_CASES=20000 cargo test --test it broken_files`.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn broken_files_never_panic_and_read_the_same_twice(
        at in any::<prop::sample::Index>(),
        changes in prop::collection::vec(any_change(), 1..6),
    ) {
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder()).expect("the fixtures").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        let file = &files[at.index(files.len())];
        let (format, encoding) = BodyFormat::of_file_name(&file.to_string_lossy());
        let body = changed(std::fs::read(file).expect("a fixture"), &changes);
        let limits = IngestLimits { max_inflated_bytes: 4 << 20, ..IngestLimits::default() };
        let reading = || {
            inflate(body.clone(), encoding, &limits)
                .and_then(|body| read(&body, format, &ReadOptions::default(), &limits))
                // Which of two broken columns of a Parquet file is told first is up to the threads.
                .map_err(|error| error.code())
        };
        let once = reading();
        prop_assert_eq!(&once, &reading());
        if let Ok(reading) = once {
            let bars: usize = reading.tickers.iter().map(|ticker| ticker.series.len()).sum();
            let others: usize = reading.tickers.iter().map(|ticker| ticker.duplicates).sum();
            prop_assert_eq!(reading.received, bars + others + reading.refusals_total, "{:?}", file);
        }
    }
}
