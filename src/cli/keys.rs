//! API keys: made, listed and revoked here only, so that no request can give itself more than it has.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::output::{Output, instant, or_dash};
use crate::app::App;
use crate::http;
use crate::store::{KeyRecord, Scope};

#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key and print it; it cannot be shown again.
    Create {
        /// What it is for, as lists will show it.
        #[arg(long)]
        name: String,
        /// read: forecasts and lists; write: bars and trainings too; admin: everything.
        #[arg(long, default_value = "write", value_parser = scope)]
        scope: Scope,
        /// Write the key to this file, which only its owner can read, in place of printing it. Does nothing when
        /// the file exists, so that a start-up script can run it each time.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// List the keys, without what cannot be shown.
    List,
    /// Make a key useless, on every server within seconds.
    Revoke {
        /// The id that `keys list` shows.
        id: String,
    },
}

pub(super) async fn run(app: &App, command: Command, out: &mut Output) -> anyhow::Result<()> {
    match command {
        Command::Create { name, scope, output } => create(app, &name, scope, output.as_deref(), out).await,
        Command::List => list(&app.store.keys().await?, out),
        Command::Revoke { id } => match app.store.revoke_key(&id).await? {
            true if app.store.has_keys().await? => out.say(format!("key {id} is revoked")),
            true => out.say(format!(
                "key {id} is revoked. It was the last one: no server answers anybody now, on loopback neither, until \
                 there is another: candlecast keys create --name NAME"
            )),
            false => bail!("there is no key {id} in force: candlecast keys list"),
        },
    }
}

async fn create(app: &App, name: &str, scope: Scope, output: Option<&Path>, out: &mut Output) -> anyhow::Result<()> {
    if let Some(path) = output.filter(|path| path.exists()) {
        return out.say(format!("{} exists: no new key", path.display()));
    }
    let made = http::new_key();
    // The file first: a key that nobody can read would be of no use.
    if let Some(path) = output {
        write_secret(path, &made.key).with_context(|| format!("cannot write {}", path.display()))?;
    }
    app.store.add_key(&made.id, name, &made.hash, scope).await.context("cannot keep the key")?;
    match (output, out.json) {
        (Some(path), _) => out.say(format!("key {} ({}) is in {}", made.id, scope.as_str(), path.display())),
        (None, true) => out.json(&json!({ "id": made.id, "name": name, "scope": scope.as_str(), "key": made.key })),
        // The key alone on standard output: KEY=$(candlecast keys create --name me)
        (None, false) => {
            eprintln!("key {} ({}), shown this once; send it as `Authorization: Bearer KEY`:", made.id, scope.as_str());
            out.say(made.key)
        }
    }
}

fn write_secret(path: &Path, key: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(format!("{key}\n").as_bytes())
}

fn list(keys: &[KeyRecord], out: &mut Output) -> anyhow::Result<()> {
    if out.json {
        return out.json(&json!({ "keys": keys.iter().map(key_json).collect::<Vec<_>>() }));
    }
    if keys.is_empty() {
        return out.say("no keys: a server on loopback is open to this machine; candlecast keys create --name NAME");
    }
    let rows = keys.iter().map(|key| {
        [
            key.id.clone(),
            key.name.clone(),
            key.scope.as_str().to_owned(),
            instant(key.created_at),
            or_dash(key.revoked_at.map(instant)),
        ]
    });
    out.table(["id", "name", "scope", "made", "revoked"], rows)
}

fn key_json(key: &KeyRecord) -> Value {
    json!({
        "id": key.id, "name": key.name, "scope": key.scope.as_str(), "created_at": instant(key.created_at),
        "revoked_at": key.revoked_at.map(instant),
    })
}

fn scope(text: &str) -> Result<Scope, String> {
    let found = [Scope::Read, Scope::Write, Scope::Admin].into_iter().find(|scope| scope.as_str() == text);
    found.ok_or_else(|| "expected read, write or admin".to_owned())
}
