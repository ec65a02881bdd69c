//! Files in, bars and refusals out. One `check` tells a reading in a few lines of text.

use std::fmt::Write as _;

use candlecast::domain::Bar;
use candlecast::ingest::{BodyFormat, IngestLimits, PriceBasis, ReadError, ReadOptions, Reading, Resample, read};

pub(super) fn told(answer: &Result<Reading, ReadError>) -> String {
    let reading = match answer {
        Ok(reading) => reading,
        Err(error) => return format!("{}: {error}\n", error.code()),
    };
    let mut out = String::new();
    for ticker in &reading.tickers {
        let name = ticker.ticker.as_ref().map(|ticker| format!("{ticker} ")).unwrap_or_default();
        let duplicates = if ticker.duplicates > 0 { format!(" {} equal", ticker.duplicates) } else { String::new() };
        let _ = writeln!(out, "{name}{}{duplicates}", ticker.series.interval());
        for bar in ticker.series.bars() {
            let volume = bar.volume().map_or_else(|| "-".to_owned(), |volume| volume.to_string());
            let _ = writeln!(
                out,
                "  {} {} {} {} {} {volume}",
                ticker.series.interval().label(bar.at()),
                bar.open(),
                bar.high(),
                bar.low(),
                bar.close()
            );
        }
    }
    for refusal in &reading.refusals {
        let column = refusal.column.map(|column| format!(" {column}")).unwrap_or_default();
        let _ = writeln!(out, "line {}{column}: {}", refusal.line, refusal.message);
    }
    for warning in &reading.warnings {
        let _ = writeln!(out, "{}", warning.code);
    }
    out
}

pub(super) fn reading_with(body: &[u8], options: &ReadOptions) -> Result<Reading, ReadError> {
    read(body, BodyFormat::Csv, options, &IngestLimits::default())
}

#[track_caller]
fn check(body: &str, expected: &str) {
    assert_eq!(told(&reading_with(body.as_bytes(), &ReadOptions::default())), expected, "{body}");
}

#[track_caller]
fn check_code(body: impl AsRef<[u8]>, code: &str) {
    match reading_with(body.as_ref(), &ReadOptions::default()) {
        Err(error) => assert_eq!(error.code(), code, "{error}"),
        Ok(reading) => {
            let codes: Vec<&str> = reading.refusals.iter().map(|refusal| refusal.code).collect();
            assert!(codes.contains(&code), "{codes:?} has no {code}");
        }
    }
}

pub(super) const ONE: &str = "1d\n  2024-01-02 10 11 9 10.5 500\n";

#[test]
fn one_bar_reads_the_same_in_every_dialect() {
    for body in [
        "Date,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n",
        "\u{feff}date,open,high,low,close,volume\r\n2024-01-02,10,11,9,10.5,500\r\n",
        "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,11,9,10.5,8.5,500\n",
        "Date, Close/Last, Volume, Open, High, Low\n01/02/2024, $10.50, 500, $10.00, $11.00, $9.00\n12/31/2023,n/a,n/a,n/a,n/a,n/a\n",
        "\"Date\",\"Price\",\"Open\",\"High\",\"Low\",\"Vol.\",\"Change %\"\n\"Jan 02, 2024\",\"10.50\",\"10.00\",\"11.00\",\"9.00\",\"0.50K\",\"0.1%\"\n",
        "일자,종가,대비,등락률,시가,고가,저가,거래량\n20240102,10.5,0,0.1,10,11,9,500\n",
        "日付,始値,高値,安値,終値,出来高\n2024年1月2日,10,11,9,10.5,500\n",
        "日期,收盘价,最高价,最低价,开盘价,成交量\n2024/1/2,10.5,11,9,10,500\n",
        "Data;Último;Abertura;Máxima;Mínima;Vol.\n02.01.2024;10,50;10,00;11,00;9,00;0,50K\n31.12.2023;;;;;\n",
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\n2024.01.02\t10\t11\t9\t10.5\t500\t0\n",
        "time|open|high|low|close|Plot|Plot|Volume\n2024-01-02|10|11|9|10.5|||500\n",
        "sep=;\nDate;Open;High;Low;Close;Volume\n2024-01-02;10;11;9;10.5;500\n",
        "Prices of ACME\n\"Note, with a comma\"\n\nDate,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n",
        ",Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n",
        "Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n",
        "\"timestamp\",\"1. open\",\"2. high\",\"3. low\",\"4. close\",\"5. volume\"\n2024-01-02,10,11,9,10.5,500\n",
        "Date,Open,High,Low,Close,Volume\n2024-01-02 00:00:00+09:00,10,11,9,10.5,500\n",
        "Date,Open,High,Low,Close,Volume\n1704153600,10,11,9,10.5,500\n",
        "Date,Open,High,Low,Close,Volume,\n2024-01-02,10,11,9,10.5,500,\n",
        "date,open,high,low,close,volume\r2024-01-02,10,11,9,10.5,500\r",
    ] {
        let answer = reading_with(body.as_bytes(), &ReadOptions::default());
        let told = told(&answer);
        assert!(told.starts_with(ONE) && !told.contains("line "), "{body}\n{told}");
    }
}

