//! Walk-forward: what would these forecasts have been worth, had they been made at the time?
//!
//! A series and methods come in; a report and a table of every forecast beside its truth go out. Each fit sees
//! only bars that lie before its fold, each forecast only bars up to its cutoff, and every method forecasts the
//! same points.

pub mod audit;
mod plan;
mod report;
mod walk;

pub use plan::{Fold, Plan, Window};
pub use report::{BacktestReport, FoldSpan, ModelReport, ShuffledRun, StepReport};
pub use walk::{Walked, Watch, outcome};

use super::scores::report_levels;
use super::verdict::{Verdict, verdict};
use super::{EvaluateError, Method, Outcome};
use crate::domain::Series;

/// Cutoffs at which each method is audited for leakage.
const AUDITED: usize = 4;
/// Seed of the shuffled run: any will do, the same each time.
const SHUFFLE_SEED: u64 = 1;

/// A report, and the table behind it.
#[derive(Debug, Clone)]
pub struct Backtest {
    /// Scores, verdict and audits.
    pub report: BacktestReport,
    /// Every forecast beside its truth, as CSV.
    pub points_csv: String,
}

/// Runs a plan: the method asked about, and baselines on the same points.
///
/// # Errors
/// When the plan makes no sense for the series, the method itself refuses, or the run is canceled. A baseline
/// that refuses is reported.
pub fn backtest(
    series: &Series,
    plan: &Plan,
    method: &dyn Method,
    baselines: &[&dyn Method],
    watch: &Watch,
) -> Result<Backtest, EvaluateError> {
    let folds = plan.lay(series.len())?;
    let methods: Vec<&dyn Method> = std::iter::once(method).chain(baselines.iter().copied()).collect();
    // The walk, then audits and the shuffled run: the shares are those of the fits they cost.
    let share = |idx: usize| 0.7 * idx as f64 / methods.len() as f64;
    let mut walked = Vec::with_capacity(methods.len());
    for (idx, method) in methods.iter().enumerate() {
        walked.push(walk::walk(series, plan, &folds, *method, watch, (share(idx), share(idx + 1)))?);
    }
    if let Err(error) = &walked[0].outcomes {
        return Err(error.clone());
    }
    let history = returns(&series.bars()[..folds[0].known.end]);
    let models = report::models(plan, &walked, &history, &report_levels());
    let last_step = plan.horizon.steps();
    let report = BacktestReport {
        plan: plan.clone(),
        n_bars: series.len(),
        folds: report::spans(series, &folds),
        verdict: models[0].steps.last().map_or(Verdict::NoEvidence, |step| step.verdict),
        audit: leakage_of_all(series, plan, &folds, &methods, &walked, watch)?,
        lag: audit::lag(series, &points(&folds, &walked[0], last_step), last_step),
        shuffled: shuffled_run(series, plan, method, watch)?,
        models,
    };
    (watch.progress)(1.0);
    Ok(Backtest { report, points_csv: report::points_csv(series, &folds, &walked) })
}

fn returns(bars: &[crate::domain::Bar]) -> Vec<f64> {
    bars.windows(2).map(|pair| (pair[1].close() / pair[0].close()).ln()).collect()
}

/// `(cutoff, point forecast)` of one step over all folds.
fn points(folds: &[Fold], walked: &Walked, step: usize) -> Vec<(usize, f64)> {
    let outcomes = walked.outcomes.as_deref().unwrap_or_default();
    let of_fold = |(fold, steps): (&Fold, &Vec<Vec<Outcome>>)| -> Vec<(usize, f64)> {
        fold.cutoffs.iter().copied().zip(steps[step - 1].iter().map(|outcome| outcome.point)).collect()
    };
    folds.iter().zip(outcomes).flat_map(of_fold).collect()
}

/// Audits each method that could be fitted, on cutoffs spread over the folds, with a fit of its own.
fn leakage_of_all(
    series: &Series,
    plan: &Plan,
    folds: &[Fold],
    methods: &[&dyn Method],
    walked: &[Walked],
    watch: &Watch,
) -> Result<Vec<audit::LeakageAudit>, EvaluateError> {
    let all: Vec<usize> = folds.iter().flat_map(|fold| fold.cutoffs.iter().copied()).collect();
    let cutoffs: Vec<usize> = all.iter().copied().step_by(all.len().div_ceil(AUDITED).max(1)).collect();
    let known = series.slice(folds[0].known.clone());
    let mut audits = Vec::new();
    for (method, _) in methods.iter().zip(walked).filter(|(_, walked)| walked.outcomes.is_ok()) {
        watch.check()?;
        let fitted = method.fit_on(&known, plan.horizon)?;
        audits.push(audit::leakage(&method.label(), fitted.as_ref(), series, &cutoffs)?);
    }
    (watch.progress)(0.85);
    Ok(audits)
}

