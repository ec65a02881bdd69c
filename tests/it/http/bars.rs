//! Prices in and out, from outside.

use axum::http::{Method, StatusCode};
use candlecast::ingest::ReadOptions;
use insta::assert_snapshot;
use serde_json::json;

use crate::support::app::{TestApp, csv};

pub(super) const TWO: &str =
    "Date,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n2024-01-03,10.5,12,10,11,600\n";
const ONE_BAD: &str = "Date,Open,High,Low,Close,Volume\n2024-01-02,10,11,9,10.5,500\n2024-01-03,10.5,9,11,11,600\n";

#[tokio::test]
async fn a_price_history_is_stored_counted_and_read_back() {
    let app = TestApp::new().await;
    assert_snapshot!(app.post_csv("/v1/tickers/aapl/bars", TWO).await.shown(), @r#"
    200 OK
    {
      "bars_total": 2,
      "data_version": 1,
      "dialect": {
        "columns": {
          "close": "Close",
          "date": "Date",
          "high": "High",
          "low": "Low",
          "open": "Open",
          "volume": "Volume"
        },
        "date_format": "%Y-%m-%d",
        "decimal": ".",
        "delimiter": ",",
        "encoding": "utf-8",
        "interval": "1d",
        "name": "generic",
        "order": "ascending",
        "price_basis": "raw",
        "query": "columns=date%3ADate%2Copen%3AOpen%2Chigh%3AHigh%2Clow%3ALow%2Cclose%3AClose%2Cvolume%3AVolume&date_format=%25Y-%25m-%25d&decimal=.&delimiter=%2C&encoding=utf-8",
        "why_date_format": "every date shows its year"
      },
      "dry_run": false,
      "first": "2024-01-02",
      "inserted": 2,
      "job": null,
      "last": "2024-01-03",
      "received": 2,
      "refusals": [],
      "refusals_truncated": false,
      "refused": 0,
      "ticker": "AAPL",
      "unchanged": 0,
      "updated": 0,
      "warnings": [
        {
          "code": "calendar_assumed",
          "message": "the dates do not tell which market they are of: every day from Monday to Friday is taken for a session, holidays too; pass calendar, as in calendar=XNYS",
          "session": null,
          "ticker": "AAPL"
        }
      ]
    }
    "#);
    let again = app.post_csv("/v1/tickers/AAPL/bars", TWO).await.json();
    assert_eq!((&again["unchanged"], &again["inserted"], &again["data_version"]), (&json!(2), &json!(0), &json!(1)));
    let changed = app.post_csv("/v1/tickers/AAPL/bars", TWO.replace("11,600", "11.5,600")).await.json();
    assert_eq!(
        (&changed["updated"], &changed["unchanged"], &changed["data_version"]),
        (&json!(1), &json!(1), &json!(2))
    );
    assert_snapshot!(app.get("/v1/tickers/AAPL/bars").await.shown(), @r#"
    200 OK
    {
      "bars": [
        {
          "close": 10.5,
          "high": 11.0,
          "low": 9.0,
          "open": 10.0,
          "session": "2024-01-02",
          "volume": 500.0
        },
        {
          "close": 11.5,
          "high": 12.0,
          "low": 10.0,
          "open": 10.5,
          "session": "2024-01-03",
          "volume": 600.0
        }
      ],
      "next_cursor": null
    }
    "#);
    let csv = app.get("/v1/tickers/AAPL/bars?format=csv").await;
    assert_snapshot!(csv.text(), @r#"
    session,open,high,low,close,volume
    2024-01-02,10.0,11.0,9.0,10.5,500.0
    2024-01-03,10.5,12.0,10.0,11.5,600.0
    "#);
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    let parquet = app.get("/v1/tickers/AAPL/bars?format=parquet").await;
    let sent = app
        .send_body(Method::POST, "/v1/tickers/COPY/bars", parquet.header("content-type"), parquet.body.clone())
        .await;
    assert_eq!(sent.json()["inserted"], 2, "{}", sent.text());
}

#[tokio::test]
async fn bars_are_paged_without_a_gap() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/AAPL/bars?train=never", csv(10)).await;
    let all = app.get("/v1/tickers/AAPL/bars").await.json();
    let first = app.get("/v1/tickers/AAPL/bars?limit=4").await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = app.get(&format!("/v1/tickers/AAPL/bars?cursor={cursor}")).await.json();
    let bars = |page: &serde_json::Value| page["bars"].as_array().unwrap().clone();
    assert_eq!([bars(&first), bars(&rest)].concat(), bars(&all));
    assert_eq!(rest["next_cursor"], json!(null));
    assert_eq!(app.get("/v1/tickers/AAPL/bars?limit=4&format=csv").await.header("x-next-cursor"), cursor);
    let span = app.get("/v1/tickers/AAPL/bars?from=2020-01-02&to=2020-01-03").await.json();
    assert_eq!(bars(&span).len(), 2);
    assert_eq!(app.get("/v1/tickers/AAPL/bars?from=then").await.json()["code"], "bad_query");
    assert_eq!(app.get("/v1/tickers/AAPL/bars?cursor=x").await.json()["code"], "bad_cursor");
    assert_eq!(app.get("/v1/tickers/AAPL/bars?limit=100001").await.json()["code"], "out_of_range");
}

#[tokio::test]
async fn one_bad_row_costs_itself_or_all_of_the_body_as_asked() {
    let app = TestApp::new().await;
    assert_snapshot!(app.post_csv("/v1/tickers/AAPL/bars?on_error=reject", ONE_BAD).await.shown(), @r#"
    422 Unprocessable Entity
    {
      "code": "high_below_low",
      "column": "high",
      "detail": "1 of 2 rows are no bars; line 3: high 9 is below low 11",
      "line": 3,
      "received": 2,
      "refusals": [
        {
          "code": "high_below_low",
          "column": "high",
          "line": 3,
          "message": "high 9 is below low 11",
          "text": "9"
        }
      ],
      "refused": 1,
      "request_id": "[request_id]",
      "status": 422,
      "text": "9",
      "title": "High below low",
      "type": "/docs/problems#high_below_low"
    }
    "#);
    assert_eq!(app.get("/v1/tickers/AAPL").await.status, StatusCode::NOT_FOUND, "nothing is stored after a refusal");
    let dry = app.post_csv("/v1/tickers/AAPL/bars?dry_run=true", ONE_BAD).await.json();
    assert_eq!((&dry["inserted"], &dry["refused"], &dry["dry_run"]), (&json!(1), &json!(1), &json!(true)));
    assert_eq!(app.get("/v1/tickers/AAPL").await.status, StatusCode::NOT_FOUND, "a dry run stores nothing");
    let stored = app.post_csv("/v1/tickers/AAPL/bars", ONE_BAD).await.json();
    assert_eq!((&stored["inserted"], &stored["refusals"][0]["line"]), (&json!(1), &json!(3)));
    let nothing = app.post_csv("/v1/tickers/NONE/bars", "Date,Open,High,Low,Close\n2024-01-03,10,9,11,11\n").await;
    assert_eq!((nothing.status.as_u16(), &nothing.json()["code"]), (422, &json!("no_usable_rows")));
}

#[tokio::test]
async fn a_stored_bar_is_replaced_kept_or_defended_as_asked() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/AAPL/bars", TWO).await;
    let other = TWO.replace("11,600", "11.5,600");
    let refused = app.post_csv("/v1/tickers/AAPL/bars?on_conflict=reject", other.clone()).await;
    assert_snapshot!(refused.shown(), @r#"
    409 Conflict
    {
      "code": "bar_conflict",
      "detail": "AAPL 2024-01-03 is stored with other values: 10.5 12 10 11 600, sent: 10.5 12 10 11.5 600.",
      "request_id": "[request_id]",
      "session": "2024-01-03",
      "status": 409,
      "ticker": "AAPL",
      "title": "Bar conflict",
      "type": "/docs/problems#bar_conflict"
    }
    "#);
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars?on_conflict=keep", other.clone()).await.json()["unchanged"], 2);
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", other).await.json()["updated"], 1);
}

#[tokio::test]
async fn many_tickers_come_in_one_file() {
    let app = TestApp::new().await;
    let file = "date,open,high,low,close,volume,Name\n2024-01-02,10,11,9,10.5,500,AAPL\n2024-01-02,20,21,19,20.5,500,MSFT\n2024-01-03,20,21,19,20.5,500,MSFT\n";
    let answer = app.post_csv("/v1/bars", file).await.json();
    assert_eq!((&answer["tickers"], &answer["inserted"], &answer["received"]), (&json!(2), &json!(3), &json!(3)));
    assert_eq!((&answer["per_ticker"][1]["ticker"], &answer["per_ticker"][1]["inserted"]), (&json!("MSFT"), &json!(2)));
    assert_eq!(app.post_csv("/v1/bars", TWO).await.json()["code"], "no_ticker_column");
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", file).await.json()["code"], "ticker_mismatch");
    let one = "date,open,high,low,close,volume,Name\n2024-01-02,10,11,9,10.5,500,MSFT\n";
    assert_eq!(app.post_csv("/v1/tickers/AAPL/bars", one).await.json()["code"], "ticker_mismatch");
}

#[tokio::test]
async fn every_option_of_reading_is_a_query_parameter() {
    let document = TestApp::new().await.get("/openapi.json").await.json();
    let options = serde_json::to_value(ReadOptions::default()).unwrap();
    for path in ["/v1/bars", "/v1/tickers/{ticker}/bars"] {
        let parameters = document["paths"][path]["post"]["parameters"].as_array().unwrap();
        for option in options.as_object().unwrap().keys() {
            assert!(parameters.iter().any(|parameter| parameter["name"] == *option), "{path}: {option}");
        }
    }
}

#[tokio::test]
async fn a_file_within_the_day_is_read_in_its_zone_and_put_together_to_sessions() {
    let app = TestApp::new().await;
    let hours = "time,open,high,low,close,volume\n2024-01-02 09:30,10,11,9,10.5,5\n2024-01-02 10:30,10.5,12,10,11,6\n\
        2024-01-02 11:30,11,11.5,8,9,7\n2024-01-03 09:30,9,10,8.5,9.5,8\n";
    let stored = app.post_csv("/v1/tickers/ZONED/bars?timezone=%2B09:00", hours).await.json();
    assert_eq!((&stored["first"], &stored["inserted"]), (&json!("2024-01-02T00:30:00Z"), &json!(4)), "{stored}");
    let daily = app.post_csv("/v1/tickers/DAILY/bars?resample=1d", hours).await.json();
    assert_eq!((&daily["inserted"], &daily["last"]), (&json!(2), &json!("2024-01-03")), "{daily}");
    let bar = app.get("/v1/tickers/DAILY/bars?limit=1").await.json()["bars"][0].clone();
    assert_eq!(
        bar,
        json!({"session": "2024-01-02", "open": 10.0, "high": 12.0, "low": 8.0, "close": 9.0, "volume": 18.0})
    );
    let split = "date,open,high,low,close,volume\n2024-01-02,100,101,99,100,5\n2024-01-03,100,102,99,100,5\n\
        2024-01-04,20,20.3,19.8,20,25\n2024-01-05,20,20.2,19.9,20.1,25\n";
    app.post_csv("/v1/tickers/SPLIT/bars?adjust=split", split).await;
    let first = app.get("/v1/tickers/SPLIT/bars?limit=1").await.json()["bars"][0].clone();
    assert_eq!((&first["close"], &first["volume"]), (&json!(20.0), &json!(25.0)));
    for query in ["adjust=dividends", "resample=1w", "timezone=Mars"] {
        let refused = app.post_csv(&format!("/v1/tickers/NONE/bars?{query}"), hours).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{query}: {}", refused.text());
    }
}

#[tokio::test]
async fn bars_on_another_level_than_those_stored_are_told() {
    let app = TestApp::new().await;
    app.post_csv("/v1/tickers/AAPL/bars", TWO).await;
    let codes = |answer: &serde_json::Value| -> Vec<String> {
        let warnings = answer["warnings"].as_array().cloned().unwrap_or_default();
        warnings.iter().filter_map(|warning| warning["code"].as_str().map(str::to_owned)).collect()
    };
    let next = "Date,Open,High,Low,Close,Volume\n2024-01-04,11,12,10,11.5,500\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars?dry_run=true", next).await.json();
    assert!(!codes(&answer).contains(&"level_break".to_owned()), "{answer}");
    let other_unit = "Date,Open,High,Low,Close,Volume\n2024-01-04,7000,7100,6900,7050,500\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars", other_unit).await.json();
    assert!(codes(&answer).contains(&"level_break".to_owned()), "{answer}");
    let same_days = "Date,Open,High,Low,Close,Volume\n2024-01-02,20,22,18,21,500\n2024-01-03,21,24,20,22,600\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars?dry_run=true", same_days).await.json();
    assert!(codes(&answer).contains(&"level_break".to_owned()), "{answer}");
}

