//! Artifacts as objects: a folder by default, a bucket with the feature `s3`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use futures::TryStreamExt;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutPayload};

use super::{Manifest, RegistryError};
use crate::domain::Ticker;

/// Where artifacts lie: `TICKER/VERSION.safetensors` beside `TICKER/VERSION.json`, and `TICKER/JOB.checkpoint` of
/// trainings under way.
#[derive(Debug, Clone)]
pub(super) struct Files {
    objects: Arc<dyn ObjectStore>,
    place: String,
}

impl Files {
    pub(super) fn open(place: &str) -> Result<Self, RegistryError> {
        let failed = |reason: String| RegistryError::Files { place: place.to_owned(), reason };
        let objects: Arc<dyn ObjectStore> = match place.starts_with("s3://") {
            true => open_bucket(place).map_err(failed)?,
            false => {
                std::fs::create_dir_all(place).map_err(|error| failed(error.to_string()))?;
                let folder = LocalFileSystem::new_with_prefix(place).map_err(|error| failed(error.to_string()))?;
                Arc::new(folder.with_fsync(true))
            }
        };
        Ok(Self { objects, place: place.to_owned() })
    }

    pub(super) async fn ping(&self) -> Result<(), RegistryError> {
        self.objects.list_with_delimiter(None).await.map_err(|error| self.failed(&error)).map(drop)
    }

    /// Writes both files, the manifest last; `false` where a file of this number exists.
    pub(super) async fn write(&self, manifest: &Manifest, tensors: Vec<u8>) -> Result<bool, RegistryError> {
        let json = serde_json::to_vec(manifest)
            .map_err(|error| RegistryError::Files { place: self.place.clone(), reason: error.to_string() })?;
        self.put(&manifest.ticker, manifest.version, tensors, json).await
    }

