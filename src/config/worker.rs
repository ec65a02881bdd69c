//! Background jobs.

use garde::Validate;
use serde::{Deserialize, Serialize};

use crate::train::DeviceName;

/// Settings of the job runner.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct WorkerSettings {
    /// Whether `serve` runs jobs itself. Off (`--no-worker`) where `candlecast worker` processes do.
    #[garde(skip)]
    pub in_serve: bool,
    /// Jobs that one process runs at a time, each on a thread of its own at the lowest priority. 0 means one for
    /// each two processors. More than there are processors slows all of them.
    #[garde(range(max = 256))]
    pub n_jobs: usize,
    /// Where networks are trained: `cpu`, or `cuda`, `cuda:1`, `metal` in a binary built with that feature. Forecasts
    /// are computed on the processor whatever is said here. The default networks are too small for a GPU, as far
    /// as we expect: it is for those of hundreds of units.
    #[garde(skip)]
    pub device: DeviceName,
    /// For how long a claimed job is a worker's own without a sign of life; then another takes it up. Too low
    /// and a busy machine loses jobs that it still works on; too high and the job of a dead worker waits that
    /// long.
    #[garde(range(min = 1_000, max = 3_600_000))]
    pub lease_ms: u64,
    /// How often a running job gives a sign of life, reports its progress and learns that it was canceled. At
    /// most a third of the lease, so that one lost beat does not lose the job. Too low writes to the database
    /// for nothing; too high shows progress late.
    #[garde(range(min = 100, max = 1_200_000))]
    pub heartbeat_ms: u64,
    /// How often an idle worker looks for jobs queued by other processes. Too low asks the database for
    /// nothing; too high begins jobs late.
    #[garde(range(min = 10, max = 60_000))]
    pub poll_ms: u64,
    /// How often a job that failed for a passing reason is tried in all. Too low fails jobs for a short outage;
    /// too high repeats what will not work.
    #[garde(range(min = 1, max = 100))]
    pub max_attempts: u32,
    /// The longest that one attempt may run. Too low ends honest trainings; too high lets a stuck one hold its
    /// slot.
    #[garde(range(min = 1_000))]
    pub deadline_ms: u64,
    /// How often a training keeps where it stands, beside the artifacts; when its process is told to stop it does so
    /// too. Too low writes for nothing; too high and a training whose worker is killed does that much again.
    #[garde(range(min = 100))]
    pub checkpoint_ms: u64,
    /// How often a worker looks through all tickers with a model for trainings that are due and that nobody queued,
    /// because a process ended between storing bars and queueing; at its start too. Too low asks the database a few
    /// questions a ticker for nothing; too high leaves models old for that long.
    #[garde(range(min = 1_000, max = 604_800_000))]
    pub due_ms: u64,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            in_serve: true,
            n_jobs: 0,
            device: DeviceName::Cpu,
            lease_ms: 30_000,
            heartbeat_ms: 10_000,
            poll_ms: 500,
            max_attempts: 3,
            deadline_ms: 3_600_000,
            checkpoint_ms: 30_000,
            due_ms: 900_000,
        }
    }
}
