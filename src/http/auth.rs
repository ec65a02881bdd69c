//! Who calls, and what they may: API keys as bearer tokens.
//!
//! The database has hashes only. A key in force is remembered for `auth.cache_ms`; one that is not is asked for each
//! time, for it may have been made since. A server on loopback is open to its machine until the first key is made
//! (see [`local`](super::local)), and never again: who revokes all keys wants nobody in.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, header};
use moka::future::Cache;
use uuid::Uuid;

use super::error::Problem;
use super::local;
use crate::app::App;
use crate::config::Settings;
use crate::store::{Scope, Store, StoreError};

/// Keys remembered at most; past them the database is asked.
const MAX_REMEMBERED: u64 = 10_000;

/// How long a server may stay open after the first key was made.
const OPEN_FOR: Duration = Duration::from_millis(250);

/// A key that was just made: the only moment at which it is known.
#[derive(Debug)]
pub struct NewKey {
    /// Names it in lists and to `revoke`.
    pub id: String,
    /// What the client sends.
    pub key: String,
    /// What the database keeps.
    pub hash: String,
}

/// Makes a key of 244 random bits.
pub fn new_key() -> NewKey {
    let key = format!("cc_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    NewKey { id: Uuid::new_v4().simple().to_string()[..12].to_owned(), hash: hash(&key), key }
}

/// A key has more randomness than can be guessed, so a plain hash keeps it: nothing to slow down.
fn hash(key: &str) -> String {
    blake3::hash(key.as_bytes()).to_hex().to_string()
}

/// Keeps the key of `auth.bootstrap_key`, so that a fresh deployment has one to begin with.
pub(super) async fn bootstrap(app: &App) -> Result<(), StoreError> {
    let key = &app.settings.auth.bootstrap_key;
    if key.is_empty() {
        return Ok(());
    }
    let hash = hash(key);
    // Known again by its id even after it was revoked: then it stays so, although the setting is still there.
    let id = format!("boot{}", &hash[..8]);
    if !app.store.keys().await?.iter().any(|key| key.id == id) {
        app.store.add_key(&id, "bootstrap", &hash, Scope::Admin).await?;
        tracing::info!("the bootstrap key was kept; make others with it and revoke it");
    }
    Ok(())
}

/// The keys in force, as far as they were asked for.
pub(super) struct Keys {
    on_loopback: bool,
    by_hash: Cache<String, Arc<Known>>,
    were_made: Cache<(), bool>,
}

#[derive(Debug)]
struct Known {
    id: String,
    scope: Scope,
}

/// Who a request is from.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Anybody on this machine: no key was ever made.
    Local,
    /// A key's holder.
    Key {
        /// Of the key.
        id: Arc<str>,
        /// What it may do.
        scope: Scope,
    },
    /// Somebody without a key in force.
    Unknown(Problem),
}

impl Keys {
    pub(super) fn new(settings: &Settings) -> Self {
        let remember = Duration::from_millis(settings.auth.cache_ms);
        Self {
            on_loopback: settings.http.listen.ip().is_loopback(),
            by_hash: Cache::builder().max_capacity(MAX_REMEMBERED).time_to_live(remember).build(),
            were_made: Cache::builder().max_capacity(1).time_to_live(remember.min(OPEN_FOR)).build(),
        }
    }

    /// Who sent these headers.
    pub(super) async fn caller(&self, headers: &HeaderMap, store: &Store) -> Result<Caller, Arc<StoreError>> {
        let Some(given) = headers.get(header::AUTHORIZATION) else {
            return Ok(match self.on_loopback && !self.were_made.try_get_with((), store.keys_were_made()).await? {
                true => Caller::Local,
                false => refused("Send an API key as `Authorization: Bearer KEY`."),
            });
        };
        let key = given.to_str().ok().and_then(|text| text.split_once(' '));
        let Some(("bearer" | "Bearer" | "BEARER", key)) = key else {
            return Ok(refused("The Authorization header is not `Bearer KEY`."));
        };
        Ok(match self.known(hash(key.trim()), store).await? {
            Some(known) => Caller::Key { id: known.id.as_str().into(), scope: known.scope },
            None => refused("This API key is unknown or was revoked."),
        })
    }

    async fn known(&self, hash: String, store: &Store) -> Result<Option<Arc<Known>>, StoreError> {
        if let Some(known) = self.by_hash.get(&hash).await {
            return Ok(Some(known));
        }
        let Some(key) = store.key_by_hash(&hash).await? else { return Ok(None) };
        let known = Arc::new(Known { id: key.id, scope: key.scope });
        self.by_hash.insert(hash, Arc::clone(&known)).await;
        Ok(Some(known))
    }
}

fn refused(detail: &str) -> Caller {
    Caller::Unknown(Problem::new("unauthorized", detail))
}

/// Lets a caller through who has the scope that the route needs.
pub(super) fn authorize(request: &Request, caller: &Caller) -> Result<(), Problem> {
    let path = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let needed = needed_scope(request.method(), path);
    match caller {
        Caller::Local => local::check(request),
        Caller::Key { scope, .. } if *scope >= needed => Ok(()),
        Caller::Key { scope, .. } => {
            let detail = format!("This needs the scope {}; the key has {}.", needed.as_str(), scope.as_str());
            Err(Problem::new("forbidden", detail).with("needed", needed.as_str()))
        }
        Caller::Unknown(problem) => Err(problem.clone()),
    }
}

/// What a route needs: to read, to write, or (to delete a whole series) to rule.
fn needed_scope(method: &Method, path: &str) -> Scope {
    match (method.as_str(), path) {
        ("GET" | "HEAD" | "OPTIONS", _) | ("POST", "/v1/forecasts") => Scope::Read,
        ("DELETE", "/v1/tickers/{ticker}") => Scope::Admin,
        _ => Scope::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_long_and_its_hash_is_stable() {
        let new = new_key();
        assert!(new.key.starts_with("cc_") && new.key.len() == 67, "{}", new.key);
        assert_eq!(new.hash, hash(&new.key));
        assert_eq!(hash("cc_x"), hash("cc_x"));
    }

    #[test]
    fn scopes_follow_what_a_route_changes() {
        let needed = |method: Method, path: &str| needed_scope(&method, path);
        assert_eq!(needed(Method::GET, "/v1/tickers"), Scope::Read);
        assert_eq!(needed(Method::POST, "/v1/forecasts"), Scope::Read);
        assert_eq!(needed(Method::POST, "/v1/bars"), Scope::Write);
        assert_eq!(needed(Method::PATCH, "/v1/tickers/{ticker}"), Scope::Write);
        assert_eq!(needed(Method::DELETE, "/v1/jobs/{id}"), Scope::Write);
        assert_eq!(needed(Method::DELETE, "/v1/tickers/{ticker}"), Scope::Admin);
    }
}
