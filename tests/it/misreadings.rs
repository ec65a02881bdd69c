//! Files that a careless reader takes for something else without a word: what must come of each.

use candlecast::ingest::{BodyFormat, IngestLimits, ReadError, ReadOptions, Reading, TickerReading, read};

fn reading(body: &str) -> Result<Reading, ReadError> {
    let format = if body.starts_with(['{', '[']) { BodyFormat::Json } else { BodyFormat::Csv };
    read(body.as_bytes(), format, &ReadOptions::default(), &IngestLimits::default())
}

/// The label of every bar, `ticker label` where the body names tickers; or the code of the error.
fn labels(body: &str) -> Vec<String> {
    let reading = match reading(body) {
        Ok(reading) => reading,
        Err(error) => return vec![error.code().to_owned()],
    };
    let label = |ticker: &TickerReading| -> Vec<String> {
        let name = ticker.ticker.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
        let interval = ticker.series.interval();
        ticker.series.bars().iter().map(|bar| format!("{name}{}", interval.label(bar.at()))).collect()
    };
    reading.tickers.iter().flat_map(label).collect()
}

/// Bars at these dates, each with prices of its own.
fn bars(dates: &[String]) -> String {
    let row = |(n, date): (usize, &String)| format!("{date},{},{},{},{}\n", 100 + n, 102 + n, 99 + n, 101 + n);
    format!("Date,Open,High,Low,Close\n{}", dates.iter().enumerate().map(row).collect::<String>())
}

fn days(first: &str, step: u64, n_days: usize) -> Vec<String> {
    let first: chrono::NaiveDate = first.parse().expect("a date");
    (0..n_days as u64).map(|n| (first + chrono::Days::new(step * n)).to_string()).collect()
}

fn last_after(mut dates: Vec<String>, last: &str) -> String {
    dates.push(last.to_owned());
    labels(&bars(&dates)).pop().unwrap_or_default()
}

#[test]
fn the_running_week_or_month_is_no_bar_on_any_of_its_days() {
    let mondays = || days("2024-01-01", 7, 12);
    for day in ["2024-03-19", "2024-03-22", "2024-03-24"] {
        assert_eq!(last_after(mondays(), day), "2024-03-18", "{day}");
    }
    assert_eq!(last_after(mondays(), "2024-03-25"), "2024-03-25");
    assert_eq!(last_after(mondays(), "2024-03-26"), "2024-03-26", "a week that a holiday shortens");
    let sundays = || days("2024-01-07", 7, 11);
    assert_eq!(last_after(sundays(), "2024-03-22"), "2024-03-17", "weeks that begin on Sundays");
    let fridays = || days("2024-01-05", 7, 12);
    assert_eq!(last_after(fridays(), "2024-03-28"), "2024-03-28", "before Good Friday");
    assert_eq!(last_after(fridays(), "2024-03-26"), "2024-03-22", "a Tuesday");

    let months = || (1..=12).map(|month| format!("2024-{month:02}-01")).collect::<Vec<_>>();
    for day in ["2024-12-02", "2024-12-17", "2024-12-31"] {
        assert_eq!(last_after(months(), day), "2024-12-01", "{day}");
    }
    assert_eq!(last_after(months(), "2025-01-02"), "2025-01-02");
}

/// Sunday to Thursday of three weeks, at times of the day by turns.
fn sundays_to_thursdays(times: &[&str]) -> Vec<String> {
    let dates = days("2024-01-07", 1, 19).into_iter().filter(|date| {
        let date: chrono::NaiveDate = date.parse().expect("a date");
        !matches!(chrono::Datelike::weekday(&date), chrono::Weekday::Fri | chrono::Weekday::Sat)
    });
    dates.enumerate().map(|(n, date)| format!("{date}{}", times[n * times.len() / 15])).collect()
}

fn first_and_codes(dates: &[String]) -> (String, Vec<&'static str>) {
    let reading = reading(&bars(dates)).expect("bars");
    let series = &reading.tickers[0].series;
    let codes = reading.warnings.iter().map(|warning| warning.code).collect();
    (series.interval().label(series.bars()[0].at()), codes)
}

