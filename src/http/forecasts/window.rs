//! A window of bars that a request brings.

use serde::Deserialize;
use utoipa::ToSchema;

use super::query::{horizon, model, shown};
use crate::config::QueryLimits;
use crate::domain::bar::RawBar;
use crate::domain::{Bar, BarTime, Interval, Series, Ticker};
use crate::evaluate::Baseline;
use crate::forecast::{ForecastRequest, ModelChoice};
use crate::http::error::Problem;
use crate::http::wire::{out_of_range, ticker};

/// Bars to forecast from, and by which model: a ticker's, or one named by itself.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct WindowBody {
    /// Whose model and calendar; may be left out where `model` says all.
    #[schema(example = "AAPL")]
    ticker: Option<String>,
    /// Of `ticker`: `champion` (as when absent), a version, or a baseline. Without a ticker: `TICKER/VERSION`, or a
    /// baseline, whose next sessions are then weekdays.
    #[schema(example = "champion")]
    model: Option<String>,
    /// The bars, ascending.
    bars: Vec<WindowBarBody>,
    /// Sessions ahead.
    #[schema(minimum = 1, maximum = 20, example = 5)]
    horizon: Option<u32>,
    /// Probabilities of the intervals, as fractions.
    #[schema(example = json!([0.8, 0.95]))]
    levels: Option<Vec<f64>>,
    /// Single points of the distribution, as fractions.
    quantiles: Option<Vec<f64>>,
    /// Whether a champion that is too old by the policy still answers.
    #[serde(default)]
    allow_stale: bool,
}

/// One bar of a window.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct WindowBarBody {
    /// A date, or RFC 3339 UTC within a day.
    #[schema(example = "2018-02-07")]
    session: String,
    #[schema(example = 163.08)]
    open: f64,
    #[schema(example = 163.4)]
    high: f64,
    #[schema(example = 159.06)]
    low: f64,
    #[schema(example = 159.54)]
    close: f64,
    #[schema(example = 51_608_580.0)]
    volume: Option<f64>,
}

/// Who forecasts a window.
pub(super) enum WindowModel {
    /// What the request says of this ticker.
    Of(Ticker),
    /// A classical forecast, of nobody in particular.
    Baseline(Baseline),
}

impl WindowBody {
    /// Who forecasts, and what is asked of them.
    pub(super) fn model(&self, limits: &QueryLimits) -> Result<(WindowModel, ForecastRequest), Problem> {
        let mut request = self.request(limits)?;
        if let Some(name) = &self.ticker {
            request.model = self.model.as_deref().map_or(Ok(ModelChoice::Champion), model)?;
            return Ok((WindowModel::Of(ticker(name)?), request));
        }
        let Some(named) = self.model.as_deref() else {
            let detail = "Say whose model forecasts: a ticker, or a model.";
            return Err(Problem::new("bad_field", detail).with("field", "ticker"));
        };
        if let Some((name, version)) = named.rsplit_once('/') {
            request.model = model(version)?;
            return Ok((WindowModel::Of(ticker(name)?), request));
        }
        request.model = model(named)?;
        match request.model {
            ModelChoice::Baseline(baseline) => Ok((WindowModel::Baseline(baseline), request)),
            ModelChoice::Champion | ModelChoice::Version(_) => {
                let detail = format!("model {named:?} alone names nobody's: give ticker too, or write TICKER/{named}.");
                Err(Problem::new("unknown_model", detail))
            }
        }
    }

    fn request(&self, limits: &QueryLimits) -> Result<ForecastRequest, Problem> {
        let (levels, quantiles) = shown(self.levels.clone(), self.quantiles.clone(), limits)?;
        Ok(ForecastRequest {
            horizon: horizon(self.horizon)?,
            levels,
            quantiles,
            as_of: None,
            model: ModelChoice::Champion,
            allow_stale: self.allow_stale,
        })
    }

    /// The bars, each checked as a stored one is.
    pub(super) fn series(&self, limits: &QueryLimits) -> Result<Series, Problem> {
        if !(1..=limits.max_window_bars).contains(&self.bars.len()) {
            return Err(out_of_range("bars", self.bars.len(), limits.max_window_bars));
        }
        let bars: Vec<Bar> = self.bars.iter().enumerate().map(|(idx, bar)| read(idx, bar)).collect::<Result<_, _>>()?;
        Series::new(interval(&self.bars, &bars), bars).map_err(|error| {
            Problem::new("bad_bar", format!("{error}.")).with("bar", error.bar_idx).with("column", "session")
        })
    }
}

fn read(idx: usize, bar: &WindowBarBody) -> Result<Bar, Problem> {
    let refuse = |column: &str, message: String| {
        Problem::new("bad_bar", format!("bar {idx}: {message}.")).with("bar", idx).with("column", column)
    };
    let at = match (bar.session.parse().map(BarTime::from_date), chrono::DateTime::parse_from_rfc3339(&bar.session)) {
        (Ok(at), _) => at,
        (_, Ok(instant)) => BarTime::from_instant(instant.to_utc()),
        _ => return Err(refuse("session", format!("{:?} is neither a date nor RFC 3339", bar.session))),
    };
    let raw = RawBar { at, open: bar.open, high: bar.high, low: bar.low, close: bar.close, volume: bar.volume };
    Bar::new(raw).map_err(|error| refuse(error.column(), error.to_string()))
}

/// Days where every bar is named by a date, else the shortest step within a day, in minutes.
fn interval(sent: &[WindowBarBody], bars: &[Bar]) -> Interval {
    if sent.iter().all(|bar| bar.session.parse::<chrono::NaiveDate>().is_ok()) {
        return Interval::Day;
    }
    let steps = bars.windows(2).map(|pair| pair[1].at().seconds() - pair[0].at().seconds());
    let shortest = steps.filter(|seconds| *seconds > 0).min().unwrap_or(60);
    match u32::try_from(shortest / 60) {
        Ok(minutes @ 1..1440) => Interval::Minutes(minutes),
        _ => Interval::Day,
    }
}
