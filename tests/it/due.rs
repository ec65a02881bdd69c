//! Trainings that are due and that nobody queued: a process ended between storing bars and queueing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candlecast::app::App;
use candlecast::config::WorkerSettings;
use candlecast::domain::{Series, Ticker};
use candlecast::jobs::due::{enqueue_all_due, keep_queueing_due};
use candlecast::registry::RegistryError;
use candlecast::store::{JobFilter, TickerPatch};
use candlecast::train::{Preset, TrainConfig};
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::support::{market, on_both_apps, publish, put, ticker};

/// Bars of which the models here have seen all but the newest twenty, by which the default policy retrains.
const N_BARS: usize = 420;

/// A ticker with a model, and `n_bars` since stored by a process that then ended.
async fn with_model(app: &App, name: &str, n_new: usize) -> (Ticker, Series) {
    let (name, series) = (ticker(name), market(name, N_BARS));
    let before = series.slice(0..N_BARS - n_new);
    put(app, &name, &before).await;
    publish(app, &name, &before, true).await;
    put(app, &name, &series).await;
    (name, series)
}

async fn n_jobs(app: &App) -> usize {
    app.store.jobs(&JobFilter::default(), 100).await.expect("reads").len()
}

/// Looks for what is due ten times a second.
fn often() -> WorkerSettings {
    WorkerSettings { due_ms: 100, ..WorkerSettings::default() }
}

#[test]
fn what_the_policy_says_is_due_is_queued_once_and_nothing_else() {
    on_both_apps(&often(), |app| async move {
        let (due, _) = with_model(&app, "DUE", 20).await;
        with_model(&app, "YOUNG", 19).await;
        let (manual, _) = with_model(&app, "MANUAL", 20).await;
        let policy = Some(json!({"automatic": false}));
        app.store.patch_ticker(&manual, &TickerPatch { policy, ..TickerPatch::default() }).await.expect("patched");
        put(&app, &ticker("UNTRAINED"), &market("UNTRAINED", N_BARS)).await;

        assert_eq!(enqueue_all_due(&app).await.expect("the database answers"), 1);
        let queued = app.store.jobs(&JobFilter::default(), 100).await.expect("reads");
        assert_eq!(queued.iter().map(|job| (&job.ticker, job.kind.as_str())).collect::<Vec<_>>(), [(&due, "train")]);
        let config = TrainConfig::deserialize(&queued[0].payload["config"]).expect("a config");
        assert_eq!(config, TrainConfig::preset(Preset::Fast), "as the champion was trained");
        assert_eq!(enqueue_all_due(&app).await.expect("the database answers"), 0, "it is queued already");
    });
}

#[test]
fn a_champion_in_another_release_s_layout_is_trained_anew() {
    on_both_apps(&often(), |app| async move {
        let (name, _) = with_model(&app, "OLD", 0).await;
        assert_eq!(enqueue_all_due(&app).await.expect("the database answers"), 0, "it is of today");
        let mut model = app.store.model(&name, 1).await.expect("reads").expect("published");
        model.version = 2;
        model.manifest["spec"] = json!({"format": 1, "config": "of old"});
        assert!(app.store.add_model(&name, &model).await.expect("kept"));
        assert!(app.store.promote(&name, 2, Some(1)).await.expect("promoted"));

        let refused = app.registry.load(&name, 2).await;
        assert!(matches!(refused, Err(RegistryError::Outdated { version: 2, .. })), "{refused:?}");
        let record = app.store.ticker(&name).await.expect("reads").expect("stored");
        let (serving, refusal) = app.registry.serving(&record).await.expect("reads").expect("an older one answers");
        assert_eq!(serving.manifest.version, 1);
        assert!(matches!(refusal, Some(RegistryError::Outdated { version: 2, .. })), "{refusal:?}");
        assert_eq!(enqueue_all_due(&app).await.expect("the database answers"), 1);
    });
}

#[test]
fn a_worker_looks_at_its_start_and_again_until_it_stops() {
    on_both_apps(&often(), |app| async move {
        with_model(&app, "FIRST", 20).await;
        let stop = CancellationToken::new();
        let looking = tokio::spawn({
            let (app, stop) = (Arc::clone(&app), stop.clone());
            async move { keep_queueing_due(&app, &stop).await }
        });
        let until = async |wanted: usize| {
            let begun = Instant::now();
            while n_jobs(&app).await < wanted {
                assert!(begun.elapsed() < Duration::from_secs(30), "{} jobs", n_jobs(&app).await);
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        until(1).await;
        with_model(&app, "SECOND", 20).await;
        until(2).await;
        stop.cancel();
        tokio::time::timeout(Duration::from_secs(10), looking).await.expect("it stops").expect("no panic");
    });
}