#[test]
fn sessions_of_markets_that_trade_on_sundays_are_not_the_next_day_s() {
    let told = |times: &[&str]| first_and_codes(&sundays_to_thursdays(times));
    let (same, next) = ("2024-01-07".to_owned(), "2024-01-08".to_owned());
    // Closes in Riyadh, Cairo and Tel Aviv, and last minutes of days.
    for times in [
        &["T12:10:00Z"][..],
        &["T11:30:00Z", "T12:30:00Z"],
        &["T14:25:00Z", "T15:25:00Z"],
        &[" 23:59:00"],
        &[" 23:59:58"],
    ] {
        assert_eq!(told(times), (same.clone(), vec![]), "{times:?}");
    }
    // What could also be a midnight is told.
    for times in [&["T12:00:00Z"][..], &["T14:00:00Z", "T15:00:00Z"]] {
        assert_eq!(told(times), (same.clone(), vec!["time_zone_assumed"]), "{times:?}");
    }
    assert_eq!(told(&[" 23:00:00"]), (next.clone(), vec!["time_zone_assumed"]));
    // Midnights in Seoul, Sydney, Auckland and Delhi; openings in Osaka and Chicago.
    for times in [
        &["T15:00:00Z"][..],
        &["T14:00:00Z", "T13:00:00Z"],
        &["T12:00:00Z", "T11:00:00Z"],
        &["T18:30:00Z"],
        &["T23:45:00Z"],
        &["T22:00:00Z", "T23:00:00Z"],
    ] {
        assert_eq!(told(times), (next.clone(), vec![]), "{times:?}");
    }
}

#[test]
fn two_tickers_that_lack_columns_are_not_one() {
    let halves = "Date,AAPL.Open,AAPL.High,MSFT.Low,MSFT.Close\n2024-01-02,10,12,9,11\n";
    assert_eq!(labels(halves), ["missing_column"]);
    let beside = "Date,AAPL.Open,AAPL.High,AAPL.Low,AAPL.Close,MSFT.Open,MSFT.High,GOOG.Low,GOOG.Close\n\
                  2024-01-02,10,12,9,11,20,22,9,11\n";
    assert_eq!(labels(beside), ["AAPL 2024-01-02"]);
    let warnings = reading(beside).expect("bars").warnings;
    assert!(
        warnings.iter().any(|warning| warning.code == "columns_left_out" && warning.message.contains("GOOG, MSFT"))
    );
    assert_eq!(labels("Date,Open,High,Low,Close_AAPL\n2024-01-02,10,12,9,11\n"), ["2024-01-02"], "one ticker's");
}

#[test]
fn fractions_of_a_point_are_no_thousands() {
    let bonds = "Date,Open,High,Low,Close\n2024-01-02,110'160,110'317,110'005,110'200\n2024-01-03,110'200,111'000,110'120,110'310\n";
    assert_eq!(labels(bonds), ["ambiguous_number"]);
    assert_eq!(labels(&bonds.replace('\'', "-")), ["ambiguous_number"]);
    let swiss = ReadOptions { decimal: Some(".".to_owned()), ..ReadOptions::default() };
    let index = read(bonds.as_bytes(), BodyFormat::Csv, &swiss, &IngestLimits::default()).expect("chosen");
    assert!((index.tickers[0].series.bars()[0].open() - 110_160.0).abs() < 1e-9);
    assert_eq!(labels(&bonds.replace("110'317", "110'417")), ["2024-01-02", "2024-01-03"], "thousands");
    let gaps = bonds.replace("110'317", "110'161").replace("110'005,", "-,") + "2024-01-04,0,0,0,N/A\n";
    assert_eq!(labels(&gaps), ["ambiguous_number"], "cells without a price, and eighths of a thirty-second");
    let rows: Vec<&str> = bonds.lines().skip(1).collect();
    let beside =
        format!("Symbol,Date,Open,High,Low,Close\nES,2024-01-02,4790,4800,4780,4795\nZN,{}\nZN,{}\n", rows[0], rows[1]);
    assert_eq!(labels(&beside), ["ambiguous_number"], "beside another ticker's plain prices");
    let one_bar = beside.lines().take(3).map(|line| format!("{line}\n")).collect::<String>();
    assert_eq!(labels(&one_bar), ["ES 2024-01-02", "ZN 2024-01-02"], "one bar of several tickers' may be of thousands");
}

