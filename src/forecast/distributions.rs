//! The distributions behind a forecast, by a network or by a baseline.

use super::steps::StepReturns;
use super::{Chosen, ForecastError};
use crate::domain::{Horizon, Series};
use crate::evaluate::{Baseline, EvaluateError, Forecaster, Served};
use crate::registry::LoadedModel;

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

/// What a network that has caught up says, calibrated; `None` where it has seen no bar yet.
pub(super) fn step_returns(loaded: &LoadedModel, served: &Served) -> Result<Option<Vec<StepReturns>>, EvaluateError> {
    let (Some(calibrated), Some(raw)) = (served.forecast()?, served.raw()) else { return Ok(None) };
    let point = |(idx, (distribution, raw))| StepReturns { point: loaded.model.point(idx + 1, raw), distribution };
    Ok(Some(calibrated.into_iter().zip(raw).enumerate().map(point).collect()))
}

/// From the last bar of `series`: calibrated by the bars since training; or, where the model was trained on bars after
/// it, as the network made it, because its calibration knows what came true there.
fn by_network(
    loaded: &LoadedModel,
    series: &Series,
    horizon: Horizon,
    as_of: &str,
) -> Result<Vec<StepReturns>, ForecastError> {
    let failed = |error| failure(error, as_of);
    let mut served = Served::new(loaded.record.calibration.clone());
    served.follow(&loaded.model, series, |_, _| Ok(())).map_err(failed)?;
    let mut steps = match step_returns(loaded, &served).map_err(failed)? {
        Some(steps) => steps,
        None => {
            let raw = Forecaster::forecast(&loaded.model, series).map_err(failed)?;
            let point =
                |(idx, distribution)| StepReturns { point: loaded.model.point(idx + 1, &distribution), distribution };
            raw.into_iter().enumerate().map(point).collect()
        }
    };
    steps.truncate(horizon.steps());
    Ok(steps)
}

fn by_baseline(
    baseline: Baseline,
    series: &Series,
    horizon: Horizon,
    as_of: &str,
) -> Result<Vec<StepReturns>, ForecastError> {
    let failed = |error| failure(error, as_of);
    let fitted = baseline.fit(series, horizon).map_err(failed)?;
    let steps = fitted.forecast(series).map_err(failed)?;
    let point = |(idx, distribution)| StepReturns { point: fitted.point(idx + 1, &distribution), distribution };
    Ok(steps.into_iter().enumerate().map(point).collect())
}

fn failure(error: EvaluateError, as_of: &str) -> ForecastError {
    match error {
        EvaluateError::TooFewBars { needed, have, .. } => {
            ForecastError::TooFewBars { needed, have, as_of: as_of.to_owned() }
        }
        other => ForecastError::Model { reason: other.to_string() },
    }
}