#[tokio::test]
async fn a_file_that_undoes_an_applied_split_is_told() {
    let app = TestApp::new().await;
    let raw = "date,open,high,low,close,volume\n2024-01-02,100,101,99,100,5\n2024-01-03,100,102,99,100,5\n\
        2024-01-04,20,20.3,19.8,20,25\n2024-01-05,20,20.2,19.9,20.1,25\n2024-01-08,20,20.2,19.9,20.1,25\n";
    app.post_csv("/v1/tickers/SPLIT/bars?adjust=split", raw).await;
    let told = |answer: &serde_json::Value| -> Option<String> {
        let warnings = answer["warnings"].as_array()?;
        let found = warnings.iter().find(|warning| warning["code"] == "level_break")?;
        found["message"].as_str().map(str::to_owned)
    };
    let again = app.post_csv("/v1/tickers/SPLIT/bars?adjust=split", raw).await.json();
    assert_eq!((told(&again), &again["unchanged"]), (None, &json!(5)), "{again}");
    let undone = app.post_csv("/v1/tickers/SPLIT/bars?dry_run=true", raw).await.json();
    let message = told(&undone).expect("a warning");
    assert!(
        message.starts_with("2 of the sessions sent are 5.0000 times") && message.contains("adjust=split"),
        "{message}"
    );
}

