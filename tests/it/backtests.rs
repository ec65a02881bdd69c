//! Backtests from the queue to the store, on both databases, and as clients see them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::Method;
use candlecast::app::App;
use candlecast::config::Settings;
use candlecast::domain::Ticker;
use candlecast::evaluate::{BacktestReport, Verdict};
use candlecast::jobs::backtest::unpack_points;
use candlecast::jobs::{BacktestConfig, Runner, due, enqueue_backtest};
use candlecast::store::{JobRecord, JobState, NewBacktest, OnConflict, PriceBasis, SentBars};
use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::{app, market, on_both_databases, on_both_stores, put, ticker};

/// Two folds of ten bars, the smallest network, one baseline.
fn small() -> BacktestConfig {
    let body = json!({"folds": 2, "fold_bars": 10, "baselines": ["har"], "config": {"preset": "fast", "horizon": 1}});
    serde_json::from_value(body).expect("a config")
}

async fn queue(app: &App, name: &Ticker, config: &BacktestConfig) -> JobRecord {
    enqueue_backtest(app, name, config).await.unwrap().expect("the ticker is there").0
}

#[test]
fn a_backtest_is_run_once_kept_and_read_by_another_process() {
    on_both_databases(|database| async move {
        let folder = tempfile::tempdir().unwrap();
        let models_dir = folder.path().join("models").display().to_string();
        let mut settings = Settings { database, models_dir, ..Settings::default() };
        settings.limits.backtest.kept = 2;
        let app = Arc::new(App::open(settings.clone()).await.unwrap());
        let name = ticker("A");
        put(&app, &name, &market("A", 420)).await;
        let runner = Runner::new(Arc::clone(&app)).expect("a processor");
        let first = queue(&app, &name, &small()).await;
        assert_eq!(queue(&app, &name, &small()).await.id, first.id, "one is active a ticker");
        assert!(runner.run_one().await.unwrap());
        let done = app.store.job(&first.id).await.unwrap().unwrap();
        assert_eq!(done.state, JobState::Succeeded, "{:?}", done.error);
        assert_eq!(done.progress.map(|progress| progress["fraction"].clone()), Some(json!(1.0)));
        assert_eq!(done.result.unwrap()["backtest_id"], first.id);
        let record = app.store.ticker(&name).await.unwrap().unwrap();
        assert_eq!(due::standing(&app, &record).await.unwrap().last_job, None, "a backtest is no training");

        // Another process, or the same after a restart.
        let other = App::open(settings.clone()).await.unwrap();
        let (kept, report) = other.store.backtest(&name, &first.id).await.unwrap().expect("kept");
        let report: BacktestReport = serde_json::from_value(report).unwrap();
        assert_eq!((report.verdict, kept.verdict.as_str(), kept.data_version), (Verdict::NoEvidence, "no_evidence", 1));
        assert_eq!(
            report.models.iter().map(|model| model.model.as_str()).collect::<Vec<_>>(),
            ["network+online", "har"]
        );
        assert!(report.audit.len() == 2 && report.audit.iter().all(|audit| audit.identical), "{:?}", report.audit);
        let packed = other.store.backtest_points(&name, &first.id).await.unwrap().expect("kept");
        assert_eq!(String::from_utf8(unpack_points(&packed).unwrap()).unwrap().lines().count(), 1 + 2 * 2 * 10);
        assert_eq!(other.store.backtest(&ticker("B"), &first.id).await.unwrap(), None, "it is A's");

        let mut ids = vec![first.id];
        for _ in 0..2 {
            ids.push(queue(&app, &name, &small()).await.id);
            assert!(runner.run_one().await.unwrap());
        }
        let listed = other.store.backtests(&name, None, 10).await.unwrap();
        assert_eq!(listed.iter().map(|one| &one.id).collect::<Vec<_>>(), [&ids[2], &ids[1]], "the newest two are kept");
        let older = other.store.backtests(&name, Some(&ids[2]), 10).await.unwrap();
        assert_eq!(older.iter().map(|one| &one.id).collect::<Vec<_>>(), [&ids[1]]);
        other.store.delete_ticker(&name).await.unwrap();
        assert_eq!(app.store.backtest(&name, &ids[2]).await.unwrap(), None, "it goes with its ticker");
    });
}

