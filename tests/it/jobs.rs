//! The runner's promises: every end is the job's own, and nothing is lost or done twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use candlecast::app::App;
use candlecast::config::WorkerSettings;
use candlecast::evaluate::HeldBackRecord;
use candlecast::jobs::{JobContext, JobFailure, JobKind, Runner, enqueue_training};
use candlecast::store::{JobRecord, JobState};
use candlecast::train::{Control, Preset, TrainConfig, train};
use serde_json::{Value, json};

use crate::support::{daily, job, market, on_both_apps, put, quick, ticker};

/// A kind that does what its payload says.
struct Scripted {
    begun: Arc<AtomicUsize>,
}

impl Scripted {
    fn boxed(begun: &Arc<AtomicUsize>) -> Vec<Box<dyn JobKind>> {
        vec![Box::new(Self { begun: Arc::clone(begun) })]
    }
}

impl JobKind for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    fn run(&self, _: &App, job: &JobRecord, context: &JobContext) -> Result<Value, JobFailure> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        match job.payload.as_str().unwrap_or_default() {
            "succeed" => Ok(json!({"nice": niceness()})),
            "panic" => panic!("as scripted"),
            "fail" => Err(JobFailure::lasting("broken", "as scripted")),
            "fail_once" if job.failures == 0 => Err(JobFailure::passing("hiccup", "as scripted")),
            "fail_once" => Ok(json!("at last")),
            "wait" => {
                context.report(json!({"fraction": 0.5}));
                while !context.is_canceled() {
                    std::thread::sleep(Duration::from_millis(2));
                }
                Err(JobFailure::Canceled)
            }
            other => panic!("no script {other}"),
        }
    }
}

/// The nice value of this thread, as Linux tells it.
fn niceness() -> Option<i64> {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
}

async fn enqueue(app: &App, name: &str, script: &str) -> String {
    let name = ticker(name);
    put(app, &name, &daily(0..2, 100.0)).await;
    app.store.enqueue(&uuid::Uuid::now_v7().to_string(), "scripted", &name, &json!(script)).await.unwrap().unwrap().0.id
}

/// Waits until the job is as wanted, at most 30 s.
async fn until(app: &App, id: &str, wanted: impl Fn(&JobRecord) -> bool) -> JobRecord {
    until_within(Duration::from_secs(30), app, id, wanted).await
}

async fn until_within(limit: Duration, app: &App, id: &str, wanted: impl Fn(&JobRecord) -> bool) -> JobRecord {
    let begun = Instant::now();
    loop {
        let found = job(app, id).await;
        if wanted(&found) {
            return found;
        }
        assert!(begun.elapsed() < limit, "still {found:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[test]
fn the_runner_can_run_exactly_one_job() {
    on_both_apps(&quick(), |app| async move {
        let begun = Arc::default();
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&begun));
        assert!(!runner.run_one().await.unwrap(), "nothing is due");
        let first = enqueue(&app, "A", "succeed").await;
        let second = enqueue(&app, "B", "succeed").await;
        assert!(runner.run_one().await.unwrap());
        let done = job(&app, &first).await;
        assert_eq!((done.state, done.attempt, runner.n_running()), (JobState::Succeeded, 1, 0));
        if cfg!(target_os = "linux") {
            assert_eq!(done.result, Some(json!({"nice": 19})), "jobs stand behind requests");
        }
        assert_eq!(job(&app, &second).await.state, JobState::Enqueued);
    });
}

#[test]
fn a_panic_and_a_failure_end_the_job_and_the_next_one_runs() {
    on_both_apps(&quick(), |app| async move {
        let begun = Arc::default();
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&begun));
        let panics = enqueue(&app, "A", "panic").await;
        let fails = enqueue(&app, "B", "fail").await;
        let succeeds = enqueue(&app, "C", "succeed").await;
        for _ in 0..3 {
            assert!(runner.run_one().await.unwrap());
        }
        let (panicked, failed) = (job(&app, &panics).await, job(&app, &fails).await);
        assert_eq!((panicked.state, panicked.error.unwrap()["code"].clone()), (JobState::Failed, json!("panicked")));
        assert_eq!(failed.error, Some(json!({"code": "broken", "message": "as scripted"})));
        assert_eq!(job(&app, &succeeds).await.state, JobState::Succeeded);
    });
}

