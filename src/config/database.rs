//! Where bars, jobs and model versions are kept.

use std::fmt;
use std::path::Path;

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of the database. `Debug` leaves the password out.
#[derive(Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct DatabaseSettings {
    /// `sqlite://path/to/file.db` (made with its folder where missing), or `postgres://user:password@host/name`.
    #[garde(custom(is_supported))]
    pub url: String,
    /// Connections that one process holds. Too few makes requests wait for each other; Postgres allows 100 over
    /// all processes by default. Too high and other processes get none.
    #[garde(range(min = 1, max = 1_000))]
    pub max_connections: u32,
    /// How long one statement, or the wait for a free connection, may take before it fails. Too low fails
    /// honest work on a slow disk; too high lets requests hang on a dead server.
    #[garde(range(min = 100, max = 3_600_000))]
    pub timeout_ms: u64,
}

impl Default for DatabaseSettings {
    fn default() -> Self {
        Self { url: "sqlite://data/candlecast.db".to_owned(), max_connections: 8, timeout_ms: 30_000 }
    }
}

impl DatabaseSettings {
    /// A SQLite file, all else at its default.
    pub fn sqlite(file: &Path) -> Self {
        // What has a meaning in a URL is written as bytes.
        let path = file.to_string_lossy().replace('%', "%25").replace('?', "%3F");
        Self { url: format!("sqlite://{path}"), ..Self::default() }
    }

    /// The URL without its password, fit for logs and screens.
    pub fn shown_url(&self) -> String {
        let mut shown = url::Url::parse(&self.url).ok();
        match shown.as_mut().map(|url| url.password().is_some() && url.set_password(Some("***")).is_ok()) {
            Some(true) => shown.map(String::from).unwrap_or_default(),
            _ => self.url.clone(),
        }
    }
}

impl fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseSettings")
            .field("url", &self.shown_url())
            .field("max_connections", &self.max_connections)
            .field("timeout_ms", &self.timeout_ms)
            .finish()
    }
}

fn is_supported(url: &str, (): &()) -> garde::Result {
    match ["sqlite:", "postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
        true => Ok(()),
        false => Err(garde::Error::new("begins with neither sqlite: nor postgres://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_logged() {
        let url = "postgres://candle:secret@db/candlecast".to_owned();
        let shown = format!("{:?}", DatabaseSettings { url, ..DatabaseSettings::default() });
        assert!(shown.contains("postgres://candle:***@db/candlecast"), "{shown}");
    }
}
