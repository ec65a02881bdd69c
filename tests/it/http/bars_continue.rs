//! A few bars sent to a stored series are of its interval, or refused.

use axum::http::StatusCode;
use serde_json::json;

use crate::support::app::TestApp;

/// What `rows` come to when they are sent after `weeks` or `hours`.
async fn appended(history: &str, rows: &str, path: &str) -> serde_json::Value {
    const HEADER: &str = "date,open,high,low,close,volume\n";
    let app = TestApp::new().await;
    let first = app.post_csv("/v1/tickers/SHORT/bars", format!("{HEADER}{history}")).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let header = if path == "/v1/bars" { "ticker,date,open,high,low,close,volume\n" } else { HEADER };
    let mut told = app.post_csv(path, format!("{header}{rows}")).await.json();
    told["interval"] = app.get("/v1/tickers/SHORT").await.json()["interval"].clone();
    told
}

#[tokio::test]
async fn a_few_bars_take_the_interval_of_the_series_that_they_continue() {
    let day = |n: i64| chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date") + chrono::Duration::days(n);
    let weeks: String = (0..12).map(|week| format!("{},10,11,9,10.5,5\n", day(7 * week))).collect();
    let hours: String = (0..12).map(|hour| format!("2024-01-02T{hour:02}:00:00Z,10,11,9,10.5,5\n")).collect();
    let one = "/v1/tickers/SHORT/bars";
    for (history, rows, path, inserted, last) in [
        (&weeks, "2024-03-25,10,11,9,10.5,5\n", one, 1, "2024-03-25"),
        (
            &weeks,
            "2024-03-18,10,11,9,10.5,5\n2024-03-25,10,11,9,10.5,5\n2024-04-01,10,11,9,10.5,5\n",
            one,
            2,
            "2024-04-01",
        ),
        (&weeks, "SHORT,2024-03-25,10,11,9,10.5,5\n", "/v1/bars", 1, "2024-03-25"),
        (&hours, "2024-01-03T09:00:00Z,10,11,9,10.5,5\n", one, 1, "2024-01-03T09:00:00Z"),
        (
            &hours,
            "2024-01-03T15:00:00Z,10,11,9,10.5,5\n2024-01-04T09:00:00Z,10,11,9,10.5,5\n",
            one,
            2,
            "2024-01-04T09:00:00Z",
        ),
    ] {
        let told = appended(history, rows, path).await;
        assert_eq!(
            (&told["inserted"], &told["dialect"]["interval"]),
            (&json!(inserted), &told["interval"]),
            "{rows} {told}"
        );
        if path == one {
            assert_eq!(told["last"], json!(last), "{rows} {told}");
        }
    }
    let fridays: String = (0..12).map(|week| format!("{},10,11,9,10.5,5\n", day(7 * week + 4))).collect();
    let weekend = "2024-01-05T20:30:00Z,10,11,9,10.5,5\n2024-01-08T14:30:00Z,10,11,9,10.5,5\n";
    for (history, rows, inserted) in [(&weeks, weeks.as_str(), 0), (&hours, weekend, 2)] {
        assert_eq!(appended(history, rows, one).await["inserted"], inserted, "{rows}");
    }
    // What cannot be of the series is refused as before.
    for (history, rows) in [
        (&weeks, "2024-03-25,10,11,9,10.5,5\n2024-03-26,10,11,9,10.5,5\n"),
        (&weeks, "2024-03-22,10,11,9,10.5,5\n2024-03-25,10,11,9,10.5,5\n"),
        (&weeks, fridays.as_str()),
        (
            &hours,
            "2024-01-03T09:00:00Z,10,11,9,10.5,5\n2024-01-03T09:15:00Z,10,11,9,10.5,5\n2024-01-03T09:30:00Z,10,11,9,10.5,5\n",
        ),
        (&hours, "2024-01-03,10,11,9,10.5,5\n"),
    ] {
        assert_eq!(appended(history, rows, one).await["code"], "interval_mismatch", "{rows}");
    }
}

