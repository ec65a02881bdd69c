//! What is stored: tickers, jobs, model versions.

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::output::{Output, instant, or_dash};
use crate::app::App;
use crate::domain::Ticker;
use crate::jobs::due::training_config;
use crate::store::{JobFilter, JobRecord, JobState, ModelRecord, TickerRecord};

/// Which tickers.
#[derive(Debug, clap::Args)]
pub(super) struct TickersArguments {
    /// Only those whose name contains this.
    query: Option<String>,
    /// At most this many.
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
}

/// Which jobs.
#[derive(Debug, clap::Args)]
pub(super) struct JobsArguments {
    /// Only those of this ticker.
    ticker: Option<Ticker>,
    /// Only those in this state: enqueued, running, succeeded, failed or canceled.
    #[arg(long, value_parser = state)]
    state: Option<JobState>,
    /// At most this many.
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Cancel this job.
    #[arg(long, value_name = "ID", conflicts_with_all = ["ticker", "state"])]
    cancel: Option<String>,
}

/// Which model versions.
#[derive(Debug, clap::Args)]
pub(super) struct ModelsArguments {
    /// Whose.
    ticker: Ticker,
    /// Put this version into service, also as the way back.
    #[arg(long, value_name = "VERSION")]
    promote: Option<u32>,
}

pub(super) async fn tickers(app: &App, arguments: &TickersArguments, out: &mut Output) -> anyhow::Result<()> {
    let query = arguments.query.as_deref().unwrap_or_default().to_uppercase();
    let records = app.store.tickers(&query, "", arguments.limit).await?;
    if out.json {
        return out.json(&json!({ "tickers": records.iter().map(ticker_json).collect::<Vec<_>>() }));
    }
    if records.is_empty() {
        return out.say(match query.is_empty() {
            true => "no tickers yet: candlecast ingest FILE.csv".to_owned(),
            false => format!("no stored ticker holds {query}"),
        });
    }
    let rows = records.iter().map(|record| {
        [
            record.ticker.to_string(),
            record.bars_total.to_string(),
            or_dash(label(record, record.first)),
            or_dash(label(record, record.last)),
            record.calendar.to_string(),
            or_dash(record.champion),
        ]
    });
    out.table(["ticker", "bars", "first", "last", "calendar", "champion"], rows)
}

pub(super) async fn jobs(app: &App, arguments: &JobsArguments, out: &mut Output) -> anyhow::Result<()> {
    if let Some(id) = &arguments.cancel {
        let record = app
            .store
            .cancel_job(id)
            .await?
            .with_context(|| format!("there is no job {id}: candlecast jobs lists them"))?;
        out.say(match record.state {
            JobState::Canceled => format!("{id} is canceled"),
            state if state.is_final() => format!("{id} has ended already: {}", state.as_str()),
            _ => format!("{id} is asked to stop; its worker hears of it within a heartbeat"),
        })?;
        return print_jobs(app, &[record], out).await;
    }
    let filter = JobFilter { state: arguments.state, ticker: arguments.ticker.clone(), ..JobFilter::default() };
    print_jobs(app, &app.store.jobs(&filter, arguments.limit).await?, out).await
}

pub(super) async fn models(app: &App, arguments: &ModelsArguments, out: &mut Output) -> anyhow::Result<()> {
    let ticker = &arguments.ticker;
    let record = require(app, ticker).await?;
    if let Some(version) = arguments.promote {
        app.registry.promote(ticker, version, record.champion).await?;
    }
    let champion = require(app, ticker).await?.champion;
    let versions = app.store.models(ticker).await?;
    if out.json {
        return out
            .json(&json!({ "models": versions.iter().map(|model| model_json(model, champion)).collect::<Vec<_>>() }));
    }
    if versions.is_empty() {
        return out.say(format!("{ticker} has no model yet: candlecast train {ticker}"));
    }
    let rows = versions.iter().map(|model| {
        [
            model.version.to_string(),
            if champion == Some(model.version) { "champion".to_owned() } else { String::new() },
            model.bars.to_string(),
            record.interval.label(model.last),
            instant(model.created_at),
            model.sha256.chars().take(12).collect(),
            model.promotion.as_ref().and_then(|came| came["reason"].as_str()).unwrap_or_default().to_owned(),
        ]
    });
    out.table(["version", "", "bars", "trained through", "made", "sha256", "challenge"], rows)
}

/// The ticker's record, or what to do about its absence.
pub(super) async fn require(app: &App, ticker: &Ticker) -> anyhow::Result<TickerRecord> {
    match app.store.ticker(ticker).await? {
        Some(record) => Ok(record),
        None => {
            bail!("no bars of {ticker} are stored: candlecast ingest FILE.csv, or candlecast tickers for what there is")
        }
    }
}

