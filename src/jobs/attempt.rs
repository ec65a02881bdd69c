//! One attempt at one job: its thread, its heartbeat, its end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, oneshot, watch};
use tokio::time::Instant;

use super::{JobContext, JobFailure, Runner};
use crate::store::jobs::{Heartbeat, JobEnd};
use crate::store::{JobRecord, Lease, StoreError};

/// A claimed job.
pub(super) struct Attempt {
    pub(super) runner: Runner,
    pub(super) job: JobRecord,
    pub(super) lease: Lease,
}

/// Why the cancel flag was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Canceled,
    Deadline,
    /// This process ends; the job goes back into the queue.
    ProcessStops,
    /// The job is somebody else's by now, or gone.
    LeaseLost,
}

/// The cancel flag, and why it was raised first and when.
struct StopFlag {
    flag: Arc<AtomicBool>,
    raised: Option<(Stop, Instant)>,
}

impl StopFlag {
    fn raise(&mut self, why: Stop) {
        self.flag.store(true, Ordering::Relaxed);
        self.raised.get_or_insert((why, Instant::now()));
    }

    fn why(&self) -> Option<Stop> {
        self.raised.map(|(why, _)| why)
    }

    /// When the job counts as hanging.
    fn hangs_at(&self) -> Instant {
        self.raised.map_or_else(Instant::now, |(_, since)| since) + HANG_AFTER
    }
}

type Outcome = Result<Value, JobFailure>;

/// How often progress is stored at most.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// How long a job may go on after its flag was raised, before it counts as hanging and is given up. Its thread
/// keeps its slot.
const HANG_AFTER: Duration = Duration::from_secs(30);

/// A job that took this many workers down with it is not begun again.
const MAX_INTERRUPTIONS: u32 = 20;

/// How often the end of a job is written again when the database does not answer.
const END_TRIES: u32 = 6;

impl Attempt {
    /// Runs the job to its end and writes it. `slot` is free again when the job's thread has ended.
    pub(super) async fn run(self, slot: OwnedSemaphorePermit) {
        let (id, kind, ticker) = (&self.job.id, &self.job.kind, &self.job.ticker);
        tracing::info!(job = %id, kind, %ticker, attempt = self.job.attempt, "job begins");
        let begun = Instant::now();
        let (outcome, stop) = match self.refusal() {
            Some(refusal) => refusal,
            None => self.work(slot).await,
        };
        let state = self.write_end(outcome, stop).await;
        let duration = begun.elapsed();
        metrics::counter!("candlecast_job_attempts_total", "kind" => kind.clone(), "end" => state).increment(1);
        metrics::histogram!("candlecast_job_duration_seconds", "kind" => kind.clone()).record(duration.as_secs_f64());
        tracing::info!(job = %id, kind, %ticker, end = state, duration_ms = duration.as_millis() as u64, "job ends");
        if let Err(error) = self.runner.app.refresh().await {
            tracing::warn!(%error, "cannot see what the job changed; the next look will");
        }
    }

    /// Why not even to begin.
    fn refusal(&self) -> Option<(Outcome, Option<Stop>)> {
        let interruptions = self.job.interruptions();
        if self.job.cancel_requested {
            return Some((Err(JobFailure::Canceled), Some(Stop::Canceled)));
        }
        (interruptions >= MAX_INTERRUPTIONS).then(|| {
            let message = format!("interrupted {interruptions} times; the worker may have died of it");
            (Err(JobFailure::lasting("interrupted_too_often", message)), None)
        })
    }

