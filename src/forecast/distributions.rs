//! The distributions behind a forecast, by a network or by a baseline.

use super::steps::StepReturns;
use super::{Chosen, ForecastError};
use crate::domain::{Horizon, Series};
use crate::evaluate::{Baseline, EvaluateError, Forecaster};
use crate::registry::LoadedModel;
use crate::train;

/// One distribution with its point a step, from step 1.
pub(super) fn distributions(
    chosen: &Chosen,
    series: &Series,
    horizon: Horizon,
    as_of: &str,
) -> Result<Vec<StepReturns>, ForecastError> {
    match chosen {
        Chosen::Version(loaded) => by_network(loaded, series, horizon, as_of),
        Chosen::Baseline(baseline) => by_baseline(*baseline, series, horizon, as_of),
    }
}

fn by_network(
    loaded: &LoadedModel,
    series: &Series,
    horizon: Horizon,
    as_of: &str,
) -> Result<Vec<StepReturns>, ForecastError> {
    let steps = loaded.model.forecast(series).map_err(|error| match error {
        train::ForecastError::TooFewBars { needed, have } => too_few(needed, have, as_of),
        other => ForecastError::Model { reason: other.to_string() },
    })?;
    let point = |(idx, distribution)| StepReturns { point: loaded.model.point(idx + 1, &distribution), distribution };
    Ok(steps.into_iter().take(horizon.steps()).enumerate().map(point).collect())
}

fn by_baseline(
    baseline: Baseline,
    series: &Series,
    horizon: Horizon,
    as_of: &str,
) -> Result<Vec<StepReturns>, ForecastError> {
    let failed = |error: EvaluateError| match error {
        EvaluateError::TooFewBars { needed, have, .. } => too_few(needed, have, as_of),
        other => ForecastError::Model { reason: other.to_string() },
    };
    let fitted = baseline.fit(series, horizon).map_err(failed)?;
    let steps = fitted.forecast(series).map_err(failed)?;
    let point = |(idx, distribution)| StepReturns { point: fitted.point(idx + 1, &distribution), distribution };
    Ok(steps.into_iter().enumerate().map(point).collect())
}

fn too_few(needed: usize, have: usize, as_of: &str) -> ForecastError {
    ForecastError::TooFewBars { needed, have, as_of: as_of.to_owned() }
}
