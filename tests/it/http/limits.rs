//! Every number of `/v1/limits` at its limit, and one above.

use std::collections::BTreeSet;
use std::io::Write as _;

use axum::body::Body;
use axum::http::Request;
use candlecast::config::{LimitSettings, Settings};
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};
use crate::support::{market, put, ticker};

/// A request, and what its answer must say: a code, or (with 200) something of its body.
struct Ask {
    request: Request<Body>,
    code: Option<&'static str>,
    says: Option<(&'static str, Value)>,
}

struct Case {
    /// Its path in `/v1/limits`.
    limit: &'static str,
    set: fn(&mut LimitSettings),
    at: Ask,
    above: Ask,
}

const HEADER: &str = "date,open,high,low,close,volume\n";
const DAY: &str = "2024-01-02,1,1,1,1,1\n";

fn get(path: &str) -> Ask {
    Ask { request: Request::get(path).body(Body::empty()).unwrap(), code: None, says: None }
}

fn post(path: &str, content_type: &str, body: impl Into<Body>) -> Ask {
    let request = Request::post(path).header("content-type", content_type).body(body.into()).unwrap();
    Ask { request, code: None, says: None }
}

fn bars(csv: impl Into<Body>) -> Ask {
    post("/v1/tickers/NEW/bars", "text/csv", csv)
}

fn json_bars(bar: &str) -> Ask {
    post("/v1/tickers/NEW/bars", "application/json", format!("[{bar}]"))
}

fn packed(csv: &str) -> Ask {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(csv.as_bytes()).unwrap();
    let mut ask = bars(gzip.finish().unwrap());
    ask.request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    ask
}

fn train(config: &Value) -> Ask {
    post("/v1/tickers/TEST/models", "application/json", config.to_string())
}

/// A window of `n_bars` for a baseline.
fn window(n_bars: usize) -> Ask {
    let series = market("TEST", n_bars);
    let bar = |bar: &candlecast::domain::Bar| {
        json!({"session": series.interval().label(bar.at()), "open": bar.open(), "high": bar.high(), "low": bar.low(),
               "close": bar.close(), "volume": bar.volume()})
    };
    let bars: Vec<_> = series.bars().iter().map(bar).collect();
    post("/v1/forecasts", "application/json", json!({"ticker": "TEST", "model": "naive", "bars": bars}).to_string())
}

impl Ask {
    fn refused(mut self, code: &'static str) -> Self {
        self.code = Some(code);
        self
    }

    fn says(mut self, pointer: &'static str, value: Value) -> Self {
        self.says = Some((pointer, value));
        self
    }

