//! Settings, read once when the process starts: defaults < file < environment < flags.
//!
//! One plain struct a concern; functions receive the part they use. The doc comment of a field is its
//! only documentation: `candlecast.example.toml` is made from these comments, and a test holds the two
//! together. What cannot be set here on purpose: anything of one ticker (its policy and calendar lie in
//! the store) and secrets of clients (keys are made by `candlecast keys`).

mod auth;
mod database;
mod flags;
mod forecast;
mod http;
mod keys;
mod limits;
mod load;
mod log;
mod market;
mod worker;

use garde::Validate;
use serde::{Deserialize, Serialize};

pub use auth::AuthSettings;
pub use database::DatabaseSettings;
pub use flags::SettingsFlags;
pub use forecast::ForecastSettings;
pub use http::HttpSettings;
pub use limits::{BacktestLimits, LimitSettings, QueryLimits};
pub use load::ConfigError;
pub use log::{LogFormat, LogSettings};
pub use market::MarketSettings;
pub use worker::WorkerSettings;

/// Every setting with its documentation, commented out at its default.
pub const EXAMPLE: &str = include_str!("../../candlecast.example.toml");

/// What a process was told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct Settings {
    /// Where model artifacts lie: a directory, made where it is missing (or `s3://bucket/prefix` in builds
    /// with the feature `s3`). Every process that shares the database must see the same one.
    #[garde(length(min = 1))]
    pub models_dir: String,
    /// The listener, its time-outs and its limits.
    #[garde(dive)]
    pub http: HttpSettings,
    /// Who may call.
    #[garde(dive)]
    pub auth: AuthSettings,
    /// Where bars, jobs and model versions are kept.
    #[garde(dive)]
    pub database: DatabaseSettings,
    /// Background jobs.
    #[garde(dive)]
    pub worker: WorkerSettings,
    /// What forecasts warn of.
    #[garde(dive)]
    pub forecast: ForecastSettings,
    /// What a ticker's forecasts learn from the others of its exchange.
    #[garde(dive)]
    pub market: MarketSettings,
    /// What a client may ask for.
    #[garde(dive)]
    pub limits: LimitSettings,
    /// What the process says of itself.
    #[garde(dive)]
    pub log: LogSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            models_dir: "models".to_owned(),
            http: HttpSettings::default(),
            auth: AuthSettings::default(),
            database: DatabaseSettings::default(),
            worker: WorkerSettings::default(),
            forecast: ForecastSettings::default(),
            market: MarketSettings::default(),
            limits: LimitSettings::default(),
            log: LogSettings::default(),
        }
    }
}

impl Settings {
    /// The settings of this process: what `flags` say, else its environment, else the file, else the defaults.
    ///
    /// # Errors
    /// When the file cannot be read, a key is unknown (the nearest known one is named) or a value is not allowed.
    pub fn load(flags: &SettingsFlags) -> Result<Self, ConfigError> {
        load::load(flags, std::env::vars_os(), std::path::Path::new("candlecast.toml"))
    }
}
