//! What the suites share.

pub mod app;
pub mod postgres;

use std::future::Future;
use std::sync::Arc;

use candlecast::app::App;
use candlecast::config::{DatabaseSettings, Settings, WorkerSettings};
use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Calendar, Interval, Series, Ticker};
use candlecast::evaluate::{HeldBackRecord, synthetic};
use candlecast::forecast::{ForecastRequest, Forecaster};
use candlecast::store::{JobRecord, OnConflict, PriceBasis, SentBars, Store};
use candlecast::train::{self, Control, Preset, TrainConfig};

/// Runs a test on a fresh SQLite file, then on a fresh Postgres database.
pub fn on_both_databases<F: Future<Output = ()>>(test: impl Fn(DatabaseSettings) -> F) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let url = format!("sqlite://{}", folder.path().join("deep/test.db").display());
    runtime.block_on(test(DatabaseSettings { url, ..DatabaseSettings::default() }));
    if let Some(url) = postgres::fresh_database() {
        runtime.block_on(test(DatabaseSettings { url, ..DatabaseSettings::default() }));
    }
}

/// The same for a test that needs an open store only.
pub fn on_both_stores<F: Future<Output = ()>>(test: impl Fn(Store) -> F) {
    on_both_databases(|settings| {
        let test = &test;
        async move { test(Store::connect(&settings).await.expect("the store opens")).await }
    });
}

/// The same for a test that needs an app, with models in a folder of its own.
pub fn on_both_apps<F: Future<Output = ()>>(worker: &WorkerSettings, test: impl Fn(Arc<App>) -> F) {
    on_both_databases(|database| {
        let test = &test;
        async move {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let models_dir = folder.path().join("models").display().to_string();
            let settings = Settings { database, models_dir, worker: worker.clone(), ..Settings::default() };
            test(Arc::new(App::open(settings).await.expect("the app opens"))).await;
        }
    });
}

/// Settings with which a queue is seen to work within milliseconds.
pub fn quick() -> WorkerSettings {
    WorkerSettings { n_jobs: 2, lease_ms: 10_000, heartbeat_ms: 100, poll_ms: 10, ..WorkerSettings::default() }
}

pub async fn job(app: &App, id: &str) -> JobRecord {
    app.store.job(id).await.expect("the database answers").expect("the job is kept")
}

pub fn ticker(text: &str) -> Ticker {
    text.parse().expect("a ticker")
}

/// Daily bars on the given days since 1970, each around `price`.
pub fn daily(days: impl IntoIterator<Item = i64>, price: f64) -> Series {
    let bar = |day: i64| {
        let (open, high, low, close) = (price, price + 1.0, price - 1.0, price + 0.5);
        let at = BarTime::from_seconds(day * 86_400);
        Bar::new(RawBar { at, open, high, low, close, volume: Some(1000.0) }).expect("a valid bar")
    };
    Series::new(Interval::Day, days.into_iter().map(bar).collect()).expect("ascending days")
}

/// A market of one ticker in whole cents, `n_bars` sessions up to a Friday.
pub fn market(name: &str, n_bars: usize) -> Series {
    let last = "2024-11-22".parse().expect("a date");
    let mut market = synthetic::market(7, &[ticker(name)], n_bars, &Calendar::Weekdays, last);
    market.remove(0).1
}

/// A market in half hours of New York's winter, `n_days` trading days up to Friday, 22 November 2024, 20:30 UTC.
pub fn half_hours(name: &str, n_days: usize) -> Series {
    const A_DAY: usize = 13;
    let prices = market(name, n_days * A_DAY);
    let days = &prices.bars()[prices.len() - n_days..];
    let times = days.iter().flat_map(|day| (0..A_DAY as i64).map(|idx| day.at().seconds() + 52_200 + idx * 1_800));
    let bars = prices.bars().iter().zip(times).map(|(bar, seconds)| {
        let (open, high, low, close) = (bar.open(), bar.high(), bar.low(), bar.close());
        let at = BarTime::from_seconds(seconds);
        Bar::new(RawBar { at, open, high, low, close, volume: bar.volume() }).expect("a valid bar")
    });
    Series::new(Interval::Minutes(30), bars.collect()).expect("ascending")
}

/// An app on its own SQLite file and models folder, which go when the folder is dropped.
pub async fn app() -> (Arc<App>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut settings =
        Settings { models_dir: folder.path().join("models").display().to_string(), ..Settings::default() };
    settings.database.url = format!("sqlite://{}", folder.path().join("test.db").display());
    (Arc::new(App::open(settings).await.expect("the app opens")), folder)
}

/// Stores bars as a file with raw prices would.
pub async fn put(app: &App, ticker: &Ticker, series: &Series) {
    let sent =
        SentBars { ticker, series, calendar: None, currency: None, price_basis: PriceBasis::Raw, finishes: None };
    app.store.put_bars(&[sent], OnConflict::Replace, false).await.expect("stored");
    app.refresh().await.expect("refreshed");
}

/// Trains on what is stored, with the fastest network, and publishes it; promoted when asked.
pub async fn publish(app: &App, ticker: &Ticker, series: &Series, promoted: bool) -> u32 {
    let config = TrainConfig::preset(Preset::Fast);
    let trained = train::train(series, &config, &Control::quiet()).expect("trained");
    let record = app.store.ticker(ticker).await.expect("reads").expect("the ticker is stored");
    let held_back = HeldBackRecord::new(&trained.held_back, series).expect("finite");
    let published = app.registry.publish(ticker, &trained, &held_back, series, record.data_version, None).await;
    let model = published.expect("published");
    if promoted {
        app.registry.promote(ticker, model.version, record.champion).await.expect("promoted");
        app.refresh().await.expect("refreshed");
    }
    model.version
}

/// A ticker with a champion trained on the first `n_trained` bars, and a forecast served before each of the others came.
pub async fn live_through(app: &Arc<App>, ticker: &Ticker, series: &Series, n_trained: usize) {
    put(app, ticker, &series.slice(0..n_trained)).await;
    publish(app, ticker, &series.slice(0..n_trained), true).await;
    let forecaster = Forecaster::new(Arc::clone(app));
    for n_bars in n_trained + 1..=series.len() {
        forecaster.forecast(ticker, &ForecastRequest::default()).await.expect("a forecast");
        put(app, ticker, &series.slice(0..n_bars)).await;
    }
}
