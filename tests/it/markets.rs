//! What the other tickers of an exchange did, taken up as their bars come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candlecast::app::App;
use candlecast::config::{MarketSettings, Settings};
use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Calendar, Interval, Series, Ticker};
use candlecast::evaluate::backtest::audit;
use candlecast::evaluate::synthetic;
use candlecast::forecast::{ForecastRequest, Forecaster, ModelUsed};
use candlecast::jobs::Runner;
use candlecast::jobs::due::{enqueue_all_due, enqueue_training, standing};
use candlecast::store::{LedgerFilter, OnConflict, PriceBasis, SentBars};
use candlecast::train::{Preset, TrainConfig};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::{self, on_both_databases, ticker};

/// Five tickers of New York, 520 sessions each: most of what they do is the market's.
fn exchange() -> Vec<(Ticker, Series)> {
    const MOVES: usize = 16;
    let last = "2024-11-22".parse().expect("a date");
    let dates = synthetic::market(7, &[ticker("DATES")], N_BARS, &new_york(), last).remove(0).1;
    let normal = |seed: u64| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        move || rng.sample::<f64, _>(StandardNormal)
    };
    let of = |idx: u64, name: &str| {
        let (mut shared, mut own, mut log_price) = (normal(0), normal(idx), 4.0_f64);
        let bar = |date: &Bar| {
            let (open, mut high, mut low) = (log_price, log_price, log_price);
            for _ in 0..MOVES {
                log_price += 0.0025 * (0.8 * shared() + 0.6 * own());
                (high, low) = (high.max(log_price), low.min(log_price));
            }
            let [open, high, low, close] = [open, high, low, log_price].map(f64::exp);
            Bar::new(RawBar { at: date.at(), open, high, low, close, volume: None })
                .expect("high and low are of the path")
        };
        let bars = dates.bars().iter().map(bar).collect();
        (ticker(name), Series::new(Interval::Day, bars).expect("ascending"))
    };
    ["A", "B", "C", "D", "E"].into_iter().zip(1..).map(|(name, idx)| of(idx, name)).collect()
}

const N_BARS: usize = 520;
/// Bars of each of which little is known yet: what is usual, then how bars are dated.
const UNTOLD: usize = 131;

fn new_york() -> Calendar {
    "XNYS".parse().expect("an exchange")
}

async fn put(app: &App, name: &Ticker, series: &Series) {
    let sent = SentBars {
        ticker: name,
        series,
        calendar: Some(new_york()),
        currency: None,
        price_basis: PriceBasis::Raw,
        finishes: None,
    };
    app.store.put_bars(&[sent], OnConflict::Replace, false).await.expect("stored");
    app.refresh().await.expect("refreshed");
}

/// Stores bars, and lets what moved in markets be taken up, as the process does in the background.
async fn put_and_follow(app: &App, name: &Ticker, series: &Series) {
    put(app, name, series).await;
    app.refresh_markets().await.expect("reads");
}

/// Trains as a job does, beside the market as it is stored; how many bars it was known of.
async fn publish(app: &App, name: &Ticker, series: &Series) -> usize {
    let record = app.store.ticker(name).await.expect("reads").expect("stored");
    let series = app.in_newest_market(&record, series.clone()).await.expect("reads");
    support::publish(app, name, &series, true).await;
    n_in_market(app, name).await
}

/// Of the newest version.
async fn n_in_market(app: &App, name: &Ticker) -> usize {
    let newest = app.store.newest_model(name).await.expect("reads").expect("trained");
    newest.manifest["metrics"]["n_in_market"].as_u64().expect("a count") as usize
}

fn with_market(market: MarketSettings, test: impl AsyncFn(Arc<App>)) {
    on_both_databases(|database| {
        let (test, market) = (&test, market.clone());
        async move {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let models_dir = folder.path().join("models").display().to_string();
            let settings = Settings { database, models_dir, market, ..Settings::default() };
            test(Arc::new(App::open(settings).await.expect("the app opens"))).await;
        }
    });
}

/// How many others a forecast of the newest bar knows, and its intervals' bits.
async fn seen(forecaster: &Forecaster, name: &Ticker) -> (Option<u32>, Vec<u64>) {
    let forecast = forecaster.forecast(name, &ForecastRequest::default()).await.expect("a forecast");
    let ModelUsed::Version(used) = &forecast.model else { panic!("{:?}", forecast.model) };
    let bits = forecast.steps[0].intervals.iter().flat_map(|one| [one.lower, one.upper]).map(f64::to_bits);
    (used.market_tickers, bits.collect())
}

