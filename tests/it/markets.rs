//! What the other tickers of an exchange say of one of them: learned, never looked at before it was known, and taken up
//! as their bars come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candlecast::app::App;
use candlecast::config::{MarketSettings, Settings};
use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Calendar, Interval, MarketSession, Series, Ticker};
use candlecast::evaluate::backtest::audit;
use candlecast::evaluate::{HeldBackRecord, synthetic};
use candlecast::features::Market;
use candlecast::forecast::{ForecastRequest, Forecaster, ModelUsed};
use candlecast::jobs::Runner;
use candlecast::jobs::due::{enqueue_all_due, enqueue_training, standing};
use candlecast::store::{LedgerFilter, OnConflict, PriceBasis, SentBars};
use candlecast::train::{self, Control, Model, Preset, TrainConfig, Trained, train};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use tokio_util::sync::CancellationToken;

use crate::support::app::TestApp;
use crate::support::{on_both_databases, ticker};

/// A share whose every session is as wild as the market was the day before, which its own bars do not tell: volatility
/// follows an independent draw a day, and so does `surprise` of the market one day ahead of it.
fn follower(n_bars: usize, seed: u64) -> Series {
    const MOVES: usize = 16;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || rng.sample::<f64, _>(StandardNormal);
    let surprises: Vec<f64> = (0..n_bars).map(|_| 1.5 * normal()).collect();
    let mut log_price = 4.0_f64;
    let bars = (0..n_bars).map(|idx| {
        let before = idx.checked_sub(1).map_or(0.0, |before| surprises[before]);
        let move_sd = 0.01 * (0.5 * before).exp() / (MOVES as f64).sqrt();
        let (open, mut high, mut low) = (log_price, log_price, log_price);
        for _ in 0..MOVES {
            log_price += move_sd * normal();
            (high, low) = (high.max(log_price), low.min(log_price));
        }
        let at = BarTime::from_seconds(86_400 * idx as i64);
        let [open, high, low, close] = [open, high, low, log_price].map(f64::exp);
        Bar::new(RawBar { at, open, high, low, close, volume: None }).expect("high and low are of the path")
    });
    let series = Series::new(Interval::Day, bars.collect()).expect("ascending");
    let mut surprises = surprises.into_iter();
    series.in_market(|_| {
        Some(MarketSession { surprise: surprises.next().unwrap_or(0.0), scaled_return: 0.0, n_tickers: 9 })
    })
}

fn fast(series: &Series) -> Trained {
    train(series, &TrainConfig::preset(Preset::Fast), &Control::quiet()).expect("enough bars")
}

/// Width of the next session's 80 % interval as seen at each of these bars.
fn widths(model: &Model, series: &Series, cutoffs: &[usize]) -> Vec<f64> {
    let forecasts = model.forecast_at(series, cutoffs).expect("forecasts");
    forecasts.iter().map(|steps| steps[0].at(0.9) - steps[0].at(0.1)).collect()
}

#[test]
fn what_only_the_market_tells_is_learned_and_without_it_a_ticker_goes_by_itself() {
    let series = follower(1_200, 1);
    let alone = series.clone().in_market(|_| None);
    let (with, without) = (fast(&series.slice(0..1_000)), fast(&alone.slice(0..1_000)));
    assert!(with.model.reads_market() && !without.model.reads_market());
    assert_eq!((with.metrics.n_in_market, without.metrics.n_in_market), (1_000, 0));
    let cutoffs: Vec<usize> = (1_000..1_200).collect();
    let share_explained = |widths: &[f64]| {
        let known: Vec<f64> = cutoffs.iter().map(|idx| 0.5 * series.market(*idx).expect("known").surprise).collect();
        let logs: Vec<f64> = widths.iter().map(|width| width.ln()).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (a, b) = (mean(&known), mean(&logs));
        let cross: f64 = known.iter().zip(&logs).map(|(known, log)| (known - a) * (log - b)).sum();
        cross / known.iter().map(|known| (known - a).powi(2)).sum::<f64>()
    };
    // Widths should follow the market's surprise one for one in logs.
    let slope = share_explained(&widths(&with.model, &series, &cutoffs));
    assert!((0.7..1.2).contains(&slope), "{slope}");
    let slope = share_explained(&widths(&without.model, &series, &cutoffs));
    assert!(slope.abs() < 0.1, "{slope}: its own bars do not tell");
    // A day on which the market is not known, the ticker's own bars answer, and nothing else moves.
    let gap = series.bars()[1_100].at();
    let mut sessions = (0..).map(|idx| series.market(idx));
    let unknown = series.clone().in_market(|at| sessions.next().flatten().filter(|_| at != gap));
    let (full, partly) = (widths(&with.model, &series, &cutoffs), widths(&with.model, &unknown, &cutoffs));
    assert_eq!(full[..100], partly[..100]);
    assert_ne!(full[100], partly[100]);
    let wild = series.market(1_100).expect("known").surprise;
    assert!(wild.abs() > 0.3 && (full[100] > partly[100]) == (wild > 0.0), "{wild}: {} {}", full[100], partly[100]);
}

