//! A copy of database and artifacts that belong together, taken while a server runs.
//!
//! The database comes first: an artifact is written before its row, so whatever the copied rows name lies there. Only
//! a ticker that is deleted in between takes files away; then the copy is begun anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::json;

use super::output::Output;
use crate::app::App;
use crate::config::DatabaseSettings;
use crate::domain::counted;
use crate::registry::{Registry, RegistryError};
use crate::store::Store;

/// Where to.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A new folder: it gets candlecast.db and models/.
    #[arg(value_name = "DEST")]
    dest: PathBuf,
}

/// How often a copy is begun anew because a ticker was deleted meanwhile.
const TRIES: u32 = 5;

/// What a copy holds.
#[derive(Debug, Default)]
struct Copied {
    n_tickers: usize,
    n_versions: usize,
    n_bytes: u64,
    /// Versions whose files are not what was published; they are left out.
    damaged: Vec<String>,
}

pub(super) async fn run(app: &App, arguments: &Arguments, out: &mut Output) -> anyhow::Result<ExitCode> {
    let dest = arguments.dest.as_path();
    if app.store.is_shared() {
        bail!(
            "PostgreSQL has a tool for this; first `pg_dump --format=custom --file={0}.dump DATABASE_URL`, then copy {1} \
             (in this order: artifacts are written before their rows)",
            dest.display(),
            app.settings.models_dir
        );
    }
    require_new(dest)?;
    let copied = copy_beside(app, dest).await?;
    let (database, models) = (dest.join("candlecast.db"), dest.join("models"));
    if out.json {
        out.json(&json!({
            "database": database, "models_dir": models, "tickers": copied.n_tickers, "versions": copied.n_versions,
            "bytes": copied.n_bytes, "damaged": copied.damaged,
        }))?;
    }
    out.say(format!(
        "{}: {}, {}, {:.1} MB. To run on it:\n  candlecast serve --database-url {} --models-dir {}",
        dest.display(),
        counted(copied.n_tickers, "ticker"),
        counted(copied.n_versions, "model version"),
        copied.n_bytes as f64 / 1e6,
        DatabaseSettings::sqlite(&database).url,
        models.display()
    ))?;
    if copied.damaged.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("the copy is whole but for model versions that were damaged before: {}", copied.damaged.join("; "))
}

/// A folder that holds something may hold the last good backup.
fn require_new(dest: &Path) -> anyhow::Result<()> {
    match fs::read_dir(dest).map(|mut entries| entries.next().is_some()) {
        Ok(true) => bail!("{} is not empty: name a new folder", dest.display()),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("cannot use {}", dest.display())),
    }
}

/// Copies to a folder beside `dest` and renames it when all is on the disk: what is called `dest` is whole.
async fn copy_beside(app: &App, dest: &Path) -> anyhow::Result<Copied> {
    let failed = || format!("cannot write {}", dest.display());
    let name = dest.file_name().with_context(|| format!("{} is no folder to make", dest.display()))?;
    let partial = dest.with_file_name(format!("{}.partial-{}", name.to_string_lossy(), std::process::id()));
    for _ in 0..TRIES {
        fs::create_dir_all(&partial).with_context(failed)?;
        match copy(app, &partial).await {
            Ok(Some(copied)) => {
                sync_folders(&partial).with_context(failed)?;
                // Renaming replaces an empty folder on Unix only.
                if dest.exists() {
                    fs::remove_dir(dest).with_context(failed)?;
                }
                fs::rename(&partial, dest).with_context(failed)?;
                sync_folder(dest.parent().unwrap_or(Path::new(""))).with_context(failed)?;
                return Ok(copied);
            }
            Ok(None) => fs::remove_dir_all(&partial).with_context(failed)?,
            Err(error) => {
                // The error that ended the copy is the one to tell.
                let _ = fs::remove_dir_all(&partial);
                return Err(error);
            }
        }
    }
    bail!("tickers are deleted faster than they can be copied; try again later")
}

/// `None` when a ticker was deleted meanwhile.
async fn copy(app: &App, folder: &Path) -> anyhow::Result<Option<Copied>> {
    let (file, models) = (folder.join("candlecast.db"), folder.join("models"));
    app.store.copy_to(&file).await.with_context(|| format!("cannot write {}", file.display()))?;
    let store = Store::connect(&DatabaseSettings::sqlite(&file)).await?;
    let registry = Registry::open(&models.to_string_lossy(), store.clone())?;
    let copied = copy_artifacts(app, &store, &registry).await;
    store.close().await;
    let mut copied = copied?;
    if let Some(copied) = &mut copied {
        copied.n_bytes += fs::metadata(&file).with_context(|| format!("cannot read {}", file.display()))?.len();
    }
    Ok(copied)
}

/// The artifacts that the rows of the copied database name.
async fn copy_artifacts(app: &App, store: &Store, to: &Registry) -> anyhow::Result<Option<Copied>> {
    let mut copied = Copied::default();
    for record in store.tickers("", "", u32::MAX).await? {
        copied.n_tickers += 1;
        for row in store.models(&record.ticker).await? {
            match app.registry.copy(&record.ticker, &row, to).await {
                Ok(n_bytes) => {
                    copied.n_versions += 1;
                    copied.n_bytes += n_bytes;
                }
                Err(error @ RegistryError::Refused { .. }) => match app.store.model(&record.ticker, row.version).await?
                {
                    Some(now) if now.sha256 == row.sha256 => copied.damaged.push(error.to_string()),
                    _ => return Ok(None),
                },
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(Some(copied))
}

/// A new name is safe once the folder that holds it is on the disk.
fn sync_folders(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_folders(&path)?;
        }
    }
    sync_folder(folder)
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> std::io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    fs::File::open(folder)?.sync_all()
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as on Unix")]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}
