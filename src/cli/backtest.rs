//! A walk-forward run here and now: the same job as over HTTP, with a progress bar.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Map, Value, json};

use super::output::{Output, or_dash};
use super::{lists, progress, serve, train};
use crate::app::App;
use crate::domain::Ticker;
use crate::evaluate::backtest::{ModelReport, StepReport};
use crate::evaluate::{BacktestReport, Baseline, Verdict};
use crate::jobs::backtest::unpack_points;
use crate::jobs::{BacktestConfig, Runner, enqueue_backtest};
use crate::store::{JobRecord, JobState};

/// Whose forecasts, and over which stretches.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose.
    ticker: Ticker,
    /// Consecutive stretches that are forecast [default: 5].
    #[arg(long)]
    folds: Option<u32>,
    /// Bars of a fold [default: half of all bars over the folds, 50 at most].
    #[arg(long, value_name = "BARS")]
    fold_bars: Option<u32>,
    /// Bars between two forecasts [default: 1].
    #[arg(long, value_name = "BARS")]
    step_size: Option<u32>,
    /// Sessions ahead, 1 to 20 [default: 1].
    #[arg(long)]
    horizon: Option<u32>,
    /// Bars left out between the newest bar of a fit and the first forecast with it [default: 0].
    #[arg(long, value_name = "BARS")]
    embargo: Option<u32>,
    /// Fit once, before the first fold.
    #[arg(long)]
    no_refit: bool,
    /// A refit sees as many bars as the first one, not all before its fold.
    #[arg(long)]
    rolling: bool,
    /// Who is run on the same points [default: naive,drift,historical,ewma,garch,har].
    #[arg(long, value_delimiter = ',')]
    baselines: Option<Vec<Baseline>>,
    #[command(flatten)]
    network: train::NetworkFlags,
    /// Also write every forecast beside its truth.
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,
    /// Run nothing: show the report that was kept under this id.
    #[arg(long, value_name = "ID")]
    show: Option<String>,
}

pub(super) async fn run(app: &Arc<App>, arguments: &Arguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    let ticker = &arguments.ticker;
    if let Some(id) = &arguments.show {
        show(app, ticker, id, arguments, out).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let config = config(arguments)?;
    config.check(lists::require(app, ticker).await?.bars_total as usize, &app.settings.limits)?;
    let stop = serve::stop_on_signal()?;
    let runner = Runner::new(Arc::clone(app))?;
    let queued = enqueue_backtest(app, ticker, &config).await?;
    let (job, is_new) = queued.with_context(|| format!("{ticker} was deleted meanwhile"))?;
    if !is_new {
        eprintln!("{ticker}: a backtest was queued before, with its own settings; that one is run");
    }
    let ended = progress::run_to_the_end(runner, app, vec![job], &stop).await?;
    for job in &ended {
        if job.state != JobState::Succeeded {
            bail!("{ticker}: {}", ending(job));
        }
        show(app, ticker, &job.id, arguments, out).await?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ending(job: &JobRecord) -> String {
    let said = job.error.as_ref().and_then(|error| error["message"].as_str());
    said.map_or_else(|| format!("the backtest was {}", job.state.as_str()), ToOwned::to_owned)
}

async fn show(app: &App, ticker: &Ticker, id: &str, arguments: &Arguments, out: &mut Output) -> anyhow::Result<()> {
    let none = || format!("no report {id} of {ticker} is kept");
    let (record, report) = app.store.backtest(ticker, id).await?.with_context(none)?;
    if let Some(path) = &arguments.csv {
        let packed = app.store.backtest_points(ticker, id).await?.with_context(none)?;
        fs::write(path, unpack_points(&packed)?).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if out.json {
        return out.json(&json!({
            "id": record.id, "ticker": ticker, "data_version": record.data_version, "settings": record.settings,
            "report": report,
        }));
    }
    print(&serde_json::from_value(report)?, out)?;
    out.say(format!("kept as {id}"))
}

fn print(report: &BacktestReport, out: &mut Output) -> anyhow::Result<()> {
    let rows = report.models.iter().flat_map(|model| model.steps.iter().map(move |step| row(model, step)));
    let header = ["model", "step", "n", "pinball_e4", "to_har", "coverage_80", "coverage_95", "rmse_to_naive", "dm_p"];
    out.table(header, rows)?;
    for model in &report.models {
        if let Some(error) = &model.error {
            out.say(format!("{} was left out: {error}", model.model))?;
        }
    }
    out.say(report.verdict.in_words())?;
    let leaks = report.audit.iter().filter(|audit| !audit.identical).map(|audit| audit.model.as_str());
    out.say(match leaks.collect::<Vec<_>>() {
        none if none.is_empty() => "Nonsense put after a day changed no forecast made on it, in any model.".to_owned(),
        some => format!("The future leaks into {}: believe none of these numbers.", some.join(", ")),
    })?;
    if report.shuffled.as_ref().is_some_and(|run| run.verdict == Verdict::BeatsNaive) {
        out.say("On the same bars in random order it seems to know something too: its skill here may be chance.")?;
    }
    Ok(())
}

fn row(model: &ModelReport, step: &StepReport) -> [String; 9] {
    let number = |value: Option<f64>, digits: usize| or_dash(value.map(|value| format!("{value:.digits$}")));
    let covered = |level: f64| {
        let found = step.pooled.intervals.iter().find(|interval| (interval.level - level).abs() < 1e-9);
        number(found.map(|interval| interval.observed), 3)
    };
    [
        model.model.clone(),
        step.step.to_string(),
        step.pooled.n.to_string(),
        number(step.pooled.pinball.map(|pinball| pinball * 1e4), 2),
        number(step.pinball_ratio_to.get("har").copied(), 4),
        covered(0.8),
        covered(0.95),
        number(step.pooled.rmse_ratio_to_naive, 4),
        number(step.pooled.diebold_mariano.map(|test| test.p_value), 3),
    ]
}

/// Through the same door as a body over HTTP, so that both refuse the same in the same words.
fn config(arguments: &Arguments) -> anyhow::Result<BacktestConfig> {
    let numbers = [
        ("folds", arguments.folds),
        ("fold_bars", arguments.fold_bars),
        ("step_size", arguments.step_size),
        ("horizon", arguments.horizon),
        ("embargo", arguments.embargo),
    ];
    let given = numbers.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into())));
    let mut fields: Map<String, Value> = given.collect();
    fields.insert("refit".to_owned(), (!arguments.no_refit).into());
    fields.insert("window".to_owned(), if arguments.rolling { "rolling" } else { "expanding" }.into());
    fields.insert("config".to_owned(), Value::Object(arguments.network.fields()));
    if let Some(baselines) = &arguments.baselines {
        fields.insert("baselines".to_owned(), baselines.iter().map(|baseline| baseline.name()).collect());
    }
    train::read_fields(fields)
}
