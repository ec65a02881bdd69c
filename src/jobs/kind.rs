//! What a kind of job is, and what it may ask of its runner.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::app::App;
use crate::store::JobRecord;

/// A kind of work, done on a thread of its own.
pub trait JobKind: Send + Sync + 'static {
    /// As stored: `train`, `backtest`.
    fn name(&self) -> &'static str;

    /// Does the work; may block. Looks at [`JobContext::is_canceled`] often enough to end within a second.
    ///
    /// # Errors
    /// When it was canceled or failed. A panic counts as a failure.
    fn run(&self, app: &App, job: &JobRecord, context: &JobContext) -> Result<Value, JobFailure>;
}

/// Why a job did not succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobFailure {
    /// It saw the flag and stopped; the runner knows why it was raised.
    Canceled,
    /// It cannot be done.
    Failed {
        /// Stable name for clients.
        code: &'static str,
        /// For people; says nothing of the inside.
        message: String,
        /// Whether it may work when tried again (a database that did not answer; never a NaN).
        is_transient: bool,
    },
}

impl JobFailure {
    /// A failure that another try would only repeat.
    pub fn lasting(code: &'static str, message: impl ToString) -> Self {
        Self::Failed { code, message: message.to_string(), is_transient: false }
    }

    /// A failure that may pass.
    pub fn passing(code: &'static str, message: impl ToString) -> Self {
        Self::Failed { code, message: message.to_string(), is_transient: true }
    }

    /// As stored and sent.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Canceled => json!({"code": "canceled", "message": "canceled"}),
            Self::Failed { code, message, .. } => json!({"code": code, "message": message}),
        }
    }
}

/// The wires between a job's thread and its runner.
#[derive(Debug, Clone)]
pub struct JobContext {
    pub(super) cancel: Arc<AtomicBool>,
    pub(super) deadline: Instant,
    pub(super) progress: Arc<watch::Sender<Option<Value>>>,
    pub(super) handle: Handle,
}

impl JobContext {
    /// Raised when the job should stop: canceled, past its deadline, its lease lost, or the process stops.
    pub fn cancel_flag(&self) -> &AtomicBool {
        &self.cancel
    }

    /// Whether the job should stop.
    pub fn is_canceled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// When the job is given up.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Tells how far the job is. Cheap: what comes too fast to be stored is overwritten by what follows.
    pub fn report(&self, progress: Value) {
        self.progress.send_replace(Some(progress));
    }

    /// Waits for a future (a database call, say) on the job's thread.
    pub fn wait_for<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }
}
