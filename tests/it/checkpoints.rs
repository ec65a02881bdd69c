//! A training that was interrupted ends with the bytes that it would have had.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use candlecast::config::WorkerSettings;
use candlecast::evaluate::HeldBackRecord;
use candlecast::jobs::{Runner, enqueue_training};
use candlecast::store::JobState;
use candlecast::train::{Checkpoint, Control, Keep, Preset, Progress, TrainConfig, TrainError, Trained, train};

use crate::support::app::TestApp;
use crate::support::{market, put, ticker};
use crate::train::swings;

/// Two networks with everything that has a state: dropout, two layers, several batches an epoch, patience.
fn config() -> TrainConfig {
    let fast = TrainConfig::preset(Preset::Fast);
    TrainConfig {
        ensemble: 2,
        layers: 2,
        dropout: 0.2,
        epochs: 4,
        patience: 3,
        batch_size: 40,
        learning_rate: 1e-2,
        ..fast
    }
}

fn bytes(trained: &Trained) -> Vec<u8> {
    trained.model.to_safetensors(&[]).expect("finite")
}

#[test]
fn a_training_resumed_from_any_batch_gives_the_same_bytes() {
    let (series, config) = (swings(400), config());
    let whole = train(&series, &config, &Control::quiet()).expect("400 bars are enough");
    assert!(whole.metrics.network_trust[0] > 0.0, "{:?}: there is something to resume", whole.metrics);

    let (n_epochs, kept) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let progress = |_: Progress| {
        n_epochs.fetch_add(1, Ordering::Relaxed);
    };
    let keep = |checkpoint: Checkpoint| {
        let bytes = checkpoint.to_bytes().expect("tensors");
        kept.lock().unwrap().push((n_epochs.load(Ordering::Relaxed), bytes));
    };
    let every_batch = Keep { checkpoint: &keep, every: Duration::ZERO };
    let watched = Control { progress: &progress, keep: Some(every_batch), ..Control::quiet() };
    let watched = train(&series, &config, &watched).expect("trained");
    assert!(bytes(&watched) == bytes(&whole), "keeping changes nothing");

    let (n_epochs, kept) = (n_epochs.into_inner(), kept.into_inner().unwrap());
    assert!(kept.len() > 20, "{}: both networks, several epochs, several batches", kept.len());
    // Every third meets the first batch of an epoch, later ones, and both networks.
    for (epochs_before, checkpoint) in kept.iter().step_by(3).chain(kept.last()) {
        let checkpoint = Checkpoint::from_bytes(checkpoint).expect("its own");
        let n_after = AtomicUsize::new(0);
        let progress = |_: Progress| {
            n_after.fetch_add(1, Ordering::Relaxed);
        };
        let resumed = Control { progress: &progress, resume: Some(&checkpoint), ..Control::quiet() };
        let resumed = train(&series, &config, &resumed).expect("resumed");
        assert!(bytes(&resumed) == bytes(&whole), "after {epochs_before} epochs");
        assert_eq!((resumed.metrics, resumed.held_back), (whole.metrics.clone(), whole.held_back.clone()));
        assert_eq!(n_after.into_inner(), n_epochs - epochs_before, "what was done is not done again");
    }
}