#[test]
fn years_of_two_digits_under_headers_of_taiwan_are_its_own_only_where_all_can_be() {
    let of_years = |dates: &[&str]| {
        let row = |date: &&str| format!("{date},100,102,99,101\n");
        format!("日期,開盤價,最高價,最低價,收盤價\n{}", dates.iter().map(row).collect::<String>())
    };
    assert_eq!(labels(&of_years(&["98/12/30", "98/12/31"])), ["2009-12-30", "2009-12-31"]);
    assert_eq!(labels(&of_years(&["99/12/31", "00/01/04", "00/01/05"])), ["ambiguous_date"]);
    assert_eq!(labels(&of_years(&["98/12/31", "24/02/05", "24/02/16"])), ["ambiguous_date"]);
}

#[test]
fn early_days_with_the_year_first_in_any_form_beside_late_ones_are_a_spreadsheet_s() {
    let early = (2..=12).map(|day| format!("2024/{day}/1"));
    let late = (15..=31).map(|day| format!("{day}/01/2024"));
    assert_eq!(labels(&bars(&early.chain(late).collect::<Vec<_>>())), ["ambiguous_date"]);
}

#[test]
fn a_row_whose_date_stands_in_three_columns_is_no_footer() {
    for n_rows in [3, 60] {
        let row = |n: usize| format!("SAP;2024;{};{};140,06;141,77;139,44;140,61\n", 1 + n / 28, 1 + n % 28);
        let body: String = (0..n_rows).map(row).collect();
        let labels = labels(&format!("Symbol;Year;Month;Day;Open;High;Low;Close\n{body}Source: invented;;;;;;;\n"));
        assert_eq!((labels.len(), labels[0].as_str()), (n_rows, "SAP 2024-01-01"));
    }
}

#[test]
fn a_header_of_too_many_columns_is_refused_before_its_names_are_compared() {
    let header = format!("Date,A.High,A.Low,{}", "A.Open,".repeat(100));
    assert_eq!(labels(&format!("{header}\n2024-01-02,1\n")), ["too_many_columns"]);
}

#[test]
fn a_day_s_last_second_is_that_day_s_in_markets_that_open_on_sundays() {
    let sundays_to_thursdays = [7, 8, 9, 10, 11, 14, 15, 16, 17, 18].map(|day| format!("2024-01-{day:02} 23:59:59"));
    assert_eq!(labels(&bars(&sundays_to_thursdays))[0], "2024-01-07");
}

#[test]
fn years_of_two_digits_in_a_column_of_their_own_are_years() {
    for body in ["24,Jan,2,1,2,1,2\n24,Feb,3,2,3,2,3\n", "24,1,2,1,2,1,2\n24,2,3,2,3,2,3\n"] {
        assert_eq!(labels(&format!("Year,Month,Day,Open,High,Low,Close\n{body}")), ["2024-01-02", "2024-02-03"]);
    }
}

#[test]
fn the_lowest_price_is_no_minute() {
    let body = "Date,Hour,Open,Max,Min,Close\n2024-01-02,9,20,22,19,21\n2024-01-03,9,21,23,20,22\n";
    let reading = reading(body).expect("bars");
    assert_eq!(reading.tickers[0].series.bars()[0].low(), 19.0);
    let hours = "Date,Hour,Min,Open,High,Low,Close\n2024-01-02,9,30,20,22,19,21\n2024-01-02,10,30,21,23,20,22\n";
    assert_eq!(labels(hours), ["2024-01-02T09:30:00Z", "2024-01-02T10:30:00Z"]);
}

#[test]
fn one_time_with_a_digit_too_many_does_not_change_the_others() {
    let hours = ["900", "1000", "1100", "1200", "1300", "1400", "15300"];
    let rows = hours.map(|time| format!("2024-01-02,{time},20,22,19,21\n")).concat();
    let labels = labels(&format!("Date,Time,Open,High,Low,Close\n{rows}"));
    let on_the_hour = (9..=14).map(|hour| format!("2024-01-02T{hour:02}:00:00Z"));
    assert!(on_the_hour.clone().all(|label| labels.contains(&label)), "{labels:?}");
}

#[test]
fn shares_are_the_volume_where_the_column_called_volume_is_their_worth() {
    let rows = "2024-01-02,100,103,99,102,183076275,1784205\n2024-01-03,102,104,101,103,102000000,1000000\n";
    let reading = reading(&format!("Date,Open,High,Low,Close,Volume,Shares\n{rows}")).expect("bars");
    assert_eq!(reading.tickers[0].series.bars()[0].volume(), Some(1_784_205.0));
}

