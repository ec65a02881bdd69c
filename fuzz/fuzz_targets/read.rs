//! Any bytes, in any format that is read: no panic, memory within the caps, and twice the same answer.
//!
//! `scripts/fuzz 600` runs it for ten minutes, from the fixtures as seeds.

#![no_main]

use candlecast::ingest::{Adjust, BodyFormat, ContentEncoding, IngestLimits, ReadOptions, Resample, inflate, read};
use libfuzzer_sys::fuzz_target;

/// What the caller may say beside the bytes, one set a run.
fn options(choice: u8) -> ReadOptions {
    let plain = ReadOptions::default();
    match choice % 6 {
        0 => ReadOptions { columns: Some("date,open,high,low,close,volume".to_owned()), ..plain },
        1 => ReadOptions { adjust: Some(Adjust::Split), timezone: Some("America/New_York".to_owned()), ..plain },
        2 => ReadOptions { resample: Some(Resample::Day), decimal: Some(",".to_owned()), ..plain },
        3 => ReadOptions { date_format: Some("roc".to_owned()), encoding: Some("cp949".to_owned()), ..plain },
        _ => plain,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, body)) = bytes.split_last() else { return };
    let limits = IngestLimits {
        max_body_bytes: 1 << 20,
        max_inflated_bytes: 8 << 20,
        max_rows: 100_000,
        ..IngestLimits::default()
    };
    let format = BodyFormat::Any;
    let Ok(body) = inflate(body.to_vec(), ContentEncoding::Unsaid, &limits) else { return };
    let options = options(*choice);
    // Which of two broken columns of a Parquet file is told first is up to the threads: codes are compared.
    let reading = || read(&body, format, &options, &limits).map_err(|error| error.code());
    let once = reading();
    assert_eq!(once, reading(), "the same bytes give the same answer");
    if let Ok(reading) = once {
        let n_bars: usize = reading.tickers.iter().map(|ticker| ticker.series.len()).sum();
        assert!(n_bars > 0 && n_bars <= reading.received, "bars come from rows");
    }
});
