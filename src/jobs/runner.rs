//! Takes jobs from the queue, as many at a time as the settings say.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::attempt::Attempt;
use super::{Backtesting, JobKind, Training};
use crate::app::App;
use crate::config::WorkerSettings;
use crate::store::StoreError;
use crate::train::DeviceError;

/// Runs jobs of its kinds. Cloning shares the slots: all clones together run as many jobs as one.
#[derive(Clone)]
pub struct Runner {
    pub(super) app: Arc<App>,
    pub(super) kinds: Arc<[Box<dyn JobKind>]>,
    /// One permit a job; a job's thread holds it until it really ended.
    slots: Arc<Semaphore>,
    attempts: TaskTracker,
    /// Looks into the queue under way: what they claim must not be overlooked when the process stops.
    claims: TaskTracker,
    pub(super) stop: CancellationToken,
}

/// The longest pause between two looks into a database that does not answer.
const MAX_PAUSE: Duration = Duration::from_secs(10);

impl Runner {
    /// A runner of every kind of job there is; trains on the device that the settings name.
    ///
    /// # Errors
    /// When that device cannot be trained on.
    pub fn new(app: Arc<App>) -> Result<Self, DeviceError> {
        let device = app.settings.worker.device.open()?;
        let training = Training { device: device.clone() };
        Ok(Self::of_kinds(app, vec![Box::new(training), Box::new(Backtesting { device })]))
    }

    /// A runner of these kinds only.
    pub fn of_kinds(app: Arc<App>, kinds: Vec<Box<dyn JobKind>>) -> Self {
        let slots = Arc::new(Semaphore::new(n_jobs(&app.settings.worker)));
        let (attempts, claims, stop) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        Self { app, kinds: kinds.into(), slots, attempts, claims, stop }
    }

    /// How many jobs run at this moment.
    pub fn n_running(&self) -> usize {
        self.attempts.len()
    }

    /// Works until [`stop`](Self::stop). A database that does not answer is waited for.
    pub async fn run(&self) {
        let mut pause = self.poll();
        while let Some(slot) = self.free_slot().await {
            match self.begin_one(slot).await {
                Ok(true) => pause = self.poll(),
                Ok(false) => {
                    pause = self.poll();
                    self.rest(pause).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot look for jobs; trying again");
                    self.rest(pause).await;
                    pause = (pause * 2).min(MAX_PAUSE);
                }
            }
        }
    }

    /// Runs the next job that is due to its end; `false` when there is none.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub async fn run_one(&self) -> Result<bool, StoreError> {
        let Some(slot) = self.free_slot().await else { return Ok(false) };
        let begun = self.begin_one(slot).await?;
        while begun && self.n_running() > 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(begun)
    }

    /// Takes no more jobs, asks the running ones to end, and hands back those that are not done. After `grace`
    /// it leaves: what still runs then is taken up by another worker once its lease has run out.
    pub async fn stop(&self, grace: Duration) {
        self.stop.cancel();
        let all_ended = async {
            self.claims.close();
            self.claims.wait().await;
            self.attempts.close();
            self.attempts.wait().await;
        };
        if tokio::time::timeout(grace, all_ended).await.is_err() {
            tracing::warn!(
                n_jobs = self.n_running(),
                "jobs did not stop in time; they begin again when their lease has run out"
            );
        }
    }

    async fn free_slot(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed; were it, no job could run either.
        self.stop.run_until_cancelled(Arc::clone(&self.slots).acquire_owned()).await?.ok()
    }

    async fn begin_one(&self, slot: OwnedSemaphorePermit) -> Result<bool, StoreError> {
        let _looking = self.claims.token();
        if self.stop.is_cancelled() {
            return Ok(false);
        }
        let names: Vec<&str> = self.kinds.iter().map(|kind| kind.name()).collect();
        let claimed = self.app.store.claim(&names, self.app.settings.worker.lease_ms).await?;
        let Some((job, lease)) = claimed else { return Ok(false) };
        self.attempts.spawn(Attempt { runner: self.clone(), job, lease }.run(slot));
        Ok(true)
    }

    /// Until there may be something to do.
    async fn rest(&self, pause: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = self.app.job_queued.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    fn poll(&self) -> Duration {
        Duration::from_millis(self.app.settings.worker.poll_ms)
    }
}

/// Jobs at a time: as set, else one for each two processors, so that serving keeps one even while all train.
fn n_jobs(settings: &WorkerSettings) -> usize {
    match settings.n_jobs {
        0 => std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)),
        n => n,
    }
}
