//! A forecast as clients read it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::Ticker;
use crate::evaluate::{IntervalScores, Skill, Verdict};
use crate::forecast::{Forecast, ForecastStep, ModelUsed};
use crate::http::error::Problem;

/// What comes after `as_of`.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ForecastBody {
    /// Whose; null for a window that the request brought.
    #[schema(value_type = Option<String>, example = "AAPL")]
    ticker: Option<Ticker>,
    /// The last bar seen.
    #[schema(example = "2018-02-07")]
    as_of: String,
    /// Its close.
    #[schema(example = 159.54)]
    last_close: f64,
    /// The market's sessions.
    #[schema(example = "XNYS")]
    calendar: String,
    /// The state of the stored bars.
    data_version: Option<u64>,
    /// Who forecast.
    model: ModelUsedBody,
    /// Whether the model was trained on bars after `as_of`: then this is no test of it, and not calibrated.
    in_sample: bool,
    /// One entry a session ahead.
    steps: Vec<StepBody>,
    /// How this ticker's forecasts did, one session ahead; null for a baseline, and below 30 forecasts.
    skill: Option<SkillBody>,
    /// What to know before believing it.
    warnings: Vec<WarningBody>,
}

/// The track record: forecasts served live, filled up to 250 by those of sessions that were held back in training.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({"n": 250, "n_live": 40, "rmse_ratio_to_naive": 0.999, "dm_p_value": 0.41, "verdict": "no_evidence", "pinball_ratio_to_garch": 0.992, "pinball": 0.0042, "coverage": [{"level": 0.8, "observed": 0.796, "width": 0.031, "winkler": 0.047}]}))]
pub(in crate::http) struct SkillBody {
    /// Forecasts scored.
    n: usize,
    /// Of them, those that were served before their session came.
    n_live: usize,
    /// RMSE of the point forecast over that of "no change"; below 1 is better.
    rmse_ratio_to_naive: Option<f64>,
    /// How easily luck gives a ratio that small: one-sided Diebold-Mariano test.
    dm_p_value: Option<f64>,
    /// `beats_naive`, `no_evidence` or `worse_than_naive`.
    #[schema(value_type = String)]
    verdict: Verdict,
    /// Pinball loss over that of GARCH(1,1) on the same sessions; below 1 is better. Null with too few bars for GARCH.
    pinball_ratio_to_garch: Option<f64>,
    /// Mean pinball loss at 13 levels, in log return.
    pinball: Option<f64>,
    /// One entry a level asked for.
    coverage: Vec<CoverageBody>,
}

/// How the intervals of one level did.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct CoverageBody {
    /// The share that should fall inside.
    level: f64,
    /// The share that did.
    observed: f64,
    /// Mean width, in log return.
    width: f64,
    /// Mean Winkler score, in log return: width, and what misses cost; lower is better.
    winkler: f64,
}

/// Who made a forecast: a model version, or a baseline.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::http) struct ModelUsedBody {
    /// Its number; null for a baseline.
    version: Option<u32>,
    /// `lstm`, `gru` or `rnn`.
    #[schema(value_type = Option<String>, example = "lstm")]
    cell: Option<serde_json::Value>,
    /// Of its artifact.
    sha256: Option<String>,
    /// The newest session it was trained on.
    #[schema(example = "2018-02-07")]
    trained_through: Option<String>,
    /// Bars after that.
    age_bars: Option<u64>,
    /// λ: how far the point forecast follows the distribution's mean, a step each: 0 is "no change", 1 all the way.
    shrinkage: Option<Vec<f64>>,
    /// Which share of what the networks learned is in the distribution, a step each: 0 is the regression under them alone.
    network_trust: Option<Vec<f64>>,
    /// Other tickers of its exchange whose session of `as_of` it knows. Null where of none: how wild the next sessions will be
    /// is then told by the ticker's own bars.
    #[schema(example = 26)]
    market_tickers: Option<u32>,
    /// `naive`, `har`, …; null for a model version.
    baseline: Option<&'static str>,
}

/// One session ahead.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct StepBody {
    /// Sessions ahead, from 1.
    #[schema(example = 1)]
    step: usize,
    /// Its date; null where the calendar does not reach.
    #[schema(example = "2018-02-08")]
    session: Option<String>,
    /// The point forecast.
    #[schema(example = 159.6)]
    close: f64,
    /// The same as natural log return from the last close.
    #[schema(example = 0.0004)]
    return_log: f64,
    /// The probability that the close lies above the last one.
    #[schema(example = 0.51)]
    probability_up: f64,
    /// Standard deviation of the log return from the last close.
    #[schema(example = 0.013)]
    volatility: f64,
    intervals: Vec<IntervalBody>,
    quantiles: Vec<QuantileBody>,
}