#[test]
fn codes_of_companies_are_no_row_numbers() {
    let bar = |date: &str| format!(r#"{{"date":"{date}","open":10,"high":12,"low":9,"close":11}}"#);
    let keyed = |keys: [(&str, &str); 2]| {
        let parts = keys.map(|(key, date)| format!("{key:?}:{}", bar(date))).join(",");
        labels(&format!("{{{parts}}}"))
    };
    let two = ["005930 2024-01-02", "000660 2024-01-02"];
    let mut found = keyed([("005930", "2024-01-02"), ("000660", "2024-01-02")]);
    found.sort_unstable_by(|a, b| b.cmp(a));
    assert_eq!(found, two);
    let rows = ["2024-01-02", "2024-01-03"];
    assert_eq!(keyed([("0", rows[0]), ("1", rows[1])]), rows);
    assert_eq!(keyed([("1100", rows[0]), ("1101", rows[1])]), rows, "the tail of a frame");
    assert_eq!(keyed([("1100", rows[0]), ("1103", rows[1])]), rows, "the tail of a filtered frame");
    assert_eq!(keyed([("7203", rows[0]), ("9984", rows[0])]), ["7203 2024-01-02", "9984 2024-01-02"]);
    let of = |ticker: &str| bar(rows[0]).replacen('{', &format!(r#"{{"symbol":"{ticker}","#), 1);
    let one_day = format!(r#"{{"1000":{},"1005":{}}}"#, of("AAPL"), of("MSFT"));
    assert_eq!(labels(&one_day), ["AAPL 2024-01-02", "MSFT 2024-01-02"], "one day of a filtered frame");
    let column = |name: &str, values: [&str; 2]| format!(r#""{name}":{{"1100":{},"1103":{}}}"#, values[0], values[1]);
    let prices = ["open", "high", "low", "close"].map(|name| column(name, ["10", "10"])).join(",");
    let days = column("date", [r#""2024-01-02""#, r#""2024-01-03""#]);
    assert_eq!(labels(&format!("{{{days},{prices}}}")), rows, "by column");
    let day = column("date", [r#""2024-01-02""#, r#""2024-01-02""#]);
    let tickers = column("symbol", [r#""AAPL""#, r#""MSFT""#]);
    assert_eq!(labels(&format!("{{{day},{prices},{tickers}}}")), ["AAPL 2024-01-02", "MSFT 2024-01-02"], "by column");
}

#[test]
fn a_ticker_that_contradicts_itself_does_not_cost_the_others() {
    let rows = |ticker: &str, day: usize, close: usize| format!("{ticker},2024-01-{day:02},20,29,19,{close}\n");
    let whole: String = (2..12).map(|day| rows("BBB", day, 21)).collect();
    let torn: String = (2..12).map(|day| rows("AAA", day, 22) + &rows("AAA", day, 23)).collect();
    let header = "Ticker,Date,Open,High,Low,Close\n";
    let both = reading(&format!("{header}{torn}{whole}")).expect("one is whole");
    let told: Vec<(String, usize, usize, usize)> = both
        .tickers
        .iter()
        .map(|t| {
            (t.ticker.as_ref().map(ToString::to_string).unwrap_or_default(), t.received, t.refused, t.series.len())
        })
        .collect();
    assert_eq!(told, [("AAA".to_owned(), 20, 20, 0), ("BBB".to_owned(), 10, 0, 10)]);
    assert_eq!(both.refusals_total, 20);
    assert_eq!(labels(&format!("{header}{torn}")), ["several_series"]);
}

#[test]
fn two_typing_errors_among_many_dates_are_refused_alone() {
    let mut dates = days("2020-01-01", 1, 400);
    (dates[100], dates[200]) = ("2020-15-04".to_owned(), "2020-16-07".to_owned());
    let reading = reading(&bars(&dates)).expect("bars");
    assert_eq!((reading.refusals_total, reading.tickers[0].series.len()), (2, 398));
}

#[test]
fn a_page_is_a_table_s_only_with_a_table() {
    let page = "<html><title>Prices</title><p>Date</p><p>Open</p><p>High</p><p>Low</p></html>";
    let error = reading(page).expect_err("a page");
    assert!(error.to_string().contains("not a price file"), "{error}");
}

/// Rows with these first cells, each with prices of its own.
fn rows_under(header: &str, cells: &[&str]) -> String {
    let row = |(n, cell): (usize, &&str)| format!("{cell},{},{},{},{}\n", 100 + n, 102 + n, 99 + n, 101 + n);
    format!("{header},Open,High,Low,Close\n{}", cells.iter().enumerate().map(row).collect::<String>())
}

#[test]
fn a_time_takes_the_place_of_a_date_only_where_it_is_of_the_same_day() {
    let labels = |cells: &[&str]| labels(&rows_under("Date,Time", cells));
    let whole = ["2024-01-02,2024-01-02 09:30:00", "2024-01-02,2024-01-02 09:31:00", "2024-01-02,2024-01-02 09:32:00"];
    assert_eq!(labels(&whole)[1], "2024-01-02T09:31:00Z");
    let midnight = whole.map(|cells| cells.replace(',', " 00:00:00,"));
    assert_eq!(labels(&midnight.each_ref().map(String::as_str))[1], "2024-01-02T09:31:00Z");
    // Times of day as a spreadsheet and a feed export them: of no day at all.
    let spreadsheet = whole.map(|cells| cells.replace(",2024-01-02", ",1899-12-30"));
    let feed = ["20240102,093000000", "20240102,093100000", "20240102,093200000"];
    for cells in [spreadsheet.each_ref().map(String::as_str), feed] {
        assert_eq!(labels(&cells), ["no_usable_rows"]);
    }
}

#[test]
fn a_header_s_zone_is_taken_only_where_it_is_understood() {
    let first = |header: &str, cells: &[&str]| labels(&rows_under(header, cells)).first().cloned().unwrap_or_default();
    let hours = ["2024-01-02 09:00", "2024-01-02 10:00", "2024-01-02 11:00", "2024-01-02 12:00"];
    let codes = |header: &str| {
        let read = reading(&rows_under(header, &hours)).expect("bars");
        read.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>()
    };
    for sure in ["Time (UTC)", "Gmt time", "Time (UTC+3)"] {
        assert!(!codes(sure).contains(&"time_zone_assumed"), "{sure}");
    }
    for unsure in ["Time (UTC+5:30)", "Time [UTC+3]", "Time GMT+8", "Time (EET)"] {
        assert!(codes(unsure).contains(&"time_zone_assumed"), "{unsure}");
    }
    let own = ["2024-01-02 09:00", "2024-01-02 10:00", "2024-01-02 11:00", "2024-01-02 12:00Z", "2024-01-02 13:00"];
    assert_eq!(first("Time (UTC)", &own), "2024-01-02T09:00:00Z", "one row that tells its own zone costs no other");
}

#[test]
fn words_that_are_tickers_too_are_tickers_in_capitals() {
    let header = |ticker: &str| ["Open", "High", "Low", "Close"].map(|price| format!("{ticker}_{price}")).join(",");
    let rows: String = days("2024-01-02", 1, 5).iter().map(|day| format!("{day},1,2,1,2,11,12,11,12\n")).collect();
    let told = labels(&format!("Date,{},{}\n{rows}", header("AR"), header("AAPL")));
    assert_eq!((told.len(), told[0].as_str(), told[5].as_str()), (10, "AR 2024-01-02", "AAPL 2024-01-02"));
    let hungarian = "Dátum,Nyitó ár,Maximum ár,Minimum ár,Záró ár\n2024-01-02,1,2,1,2\n2024-01-03,1,2,1,2\n";
    assert_eq!(labels(hungarian).len(), 2);
}

#[test]
fn a_month_beside_a_date_is_not_the_date() {
    let cells = ["2024-01,2024-01-02", "2024-01,2024-01-03", "2024-01,2024-01-04"];
    assert_eq!(labels(&rows_under("Month,Quote Day", &cells)), ["2024-01-02", "2024-01-03", "2024-01-04"]);
}

#[test]
fn of_two_series_of_a_day_the_main_one_is_the_day_s_bar() {
    let rows = "SYN,BL,04-Jan-2024,105,105,105,105\nSYN,EQ,04-Jan-2024,104.5,107,104,106\nSYN,EQ,03-Jan-2024,103,106,103,104\n";
    let reading = reading(&format!("Symbol,Series,Date,Open,High,Low,Close\n{rows}")).expect("bars");
    let closes: Vec<f64> = reading.tickers[0].series.bars().iter().map(candlecast::domain::Bar::close).collect();
    assert_eq!(closes, [104.0, 106.0]);
    assert_eq!((reading.refusals[0].line, reading.refusals[0].code), (2, "other_series"));
    // A share that was moved to another series has no bar of the main one on those days.
    let moved = rows.replace("SYN,EQ,03", "SYN,BE,03");
    assert_eq!(labels(&format!("Symbol,Series,Date,Open,High,Low,Close\n{moved}")).len(), 2);
}

#[test]
fn a_ticker_on_the_first_of_its_rows_is_that_of_the_rows_below() {
    let body = |tickers: [&str; 6]| {
        let row = |(n, ticker): (usize, &&str)| format!("{ticker},2024-01-0{},1{n}1,1{n}3,1{n}0,1{n}2\n", 2 + n % 3);
        format!("Symbol,Date,Open,High,Low,Close\n{}", tickers.iter().enumerate().map(row).collect::<String>())
    };
    let expected =
        ["AB 2024-01-02", "AB 2024-01-03", "AB 2024-01-04", "CD 2024-01-02", "CD 2024-01-03", "CD 2024-01-04"];
    assert_eq!(labels(&body(["AB", "", "", "CD", "", ""])), expected);
    // Missing here and there, it could be any.
    let some = reading(&body(["AB", "AB", "", "CD", "CD", "CD"])).expect("bars");
    assert_eq!((some.refusals_total, some.refusals[0].code), (1, "bad_ticker"));
}

#[test]
fn a_column_that_may_name_tickers_does_so_only_where_it_tells_rows_of_a_day_apart() {
    let body = |column: &str, of: fn(usize) -> String| {
        let row = |n: usize| format!("2024-01-0{},{},1{n},1{n}.5,1{n},1{n}.2\n", 2 + n % 4, of(n));
        format!("Date,{column},Open,High,Low,Close\n{}", (0..8).map(row).collect::<String>())
    };
    assert_eq!(labels(&body("Coin", |n| ["BTC", "ETH"][n / 4].to_owned()))[..2], ["BTC 2024-01-02", "BTC 2024-01-03"]);
    let days = |column: &str, of: fn(usize) -> String| {
        let row = |n: usize| format!("2024-01-0{},{},1{n},1{n}.5,1{n},1{n}.2\n", 2 + n, of(n));
        labels(&format!("Date,{column},Open,High,Low,Close\n{}", (0..4).map(row).collect::<String>()))
    };
    let plain = ["2024-01-02", "2024-01-03", "2024-01-04", "2024-01-05"];
    assert_eq!(days("Contract", |n| (1000 + n).to_string()), plain, "a count");
    assert_eq!(days("Contract", |n| ["CLG24", "CLH24"][n / 2].to_owned()), plain, "one series by turns");
    assert_eq!(days("Asset", |_| "EQUITY".to_owned()), plain);
}

#[test]
fn a_zone_beside_the_bars_moves_no_date_that_is_written_as_a_midnight() {
    let body = |times: [&str; 2]| {
        let bar = |time: &str| format!(r#"{{"date":"{time}","open":10,"high":12,"low":9,"close":11}}"#);
        let bars = times.map(bar).join(",");
        format!(r#"{{"timezone":{{"timezone":"America/New_York"}},"data":[{bars}]}}"#)
    };
    let midnights = body(["2024-01-02T00:00:00+0000", "2024-01-03T00:00:00+0000"]);
    assert_eq!(labels(&midnights), ["2024-01-02", "2024-01-03"]);
    let local = body(["2024-01-02 09:30:00", "2024-01-02 09:31:00"]);
    assert_eq!(labels(&local), ["2024-01-02T14:30:00Z", "2024-01-02T14:31:00Z"]);
    assert_eq!(reading(&local).expect("minutes").warnings[0].code, "time_zone_told");
}

#[test]
fn a_comma_within_a_volume_is_no_nameless_column() {
    let rows = "2024-01-02,10,12,9,11,271,430\n2024-01-03,11,13,10,12,272,430\n";
    assert_eq!(labels(&format!("Date,Open,High,Low,Close,Volume\n{rows}")), ["row_width"]);
}
