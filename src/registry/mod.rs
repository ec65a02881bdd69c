//! Model versions: written so that no half file is ever seen, verified before they are ever served.
//!
//! A version is a safetensors file (weights, and the record of the bars held back) and its [`Manifest`], written under a temporary name, synced and renamed
//! (object_store does that), and only then known to the database. Whoever loads it checks length, SHA-256,
//! tensor names, shapes, finiteness, and that it still makes the forecast that it made when it was trained.
//!
//! Absent on purpose: which version deserves to be champion (`jobs`), forecasts (`forecast`).

mod checkpoints;
mod files;
mod copy;
mod sweep;
pub mod manifest;
pub mod policy;

use std::sync::Arc;

use moka::future::Cache;
use sha2::{Digest, Sha256};

use crate::domain::{Bar, BarTime, Series, Ticker};
use crate::evaluate::HeldBackRecord;
use crate::store::{ModelRecord, Store, StoreError, TickerRecord};
use crate::train::{Model, Trained};
use files::Files;
pub use manifest::Manifest;
pub use policy::Policy;
pub use sweep::Swept;

/// The model versions of a database and a folder of artifacts.
#[derive(Debug, Clone)]
pub struct Registry {
    store: Store,
    files: Files,
    /// Verified versions; what was checked once is not read again. The SHA-256 is part of the key because the
    /// numbers of a ticker that was deleted and sent anew begin again.
    loaded: Cache<(Ticker, u32, String), Arc<LoadedModel>>,
}

/// A version that passed every check.
#[derive(Debug)]
pub struct LoadedModel {
    /// The network.
    pub model: Model,
    /// The bars that it held back in training, and the calibration that they taught.
    pub record: HeldBackRecord,
    /// What is known of it.
    pub manifest: Manifest,
}

/// How many versions stay in memory; each is a few hundred kilobytes.
const LOADED_VERSIONS: u64 = 4096;

/// How often a publisher looks for the next free number before it gives up.
const NUMBER_TRIES: u32 = 16;

