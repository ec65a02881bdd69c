//! Trainings run here and now, with a progress bar a ticker.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::lists::{self, require};
use super::output::Output;
use super::{progress, serve};
use crate::app::App;
use crate::domain::Ticker;
use crate::jobs::{Runner, enqueue_training};
use crate::store::{JobRecord, JobState};
use crate::train::TrainConfig;

/// What to train, and how.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Whose models.
    #[arg(required_unless_present = "all")]
    tickers: Vec<Ticker>,
    /// Every stored ticker.
    #[arg(long, conflicts_with = "tickers")]
    all: bool,
    /// lstm, gru or rnn.
    #[arg(long)]
    cell: Option<String>,
    /// Sessions ahead, 1 to 20.
    #[arg(long)]
    horizon: Option<u32>,
    #[command(flatten)]
    network: NetworkFlags,
}

/// What network; what is not named is the default.
#[derive(Debug, clap::Args)]
pub(super) struct NetworkFlags {
    /// A named set of the network's defaults: default, tutorial or fast.
    #[arg(long)]
    preset: Option<String>,
    /// Any field of the network's config as in the HTTP API, for example `--with hidden=32 --with 'levels=[0.1,0.5,0.9]'`.
    #[arg(long, value_name = "FIELD=VALUE", value_parser = pair)]
    with: Vec<(String, Value)>,
}

impl NetworkFlags {
    /// As the body of a request names them.
    pub(super) fn fields(&self) -> Map<String, Value> {
        let preset = self.preset.iter().map(|preset| ("preset".to_owned(), preset.clone().into()));
        self.with.iter().cloned().chain(preset).collect()
    }
}

pub(super) async fn run(app: &Arc<App>, arguments: &Arguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    let config = config(arguments)?;
    config.check(&app.settings.limits.train)?;
    let tickers = match arguments.all {
        true => app.store.tickers("", "", u32::MAX).await?.into_iter().map(|record| record.ticker).collect(),
        false => arguments.tickers.clone(),
    };
    let stop = serve::stop_on_signal()?;
    let runner = Runner::new(Arc::clone(app))?;
    let jobs = queue(app, &tickers, &config).await?;
    let asked = json!(config);
    let others: Vec<Ticker> =
        jobs.iter().filter(|job| job.payload["config"] != asked).map(|job| job.ticker.clone()).collect();
    let mut ended = progress::run_to_the_end(runner, app, jobs, &stop).await?;
    if !others.is_empty() && !stop.is_cancelled() {
        let jobs = queue(app, &others, &config).await?;
        ended.extend(progress::run_to_the_end(Runner::new(Arc::clone(app))?, app, jobs, &stop).await?);
    }
    print(&ended, out)?;
    let all_succeeded = ended.iter().all(|job| job.state == JobState::Succeeded);
    Ok(if all_succeeded { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Queues a training each; an active one is joined, whatever its config.
pub(super) async fn queue(app: &App, tickers: &[Ticker], config: &TrainConfig) -> anyhow::Result<Vec<JobRecord>> {
    let mut jobs = Vec::with_capacity(tickers.len());
    for ticker in tickers {
        let record = require(app, ticker).await?;
        let queued = enqueue_training(app, ticker, config.clone(), record.data_version).await?;
        let (job, _) = queued.with_context(|| format!("{ticker} was deleted meanwhile"))?;
        if job.payload["config"] != json!(config) {
            eprintln!("{ticker}: a training was queued before, with another config; that one is run first");
        }
        jobs.push(job);
    }
    Ok(jobs)
}

/// A line a job: what came of it.
pub(super) fn print(jobs: &[JobRecord], out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.json(&json!({ "jobs": jobs.iter().map(lists::job_json).collect::<Vec<_>>() }));
    }
    for job in jobs {
        out.say(format!("{:>12}  {}", job.ticker.to_string(), outcome(job)))?;
    }
    Ok(())
}

fn outcome(job: &JobRecord) -> String {
    let text = |value: &Option<Value>, field: &str| {
        value.as_ref().and_then(|value| value[field].as_str()).unwrap_or_default().to_owned()
    };
    match (job.state, &job.result) {
        (JobState::Succeeded, Some(result)) => {
            let state = if result["promoted"] == true { "now in service" } else { "kept as challenger" };
            format!("version {} {state}: {}", result["model_version"], text(&job.result, "reason"))
        }
        (JobState::Failed, _) => format!("failed: {}", text(&job.error, "message")),
        (state, _) => state.as_str().to_owned(),
    }
}

fn config(arguments: &Arguments) -> anyhow::Result<TrainConfig> {
    let mut fields = arguments.network.fields();
    let named = [("cell", arguments.cell.clone().map(Value::from)), ("horizon", arguments.horizon.map(Value::from))];
    fields.extend(named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    config_of(fields)
}

/// A config from its fields; absent ones are the preset's.
pub(super) fn config_of(fields: Map<String, Value>) -> anyhow::Result<TrainConfig> {
    read_fields(fields)
}

/// Fields through the same door as a body over HTTP; a refusal names the one at fault.
pub(super) fn read_fields<T: DeserializeOwned>(fields: Map<String, Value>) -> anyhow::Result<T> {
    serde_path_to_error::deserialize(Value::Object(fields)).map_err(|error| {
        let (path, said) = (error.path().to_string(), error.inner().to_string().replace('`', ""));
        let field = path.rsplit('.').next().unwrap_or_default();
        match said.strip_prefix("unknown variant ").and_then(|rest| rest.split_once(", expected ")) {
            Some((value, expected)) => anyhow!("there is no {field} {value:?}: expected {expected}"),
            None if field.is_empty() || said.contains(field) => anyhow!("{said}"),
            None => anyhow!("{field}: {said}"),
        }
    })
}

/// `FIELD=VALUE`; a value is JSON where it can be read as such, else text.
fn pair(text: &str) -> Result<(String, Value), String> {
    let (field, value) = text.split_once('=').ok_or("expected FIELD=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    Ok((field.to_owned(), value))
}
