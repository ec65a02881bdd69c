//! What a job says to a training, and what it hears.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::{Checkpoint, TrainDevice, TrainError};

/// The wires between a training and who started it.
pub struct Control<'a> {
    /// Called after each epoch, on the training thread: it should return at once.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Raised from outside to end the training within one batch.
    pub cancel: &'a AtomicBool,
    /// When the training gives up by itself; `None`: never.
    pub deadline: Option<Instant>,
    /// Where an earlier attempt stood. One of other bars, another config, device or release is not
    /// taken up.
    pub resume: Option<&'a Checkpoint>,
    /// Who keeps where this attempt stands; `None`: nobody.
    pub keep: Option<Keep<'a>>,
    /// Where it computes. The model that comes of it forecasts on the processor.
    pub device: TrainDevice,
}

/// How a training's checkpoints are kept.
pub struct Keep<'a> {
    /// Called between two batches, on the training thread: every so often, and when the training is canceled.
    pub checkpoint: &'a (dyn Fn(Checkpoint) + Sync),
    /// The least time between two of them.
    pub every: Duration,
}

/// How far a training is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Share of the work done, 0 to 1; an early stop jumps ahead.
    pub fraction: f64,
    /// Epochs done, over all networks of the ensemble.
    pub epoch: usize,
    /// Epochs at most, over all networks of the ensemble.
    pub epochs: usize,
    /// Mean pinball loss of the epoch, in units of the volatility forecast.
    pub train_loss: Option<f64>,
    /// The same on the held-back bars.
    pub validation_loss: Option<f64>,
    /// Milliseconds to go at the speed so far.
    pub eta_ms: Option<u64>,
}

impl Progress {
    /// A report after `epoch` of `epochs`.
    pub fn new(epoch: usize, epochs: usize, elapsed: Duration) -> Self {
        let fraction = epoch as f64 / epochs.max(1) as f64;
        let rest = elapsed.as_secs_f64() * (1.0 - fraction) / fraction;
        let eta_ms = rest.is_finite().then_some((rest * 1000.0) as u64);
        Self { fraction, epoch, epochs, train_loss: None, validation_loss: None, eta_ms }
    }
}

static NEVER: AtomicBool = AtomicBool::new(false);

impl Control<'static> {
    /// Nobody listens and nobody interrupts; on the processor.
    pub fn quiet() -> Self {
        Self { progress: &|_| (), cancel: &NEVER, deadline: None, resume: None, keep: None, device: TrainDevice::CPU }
    }
}

impl Control<'_> {
    /// Whether to go on.
    ///
    /// # Errors
    /// When the training was canceled or its deadline has passed.
    pub(super) fn check(&self) -> Result<(), TrainError> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(TrainError::Canceled);
        }
        match self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            true => Err(TrainError::DeadlineExceeded),
            false => Ok(()),
        }
    }
}
