//! The `train` kind: stored bars to a new version, and perhaps to a new champion.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::due::{TRAIN, TrainPayload};
use super::{JobContext, JobFailure, JobKind};
use crate::app::App;
use crate::domain::{BarTime, Series, Ticker};
use crate::evaluate::HeldBackRecord;
use crate::registry::RegistryError;
use crate::store::{JobRecord, ModelRecord, StoreError, TickerRecord};
use crate::train::{Control, Progress, TrainConfig, TrainError, TrainMetrics, Trained, train};

/// Trains a ticker's next model.
#[derive(Debug, Clone, Copy)]
pub struct Training;

impl JobKind for Training {
    fn name(&self) -> &'static str {
        TRAIN
    }

    fn run(&self, app: &App, job: &JobRecord, context: &JobContext) -> Result<Value, JobFailure> {
        let payload: TrainPayload =
            serde_json::from_value(job.payload.clone()).map_err(|error| JobFailure::lasting("bad_payload", error))?;
        let model = match context.wait_for(already_published(app, job))? {
            Some(model) => model,
            None => train_and_publish(app, job, &payload.config, context)?,
        };
        let (promoted, reason) = context.wait_for(challenge(app, &job.ticker, model.version))?;
        Ok(json!({"model_version": model.version, "promoted": promoted, "reason": reason}))
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
    context: &JobContext,
) -> Result<ModelRecord, JobFailure> {
    let (ticker, series) = context.wait_for(consistent_series(app, &job.ticker))?;
    let last = Mutex::new(None);
    let progress = |progress: Progress| {
        *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(progress);
        context.report(json!(progress));
    };
    let control = Control { progress: &progress, cancel: context.cancel_flag(), deadline: Some(context.deadline()) };
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

/// A ticker with all its bars, both of one data version.
pub(super) async fn consistent_series(app: &App, ticker: &Ticker) -> Result<(TickerRecord, Series), JobFailure> {
    const TRIES: usize = 10;
    let gone = || JobFailure::lasting("unknown_ticker", format!("{ticker} was deleted"));
    let (first, last) = (BarTime::from_seconds(i64::MIN), BarTime::from_seconds(i64::MAX));
    let mut before = app.store.ticker(ticker).await.map_err(of_store)?.ok_or_else(gone)?;
    for _ in 0..TRIES {
        let bars = app.store.bars(before.id, first, last, u64::MAX).await.map_err(of_store)?;
        let after = app.store.ticker(ticker).await.map_err(of_store)?.ok_or_else(gone)?;
        if (before.id, before.data_version) == (after.id, after.data_version) {
            let series = Series::new(after.interval, bars);
            return Ok((after, series.map_err(|error| JobFailure::lasting("bad_series", error))?));
        }
        before = after;
    }
    Err(JobFailure::passing("busy_ticker", format!("the bars of {ticker} change faster than they can be read")))
}

/// Promotes a first model, and one that is not worse than the champion on the bars that each held back: it has seen
/// newer ones. Gives the reason either way.
async fn challenge(app: &App, ticker: &Ticker, version: u32) -> Result<(bool, String), JobFailure> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let record = app.store.ticker(ticker).await.map_err(of_store)?;
        let record = record.ok_or_else(|| JobFailure::lasting("unknown_ticker", format!("{ticker} was deleted")))?;
        let (promote, reason) = match record.champion {
            Some(champion) if champion == version => return Ok((true, "it is the champion".into())),
            Some(champion) => compare(app, ticker, champion, version).await?,
            None => (true, "the first model".into()),
        };
        if !promote {
            return Ok((false, reason));
        }
        match app.registry.promote(ticker, version, record.champion).await {
            Ok(()) => return Ok((true, reason)),
            Err(RegistryError::Raced { .. }) => {}
            Err(error) => return Err(of_registry(error)),
        }
    }
    Err(JobFailure::passing("raced", format!("the champion of {ticker} changes faster than it can be compared with")))
}

async fn compare(app: &App, ticker: &Ticker, champion: u32, version: u32) -> Result<(bool, String), JobFailure> {
    let new = app.registry.load(ticker, version).await.map_err(of_registry)?;
    let old = match app.registry.load(ticker, champion).await {
        Ok(old) => old,
        Err(refusal @ RegistryError::Refused { .. }) => {
            return Ok((true, format!("the champion cannot be served: {refusal}")));
        }
        Err(error) => return Err(of_registry(error)),
    };
    Ok(match (validation_loss(&old.manifest.metrics), validation_loss(&new.manifest.metrics)) {
        (Some(old), Some(new)) if new > old => {
            (false, format!("its validation loss {new:.5} is above the champion's {old:.5}"))
        }
        (Some(old), Some(new)) => (true, format!("its validation loss {new:.5} is not above the champion's {old:.5}")),
        _ => (true, "it has seen newer bars".into()),
    })
}

/// Read by its name in the manifest: models of another release may not have it.
fn validation_loss(metrics: &TrainMetrics) -> Option<f64> {
    json!(metrics).get("validation_loss")?.as_f64()
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

fn of_registry(error: RegistryError) -> JobFailure {
    match error {
        RegistryError::Store(error) => of_store(error),
        RegistryError::TickerGone { .. } => JobFailure::lasting("unknown_ticker", error),
        RegistryError::Files { .. } | RegistryError::Raced { .. } => {
            tracing::warn!(%error, "artifacts");
            JobFailure::passing("artifacts_failed", "the model's files could not be written or read")
        }
        RegistryError::Refused { .. } | RegistryError::Unknown { .. } => JobFailure::lasting("model_refused", error),
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
