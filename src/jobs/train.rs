//! The `train` kind: stored bars to a new version, and perhaps to a new champion.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::challenge::challenge;
use super::due::{TRAIN, TrainPayload};
use super::{JobContext, JobFailure, JobKind};
use crate::app::{App, MarketError};
use crate::domain::{BarTime, Series, Ticker};
use crate::evaluate::HeldBackRecord;
use crate::registry::RegistryError;
use crate::store::{JobRecord, ModelRecord, StoreError, TickerRecord};
use crate::train::{Checkpoint, Control, Keep, Progress, TrainConfig, TrainDevice, TrainError, Trained, train};

/// Trains a ticker's next model.
#[derive(Debug, Clone)]
pub struct Training {
    /// Where it computes.
    pub device: TrainDevice,
}

impl JobKind for Training {
    fn name(&self) -> &'static str {
        TRAIN
    }

    fn run(&self, app: &App, job: &JobRecord, context: &JobContext) -> Result<Value, JobFailure> {
        let payload: TrainPayload =
            serde_json::from_value(job.payload.clone()).map_err(|error| JobFailure::lasting("bad_payload", error))?;
        let model = match context.wait_for(already_published(app, job))? {
            Some(model) => model,
            None => train_and_publish(app, job, &payload.config, &self.device, context)?,
        };
        let decided = challenge(app, &job.ticker, model.version, context)?;
        Ok(json!({"model_version": model.version, "promoted": decided.promoted, "reason": decided.reason}))
    }
}

/// The version that an earlier attempt published before it was interrupted.
async fn already_published(app: &App, job: &JobRecord) -> Result<Option<ModelRecord>, JobFailure> {
    let models = app.store.models(&job.ticker).await.map_err(of_store)?;
    Ok(models.into_iter().find(|model| model.job_id.as_ref() == Some(&job.id)))
}

fn train_and_publish(
    app: &App,
    job: &JobRecord,
    config: &TrainConfig,
    device: &TrainDevice,
    context: &JobContext,
) -> Result<ModelRecord, JobFailure> {
    let (ticker, series) = context.wait_for(consistent_series(app, &job.ticker))?;
    let last = Mutex::new(None);
    let progress = |progress: Progress| {
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
        context.report(json!(progress));
    };
    let resume = earlier_checkpoint(app, job, context);
    let keep = |checkpoint| keep_checkpoint(app, job, context, &checkpoint);
    let every = Duration::from_millis(app.settings.worker.checkpoint_ms);
    let control = Control {
        progress: &progress,
        cancel: context.cancel_flag(),
        deadline: Some(context.deadline()),
        resume: resume.as_ref(),
        keep: Some(Keep { checkpoint: &keep, every }),
        device: device.clone(),
    };
    let trained: Trained = train(&series, config, &control).map_err(of_training)?;
    // Training that stops early says nothing more; who follows the job should see it arrive.
    if let Some(last) = *last.lock().unwrap_or_else(PoisonError::into_inner) {
        context.report(json!(Progress { fraction: 1.0, eta_ms: Some(0), ..last }));
    }
    let record = HeldBackRecord::new(&trained.held_back, &series)
        .map_err(|error| JobFailure::lasting("network_failed", error))?;
    let published = app.registry.publish(&job.ticker, &trained, &record, &series, ticker.data_version, Some(&job.id));
    context.wait_for(published).map_err(of_registry)
}

/// Where an earlier attempt stood. One that cannot be read costs time, not the job.
fn earlier_checkpoint(app: &App, job: &JobRecord, context: &JobContext) -> Option<Checkpoint> {
    let kept = match context.wait_for(app.registry.checkpoint(&job.ticker, &job.id)) {
        Ok(kept) => kept?,
        Err(error) => {
            tracing::warn!(job = %job.id, %error, "cannot look for a checkpoint; the training begins anew");
            return None;
        }
    };
    match Checkpoint::from_bytes(&kept) {
        Ok(checkpoint) => Some(checkpoint),
        Err(error) => {
            tracing::warn!(job = %job.id, %error, "the training begins anew");
            None
        }
    }
}

/// A checkpoint that cannot be kept costs a later attempt time, not this one its result.
fn keep_checkpoint(app: &App, job: &JobRecord, context: &JobContext, checkpoint: &Checkpoint) {
    let kept = match checkpoint.to_bytes() {
        Ok(bytes) => context.wait_for(app.registry.keep_checkpoint(&job.ticker, &job.id, bytes)),
        Err(error) => return tracing::warn!(job = %job.id, %error, "cannot write a checkpoint"),
    };
    if let Err(error) = kept {
        tracing::warn!(job = %job.id, %error, "cannot keep a checkpoint");
    }
}

/// A ticker with all its bars, both of one data version, beside its market.
pub(super) async fn consistent_series(app: &App, ticker: &Ticker) -> Result<(TickerRecord, Series), JobFailure> {
    const TRIES: usize = 10;
    let gone = || JobFailure::lasting("unknown_ticker", format!("{ticker} was deleted"));
    let (first, last) = (BarTime::from_seconds(i64::MIN), BarTime::from_seconds(i64::MAX));
    let mut before = app.store.ticker(ticker).await.map_err(of_store)?.ok_or_else(gone)?;
    for _ in 0..TRIES {
        let bars = app.store.bars(before.id, first, last, u64::MAX).await.map_err(of_store)?;
        let after = app.store.ticker(ticker).await.map_err(of_store)?.ok_or_else(gone)?;
        if (before.id, before.data_version) == (after.id, after.data_version) {
            let series = Series::new(after.interval, bars).map_err(|error| JobFailure::lasting("bad_series", error))?;
            let series = app.in_newest_market(&after, series).await.map_err(of_market)?;
            return Ok((after, series));
        }
        before = after;
    }
    Err(JobFailure::passing("busy_ticker", format!("the bars of {ticker} change faster than they can be read")))
}

fn of_training(error: TrainError) -> JobFailure {
    let code = match &error {
        TrainError::Canceled => return JobFailure::Canceled,
        TrainError::Config(_) => "bad_config",
        TrainError::TooFewBars { .. } => "too_few_bars",
        TrainError::Diverged { .. } => "diverged",
        TrainError::DeadlineExceeded => "deadline_exceeded",
        TrainError::Network(_) | TrainError::HeldBack(_) => "network_failed",
    };
    JobFailure::lasting(code, error)
}

pub(super) fn of_registry(error: RegistryError) -> JobFailure {
    match error {
        RegistryError::Store(error) => of_store(error),
        RegistryError::TickerGone { .. } => JobFailure::lasting("unknown_ticker", error),
        RegistryError::Files { .. } | RegistryError::Raced { .. } => {
            tracing::warn!(%error, "artifacts");
            JobFailure::passing("artifacts_failed", "the model's files could not be written or read")
        }
        RegistryError::Refused { .. } | RegistryError::Outdated { .. } | RegistryError::Unknown { .. } => {
            JobFailure::lasting("model_refused", error)
        }
    }
}

pub(super) fn of_market(error: MarketError) -> JobFailure {
    match error {
        MarketError::Store(error) => of_store(error),
        MarketError::Compute(error) => JobFailure::passing("market_failed", error),
    }
}

pub(super) fn of_store(error: StoreError) -> JobFailure {
    tracing::warn!(%error, "database");
    let (code, message) = ("database_failed", "the database did not do what was asked");
    match error.is_transient() {
        true => JobFailure::passing(code, message),
        false => JobFailure::lasting(code, message),
    }
}
