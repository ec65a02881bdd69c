//! Layers of settings, laid over each other.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use ::config::{Config, File, FileFormat, Source, Value, ValueKind};
use garde::Validate;

use super::{Settings, SettingsFlags, keys};

/// Why the settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file that was named is not there or not readable.
    #[error("cannot read the settings file {}: {source}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{} is not TOML: {message}", .path.display())]
    NotToml {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// A setting that does not exist.
    #[error("{origin}: there is no setting `{key}`{}", .nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
    UnknownKey {
        /// The setting as given.
        key: String,
        /// The file, variable or flag that gave it.
        origin: String,
        /// The known one that looks most like it.
        nearest: Option<String>,
    },
    /// A value of the wrong kind.
    #[error("{0}")]
    BadValue(#[from] ::config::ConfigError),
    /// A value outside of what is allowed.
    #[error("{0}")]
    NotAllowed(String),
}

/// One value, and what gave it.
struct Given {
    origin: String,
    key: String,
    value: ValueKind,
}

/// Loads from explicit sources, so that tests need no environment of their own.
pub(super) fn load(
    flags: &SettingsFlags,
    variables: impl Iterator<Item = (OsString, OsString)>,
    default_file: &Path,
) -> Result<Settings, ConfigError> {
    let mut given = match &flags.config {
        Some(path) => of_file(path)?,
        None if default_file.exists() => of_file(default_file)?,
        None => Vec::new(),
    };
    given.extend(of_variables(variables));
    given.extend(flags.values().map(|(flag, key, value)| Given {
        origin: flag.to_owned(),
        key,
        value: ValueKind::String(value),
    }));
    check_keys(&given)?;
    let mut builder = Config::builder().add_source(Config::try_from(&Settings::default())?);
    for Given { origin, key, value } in given {
        builder = builder.set_override(key, Value::new(Some(&origin), value))?;
    }
    let settings: Settings = builder.build()?.try_deserialize()?;
    settings.validate().map_err(|report| ConfigError::NotAllowed(one_line(&report)))?;
    check_together(&settings)?;
    Ok(settings)
}

fn of_file(path: &Path) -> Result<Vec<Given>, ConfigError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    let not_toml = |error: ::config::ConfigError| ConfigError::NotToml {
        path: path.to_owned(),
        message: error.to_string().trim().to_owned(),
    };
    let file = Config::builder().add_source(File::from_str(&text, FileFormat::Toml)).build().map_err(not_toml)?;
    let mut given = Vec::new();
    flatten(&path.display().to_string(), "", file.collect().map_err(not_toml)?, &mut given);
    given.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(given)
}

fn flatten(origin: &str, path: &str, table: HashMap<String, Value>, given: &mut Vec<Given>) {
    for (name, value) in table {
        let key = if path.is_empty() { name } else { format!("{path}.{name}") };
        match value.kind {
            ValueKind::Table(table) => flatten(origin, &key, table, given),
            value => given.push(Given { origin: origin.to_owned(), key, value }),
        }
    }
}

/// What the environment sets. `DATABASE_URL` is a name that others use too, so our own
/// `CANDLECAST_DATABASE__URL` goes before it; likewise a long name before a short one.
fn of_variables(variables: impl Iterator<Item = (OsString, OsString)>) -> Vec<Given> {
    let mut given: Vec<Given> = variables
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            let key = keys::of_variable(&name)?;
            // A variable set to nothing is how compose files spell "not set".
            let value = value.to_string_lossy().into_owned();
            (!value.is_empty()).then_some(Given { origin: name, key, value: ValueKind::String(value) })
        })
        .collect();
    given.sort_by_key(|given| given.origin.contains("__"));
    given
}

fn check_keys(given: &[Given]) -> Result<(), ConfigError> {
    let known = keys::known();
    match given.iter().find(|given| known.iter().all(|(key, _)| *key != given.key)) {
        None => Ok(()),
        Some(Given { origin, key, .. }) => Err(ConfigError::UnknownKey {
            key: key.clone(),
            origin: origin.clone(),
            nearest: keys::nearest(key, known.iter().map(|(key, _)| key.as_str())).map(str::to_owned),
        }),
    }
}

