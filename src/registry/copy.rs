//! Artifacts into another folder, as a backup needs it.

use super::{Registry, RegistryError, read_manifest};
use crate::domain::Ticker;
use crate::store::ModelRecord;

impl Registry {
    /// Copies the files of a version to the folder of another registry, once length, SHA-256 and manifest are what
    /// its row says. Gives the bytes written; the files are on the disk when this returns.
    ///
    /// # Errors
    /// When the files are missing or not what was published, or cannot be written.
    pub async fn copy(&self, ticker: &Ticker, row: &ModelRecord, to: &Self) -> Result<u64, RegistryError> {
        let version = row.version;
        let refused = |reason: String| RegistryError::Refused { ticker: ticker.clone(), version, reason };
        let missing = || refused("its manifest is missing".to_owned());
        let manifest = self.files.manifest(ticker, version).await?.ok_or_else(missing)?;
        read_manifest(&manifest, row).map_err(refused)?;
        let tensors = self.tensors(ticker, row).await?;
        let n_bytes = (manifest.len() + tensors.len()) as u64;
        match to.files.put(ticker, version, tensors, manifest).await? {
            true => Ok(n_bytes),
            false => Err(refused("it is there already".to_owned())),
        }
    }
}
