//! What is served is what was published, bit by bit, or it is not served.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use candlecast::app::App;
use candlecast::domain::Series;
use candlecast::evaluate::{Baseline, HeldBackRecord};
use candlecast::forecast::{ForecastError, ForecastRequest, Forecaster, ModelChoice, ModelUsed};
use candlecast::registry::{Registry, RegistryError, Swept};
use candlecast::train::{Control, Preset, TrainConfig, train};

use crate::support::{app, market, publish, put, ticker};

/// An app with a ticker `A` of two versions, the second the champion.
async fn two_versions() -> (Arc<App>, tempfile::TempDir, Series) {
    let (app, folder) = app().await;
    let series = market("A", 400);
    put(&app, &ticker("A"), &series).await;
    for version in 1..=2 {
        assert_eq!(publish(&app, &ticker("A"), &series, true).await, version);
    }
    (app, folder, series)
}

/// A registry that has nothing in memory yet.
fn anew(app: &App) -> Registry {
    Registry::open(&app.settings.models_dir, app.store.clone()).unwrap()
}

fn file(app: &App, name: &str) -> PathBuf {
    Path::new(&app.settings.models_dir).join("A").join(name)
}

async fn is_refused(registry: &Registry, version: u32) -> bool {
    match registry.load(&ticker("A"), version).await {
        Ok(_) => false,
        Err(RegistryError::Refused { .. }) => true,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_in_the_tensors_is_refused() {
    let (app, _folder, _) = two_versions().await;
    let at = file(&app, "2.safetensors");
    let good = std::fs::read(&at).unwrap();
    assert!(!is_refused(&anew(&app), 2).await);
    let registry = anew(&app);
    // An odd stride: every byte of a number has its turn.
    for (idx, position) in (0..good.len()).step_by(good.len().div_ceil(300).max(1) | 1).enumerate() {
        let mut bad = good.clone();
        bad[position] ^= 1 << (idx % 8);
        std::fs::write(&at, &bad).unwrap();
        assert!(is_refused(&registry, 2).await, "bit {} of byte {position}", idx % 8);
    }
    for shorter in [&good[..good.len() - 1], &[]] {
        std::fs::write(&at, shorter).unwrap();
        assert!(is_refused(&registry, 2).await);
    }
    std::fs::write(&at, &good).unwrap();
    assert!(!is_refused(&registry, 2).await, "a refusal is not remembered");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_the_manifest_is_refused_or_changes_no_forecast() {
    let (app, _folder, series) = two_versions().await;
    let at = file(&app, "2.json");
    let good = std::fs::read(&at).unwrap();
    let expected = app.registry.load(&ticker("A"), 2).await.unwrap().model.forecast(&series).unwrap();
    let mut refused = 0;
    for (idx, position) in (0..good.len()).step_by(good.len().div_ceil(300).max(1) | 1).enumerate() {
        let mut bad = good.clone();
        bad[position] ^= 1 << (idx % 8);
        std::fs::write(&at, &bad).unwrap();
        match anew(&app).load(&ticker("A"), 2).await {
            Err(RegistryError::Refused { .. }) => refused += 1,
            Err(other) => panic!("{other}"),
            Ok(loaded) => assert_eq!(loaded.model.forecast(&series).unwrap(), expected, "byte {position}"),
        }
    }
    assert!(refused > 0);
    let text = String::from_utf8(good).unwrap();
    for (old, new) in
        [("\"version\":2", "\"version\":1"), ("\"seed\":0", "\"seed\":1"), ("\"ticker\":\"A\"", "\"ticker\":\"B\"")]
    {
        assert!(text.contains(old), "{old} is not in {text}");
        std::fs::write(&at, text.replace(old, new)).unwrap();
        assert!(is_refused(&anew(&app), 2).await, "{new}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_model_s_files_are_refused_and_the_old_version_keeps_serving() {
    let (app, _folder, series) = two_versions().await;
    let other = TrainConfig { seed: 9, levels: vec![0.1, 0.5, 0.9], ..TrainConfig::preset(Preset::Fast) };
    let trained = train(&series, &other, &Control::quiet()).unwrap();
    let record = HeldBackRecord::new(&trained.held_back, &series).unwrap();
    app.registry.publish(&ticker("A"), &trained, &record, &series, 1, None).await.unwrap();

    let forecaster = Forecaster::new(Arc::clone(&app));
    let before = forecaster.forecast(&ticker("A"), &ForecastRequest::default()).await.unwrap();
    // The files of the challenger, which is sound in itself, under the champion's number.
    std::fs::copy(file(&app, "3.safetensors"), file(&app, "2.safetensors")).unwrap();
    std::fs::copy(file(&app, "3.json"), file(&app, "2.json")).unwrap();
    let again = forecaster.forecast(&ticker("A"), &ForecastRequest::default()).await.unwrap();
    assert_eq!(again.steps, before.steps, "what is in memory was verified and stays");

    let refused = app.registry.promote(&ticker("A"), 2, Some(2)).await;
    assert!(matches!(refused, Err(RegistryError::Refused { version: 2, .. })), "{refused:?}");

    // A process that starts now has the old version only, serves it, and says so.
    let restarted = Arc::new(App::open(app.settings.clone()).await.unwrap());
    let forecast = Forecaster::new(restarted).forecast(&ticker("A"), &ForecastRequest::default()).await.unwrap();
    assert!(matches!(&forecast.model, ModelUsed::Version(used) if used.version == 1), "{:?}", forecast.model);
    assert!(forecast.warnings.iter().any(|warning| warning.code == "champion_refused"), "{:?}", forecast.warnings);

    for name in ["1.safetensors", "1.json"] {
        std::fs::remove_file(file(&app, name)).unwrap();
    }
    let record = app.store.ticker(&ticker("A")).await.unwrap().unwrap();
    let none = anew(&app).serving(&record).await;
    assert!(matches!(none, Err(RegistryError::Refused { version: 2, .. })), "nothing that passes is left");
    let forecaster = Forecaster::new(Arc::new(App::open(app.settings.clone()).await.unwrap()));
    let champion = forecaster.forecast(&ticker("A"), &ForecastRequest::default()).await;
    assert!(
        matches!(champion, Err(ForecastError::Registry(RegistryError::Refused { version: 2, .. }))),
        "{champion:?}"
    );
    for model in [ModelChoice::Baseline(Baseline::Har), ModelChoice::Version(3)] {
        let request = ForecastRequest { model, ..ForecastRequest::default() };
        forecaster.forecast(&ticker("A"), &request).await.expect("who asks for another is answered");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn promotion_is_one_compare_and_set_and_leads_back_too() {
    let (app, _folder, _) = two_versions().await;
    let name = ticker("A");
    app.registry.promote(&name, 1, Some(2)).await.expect("the way back");
    assert_eq!(app.store.ticker(&name).await.unwrap().unwrap().champion, Some(1));
    let late = app.registry.promote(&name, 2, Some(2)).await;
    assert!(matches!(late, Err(RegistryError::Raced { .. })), "the champion is another by now: {late:?}");
    assert!(matches!(app.registry.promote(&name, 7, Some(1)).await, Err(RegistryError::Unknown { version: 7, .. })));

    let (one, two) = tokio::join!(app.registry.promote(&name, 2, Some(1)), app.registry.promote(&name, 2, Some(1)));
    assert_eq!(usize::from(one.is_ok()) + usize::from(two.is_ok()), 1, "{one:?} {two:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_a_deleted_ticker_never_reaches_its_successor() {
    let (app, _folder, series) = two_versions().await;
    let name = ticker("A");
    let job = uuid::Uuid::now_v7().to_string();
    app.store.enqueue(&job, "train", &name, &serde_json::json!({})).await.unwrap();
    let trained = train(&series, &TrainConfig::preset(Preset::Fast), &Control::quiet()).unwrap();

    // Deleted and sent anew, with other bars, while the job trained.
    app.store.delete_ticker(&name).await.unwrap();
    app.registry.delete_ticker(&name, &[1, 2]).await.unwrap();
    assert!(!file(&app, "1.safetensors").exists());
    let other = market("B", 400);
    put(&app, &name, &other).await;
    let record = HeldBackRecord::new(&trained.held_back, &series).unwrap();
    let published = app.registry.publish(&name, &trained, &record, &series, 1, Some(&job)).await;
    assert!(matches!(published, Err(RegistryError::TickerGone { .. })), "{published:?}");
    assert!(!file(&app, "1.safetensors").exists(), "nothing is left behind");
    assert_eq!(app.store.models(&name).await.unwrap(), []);

    let version = publish(&app, &name, &other, true).await;
    let loaded = app.registry.load(&name, version).await.unwrap();
    assert_eq!(loaded.manifest.data_hash, candlecast::registry::manifest::data_hash(&other));
}

#[tokio::test]
async fn what_a_publisher_that_died_left_is_swept_and_nothing_else() {
    let (app, folder) = app().await;
    let (name, series) = (ticker("TEST"), market("TEST", 420));
    put(&app, &name, &series).await;
    publish(&app, &name, &series, true).await;
    let models = folder.path().join("models/TEST");
    let write = |file: &str| std::fs::write(models.join(file), b"half").expect("written");
    // Died before the manifest; while writing; between manifest and row; and somebody's notes.
    write("2.safetensors");
    write("3.safetensors#1");
    for ending in ["safetensors", "json"] {
        std::fs::copy(models.join(format!("1.{ending}")), models.join(format!("4.{ending}"))).expect("copied");
    }
    write("notes.txt");
    // `^` is kept as `%5E`.
    std::fs::create_dir(folder.path().join("models/%5EGSPC")).expect("made");
    std::fs::write(folder.path().join("models/%5EGSPC/7.safetensors"), b"half").expect("written");
    let young = app.registry.sweep(Duration::from_secs(3600)).await.expect("swept");
    assert_eq!(young, Swept::default(), "a publisher may be at work");

    tokio::time::sleep(Duration::from_millis(20)).await;
    let mut swept = app.registry.sweep(Duration::ZERO).await.expect("swept");
    swept.removed.sort();
    assert_eq!(swept.removed, ["TEST/2.safetensors", "TEST/3.safetensors#1", "^GSPC/7.safetensors"]);
    assert_eq!(swept.unnamed, ["TEST/4"]);
    let mut left: Vec<_> = std::fs::read_dir(&models).expect("reads").flatten().map(|file| file.file_name()).collect();
    left.sort();
    assert_eq!(left, ["1.json", "1.safetensors", "4.json", "4.safetensors", "notes.txt"]);
    assert!(app.registry.load(&name, 1).await.is_ok());
}
