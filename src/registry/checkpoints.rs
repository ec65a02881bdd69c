//! Where interrupted trainings stand, beside the artifacts, so that any worker that reads those can go on.
//!
//! Absent on purpose: fencing. Every checkpoint of a job leads to the same bytes; one that a late worker writes over
//! a newer one costs time, never a result.

use super::{Registry, RegistryError};
use crate::domain::Ticker;

impl Registry {
    /// Keeps where the training of a job stands, in place of what was kept before.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn keep_checkpoint(&self, ticker: &Ticker, job_id: &str, bytes: Vec<u8>) -> Result<(), RegistryError> {
        self.files.put_checkpoint(ticker, job_id, bytes).await
    }

    /// Where the training of a job stands; `None` where nothing was kept.
    ///
    /// # Errors
    /// When the files do not answer.
    pub async fn checkpoint(&self, ticker: &Ticker, job_id: &str) -> Result<Option<Vec<u8>>, RegistryError> {
        self.files.checkpoint(ticker, job_id).await
    }

    /// Forgets where the training of a job stood.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub async fn remove_checkpoint(&self, ticker: &Ticker, job_id: &str) -> Result<(), RegistryError> {
        self.files.delete_checkpoint(ticker, job_id).await
    }
}