    async fn check(self, app: &TestApp, limit: &str) {
        let answer: Answer = app.send(self.request).await;
        let body = answer.json();
        let status = answer.status.as_u16();
        match self.code {
            None => assert!(matches!(status, 200 | 202), "{limit}: {status} {body}"),
            Some(code) => {
                assert_eq!((body["code"].as_str(), matches!(status, 413 | 422)), (Some(code), true), "{limit}: {body}");
            }
        }
        if let Some((pointer, value)) = self.says {
            assert_eq!(body.pointer(pointer), Some(&value), "{limit}: {body}");
        }
    }
}

/// A field of a training config at its cap and one above, as it is out of the box.
fn training(limit: &'static str, field: &'static str, cap: u64) -> Case {
    let (at, above) = (train(&json!({field: cap})), train(&json!({field: cap + 1})));
    Case { limit, set: |_| {}, at, above: above.refused("bad_config") }
}

fn of_bodies() -> Vec<Case> {
    let two = format!("{HEADER}2024-01-02,1,1,1,1,1\n2024-01-03,1,1,1,1,1\n");
    let three = format!("{two}2024-01-04,1,1,1,1,1\n");
    let filled = |n_bytes: usize| format!("{HEADER}{DAY}{}", "\n".repeat(n_bytes - HEADER.len() - DAY.len()));
    let of = |names: &[&str]| {
        let rows: String = names.iter().map(|name| format!("2024-01-02,1,1,1,1,1,{name}\n")).collect();
        post("/v1/bars", "text/csv", format!("date,open,high,low,close,volume,ticker\n{rows}"))
    };
    let bad = |n_bad: usize| bars(format!("{HEADER}{DAY}{}", "2024-01-03,1,0.5,1,1,1\n".repeat(n_bad)));
    vec![
        Case {
            limit: "bars.max_body_bytes",
            set: |limits| limits.ingest.max_body_bytes = 200,
            at: bars(filled(200)),
            above: bars(filled(201)).refused("body_too_large"),
        },
        Case {
            limit: "bars.max_inflated_bytes",
            set: |limits| limits.ingest.max_inflated_bytes = 200,
            at: packed(&filled(200)),
            above: packed(&filled(201)).refused("inflated_too_large"),
        },
        Case {
            // Counted past the first MiB: prices stay far below, blank lines do not.
            limit: "bars.max_inflate_ratio",
            set: |_| {},
            at: packed(&crate::support::app::csv(40_000)),
            above: packed(&filled(3 << 20)).refused("inflate_ratio"),
        },
        Case {
            limit: "bars.max_rows",
            set: |limits| limits.ingest.max_rows = 2,
            at: bars(two.clone()),
            above: bars(three).refused("too_many_rows"),
        },
        Case {
            limit: "bars.max_columns",
            set: |limits| limits.ingest.max_columns = 6,
            at: bars(two),
            above: bars("date,open,high,low,close,volume,x\n2024-01-02,1,1,1,1,1,1\n").refused("too_many_columns"),
        },
        Case {
            limit: "bars.max_tickers",
            set: |limits| limits.ingest.max_tickers = 2,
            at: of(&["A", "B"]),
            above: of(&["A", "B", "C"]).refused("too_many_tickers"),
        },
        Case {
            limit: "bars.max_json_values",
            set: |limits| limits.ingest.max_json_values = 18,
            at: json_bars(r#"{"date":"2024-01-02","open":1,"high":1,"low":1,"close":1}"#),
            above: json_bars(r#"{"date":"2024-01-02","open":1,"high":1,"low":1,"close":1,"volume":1}"#)
                .refused("too_many_json_values"),
        },
        Case {
            limit: "bars.max_refusals_reported",
            set: |limits| limits.ingest.max_refusals_reported = 2,
            at: bad(2).says("/refusals_truncated", json!(false)),
            above: bad(3).says("/refusals_truncated", json!(true)),
        },
    ]
}

fn of_trainings() -> Vec<Case> {
    let levels = |n_levels: u32| {
        let levels: Vec<f64> = (1..=n_levels).map(|idx| f64::from(idx) / f64::from(n_levels + 1)).collect();
        train(&json!({ "levels": levels }))
    };
    vec![
        training("training.hidden", "hidden", 512),
        training("training.layers", "layers", 4),
        training("training.lookback", "lookback", 512),
        training("training.epochs", "epochs", 1_000),
        training("training.batch_size", "batch_size", 4_096),
        training("training.ensemble", "ensemble", 16),
        Case {
            limit: "training.levels",
            set: |limits| limits.train.levels = 13,
            at: levels(13),
            above: levels(15).refused("bad_config"),
        },
        Case {
            // Thirteen windows of this network want just less than 64 MiB.
            limit: "training.memory_mib",
            set: |limits| limits.train.memory_mib = 64,
            at: train(&json!({ "batch_size": 13, "lookback": 100, "hidden": 512, "layers": 1 })),
            above: train(&json!({ "batch_size": 14, "lookback": 100, "hidden": 512, "layers": 1 }))
                .refused("bad_config"),
        },
    ]
}

fn of_queries() -> Vec<Case> {
    let levels = |n_levels: usize| {
        let levels: Vec<String> = (100..100 + n_levels).map(|mille| format!("0.{mille}")).collect();
        format!("/v1/tickers/TEST/forecast?model=naive&levels={}", levels.join(","))
    };
    let padded = |n_bytes: usize| {
        post("/v1/tickers/TEST/models", "application/json", format!("{{{}}}", " ".repeat(n_bytes - 2)))
    };
    vec![
        Case {
            limit: "queries.max_page",
            set: |_| {},
            at: get("/v1/tickers?limit=1000"),
            above: get("/v1/tickers?limit=1001").refused("out_of_range"),
        },
        Case {
            // Two tickers are there: one page at 2, and one page and a rest at 1.
            limit: "queries.default_page",
            set: |limits| limits.query.default_page = 1,
            at: get("/v1/tickers?query=TEST").says("/next_cursor", json!(null)),
            above: get("/v1/tickers").says("/next_cursor", json!("OTHER")),
        },
        Case {
            limit: "queries.max_bars",
            set: |_| {},
            at: get("/v1/tickers/TEST/bars?limit=100000"),
            above: get("/v1/tickers/TEST/bars?limit=100001").refused("out_of_range"),
        },
        Case {
            limit: "queries.max_forecasts",
            set: |_| {},
            at: get("/v1/forecasts?model=naive&limit=500"),
            above: get("/v1/forecasts?model=naive&limit=501").refused("out_of_range"),
        },
        Case {
            limit: "queries.max_levels",
            set: |_| {},
            at: get(&levels(32)),
            above: get(&levels(33)).refused("out_of_range"),
        },
        Case {
            limit: "queries.max_window_bars",
            set: |limits| limits.query.max_window_bars = 300,
            at: window(300),
            above: window(301).refused("out_of_range"),
        },
        Case {
            limit: "queries.max_json_bytes",
            set: |limits| limits.query.max_json_bytes = 2_048,
            at: padded(2_048),
            above: padded(2_049).refused("body_too_large"),
        },
        Case {
            limit: "max_horizon",
            set: |_| {},
            at: get("/v1/tickers/TEST/forecast?model=naive&horizon=20"),
            above: get("/v1/tickers/TEST/forecast?model=naive&horizon=21").refused("out_of_range"),
        },
    ]
}

#[tokio::test]
async fn every_limit_holds_at_its_number_and_one_above() {
    let all = market("TEST", 800);
    let mut tested = BTreeSet::new();
    for case in of_bodies().into_iter().chain(of_trainings()).chain(of_queries()) {
        let app = TestApp::with(|settings: &mut Settings| (case.set)(&mut settings.limits)).await;
        for name in ["TEST", "OTHER"] {
            put(&app.app, &ticker(name), &all).await;
        }
        case.at.check(&app, case.limit).await;
        case.above.check(&app, case.limit).await;
        tested.insert(case.limit.to_owned());
    }
    let told = TestApp::new().await.get("/v1/limits").await.json();
    let mut untested = leaves("", &told);
    // Those of backtests are tried where backtests are.
    untested.retain(|limit| !tested.contains(limit) && !limit.starts_with("backtests."));
    assert_eq!(untested, Vec::<String>::new(), "limits that no case tries");
}

fn leaves(path: &str, value: &Value) -> Vec<String> {
    let Some(fields) = value.as_object() else { return vec![path.to_owned()] };
    let name = |field: &String| if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
    fields.iter().flat_map(|(field, value)| leaves(&name(field), value)).collect()
}