async fn print_jobs(app: &App, records: &[JobRecord], out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.json(&json!({ "jobs": records.iter().map(job_json).collect::<Vec<_>>() }));
    }
    if records.is_empty() {
        return out.say("no jobs");
    }
    let mut rows = Vec::with_capacity(records.len());
    for record in records {
        let place = match record.state {
            JobState::Enqueued => app.store.queue_place(&record.id).await?,
            _ => None,
        };
        rows.push([
            format!("{}\n{}", record.id, instant(record.created_at)),
            format!("{}\n{}", record.ticker, record.kind),
            record.state.as_str().to_owned(),
            place.map_or_else(
                || outcome(record),
                |place| format!("{} before it, {} running", place.ahead, place.running),
            ),
        ]);
    }
    out.table(["id, made", "ticker", "state", "outcome"], rows.into_iter())
}

/// What came of a job, or how far it is, in words; `--json` has all of it.
fn outcome(record: &JobRecord) -> String {
    let text_of = |value: &Option<Value>, field: &str| value.as_ref().and_then(|value| value[field].as_str().map(cut));
    match record.state {
        JobState::Running if record.cancel_requested => "asked to stop".to_owned(),
        JobState::Running => {
            let fraction = record.progress.as_ref().and_then(|progress| progress["fraction"].as_f64());
            fraction.map(|fraction| format!("{:.0} % done", fraction * 100.0)).unwrap_or_default()
        }
        JobState::Succeeded => {
            let verdict = || Some(text_of(&record.result, "verdict")?.replace('_', " "));
            version_of(record).or_else(verdict).unwrap_or_default()
        }
        JobState::Enqueued | JobState::Failed | JobState::Canceled => {
            text_of(&record.error, "message").unwrap_or_default()
        }
    }
}

/// Of a training that succeeded.
fn version_of(record: &JobRecord) -> Option<String> {
    let result = record.result.as_ref()?;
    let version = result["model_version"].as_u64()?;
    let came = if result["promoted"] == true { "in service" } else { "kept out of service" };
    Some(format!("version {version} {came}"))
}

/// The first characters of a text on one line of a table.
fn cut(text: &str) -> String {
    const WIDTH: usize = 40;
    let line = text.replace('\n', " ");
    match line.chars().count() {
        0..=WIDTH => line,
        _ => line.chars().take(WIDTH - 1).chain(['…']).collect(),
    }
}

fn label(record: &TickerRecord, at: Option<crate::domain::BarTime>) -> Option<String> {
    at.map(|at| record.interval.label(at))
}

fn ticker_json(record: &TickerRecord) -> Value {
    json!({
        "ticker": record.ticker, "bars_total": record.bars_total, "first": label(record, record.first),
        "last": label(record, record.last), "data_version": record.data_version, "interval": record.interval,
        "calendar": record.calendar, "currency": record.currency, "price_basis": record.price_basis.as_str(),
        "champion": record.champion,
    })
}

/// A job as the HTTP API shows it.
pub(super) fn job_json(record: &JobRecord) -> Value {
    json!({
        "id": record.id, "kind": record.kind, "ticker": record.ticker, "state": record.state.as_str(),
        "attempt": record.attempt, "cancel_requested": record.cancel_requested, "config": training_config(record),
        "created_at": instant(record.created_at), "started_at": record.started_at.map(instant),
        "finished_at": record.finished_at.map(instant), "progress": record.progress, "result": record.result,
        "error": record.error,
    })
}

fn model_json(model: &ModelRecord, champion: Option<u32>) -> Value {
    json!({
        "version": model.version, "champion": champion == Some(model.version), "data_version": model.data_version,
        "bars": model.bars, "trained_through": model.last.date(), "sha256": model.sha256, "bytes": model.bytes,
        "created_at": instant(model.created_at), "manifest": model.manifest, "promotion": model.promotion,
    })
}

fn state(text: &str) -> Result<JobState, String> {
    let found = JobState::ALL.into_iter().find(|state| state.as_str() == text);
    found.ok_or_else(|| "expected enqueued, running, succeeded, failed or canceled".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_told_in_words_that_fit() {
        let job = |state, result: Value, error: Value| JobRecord {
            id: "0199d2f4-6d9a-7cc2-a7a4-5e2f5a3c1b11".to_owned(),
            kind: "train".to_owned(),
            ticker: "AAPL".parse().expect("a ticker"),
            state,
            payload: Value::Null,
            attempt: 1,
            failures: 0,
            handed_back: 0,
            cancel_requested: false,
            created_at: 0,
            started_at: None,
            finished_at: None,
            progress: Some(json!({"fraction": 0.416})),
            result: Some(result),
            error: Some(error),
        };
        let told = |state, result, error| outcome(&job(state, result, error));
        assert_eq!(
            told(JobState::Succeeded, json!({"model_version": 3, "promoted": true}), Value::Null),
            "version 3 in service"
        );
        assert_eq!(
            told(JobState::Succeeded, json!({"model_version": 4, "promoted": false}), Value::Null),
            "version 4 kept out of service"
        );
        assert_eq!(told(JobState::Running, Value::Null, Value::Null), "42 % done");
        let asked = JobRecord { cancel_requested: true, ..job(JobState::Running, Value::Null, Value::Null) };
        assert_eq!(outcome(&asked), "asked to stop");
        let failed = told(JobState::Failed, Value::Null, json!({"code": "x", "message": "the disk\n".repeat(20)}));
        assert_eq!((failed.chars().count(), failed.ends_with('…'), failed.contains('\n')), (40, true, false));
    }
}