#[tokio::test]
async fn bars_on_days_without_a_session_are_told() {
    let app = TestApp::new().await;
    let body = "date,open,high,low,close,volume\n2023-12-22,10,11,9,10.5,5\n2023-12-25,10,11,9,10.6,6\n2023-12-26,10,11,9,10.7,7\n";
    let answer = app.post_csv("/v1/tickers/AAPL/bars?calendar=XNYS&dry_run=true", body).await.json();
    let warning = answer["warnings"].as_array().and_then(|all| all.iter().find(|one| one["code"] == "off_calendar"));
    assert_eq!(warning.map(|warning| &warning["session"]), Some(&json!("2023-12-25")), "{answer}");
}

#[tokio::test]
async fn a_ticker_without_a_bar_is_not_made_by_a_file_of_many() {
    let app = TestApp::new().await;
    let body = "ticker,date,open,high,low,close,volume\nAAPL,2024-01-02,10,11,9,10.5,5\nAAPL,2024-01-03,10,11,9,10.5,5\n\
        ZZZ,2024-01-02,0,0,0,5,0\n";
    let answer = app.post_csv("/v1/bars", body).await.json();
    assert_eq!((&answer["tickers"], &answer["inserted"]), (&json!(1), &json!(2)), "{answer}");
    assert_eq!(app.get("/v1/tickers/ZZZ").await.json()["code"], "unknown_ticker");
    // Ten rows that contradict each other, the first of them twice.
    let row = |day: u8, close: u8| format!("ZZZ,2024-01-{day:02},10,15,9,{close},5\n");
    let torn: String = [row(1, 10)].into_iter().chain((1..=5).map(|day| row(day, 10) + &row(day, 11))).collect();
    let answer = app.post_csv("/v1/bars", format!("{body}{torn}")).await.json();
    let counts = ["received", "inserted", "updated", "unchanged", "refused"].map(|name| answer[name].as_u64());
    assert_eq!(counts, [13, 0, 0, 3, 10].map(Some), "{answer}");
}

