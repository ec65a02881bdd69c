//! A forecast as a table, or as the JSON of the HTTP API.

use std::sync::Arc;

use anyhow::anyhow;
use chrono::{DateTime, NaiveDate};
use serde_json::{Value, json};

use super::output::{Output, price};
use crate::app::App;
use crate::domain::{BarTime, Horizon, Level, Ticker, counted};
use crate::forecast::{
    Forecast, ForecastError, ForecastRequest, ForecastStep, Forecaster, ModelChoice, ModelUsed, PriceInterval,
};

/// What is forecast.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose.
    #[arg(required = true)]
    tickers: Vec<Ticker>,
    /// How many sessions ahead, 1 to 20.
    #[arg(long, default_value = "1", value_parser = horizon)]
    horizon: Horizon,
    /// Probabilities of the intervals, as fractions.
    #[arg(long, value_delimiter = ',', default_value = "0.8,0.95", value_parser = level)]
    levels: Vec<Level>,
    /// Only bars up to this session are seen: a date (all of its day), or a time within it as RFC 3339.
    #[arg(long, value_name = "DATE", value_parser = cutoff)]
    as_of: Option<BarTime>,
    /// Who forecasts: champion, a version's number, or naive, drift, historical, ewma, garch, har.
    #[arg(long, default_value = "champion")]
    model: ModelChoice,
    /// Also when the champion is older than the ticker's policy allows.
    #[arg(long)]
    allow_stale: bool,
}

pub(super) async fn run(app: &Arc<App>, arguments: &Arguments, out: &mut Output) -> anyhow::Result<()> {
    let forecaster = Forecaster::new(Arc::clone(app));
    let request = ForecastRequest {
        horizon: arguments.horizon,
        levels: arguments.levels.clone(),
        as_of: arguments.as_of,
        model: arguments.model,
        allow_stale: arguments.allow_stale,
        ..ForecastRequest::default()
    };
    let mut forecasts = Vec::new();
    for ticker in &arguments.tickers {
        let answer = forecaster.forecast(ticker, &request).await;
        forecasts.push(answer.map_err(|error| advised(ticker, request.model, error))?);
    }
    print(&forecasts, out)
}

/// What went wrong, with the command that helps: the service's own words name what a request would pass.
fn advised(ticker: &Ticker, asked_of: ModelChoice, error: ForecastError) -> anyhow::Error {
    match error {
        ForecastError::UnknownTicker { .. } => {
            anyhow!("no bars of {ticker} were ever sent; `candlecast tickers` lists what is stored")
        }
        ForecastError::NoModelYet { .. } => anyhow!(
            "{ticker} has no model yet: `candlecast train {ticker}` trains one now; \
             --model har asks a classical one"
        ),
        ForecastError::HorizonBeyondModel { asked, trained } if asked_of == ModelChoice::Champion => anyhow!(
            "asked for {}, the model of {ticker} forecasts {trained}: `candlecast train {ticker} --horizon {asked}` \
             trains one that does; --model har forecasts as far at once",
            counted(asked as u64, "step")
        ),
        error => anyhow::Error::new(error).context(format!("cannot forecast {ticker}")),
    }
}

/// One table for all, a row a step; it fits a terminal of 80 columns.
pub(super) fn print(forecasts: &[Forecast], out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.json(&json!({ "forecasts": forecasts.iter().map(forecast_json).collect::<Vec<_>>() }));
    }
    let rows = forecasts.iter().flat_map(|forecast| forecast.steps.iter().map(move |step| row(forecast, step)));
    out.table(["ticker", "last close", "session", "close", "intervals", "P(up)", "vol."], rows)?;
    warnings(forecasts).into_iter().try_for_each(|warning| out.say(warning))
}

/// Tickers that a warning names; of more it counts the rest.
const NAMED: usize = 3;

/// Each warning once, with those whom it is about.
fn warnings(forecasts: &[Forecast]) -> Vec<String> {
    let mut told: Vec<(&str, Vec<String>)> = Vec::new();
    for (forecast, warning) in forecasts.iter().flat_map(|one| one.warnings.iter().map(move |warning| (one, warning))) {
        match told.iter_mut().find(|(message, _)| *message == warning.message) {
            Some((_, whose)) => whose.push(name(forecast)),
            None => told.push((&warning.message, vec![name(forecast)])),
        }
    }
    let line = |(message, whose): (&str, Vec<String>)| match whose.len().saturating_sub(NAMED) {
        0 => format!("{}: {message}", whose.join(", ")),
        more => format!("{} and {more} more: {message}", whose[..NAMED].join(", ")),
    };
    told.into_iter().map(line).collect()
}