    /// Writes both files as they are, the manifest last; `false` where a file of this number exists.
    pub(super) async fn put(
        &self,
        ticker: &Ticker,
        version: u32,
        tensors: Vec<u8>,
        manifest: Vec<u8>,
    ) -> Result<bool, RegistryError> {
        for (ending, bytes) in [("safetensors", tensors), ("json", manifest)] {
            let at = path(ticker, version, ending);
            match self.objects.put_opts(&at, PutPayload::from(bytes), PutMode::Create.into()).await {
                Ok(_) => {}
                Err(object_store::Error::AlreadyExists { .. }) => return Ok(false),
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(true)
    }

    /// The safetensors; `None` where there are none.
    pub(super) async fn tensors(&self, ticker: &Ticker, version: u32) -> Result<Option<Vec<u8>>, RegistryError> {
        self.read(&path(ticker, version, "safetensors")).await
    }

    /// The manifest's bytes; `None` where there is none.
    pub(super) async fn manifest(&self, ticker: &Ticker, version: u32) -> Result<Option<Vec<u8>>, RegistryError> {
        self.read(&path(ticker, version, "json")).await
    }

    /// The highest number with a file, 0 where there is none.
    pub(super) async fn newest(&self, ticker: &Ticker) -> Result<u32, RegistryError> {
        let folder = Path::from(ticker.as_str());
        let files: Vec<_> =
            self.objects.list(Some(&folder)).try_collect().await.map_err(|error| self.failed(&error))?;
        let number = |file: &object_store::ObjectMeta| file.location.filename()?.split_once('.')?.0.parse::<u32>().ok();
        Ok(files.iter().filter_map(number).max().unwrap_or(0))
    }

    /// The versions whose tensors were written longer than `min_age` ago, and whether a manifest lies beside.
    pub(super) async fn older_than(&self, min_age: Duration) -> Result<Vec<(Ticker, u32, bool)>, RegistryError> {
        let files: Vec<_> = self.objects.list(None).try_collect().await.map_err(|error| self.failed(&error))?;
        let there: HashSet<&Path> = files.iter().map(|file| &file.location).collect();
        let old = files.iter().filter(|file| (Utc::now() - file.last_modified).to_std().is_ok_and(|age| age > min_age));
        let version = |file: &object_store::ObjectMeta| {
            let (folder, name) = file.location.as_ref().split_once('/')?;
            let number = name.strip_suffix(".safetensors")?.parse().ok()?;
            let ticker = ticker_of(folder)?;
            let has_manifest = there.contains(&path(&ticker, number, "json"));
            Some((ticker, number, has_manifest))
        };
        Ok(old.filter_map(version).collect())
    }

    /// Removes what writers that died before the file had its name left longer than `min_age` ago, and gives the
    /// paths. A bucket shows no such parts.
    pub(super) fn remove_staged(&self, min_age: Duration) -> Result<Vec<String>, RegistryError> {
        if self.place.starts_with("s3://") {
            return Ok(Vec::new());
        }
        remove_staged(std::path::Path::new(&self.place), min_age)
            .map_err(|error| RegistryError::Files { place: self.place.clone(), reason: error.to_string() })
    }

    pub(super) async fn delete(&self, ticker: &Ticker, version: u32) -> Result<(), RegistryError> {
        for ending in ["json", "safetensors"] {
            self.remove(&path(ticker, version, ending)).await?;
        }
        Ok(())
    }

    pub(super) async fn put_checkpoint(&self, ticker: &Ticker, job: &str, bytes: Vec<u8>) -> Result<(), RegistryError> {
        let put = self.objects.put(&checkpoint_path(ticker, job), PutPayload::from(bytes)).await;
        put.map(drop).map_err(|error| self.failed(&error))
    }

    pub(super) async fn checkpoint(&self, ticker: &Ticker, job: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        self.read(&checkpoint_path(ticker, job)).await
    }

    pub(super) async fn delete_checkpoint(&self, ticker: &Ticker, job: &str) -> Result<(), RegistryError> {
        self.remove(&checkpoint_path(ticker, job)).await
    }

    /// Ticker and job of the checkpoints that were written longer than `min_age` ago.
    pub(super) async fn checkpoints_older_than(
        &self,
        min_age: Duration,
    ) -> Result<Vec<(Ticker, String)>, RegistryError> {
        let files: Vec<_> = self.objects.list(None).try_collect().await.map_err(|error| self.failed(&error))?;
        let old = files.iter().filter(|file| (Utc::now() - file.last_modified).to_std().is_ok_and(|age| age > min_age));
        let checkpoint = |file: &object_store::ObjectMeta| {
            let (folder, name) = file.location.as_ref().split_once('/')?;
            Some((ticker_of(folder)?, name.strip_suffix(".checkpoint")?.to_owned()))
        };
        Ok(old.filter_map(checkpoint).collect())
    }

    /// Removes one object, if it is there.
    async fn remove(&self, at: &Path) -> Result<(), RegistryError> {
        match self.objects.delete(at).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn read(&self, at: &Path) -> Result<Option<Vec<u8>>, RegistryError> {
        let read = async { self.objects.get(at).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &object_store::Error) -> RegistryError {
        RegistryError::Files { place: self.place.clone(), reason: error.to_string() }
    }
}

#[cfg(feature = "s3")]
fn open_bucket(place: &str) -> Result<Arc<dyn ObjectStore>, String> {
    let (bucket, prefix) = place.trim_start_matches("s3://").split_once('/').unwrap_or((&place[5..], ""));
    let store = object_store::aws::AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Arc::new(object_store::prefix::PrefixStore::new(store, prefix)))
}

#[cfg(not(feature = "s3"))]
fn open_bucket(_: &str) -> Result<Arc<dyn ObjectStore>, String> {
    Err("this build keeps artifacts in folders only; build with --features s3 for buckets".to_owned())
}

/// Whose a folder is: objects have `^` as `%5E`, the one character of tickers that is not kept as it is.
fn ticker_of(folder: &str) -> Option<Ticker> {
    folder.replace("%5E", "^").parse().ok()
}

fn path(ticker: &Ticker, version: u32, ending: &str) -> Path {
    Path::from_iter([ticker.as_str(), &format!("{version}.{ending}")])
}

fn checkpoint_path(ticker: &Ticker, job: &str) -> Path {
    Path::from_iter([ticker.as_str(), &format!("{job}.checkpoint")])
}

/// The library writes to `NAME#NUMBER` and renames.
fn remove_staged(place: &std::path::Path, min_age: Duration) -> std::io::Result<Vec<String>> {
    let mut removed = Vec::new();
    for folder in std::fs::read_dir(place)?.flatten().filter(|entry| entry.path().is_dir()) {
        for file in std::fs::read_dir(folder.path())? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            let is_staged = name.rsplit_once('#').is_some_and(|(stem, number)| {
                let is_ours = [".safetensors", ".json", ".checkpoint"].iter().any(|ending| stem.ends_with(ending));
                is_ours && number.parse::<u64>().is_ok()
            });
            let age = file.metadata()?.modified()?.elapsed().unwrap_or_default();
            if is_staged && age > min_age {
                std::fs::remove_file(file.path())?;
                removed.push(format!("{}/{name}", folder.file_name().to_string_lossy()));
            }
        }
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_says_whose_it_is_for_every_character_of_a_ticker() {
        for name in ["^GSPC", "BRK.B", "EURUSD=X", "A-B_C^D.0", "005930.KS"] {
            let ticker: Ticker = name.parse().expect("a ticker");
            let at = path(&ticker, 1, "json");
            let folder = at.as_ref().split_once('/').expect("a folder").0;
            assert_eq!(ticker_of(folder), Some(ticker), "{at}");
        }
    }
}
