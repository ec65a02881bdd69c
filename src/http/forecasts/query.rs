//! What is asked of a forecast, from the query string.

use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::config::QueryLimits;
use crate::domain::{Horizon, Level, Ticker};
use crate::forecast::{ForecastRequest, ModelChoice};
use crate::http::error::Problem;
use crate::http::wire::{edge, out_of_range, ticker};

/// What to show, and from when.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ForecastQuery {
    /// Sessions ahead.
    #[param(minimum = 1, maximum = 20, example = 5)]
    horizon: Option<u32>,
    /// Probabilities of the intervals, as fractions.
    #[param(example = "0.8,0.95")]
    levels: Option<String>,
    /// Single points of the distribution, as fractions.
    #[param(example = "0.1,0.5,0.9")]
    quantiles: Option<String>,
    /// A past session: only bars up to it are seen.
    #[param(example = "2018-01-31")]
    as_of: Option<String>,
    /// `champion`, a version, or a baseline: `naive`, `drift`, `historical`, `ewma`, `garch`, `har`.
    #[param(example = "champion")]
    model: Option<String>,
    /// Whether a champion that is too old by the policy still answers.
    allow_stale: Option<bool>,
    /// Whose rules prices keep; as computed where absent.
    #[param(inline)]
    pub(super) rules: Option<PriceRules>,
}

/// Rules that quoted prices keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum PriceRules {
    /// Ticks of the Korea Exchange (since 2023-01-25) and its limit of 30 % a session.
    Krx,
}

/// The same for many tickers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct ForecastsQuery {
    /// Tickers between commas; all of them where absent.
    #[param(example = "AAPL,MSFT")]
    tickers: Option<String>,
    /// Sessions ahead.
    #[param(minimum = 1, maximum = 20, example = 5)]
    horizon: Option<u32>,
    /// Probabilities of the intervals, as fractions.
    #[param(example = "0.8,0.95")]
    levels: Option<String>,
    /// Single points of the distribution, as fractions.
    #[param(example = "0.1,0.5,0.9")]
    quantiles: Option<String>,
    /// A past session: only bars up to it are seen.
    #[param(example = "2018-01-31")]
    as_of: Option<String>,
    /// `champion` or a baseline.
    #[param(example = "champion")]
    model: Option<String>,
    /// Whether a champion that is too old by the policy still answers.
    allow_stale: Option<bool>,
    /// Whose rules prices keep; as computed where absent.
    #[param(inline)]
    pub(super) rules: Option<PriceRules>,
    /// Tickers on a page.
    #[param(minimum = 1, maximum = 500)]
    pub(super) limit: Option<u32>,
    /// Where the page before ended.
    pub(super) cursor: Option<String>,
}

impl ForecastQuery {
    pub(super) fn request(&self, limits: &QueryLimits) -> Result<ForecastRequest, Problem> {
        let levels = self.levels.as_deref().map(|text| fractions("levels", text)).transpose()?;
        let quantiles = self.quantiles.as_deref().map(|text| fractions("quantiles", text)).transpose()?;
        let (levels, quantiles) = shown(levels, quantiles, limits)?;
        Ok(ForecastRequest {
            horizon: horizon(self.horizon)?,
            levels,
            quantiles,
            as_of: self.as_of.as_deref().map(|text| edge("as_of", text, true)).transpose()?,
            model: self.model.as_deref().map_or(Ok(ModelChoice::Champion), model)?,
            allow_stale: self.allow_stale.unwrap_or(false),
        })
    }
}

impl ForecastsQuery {
    pub(super) fn request(&self, limits: &QueryLimits) -> Result<ForecastRequest, Problem> {
        let Self { horizon, levels, quantiles, as_of, model, allow_stale, .. } = self;
        let query = ForecastQuery {
            horizon: *horizon,
            levels: levels.clone(),
            quantiles: quantiles.clone(),
            as_of: as_of.clone(),
            model: model.clone(),
            allow_stale: *allow_stale,
            rules: self.rules,
        };
        query.request(limits)
    }

    /// The tickers named, each once.
    pub(super) fn tickers(&self) -> Result<Option<Vec<Ticker>>, Problem> {
        let Some(text) = &self.tickers else { return Ok(None) };
        let mut named = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let ticker = ticker(name)?;
            if !named.contains(&ticker) {
                named.push(ticker);
            }
        }
        Ok(Some(named))
    }
}

