//! What a walk-forward run answers.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::audit::{LagReport, LeakageAudit};
use super::plan::{Fold, Plan};
use super::walk::Walked;
use crate::domain::{Level, Series};
use crate::evaluate::scores::{Outcome, Scores, pinball_ratio, score};
use crate::evaluate::verdict::{Verdict, verdict};

/// The answer of a backtest; the first of `models` is the one asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BacktestReport {
    /// What was run.
    pub plan: Plan,
    /// Bars of the series.
    pub n_bars: usize,
    /// The folds, in order of time.
    pub folds: Vec<FoldSpan>,
    /// The model and each baseline, on the same points.
    pub models: Vec<ModelReport>,
    /// Of the model's last step: may one say that it beats "no change"?
    pub verdict: Verdict,
    /// Whether bars after a cutoff changed a forecast; one a model.
    pub audit: Vec<LeakageAudit>,
    /// Whether the model's forecast is the last known price in disguise.
    pub lag: Option<LagReport>,
    /// The model on the same bars in random order: its skill must vanish.
    pub shuffled: Option<ShuffledRun>,
}

/// One fold by the names of its bars.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoldSpan {
    /// First bar known to the fit.
    pub known_from: String,
    /// Last bar known to the fit.
    pub known_to: String,
    /// Last bar known to the first forecast.
    pub first_cutoff: String,
    /// Last bar known to the last forecast.
    pub last_cutoff: String,
    /// Forecasts a step.
    pub n: usize,
}

/// One method's scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelReport {
    /// The method.
    pub model: String,
    /// Why there are no scores.
    pub error: Option<String>,
    /// One a step, `1..=horizon`.
    pub steps: Vec<StepReport>,
}

/// One step's scores, all folds together and each by itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// Sessions ahead.
    pub step: usize,
    /// All folds together.
    pub pooled: Scores,
    /// Each fold.
    pub folds: Vec<Scores>,
    /// What may be said of the point forecast.
    pub verdict: Verdict,
    /// Pinball loss over that of each other method on the same points; below 1 is better.
    pub pinball_ratio_to: BTreeMap<String, f64>,
}

/// The run on shuffled bars.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShuffledRun {
    /// What was found where nothing can be: anything but `beats_naive` is as it should be.
    pub verdict: Verdict,
    /// RMSE over that of "no change".
    pub rmse_ratio_to_naive: Option<f64>,
    /// Whether skill vanished.
    pub vanished: bool,
}

/// The spans of the folds, as clients name bars.
pub(super) fn spans(series: &Series, folds: &[Fold]) -> Vec<FoldSpan> {
    let name =
        |bar_idx: usize| series.bars().get(bar_idx).map_or_else(String::new, |bar| series.interval().label(bar.at()));
    let span = |fold: &Fold| FoldSpan {
        known_from: name(fold.known.start),
        known_to: name(fold.known.end - 1),
        first_cutoff: fold.cutoffs.first().map_or_else(String::new, |cutoff| name(*cutoff)),
        last_cutoff: fold.cutoffs.last().map_or_else(String::new, |cutoff| name(*cutoff)),
        n: fold.cutoffs.len(),
    };
    folds.iter().map(span).collect()
}

/// Scores each method; MASE and RMSSE are scaled by the one-step returns known before the first forecast.
pub(super) fn models(plan: &Plan, walked: &[Walked], history: &[f64], levels: &[Level]) -> Vec<ModelReport> {
    let pooled: Vec<(&Walked, Vec<Vec<Outcome>>)> = walked.iter().map(|walked| (walked, pool(walked, plan))).collect();
    let report = |(walked, own): &(&Walked, Vec<Vec<Outcome>>)| match &walked.outcomes {
        Err(error) => ModelReport { model: walked.label.clone(), error: Some(error.to_string()), steps: Vec::new() },
        Ok(folds) => {
            let step_report = |step_idx: usize| {
                let of_folds: Vec<&[Outcome]> = folds.iter().map(|fold| fold[step_idx].as_slice()).collect();
                let overlap = plan.overlap(step_idx + 1);
                let rivals = pooled.iter().filter(|(rival, _)| rival.label != walked.label);
                let ratio = |(rival, outcomes): &(&Walked, Vec<Vec<Outcome>>)| {
                    Some((rival.label.clone(), pinball_ratio(&own[step_idx], &outcomes[step_idx])?))
                };
                StepReport {
                    step: step_idx + 1,
                    pooled: score(&own[step_idx], history, levels, overlap),
                    folds: of_folds.iter().map(|fold| score(fold, history, levels, overlap)).collect(),
                    verdict: verdict(&of_folds, overlap),
                    pinball_ratio_to: rivals.filter_map(ratio).collect(),
                }
            };
            let steps = (0..plan.horizon.steps()).map(step_report).collect();
            ModelReport { model: walked.label.clone(), error: None, steps }
        }
    };
    pooled.iter().map(report).collect()
}

/// All folds of a method in order of time: `[step][point]`; empty steps where it refused.
fn pool(walked: &Walked, plan: &Plan) -> Vec<Vec<Outcome>> {
    let folds = walked.outcomes.as_deref().unwrap_or_default();
    let of_step = |step_idx: usize| folds.iter().flat_map(|fold| fold[step_idx].iter().cloned()).collect();
    (0..plan.horizon.steps()).map(of_step).collect()
}

/// Quantiles that the table of points shows.
const CSV_LEVELS: [f64; 5] = [0.025, 0.1, 0.5, 0.9, 0.975];

/// Every forecast beside its truth, one row a model, cutoff and step; prices, not returns.
pub(super) fn points_csv(series: &Series, folds: &[Fold], walked: &[Walked]) -> String {
    let mut csv = String::from("model,fold,as_of,session,step,last_close,close,point,q0.025,q0.1,q0.5,q0.9,q0.975\n");
    let bar = |bar_idx: usize| &series.bars()[bar_idx];
    let name = |bar_idx: usize| series.interval().label(bar(bar_idx).at());
    for walked in walked {
        for (fold_idx, (fold, steps)) in folds.iter().zip(walked.outcomes.as_deref().unwrap_or_default()).enumerate() {
            for (place, cutoff) in fold.cutoffs.iter().enumerate() {
                for (step_idx, outcomes) in steps.iter().enumerate() {
                    let (outcome, target, last) = (&outcomes[place], cutoff + step_idx + 1, bar(*cutoff).close());
                    let quantiles = CSV_LEVELS.map(|level| format!("{:.6}", last * outcome.forecast.at(level).exp()));
                    // Writing to a string cannot fail.
                    let _ = writeln!(
                        csv,
                        "{},{},{},{},{},{},{},{:.6},{}",
                        walked.label,
                        fold_idx + 1,
                        name(*cutoff),
                        name(target),
                        step_idx + 1,
                        last,
                        bar(target).close(),
                        last * outcome.point.exp(),
                        quantiles.join(",")
                    );
                }
            }
        }
    }
    csv
}