/// Where the close lies with a probability.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct IntervalBody {
    /// The probability, as a fraction.
    #[schema(example = 0.8)]
    level: f64,
    #[schema(example = 157.1)]
    lower: f64,
    #[schema(example = 162.0)]
    upper: f64,
}

/// One point of the distribution.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct QuantileBody {
    /// The probability of a close below, as a fraction.
    #[schema(example = 0.1)]
    quantile: f64,
    #[schema(example = 157.1)]
    close: f64,
}

/// What to know before believing a forecast.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct WarningBody {
    /// Stable name.
    #[schema(example = "model_aging")]
    code: &'static str,
    /// A sentence.
    message: String,
}

/// A page of forecasts by ticker.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ForecastsBody {
    pub(super) forecasts: Vec<ForecastBody>,
    /// Tickers that were asked for and have no forecast, and why.
    pub(super) missing: Vec<MissingBody>,
    /// Pass as `cursor` for what follows; null at the end.
    pub(super) next_cursor: Option<String>,
}

/// Why a ticker has no forecast.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct MissingBody {
    /// Which.
    #[schema(value_type = String, example = "AAPL")]
    ticker: Ticker,
    /// Stable name of the reason.
    #[schema(example = "no_model_yet")]
    code: &'static str,
    /// The reason.
    detail: String,
}

impl MissingBody {
    pub(super) fn new(ticker: &Ticker, problem: &Problem) -> Self {
        Self { ticker: ticker.clone(), code: problem.code(), detail: problem.detail().to_owned() }
    }
}

impl From<Forecast> for ForecastBody {
    fn from(forecast: Forecast) -> Self {
        Self {
            ticker: forecast.ticker,
            as_of: forecast.as_of,
            last_close: forecast.last_close,
            calendar: forecast.calendar.to_string(),
            data_version: forecast.data_version,
            model: forecast.model.into(),
            in_sample: forecast.in_sample,
            steps: forecast.steps.into_iter().map(StepBody::from).collect(),
            skill: forecast.skill.map(SkillBody::from),
            warnings: forecast
                .warnings
                .into_iter()
                .map(|warning| WarningBody { code: warning.code, message: warning.message })
                .collect(),
        }
    }
}

impl From<Skill> for SkillBody {
    fn from(skill: Skill) -> Self {
        let coverage = |scores: IntervalScores| CoverageBody {
            level: scores.level,
            observed: scores.observed,
            width: scores.width,
            winkler: scores.winkler,
        };
        Self {
            n: skill.n,
            n_live: skill.n_live,
            rmse_ratio_to_naive: skill.rmse_ratio_to_naive,
            dm_p_value: skill.dm_p_value,
            verdict: skill.verdict,
            pinball_ratio_to_garch: skill.pinball_ratio_to_garch,
            pinball: skill.pinball,
            coverage: skill.coverage.into_iter().map(coverage).collect(),
        }
    }
}

impl From<ModelUsed> for ModelUsedBody {
    fn from(used: ModelUsed) -> Self {
        match used {
            ModelUsed::Baseline(baseline) => Self { baseline: Some(baseline.name()), ..Self::default() },
            ModelUsed::Version(version) => Self {
                version: Some(version.version),
                cell: serde_json::to_value(version.cell).ok(),
                sha256: Some(version.sha256),
                trained_through: Some(version.trained_through),
                age_bars: Some(version.age_bars),
                shrinkage: Some(version.shrinkage),
                network_trust: Some(version.network_trust),
                market_tickers: version.market_tickers,
                baseline: None,
            },
        }
    }
}

impl From<ForecastStep> for StepBody {
    fn from(step: ForecastStep) -> Self {
        let interval = |interval: crate::forecast::PriceInterval| IntervalBody {
            level: interval.level.fraction(),
            lower: interval.lower,
            upper: interval.upper,
        };
        let quantile = |quantile: crate::forecast::PriceQuantile| QuantileBody {
            quantile: quantile.quantile,
            close: quantile.close,
        };
        Self {
            step: step.step,
            session: step.session,
            close: step.close,
            return_log: step.return_log,
            probability_up: step.probability_up,
            volatility: step.volatility,
            intervals: step.intervals.into_iter().map(interval).collect(),
            quantiles: step.quantiles.into_iter().map(quantile).collect(),
        }
    }
}