#[test]
fn what_may_pass_is_tried_again_later_and_then_not_for_ever() {
    on_both_apps(&WorkerSettings { max_attempts: 2, ..quick() }, |app| async move {
        let begun = Arc::default();
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&begun));
        let id = enqueue(&app, "A", "fail_once").await;
        assert!(runner.run_one().await.unwrap());
        let waiting = job(&app, &id).await;
        assert_eq!((waiting.state, waiting.failures), (JobState::Enqueued, 1));
        assert_eq!(waiting.error.unwrap()["code"], "hiccup");
        assert!(!runner.run_one().await.unwrap(), "it waits before it is tried again");
    });
    on_both_apps(&WorkerSettings { max_attempts: 1, ..quick() }, |app| async move {
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&Arc::default()));
        let id = enqueue(&app, "A", "fail_once").await;
        assert!(runner.run_one().await.unwrap());
        assert_eq!(job(&app, &id).await.state, JobState::Failed, "one attempt was allowed");
    });
}

#[test]
fn cancel_and_deadline_end_a_running_job_and_progress_comes_out() {
    on_both_apps(&WorkerSettings { deadline_ms: 1_000, ..quick() }, |app| async move {
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&Arc::default()));
        let works = tokio::spawn({
            let runner = runner.clone();
            async move { runner.run().await }
        });
        let id = enqueue(&app, "A", "wait").await;
        until(&app, &id, |job| job.progress == Some(json!({"fraction": 0.5}))).await;
        app.store.cancel_job(&id).await.unwrap();
        let canceled = until(&app, &id, |job| job.state.is_final()).await;
        assert_eq!(canceled.state, JobState::Canceled);

        let id = enqueue(&app, "A", "wait").await;
        let late = until(&app, &id, |job| job.state.is_final()).await;
        assert_eq!((late.state, late.error.unwrap()["code"].clone()), (JobState::Failed, json!("deadline_exceeded")));
        runner.stop(Duration::from_secs(5)).await;
        works.await.unwrap();
    });
}

#[test]
fn a_stopping_process_hands_its_jobs_back_and_takes_no_more() {
    on_both_apps(&quick(), |app| async move {
        let begun: Arc<AtomicUsize> = Arc::default();
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&begun));
        let works = tokio::spawn({
            let runner = runner.clone();
            async move { runner.run().await }
        });
        let running = enqueue(&app, "A", "wait").await;
        until(&app, &running, |job| job.state == JobState::Running).await;
        runner.stop(Duration::from_secs(5)).await;
        works.await.unwrap();
        let back = job(&app, &running).await;
        assert_eq!((back.state, back.failures), (JobState::Enqueued, 0), "an interrupted attempt is not a failed one");
        let later = enqueue(&app, "B", "succeed").await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert_eq!(job(&app, &later).await.state, JobState::Enqueued);
        assert_eq!(runner.n_running(), 0);
    });
}

#[test]
fn attempts_handed_back_do_not_count_and_those_that_took_their_worker_down_do() {
    on_both_apps(&quick(), |app| async move {
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&Arc::default()));
        let patient = enqueue(&app, "A", "succeed").await;
        for _ in 0..25 {
            let (_, lease) = app.store.claim(&["scripted"], 10_000).await.unwrap().expect("it is due");
            assert!(app.store.requeue(&lease, None, 0).await.unwrap());
        }
        assert!(runner.run_one().await.unwrap());
        let done = job(&app, &patient).await;
        assert_eq!((done.state, done.attempt), (JobState::Succeeded, 26), "twenty-five restarts are no fault of its");

        let deadly = enqueue(&app, "B", "succeed").await;
        for _ in 0..20 {
            app.store.claim(&["scripted"], 1).await.unwrap().expect("its lease has run out");
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        assert!(runner.run_one().await.unwrap());
        let failed = job(&app, &deadly).await;
        assert_eq!(failed.error.expect("it failed")["code"], "interrupted_too_often");
    });
}

#[test]
fn a_worker_that_lost_its_lease_stops_and_writes_nothing() {
    on_both_apps(&quick(), |app| async move {
        let runner = Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&Arc::default()));
        let id = enqueue(&app, "A", "wait").await;
        let works = tokio::spawn({
            let runner = runner.clone();
            async move { runner.run_one().await }
        });
        until(&app, &id, |job| job.state == JobState::Running).await;
        // The ticker and with it the job are deleted under the worker's hands.
        app.store.delete_ticker(&ticker("A")).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), works).await;
        ended.expect("the worker saw it").unwrap().unwrap();
        assert_eq!(app.store.job(&id).await.unwrap(), None);
    });
}