#[tokio::test]
async fn days_sent_to_a_weekly_or_monthly_series_are_refused_also_one_at_a_time() {
    let day = |n: i64| chrono::NaiveDate::from_ymd_opt(2024, 1, 1).expect("a date") + chrono::Duration::days(n);
    let weeks: String = (0..12).map(|week| format!("{},10,11,9,10.5,5\n", day(7 * week))).collect();
    let months: String = (0..12).map(|month| format!("2024-{:02}-01,10,11,9,10.5,5\n", month + 1)).collect();
    for (history, date, is_refused) in [
        // Weeks end with that of Monday, 18 March.
        (&weeks, "2024-03-19", true),
        (&weeks, "2024-03-22", true),
        (&weeks, "2024-03-25", false),
        // A holiday moves a week's first session.
        (&weeks, "2024-03-26", false),
        (&weeks, "2024-03-18", false),
        (&weeks, "2024-01-11", true),
        (&months, "2024-12-20", true),
        (&months, "2025-01-02", false),
        (&months, "2024-06-01", false),
        (&months, "2024-06-03", true),
    ] {
        for (ticker, path) in [("", "/v1/tickers/SHORT/bars"), ("SHORT,", "/v1/bars")] {
            let told = appended(history, &format!("{ticker}{date},10,11,9,10.5,5\n"), path).await;
            let expected = if is_refused { json!("interval_mismatch") } else { json!(null) };
            assert_eq!(told["code"], expected, "{date} {told}");
        }
    }
}

#[tokio::test]
async fn a_week_that_was_not_over_is_replaced_by_its_end() {
    let day = |n: i64| chrono::NaiveDate::from_ymd_opt(2024, 1, 5).expect("a date") + chrono::Duration::days(n);
    let row = |date: &dyn std::fmt::Display, close: u32| format!("{date},10,19,9,{close},5\n");
    // Fridays, and the Thursday on which the file was exported.
    let fridays: String = (0..9).map(|week| row(&day(7 * week), 12)).collect();
    let exported = format!("{fridays}{}", row(&"2024-03-07", 13));
    let next = format!("{}{}", row(&"2024-03-08", 14), row(&"2024-03-15", 15));
    let app = TestApp::new().await;
    let (path, header) = ("/v1/tickers/SHORT/bars", "date,open,high,low,close,volume\n");
    assert_eq!(app.post_csv(path, format!("{header}{exported}")).await.json()["inserted"], 10);
    let kept = app.post_csv(&format!("{path}?on_conflict=keep"), format!("{header}{next}")).await.json();
    assert_eq!(
        (&kept["code"], &kept["session"], &kept["beside"]),
        (&json!("interval_mismatch"), &json!("2024-03-08"), &json!("2024-03-07"))
    );
    let told = app.post_csv(path, format!("{header}{fridays}{next}")).await.json();
    assert_eq!(
        (&told["inserted"], &told["updated"], &told["bars_total"]),
        (&json!(1), &json!(1), &json!(11)),
        "{told}"
    );
    let bars = app.get(&format!("{path}?from=2024-03-01")).await.json();
    let sessions: Vec<&str> =
        bars["bars"].as_array().expect("bars").iter().filter_map(|b| b["session"].as_str()).collect();
    assert_eq!(sessions, ["2024-03-01", "2024-03-08", "2024-03-15"]);
    let again = app.post_csv(path, format!("{header}{fridays}{next}")).await.json();
    assert_eq!(again["unchanged"], 11, "{again}");
    let thursday = app.post_csv(path, format!("{header}{}", row(&"2024-03-14", 15))).await.json();
    assert_eq!(thursday["code"], "interval_mismatch", "an earlier day does not replace a later one");
}

#[tokio::test]
async fn a_bar_of_another_length_is_refused_by_a_series_within_the_day_also_alone() {
    // Until 11:00 on 1 January.
    let hours: String = (0..12).map(|hour| format!("2024-01-01T{hour:02}:00:00Z,10,11,9,10.5,5\n")).collect();
    for (times, is_refused) in [
        (&["2024-01-02T09:00:00Z"] as &[&str], false),
        (&["2024-01-01T12:00:00Z"], false),
        (&["2024-01-01T11:00:00Z"], false),
        (&["2024-01-01T11:15:00Z"], true),
        // One bar a day.
        (&["2024-01-02T11:00:00Z"], true),
        (&["2024-01-02T14:30:00Z", "2024-01-03T14:30:00Z", "2024-01-04T14:30:00Z"], true),
        (&["2024-01-02 00:00:00", "2024-01-03 00:00:00", "2024-01-04 00:00:00"], true),
        (&["2024-01-02T12:00:00Z", "2024-01-02T16:00:00Z", "2024-01-02T20:00:00Z"], true),
    ] {
        let rows: String = times.iter().map(|time| format!("{time},10,11,9,10.5,5\n")).collect();
        let told = appended(&hours, &rows, "/v1/tickers/SHORT/bars").await;
        let expected = if is_refused { json!("interval_mismatch") } else { json!(null) };
        assert_eq!(told["code"], expected, "{times:?} {told}");
    }
}
