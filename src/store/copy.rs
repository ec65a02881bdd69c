//! A copy of the database while it is in use.

use std::path::Path;

use super::db::Db;
use super::{Store, StoreError};

impl Store {
    /// Writes all of a SQLite database, as it stands at one moment, to a new file; who writes meanwhile is not held up.
    /// The file is whole on the disk when this returns. It takes as long as it takes: no time limit applies.
    ///
    /// # Errors
    /// When the database is a server (which has its own tool for this), the file exists, or it cannot be written.
    pub async fn copy_to(&self, file: &Path) -> Result<(), StoreError> {
        let Db::Sqlite { readers, .. } = &self.db else { return Err(StoreError::IsServer) };
        sqlx::query("VACUUM INTO $1").bind(file.to_string_lossy().into_owned()).execute(readers).await?;
        // SQLite itself does not wait for the disk here.
        let synced = std::fs::File::open(file).and_then(|file| file.sync_all());
        synced.map_err(|error| StoreError::Open { reason: format!("{}: {error}", file.display()) })
    }
}