/// Why a version cannot be kept or served.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Files cannot be read or written.
    #[error("artifacts in {place}: {reason}")]
    Files {
        /// Where.
        place: String,
        /// Why.
        reason: String,
    },
    /// A version that is not what its manifest says.
    #[error("model {version} of {ticker} is refused: {reason}")]
    Refused {
        /// Whose.
        ticker: Ticker,
        /// Which.
        version: u32,
        /// The check that failed.
        reason: String,
    },
    /// A version in a layout that only other releases read.
    #[error("model {version} of {ticker} is in another layout than this release reads: train it anew")]
    Outdated {
        /// Whose.
        ticker: Ticker,
        /// Which.
        version: u32,
    },
    /// No such version.
    #[error("{ticker} has no model version {version}")]
    Unknown {
        /// Whose.
        ticker: Ticker,
        /// Which.
        version: u32,
    },
    /// The ticker was deleted while its model was trained.
    #[error("{ticker} was deleted")]
    TickerGone {
        /// Which.
        ticker: Ticker,
    },
    /// Two promotions at once.
    #[error("another version of {ticker} was promoted at the same moment; look again, then repeat")]
    Raced {
        /// Whose.
        ticker: Ticker,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Registry {
    /// Opens a folder of artifacts, making it where missing.
    ///
    /// # Errors
    /// When it cannot be made or opened.
    pub fn open(models_dir: &str, store: Store) -> Result<Self, RegistryError> {
        Ok(Self { store, files: Files::open(models_dir)?, loaded: Cache::new(LOADED_VERSIONS) })
    }

    /// Whether artifacts can be read.
    ///
    /// # Errors
    /// When the folder does not answer.
    pub async fn ping(&self) -> Result<(), RegistryError> {
        self.files.ping().await
    }

    /// Keeps a freshly trained model as the ticker's next version. It serves nobody until promoted.
    ///
    /// * `record` of the bars that it held back
    /// * `series` the bars it was trained on
    ///
    /// # Errors
    /// When the artifact or its row cannot be written; an artifact without a row is never served.
    pub async fn publish(
        &self,
        ticker: &Ticker,
        trained: &Trained,
        record: &HeldBackRecord,
        series: &Series,
        data_version: u64,
        job_id: Option<&str>,
    ) -> Result<ModelRecord, RegistryError> {
        let refused = |version, reason: String| RegistryError::Refused { ticker: ticker.clone(), version, reason };
        let tensors =
            trained.model.to_safetensors(&record.to_tables()).map_err(|error| refused(0, error.to_string()))?;
        let golden = manifest::Golden::record(&trained.model, series).map_err(|reason| refused(0, reason))?;
        let ends = series.bars().first().map(Bar::at).zip(series.last().map(Bar::at));
        let (first, last) = ends.unwrap_or((BarTime::from_seconds(0), BarTime::from_seconds(0)));
        let mut manifest = Manifest {
            ticker: ticker.clone(),
            version: 0,
            code_version: env!("CARGO_PKG_VERSION").to_owned(),
            spec: trained.model.spec().clone(),
            metrics: trained.metrics.clone(),
            data_version,
            data_hash: manifest::data_hash(series),
            first,
            last,
            sha256: sha256(&tensors),
            bytes: tensors.len() as u64,
            golden,
        };
        for _ in 0..NUMBER_TRIES {
            manifest.version = self.next_number(ticker).await?;
            // A number whose file exists already belongs to a publisher that is still at work, or died.
            if !self.files.write(&manifest, tensors.clone()).await? {
                continue;
            }
            let row = ModelRecord {
                version: manifest.version,
                job_id: job_id.map(str::to_owned),
                data_version,
                bars: series.len() as u64,
                first,
                last,
                sha256: manifest.sha256.clone(),
                bytes: manifest.bytes,
                manifest: without_golden(&manifest).map_err(|error| refused(manifest.version, error.to_string()))?,
                promotion: None,
                created_at: 0,
            };
            if self.store.add_model(ticker, &row).await? {
                let unknown = || RegistryError::Unknown { ticker: ticker.clone(), version: manifest.version };
                return self.store.model(ticker, manifest.version).await?.ok_or_else(unknown);
            }
            let job_gone = match job_id {
                Some(job_id) => self.store.job(job_id).await?.is_none(),
                None => false,
            };
            if job_gone || self.store.ticker(ticker).await?.is_none() {
                self.files.delete(ticker, manifest.version).await?;
                return Err(RegistryError::TickerGone { ticker: ticker.clone() });
            }
        }
        Err(RegistryError::Raced { ticker: ticker.clone() })
    }

    /// A version, verified; from memory when it was verified before.
    ///
    /// # Errors
    /// When there is none, or any check fails: then nothing of it is served.
    pub async fn load(&self, ticker: &Ticker, version: u32) -> Result<Arc<LoadedModel>, RegistryError> {
        let row = self.row(ticker, version).await?;
        let key = (ticker.clone(), version, row.sha256.clone());
        if let Some(loaded) = self.loaded.get(&key).await {
            return Ok(loaded);
        }
        let loaded = Arc::new(self.verify(ticker, row).await?);
        self.loaded.insert(key, Arc::clone(&loaded)).await;
        Ok(loaded)
    }

    /// The model that answers for a ticker: its champion, or where that is refused the newest older version that
    /// passes, with the refusal beside it. `None` without a champion.
    ///
    /// # Errors
    /// When the champion and every older version are refused (the champion's refusal is given), or the database
    /// or the files fail.
    pub async fn serving(
        &self,
        record: &TickerRecord,
    ) -> Result<Option<(Arc<LoadedModel>, Option<RegistryError>)>, RegistryError> {
        let (ticker, Some(champion)) = (&record.ticker, record.champion) else { return Ok(None) };
        let refusal = match self.load(ticker, champion).await {
            Ok(loaded) => return Ok(Some((loaded, None))),
            Err(refusal @ (RegistryError::Refused { .. } | RegistryError::Outdated { .. })) => refusal,
            Err(error) => return Err(error),
        };
        tracing::error!(%ticker, champion, error = %refusal, "the champion is refused; an older version answers if one can");
        for older in self.store.models(ticker).await?.iter().filter(|model| model.version < champion) {
            match self.load(ticker, older.version).await {
                Ok(loaded) => return Ok(Some((loaded, Some(refusal)))),
                Err(RegistryError::Refused { .. } | RegistryError::Outdated { .. } | RegistryError::Unknown { .. }) => {
                }
                Err(error) => return Err(error),
            }
        }
        Err(refusal)
    }

    /// Makes a version the champion, after verifying it anew; also the way back to an older one.
    ///
    /// # Errors
    /// When it does not pass, or another promotion came between.
    pub async fn promote(&self, ticker: &Ticker, version: u32, expected: Option<u32>) -> Result<(), RegistryError> {
        let row = self.row(ticker, version).await?;
        let key = (ticker.clone(), version, row.sha256.clone());
        let verified = Arc::new(self.verify(ticker, row).await?);
        if !self.store.promote(ticker, version, expected).await? {
            return Err(RegistryError::Raced { ticker: ticker.clone() });
        }
        self.loaded.insert(key, verified).await;
        Ok(())
    }

    /// The safetensors file of a version, verified.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub async fn weights(&self, ticker: &Ticker, version: u32) -> Result<Vec<u8>, RegistryError> {
        let row = self.row(ticker, version).await?;
        self.tensors(ticker, &row).await
    }

    /// Removes the artifacts of a deleted ticker.
    ///
    /// # Errors
    /// When files cannot be removed.
    pub async fn delete_ticker(&self, ticker: &Ticker, versions: &[u32]) -> Result<(), RegistryError> {
        for version in versions {
            self.files.delete(ticker, *version).await?;
        }
        Ok(())
    }

    async fn next_number(&self, ticker: &Ticker) -> Result<u32, RegistryError> {
        let newest_row = self.store.models(ticker).await?.first().map_or(0, |model| model.version);
        Ok(newest_row.max(self.files.newest(ticker).await?) + 1)
    }

    async fn row(&self, ticker: &Ticker, version: u32) -> Result<ModelRecord, RegistryError> {
        let unknown = || RegistryError::Unknown { ticker: ticker.clone(), version };
        self.store.model(ticker, version).await?.ok_or_else(unknown)
    }

    async fn verify(&self, ticker: &Ticker, row: ModelRecord) -> Result<LoadedModel, RegistryError> {
        let version = row.version;
        if !manifest::is_current(&row.manifest) {
            return Err(RegistryError::Outdated { ticker: ticker.clone(), version });
        }
        let refused = |reason: String| RegistryError::Refused { ticker: ticker.clone(), version, reason };
        let missing = || refused("its manifest is missing".to_owned());
        let json = self.files.manifest(ticker, version).await?.ok_or_else(missing)?;
        let manifest = read_manifest(&json, &row).map_err(&refused)?;
        if (&manifest.ticker, manifest.version) != (ticker, version) {
            return Err(refused("its manifest is another model's".to_owned()));
        }
        let tensors = self.tensors(ticker, &row).await?;
        // Reading and forecasting are work for a processor, not for a thread that answers requests.
        let checked = tokio::task::spawn_blocking(move || {
            let (model, tables) =
                Model::from_parts(manifest.spec.clone(), &tensors).map_err(|error| error.to_string())?;
            manifest.golden.check(&model)?;
            let horizon = model.config().horizon;
            let record = HeldBackRecord::from_tables(&tables, horizon).map_err(|error| error.to_string())?;
            Ok::<_, String>(LoadedModel { model, record, manifest })
        });
        checked.await.map_err(|error| refused(error.to_string()))?.map_err(refused)
    }

    /// The bytes that were published, or a refusal.
    async fn tensors(&self, ticker: &Ticker, row: &ModelRecord) -> Result<Vec<u8>, RegistryError> {
        let version = row.version;
        let refused = |reason: String| RegistryError::Refused { ticker: ticker.clone(), version, reason };
        let missing = || refused("its file is missing".to_owned());
        let tensors = self.files.tensors(ticker, version).await?.ok_or_else(missing)?;
        if tensors.len() as u64 != row.bytes {
            return Err(refused(format!("its file has {} bytes, {} were written", tensors.len(), row.bytes)));
        }
        match sha256(&tensors) == row.sha256 {
            true => Ok(tensors),
            false => Err(refused("its file does not have the SHA-256 that was written".to_owned())),
        }
    }
}

/// The manifest beside an artifact, if it says what the database says. Only the golden forecast is in the file
/// alone: what is wrong there shows when the model is asked again.
fn read_manifest(json: &[u8], row: &ModelRecord) -> Result<Manifest, String> {
    let unreadable = |error: serde_json::Error| format!("its manifest cannot be read: {error}");
    let mut value: serde_json::Value = serde_json::from_slice(json).map_err(unreadable)?;
    let manifest = serde_json::from_value(value.clone()).map_err(unreadable)?;
    remove_golden(&mut value);
    match value == row.manifest {
        true => Ok(manifest),
        false => Err("its manifest says something else than the database".to_owned()),
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The part of a manifest that clients ask for; the golden bars stay beside the artifact.
fn without_golden(manifest: &Manifest) -> Result<serde_json::Value, serde_json::Error> {
    let mut json = serde_json::to_value(manifest)?;
    remove_golden(&mut json);
    Ok(json)
}

fn remove_golden(manifest: &mut serde_json::Value) {
    if let Some(fields) = manifest.as_object_mut() {
        fields.remove("golden");
    }
}