#[test]
fn two_runners_share_a_queue_and_each_job_runs_once() {
    on_both_apps(&quick(), |app| async move {
        let begun: Arc<AtomicUsize> = Arc::default();
        let runners = [0, 1].map(|_| Runner::of_kinds(Arc::clone(&app), Scripted::boxed(&begun)));
        let works: Vec<_> =
            runners.iter().cloned().map(|runner| tokio::spawn(async move { runner.run().await })).collect();
        let mut ids = Vec::new();
        for idx in 0..20 {
            ids.push(enqueue(&app, &format!("T{idx}"), "succeed").await);
        }
        for id in &ids {
            assert_eq!(until(&app, id, |job| job.state.is_final()).await.state, JobState::Succeeded);
        }
        assert_eq!(begun.load(Ordering::Relaxed), 20);
        for (runner, works) in runners.iter().zip(works) {
            runner.stop(Duration::from_secs(5)).await;
            works.await.unwrap();
        }
    });
}

/// A worker process on the database and models of `app`; whoever drops it kills it as `kill -9` does.
struct Worker(std::process::Child);

impl Worker {
    fn start(app: &App) -> Self {
        let child = std::process::Command::new(env!("CARGO_BIN_EXE_candlecast"))
            .args(["worker", "--database-url", &app.settings.database.url])
            .args(["--models-dir", &app.settings.models_dir])
            .env("CANDLECAST_WORKER__LEASE_MS", "5000")
            .env("CANDLECAST_WORKER__HEARTBEAT_MS", "1000")
            .env("CANDLECAST_WORKER__POLL_MS", "20")
            .env("CANDLECAST_WORKER__CHECKPOINT_MS", "100")
            .env("CANDLECAST_LOG", "warn")
            .current_dir(std::env::temp_dir())
            .stdout(std::process::Stdio::null())
            .spawn();
        Self(child.expect("the worker starts"))
    }

    fn kill(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

#[test]
fn a_worker_killed_in_the_middle_of_a_training_loses_nothing() {
    on_both_apps(&quick(), |app| async move {
        // Many bars and epochs, so that the training takes long enough to be killed in the middle.
        let (name, series) = (ticker("A"), market("A", 3_000));
        put(&app, &name, &series).await;
        let config = TrainConfig { hidden: 16, epochs: 12, patience: 12, ..TrainConfig::preset(Preset::Fast) };
        let (queued, _) = enqueue_training(&app, &name, config.clone(), 1).await.unwrap().expect("queued");

        let mut first = Worker::start(&app);
        let begun = Instant::now();
        while app.registry.checkpoint(&name, &queued.id).await.unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(30), "no checkpoint: {:?}", job(&app, &queued.id).await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        first.kill();
        let interrupted = job(&app, &queued.id).await;
        assert_eq!((interrupted.state, interrupted.attempt), (JobState::Running, 1), "killed in the middle");
        assert_eq!(app.store.models(&name).await.unwrap(), []);

        let _second = Worker::start(&app);
        let begun = Instant::now();
        let taken_up = until_within(Duration::from_secs(45), &app, &queued.id, |job| job.attempt == 2).await;
        assert_eq!(taken_up.failures, 0, "an interrupted attempt is not a failed one");
        println!("taken up after {} ms", begun.elapsed().as_millis());
        let done = until_within(Duration::from_secs(120), &app, &queued.id, |job| job.state.is_final()).await;
        assert_eq!(done.state, JobState::Succeeded, "{:?}", done.error);
        assert_eq!(app.store.models(&name).await.unwrap().len(), 1);
        assert_eq!(app.store.ticker(&name).await.unwrap().unwrap().champion, Some(1));
        assert!(app.registry.load(&name, 1).await.is_ok());
        assert_eq!(app.registry.checkpoint(&name, &queued.id).await.unwrap(), None, "gone with the job's end");

        let whole = train(&series, &config, &Control::quiet()).unwrap();
        let record = HeldBackRecord::new(&whole.held_back, &series).unwrap();
        let whole = app.registry.publish(&name, &whole, &record, &series, 1, None).await.unwrap();
        let resumed = app.store.model(&name, 1).await.unwrap().unwrap();
        assert_eq!(resumed.sha256, whole.sha256, "the bytes of a training that nobody killed");
    });
}