/// Rules that no field can check alone.
fn check_together(settings: &Settings) -> Result<(), ConfigError> {
    let refuse = |message: &str| Err(ConfigError::NotAllowed(message.to_owned()));
    if settings.worker.heartbeat_ms * 3 > settings.worker.lease_ms {
        return refuse("worker.heartbeat_ms: above a third of worker.lease_ms, so that one lost beat loses the job");
    }
    if settings.http.max_bodies_bytes < settings.limits.ingest.max_body_bytes {
        return refuse("http.max_bodies_bytes: below limits.ingest.max_body_bytes, so that no such body could come in");
    }
    if settings.limits.query.default_page > settings.limits.query.max_page {
        return refuse("limits.query.default_page: above limits.query.max_page");
    }
    Ok(())
}

fn one_line(report: &garde::Report) -> String {
    report.to_string().trim().replace('\n', "; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What loading says: the settings that differ from their defaults, or the refusal.
    fn check(file: &str, variables: &[(&str, &str)], set: &[&str]) -> String {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("candlecast.toml");
        std::fs::write(&path, file).expect("written");
        let flags = SettingsFlags { set: set.iter().map(|&pair| pair.to_owned()).collect(), ..Default::default() };
        let variables = variables.iter().map(|&(name, value)| (name.into(), value.into()));
        match load(&flags, variables, &path) {
            Err(refusal) => refusal.to_string().replace(&folder.path().display().to_string(), ""),
            Ok(settings) => {
                let mut lines = Vec::new();
                let loaded = serde_json::to_value(settings).expect("plain data");
                for (key, default) in keys::known() {
                    let value = loaded.pointer(&format!("/{}", key.replace('.', "/"))).expect("the same shape");
                    if *value != default {
                        lines.push(format!("{key} = {value}"));
                    }
                }
                lines.join("\n")
            }
        }
    }

    #[test]
    fn flags_go_before_the_environment_before_the_file_before_the_defaults() {
        let file =
            "models_dir = \"a\"\n[http]\nlisten = \"127.0.0.1:1\"\nmax_connections = 7\n[log]\nformat = \"json\"\n";
        let variables =
            [("CANDLECAST_LISTEN", "127.0.0.1:2"), ("CANDLECAST_HTTP__MAX_CONNECTIONS", "8"), ("PATH", "x")];
        insta::assert_snapshot!(check(file, &variables, &["http.listen=127.0.0.1:3"]), @r#"
        http.listen = "127.0.0.1:3"
        http.max_connections = 8
        log.format = "json"
        models_dir = "a"
        "#);
    }

    #[test]
    fn our_own_long_name_goes_before_a_shared_short_one() {
        let variables = [("CANDLECAST_DATABASE__URL", "sqlite://ours.db"), ("DATABASE_URL", "postgres://theirs/x")];
        assert_eq!(check("", &variables, &[]), r#"database.url = "sqlite://ours.db""#);
        assert_eq!(check("", &[("DATABASE_URL", "")], &[]), "");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_name() {
        let says = |file: &str, set: &[&str]| check(file, &[], set);
        insta::assert_snapshot!(says("[http]\nlissten = \"x\"", &[]), @"/candlecast.toml: there is no setting `http.lissten`; did you mean `http.listen`?");
        insta::assert_snapshot!(says("[htpp]\nlisten = \"x\"", &[]), @"/candlecast.toml: there is no setting `htpp.listen`; did you mean `http.listen`?");
        insta::assert_snapshot!(says("http = 5", &[]), @"/candlecast.toml: there is no setting `http`");
        insta::assert_snapshot!(says("listen 5", &[]), @r#"
        /candlecast.toml is not TOML: TOML parse error at line 1, column 8
          |
        1 | listen 5
          |        ^
        key with no value, expected `=`
        "#);
        insta::assert_snapshot!(says("", &["http.listen=localhost"]), @r#""localhost" is no IP address with a port (127.0.0.1:8080 is one) for key `http.listen`"#);
        insta::assert_snapshot!(says("", &["http.max_connections=many"]), @r#"invalid type: string "many", expected an integer for key `http.max_connections` in --set"#);
        insta::assert_snapshot!(says("", &["http.max_connections=0"]), @"http.max_connections: lower than 1");
        insta::assert_snapshot!(says("", &["database.url=mysql://x"]), @"database.url: begins with neither sqlite: nor postgres://");
        insta::assert_snapshot!(says("", &["worker.lease_ms=20000"]), @"worker.heartbeat_ms: above a third of worker.lease_ms, so that one lost beat loses the job");
        insta::assert_snapshot!(check("", &[("CANDLECAST_HTTP__LISTENS", "x")], &[]), @"CANDLECAST_HTTP__LISTENS: there is no setting `http.listens`; did you mean `http.listen`?");
    }
}
