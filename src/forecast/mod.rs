//! Answer now: a forecast from the newest window of stored bars.
//!
//! In goes a ticker and what to show; out comes a [`Forecast`] in prices. Bars and champion are kept in memory
//! for as long as the ticker's revision has not moved, so that an answer costs no query.
//!
//! Absent on purpose: the wire format and its cache (`http`), training (`jobs`).

mod answer;
mod chosen;
mod distributions;
mod error;
mod freshness;
mod ledger;
mod request;
mod serving;
mod snapshot;
pub mod steps;

use std::sync::Arc;

use chrono::Utc;

pub use answer::{Forecast, ForecastWarning, ModelUsed, VersionUsed};
pub use error::ForecastError;
pub use ledger::{ScoredEntry, live_forecasts};
pub use request::{ForecastRequest, ModelChoice};
pub use steps::{ForecastStep, PriceInterval, PriceQuantile};

use crate::app::{App, Turn};
use crate::domain::{Bar, BarTime, Calendar, Horizon, Level, Series, Ticker, counted};
use crate::evaluate::{Baseline, Skill, TrackRecord};
use crate::registry::{LoadedModel, Policy};
use crate::store::{LedgerFilter, TickerRecord};
use chosen::Chosen;
use snapshot::{Snapshot, Snapshots, beside_market, newest_bars};
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
    /// When ticker, model or bars are missing, the policy says that the model is too old, or too many requests compute.
    pub async fn forecast(&self, ticker: &Ticker, request: &ForecastRequest) -> Result<Forecast, ForecastError> {
        self.forecast_in(&self.app.computing.turn(), ticker, request).await
    }

    /// The same as part of a request that forecasts several tickers: they share its turn to compute.
    ///
    /// # Errors
    /// As [`forecast`](Self::forecast).
    pub async fn forecast_in(
        &self,
        turn: &Turn<'_>,
        ticker: &Ticker,
        request: &ForecastRequest,
    ) -> Result<Forecast, ForecastError> {
        // Who asks for anything but the champion's newest computes: refused before a model is loaded or a bar is read.
        if request.model != ModelChoice::Champion {
            turn.take().await?;
        }
        let snapshot = self.snapshots.get(&self.app, ticker, request.model).await?;
        let record = &snapshot.record;
        // Who always names today asks for now.
        let is_of_now = request.as_of.is_none_or(|at| at.date() >= Utc::now().date_naive());
        // The newest bar by its date is the newest bar: the forecast is a live one.
        let as_of = request.as_of.filter(|at| record.last.is_none_or(|last| *at < last));
        let request = &ForecastRequest { as_of, ..request.clone() };
        if request.as_of.is_some() {
            turn.take().await?;
        }
        let chosen = Chosen::find(&self.app, &snapshot, request, None).await?;
        let age_bars = self.age_bars(&snapshot, &chosen, request.as_of).await?;
        let (series, returns) = match at_hand(&snapshot, request) {
            Some(returns) => (Arc::clone(&snapshot.newest), returns),
            None => {
                turn.take().await?;
                let bars = newest_bars(&self.app.store, record, request.as_of, chosen.memory(age_bars)).await?;
                let series = Arc::new(match &chosen {
                    Chosen::Version(loaded) => beside_market(&self.app, record, loaded, bars).await?,
                    Chosen::Baseline(_) => bars,
                });
                if series.is_empty() {
                    let as_of = request.as_of.map(|at| record.interval.label(at)).unwrap_or_default();
                    return Err(ForecastError::NothingBefore { ticker: ticker.clone(), as_of });
                }
                let returns = compute(turn, &chosen, &series, request.horizon).await?;
                (series, returns)
            }
        };
        let mut forecast = describe(&chosen, &series, &returns, request, &record.calendar)?;
        forecast.ticker = Some(ticker.clone());
        forecast.warnings.extend(snapshot.refusal_warning(request.model));
        forecast.warnings.extend(chosen.fallback_warning(&snapshot, request.model));
        forecast.warnings.extend(record.last.filter(|_| is_of_now).and_then(|newest| self.freshness(record, newest)));
        forecast.data_version = Some(record.data_version);
        if let (ModelUsed::Version(version), Chosen::Version(loaded)) = (&mut forecast.model, &chosen) {
            version.age_bars = age_bars;
            forecast.warnings.extend(age_warning(&policy_of(record), age_bars));
            forecast.skill = skill(&snapshot, loaded, &request.levels);
        }
        // Kept before it is answered: a track record that misses what was said is none.
        let as_of = series.last().map_or(BarTime::from_seconds(0), Bar::at);
        let entries = ledger::entries(&forecast, &returns, as_of, chosen.market_seen(&series), request.as_of.is_none());
        self.app.store.add_to_ledger(record.id, &entries).await?;
        Ok(forecast)
    }

    fn freshness(&self, record: &TickerRecord, newest: BarTime) -> Option<ForecastWarning> {
        let (today, settings) = (Utc::now().date_naive(), &self.app.settings.forecast);
        freshness::warning(newest, record.interval, &record.calendar, today, settings)
    }

    /// The forecasts served of a ticker, each beside what came true.
    ///
    /// * `of` only those of this model
    ///
    /// # Errors
    /// When there is no such ticker.
    pub async fn ledger(
        &self,
        ticker: &Ticker,
        of: Option<ModelChoice>,
        filter: LedgerFilter,
    ) -> Result<(TickerRecord, Vec<ScoredEntry>), ForecastError> {
        let unknown = || ForecastError::UnknownTicker { ticker: ticker.clone() };
        let record = self.app.store.ticker(ticker).await?.ok_or_else(unknown)?;
        let model = match of {
            None => None,
            Some(ModelChoice::Version(version)) => Some(version.to_string()),
            Some(ModelChoice::Baseline(baseline)) => Some(baseline.name().to_owned()),
            Some(ModelChoice::Champion) => match record.champion {
                Some(version) => Some(version.to_string()),
                None => return Ok((record, Vec::new())),
            },
        };
        let scored = ledger::scored(&self.app.store, &record, &LedgerFilter { model, ..filter }).await?;
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
        let turn = self.app.computing.turn();
        turn.take().await?;
        let snapshot = self.snapshots.get(&self.app, ticker, request.model).await?;
        let chosen = Chosen::find(&self.app, &snapshot, request, Some(&series)).await?;
        let series = Arc::new(series);
        let returns = compute(&turn, &chosen, &series, request.horizon).await?;
        let mut forecast = describe(&chosen, &series, &returns, request, &snapshot.record.calendar)?;
        forecast.warnings.extend(chosen.fallback_warning(&snapshot, request.model));
        Ok(forecast)
    }

    /// A classical forecast from bars that the service never saw, of nobody in particular: its sessions are weekdays.
    ///
    /// # Errors
    /// When the window is shorter than the method needs.
    pub async fn baseline_window(
        &self,
        baseline: Baseline,
        series: Series,
        request: &ForecastRequest,
    ) -> Result<Forecast, ForecastError> {
        let (chosen, series) = (Chosen::Baseline(baseline), Arc::new(series));
        let returns = compute(&self.app.computing.turn(), &chosen, &series, request.horizon).await?;
        describe(&chosen, &series, &returns, request, &Calendar::Weekdays)
    }

    /// Bars after the last one that the chosen model was trained on, up to the cutoff.
    async fn age_bars(
        &self,
        snapshot: &Snapshot,
        chosen: &Chosen,
        as_of: Option<BarTime>,
    ) -> Result<u64, ForecastError> {
        let Chosen::Version(loaded) = chosen else { return Ok(0) };
        match (&snapshot.serving, as_of) {
            (Some(serving), None) if Arc::ptr_eq(&serving.loaded, loaded) => Ok(serving.age_bars),
            _ => {
                let to = as_of.unwrap_or(BarTime::from_seconds(i64::MAX));
                Ok(self.app.store.count_bars_between(snapshot.record.id, loaded.manifest.last, to).await?)
            }
        }
    }
}

