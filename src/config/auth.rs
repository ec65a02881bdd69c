//! Who may call.

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of API keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct AuthSettings {
    /// For how long a checked key is remembered. Higher spares the database a look-up per request; lower makes
    /// a revoked key useless sooner.
    #[garde(range(max = 300_000))]
    pub cache_ms: u64,
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self { cache_ms: 5_000 }
    }
}
