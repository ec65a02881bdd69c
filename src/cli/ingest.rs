//! Price files from disk, through the same door as bodies over HTTP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::output::{Output, one_line};
use super::reading::{ReadFlags, in_flags};
use crate::app::App;
use crate::domain::{Calendar, Ticker, counted};
use crate::ingest::{BodyFormat, Refusal, Warning};
use crate::jobs::ingest::{IngestError, IngestReport, IngestRequest, OnError, TrainChoice, ingest};
use crate::jobs::settle::NOT_QUEUED;
use crate::store::OnConflict;

/// Refused rows shown in full; `--json` has more.
const REFUSALS_SHOWN: usize = 10;
/// Files that a folder is searched for.
const ENDINGS: [&str; 9] = [".csv", ".csv.gz", ".csv.zst", ".tsv", ".txt", ".json", ".parquet", ".xlsx", ".zip"];

/// Which files, and how they are read.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    #[command(flatten)]
    files: Files,
    /// Report all that would happen, store nothing.
    #[arg(long)]
    dry_run: bool,
    /// What a bad row does: quarantine keeps the good ones, reject refuses the file.
    #[arg(long, default_value = "quarantine", value_parser = ["quarantine", "reject"])]
    on_error: String,
    /// What a bar stored with other values gets: replace, keep or reject.
    #[arg(long, default_value = "replace", value_parser = ["replace", "keep", "reject"])]
    on_conflict: String,
    /// The market's sessions: an exchange's MIC, 24/7 or weekdays [default: by the ticker's suffix and the dates].
    #[arg(long)]
    calendar: Option<Calendar>,
    /// Queue no training of these bars. Workers look for what is due of tickers that have a model; only a policy
    /// with `automatic: false` keeps them from it.
    #[arg(long)]
    no_train: bool,
}

/// Files and how they are read.
#[derive(Debug, clap::Args)]
pub(super) struct Files {
    /// Files, or folders whose price files are taken.
    #[arg(required = true, value_name = "FILE")]
    pub(super) paths: Vec<PathBuf>,
    /// Whose bars these are [default: the file's ticker column, or what its JSON says, else the file's name].
    #[arg(long)]
    ticker: Option<Ticker>,
    #[command(flatten)]
    pub(super) reading: ReadFlags,
}

/// Stores each file; those that cannot be used at all are named, and fail the command at its end.
pub(super) async fn run(app: &Arc<App>, arguments: &Arguments, out: &mut Output) -> anyhow::Result<()> {
    let options = arguments.files.reading.options();
    let paths = price_files(&arguments.files.paths)?;
    let mut n_unusable = 0;
    for path in &paths {
        let (format, encoding) = BodyFormat::of_file_name(&path.to_string_lossy());
        let request = IngestRequest {
            options: options.clone(),
            dry_run: arguments.dry_run,
            on_error: if arguments.on_error == "reject" { OnError::Reject } else { OnError::Quarantine },
            on_conflict: match arguments.on_conflict.as_str() {
                "keep" => OnConflict::Keep,
                "reject" => OnConflict::Reject,
                _ => OnConflict::Replace,
            },
            calendar: arguments.calendar.clone(),
            train: if arguments.no_train { TrainChoice::Never } else { TrainChoice::Auto },
            ..IngestRequest::new(arguments.files.ticker.clone(), format, encoding)
        };
        match store_file(app, path, request).await {
            Ok(report) => print(path, &report, out)?,
            Err(error) if paths.len() == 1 => return Err(error),
            Err(error) => {
                n_unusable += 1;
                eprintln!("left out: {}", one_line(&error));
            }
        }
    }
    match n_unusable {
        0 => Ok(()),
        few => bail!("{few} of {} files were left out", paths.len()),
    }
}

/// Reads one file and stores its bars; a file that does not say whose they are is known by its name.
pub(super) async fn store_file(
    app: &Arc<App>,
    path: &Path,
    mut request: IngestRequest,
) -> anyhow::Result<IngestReport> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let stored = match ingest(app, bytes.clone(), &request).await {
        Err(IngestError::NoTickerColumn) => {
            request.ticker = Some(ticker_of_name(path)?);
            ingest(app, bytes, &request).await
        }
        stored => stored,
    };
    let mut report = stored.with_context(|| format!("nothing of {} was stored", path.display()))?;
    for warning in report.warnings.iter_mut().filter(|warning| warning.code == NOT_QUEUED) {
        // This process ends, and its later tries with it.
        warning.message =
            "the bars are stored, but whether a training is due is not settled: of a ticker that has a model a running \
             server or worker finds out, others train with `candlecast train`"
                .to_owned();
    }
    Ok(report)
}

