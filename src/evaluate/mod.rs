//! How good a forecast is: metrics, baselines, walk-forward, calibration.
//!
//! Series and quantile forecasts come in; scores, tables and decisions go out. Everything is scored in log
//! returns, so that a share of 5 and one of 500 count alike. Absent on purpose: any clock, any store.

pub mod metrics;
pub mod synthetic;
mod forecaster;
pub mod baseline;
mod scores;
mod verdict;
mod promotion;
pub mod conformal;
mod track;
mod held_back;
mod served;
mod served_network;
pub mod drift;
pub mod panel;
pub mod backtest;

pub use backtest::{Backtest, BacktestReport, backtest};
pub use baseline::{Baseline, FittedBaseline};
pub use conformal::Calibration;
pub use drift::{CoverageDrift, coverage_drift};
pub use forecaster::{Answer, EvaluateError, Forecaster, Method, Network};
pub use held_back::{BadRecord, HeldBackRecord};
pub use promotion::{Promotion, PromotionRule, decide, on_common_bars};
pub use scores::{IntervalScores, Outcome, SCORE_LEVELS, Scores, pinball_ratio, report_levels, score};
pub use served::{Served, served_since_training};
pub use served_network::ServedNetwork;
pub use track::{MIN_SCORED, SKILL_WINDOW, ScoredForecast, TrackRecord, score_garch};
pub use verdict::{Skill, Verdict, skill, verdict};