/// The method on shuffled bars, fitted once.
fn shuffled_run(
    series: &Series,
    plan: &Plan,
    method: &dyn Method,
    watch: &Watch,
) -> Result<Option<ShuffledRun>, EvaluateError> {
    let (shuffled, once) = (audit::shuffle(series, SHUFFLE_SEED), Plan { refit: false, ..plan.clone() });
    let folds = once.lay(shuffled.len())?;
    let Ok(outcomes) = walk::walk(&shuffled, &once, &folds, method, watch, (0.85, 1.0))?.outcomes else {
        return Ok(None);
    };
    let step_idx = plan.horizon.steps() - 1;
    let of_folds: Vec<&[Outcome]> = outcomes.iter().map(|fold| fold[step_idx].as_slice()).collect();
    let pooled: Vec<Outcome> = of_folds.concat();
    let found = verdict(&of_folds, plan.overlap(step_idx + 1));
    let errors: Vec<f64> = pooled.iter().map(Outcome::error).collect();
    let truths: Vec<f64> = pooled.iter().map(|outcome| outcome.truth).collect();
    Ok(Some(ShuffledRun {
        verdict: found,
        rmse_ratio_to_naive: super::metrics::rmse_ratio_to_naive(&errors, &truths),
        vanished: found != Verdict::BeatsNaive,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Calendar, Horizon};
    use crate::evaluate::{Baseline, synthetic};

    fn market(n_bars: usize) -> Series {
        let last = "2024-06-28".parse().expect("a date");
        synthetic::market(21, &synthetic::tickers(1), n_bars, &Calendar::Weekdays, last).remove(0).1
    }

    #[test]
    fn a_report_has_all_scores_of_all_methods_on_the_same_points() {
        let series = market(500);
        let plan = Plan { horizon: Horizon::try_from(3).expect("in range"), step_size: 2, ..Plan::default() };
        let run = backtest(&series, &plan, &Baseline::Har, &[&Baseline::Naive, &Baseline::Ewma], &Watch::quiet());
        let Backtest { report, points_csv } = run.expect("runs");
        assert_eq!(
            report.models.iter().map(|model| model.model.as_str()).collect::<Vec<_>>(),
            ["har", "naive", "ewma"]
        );
        for model in &report.models {
            assert_eq!((model.steps.len(), model.steps[0].pooled.n, model.steps[2].folds.len()), (3, 125, 5));
        }
        let har = &report.models[0].steps[0];
        assert!(har.pooled.crps.is_some() && har.pooled.qlike.is_some() && har.pooled.mase.is_some());
        assert!(
            har.pinball_ratio_to["naive"] < 1.05 && report.models[1].steps[0].pooled.rmse_ratio_to_naive == Some(1.0)
        );
        assert_ne!(report.verdict, Verdict::BeatsNaive, "nothing can be known here");
        assert!(report.audit.iter().all(|audit| audit.identical) && report.audit.len() == 3);
        assert!(report.shuffled.as_ref().is_some_and(|run| run.vanished));
        assert!(report.lag.as_ref().is_some_and(|lag| lag.best_lag == 3));
        assert_eq!(points_csv.lines().count(), 1 + 3 * 3 * 125);
        let json = serde_json::to_string(&report).expect("serialises");
        let read: BacktestReport = serde_json::from_str(&json).expect("reads back");
        assert_eq!((read.folds, read.plan), (report.folds, report.plan));
    }

    #[test]
    fn a_baseline_that_refuses_is_reported_and_a_model_that_does_is_the_answer() {
        let series = market(260);
        let run = backtest(&series, &Plan::default(), &Baseline::Naive, &[&Baseline::Garch], &Watch::quiet());
        let report = run.expect("runs").report;
        assert!(report.models[1].error.as_ref().is_some_and(|error| error.contains("garch needs 251")));
        let refused = backtest(&series, &Plan::default(), &Baseline::Garch, &[], &Watch::quiet());
        assert!(matches!(refused, Err(EvaluateError::TooFewBars { .. })));
    }

    #[test]
    fn a_canceled_run_stops() {
        let watch = Watch { progress: &|_| (), is_canceled: &|| true };
        let run = backtest(&market(300), &Plan::default(), &Baseline::Naive, &[], &watch);
        assert_eq!(run.map(|_| ()).err(), Some(EvaluateError::Canceled));
    }
}
