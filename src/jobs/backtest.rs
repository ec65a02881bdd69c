//! The `backtest` kind: stored bars to a walk-forward report of the network as it is served, beside baselines.

use std::time::Instant;

use serde_json::{Value, json};
use uuid::Uuid;

use super::train::{consistent_series, of_store};
use super::{BacktestConfig, BacktestRefusal, JobContext, JobFailure, JobKind};
use crate::app::App;
use crate::domain::{Series, Ticker};
use crate::evaluate::backtest::Watch;
use crate::evaluate::{Backtest, EvaluateError, Method, Network, ServedNetwork, backtest};
use crate::store::{JobRecord, NewBacktest, StoreError};
use crate::train::{Control, TrainDevice};

/// The kind of a backtest job.
pub const BACKTEST: &str = "backtest";

/// Queues a backtest, unless one of the ticker is active: then that one, with `false`. `None` when there is no such
/// ticker. The config is checked by then.
///
/// # Errors
/// When the database fails.
pub async fn enqueue_backtest(
    app: &App,
    ticker: &Ticker,
    config: &BacktestConfig,
) -> Result<Option<(JobRecord, bool)>, StoreError> {
    let corrupt = |error: serde_json::Error| StoreError::Corrupt { what: "a config", reason: error.to_string() };
    let payload = serde_json::to_value(config).map_err(corrupt)?;
    let queued = app.store.enqueue(&Uuid::now_v7().to_string(), BACKTEST, ticker, &payload).await?;
    app.job_queued.notify_one();
    Ok(queued)
}

/// Runs a ticker's backtest and keeps its report.
#[derive(Debug, Clone)]
pub struct Backtesting {
    /// Where networks are trained.
    pub device: TrainDevice,
}

impl JobKind for Backtesting {
    fn name(&self) -> &'static str {
        BACKTEST
    }

    fn run(&self, app: &App, job: &JobRecord, context: &JobContext) -> Result<Value, JobFailure> {
        let config: BacktestConfig =
            serde_json::from_value(job.payload.clone()).map_err(|error| JobFailure::lasting("bad_payload", error))?;
        // An earlier attempt may have kept its report before it was interrupted.
        let kept = context.wait_for(app.store.backtest(&job.ticker, &job.id)).map_err(of_store)?;
        if let Some((record, _)) = kept {
            return Ok(result(job, &record.verdict));
        }
        let (ticker, series) = context.wait_for(consistent_series(app, &job.ticker))?;
        config.check(series.len(), &app.settings.limits).map_err(of_refusal)?;
        let Backtest { report, points_csv } = walk_forward(&series, &config, &self.device, context)?;
        let json = |value: Result<Value, _>| value.map_err(|error| JobFailure::lasting("bad_report", error));
        let verdict = json(serde_json::to_value(report.verdict))?.as_str().unwrap_or_default().to_owned();
        let kept = NewBacktest {
            id: job.id.clone(),
            data_version: ticker.data_version,
            settings: job.payload.clone(),
            verdict,
            report: json(serde_json::to_value(&report))?,
            points: pack_points(&points_csv).map_err(|error| JobFailure::lasting("bad_report", error))?,
        };
        let add = app.store.add_backtest(&kept, app.settings.limits.backtest.kept);
        match context.wait_for(add).map_err(of_store)? {
            true => Ok(result(job, &kept.verdict)),
            false => Err(JobFailure::Canceled),
        }
    }
}

fn result(job: &JobRecord, verdict: &str) -> Value {
    let url = format!("/v1/tickers/{}/backtests/{}", job.ticker, job.id);
    json!({"backtest_id": job.id, "verdict": verdict, "url": url})
}

fn walk_forward(
    series: &Series,
    config: &BacktestConfig,
    device: &TrainDevice,
    context: &JobContext,
) -> Result<Backtest, JobFailure> {
    let begun = Instant::now();
    let progress = |fraction: f64| {
        let rest = begun.elapsed().as_secs_f64() * (1.0 - fraction) / fraction;
        let eta_ms = rest.is_finite().then_some((rest * 1000.0) as u64);
        context.report(json!({"fraction": fraction, "eta_ms": eta_ms}));
    };
    // No deadline of its own: the runner raises the flag at the job's, and then knows why.
    let control = Control { cancel: context.cancel_flag(), device: device.clone(), ..Control::quiet() };
    let network = Network { name: "network".to_owned(), config: config.config.clone(), control: &control };
    let baselines: Vec<&dyn Method> = config.baselines.iter().map(|baseline| baseline as &dyn Method).collect();
    let watch = Watch { progress: &progress, is_canceled: &|| context.is_canceled() };
    backtest(series, &config.plan(), &ServedNetwork { network }, &baselines, &watch).map_err(of_evaluation)
}

/// The CSV of a run as it is kept: its rows repeat each other, a quarter of its bytes is left.
fn pack_points(csv: &str) -> std::io::Result<Vec<u8>> {
    zstd::encode_all(csv.as_bytes(), 3)
}

/// The CSV again.
///
/// # Errors
/// When the bytes are not what was kept.
pub fn unpack_points(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::decode_all(packed)
}

fn of_refusal(refusal: BacktestRefusal) -> JobFailure {
    let code = match &refusal {
        BacktestRefusal::OutOfRange { .. } | BacktestRefusal::TooManyPoints { .. } => "out_of_range",
        BacktestRefusal::TooFewBars { .. } => "too_few_bars",
        BacktestRefusal::Config(_) => "bad_config",
    };
    JobFailure::lasting(code, refusal)
}

fn of_evaluation(error: EvaluateError) -> JobFailure {
    let code = match &error {
        EvaluateError::Canceled => return JobFailure::Canceled,
        EvaluateError::TooFewBars { .. } => "too_few_bars",
        EvaluateError::BadSetting { .. } => "out_of_range",
        EvaluateError::NoVariation { .. } => "no_variation",
        EvaluateError::NoSuchBar { .. } | EvaluateError::Method { .. } => "method_failed",
    };
    JobFailure::lasting(code, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_come_back_as_they_were() {
        let packed = pack_points("model,fold\nhar,1\n").expect("packs");
        assert_eq!(unpack_points(&packed).ok().as_deref(), Some(b"model,fold\nhar,1\n".as_slice()));
    }
}