    /// The thread works, this task keeps the lease and listens.
    async fn work(&self, slot: OwnedSemaphorePermit) -> (Outcome, Option<Stop>) {
        let settings = &self.runner.app.settings.worker;
        let (lease, every) = (Duration::from_millis(settings.lease_ms), Duration::from_millis(settings.heartbeat_ms));
        let deadline = Instant::now() + Duration::from_millis(settings.deadline_ms);
        let mut stop = StopFlag { flag: Arc::default(), raised: None };
        let (progress, mut reported) = watch::channel(None);
        // Held here too, so that the last word can be read after the thread has ended.
        let progress = Arc::new(progress);
        let context = JobContext {
            cancel: Arc::clone(&stop.flag),
            deadline: deadline.into_std(),
            progress: Arc::clone(&progress),
            handle: tokio::runtime::Handle::current(),
        };
        let mut outcome = self.spawn(context, slot);
        let (mut beaten, mut held_until) = (Instant::now(), Instant::now() + lease);
        let mut next_beat = beaten + every;
        let mut unsent = false;
        loop {
            tokio::select! {
                biased;
                outcome = &mut outcome => {
                    let died = |_| Err(JobFailure::lasting("worker_failed", "the job's thread ended without an answer"));
                    // Who follows the job sees its last word too; if this beat fails, the end still counts.
                    if stop.why().is_none() && (unsent || reported.has_changed().unwrap_or(false)) {
                        let last = reported.borrow_and_update().clone();
                        if let Err(error) = self.beat(last.as_ref(), every).await {
                            tracing::warn!(job = %self.job.id, %error, "the last progress was not stored");
                        }
                    }
                    return (outcome.unwrap_or_else(died), stop.why());
                }
                () = tokio::time::sleep_until(next_beat) => {
                    let now = reported.borrow_and_update().clone();
                    match self.beat(now.as_ref(), every).await {
                        Ok(Heartbeat::Lost) => stop.raise(Stop::LeaseLost),
                        Ok(beat) => {
                            held_until = Instant::now() + lease;
                            if beat == Heartbeat::CancelRequested { stop.raise(Stop::Canceled) }
                        }
                        Err(error) => {
                            tracing::warn!(job = %self.job.id, %error, "heartbeat failed");
                            if Instant::now() >= held_until { stop.raise(Stop::LeaseLost) }
                        }
                    }
                    unsent = false;
                    beaten = Instant::now();
                    next_beat = beaten + every;
                }
                Ok(()) = reported.changed() => {
                    unsent = true;
                    next_beat = next_beat.min(beaten + PROGRESS_EVERY);
                }
                () = self.runner.stop.cancelled(), if stop.why().is_none() => stop.raise(Stop::ProcessStops),
                () = tokio::time::sleep_until(deadline), if stop.why().is_none() => stop.raise(Stop::Deadline),
                () = tokio::time::sleep_until(stop.hangs_at()), if stop.why().is_some() => {
                    tracing::error!(job = %self.job.id, "the job does not stop; its thread is left alone");
                    return (Err(JobFailure::Canceled), stop.why());
                }
            }
        }
    }

    async fn beat(&self, progress: Option<&Value>, limit: Duration) -> Result<Heartbeat, StoreError> {
        let (store, lease_ms) = (&self.runner.app.store, self.runner.app.settings.worker.lease_ms);
        // No longer than to the next beat: the job's end must not wait behind a database that hangs.
        let beat = tokio::time::timeout(limit, store.heartbeat(&self.lease, lease_ms, progress)).await;
        beat.unwrap_or_else(|_| Err(StoreError::Timeout { limit_ms: limit.as_millis() as u64 }))
    }

    /// Starts the job's thread.
    fn spawn(&self, context: JobContext, slot: OwnedSemaphorePermit) -> oneshot::Receiver<Outcome> {
        let (tell, outcome) = oneshot::channel();
        let (runner, job) = (self.runner.clone(), self.job.clone());
        let work = move || {
            lower_priority();
            let kind = runner.kinds.iter().find(|kind| kind.name() == job.kind);
            let outcome = match kind {
                None => Err(JobFailure::lasting("unknown_kind", format!("no job kind is called {}", job.kind))),
                // What a panicked job leaves behind is dropped with it: it shares nothing but the app.
                Some(kind) => catch_unwind(AssertUnwindSafe(|| kind.run(&runner.app, &job, &context)))
                    .unwrap_or_else(|panic| Err(panicked(panic.as_ref()))),
            };
            drop(slot);
            // Nobody listens any more when the job was given up.
            let _ = tell.send(outcome);
        };
        // Where no thread can be had, `tell` is dropped and the job fails with it.
        if let Err(error) = std::thread::Builder::new().name(format!("job-{}", self.job.kind)).spawn(work) {
            tracing::error!(%error, "cannot start a thread for a job");
        }
        outcome
    }

