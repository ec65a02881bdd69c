//! `candlecast backup` beside somebody who writes.

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candlecast::app::App;
use candlecast::config::{DatabaseSettings, Settings};
use candlecast::domain::BarTime;
use candlecast::forecast::{ForecastRequest, Forecaster};

use crate::support::{app, daily, market, postgres, publish, put, ticker};

const ALL: (BarTime, BarTime) = (BarTime::from_seconds(i64::MIN), BarTime::from_seconds(i64::MAX));

async fn back_up(app: &App, dest: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candlecast"));
    command.env_clear().arg("backup").arg(dest).current_dir(dest.parent().expect("a folder"));
    command.args(["--database-url", &app.settings.database.url, "--models-dir", &app.settings.models_dir]);
    tokio::task::spawn_blocking(move || command.output().expect("the binary runs")).await.expect("no panic")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn open(folder: &Path) -> Arc<App> {
    let settings = Settings {
        models_dir: folder.join("models").display().to_string(),
        database: DatabaseSettings::sqlite(&folder.join("candlecast.db")),
        ..Settings::default()
    };
    Arc::new(App::open(settings).await.expect("the copy opens"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_taken_while_bars_come_in_answers_as_the_original_did() {
    let (app, folder) = app().await;
    let (name, series) = (ticker("TEST"), market("TEST", 420));
    put(&app, &name, &series).await;
    publish(&app, &name, &series, true).await;
    publish(&app, &name, &series, false).await;

    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (app, stop) = (Arc::clone(&app), Arc::clone(&stop));
        async move {
            let mut n_days = 0;
            while !stop.load(Ordering::Relaxed) {
                n_days += 1;
                put(&app, &ticker("BUSY"), &daily(0..n_days, 100.0)).await;
            }
            n_days
        }
    });
    while app.store.ticker(&ticker("BUSY")).await.expect("reads").is_none() {
        tokio::task::yield_now().await;
    }
    let dest = folder.path().join("a backup?");
    let done = back_up(&app, &dest).await;
    stop.store(true, Ordering::Relaxed);
    let n_days = writing.await.expect("wrote to the end");
    assert!(done.status.success(), "{}", said(&done));

    let copy = open(&dest.canonicalize().expect("there")).await;
    let id = |app: &Arc<App>, of: &'static str| {
        let app = Arc::clone(app);
        async move { app.store.ticker(&ticker(of)).await.expect("reads").expect("there") }
    };
    let (live, kept) = (id(&app, "TEST").await, id(&copy, "TEST").await);
    assert_eq!((live.bars_total, live.champion, live.revision), (kept.bars_total, kept.champion, kept.revision));
    assert_eq!(
        app.store.bars(live.id, ALL.0, ALL.1, 10_000).await.expect("reads"),
        copy.store.bars(kept.id, ALL.0, ALL.1, 10_000).await.expect("reads")
    );
    let (asked, request) = (ticker("TEST"), ForecastRequest::default());
    let expected = Forecaster::new(Arc::clone(&app)).forecast(&asked, &request).await.expect("forecasts");
    let answered = Forecaster::new(Arc::clone(&copy)).forecast(&asked, &request).await.expect("forecasts");
    assert_eq!(answered.steps, expected.steps);
    assert!(copy.registry.load(&asked, 2).await.is_ok(), "the challenger is there too");

    // Whatever was copied of a series in change was one moment of it.
    let busy = id(&copy, "BUSY").await;
    let bars = copy.store.bars(busy.id, ALL.0, ALL.1, 10_000).await.expect("reads");
    assert_eq!(busy.bars_total, bars.len() as u64);
    assert!((1..=n_days).contains(&(bars.len() as i64)), "{} of {n_days}", bars.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_overwrites_nothing_and_names_what_was_damaged_before() {
    let (app, folder) = app().await;
    let (name, series) = (ticker("TEST"), market("TEST", 420));
    put(&app, &name, &series).await;
    publish(&app, &name, &series, true).await;
    publish(&app, &name, &series, true).await;
    let dest = folder.path().join("backup");
    std::fs::create_dir(&dest).expect("made");
    assert!(back_up(&app, &dest).await.status.success(), "an empty folder may be there");
    let refused = back_up(&app, &dest).await;
    assert!(!refused.status.success() && said(&refused).contains("is not empty"), "{}", said(&refused));

    let file = Path::new(&app.settings.models_dir).join("TEST/1.safetensors");
    let mut bytes = std::fs::read(&file).expect("an artifact");
    bytes[200] ^= 1;
    std::fs::write(&file, bytes).expect("damaged");
    let dest = folder.path().join("second");
    let done = back_up(&app, &dest).await;
    assert!(!done.status.success() && said(&done).contains("model 1 of TEST is refused"), "{}", said(&done));
    let copy = open(&dest).await;
    assert!(copy.registry.load(&name, 2).await.is_ok() && copy.registry.load(&name, 1).await.is_err());
    if let Some(url) = postgres::fresh_database() {
        let mut settings = app.settings.clone();
        settings.database.url = url;
        let server = App::open(settings).await.expect("opens");
        let refused = back_up(&server, &folder.path().join("third")).await;
        assert!(!refused.status.success() && said(&refused).contains("pg_dump"), "{}", said(&refused));
    }
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("reads").flatten().map(|e| e.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}