#[tokio::test]
async fn an_answer_in_json_that_says_whose_its_bars_are_names_them() {
    let app = TestApp::new().await;
    let bar = r#"{"date":"2024-01-02","open":10,"high":11,"low":9,"close":10.5}"#;
    for (ticker, body) in [
        ("ACME", format!(r#"{{"ticker":"ACME","results":[{bar}]}}"#)),
        ("FMPX", format!(r#"{{"symbol":"FMPX","historical":[{bar}]}}"#)),
        ("TWLV.L", format!(r#"{{"meta":{{"symbol":"TWLV.L","currency":"GBP"}},"values":[{bar}]}}"#)),
        ("AVAN", format!(r#"{{"Meta Data":{{"2. Symbol":"AVAN"}},"rows":[{bar}]}}"#)),
    ] {
        let answer = app.post_json("/v1/bars", &body).await.json();
        assert_eq!(answer["inserted"], 1, "{answer}");
        assert_eq!(app.get(&format!("/v1/tickers/{ticker}")).await.json()["bars_total"], 1, "{body}");
        let again = app.post_json("/v1/bars", &body).await.json();
        assert_eq!(again["unchanged"], 1, "{again}");
        let told = |answer: &serde_json::Value| {
            let warnings = answer["warnings"].as_array().expect("a list");
            warnings.iter().any(|warning| warning["code"] == "other_ticker_told")
        };
        let asked = app.post_json(&format!("/v1/tickers/{ticker}/bars"), &body).await.json();
        assert!(!told(&asked), "{asked}");
        let other = app.post_json("/v1/tickers/OTHER/bars?dry_run=true", &body).await.json();
        assert!(told(&other), "{other}");
    }
    let unnamed =
        app.post_json("/v1/bars", &format!(r#"{{"rows":[{bar}],"a":{{"symbol":"A"}},"b":{{"symbol":"B"}}}}"#)).await;
    assert_eq!(unnamed.json()["code"], "no_ticker_column");
}
