//! Who may call.

use std::fmt;

use garde::Validate;
use serde::{Deserialize, Serialize};

/// Settings of API keys. `Debug` leaves the key out.
#[derive(Clone, PartialEq, Serialize, Deserialize, Validate)]
pub struct AuthSettings {
    /// For how long a checked key is remembered. Higher spares the database a look-up per request; lower makes
    /// a revoked key useless sooner.
    #[garde(range(max = 300_000))]
    pub cache_ms: u64,
    /// A key that is kept with the scope admin when the server starts and no key was bootstrapped before: for
    /// containers, where nobody is there to run `candlecast keys create`. At least 32 characters; also by
    /// CANDLECAST_BOOTSTRAP_KEY. Empty: none.
    #[garde(custom(is_long))]
    pub bootstrap_key: String,
}

fn is_long(key: &str, (): &()) -> garde::Result {
    match key.is_empty() || key.len() >= 32 {
        true => Ok(()),
        false => Err(garde::Error::new("shorter than 32 characters")),
    }
}

impl fmt::Debug for AuthSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = if self.bootstrap_key.is_empty() { "none" } else { "***" };
        f.debug_struct("AuthSettings").field("cache_ms", &self.cache_ms).field("bootstrap_key", &shown).finish()
    }
}

impl Default for AuthSettings {
    fn default() -> Self {
        Self { cache_ms: 5_000, bootstrap_key: String::new() }
    }
}