fn row(forecast: &Forecast, step: &ForecastStep) -> [String; 7] {
    let interval =
        |of: &PriceInterval| format!("{:.0} % {}–{}", of.level.fraction() * 100.0, price(of.lower), price(of.upper));
    [
        format!("{}\n{}", name(forecast), model(forecast)),
        format!("{}\n{}", price(forecast.last_close), forecast.as_of),
        step.session.clone().unwrap_or_else(|| format!("+{}", step.step)),
        price(step.close),
        step.intervals.iter().map(interval).collect::<Vec<_>>().join("\n"),
        format!("{:.2}", step.probability_up),
        format!("{:.2} %", step.volatility * 100.0),
    ]
}

fn name(forecast: &Forecast) -> String {
    forecast.ticker.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn model(forecast: &Forecast) -> String {
    match &forecast.model {
        ModelUsed::Version(used) => format!("v{}", used.version),
        ModelUsed::Baseline(baseline) => baseline.name().to_owned(),
    }
}

fn forecast_json(forecast: &Forecast) -> Value {
    let model = match &forecast.model {
        ModelUsed::Version(used) => json!({
            "version": used.version, "cell": used.cell, "sha256": used.sha256,
            "trained_through": used.trained_through, "age_bars": used.age_bars,
        }),
        ModelUsed::Baseline(baseline) => json!({ "baseline": baseline.name() }),
    };
    json!({
        "ticker": forecast.ticker, "as_of": forecast.as_of, "last_close": forecast.last_close,
        "calendar": forecast.calendar, "data_version": forecast.data_version, "model": model,
        "in_sample": forecast.in_sample, "skill": forecast.skill,
        "steps": forecast.steps.iter().map(step_json).collect::<Vec<_>>(),
        "warnings": forecast.warnings.iter()
            .map(|warning| json!({ "code": warning.code, "message": warning.message })).collect::<Vec<_>>(),
    })
}

fn step_json(step: &ForecastStep) -> Value {
    let interval = |of: &PriceInterval| json!({ "level": of.level.fraction(), "lower": of.lower, "upper": of.upper });
    json!({
        "step": step.step, "session": step.session, "close": step.close, "return_log": step.return_log,
        "probability_up": step.probability_up, "volatility": step.volatility,
        "intervals": step.intervals.iter().map(interval).collect::<Vec<_>>(),
    })
}

fn cutoff(text: &str) -> Result<BarTime, String> {
    match (text.parse::<NaiveDate>(), DateTime::parse_from_rfc3339(text)) {
        (Ok(date), _) => Ok(BarTime::end_of_date(date)),
        (_, Ok(instant)) => Ok(BarTime::from_instant(instant.to_utc())),
        _ => Err("expected a date such as 2018-01-31, or RFC 3339".to_owned()),
    }
}

fn horizon(text: &str) -> Result<Horizon, String> {
    let steps: u32 = text.parse().map_err(|_| "expected a whole number".to_owned())?;
    Horizon::try_from(steps).map_err(|error| error.to_string())
}

fn level(text: &str) -> Result<Level, String> {
    let fraction: f64 = text.parse().map_err(|_| "expected a fraction such as 0.8".to_owned())?;
    Level::try_from(fraction).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Calendar;
    use crate::evaluate::Baseline;
    use crate::forecast::ForecastWarning;

    #[test]
    fn what_is_true_of_many_is_told_once() {
        let forecast = |ticker: &str, message: &str| Forecast {
            ticker: ticker.parse().ok(),
            as_of: "2018-02-07".to_owned(),
            last_close: 1.0,
            calendar: Calendar::Weekdays,
            data_version: None,
            model: ModelUsed::Baseline(Baseline::Har),
            in_sample: false,
            steps: Vec::new(),
            skill: None,
            warnings: vec![ForecastWarning { code: "stale_bars", message: message.to_owned() }],
        };
        let forecasts = [("A", "old"), ("B", "older"), ("C", "old"), ("D", "old"), ("E", "old")];
        let told = warnings(&forecasts.map(|(ticker, message)| forecast(ticker, message)));
        assert_eq!(told, ["A, C, D and 1 more: old", "B: older"]);
    }
}
