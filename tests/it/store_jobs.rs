//! The queue's promises, each kept on SQLite and on Postgres.

use candlecast::store::jobs::{Heartbeat, JobEnd};
use candlecast::store::{JobFilter, JobState, OnConflict, QueuePlace};
use serde_json::json;

use super::store::put;
use crate::support::{daily, on_both_stores, ticker};

#[test]
fn one_active_job_a_ticker_and_kind() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..5, 100.0), OnConflict::Replace).await;
        let name = ticker("A");
        let (first, is_new) = store.enqueue("1", "train", &name, &json!({"seed": 1})).await.unwrap().expect("queued");
        assert!(is_new && first.state == JobState::Enqueued);
        let (same, is_new) = store.enqueue("2", "train", &name, &json!({})).await.unwrap().expect("queued");
        assert!(!is_new && same.id == first.id && same.payload == json!({"seed": 1}));
        assert!(store.enqueue("3", "backtest", &name, &json!({})).await.unwrap().is_some_and(|(_, is_new)| is_new));
        assert!(store.enqueue("4", "train", &ticker("NONE"), &json!({})).await.unwrap().is_none());
    });
}

#[test]
fn a_job_is_one_worker_s_at_a_time_and_a_stale_lease_writes_nothing() {
    on_both_stores(|store| async move {
        for idx in 0..20 {
            let name = format!("T{idx}");
            put(&store, &name, &daily(0..2, 100.0), OnConflict::Replace).await;
            store.enqueue(&format!("{idx:02}"), "train", &ticker(&name), &json!({})).await.unwrap();
        }
        let claims = (0..40).map(|_| store.claim(&["train"], 60_000));
        let claimed = futures::future::join_all(claims).await;
        let mut ids: Vec<_> = claimed.into_iter().filter_map(|c| c.unwrap().map(|(job, _)| job.id)).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 20, "each job was claimed once");

        put(&store, "A", &daily(0..2, 100.0), OnConflict::Replace).await;
        store.enqueue("orphan", "train", &ticker("A"), &json!({})).await.unwrap();
        let (_, dead) = store.claim(&["train"], 1).await.unwrap().expect("claimed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        let (job, alive) = store.claim(&["train"], 60_000).await.unwrap().expect("an orphan is taken up");
        assert_eq!((job.id.as_str(), job.attempt, job.failures), ("orphan", 2, 0), "interrupted is not failed");
        assert_eq!(store.heartbeat(&dead, 60_000, None).await.unwrap(), Heartbeat::Lost);
        assert!(!store.end_job(&dead, &JobEnd::Succeeded(json!("stale"))).await.unwrap());
        assert!(!store.requeue(&dead, None, 0).await.unwrap());

        let progress = json!({"fraction": 0.5});
        assert_eq!(store.heartbeat(&alive, 60_000, Some(&progress)).await.unwrap(), Heartbeat::Held);
        assert!(store.end_job(&alive, &JobEnd::Succeeded(json!({"model_version": 1}))).await.unwrap());
        let job = store.job("orphan").await.unwrap().expect("kept");
        assert_eq!(
            (job.state, job.progress, job.result),
            (JobState::Succeeded, Some(progress), Some(json!({"model_version": 1})))
        );
        assert!(job.finished_at >= job.started_at && job.started_at >= Some(job.created_at));
    });
}

#[test]
fn a_waiting_job_cancels_at_once_a_running_one_is_asked_and_a_failed_one_waits() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..2, 100.0), OnConflict::Replace).await;
        let name = ticker("A");
        store.enqueue("1", "train", &name, &json!({})).await.unwrap();
        assert_eq!(store.cancel_job("1").await.unwrap().map(|job| job.state), Some(JobState::Canceled));

        store.enqueue("2", "train", &name, &json!({})).await.unwrap();
        let (_, lease) = store.claim(&["train"], 60_000).await.unwrap().expect("claimed");
        let asked = store.cancel_job("2").await.unwrap().expect("there");
        assert!(asked.state == JobState::Running && asked.cancel_requested);
        assert_eq!(store.heartbeat(&lease, 60_000, None).await.unwrap(), Heartbeat::CancelRequested);
        assert!(store.end_job(&lease, &JobEnd::Canceled).await.unwrap());
        assert_eq!(store.cancel_job("2").await.unwrap().map(|job| job.state), Some(JobState::Canceled));
        assert_eq!(store.cancel_job("none").await.unwrap(), None);

        store.enqueue("3", "train", &name, &json!({})).await.unwrap();
        let (_, lease) = store.claim(&["train"], 60_000).await.unwrap().expect("claimed");
        assert!(store.requeue(&lease, Some(&json!({"code": "diverged"})), 60_000).await.unwrap());
        assert_eq!(store.claim(&["train"], 60_000).await.unwrap().map(|(job, _)| job.id), None, "it waits its delay");
        let job = store.job("3").await.unwrap().expect("kept");
        assert_eq!((job.state, job.failures, job.attempt), (JobState::Enqueued, 1, 1));

        let canceled = JobFilter { state: Some(JobState::Canceled), ..JobFilter::default() };
        let ids: Vec<_> = store.jobs(&canceled, 10).await.unwrap().into_iter().map(|job| job.id).collect();
        assert_eq!(ids, ["2", "1"]);
        assert!(store.count_jobs().await.unwrap().contains(&(JobState::Canceled, 2)));
    });
}

#[test]
fn a_job_that_waits_knows_its_place() {
    on_both_stores(|store| async move {
        for (id, name) in [("1", "A"), ("2", "B"), ("3", "C")] {
            put(&store, name, &daily(0..5, 100.0), OnConflict::Replace).await;
            store.enqueue(id, "train", &ticker(name), &json!({})).await.unwrap();
        }
        let place = |ahead, running| Some(QueuePlace { ahead, running, not_before: None });
        assert_eq!(store.queue_place("1").await.unwrap(), place(0, 0));
        assert_eq!(store.queue_place("3").await.unwrap(), place(2, 0));
        let (first, lease) = store.claim(&["train"], 60_000).await.unwrap().expect("claimed");
        assert_eq!((first.id.as_str(), store.queue_place("1").await.unwrap()), ("1", None), "it runs");
        assert_eq!(store.queue_place("3").await.unwrap(), place(1, 1));
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        assert!(store.requeue(&lease, None, 0).await.unwrap());
        assert_eq!(store.queue_place("1").await.unwrap(), place(0, 0), "a stopping process costs it no place");
        let (first, _) = store.claim(&["train"], 1).await.unwrap().expect("claimed");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert_eq!(
            (first.id.as_str(), store.queue_place("3").await.unwrap()),
            ("1", place(1, 0)),
            "its worker is gone"
        );
        let (first, lease) = store.claim(&["train"], 60_000).await.unwrap().expect("claimed");
        assert_eq!(first.id, "1");
        assert!(store.requeue(&lease, Some(&json!({})), 60_000).await.unwrap());
        assert_eq!(store.queue_place("3").await.unwrap(), place(1, 0), "who waits for a next try is not before it");
        let delayed = store.queue_place("1").await.unwrap().expect("it waits");
        assert_eq!((delayed.ahead, delayed.not_before.is_some()), (2, true));
        assert_eq!(store.queue_place("none").await.unwrap(), None);
    });
}
