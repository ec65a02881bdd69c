//! What publishers that died left in the folder of artifacts.
//!
//! A manifest is written after its tensors and before its row, so tensors without a manifest were never a version
//! and nothing can come to name them. Whole artifacts are left alone, also those that no row of this database
//! names: the folder may be another database's, and a model that is lost is worse than a file that is left. A
//! checkpoint is removed with its job's end, and here where nobody came to do that.

use std::time::Duration;

use super::{Registry, RegistryError};

/// What a sweep found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Unfinished files that were removed, by their path below the folder.
    pub removed: Vec<String>,
    /// Whole artifacts that no row of this database names, as `TICKER/VERSION`; they were left.
    pub unnamed: Vec<String>,
}

impl Registry {
    /// Removes unfinished files that are older than `min_age` (a younger one may be a publisher's at work), and as old
    /// checkpoints of jobs that are over.
    ///
    /// # Errors
    /// When the files or the database do not answer, or a file cannot be removed.
    pub async fn sweep(&self, min_age: Duration) -> Result<Swept, RegistryError> {
        let mut swept = Swept { removed: self.files.remove_staged(min_age)?, unnamed: Vec::new() };
        for (ticker, version, has_manifest) in self.files.older_than(min_age).await? {
            if self.store.model(&ticker, version).await?.is_some() {
                continue;
            }
            if has_manifest {
                swept.unnamed.push(format!("{ticker}/{version}"));
            } else {
                self.files.delete(&ticker, version).await?;
                swept.removed.push(format!("{ticker}/{version}.safetensors"));
            }
        }
        for (ticker, job) in self.files.checkpoints_older_than(min_age).await? {
            if self.store.job(&job).await?.is_none_or(|job| job.state.is_final()) {
                self.files.delete_checkpoint(&ticker, &job).await?;
                swept.removed.push(format!("{ticker}/{job}.checkpoint"));
            }
        }
        Ok(swept)
    }
}