/// The champion's newest forecast, where that is what was asked for and it could be made.
fn at_hand(snapshot: &Snapshot, request: &ForecastRequest) -> Option<Vec<StepReturns>> {
    let serving = snapshot.serving.as_ref().filter(|_| request.as_of.is_none())?;
    let returns = serving.returns.as_ref().filter(|_| request.model == ModelChoice::Champion)?;
    Some(returns[..request.horizon.steps()].to_vec())
}

/// The track record behind a version: live forecasts are the ticker's, held-back ones the version's own.
fn skill(snapshot: &Snapshot, loaded: &Arc<LoadedModel>, levels: &[Level]) -> Option<Skill> {
    match &snapshot.serving {
        Some(serving) if Arc::ptr_eq(&serving.loaded, loaded) => serving.skill(levels),
        _ => TrackRecord::new(&loaded.record.scored, &snapshot.live).skill(levels),
    }
}

async fn compute(
    turn: &Turn<'_>,
    chosen: &Chosen,
    series: &Arc<Series>,
    horizon: Horizon,
) -> Result<Vec<StepReturns>, ForecastError> {
    let as_of = series.last().map_or_else(|| "the end".to_owned(), |bar| series.interval().label(bar.at()));
    let (who, bars) = (chosen.clone(), Arc::clone(series));
    // A forward pass, or a fit, is work for a processor, not for a thread that answers requests.
    turn.run(move || distributions::distributions(&who, &bars, horizon, &as_of)).await?
}

fn describe(
    chosen: &Chosen,
    series: &Series,
    returns: &[StepReturns],
    request: &ForecastRequest,
    calendar: &Calendar,
) -> Result<Forecast, ForecastError> {
    let interval = series.interval();
    let nothing = || ForecastError::TooFewBars { needed: 1, have: 0, as_of: "the end".to_owned() };
    let last = *series.last().ok_or_else(nothing)?;
    let origin = Origin { at: last.at(), bars: series.bars(), last_close: last.close(), interval, calendar };
    let shown = Shown { levels: &request.levels, quantiles: &request.quantiles };
    let in_sample = chosen.has_seen_beyond(&last);
    Ok(Forecast {
        ticker: None,
        as_of: interval.label(last.at()),
        last_close: last.close(),
        calendar: calendar.clone(),
        data_version: None,
        model: chosen.used(series, request.horizon.steps()),
        in_sample,
        steps: steps::steps(returns, &origin, &shown),
        skill: None,
        warnings: in_sample.then(uncalibrated_warning).into_iter().collect(),
    })
}

fn uncalibrated_warning() -> ForecastWarning {
    ForecastWarning {
        code: "in_sample",
        message: "the model was trained on bars after this one: this is no test of it, and its intervals are not \
                  calibrated, because the calibration knows what came true"
            .to_owned(),
    }
}

fn policy_of(record: &TickerRecord) -> Policy {
    // What is stored was checked when it was set; a policy of a later release falls back to the default.
    serde_json::from_value(record.policy.clone()).unwrap_or_default()
}

fn age_warning(policy: &Policy, age_bars: u64) -> Option<ForecastWarning> {
    (age_bars >= u64::from(policy.retrain_after_bars)).then(|| ForecastWarning {
        code: "model_aging",
        message: format!(
            "the model has not seen the newest {}; its policy retrains after {}",
            counted(age_bars, "bar"),
            policy.retrain_after_bars
        ),
    })
}