#[test]
fn a_cancel_leaves_the_very_batch_and_another_training_does_not_take_it_up() {
    let (series, config) = (market("A", 400), config());
    let (cancel, kept) = (AtomicBool::new(false), Mutex::new(None));
    let progress = |progress: Progress| cancel.store(progress.epoch == 2, Ordering::Relaxed);
    let keep = |checkpoint| *kept.lock().unwrap() = Some(checkpoint);
    let seldom = Keep { checkpoint: &keep, every: Duration::from_secs(3600) };
    let control = Control { progress: &progress, cancel: &cancel, keep: Some(seldom), ..Control::quiet() };
    assert!(matches!(train(&series, &config, &control), Err(TrainError::Canceled)));
    let kept = kept.into_inner().unwrap().expect("a cancel leaves where the training stood");

    let resumed_at = |series, config: &TrainConfig| {
        let first = Mutex::new(None);
        let progress = |progress: Progress| {
            first.lock().unwrap().get_or_insert(progress.epoch);
        };
        let control = Control { progress: &progress, resume: Some(&kept), ..Control::quiet() };
        let trained = train(series, config, &control).expect("trained");
        (bytes(&trained), first.into_inner().unwrap().expect("an epoch"))
    };
    let plain = |series, config: &TrainConfig| bytes(&train(series, config, &Control::quiet()).expect("trained"));
    assert!(resumed_at(&series, &config) == (plain(&series, &config), 3), "epochs 1 and 2 are not run again");
    let newer = market("A", 401);
    assert!(resumed_at(&newer, &config) == (plain(&newer, &config), 1), "other bars begin anew");
    let other = TrainConfig { seed: 1, ..config };
    assert!(resumed_at(&series, &other) == (plain(&series, &other), 1), "another seed begins anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_process_hands_its_training_back_and_the_next_one_finishes_it() {
    let test = TestApp::with(|settings| {
        settings.worker = WorkerSettings { n_jobs: 1, poll_ms: 10, heartbeat_ms: 100, ..WorkerSettings::default() };
    });
    let test = test.await;
    let (app, name, series) = (&test.app, ticker("A"), market("A", 1_500));
    put(app, &name, &series).await;
    let config = TrainConfig { hidden: 24, epochs: 30, patience: 30, ..config() };
    let (queued, _) = enqueue_training(app, &name, config.clone(), 1).await.unwrap().expect("queued");

    let runner = Runner::new(app.clone()).expect("a processor");
    let works = tokio::spawn({
        let runner = runner.clone();
        async move { runner.run().await }
    });
    loop {
        let job = app.store.job(&queued.id).await.unwrap().expect("kept");
        assert!(!job.state.is_final(), "too quick to be stopped in the middle: {job:?}");
        if job.progress.is_some_and(|progress| progress["epoch"].as_u64() >= Some(1)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    runner.stop(Duration::from_secs(10)).await;
    works.await.unwrap();
    let back = app.store.job(&queued.id).await.unwrap().unwrap();
    assert_eq!((back.state, back.failures), (JobState::Enqueued, 0));
    let checkpoint = PathBuf::from(&app.settings.models_dir).join("A").join(format!("{}.checkpoint", queued.id));
    assert!(checkpoint.exists(), "handed back with where it stood");
    // A sweep leaves it: the job waits.
    assert_eq!(app.registry.sweep(Duration::ZERO).await.unwrap().removed, [""; 0]);

    assert!(Runner::new(app.clone()).expect("a processor").run_one().await.unwrap());
    let done = app.store.job(&queued.id).await.unwrap().unwrap();
    assert_eq!(done.state, JobState::Succeeded, "{:?}", done.error);
    assert!(!checkpoint.exists(), "removed with the job's end");

    let whole = train(&series, &config, &Control::quiet()).unwrap();
    let record = HeldBackRecord::new(&whole.held_back, &series).unwrap();
    let whole = app.registry.publish(&name, &whole, &record, &series, 1, None).await.unwrap();
    let resumed = app.store.model(&name, 1).await.unwrap().unwrap();
    assert_eq!(resumed.sha256, whole.sha256, "the bytes of a training that nobody stopped");
}

#[tokio::test]
async fn checkpoints_of_jobs_that_are_over_are_swept() {
    let test = TestApp::new().await;
    let name = ticker("A");
    put(&test.app, &name, &market("A", 10)).await;
    test.app.registry.keep_checkpoint(&name, "gone", vec![1, 2, 3]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(test.app.registry.checkpoint(&name, "gone").await.unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(test.app.registry.sweep(Duration::ZERO).await.unwrap().removed, ["A/gone.checkpoint"]);
    assert_eq!(test.app.registry.checkpoint(&name, "gone").await.unwrap(), None);
}