#[test]
fn a_report_whose_job_was_canceled_meanwhile_is_not_kept() {
    on_both_stores(|store| async move {
        let name = ticker("A");
        let (series, id) = (market("A", 100), uuid::Uuid::now_v7().to_string());
        let sent = SentBars {
            ticker: &name,
            series: &series,
            calendar: None,
            currency: None,
            price_basis: PriceBasis::Raw,
            finishes: None,
        };
        store.put_bars(&[sent], OnConflict::Replace, false).await.unwrap();
        store.enqueue(&id, "backtest", &name, &json!({})).await.unwrap().expect("queued");
        let report = NewBacktest {
            id: id.clone(),
            data_version: 1,
            settings: json!({}),
            verdict: "no_evidence".to_owned(),
            report: json!({"n_bars": 100}),
            points: vec![0, 255],
        };
        assert!(!store.add_backtest(&report, 5).await.unwrap(), "nobody works on it yet");
        store.claim(&["backtest"], 10_000).await.unwrap().expect("claimed");
        assert!(store.add_backtest(&report, 5).await.unwrap());
        assert!(store.add_backtest(&report, 5).await.unwrap(), "again changes nothing");
        assert_eq!(store.backtest_points(&name, &id).await.unwrap(), Some(vec![0, 255]));
        assert_eq!(store.backtest(&name, &id).await.unwrap().map(|(_, report)| report), Some(report.report.clone()));

        // A worker asked to stop must not hand in what it was told to drop.
        store.cancel_job(&id).await.unwrap();
        assert!(!store.add_backtest(&report, 5).await.unwrap());
        let listed = store.backtests(&name, None, 9).await.unwrap();
        assert_eq!(listed.iter().map(|one| (&one.id, &one.settings)).collect::<Vec<_>>(), [(&id, &json!({}))]);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backtest_told_to_stop_ends_within_a_batch_and_keeps_nothing() {
    let (app, _folder) = app().await;
    let name = ticker("A");
    put(&app, &name, &market("A", 3_000)).await;
    // Far more epochs than anybody waits for.
    let config = json!({"config": {"epochs": 1000, "patience": 1000, "ensemble": 16}});
    let job = queue(&app, &name, &serde_json::from_value(config).unwrap()).await;
    let runner = Runner::new(Arc::clone(&app)).expect("a processor");
    let works = tokio::spawn({
        let runner = runner.clone();
        async move { runner.run().await }
    });
    let state = async || app.store.job(&job.id).await.unwrap().unwrap().state;
    while state().await != JobState::Running {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    let told = Instant::now();
    runner.stop(Duration::from_secs(10)).await;
    works.await.unwrap();
    assert!(told.elapsed() < Duration::from_secs(5), "it took {:?}", told.elapsed());
    assert_eq!(state().await, JobState::Enqueued, "handed back when the process stops");
    app.store.cancel_job(&job.id).await.unwrap();
    assert_eq!(state().await, JobState::Canceled);
    assert_eq!(app.store.backtests(&name, None, 10).await.unwrap(), []);
}

async fn with_bars(n_bars: usize) -> TestApp {
    let app = TestApp::new().await;
    put(&app.app, &ticker("A"), &market("A", n_bars)).await;
    app
}

const SMALL: &str =
    r#"{"folds": 2, "fold_bars": 10, "baselines": ["har"], "config": {"preset": "fast", "horizon": 1}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_waits_and_reads_the_report_and_its_points() {
    let app = with_bars(420).await;
    let asked = app.post_json("/v1/tickers/a/backtests", SMALL).await;
    let id = asked.json()["id"].as_str().expect("an id").to_owned();
    assert_eq!((asked.status.as_u16(), asked.header("location")), (202, format!("/v1/jobs/{id}").as_str()));
    assert_eq!(app.post_json("/v1/tickers/A/backtests", "{}").await.json()["id"], id.as_str(), "that one is active");
    let path = format!("/v1/tickers/A/backtests/{id}");
    let early = app.get(&path).await;
    assert_eq!((early.status.as_u16(), &early.json()["job"]["state"]), (409, &"enqueued".into()));
    assert_eq!(early.json()["code"], "backtest_not_done");

    assert!(Runner::new(Arc::clone(&app.app)).expect("a processor").run_one().await.unwrap());
    let job = app.get(&format!("/v1/jobs/{id}")).await.json();
    assert_eq!(
        (&job["kind"], &job["state"], &job["result"]["url"]),
        (&"backtest".into(), &"succeeded".into(), &json!(path))
    );
    let report = app.get(&path).await.json();
    assert_snapshot!(outline(&report), @"{audit[{cutoffs_checked first_difference identical model}] created_at data_version folds[{first_cutoff known_from known_to last_cutoff n}] id lag{best_lag correlation_with_last_return is_last_price rmse_by_lag[] variance_share} models[{error model steps[{folds[{crps diebold_mariano directional_accuracy intervals[{level observed width winkler}] mae mase n pesaran_timmermann pinball qlike rmse rmse_ratio_to_naive rmsse}] pinball_ratio_to{har} pooled{crps diebold_mariano directional_accuracy intervals[{level observed width winkler}] mae mase n pesaran_timmermann pinball qlike rmse rmse_ratio_to_naive rmsse} step verdict}]}] n_bars settings{baselines[] config{…} embargo fold_bars folds horizon refit step_size window} shuffled{rmse_ratio_to_naive vanished verdict} ticker verdict}");
    let csv = app.get(&format!("{path}?format=csv")).await;
    assert!(
        csv.header("content-type").starts_with("text/csv") && csv.header("content-disposition").contains("A-backtest-")
    );
    assert_eq!(csv.text().lines().count(), 1 + 2 * 2 * 10);
    assert!(csv.text().starts_with("model,fold,as_of,session,step,last_close,close,point,q0.025,"), "{}", csv.text());

    let list = app.get("/v1/tickers/A/backtests").await.json();
    assert_eq!((&list["backtests"][0]["id"], &list["next_cursor"]), (&json!(id), &Value::Null));
    assert_eq!(list["backtests"][0]["settings"]["folds"], 2);
    assert_eq!(app.get(&format!("/v1/tickers/A/backtests?cursor={id}")).await.json()["backtests"], json!([]));
    assert_eq!(app.delete(&format!("/v1/jobs/{id}")).await.json()["code"], "job_finished");
    let page = app.get(&format!("/tickers/A/backtests/{id}")).await;
    assert!(page.status.is_success() && page.text().contains("/assets/backtest-"), "{}", page.text());
}

/// The names of a JSON value, each once, so that the contract's shape is seen without its numbers.
fn outline(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let inside = |name: &str, value| match name {
                // Undefined for a point forecast of "no change".
                "diebold_mariano" | "pesaran_timmermann" => String::new(),
                // Held by the tests of training.
                "config" => "{…}".to_owned(),
                _ => outline(value),
            };
            let fields = fields.iter().map(|(name, value)| format!("{name}{}", inside(name, value)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(" "))
        }
        Value::Array(entries) => {
            entries.first().map_or_else(|| "[]".to_owned(), |entry| format!("[{}]", outline(entry)))
        }
        _ => String::new(),
    }
}

#[tokio::test]
async fn what_cannot_be_run_is_refused_before_any_job_exists() {
    let app = with_bars(300).await;
    let refused = async |body: &str| {
        let answer = app.post_json("/v1/tickers/A/backtests", body).await;
        let json = answer.json();
        format!(
            "{} {} {}",
            answer.status.as_u16(),
            json["code"].as_str().unwrap_or("-"),
            json["detail"].as_str().unwrap_or("-").split(", expected one of `preset`").next().unwrap_or_default()
        )
    };
    let mut said = Vec::new();
    for body in [
        r#"{"folds": 51}"#,
        r#"{"folds": 0}"#,
        r#"{"folds": 50, "fold_bars": 4}"#,
        r#"{"horizon": 21}"#,
        r#"{"fold": 5}"#,
        r#"{"baselines": ["best"]}"#,
        r#"{"window": "sliding"}"#,
        r#"{"config": {"hidden": 513}}"#,
        r#"{"config": {"hiden": 5}}"#,
        "{",
    ] {
        said.push(refused(body).await);
    }
    assert_snapshot!(said.join("\n"), @r#"
    422 out_of_range folds 51 is outside 1 to 50.
    422 out_of_range folds 0 is outside 1 to 50.
    422 too_few_bars 300 bars: this backtest needs 367: send more, or ask for fewer folds.
    422 bad_field horizon 21 is outside 1 to 20 sessions
    422 bad_field unknown field `fold`, expected one of `folds`, `step_size`, `horizon`, `embargo`, `refit`, `window`, `fold_bars`, `baselines`, `config`
    422 bad_field baselines[0]: baseline "best" is none of naive, drift, historical, ewma, garch, har
    422 bad_field window: unknown variant `sliding`, expected `expanding` or `rolling`
    422 bad_config hidden 513 is outside 1 to 512.
    422 bad_field config.hiden: unknown field `hiden`
    400 bad_json the JSON ends before it is complete
    "#);
    let post =
        async |content_type: &str| app.send_body(Method::POST, "/v1/tickers/A/backtests", content_type, "{}").await;
    assert_eq!(post("text/csv").await.status.as_u16(), 415);
    assert_eq!(app.post_json("/v1/tickers/B/backtests", "{}").await.json()["code"], "unknown_ticker");
    assert_eq!(app.get("/v1/tickers/A/backtests/none").await.json()["code"], "unknown_backtest");
    let unknown = format!("/v1/tickers/A/backtests/{}", uuid::Uuid::nil());
    assert_eq!(app.get(&unknown).await.json()["code"], "unknown_backtest");
    assert_eq!(app.get(&format!("{unknown}?format=xml")).await.json()["code"], "bad_query");
    assert_eq!(app.get("/v1/tickers/A/backtests?cursor=none").await.json()["code"], "bad_cursor");
    assert_eq!(app.get("/v1/jobs").await.json()["jobs"], json!([]), "nothing was queued");
    assert_eq!(app.get("/v1/limits").await.json()["backtests"]["folds"], 50);
}