#[test]
fn legacy_encodings_are_known_by_the_header() {
    let korean = "일자,종가,시가,고가,저가,거래량\n20240102,10.5,10,11,9,500\n";
    let japanese = "日付,始値,高値,安値,終値,出来高\n2024/01/02,10,11,9,10.5,500\n";
    let chinese = "日期,收盘价,最高价,最低价,开盘价,成交量\n2024/1/2,10.5,11,9,10,500\n";
    let german = "Datum;Eröffnung;Höchst;Tief;Schluß;Stück\n2024-01-02;10;11;9;10.5;500\n";
    for (text, encoding, name) in [
        (korean, encoding_rs::EUC_KR, "cp949"),
        (japanese, encoding_rs::SHIFT_JIS, "shift_jis"),
        (chinese, encoding_rs::GBK, "gbk"),
        (german, encoding_rs::WINDOWS_1252, "windows-1252"),
    ] {
        let (bytes, _, is_lossy) = encoding.encode(text);
        assert!(!is_lossy);
        let reading = reading_with(&bytes, &ReadOptions::default()).expect(name);
        assert_eq!(reading.dialect.encoding, name);
        assert_eq!(told(&Ok(reading)), ONE);
    }
    let utf_16: Vec<u8> = [0xfeff_u16].into_iter().chain(korean.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(told(&reading_with(&utf_16, &ReadOptions::default())), ONE);
}

#[test]
fn a_refused_row_has_its_line_column_and_reason_and_costs_no_other() {
    check(
        "date,open,high,low,close,volume\n2024-01-02,10,11,9,10.5,500\n2024-01-03,10,9,11,10,5\n2024-02-30,1,1,1,1,1\n2024-01-05,10,x,9,10,5\n2024-01-06,10,11\n",
        "1d\n  2024-01-02 10 11 9 10.5 500\nline 3 high: high 9 is below low 11\nline 4 date: \"2024-02-30\" is not a date\nline 5 high: high \"x\" is not a number\nline 6: the line has 3 fields where the header has 6\n",
    );
}

#[test]
fn equal_rows_are_counted_and_different_ones_refused() {
    check(
        "date,open,high,low,close,volume\n2024-01-03,1,1,1,1,2\n2024-01-02,1,1,1,1,1\n2024-01-02,1,1,1,1,1\n2024-01-02,1,1,1,1,7\n",
        "1d 1 equal\n  2024-01-02 1 1 1 1 1\n  2024-01-03 1 1 1 1 2\nline 5 date: 2024-01-02 stands on line 3 with 1 1 1 1, volume 1 and here with 1 1 1 1, volume 7; the first was kept\n",
    );
}

#[test]
fn sessions_without_a_trade_make_no_bar_and_are_told() {
    check(
        "date,open,high,low,close,volume\n2024-01-02,10,11,9,10.5,500\n2024-01-03,0,0,0,10.5,0\n2024-01-04,null,null,null,null,null\n2024-01-05,0,0,0,0,0\n",
        "1d\n  2024-01-02 10 11 9 10.5 500\nhalted_sessions\nzero_rows\nempty_rows\n",
    );
}

#[test]
fn rows_that_contradict_others_are_slips_when_few_and_another_series_when_many() {
    let row = |day: usize, price: usize| format!("2024-01-{day:02},{price},{price},{price},{price},5\n");
    let body = |n_twice: usize| {
        let first = (1..=20).map(|day| row(day, 10 + day));
        let second = (1..=n_twice).map(|day| row(day, 500 + day));
        format!("date,open,high,low,close,volume\n{}", first.chain(second).collect::<String>())
    };
    check_code(body(4), "conflicting_duplicate");
    check_code(body(5), "conflicting_duplicate");
    check_code(body(6), "several_series");
}

#[test]
fn the_session_that_ends_a_weekly_file_is_no_week() {
    let week = |n: u64| {
        let monday = chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date") + chrono::Days::new(7 * n);
        format!("{monday},1,1,1,1,5\n")
    };
    let weeks: String = (0..12).map(week).collect();
    let told = told(&reading_with(
        format!("date,open,high,low,close,volume\n{weeks}2024-03-21,1,1,1,1,2\n").as_bytes(),
        &ReadOptions::default(),
    ));
    assert!(told.starts_with("1w\n") && told.ends_with("  2024-03-18 1 1 1 1 5\nrunning_period\n"), "{told}");
    let months: String =
        ["01-31", "02-29", "03-28", "04-30", "05-31", "06-28", "07-31", "08-30", "09-30", "10-31", "11-29"]
            .map(|date| format!("2024-{date},1,1,1,1,5\n"))
            .concat();
    for (last, is_running) in [("2024-12-20", true), ("2024-12-22", true), ("2024-12-23", false)] {
        let body = format!("date,open,high,low,close,volume\n{months}{last},1,1,1,1,2\n");
        let told = self::told(&reading_with(body.as_bytes(), &ReadOptions::default()));
        assert!(told.starts_with("1mo\n") && told.ends_with("running_period\n") == is_running, "{last} {told}");
    }
}

#[test]
fn many_tickers_in_one_file_and_one_in_each_header() {
    check(
        "종목코드,일자,시가,고가,저가,종가\n005930,20240102,1,1,1,1\n000660,20240102,2,2,2,2\n삼성,20240102,2,2,2,2\n",
        "005930 1d\n  2024-01-02 1 1 1 1 -\n000660 1d\n  2024-01-02 2 2 2 2 -\nline 4 ticker: \"삼성\" is not a ticker: use 1 to 32 letters, digits or . - = ^ _, and begin with a letter, a digit or ^\n",
    );
    let yfinance = "Price,Close,Close,High,High,Low,Low,Open,Open\nTicker,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT\nDate,,,,,,,,\n2024-01-02,1,2,1,2,1,2,1,2\n2024-01-03,1,,1,,1,,1,\n";
    check(yfinance, "AAPL 1d\n  2024-01-02 1 1 1 1 -\n  2024-01-03 1 1 1 1 -\nMSFT 1d\n  2024-01-02 2 2 2 2 -\n");
    check("Date,AAPL.Open,AAPL.High,AAPL.Low,AAPL.Close\n2024-01-02,1,1,1,1\n", "AAPL 1d\n  2024-01-02 1 1 1 1 -\n");
}

#[test]
fn what_is_no_price_file_is_refused_by_name() {
    for (body, code) in [
        ("", "empty_body"),
        ("\n\n \n", "empty_body"),
        ("date,open,high,low,close\n", "no_rows"),
        ("date,open,high,low,volume\n2024-01-02,1,1,1,1\n", "missing_column"),
        ("date,close,volume\n2024-01-02,1,1\n", "missing_column"),
        ("Date,AAPL,MSFT\n2024-01-02,1,2\n", "missing_column"),
        ("open,high,low,close,volume\n1,1,1,1,1\n", "missing_column"),
        ("date,open,high,low,close,Close\n2024-01-02,1,1,1,1,1\n", "duplicate_column"),
        ("time,bid,ask,last\n2024-01-02 09:00:00.1,1,2,1\n", "tick_data"),
        ("2024-01-02,1,2,1,1.5,500\n2024-01-03,1,2,1,1.5,500\n", "missing_header"),
        ("<!DOCTYPE html><html><title>Sign in</title>", "looks_like_html"),
        ("{\"error\":\"rate limit\"}", "error_body"),
        ("{\"bars\":[]}", "missing_column"),
        ("PAR1xxxx", "not_csv"),
        ("\u{1f}\u{8b}", "empty_body"),
        ("date,open,high,low,close\n03/04/2024,1,1,1,1\n", "ambiguous_date"),
        ("date;open;high;low;close\n2024-01-02;1,234;1,234;1,234;1,234\n", "ambiguous_number"),
        ("date,open,high,low,close\n2024-01-02\0,1,1,1,1\n", "nul_byte"),
        ("date,open,high,low,close\n2024-01-02,0,0,0,0\n", "no_usable_rows"),
        ("date,open,high,low,close\n2024-01-02,1,1,1,x\n", "no_usable_rows"),
        ("date,open,high,low,close\n2024-01-02,1,1,1,1\n2024-01-03,10\"0.5,1,1,1\n", "bad_quote"),
        ("date,open,high,low,close\n2024-01-02,1,1,1,1\n2024-01-03,\"1\n00\",1,1,1\n", "not_a_number"),
        ("date,open,high,low,close\n2024-01-02T00:00:00Z,1,1,1,1\n2024-01-03T00:00:00,1,1,1,1\n", "mixed_timezone"),
    ] {
        if code == "empty_body" && body.starts_with('\u{1f}') {
            check_code(b"\x1f\x8b\x08rest", "looks_like_gzip");
        } else {
            check_code(body, code);
        }
    }
    check_code(b"date,open,high,low,close\n2024-01-02,1,1,1,1\n\xed\xa0\x80,2,2,2,2\n", "invalid_utf8");
}

#[test]
fn options_decide_what_the_rows_leave_open() {
    let body = "date,open,high,low,close\n03/04/2024,1,1,1,1\n";
    let day_first = ReadOptions { date_format: Some("%d/%m/%Y".to_owned()), ..ReadOptions::default() };
    assert_eq!(told(&reading_with(body.as_bytes(), &day_first)), "1d\n  2024-04-03 1 1 1 1 -\n");
    let bare = "92/06/30,5,1,3,1,2\n";
    let named = ReadOptions {
        columns: Some("date,volume,open,high,low,close".to_owned()),
        date_format: Some("roc".to_owned()),
        ..ReadOptions::default()
    };
    assert_eq!(told(&reading_with(bare.as_bytes(), &named)), "1d\n  2003-06-30 1 3 1 2 5\n");
    let twice = "date,open,high,low,Last,Price\n2024-01-02,1,3,1,2,3\n";
    check_code(twice, "duplicate_column");
    let chosen = ReadOptions { columns: Some("close:Price".to_owned()), ..ReadOptions::default() };
    assert_eq!(told(&reading_with(twice.as_bytes(), &chosen)), "1d\n  2024-01-02 1 3 1 3 -\nno_volume\n");
    let adjusted = ReadOptions { price_basis: Some(PriceBasis::Adjusted), ..ReadOptions::default() };
    let yahoo = "Date,Open,High,Low,Close,Adj Close,Volume\n2024-01-02,10,12,8,10,5,500\n";
    assert_eq!(told(&reading_with(yahoo.as_bytes(), &adjusted)), "1d\n  2024-01-02 5 6 4 5 500\n");
}

#[test]
fn a_session_opens_with_its_earliest_row_whatever_the_order_of_the_file() {
    let daily = ReadOptions { resample: Some(Resample::Day), ..ReadOptions::default() };
    let header = "time,open,high,low,close,volume\n";
    let first =
        ["2024-01-02 09:30,10,11,9,10.5,5\n", "2024-01-02 10:30,10.5,12,10,11,6\n", "2024-01-02 11:30,11,11.5,8,9,7\n"];
    let second = ["2024-01-03 09:30,9,10,8.5,9.5,8\n", "2024-01-03 10:30,9.5,10,9,9.25,1\n"];
    let read = |rows: &[&str]| told(&reading_with((header.to_owned() + &rows.concat()).as_bytes(), &daily));
    let one_day = "1d 2 equal\n  2024-01-02 10 12 8 9 18\n";
    assert_eq!(read(&first), one_day);
    assert_eq!(read(&[first[2], first[1], first[0]]), one_day, "newest first");
    assert_eq!(read(&[first[1], first[2], first[0]]), one_day, "in no order");
    let both = "1d 3 equal\n  2024-01-02 10 12 8 9 18\n  2024-01-03 9 10 8.5 9.25 9\n";
    assert_eq!(read(&[&first[..], &second[..]].concat()), both);
    assert_eq!(read(&[second[1], second[0], first[2], first[1], first[0]]), both, "newest first");
    assert_eq!(read(&[second[0], second[1], first[0], first[1], first[2]]), both, "days newest first, hours not");
}

#[test]
fn a_row_whose_volume_is_too_much_for_its_session_is_refused_alone() {
    let daily = ReadOptions { resample: Some(Resample::Day), ..ReadOptions::default() };
    let body = format!(
        "time,open,high,low,close,volume\n2024-01-02 09:30,10,11,9,10.5,{max}\n2024-01-02 10:30,10.5,12,10,11,{max}\n\
         2024-01-03 09:30,9,10,8.5,9.5,8\n2024-01-03 10:30,9.5,10,9,9.25,1\n",
        max = Bar::MAX_VOLUME,
    );
    let reading = reading_with(body.as_bytes(), &daily).expect("two sessions");
    let only = &reading.tickers[0];
    let closes: Vec<f64> = only.series.bars().iter().map(Bar::close).collect();
    assert_eq!((closes, only.received, only.refused, only.duplicates), (vec![10.5, 9.25], 4, 1, 1));
    let [refusal] = reading.refusals.as_slice() else { panic!("{:?}", reading.refusals) };
    assert_eq!((refusal.line, refusal.column, refusal.code), (3, Some("volume"), "volume_out_of_range"));
    assert_eq!(reading.refusals_total, 1);
}

#[test]
fn each_limit_holds_on_both_sides() {
    let body = "date,open,high,low,close\n2024-01-02,1,1,1,1\n2024-01-03,1,1,1,1\n";
    let code = |limits: IngestLimits| {
        read(body.as_bytes(), BodyFormat::Csv, &ReadOptions::default(), &limits)
            .map_or_else(|error| error.code(), |_| "ok")
    };
    let limits = IngestLimits::default;
    assert_eq!(code(IngestLimits { max_rows: 2, ..limits() }), "ok");
    assert_eq!(code(IngestLimits { max_rows: 1, ..limits() }), "too_many_rows");
    assert_eq!(code(IngestLimits { max_columns: 5, ..limits() }), "ok");
    assert_eq!(code(IngestLimits { max_columns: 4, ..limits() }), "too_many_columns");
    assert_eq!(code(IngestLimits { max_inflated_bytes: body.len(), ..limits() }), "ok");
    assert_eq!(code(IngestLimits { max_inflated_bytes: body.len() - 1, ..limits() }), "inflated_too_large");
    let many = "date,open,high,low,close\n2024-01-02,1,1,1,1\nx,1,1,1,1\nx,1,1,1,1\n";
    let few = IngestLimits { max_refusals_reported: 1, ..limits() };
    let reading = read(many.as_bytes(), BodyFormat::Csv, &ReadOptions::default(), &few).expect("one bar");
    assert_eq!((reading.refusals.len(), reading.refusals_total, reading.received), (1, 2, 3));
    let tickers = "symbol,date,open,high,low,close\nA,2024-01-02,1,1,1,1\nB,2024-01-02,1,1,1,1\n";
    for (max_tickers, expected) in [(2, "ok"), (1, "too_many_tickers")] {
        let limits = IngestLimits { max_tickers, ..limits() };
        let answer = read(tickers.as_bytes(), BodyFormat::Csv, &ReadOptions::default(), &limits);
        assert_eq!(answer.map_or_else(|error| error.code(), |_| "ok"), expected);
    }
}
