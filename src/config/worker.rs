//! Background jobs.

use garde::Validate;
use serde::{Deserialize, Serialize};

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
    /// For how long a claimed job is a worker's own without a sign of life; then another takes it up.
    #[garde(range(min = 1_000, max = 3_600_000))]
    pub lease_ms: u64,
    /// How often a running job gives a sign of life, reports its progress and learns that it was canceled.
    /// At most a third of the lease, so that one lost beat does not lose the job.
    #[garde(range(min = 100, max = 1_200_000))]
    pub heartbeat_ms: u64,
    /// How often an idle worker looks for jobs queued by other processes.
    #[garde(range(min = 10, max = 60_000))]
    pub poll_ms: u64,
    /// How often a job that failed for a passing reason is tried in all.
    #[garde(range(min = 1, max = 100))]
    pub max_attempts: u32,
    /// The longest that one attempt may run.
    #[garde(range(min = 1_000))]
    pub deadline_ms: u64,
}

impl Default for WorkerSettings {
    fn default() -> Self {
        Self {
            in_serve: true,
            n_jobs: 0,
            lease_ms: 30_000,
            heartbeat_ms: 10_000,
            poll_ms: 500,
            max_attempts: 3,
            deadline_ms: 3_600_000,
        }
    }
}
