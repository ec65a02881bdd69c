//! The same jobs from a terminal.
//!
//! A command reads its arguments, acts through [`App`](crate::app::App) on the same store and artifacts as the
//! server, and prints: tables for people, with `--json` one JSON value for machines. Logs go to standard error.
//! Exit codes: 0 done, 1 failed (one line says why and what to do), 2 the command line itself is wrong.
//!
//! Absent on purpose: calls over HTTP. A server that runs beside sees within a quarter of a second what a command changed.

mod output;
mod logging;
mod generate;
mod progress;
mod reading;
mod ingest;
mod inspect;
mod train;
mod lists;
mod forecast;
mod evaluate;
mod backtest;
mod keys;
mod backup;
mod serve;
mod demo;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{CommandFactory, Parser, Subcommand};
use serde_json::json;

use crate::app::App;
use crate::config::{Settings, SettingsFlags};
use output::Output;

/// Price files in, honest forecasts out.
#[derive(Debug, Parser)]
#[command(name = "candlecast", version, about, long_about = None, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    flags: SettingsFlags,
    /// Print JSON for machines in place of tables, and `{"error": …}` where a command cannot do its work.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// From nothing to forecasts: stores an invented market (or your own files), trains, shows, serves.
    Demo(demo::Arguments),
    /// Answer requests at http://127.0.0.1:8080, and run jobs beside.
    Serve(serve::Arguments),
    /// Run background jobs against the same database as a server.
    Worker,
    #[command(flatten)]
    Stored(StoredCommand),
    /// Tell how price files are understood, and what is wrong with them; stores nothing.
    Inspect(inspect::Arguments),
    /// Score every baseline and our network on price files: one table, the same points for all.
    Evaluate(evaluate::Arguments),
    /// Make an invented market as CSV.
    Generate(generate::Arguments),
    /// Ask a running server whether it is ready; for health checks of containers.
    Healthcheck,
    /// Print the settings in force, and where to find what each means.
    Config,
    /// Print a completion script, as in `candlecast completions bash > ~/.bash_completion.d/candlecast`.
    Completions {
        /// bash, elvish, fish, powershell or zsh.
        shell: clap_complete::Shell,
    },
}

/// Commands that act on what is stored.
#[derive(Debug, Subcommand)]
enum StoredCommand {
    /// Store price files.
    Ingest(ingest::Arguments),
    /// Train models here and now.
    Train(train::Arguments),
    /// Walk through the past of a ticker: what would these forecasts have been worth?
    Backtest(backtest::Arguments),
    /// Forecast from the newest stored bars.
    Forecast(forecast::Arguments),
    /// List the stored tickers.
    Tickers(lists::TickersArguments),
    /// List the jobs, newest first.
    Jobs(lists::JobsArguments),
    /// List the model versions of a ticker, or promote one.
    Models(lists::ModelsArguments),
    /// Copy database and models to a new folder, also while a server runs.
    Backup(backup::Arguments),
    /// Create, list and revoke API keys.
    #[command(subcommand)]
    Keys(keys::Command),
}

/// Reads the command line; a wrong one ends the process with 2 and says why.
pub fn parse() -> Cli {
    Cli::parse()
}

/// Does what the command line asks.
pub fn run(cli: Cli) -> ExitCode {
    let json = cli.json;
    match on_runtime(cli) {
        Ok(code) => code,
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => report(&error, json),
    }
}

fn on_runtime(cli: Cli) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(dispatch(cli))
}

/// Says in one line why a command failed, on standard error.
fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    let line = output::one_line(error);
    match json {
        true => eprintln!("{}", json!({ "error": line })),
        false => eprintln!("error: {line}"),
    }
    ExitCode::FAILURE
}

/// Each command opens what it needs itself.
async fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let mut out = Output::new(cli.json);
    let settings = || Settings::load(&cli.flags);
    match cli.command {
        Command::Demo(arguments) => return demo::run(settings()?, &arguments, &mut out).await,
        Command::Serve(arguments) => return serve::serve(settings()?, &arguments, &mut out).await,
        Command::Worker => return serve::worker(settings()?, &mut out).await,
        Command::Stored(command) => return with_app(command, settings()?, &mut out).await,
        Command::Healthcheck => return serve::healthcheck(&settings()?).await,
        Command::Inspect(arguments) => inspect::run(&settings()?, &arguments, &mut out)?,
        Command::Evaluate(arguments) => evaluate::run(&settings()?, &arguments, &mut out)?,
        Command::Generate(arguments) => generate::run(&arguments, &mut out)?,
        Command::Config => config(&settings()?, &mut out)?,
        Command::Completions { shell } => completions(shell, &mut out)?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn with_app(command: StoredCommand, settings: Settings, out: &mut Output) -> anyhow::Result<ExitCode> {
    logging::quiet(&settings);
    let app = Arc::new(App::open(settings).await?);
    let done = act(command, &app, out).await;
    app.store.close().await;
    done
}

async fn act(command: StoredCommand, app: &Arc<App>, out: &mut Output) -> anyhow::Result<ExitCode> {
    match command {
        StoredCommand::Ingest(arguments) => ingest::run(app, &arguments, out).await?,
        StoredCommand::Train(arguments) => return train::run(app, &arguments, out).await,
        StoredCommand::Backtest(arguments) => return backtest::run(app, &arguments, out).await,
        StoredCommand::Forecast(arguments) => forecast::run(app, &arguments, out).await?,
        StoredCommand::Tickers(arguments) => lists::tickers(app, &arguments, out).await?,
        StoredCommand::Jobs(arguments) => lists::jobs(app, &arguments, out).await?,
        StoredCommand::Models(arguments) => lists::models(app, &arguments, out).await?,
        StoredCommand::Backup(arguments) => return backup::run(app, &arguments, out).await,
        StoredCommand::Keys(command) => keys::run(app, command, out).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn completions(shell: clap_complete::Shell, out: &mut Output) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "candlecast", &mut script);
    out.raw(&script)
}

fn config(settings: &Settings, out: &mut Output) -> anyhow::Result<()> {
    let mut shown = serde_json::to_value(settings)?;
    // What is secret is not shown: screens are shared, and so is what is pasted from them.
    shown["database"]["url"] = settings.database.shown_url().into();
    if !settings.auth.bootstrap_key.is_empty() {
        shown["auth"]["bootstrap_key"] = "***".into();
    }
    match out.json {
        true => out.json(&shown),
        false => {
            out.table(["setting", "value"], output::flatten(&shown).into_iter().map(|(path, value)| [path, value]))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
