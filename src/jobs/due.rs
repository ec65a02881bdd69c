//! When a training is queued: because a client asks, or because the ticker's policy says that it is due.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::{App, MarketError};
use crate::domain::{BarTime, Series, Ticker};
use crate::evaluate::drift::MIN_OUTCOMES;
use crate::evaluate::{CoverageDrift, Outcome, coverage_drift, report_levels};
use crate::forecast::live_forecasts;
use crate::registry::Policy;
use crate::registry::manifest::{config, is_outdated};
use crate::registry::policy::{PolicyFacts, Retraining};
use crate::store::{JobFilter, JobRecord, JobState, ModelRecord, StoreError, TickerRecord};
use crate::train::{TrainConfig, TrainLimits};

/// The kind of a training job.
pub const TRAIN: &str = "train";

/// What a training job is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainPayload {
    /// What to train.
    pub config: TrainConfig,
    /// The state of the bars when it was queued; a newer one is trained on when it starts later.
    pub data_version: u64,
    /// Whether it was due because there is a market that the version before knew nothing of.
    #[serde(default)]
    pub for_market: bool,
}

/// The config of a training job as it was queued, every field of it; `None` for other kinds of jobs.
pub fn training_config(job: &JobRecord) -> Option<&serde_json::Value> {
    (job.kind == TRAIN).then(|| job.payload.get("config")).flatten()
}

/// A ticker's last training and whether the next one is due.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// Whether, and why.
    pub retraining: Retraining,
    /// The newest training.
    pub last_job: Option<JobRecord>,
    /// What is trained when it is due: what the champion is, or the defaults.
    pub config: TrainConfig,
    /// Whether there is a market that the newest version knows nothing of.
    market_is_new: bool,
}

/// Where a ticker stands with its policy.
///
/// # Errors
/// When the database fails.
pub async fn standing(app: &App, record: &TickerRecord) -> Result<Standing, StoreError> {
    let filter = JobFilter { kind: Some(TRAIN), ticker: Some(record.ticker.clone()), ..JobFilter::default() };
    let last_job = app.store.jobs(&filter, 1).await?.pop();
    let policy = policy(record);
    let champion = match record.champion {
        Some(version) => app.store.model(&record.ticker, version).await?,
        None => None,
    };
    let champion_age_bars = match &champion {
        Some(champion) => Some(app.store.count_bars_after(record.id, champion.last).await?),
        None => None,
    };
    let config = champion
        .as_ref()
        .map_or_else(TrainConfig::default, |champion| as_trained(&champion.manifest, &app.settings.limits.train));
    let newest = app.store.newest_model(&record.ticker).await?;
    let queued_for = last_job.as_ref().and_then(trained_version);
    // One that failed or was canceled has made nothing of the bars it was queued for.
    let counts = |job: &&JobRecord| !job.state.is_final() || job.state == JobState::Succeeded;
    let counted = queued_for.filter(|_| last_job.as_ref().filter(counts).is_some());
    let last_version = newest.as_ref().map(|model| model.data_version).max(counted);
    let ended_so = |state: JobState| {
        queued_for == Some(record.data_version) && last_job.as_ref().is_some_and(|job| job.state == state)
    };
    let newest_age_bars = match &newest {
        Some(model) => Some(app.store.count_bars_after(record.id, model.last).await?),
        None => None,
    };
    // Once: where processes have other settings, the one does not train what the other asks for.
    let was_for_market = last_job.as_ref().and_then(payload).is_some_and(|last| last.for_market);
    let facts = PolicyFacts {
        bars_total: record.bars_total,
        champion_age_bars,
        newest_age_bars,
        champion_outdated: champion.is_some_and(|champion| is_outdated(&champion.manifest)),
        coverage_drift: match champion_age_bars.filter(|_| policy.retrain_on_coverage_drift) {
            Some(age_bars) => drift(app, record, age_bars).await?,
            None => None,
        },
        training_active: last_job.as_ref().is_some_and(|job| !job.state.is_final()),
        failed_on_this_data: ended_so(JobState::Failed),
        canceled_on_this_data: ended_so(JobState::Canceled),
        rewritten: last_version.unwrap_or(0) < record.rewritten_version,
        market_is_new: match &newest {
            Some(newest) if !was_for_market => market_is_new(app, record, newest).await?,
            _ => false,
        },
    };
    let market_is_new = facts.market_is_new;
    Ok(Standing { retraining: policy.retraining(facts), last_job, config, market_is_new })
}

