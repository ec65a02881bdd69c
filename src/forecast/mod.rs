//! Answer now: a forecast from the newest window of stored bars.
//!
//! In goes a ticker and what to show; out comes a [`Forecast`] in prices. Bars and champion are kept in memory
//! for as long as the ticker's revision has not moved, so that an answer costs no query.
//!
//! Absent on purpose: the wire format and its cache (`http`), training (`jobs`).

mod answer;
mod distributions;
mod error;
mod ledger;
mod request;
mod snapshot;
pub mod steps;

use std::sync::Arc;

pub use answer::{Forecast, ForecastWarning, ModelUsed, VersionUsed};
pub use error::ForecastError;
pub use ledger::ScoredEntry;
pub use request::{ForecastRequest, ModelChoice};
pub use steps::{ForecastStep, PriceInterval, PriceQuantile};

use crate::app::App;
use crate::domain::{Bar, BarTime, Calendar, Series, Ticker};
use crate::evaluate::Baseline;
use crate::registry::{LoadedModel, Policy, RegistryError};
use crate::store::{LedgerFilter, TickerRecord};
use snapshot::{Snapshot, Snapshots, newest_bars};
use steps::{Origin, Shown, StepReturns};

/// Answers forecasts; keeps what it needs in memory. One a process.
#[derive(Debug)]
pub struct Forecaster {
    app: Arc<App>,
    snapshots: Snapshots,
}

impl Forecaster {
    /// Forecasts from what `app` owns.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, snapshots: Snapshots::new() }
    }

    /// A forecast for a stored ticker.
    ///
    /// # Errors
    /// When ticker, model or bars are missing, or the policy says that the model is too old.
    pub async fn forecast(&self, ticker: &Ticker, request: &ForecastRequest) -> Result<Forecast, ForecastError> {
        let snapshot = self.snapshots.get(&self.app, ticker).await?;
        let record = &snapshot.record;
        let chosen = self.choose(&snapshot, request).await?;
        let series = match (&chosen, request.as_of, request.model) {
            (_, None, ModelChoice::Champion) => Arc::clone(&snapshot.newest),
            (chosen, as_of, _) => {
                Arc::new(newest_bars(&self.app.store, record, as_of, chosen.memory(BASELINE_BARS)).await?)
            }
        };
        let last = *series.last().ok_or_else(|| ForecastError::NothingBefore {
            ticker: ticker.clone(),
            as_of: request.as_of.map(|at| record.interval.label(at)).unwrap_or_default(),
        })?;
        let (mut forecast, returns) = answer(&chosen, series, request, &record.calendar).await?;
        forecast.ticker = Some(ticker.clone());
        forecast.warnings.extend(snapshot.refusal_warning(request.model));
        forecast.data_version = Some(record.data_version);
        if let ModelUsed::Version(version) = &mut forecast.model {
            version.age_bars = match (request.as_of, &request.model) {
                (None, ModelChoice::Champion) => snapshot.champion_age_bars,
                _ => self.age_bars(record, &chosen, last.at()).await?,
            };
            forecast.warnings.extend(age_warning(&policy_of(record), version.age_bars));
            forecast.skill = ledger::track_record(&self.app.store, record, &request.levels).await?;
        }
        // Kept before it is answered: a track record that misses what was said is none.
        let entries = ledger::entries(&forecast, &returns, last.at(), request.as_of.is_none());
        self.app.store.add_to_ledger(record.id, &entries).await?;
        Ok(forecast)
    }

    /// The forecasts served of a ticker, each beside what came true.
    ///
    /// # Errors
    /// When there is no such ticker.
    pub async fn ledger(
        &self,
        ticker: &Ticker,
        filter: &LedgerFilter,
    ) -> Result<(TickerRecord, Vec<ScoredEntry>), ForecastError> {
        let unknown = || ForecastError::UnknownTicker { ticker: ticker.clone() };
        let record = self.app.store.ticker(ticker).await?.ok_or_else(unknown)?;
        let scored = ledger::scored(&self.app.store, &record, filter).await?;
        Ok((record, scored))
    }

    /// A forecast from bars that the service never saw, by a ticker's model; nothing is stored.
    ///
    /// # Errors
    /// When ticker or model are missing, or the window is shorter than the model reads.
    pub async fn forecast_window(
        &self,
        ticker: &Ticker,
        series: Series,
        request: &ForecastRequest,
    ) -> Result<Forecast, ForecastError> {
        let snapshot = self.snapshots.get(&self.app, ticker).await?;
        let chosen = self.choose(&snapshot, request).await?;
        Ok(answer(&chosen, Arc::new(series), request, &snapshot.record.calendar).await?.0)
    }

    async fn choose(&self, snapshot: &Snapshot, request: &ForecastRequest) -> Result<Chosen, ForecastError> {
        let record = &snapshot.record;
        let loaded = match request.model {
            ModelChoice::Baseline(baseline) => return Ok(Chosen::Baseline(baseline)),
            ModelChoice::Version(version) => match self.app.registry.load(&record.ticker, version).await {
                Err(RegistryError::Unknown { ticker, version }) => {
                    return Err(ForecastError::UnknownVersion { ticker, version });
                }
                loaded => loaded?,
            },
            ModelChoice::Champion => champion(snapshot, request)?,
        };
        let (asked, trained) = (request.horizon.steps(), loaded.model.config().horizon.steps());
        match asked > trained {
            true => Err(ForecastError::HorizonBeyondModel { asked, trained }),
            false => Ok(Chosen::Version(loaded)),
        }
    }

    async fn age_bars(&self, record: &TickerRecord, chosen: &Chosen, at: BarTime) -> Result<u64, ForecastError> {
        match chosen {
            Chosen::Baseline(_) => Ok(0),
            Chosen::Version(loaded) => {
                Ok(self.app.store.count_bars_between(record.id, loaded.manifest.last, at).await?)
            }
        }
    }
}

