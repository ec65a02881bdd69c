//! Settings given on the command line.

use std::path::PathBuf;

/// Flags that every command shares; each overrides the environment and the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct SettingsFlags {
    /// Settings file [default: candlecast.toml where there is one].
    #[arg(long, value_name = "FILE", env = "CANDLECAST_CONFIG", global = true)]
    pub config: Option<PathBuf>,
    /// Address and port to listen at [default: 127.0.0.1:8080; environment: CANDLECAST_LISTEN].
    #[arg(long, value_name = "ADDRESS:PORT", global = true)]
    pub listen: Option<String>,
    /// sqlite://FILE or postgres://… [default: sqlite://data/candlecast.db; environment: DATABASE_URL].
    #[arg(long, value_name = "URL", global = true)]
    pub database_url: Option<String>,
    /// Folder of the model artifacts [default: models; environment: CANDLECAST_MODELS_DIR].
    #[arg(long, value_name = "DIR", global = true)]
    pub models_dir: Option<String>,
    /// What is logged: error, warn, info, debug, trace, or by module [environment: CANDLECAST_LOG].
    #[arg(long, value_name = "FILTER", global = true)]
    pub log: Option<String>,
    /// Any other setting by its path, as in `--set http.rate_limit_per_second=50`; may be repeated.
    #[arg(long, value_name = "PATH=VALUE", global = true)]
    pub set: Vec<String>,
}

impl SettingsFlags {
    /// The flags given, as (name of the flag, path of the setting, value).
    pub(super) fn values(&self) -> impl Iterator<Item = (&'static str, String, String)> {
        let named = [
            ("--listen", "http.listen", &self.listen),
            ("--database-url", "database.url", &self.database_url),
            ("--models-dir", "models_dir", &self.models_dir),
            ("--log", "log.filter", &self.log),
        ];
        let set = self.set.iter().map(|pair| match pair.split_once('=') {
            Some((path, value)) => ("--set", path.trim().to_owned(), value.to_owned()),
            None => ("--set", pair.clone(), String::new()),
        });
        let set: Vec<_> = set.collect();
        named
            .into_iter()
            .filter_map(|(flag, path, value)| Some((flag, path.to_owned(), value.clone()?)))
            .collect::<Vec<_>>()
            .into_iter()
            .chain(set)
    }
}