#[test]
fn a_model_is_read_back_with_its_market_and_nothing_later_is_known() {
    let series = follower(700, 2);
    let trained = fast(&series.slice(0..600));
    let bytes = trained.model.to_safetensors(&[]).expect("written");
    let (read, _) = Model::from_parts(trained.model.spec().clone(), &bytes).expect("read");
    let cutoffs: Vec<usize> = (600..700).collect();
    assert!(read.reads_market());
    assert_eq!(widths(&read, &series, &cutoffs), widths(&trained.model, &series, &cutoffs));
    let audited = audit::leakage("network", &read, &series, &[610, 640, 690]).expect("runs");
    assert!(audited.identical, "{audited:?}");
    // The audit's poison reaches the market: at the bar after the cutoff it is seen.
    let poisoned = audit::poison_after(&series, 640);
    assert_eq!(poisoned.market(640), series.market(640));
    assert_ne!(poisoned.market(641), series.market(641));
    let others_alone = series.clone().in_market(|at| {
        let idx = series.bars().partition_point(|bar| bar.at() < at);
        if idx <= 640 { series.market(idx) } else { poisoned.market(idx) }
    });
    let (clean, poisoned) = (widths(&read, &series, &[640, 641]), widths(&read, &others_alone, &[640, 641]));
    assert!(clean[0] == poisoned[0] && clean[1] != poisoned[1], "{clean:?} {poisoned:?}");
}

#[test]
fn forecasts_up_to_a_bar_know_nothing_that_any_ticker_does_after_it() {
    const KNOWN: usize = 520;
    let names = synthetic::tickers(6);
    let all = synthetic::market(5, &names, 600, &Calendar::Weekdays, "2024-11-22".parse().expect("a date"));
    let of = |all: &[(Ticker, Series)]| {
        let footprints = |series: &Series| candlecast::features::market::footprints(series).into();
        let market = Market::new(all.iter().map(|(name, series)| (name.clone(), footprints(series))));
        market.around(&all[0].0, all[0].1.clone())
    };
    let later: Vec<(Ticker, Series)> =
        all.iter().map(|(name, series)| (name.clone(), audit::poison_after(series, KNOWN))).collect();
    let (clean, poisoned) = (of(&all), of(&later));
    let (model, same) = (fast(&clean.slice(0..KNOWN + 1)).model, fast(&poisoned.slice(0..KNOWN + 1)).model);
    assert!(model.reads_market());
    let bits = |model: &Model, series: &Series, cutoff: usize| {
        let steps = model.forecast_at(series, &[cutoff]).expect("forecasts").remove(0);
        steps.iter().flat_map(|step| step.values().iter().map(|value| value.to_bits())).collect::<Vec<_>>()
    };
    for cutoff in [300, 450, KNOWN] {
        assert_eq!(bits(&model, &clean, cutoff), bits(&same, &poisoned, cutoff), "{cutoff}");
    }
    assert_ne!(bits(&model, &clean, KNOWN + 1), bits(&same, &poisoned, KNOWN + 1), "the poison is one");
}

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

/// Trains as a job does: beside the market as it is stored.
async fn publish(app: &App, name: &Ticker, series: &Series) -> train::TrainMetrics {
    let record = app.store.ticker(name).await.expect("reads").expect("stored");
    let series = app.in_newest_market(&record, series.clone()).await.expect("reads");
    let trained = fast(&series);
    let held_back = HeldBackRecord::new(&trained.held_back, &series).expect("finite");
    let published = app.registry.publish(name, &trained, &held_back, &series, record.data_version, None).await;
    let model = published.expect("published");
    app.registry.promote(name, model.version, record.champion).await.expect("promoted");
    app.refresh().await.expect("refreshed");
    trained.metrics
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
        let metrics = publish(&app, name, &series.slice(0..N_BARS - 1)).await;
        assert!((250..N_BARS - UNTOLD).contains(&metrics.n_in_market), "{}", metrics.n_in_market);
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
        assert_eq!(publish(&app, name, series).await.n_in_market, 0);
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
        let newest = app.store.newest_model(name).await.expect("reads").expect("trained");
        assert_eq!((newest.version, &newest.manifest["metrics"]["n_in_market"]), (2, &0.into()));
        assert!(!due().await.due, "trainings would follow each other for ever");
        put(&app, name, &next_bar(series_of(&app, name).await)).await;
        assert!(!due().await.due, "nor one a bar");
        enqueue_training(&app, name, TrainConfig::preset(Preset::Fast), 2).await.expect("queued");
        assert!(Runner::new(Arc::clone(&app)).expect("a processor").run_one().await.expect("runs"));
        let newest = app.store.newest_model(name).await.expect("reads").expect("trained");
        assert!(newest.manifest["metrics"]["n_in_market"].as_u64() > Some(250));
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
        let (alone, record) = (fast(series), app.store.ticker(name).await.expect("reads").expect("stored"));
        let held_back = HeldBackRecord::new(&alone.held_back, series).expect("finite");
        app.registry.publish(name, &alone, &held_back, series, record.data_version, None).await.expect("published");
        app.registry.promote(name, 1, None).await.expect("promoted");
        let due = async || {
            let record = app.store.ticker(name).await.expect("reads").expect("stored");
            standing(&app, &record).await.expect("reads").retraining.due
        };
        assert!(due().await);
        assert!(publish(&app, name, series).await.n_in_market > 250);
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
