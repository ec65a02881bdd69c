//! What the suites share.

pub mod postgres;

use std::future::Future;

use candlecast::config::DatabaseSettings;
use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Interval, Series, Ticker};
use candlecast::store::Store;

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
