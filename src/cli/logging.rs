//! Logs go to standard error, so that standard output stays what a command prints.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, LogSettings, Settings};

/// As the settings say: for processes that serve.
pub(super) fn full(settings: &Settings) -> anyhow::Result<()> {
    install(&settings.log, EnvFilter::try_new(&settings.log.filter)?);
    Ok(())
}

/// Warnings only, unless a filter was asked for: for commands, whose output is their answer. How a job ended is part of it.
pub(super) fn quiet(settings: &Settings) {
    const QUIET: &str = "warn,candlecast::jobs=error";
    let asked = settings.log != LogSettings::default();
    let filter = if asked { settings.log.filter.as_str() } else { QUIET };
    install(&settings.log, EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new(QUIET)));
}

fn install(settings: &LogSettings, filter: EnvFilter) {
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(io::stderr().is_terminal()).with_writer(io::stderr);
    let installed = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    if let Err(error) = installed {
        eprintln!("logging is off: {error}");
    }
}
