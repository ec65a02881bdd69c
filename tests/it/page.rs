//! The page in a browser: Debian's `chromium`, headless, against a real server.

use std::process::Command;
use std::sync::Arc;

use candlecast::app::App;
use candlecast::http::{Server, new_key};
use candlecast::jobs::{BacktestConfig, Runner, enqueue_backtest};
use candlecast::store::{Scope, TickerPatch};
use tokio_util::sync::CancellationToken;

use crate::support::app::{TestApp, settings};
use crate::support::{half_hours, live_through, market, put, ticker};

/// The page after its scripts ran, as the browser has it.
fn rendered(url: &str) -> String {
    let profile = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--virtual-time-budget=20000"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--dump-dom", url])
        .output();
    let output = output.expect("chromium is needed to test the page: `apt-get install chromium`");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_lists_tickers_and_draws_candles_and_fan() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = Arc::new(App::open(settings(&folder)).await.unwrap());
    let (name, series) = (ticker("TEST"), market("TEST", 420));
    live_through(&app, &name, &series, 412).await;
    let stop = CancellationToken::new();
    let server = Server::bind(Arc::clone(&app), stop.clone()).await.unwrap();
    let address = server.address();
    let serving = tokio::spawn(server.run());

    let home = tokio::task::spawn_blocking(move || rendered(&format!("http://{address}/"))).await.unwrap();
    assert!(home.contains(r#"<a href="/tickers/TEST">TEST</a>"#), "{home}");
    assert!(home.contains("2024-11-25"), "the next session is named: {home}");
    let page = tokio::task::spawn_blocking(move || rendered(&format!("http://{address}/tickers/TEST"))).await.unwrap();
    assert!(page.contains("data-ready=\"true\""), "the scripts did not end: {page}");
    assert!(page.contains("Model version 1 (lstm)"), "{page}");
    check_track_record(&page);
    let picture = format!("http://{address}/v1/tickers/TEST/chart.svg");
    assert!(page.contains("href=\"/v1/tickers/TEST/chart.svg\""), "{page}");
    let picture = tokio::task::spawn_blocking(move || rendered(&picture)).await.unwrap();
    assert!(picture.contains("TEST: 120 sessions to 2024-11-22") && picture.contains("Of 8 forecasts"), "{picture}");
    assert!(page.contains("class=\"main-svg\"") && page.contains("trace boxes"), "no candles were drawn");
    assert!(page.contains("js-fill"), "no fan was drawn");

    let config = r#"{"folds": 2, "fold_bars": 10, "config": {"preset": "fast", "horizon": 1}}"#;
    let config: BacktestConfig = serde_json::from_str(config).unwrap();
    let (job, _) = enqueue_backtest(&app, &name, &config).await.unwrap().expect("queued");
    assert!(Runner::new(Arc::clone(&app)).expect("a processor").run_one().await.unwrap());
    let url = format!("http://{address}/tickers/TEST/backtests/{}", job.id);
    let report = tokio::task::spawn_blocking(move || rendered(&url)).await.unwrap();
    assert!(report.contains("data-ready=\"true\"") && report.contains("network+online"), "{report}");
    assert!(report.contains("Nonsense put after a day changed no forecast"), "{report}");
    let page = tokio::task::spawn_blocking(move || rendered(&format!("http://{address}/tickers/TEST"))).await.unwrap();
    assert!(page.contains(&format!("/tickers/TEST/backtests/{}", job.id)), "the ticker's page lists it: {page}");

    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(15), serving).await.expect("stops in time").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_draws_the_fan_of_bars_within_a_day() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = Arc::new(App::open(settings(&folder)).await.unwrap());
    put(&app, &ticker("HALF"), &half_hours("HALF", 15)).await;
    let stop = CancellationToken::new();
    let server = Server::bind(Arc::clone(&app), stop.clone()).await.unwrap();
    let address = server.address();
    let serving = tokio::spawn(server.run());
    let show = || tokio::task::spawn_blocking(move || rendered(&format!("http://{address}/tickers/HALF")));
    let unnamed = show().await.unwrap();
    assert!(
        unnamed.contains("js-fill") && unnamed.contains("<td>+5</td>"),
        "no fan where hours are unknown: {unnamed}"
    );
    let patch = TickerPatch { calendar: Some("XNYS".parse().unwrap()), ..TickerPatch::default() };
    app.store.patch_ticker(&ticker("HALF"), &patch).await.unwrap();
    app.refresh().await.unwrap();
    let named = show().await.unwrap();
    assert!(named.contains("data-ready=\"true\"") && named.contains("js-fill"), "no fan was drawn: {named}");
    assert!(named.contains("<td>11-25 14:30</td>") && named.contains("195 bars of 30m"), "{named}");
    assert!(named.contains(">11-25 16:30</text>"), "the axis ends with the forecast: {named}");
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(15), serving).await.expect("stops in time").unwrap();
}

