//! The walk: fit on what is known, forecast, move on.

use super::plan::{Fold, Plan};
use crate::domain::Series;
use crate::evaluate::{Answer, EvaluateError, Forecaster, Method, Outcome};

/// The wires between a run and who started it.
pub struct Watch<'a> {
    /// Told the share of the work done, 0 to 1.
    pub progress: &'a dyn Fn(f64),
    /// Asked before each fit whether to stop.
    pub is_canceled: &'a dyn Fn() -> bool,
}

impl Watch<'static> {
    /// Nobody listens and nobody interrupts.
    pub fn quiet() -> Self {
        Self { progress: &|_| (), is_canceled: &|| false }
    }
}

impl Watch<'_> {
    pub(super) fn check(&self) -> Result<(), EvaluateError> {
        if (self.is_canceled)() { Err(EvaluateError::Canceled) } else { Ok(()) }
    }
}

/// One method's forecasts over all folds.
#[derive(Debug, Clone)]
pub struct Walked {
    /// The method.
    pub label: String,
    /// `[fold][step][cutoff]`; why there are none, where a fit refused.
    pub outcomes: Result<Vec<Vec<Vec<Outcome>>>, EvaluateError>,
}

/// Walks one method through the folds. A method that refuses is reported, not the end of the run.
///
/// # Errors
/// Only when canceled.
pub(super) fn walk(
    series: &Series,
    plan: &Plan,
    folds: &[Fold],
    method: &dyn Method,
    watch: &Watch,
    progress: (f64, f64),
) -> Result<Walked, EvaluateError> {
    let mut fitted: Option<Box<dyn Forecaster>> = None;
    let mut outcomes = Vec::with_capacity(folds.len());
    for (idx, fold) in folds.iter().enumerate() {
        watch.check()?;
        let forecaster = match fitted.take().filter(|_| !plan.refit) {
            Some(kept) => Ok(kept),
            None => method.fit_on(&series.slice(fold.known.clone()), plan.horizon),
        };
        let of_fold = forecaster.and_then(|forecaster| {
            let outcomes = forecast_fold(series, plan, fold, forecaster.as_ref())?;
            fitted = Some(forecaster);
            Ok(outcomes)
        });
        match of_fold {
            Ok(of_fold) => outcomes.push(of_fold),
            Err(EvaluateError::Canceled) => return Err(EvaluateError::Canceled),
            Err(error) => return Ok(Walked { label: method.label(), outcomes: Err(error) }),
        }
        (watch.progress)(progress.0 + (progress.1 - progress.0) * (idx + 1) as f64 / folds.len() as f64);
    }
    Ok(Walked { label: method.label(), outcomes: Ok(outcomes) })
}

fn forecast_fold(
    series: &Series,
    plan: &Plan,
    fold: &Fold,
    forecaster: &dyn Forecaster,
) -> Result<Vec<Vec<Outcome>>, EvaluateError> {
    let answers = forecaster.answer_at(series, &fold.cutoffs)?;
    let mut steps = vec![Vec::with_capacity(fold.cutoffs.len()); plan.horizon.steps()];
    for (cutoff, of_cutoff) in fold.cutoffs.iter().zip(answers) {
        for (step_idx, answer) in of_cutoff.into_iter().take(steps.len()).enumerate() {
            steps[step_idx].push(outcome(series, *cutoff, step_idx + 1, answer));
        }
    }
    Ok(steps)
}

/// A forecast beside what came true `step` bars after the cutoff.
pub fn outcome(series: &Series, cutoff: usize, step: usize, answer: Answer) -> Outcome {
    let close = |bar_idx: usize| series.bars()[bar_idx].close();
    let Answer { forecast, point } = answer;
    Outcome { forecast, point, truth: (close(cutoff + step) / close(cutoff)).ln() }
}
