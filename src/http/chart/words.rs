//! What a chart shows, in words: its heading, its description, and why a forecast is missing.

use super::draw::{Chart, Past};
use crate::domain::counted;
use crate::forecast::{ForecastError, ForecastStep, ModelUsed};

/// What the picture is of.
pub(super) fn heading(chart: &Chart) -> String {
    let sessions = match chart.bars.last() {
        Some(last) => format!("{} to {}", counted(chart.bars.len(), "session"), chart.interval.label(last.at())),
        None => "no sessions".to_owned(),
    };
    let ahead = match chart.forecast.as_ref().map_or(0, |forecast| forecast.steps.len()) {
        0 => String::new(),
        1 => ", forecast of the next".to_owned(),
        steps => format!(", forecast of the {steps} after it"),
    };
    format!("{}: {sessions}{ahead}", chart.ticker)
}

/// What can be seen, for those who cannot see it.
pub(super) fn description(chart: &Chart) -> String {
    let mut said = Vec::new();
    if let Some(last) = chart.bars.last() {
        let currency = chart.currency.as_deref().map_or_else(String::new, |currency| format!(" {currency}"));
        said.push(format!("Last close {}{currency}.", price(last.close())));
    }
    if let Some(forecast) = &chart.forecast {
        said.push(format!("Forecast by {}.", who(&forecast.model)));
        let (first, last) = (forecast.steps.first(), forecast.steps.last());
        said.extend(first.map(expected));
        said.extend(last.filter(|last| last.step > 1).map(expected));
    }
    said.extend(chart.missing.clone());
    said.extend(came_true(&chart.past));
    said.join(" ")
}

/// How the past forecasts did; `None` where there are none.
pub(super) fn came_true(past: &[Past]) -> Option<String> {
    let (n, inside) = (past.len(), past.iter().filter(|past| past.is_inside).count());
    (n > 0).then(|| {
        format!("Of {} served before, {inside} came true inside of the 80 % interval.", counted(n, "forecast"))
    })
}

/// Why there is no forecast to draw, where the rest of the picture can be drawn all the same.
pub(super) fn missing(error: &ForecastError) -> Option<String> {
    match error {
        ForecastError::NoModelYet { .. } => Some("No forecast: no model was trained yet.".to_owned()),
        ForecastError::ModelExpired { age_bars, limit, .. } => Some(format!(
            "No forecast: the model is {} old, and its policy lets it answer for {limit}.",
            counted(*age_bars, "bar")
        )),
        ForecastError::TooFewBars { needed, have, .. } => {
            Some(format!("No forecast: it needs {needed} bars, and has {have}."))
        }
        _ => None,
    }
}

fn who(model: &ModelUsed) -> String {
    match model {
        ModelUsed::Version(used) => format!("model version {}", used.version),
        ModelUsed::Baseline(baseline) => format!("the baseline {baseline}"),
    }
}

fn expected(step: &ForecastStep) -> String {
    let session = step.session.clone().unwrap_or_else(|| format!("{} ahead", counted(step.step, "session")));
    let ends = |interval: &crate::forecast::PriceInterval| {
        let probability = 100.0 * interval.level.fraction();
        format!("between {} and {} with {probability:.0} %", price(interval.lower), price(interval.upper))
    };
    let intervals: Vec<String> = step.intervals.iter().map(ends).collect();
    format!("{session}: {}.", intervals.join(", "))
}

/// Prices as exchanges quote them: cents where they matter.
fn price(value: f64) -> String {
    let decimals = match value.abs() {
        size if size >= 10_000.0 => 0,
        size if size >= 10.0 => 2,
        _ => 4,
    };
    format!("{value:.decimals$}")
}