/// Files as given, and those in folders that look like prices, by name.
pub(super) fn price_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut inside: Vec<PathBuf> =
            entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_price_file(path)).collect();
        inside.sort();
        if inside.is_empty() {
            bail!("{} has no price files: looked for {}", path.display(), ENDINGS.join(" "));
        }
        files.extend(inside);
    }
    Ok(files)
}

fn is_price_file(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    path.is_file() && ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// `AAPL.csv.gz` holds AAPL; `005930.KS.csv` holds 005930.KS.
pub(super) fn ticker_of_name(path: &Path) -> anyhow::Result<Ticker> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut longest_first = ENDINGS;
    longest_first.sort_by_key(|ending| std::cmp::Reverse(ending.len()));
    let lower = name.to_lowercase();
    let ending = longest_first.into_iter().find(|ending| lower.ends_with(ending)).unwrap_or_default();
    let stem = &name[..name.len() - ending.len()];
    stem.parse()
        .ok()
        .with_context(|| format!("{} has no ticker column and {stem:?} is no ticker: pass --ticker", path.display()))
}

/// A line a file, and what was refused in it.
pub(super) fn print(path: &Path, report: &IngestReport, out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.json(&report_json(path, report));
    }
    let tickers = match report.tickers.as_slice() {
        [one] => one.record.ticker.to_string(),
        many => counted(many.len(), "ticker"),
    };
    let dry = if report.dry_run { " (dry run: nothing stored)" } else { "" };
    out.say(format!(
        "{}: {tickers}, {}: {} new, {} updated, {} unchanged, {} refused{dry}",
        path.display(),
        counted(report.received, "row"),
        report.inserted,
        report.updated,
        report.unchanged,
        report.refused
    ))?;
    print_refusals(&report.refusals, report.refused, out)?;
    report.warnings.iter().try_for_each(|warning| out.say(note(warning)))?;
    match report.tickers.iter().filter(|ticker| ticker.job.is_some()).count() {
        0 => Ok(()),
        queued => out.say(format!(
            "  {} queued: `candlecast serve` or `candlecast worker` runs what is queued",
            counted(queued, "training")
        )),
    }
}

/// What looks wrong, with where it does unless it says so itself.
pub(super) fn note(warning: &Warning) -> String {
    let whose = warning.ticker.as_ref().map(ToString::to_string).into_iter();
    let places = whose.chain(warning.session.clone()).filter(|place| !warning.message.contains(place.as_str()));
    let places = places.map(|place| format!("{place}: ")).collect::<String>();
    format!("  note: {places}{}", in_flags(&warning.message))
}

/// The first refusals in full, then a count.
pub(super) fn print_refusals(refusals: &[Refusal], total: u64, out: &mut Output) -> anyhow::Result<()> {
    for refusal in refusals.iter().take(REFUSALS_SHOWN) {
        out.say(format!("  line {}: {}", refusal.line, in_flags(&refusal.message)))?;
    }
    match total.saturating_sub(REFUSALS_SHOWN as u64) {
        0 => Ok(()),
        more => out.say(format!("  and {more} more")),
    }
}

fn report_json(path: &Path, report: &IngestReport) -> Value {
    let tickers = report.tickers.iter().map(|ticker| {
        json!({
            "ticker": ticker.record.ticker, "received": ticker.received, "inserted": ticker.inserted,
            "updated": ticker.updated, "unchanged": ticker.unchanged, "refused": ticker.refused,
            "bars_total": ticker.record.bars_total, "data_version": ticker.record.data_version,
            "job": ticker.job.as_ref().map(|job| &job.id),
        })
    });
    json!({
        "file": path, "received": report.received, "inserted": report.inserted, "updated": report.updated,
        "unchanged": report.unchanged, "refused": report.refused, "dry_run": report.dry_run,
        "dialect": report.dialect, "refusals": report.refusals, "refusals_truncated": report.refusals_truncated,
        "warnings": report.warnings, "per_ticker": tickers.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_says_where_it_looks_wrong_once() {
        let told = |session: &str, message: &str| {
            note(&Warning {
                code: "x",
                session: Some(session.into()),
                message: message.into(),
                ticker: "A".parse().ok(),
            })
        };
        assert_eq!(told("2018-05-04", "pass adjust=split"), "  note: A: 2018-05-04: pass --adjust=split");
        assert_eq!(
            told("2018-05-04", "2 sessions of A, the first 2018-05-04"),
            "  note: 2 sessions of A, the first 2018-05-04"
        );
    }

    #[test]
    fn a_file_s_name_tells_its_ticker() {
        let ticker = |name: &str| ticker_of_name(Path::new(name)).map(|ticker| ticker.to_string()).ok();
        assert_eq!(ticker("prices/AAPL.csv").as_deref(), Some("AAPL"));
        assert_eq!(ticker("005930.KS.CSV.gz").as_deref(), Some("005930.KS"));
        assert_eq!(ticker("my prices.csv"), None);
    }
}