#[test]
fn a_forecast_takes_up_the_others_bars_as_they_come_and_each_that_was_said_is_kept() {
    with_market(MarketSettings::default(), async |app| {
        let all = exchange();
        for (name, series) in &all {
            put(&app, name, &series.slice(0..N_BARS - 1)).await;
        }
        let (name, series) = &all[0];
        let n_known = publish(&app, name, &series.slice(0..N_BARS - 1)).await;
        assert!((250..N_BARS - UNTOLD).contains(&n_known), "{n_known}");
        let forecaster = Forecaster::new(Arc::clone(&app));
        assert_eq!(seen(&forecaster, name).await.0, Some(4));

        put_and_follow(&app, name, series).await;
        let (n_seen, alone) = seen(&forecaster, name).await;
        assert_eq!(n_seen, None, "no other has that session yet");
        for (idx, expected) in [(1, None), (2, None), (3, Some(3)), (4, Some(4))] {
            put_and_follow(&app, &all[idx].0, &all[idx].1).await;
            assert_eq!(seen(&forecaster, name).await.0, expected, "{idx}");
        }
        let (_, whole) = seen(&forecaster, name).await;
        assert_ne!(whole, alone);
        // Another process comes to the same.
        let restarted = Arc::new(App::open(app.settings.clone()).await.expect("opens"));
        assert_eq!(seen(&Forecaster::new(restarted), name).await, (Some(4), whole.clone()));
        // A bar of another one that is corrected corrects it, and the same bar again does not.
        let record = app.store.ticker(name).await.expect("reads").expect("stored");
        let of_newest = async || {
            let filter = LedgerFilter { from: record.last.expect("bars"), ..LedgerFilter::default() };
            app.store.ledger(record.id, &filter).await.expect("reads").iter().filter(|one| one.step == 1).count()
        };
        assert_eq!(of_newest().await, 3, "by itself, by three others, by four");
        put_and_follow(&app, &all[4].0, &all[4].1).await;
        assert_eq!((seen(&forecaster, name).await.1, of_newest().await), (whole.clone(), 3));
        put_and_follow(&app, &all[4].0, &audit::poison_after(&all[4].1, N_BARS - 2)).await;
        assert_ne!(seen(&forecaster, name).await.1, whole);
        assert_eq!(of_newest().await, 4);
        let (live_only, first_only, step) = (true, true, Some(1));
        let first = LedgerFilter { live_only, first_only, step, ..LedgerFilter::default() };
        let first = app.store.ledger(record.id, &first).await.expect("reads");
        assert_eq!(first.iter().map(|entry| entry.market_tickers).collect::<Vec<_>>(), [None, Some(4)], "one a bar");
        // A page of the ledger ends between any two of them.
        let mut filter = LedgerFilter { limit: 1, step: Some(1), ..LedgerFilter::default() };
        let mut met = Vec::new();
        while let Some(entry) = app.store.ledger(record.id, &filter).await.expect("reads").pop() {
            filter.after = Some(entry.place());
            met.push(entry);
        }
        let known: Vec<_> = met.iter().map(|entry| entry.market_tickers).collect();
        assert_eq!(known, [Some(4), Some(4), Some(3), None, Some(4)], "the one served last first; then the bar before");
        assert!(met[..4].is_sorted_by(|a, b| a.served_at >= b.served_at), "{met:?}");
    });
}

