//! Who forecasts.

use std::sync::Arc;

use super::snapshot::Snapshot;
use super::{ForecastError, ForecastRequest, ForecastWarning, ModelChoice, ModelUsed, VersionUsed, policy_of};
use crate::app::App;
use crate::domain::{Bar, BarTime, MarketSession, Series, counted};
use crate::evaluate::Baseline;
use crate::registry::{LoadedModel, RegistryError};
use crate::train::{TrainConfig, min_bars};

/// Who forecasts, at hand.
#[derive(Debug, Clone)]
pub(super) enum Chosen {
    /// A trained network.
    Version(Arc<LoadedModel>),
    /// A classical forecast.
    Baseline(Baseline),
}

/// Bars that a baseline is fitted on at most: twenty years of sessions, so that a request stays a request.
const BASELINE_BARS: u64 = 5_000;

impl Chosen {
    /// Finds who was asked for; for a ticker that is too young for a network, the best baseline.
    ///
    /// * `window` bars that the request brings, if it does
    ///
    /// # Errors
    /// When there is no such version, no champion yet, or one that is too old or was trained for fewer steps.
    pub(super) async fn find(
        app: &App,
        snapshot: &Snapshot,
        request: &ForecastRequest,
        window: Option<&Series>,
    ) -> Result<Self, ForecastError> {
        let loaded = match request.model {
            ModelChoice::Baseline(baseline) => return Ok(Self::Baseline(baseline)),
            ModelChoice::Version(version) => match app.registry.load(&snapshot.record.ticker, version).await {
                Err(RegistryError::Unknown { ticker, version }) => {
                    return Err(ForecastError::UnknownVersion { ticker, version });
                }
                loaded => loaded?,
            },
            ModelChoice::Champion => match champion(snapshot, request)? {
                Some(champion) => champion,
                None => return without_champion(app, snapshot, request, window).await,
            },
        };
        let (asked, trained) = (request.horizon.steps(), loaded.model.config().horizon.steps());
        match asked > trained {
            true => Err(ForecastError::HorizonBeyondModel { asked, trained }),
            false => Ok(Self::Version(loaded)),
        }
    }

    /// How many bars it reads up to a cutoff `age_bars` after the last bar that it was trained on.
    pub(super) fn memory(&self, age_bars: u64) -> u64 {
        match self {
            Self::Version(loaded) => loaded.model.memory() as u64 + age_bars,
            Self::Baseline(_) => BASELINE_BARS,
        }
    }

    /// How an answer names it.
    pub(super) fn used(&self, series: &Series, horizon: usize) -> ModelUsed {
        match self {
            Self::Baseline(baseline) => ModelUsed::Baseline(*baseline),
            Self::Version(loaded) => ModelUsed::Version(VersionUsed {
                version: loaded.manifest.version,
                cell: loaded.model.config().cell,
                sha256: loaded.manifest.sha256.clone(),
                trained_through: series.interval().label(loaded.manifest.last),
                age_bars: 0,
                shrinkage: (1..=horizon).map(|step| loaded.model.shrinkage(step)).collect(),
                network_trust: (1..=horizon).map(|step| loaded.model.network_trust(step)).collect(),
                market_tickers: newest_market(loaded, series).map(|session| session.n_tickers),
            }),
        }
    }

    /// What it knows of the market beside these bars, as a number to tell one forecast from another: 0 where nothing.
    pub(super) fn market_seen(&self, series: &Series) -> i64 {
        match self {
            Self::Version(loaded) if loaded.model.reads_market() => series.market_digest(),
            _ => 0,
        }
    }

    /// Whether it was trained on bars after this one.
    pub(super) fn has_seen_beyond(&self, last: &Bar) -> bool {
        matches!(self, Self::Version(loaded) if last.at() < loaded.manifest.last)
    }

    /// That a baseline answers where nobody asked for one.
    pub(super) fn fallback_warning(&self, snapshot: &Snapshot, asked: ModelChoice) -> Option<ForecastWarning> {
        let (Self::Baseline(baseline), ModelChoice::Champion) = (self, asked) else { return None };
        let (have, needed) = (snapshot.record.bars_total, bars_for_a_network(snapshot));
        let are = if have == 1 { "is" } else { "are" };
        let message = format!(
            "{} {are} too few for a network, which is trained unasked from {needed} on: the baseline {baseline} answers",
            counted(have, "bar")
        );
        Some(ForecastWarning { code: "baseline_used", message })
    }
}

/// What the market did at the newest bar, where the model goes by it.
fn newest_market(loaded: &LoadedModel, series: &Series) -> Option<MarketSession> {
    series.market(series.len().checked_sub(1)?).filter(|_| loaded.model.reads_market())
}

fn champion(snapshot: &Snapshot, request: &ForecastRequest) -> Result<Option<Arc<LoadedModel>>, ForecastError> {
    let Some(serving) = &snapshot.serving else { return Ok(None) };
    let (policy, age_bars) = (policy_of(&snapshot.record), serving.age_bars);
    if request.as_of.is_none() && !request.allow_stale && policy.is_expired(age_bars) {
        let limit = policy.expire_after_bars.unwrap_or_default();
        return Err(ForecastError::ModelExpired { ticker: snapshot.record.ticker.clone(), age_bars, limit });
    }
    Ok(Some(Arc::clone(&serving.loaded)))
}

/// Bars below which no training is queued, or would succeed.
fn bars_for_a_network(snapshot: &Snapshot) -> u64 {
    u64::from(policy_of(&snapshot.record).min_bars).max(min_bars(&TrainConfig::default()) as u64)
}

async fn without_champion(
    app: &App,
    snapshot: &Snapshot,
    request: &ForecastRequest,
    window: Option<&Series>,
) -> Result<Chosen, ForecastError> {
    let record = &snapshot.record;
    if record.bars_total >= bars_for_a_network(snapshot) {
        return Err(ForecastError::NoModelYet { ticker: record.ticker.clone() });
    }
    let n_bars = match (window, request.as_of) {
        (Some(window), _) => window.len() as u64,
        (None, None) => record.bars_total,
        (None, Some(as_of)) => app.store.count_bars_between(record.id, BarTime::from_seconds(i64::MIN), as_of).await?,
    };
    // Where not even the simplest has enough, it says what it needs.
    Ok(Chosen::Baseline(Baseline::best_for(n_bars as usize, request.horizon).unwrap_or(Baseline::Naive)))
}
