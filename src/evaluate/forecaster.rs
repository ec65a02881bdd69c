//! What can be scored: a fitted forecaster, and a method that fits one.

use crate::domain::quantiles::QuantilesError;
use crate::domain::{Horizon, Quantiles, Series};
use crate::train;

/// Why there is no forecast, or nothing that could make one.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum EvaluateError {
    /// The series is too short.
    #[error("{have} bars: {method} needs {needed}")]
    TooFewBars {
        /// Who needs more.
        method: String,
        /// How many would do.
        needed: usize,
        /// How many there are.
        have: usize,
    },
    /// Prices that never move leave nothing to fit.
    #[error("the price never changes: {method} has nothing to fit")]
    NoVariation {
        /// Who found nothing.
        method: String,
    },
    /// A cutoff past the end of the series.
    #[error("cutoff {cutoff} of a series of {have} bars")]
    NoSuchBar {
        /// The position asked for.
        cutoff: usize,
        /// How many there are.
        have: usize,
    },
    /// A setting that makes no sense.
    #[error("{field} is {value}: {rule}")]
    BadSetting {
        /// Which.
        field: &'static str,
        /// What it is.
        value: f64,
        /// What it must be.
        rule: String,
    },
    /// The run was canceled or is past its deadline.
    #[error("canceled")]
    Canceled,
    /// A method refused, in its own words.
    #[error("{method}: {message}")]
    Method {
        /// Who.
        method: String,
        /// Its words.
        message: String,
    },
}

impl EvaluateError {
    /// Calibration gave numbers that are no distribution.
    pub(super) fn calibration(error: QuantilesError) -> Self {
        Self::Method { method: "online calibration".to_owned(), message: error.to_string() }
    }
}

/// What is answered of one step: a distribution of the log return, and the point forecast beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The distribution.
    pub forecast: Quantiles,
    /// The point forecast, log return.
    pub point: f64,
}

/// A fitted forecaster of log returns from the last close, one distribution a step `1..=horizon`.
pub trait Forecaster: Send + Sync {
    /// Forecasts from each of the bars at positions `cutoffs`, seeing no bar after it: `[cutoff][step]`; there may
    /// be more steps than were asked for.
    ///
    /// # Errors
    /// When a cutoff is past the end or has too few bars before it.
    fn forecast_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, EvaluateError>;

    /// The point forecast of a step (1 for the next session): the mean, where nothing better is known.
    fn point(&self, _step: usize, forecast: &Quantiles) -> f64 {
        forecast.mean()
    }

    /// The same forecasts with their point forecasts, `[cutoff][step]`.
    ///
    /// # Errors
    /// As [`forecast_at`](Self::forecast_at).
    fn answer_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Answer>>, EvaluateError> {
        let answer = |(idx, forecast): (usize, Quantiles)| Answer { point: self.point(idx + 1, &forecast), forecast };
        let forecasts = self.forecast_at(series, cutoffs)?;
        Ok(forecasts.into_iter().map(|steps| steps.into_iter().enumerate().map(answer).collect()).collect())
    }

    /// Forecasts from the last bar.
    ///
    /// # Errors
    /// When the series is too short.
    fn forecast(&self, series: &Series) -> Result<Vec<Quantiles>, EvaluateError> {
        let last = series.len().checked_sub(1).ok_or(EvaluateError::NoSuchBar { cutoff: 0, have: 0 })?;
        Ok(self.forecast_at(series, &[last])?.pop().unwrap_or_default())
    }
}

/// A way to make a forecaster from known bars; a baseline, or a network with its config.
pub trait Method: Sync {
    /// How it is called in reports.
    fn label(&self) -> String;

    /// Fits on all bars given, for forecasts of steps `1..=horizon`.
    ///
    /// # Errors
    /// When the bars do not suffice or the fit fails.
    fn fit_on(&self, known: &Series, horizon: Horizon) -> Result<Box<dyn Forecaster>, EvaluateError>;
}

impl Forecaster for train::Model {
    fn forecast_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, EvaluateError> {
        Self::forecast_at(self, series, cutoffs).map_err(|error| match error {
            train::ForecastError::TooFewBars { needed, have } => {
                EvaluateError::TooFewBars { method: "the network".to_owned(), needed, have }
            }
            train::ForecastError::NoSuchBar { cutoff, have } => EvaluateError::NoSuchBar { cutoff, have },
            other => EvaluateError::Method { method: "the network".to_owned(), message: other.to_string() },
        })
    }

    fn point(&self, step: usize, forecast: &Quantiles) -> f64 {
        Self::point(self, step, forecast)
    }
}

/// A network to be trained; each fit trains anew.
pub struct Network<'a> {
    /// How it is called in reports, such as `lstm`.
    pub name: String,
    /// What is trained, as it is served: where the horizon asked for is shorter than its own, its own is trained and
    /// the first steps are taken; a longer one replaces it.
    pub config: train::TrainConfig,
    /// The wires of the job.
    pub control: &'a train::Control<'a>,
}

impl Network<'_> {
    /// Trains on all bars given, for at least the horizon asked for.
    pub(super) fn train_on(&self, known: &Series, horizon: Horizon) -> Result<train::Trained, EvaluateError> {
        let config = train::TrainConfig { horizon: horizon.max(self.config.horizon), ..self.config.clone() };
        train::train(known, &config, self.control).map_err(|error| match error {
            train::TrainError::TooFewBars { needed, have } => {
                EvaluateError::TooFewBars { method: self.name.clone(), needed, have }
            }
            train::TrainError::Canceled | train::TrainError::DeadlineExceeded => EvaluateError::Canceled,
            other => EvaluateError::Method { method: self.name.clone(), message: other.to_string() },
        })
    }
}

impl Method for Network<'_> {
    fn label(&self) -> String {
        self.name.clone()
    }

    fn fit_on(&self, known: &Series, horizon: Horizon) -> Result<Box<dyn Forecaster>, EvaluateError> {
        Ok(Box::new(self.train_on(known, horizon)?.model))
    }
}
