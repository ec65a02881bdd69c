//! Answer now: a forecast from the newest window of stored bars.
//!
//! In goes a ticker and what to show; out comes a [`Forecast`] in prices. Bars and champion are kept in memory
//! for as long as the ticker's revision has not moved, so that an answer costs no query.
//!
//! Absent on purpose: the wire format and its cache (`http`), training (`jobs`).

mod answer;
mod error;
mod request;
mod snapshot;
pub mod steps;

use std::sync::Arc;

pub use answer::{Forecast, ForecastWarning, ModelUsed};
pub use error::ForecastError;
pub use request::{ForecastRequest, ModelChoice};
pub use steps::{ForecastStep, PriceInterval, PriceQuantile};

use crate::app::App;
use crate::domain::{Calendar, Series, Ticker};
use crate::registry::{LoadedModel, Policy, RegistryError};
use crate::store::TickerRecord;
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
        let loaded = self.choose(&snapshot, request).await?;
        let record = &snapshot.record;
        let series = match (request.as_of, request.model) {
            (None, ModelChoice::Champion) => Arc::clone(&snapshot.newest),
            (as_of, _) => Arc::new(newest_bars(&self.app.store, record, as_of, loaded.model.memory() as u64).await?),
        };
        let last = *series.last().ok_or_else(|| ForecastError::NothingBefore {
            ticker: ticker.clone(),
            as_of: request.as_of.map(|at| record.interval.label(at)).unwrap_or_default(),
        })?;
        let trained_through = loaded.manifest.last;
        let age_bars = match request.as_of {
            None if request.model == ModelChoice::Champion => snapshot.champion_age_bars,
            _ => self.app.store.count_bars_between(record.id, trained_through, last.at()).await?,
        };
        let asked = Asked { request, calendar: &record.calendar };
        let mut forecast = answer(loaded, series, &asked).await?;
        forecast.ticker = Some(ticker.clone());
        forecast.data_version = Some(record.data_version);
        forecast.model.age_bars = age_bars;
        forecast.warnings.extend(age_warning(&policy_of(record), age_bars));
        Ok(forecast)
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
        let loaded = self.choose(&snapshot, request).await?;
        answer(loaded, Arc::new(series), &Asked { request, calendar: &snapshot.record.calendar }).await
    }

    async fn choose(&self, snapshot: &Snapshot, request: &ForecastRequest) -> Result<Arc<LoadedModel>, ForecastError> {
        let record = &snapshot.record;
        let loaded = match request.model {
            ModelChoice::Version(version) => match self.app.registry.load(&record.ticker, version).await {
                Err(RegistryError::Unknown { ticker, version }) => {
                    return Err(ForecastError::UnknownVersion { ticker, version });
                }
                loaded => loaded?,
            },
            ModelChoice::Champion => {
                let none = || ForecastError::NoModelYet { ticker: record.ticker.clone() };
                let champion = snapshot.champion.clone().ok_or_else(none)?;
                let (policy, age_bars) = (policy_of(record), snapshot.champion_age_bars);
                if request.as_of.is_none() && !request.allow_stale && policy.is_expired(age_bars) {
                    let limit = policy.expire_after_bars.unwrap_or_default();
                    return Err(ForecastError::ModelExpired { ticker: record.ticker.clone(), age_bars, limit });
                }
                champion
            }
        };
        let (asked, trained) = (request.horizon.steps(), loaded.model.config().horizon.steps());
        match asked > trained {
            true => Err(ForecastError::HorizonBeyondModel { asked, trained }),
            false => Ok(loaded),
        }
    }
}

/// What is asked, beside the bars.
struct Asked<'a> {
    request: &'a ForecastRequest,
    calendar: &'a Calendar,
}

async fn answer(loaded: Arc<LoadedModel>, series: Arc<Series>, asked: &Asked<'_>) -> Result<Forecast, ForecastError> {
    let interval = series.interval();
    let Some(last) = series.last().copied() else {
        return Err(ForecastError::TooFewBars { needed: loaded.model.min_bars(), have: 0, as_of: "the end".into() });
    };
    let as_of = interval.label(last.at());
    let horizon = asked.request.horizon.steps();
    let model = Arc::clone(&loaded);
    // A network's forward pass is work for a processor, not for a thread that answers requests.
    let computed = tokio::task::spawn_blocking(move || model.model.forecast(&series).map(|steps| (steps, model)));
    let (mut distributions, loaded) = match computed.await {
        Ok(Ok(forecast)) => forecast,
        Ok(Err(crate::train::ForecastError::TooFewBars { needed, have })) => {
            return Err(ForecastError::TooFewBars { needed, have, as_of });
        }
        Ok(Err(error)) => return Err(ForecastError::Model { reason: error.to_string() }),
        Err(error) => return Err(ForecastError::Model { reason: error.to_string() }),
    };
    distributions.truncate(horizon);
    let point = |(idx, distribution)| StepReturns { point: loaded.model.point(idx + 1, &distribution), distribution };
    let returns: Vec<StepReturns> = distributions.into_iter().enumerate().map(point).collect();
    let origin = Origin { at: last.at(), last_close: last.close(), interval, calendar: asked.calendar };
    let shown = Shown { levels: &asked.request.levels, quantiles: &asked.request.quantiles };
    let manifest = &loaded.manifest;
    Ok(Forecast {
        ticker: None,
        as_of,
        last_close: last.close(),
        calendar: asked.calendar.clone(),
        data_version: None,
        model: ModelUsed {
            version: manifest.version,
            cell: loaded.model.config().cell,
            sha256: manifest.sha256.clone(),
            trained_through: interval.label(manifest.last),
            age_bars: 0,
            shrinkage: (1..=horizon).map(|step| loaded.model.shrinkage(step)).collect(),
        },
        in_sample: last.at() < manifest.last,
        steps: steps::steps(&returns, &origin, &shown),
        warnings: Vec::new(),
    })
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