/// What the page says of the eight forecasts that were served before their sessions came: in words and by marks.
fn check_track_record(page: &str) {
    let skill = page.split("<p id=\"skill\">").nth(1).and_then(|rest| rest.split('<').next()).expect("a sentence");
    assert!(skill.contains("no evidence that the point forecast beats “no change”; 80 % intervals held "), "{skill}");
    assert!(skill.ends_with(" (8 served live, the others of sessions held back in training)."), "{skill}");
    let strip = page.split("<div id=\"strip\"").nth(1).and_then(|rest| rest.split("</div>").next()).expect("a strip");
    let marks = |side: &str| strip.matches(&format!("<span class=\"{side}\"")).count();
    let (inside, above, below) = (marks("inside"), marks("above"), marks("below"));
    assert_eq!(inside + above + below, 8, "{strip}");
    let words = format!("Of the last 8 forecasts served, {inside} (");
    assert!(strip.contains(&words) && page.matches(&words).count() == 2, "the strip's name and the sentence: {strip}");
    assert!(page.contains(&format!("interval, {above} above it and {below} below.")), "{page}");
    assert!(page.contains("was forecast (80 %)") && page.contains("class=\"yerror\""), "no past forecast was drawn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_told_of_a_ticker_that_is_not_there_and_of_bars_that_are_old() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = Arc::new(App::open(settings(&folder)).await.unwrap());
    put(&app, &ticker("OLD"), &market("OLD", 120)).await;
    let stop = CancellationToken::new();
    let server = Server::bind(Arc::clone(&app), stop.clone()).await.unwrap();
    let address = server.address();
    let serving = tokio::spawn(server.run());
    let show =
        |path: &'static str| tokio::task::spawn_blocking(move || rendered(&format!("http://{address}/tickers/{path}")));
    let page = show("NONE").await.unwrap();
    assert!(page.contains("There is no ticker NONE here") && page.contains("id=\"content\" hidden"), "{page}");
    let page = show("OLD").await.unwrap();
    assert!(page.contains("<li>The newest bar is of 2024-11-22, and "), "{page}");
    assert!(page.contains("<li>120 bars are too few for a network"), "{page}");
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(15), serving).await.expect("stops in time").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_is_asked_for_a_key_where_the_server_wants_one() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let app = Arc::new(App::open(settings(&folder)).await.unwrap());
    put(&app, &ticker("TEST"), &market("TEST", 420)).await;
    let key = new_key();
    app.store.add_key(&key.id, "page", &key.hash, Scope::Read).await.unwrap();
    let stop = CancellationToken::new();
    let server = Server::bind(Arc::clone(&app), stop.clone()).await.unwrap();
    let address = server.address();
    let serving = tokio::spawn(server.run());
    for path in ["/", "/tickers/TEST"] {
        let page = tokio::task::spawn_blocking(move || rendered(&format!("http://{address}{path}"))).await.unwrap();
        let form = page.split("<form id=\"key\"").nth(1).and_then(|rest| rest.split('>').next()).expect("a form");
        assert!(!form.contains("hidden"), "{path} does not ask: {form}");
        assert!(page.contains("Send an API key as <code>Authorization: Bearer KEY</code>"), "{path}: {page}");
        assert!(!page.contains("data-ready"), "{path} shows what nobody may see");
    }
    stop.cancel();
    tokio::time::timeout(std::time::Duration::from_secs(15), serving).await.expect("stops in time").unwrap();
}

/// What a keyboard and a screen reader need, as far as the markup says it.
#[tokio::test]
async fn every_control_is_named_and_reached_in_the_order_of_the_page() {
    let app = TestApp::new().await;
    for path in ["/", "/tickers/AAPL"] {
        let html = app.get(path).await.text();
        assert!(
            html.contains("<html lang=") && html.contains("name=\"color-scheme\" content=\"light dark\""),
            "{path}"
        );
        assert!(!html.contains("tabindex=\"") && !html.contains("onclick"), "{path}: only what is a control by itself");
        for (at, _) in html.match_indices("<input") {
            let (before, after) = html.split_at(at);
            let tag = after.split('>').next().unwrap();
            let in_label = before.rfind("<label").is_some_and(|open| !before[open..].contains("</label>"));
            assert!(in_label || tag.contains("aria-label"), "{path}: {tag} has no name");
        }
        for section in html.split("<section").skip(1) {
            assert!(section.contains("aria-labelledby="), "{path}: {section}");
        }
        assert!(html.contains("aria-live=\"polite\""), "{path}: news are not told");
    }
    let css = app.get("/").await.text();
    let css = css.split('"').find(|text| text.ends_with(".css")).expect("a style sheet").to_owned();
    let css = app.get(&css).await.text();
    assert!(css.contains("prefers-color-scheme: dark") && css.contains(":focus-visible"), "{css}");
}

#[tokio::test]
async fn assets_are_packed_and_kept_and_nothing_comes_from_elsewhere() {
    let app = TestApp::new().await;
    for path in ["/", "/tickers/AAPL", "/tickers/AAPL/backtests/1"] {
        let page = app.get(path).await;
        assert!(page.header("content-security-policy").contains("script-src 'self'"), "{path}");
        let html = page.text();
        assert!(!html.contains("{{") && !html.contains("//"), "{path}: {html}");
        for asset in html.split('"').filter(|text| text.starts_with("/assets/")) {
            let got = app.get(asset).await;
            assert_eq!(got.status.as_u16(), 200, "{asset}");
            assert!(got.header("cache-control").contains("immutable"), "{asset}");
        }
    }
    assert_eq!(app.get("/tickers/A%20B").await.json()["code"], "bad_ticker");
    assert_eq!(app.get("/assets/plotly-0.js").await.json()["code"], "not_found");
}
