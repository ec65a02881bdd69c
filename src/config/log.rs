//! What the process says of itself.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of the log, which goes to standard error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct LogSettings {
    /// What is logged: a level (`error`, `warn`, `info`, `debug`, `trace`), or levels by module as in
    /// `info,candlecast::http=debug`.
    #[garde(length(min = 1))]
    pub filter: String,
    /// `text` for people, `json` for machines: one object a line.
    #[garde(skip)]
    pub format: LogFormat,
}

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}