#[test]
fn a_process_follows_other_tickers_bars_no_more_often_than_asked() {
    for (refresh_ms, follows) in [(250, true), (3_600_000, false)] {
        with_market(MarketSettings { refresh_ms, ..MarketSettings::default() }, async |app| {
            let all = exchange();
            for (name, series) in &all {
                put(&app, name, series).await;
            }
            let (name, series) = &all[0];
            publish(&app, name, series).await;
            let stop = CancellationToken::new();
            let following = tokio::spawn({
                let (app, stop) = (Arc::clone(&app), stop.clone());
                async move { app.follow(stop).await }
            });
            let forecaster = Forecaster::new(Arc::clone(&app));
            let before = seen(&forecaster, name).await;
            put(&app, &all[4].0, &audit::poison_after(&all[4].1, N_BARS - 2)).await;
            let begun = Instant::now();
            let long = Duration::from_secs(if follows { 30 } else { 1 });
            while seen(&forecaster, name).await == before && begun.elapsed() < long {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert_eq!(seen(&forecaster, name).await != before, follows, "every {refresh_ms} ms");
            let other_process = Arc::new(App::open(app.settings.clone()).await.expect("opens"));
            assert_ne!(seen(&Forecaster::new(other_process), name).await, before, "it is there for who looks");
            stop.cancel();
            tokio::time::timeout(Duration::from_secs(10), following).await.expect("it stops").expect("no panic");
        });
    }
}

#[test]
fn a_market_has_as_many_tickers_as_the_settings_say_the_first_stored() {
    for (max_tickers, expected) in [(0, None), (3, None), (4, Some(3)), (5, Some(4))] {
        with_market(MarketSettings { max_tickers, ..MarketSettings::default() }, async |app| {
            let all = exchange();
            for (name, series) in &all {
                put(&app, name, series).await;
            }
            let (name, series) = &all[0];
            publish(&app, name, series).await;
            assert_eq!(seen(&Forecaster::new(Arc::clone(&app)), name).await.0, expected, "{max_tickers}");
            let stored = app.store.tickers_of_market(&["XNAS".to_owned(), "XNYS".to_owned()], 2).await.expect("reads");
            assert_eq!(stored.iter().map(|one| one.ticker.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        });
    }
}

#[test]
fn a_model_trained_before_the_others_came_is_trained_again_once() {
    with_market(MarketSettings::default(), async |app| {
        let all = exchange();
        let (name, series) = &all[0];
        put(&app, name, series).await;
        assert_eq!(publish(&app, name, series).await, 0);
        let due = async || {
            let record = app.store.ticker(name).await.expect("reads").expect("stored");
            standing(&app, &record).await.expect("reads").retraining
        };
        for (other, series) in &all[1..4] {
            assert!(!due().await.due);
            put(&app, other, series).await;
        }
        let retraining = due().await;
        assert!(retraining.due && retraining.reason.contains("exchange"), "{retraining:?}");
        // A worker that was told otherwise learns nothing of them, and is not asked again for the same bars.
        let market = MarketSettings { max_tickers: 0, ..MarketSettings::default() };
        let otherwise = App::open(Settings { market, ..app.settings.clone() }).await.expect("opens");
        let runner = Runner::new(Arc::new(otherwise)).expect("a processor");
        assert_eq!(enqueue_all_due(&app).await.expect("reads"), 1);
        assert!(runner.run_one().await.expect("runs"));
        app.refresh().await.expect("reads");
        assert_eq!(n_in_market(&app, name).await, 0);
        assert!(!due().await.due, "trainings would follow each other for ever");
        put(&app, name, &next_bar(series_of(&app, name).await)).await;
        assert!(!due().await.due, "nor one a bar");
        enqueue_training(&app, name, TrainConfig::preset(Preset::Fast), 2).await.expect("queued");
        assert!(Runner::new(Arc::clone(&app)).expect("a processor").run_one().await.expect("runs"));
        assert!(n_in_market(&app, name).await > 250);
        assert!(!due().await.due);
    });
}

#[test]
fn one_that_is_none_of_the_market_s_is_trained_again_too() {
    with_market(MarketSettings { max_tickers: 4, ..MarketSettings::default() }, async |app| {
        let all = exchange();
        for (name, series) in &all {
            put(&app, name, series).await;
        }
        let (name, series) = &all[4];
        support::publish(&app, name, series, true).await;
        let due = async || {
            let record = app.store.ticker(name).await.expect("reads").expect("stored");
            standing(&app, &record).await.expect("reads").retraining.due
        };
        assert!(due().await);
        assert!(publish(&app, name, series).await > 250);
        assert!(!due().await);
    });
}

async fn series_of(app: &App, name: &Ticker) -> Series {
    let record = app.store.ticker(name).await.expect("reads").expect("stored");
    let bars = app.store.newest_bars(record.id, BarTime::from_seconds(i64::MAX), u64::MAX >> 1).await.expect("reads");
    Series::new(record.interval, bars).expect("ascending")
}

/// One bar more, a week after the last.
fn next_bar(series: Series) -> Series {
    let last = *series.last().expect("bars");
    let at = BarTime::from_seconds(last.at().seconds() + 7 * 86_400);
    let raw = RawBar { at, open: last.open(), high: last.high(), low: last.low(), close: last.close(), volume: None };
    let bars = [series.bars(), &[Bar::new(raw).expect("valid")]].concat();
    Series::new(series.interval(), bars).expect("ascending")
}

#[test]
fn another_share_under_a_deleted_name_and_one_that_cannot_be_read_change_the_market_alone() {
    with_market(MarketSettings::default(), async |app| {
        let all = exchange();
        for (name, series) in &all {
            put(&app, name, series).await;
        }
        let (name, series) = &all[0];
        publish(&app, name, series).await;
        let forecaster = Forecaster::new(Arc::clone(&app));
        let before = seen(&forecaster, name).await;
        assert_eq!(before.0, Some(4));
        // Its data versions begin anew.
        assert!(app.store.delete_ticker(&all[4].0).await.expect("deleted"));
        put_and_follow(&app, &all[4].0, &audit::poison_after(&all[4].1, N_BARS - 2)).await;
        let after = seen(&forecaster, name).await;
        assert_ne!(after, before);
        let restarted = Arc::new(App::open(app.settings.clone()).await.expect("opens"));
        assert_eq!(seen(&Forecaster::new(restarted), name).await, after);

        if app.settings.database.url.starts_with("sqlite") {
            const BREAK: &str = "UPDATE bars SET high = 0.01 WHERE ticker_id = 2 AND ts = (SELECT MAX(ts) FROM bars)";
            let database = sqlx::SqlitePool::connect(&app.settings.database.url).await.expect("the same file");
            assert_eq!(sqlx::query(BREAK).execute(&database).await.expect("broken").rows_affected(), 1);
            let restarted = Arc::new(App::open(app.settings.clone()).await.expect("opens"));
            assert_eq!(seen(&Forecaster::new(restarted), name).await.0, Some(3));
        }
    });
}

#[test]
fn the_last_ticker_s_bar_knows_the_others_at_once() {
    with_market(MarketSettings { refresh_ms: 3_600_000, ..MarketSettings::default() }, async |app| {
        let all = exchange();
        let (name, series) = &all[0];
        put(&app, name, &series.slice(0..N_BARS - 1)).await;
        for (other, series) in &all[1..] {
            put(&app, other, series).await;
        }
        publish(&app, name, &series.slice(0..N_BARS - 1)).await;
        let forecaster = Forecaster::new(Arc::clone(&app));
        assert_eq!(seen(&forecaster, name).await.0, Some(4));
        put(&app, name, series).await;
        let at_once = seen(&forecaster, name).await;
        assert_eq!(at_once.0, Some(4));
        app.refresh_markets().await.expect("reads");
        assert_eq!(seen(&forecaster, name).await.0, Some(4));
    });
}

#[tokio::test]
async fn clients_are_told_how_many_others_a_forecast_knows() {
    let app = TestApp::new().await;
    let all = exchange();
    for (name, series) in &all[..4] {
        put(&app.app, name, series).await;
    }
    publish(&app.app, &all[0].0, &all[0].1).await;
    let told = async |path: &str| app.get(path).await.json()["model"]["market_tickers"].clone();
    assert_eq!(told("/v1/tickers/A/forecast").await, 3);
    put_and_follow(&app.app, &all[4].0, &all[4].1).await;
    assert_eq!(told("/v1/tickers/A/forecast").await, 4, "bytes kept in memory are of another market");
    assert_eq!(told("/v1/tickers/A/forecast?as_of=2024-11-01").await, 4);
    let tag = async || app.get("/v1/tickers/A/chart.svg").await.header("etag").to_owned();
    let of_four = tag().await;
    assert_eq!(tag().await, of_four);
    put_and_follow(&app.app, &all[4].0, &audit::poison_after(&all[4].1, N_BARS - 2)).await;
    assert_ne!(tag().await, of_four, "its fan has moved");
    assert!(told("/v1/tickers/A/forecast?model=har").await.is_null());
    let manifest = app.get("/v1/tickers/A/models/1").await.json();
    assert!(manifest["metrics"]["n_in_market"].as_u64() > Some(250), "{manifest}");
}