    /// Writes how the job ended, with patience: an end that is lost costs the whole job again. Its name for logs
    /// and metrics.
    async fn write_end(&self, outcome: Outcome, stop: Option<Stop>) -> &'static str {
        let Some((name, end)) = self.end(outcome, stop) else { return "lost" };
        let store = &self.runner.app.store;
        for attempt in 1..=END_TRIES {
            let written = match &end {
                End::Final(end) => store.end_job(&self.lease, end).await,
                End::Requeue { failed, delay_ms } => store.requeue(&self.lease, failed.as_ref(), *delay_ms).await,
            };
            match written {
                Ok(true) => {
                    if matches!(end, End::Final(_)) {
                        self.forget_checkpoint().await;
                    }
                    return name;
                }
                Ok(false) => return "lost",
                Err(error) => tracing::warn!(job = %self.job.id, %error, attempt, "cannot write a job's end"),
            }
            tokio::time::sleep(Duration::from_millis(100) * attempt.pow(2)).await;
        }
        "lost"
    }

    /// A job that is over is not taken up again.
    async fn forget_checkpoint(&self) {
        if let Err(error) = self.runner.app.registry.remove_checkpoint(&self.job.ticker, &self.job.id).await {
            tracing::warn!(job = %self.job.id, %error, "its checkpoint stays until the next sweep");
        }
    }

    /// What becomes of the row; `None` when it is no longer ours to write.
    fn end(&self, outcome: Outcome, stop: Option<Stop>) -> Option<(&'static str, End)> {
        let settings = &self.runner.app.settings.worker;
        let failure = match (outcome, stop) {
            (_, Some(Stop::LeaseLost)) => return None,
            (Ok(result), _) => return Some(("succeeded", End::Final(JobEnd::Succeeded(result)))),
            (Err(JobFailure::Canceled), Some(Stop::ProcessStops)) => {
                return Some(("handed_back", End::Requeue { failed: None, delay_ms: 0 }));
            }
            (Err(JobFailure::Canceled), Some(Stop::Deadline)) => {
                JobFailure::lasting("deadline_exceeded", format!("not done within {} s", settings.deadline_ms / 1000))
            }
            (Err(JobFailure::Canceled), _) => return Some(("canceled", End::Final(JobEnd::Canceled))),
            (Err(failure), _) => failure,
        };
        tracing::warn!(job = %self.job.id, ?failure, "a job failed");
        let error = failure.to_json();
        let may_pass = matches!(failure, JobFailure::Failed { is_transient: true, .. });
        Some(match may_pass && self.job.failures + 1 < settings.max_attempts {
            true => ("retried", End::Requeue { failed: Some(error), delay_ms: backoff_ms(self.job.failures) }),
            false => ("failed", End::Final(JobEnd::Failed(error))),
        })
    }
}

/// What is written when an attempt is over.
enum End {
    Final(JobEnd),
    Requeue { failed: Option<Value>, delay_ms: u64 },
}

/// 5 s, 20 s, 80 s, then 5 min.
fn backoff_ms(failures: u32) -> u64 {
    (5_000 * 4_u64.pow(failures.min(3))).min(300_000)
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> JobFailure {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    tracing::error!(panic = text.as_deref().unwrap_or("not a text"), "a job panicked");
    JobFailure::lasting("panicked", "an error of ours; the log of the worker has it")
}

/// Puts this thread behind all that answers requests. Of a processor that is taken to the last, even the lowest priority is
/// owed a share, up to 4 ms at a time: giving way keeps that out of the answers' tail.
fn lower_priority() {
    candlecast_kernels::give_way_on_this_thread();
    // On Linux a thread has a priority of its own; elsewhere this would slow the whole process.
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19) {
        tracing::warn!(%error, "cannot lower the priority of a job's thread");
    }
}