pub(super) fn horizon(steps: Option<u32>) -> Result<Horizon, Problem> {
    let Some(steps) = steps else { return Ok(Horizon::ONE) };
    Horizon::try_from(steps).map_err(|_| out_of_range("horizon", steps as usize, Horizon::MAX as usize))
}

/// Intervals and quantiles as asked for; where no quantiles are, the ends of the intervals and the middle.
pub(super) fn shown(
    levels: Option<Vec<f64>>,
    quantiles: Option<Vec<f64>>,
    limits: &QueryLimits,
) -> Result<(Vec<Level>, Vec<f64>), Problem> {
    let asked = levels.as_ref().map_or(0, Vec::len).max(quantiles.as_ref().map_or(0, Vec::len));
    if asked > limits.max_levels {
        return Err(out_of_range("levels", asked, limits.max_levels));
    }
    let bad_level = |error: crate::domain::level::LevelError| Problem::new("bad_level", format!("{error}."));
    let levels = match levels {
        Some(levels) => levels.into_iter().map(Level::try_from).collect::<Result<_, _>>().map_err(bad_level)?,
        None if quantiles.is_some() => Vec::new(),
        None => ForecastRequest::default().levels,
    };
    let quantiles = match quantiles {
        Some(quantiles) => {
            if let Some(value) = quantiles.iter().find(|value| !(QUANTILE_MIN..=1.0 - QUANTILE_MIN).contains(*value)) {
                let detail =
                    format!("quantile {value} is not a fraction between {QUANTILE_MIN} and {}.", 1.0 - QUANTILE_MIN);
                return Err(Problem::new("bad_level", detail));
            }
            quantiles
        }
        None => ends(&levels),
    };
    Ok((levels, quantiles))
}

/// Farther out than this a distribution learned from some hundred days says nothing.
const QUANTILE_MIN: f64 = 0.0005;

fn ends(levels: &[Level]) -> Vec<f64> {
    let mut ends: Vec<f64> = levels.iter().flat_map(|level| [level.lower(), level.upper()]).chain([0.5]).collect();
    // 0.025 rather than 0.025000000000000022.
    ends.iter_mut().for_each(|end| *end = (*end * 1e9).round() / 1e9);
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    ends
}

/// Fractions between commas, each once.
fn fractions(name: &str, text: &str) -> Result<Vec<f64>, Problem> {
    let read = |part: &str| {
        part.trim().parse::<f64>().ok().filter(|value| value.is_finite()).ok_or_else(|| {
            Problem::new(
                "bad_query",
                format!("{name}: {part:?} is not a number; write fractions between commas, as 0.8,0.95."),
            )
        })
    };
    let mut fractions: Vec<f64> = Vec::new();
    for part in text.split(',') {
        let fraction = read(part)?;
        if !fractions.contains(&fraction) {
            fractions.push(fraction);
        }
    }
    Ok(fractions)
}

/// Who forecasts, or of whom forecasts are listed.
pub(in crate::http) fn model(text: &str) -> Result<ModelChoice, Problem> {
    text.parse().map_err(|refusal: String| Problem::new("unknown_model", format!("{refusal}.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::BarTime;

    #[test]
    fn a_level_said_twice_is_one_level() {
        assert_eq!(fractions("levels", "0.8, 0.95,0.80").ok(), Some(vec![0.8, 0.95]));
    }

    #[test]
    fn without_quantiles_the_ends_of_the_intervals_and_the_middle_are_shown() {
        let (levels, quantiles) = shown(None, None, &QueryLimits::default()).expect("the defaults");
        assert_eq!(levels.len(), 2);
        assert_eq!(quantiles, [0.025, 0.1, 0.5, 0.9, 0.975]);
    }

    #[test]
    fn a_cutoff_is_all_of_its_date() {
        let at = |text| edge("as_of", text, true).map(BarTime::seconds).map_err(|problem| problem.code());
        assert_eq!(at("1970-01-02"), Ok(2 * 86_400 - 1));
        assert_eq!(at("1970-01-02T00:00:05Z"), Ok(86_405));
        assert_eq!(at("yesterday"), Err("bad_query"));
    }
}