/// What the champion is, as far as today's layout and limits let it be trained again; at least it reaches as far.
fn as_trained(manifest: &serde_json::Value, limits: &TrainLimits) -> TrainConfig {
    let Some(trained) = config(manifest) else { return TrainConfig::default() };
    match is_outdated(manifest) || trained.check(limits).is_err() {
        true => TrainConfig { cell: trained.cell, horizon: trained.horizon, ..TrainConfig::default() },
        false => trained,
    }
}

/// Queues a training if the policy says that it is due; the job, if it is a new one.
///
/// # Errors
/// When the database fails.
pub async fn enqueue_when_due(app: &App, record: &TickerRecord) -> Result<Option<JobRecord>, StoreError> {
    let standing = standing(app, record).await?;
    if !standing.retraining.due {
        return Ok(None);
    }
    let (config, data_version, for_market) = (standing.config, record.data_version, standing.market_is_new);
    let queued = enqueue(app, &record.ticker, &TrainPayload { config, data_version, for_market }).await?;
    Ok(queued.filter(|(_, is_new)| *is_new).map(|(job, _)| job))
}

/// Tickers read from the database at a time.
const PAGE: u32 = 500;

/// Queues every training that is due of a ticker that has a model, and says how many: what a process that ended after it
/// had stored bars did not come to. First trainings are queued by bars alone: who sent them may have chosen to wait.
///
/// # Errors
/// When the database does not answer; what was queued until then stays queued.
pub async fn enqueue_all_due(app: &App) -> Result<usize, StoreError> {
    let (mut n_queued, mut after) = (0, String::new());
    loop {
        let records = app.store.tickers("", &after, PAGE).await?;
        let Some(last) = records.last() else { return Ok(n_queued) };
        after = last.ticker.to_string();
        for record in records.iter().filter(|record| record.champion.is_some()) {
            match enqueue_when_due(app, record).await {
                Ok(job) => n_queued += usize::from(job.is_some()),
                // What is broken of one ticker must not keep the others waiting.
                Err(error) if !error.is_transient() => {
                    tracing::error!(ticker = %record.ticker, %error, "cannot tell whether its training is due");
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Queues what is due at once and then every `worker.due_ms`, until `stop`.
pub async fn keep_queueing_due(app: &App, stop: &CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_millis(app.settings.worker.due_ms));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while stop.run_until_cancelled(ticks.tick()).await.is_some() {
        match stop.run_until_cancelled(enqueue_all_due(app)).await {
            Some(Ok(0)) | None => {}
            Some(Ok(n_jobs)) => tracing::info!(n_jobs, "queued trainings that were due and not queued"),
            Some(Err(error)) => tracing::warn!(%error, "cannot look for trainings that are due"),
        }
    }
}

/// Queues a training, unless one is active: then that one, with `false`. `None` when there is no such ticker.
///
/// # Errors
/// When the database fails.
pub async fn enqueue_training(
    app: &App,
    ticker: &Ticker,
    config: TrainConfig,
    data_version: u64,
) -> Result<Option<(JobRecord, bool)>, StoreError> {
    enqueue(app, ticker, &TrainPayload { config, data_version, for_market: false }).await
}

async fn enqueue(app: &App, ticker: &Ticker, payload: &TrainPayload) -> Result<Option<(JobRecord, bool)>, StoreError> {
    let corrupt = |error: serde_json::Error| StoreError::Corrupt { what: "a config", reason: error.to_string() };
    let payload = serde_json::to_value(payload).map_err(corrupt)?;
    let queued = app.store.enqueue(&Uuid::now_v7().to_string(), TRAIN, ticker, &payload).await?;
    app.job_queued.notify_one();
    Ok(queued)
}

/// The ticker's policy; the default where what is stored is none.
pub fn policy(record: &TickerRecord) -> Policy {
    serde_json::from_value(record.policy.clone()).unwrap_or_else(|error| {
        tracing::warn!(ticker = %record.ticker, %error, "its policy cannot be read; the default applies");
        Policy::default()
    })
}

/// Whether the live intervals of the champion miss their levels; a champion of fewer bars has too few outcomes to say.
async fn drift(app: &App, record: &TickerRecord, age_bars: u64) -> Result<Option<CoverageDrift>, StoreError> {
    if age_bars < MIN_OUTCOMES as u64 {
        return Ok(None);
    }
    let live = live_forecasts(&app.store, record).await?;
    let of_champion = live.iter().filter(|(version, _)| Some(*version) == record.champion);
    let outcomes: Vec<Outcome> = of_champion.filter_map(|(_, scored)| scored.outcome()).collect();
    Ok(coverage_drift(&outcomes, &report_levels()))
}

/// Whether the newest version learned nothing of a market that it could learn of now.
async fn market_is_new(app: &App, record: &TickerRecord, newest: &ModelRecord) -> Result<bool, StoreError> {
    // A year of the newest bars must have a market: a training then learns from it, and this is asked no more.
    const YEAR: usize = 250;
    // Of a ticker that is none of the market's it takes half a year of bars more to tell how they are dated.
    const LOOKED_AT: u64 = 500;
    let learned = newest.manifest["metrics"]["n_in_market"].as_u64().unwrap_or(u64::MAX);
    if learned >= YEAR as u64 || !app.has_market(record) {
        return Ok(false);
    }
    let bars = app.store.newest_bars(record.id, BarTime::from_seconds(i64::MAX), LOOKED_AT).await?;
    let Ok(series) = Series::new(record.interval, bars) else { return Ok(false) };
    let n_bars = series.len();
    let series = match app.in_newest_market(record, series).await {
        Ok(series) => series,
        Err(MarketError::Store(error)) => return Err(error),
        Err(MarketError::Compute(error)) => {
            tracing::warn!(ticker = %record.ticker, %error, "cannot tell what its market did");
            return Ok(false);
        }
    };
    Ok((0..n_bars).filter(|idx| series.market(*idx).is_some()).count() >= YEAR)
}

fn payload(job: &JobRecord) -> Option<TrainPayload> {
    serde_json::from_value(job.payload.clone()).ok()
}

/// The state of the bars for which a training was queued.
fn trained_version(job: &JobRecord) -> Option<u64> {
    payload(job).map(|payload| payload.data_version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::nn::Cell;
    use crate::train::ModelSpec;

    #[test]
    fn a_champion_is_trained_again_as_it_was_unless_that_is_no_longer_allowed() {
        let trained = TrainConfig {
            cell: Cell::Gru,
            horizon: 10.try_into().expect("steps"),
            hidden: 64,
            ..TrainConfig::default()
        };
        let manifest = |format: u32| json!({"spec": {"format": format, "config": trained}});
        let (current, limits) = (manifest(ModelSpec::FORMAT), TrainLimits::default());
        assert_eq!(as_trained(&current, &limits), trained);
        let as_far = TrainConfig { cell: trained.cell, horizon: trained.horizon, ..TrainConfig::default() };
        assert_eq!(as_trained(&current, &TrainLimits { hidden: 63, ..limits.clone() }), as_far);
        assert_eq!(as_trained(&manifest(ModelSpec::FORMAT - 1), &limits), as_far);
        assert_eq!(as_trained(&json!({"spec": {"config": "of old"}}), &limits), TrainConfig::default());
    }
}