/// Bars that a baseline is fitted on at most: twenty years of sessions, so that a request stays a request.
const BASELINE_BARS: u64 = 5_000;

/// Who forecasts, at hand.
#[derive(Debug, Clone)]
enum Chosen {
    Version(Arc<LoadedModel>),
    Baseline(Baseline),
}

impl Chosen {
    /// How many bars it reads; `fit` where it is fitted on the spot.
    fn memory(&self, fit: u64) -> u64 {
        match self {
            Self::Version(loaded) => loaded.model.memory() as u64,
            Self::Baseline(_) => fit,
        }
    }

    fn used(&self, series: &Series, horizon: usize) -> ModelUsed {
        match self {
            Self::Baseline(baseline) => ModelUsed::Baseline(*baseline),
            Self::Version(loaded) => ModelUsed::Version(VersionUsed {
                version: loaded.manifest.version,
                cell: loaded.model.config().cell,
                sha256: loaded.manifest.sha256.clone(),
                trained_through: series.interval().label(loaded.manifest.last),
                age_bars: 0,
                shrinkage: (1..=horizon).map(|step| loaded.model.shrinkage(step)).collect(),
            }),
        }
    }

    fn has_seen_beyond(&self, last: &Bar) -> bool {
        matches!(self, Self::Version(loaded) if last.at() < loaded.manifest.last)
    }
}

fn champion(snapshot: &Snapshot, request: &ForecastRequest) -> Result<Arc<LoadedModel>, ForecastError> {
    let record = &snapshot.record;
    let none = || ForecastError::NoModelYet { ticker: record.ticker.clone() };
    let champion = snapshot.champion.clone().ok_or_else(none)?;
    let (policy, age_bars) = (policy_of(record), snapshot.champion_age_bars);
    if request.as_of.is_none() && !request.allow_stale && policy.is_expired(age_bars) {
        let limit = policy.expire_after_bars.unwrap_or_default();
        return Err(ForecastError::ModelExpired { ticker: record.ticker.clone(), age_bars, limit });
    }
    Ok(champion)
}

async fn answer(
    chosen: &Chosen,
    series: Arc<Series>,
    request: &ForecastRequest,
    calendar: &Calendar,
) -> Result<(Forecast, Vec<StepReturns>), ForecastError> {
    let interval = series.interval();
    let nothing = || ForecastError::TooFewBars { needed: 1, have: 0, as_of: "the end".to_owned() };
    let last = *series.last().ok_or_else(nothing)?;
    let (as_of, horizon) = (interval.label(last.at()), request.horizon);
    // A forward pass, or a fit, is work for a processor, not for a thread that answers requests.
    let (who, bars, label) = (chosen.clone(), Arc::clone(&series), as_of.clone());
    let computing = tokio::task::spawn_blocking(move || distributions::distributions(&who, &bars, horizon, &label));
    let returns: Vec<StepReturns> =
        computing.await.map_err(|error| ForecastError::Model { reason: error.to_string() })??;
    let origin = Origin { at: last.at(), last_close: last.close(), interval, calendar };
    let shown = Shown { levels: &request.levels, quantiles: &request.quantiles };
    let forecast = Forecast {
        ticker: None,
        as_of,
        last_close: last.close(),
        calendar: calendar.clone(),
        data_version: None,
        model: chosen.used(&series, horizon.steps()),
        in_sample: chosen.has_seen_beyond(&last),
        steps: steps::steps(&returns, &origin, &shown),
        skill: None,
        warnings: Vec::new(),
    };
    Ok((forecast, returns))
}

fn policy_of(record: &TickerRecord) -> Policy {
    // What is stored was checked when it was set; a policy of a later release falls back to the default.
    serde_json::from_value(record.policy.clone()).unwrap_or_default()
}

fn age_warning(policy: &Policy, age_bars: u64) -> Option<ForecastWarning> {
    (age_bars >= u64::from(policy.retrain_after_bars)).then(|| ForecastWarning {
        code: "model_aging",
        message: format!(
            "the model has not seen the newest {age_bars} bars; its policy retrains after {}",
            policy.retrain_after_bars
        ),
    })
}
