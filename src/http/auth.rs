//! Who calls, and what they may: API keys as bearer tokens.
//!
//! The database has hashes only. A key in force is believed for `auth.cache_ms`; one that is not is asked for each
//! time, for it may have been made since: as often as the rate of the address allows that it comes from. A server on loopback is open to its machine until the first key is made
//! (see [`local`](super::local)), and never again: who revokes all keys wants nobody in.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

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

/// What to do where a key is wanted.
pub(super) const MAKE_A_KEY: &str =
    "make an API key (`candlecast keys create --name NAME --scope write`) and send it as `Authorization: Bearer KEY`";

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
    believed_for: Duration,
    by_hash: Cache<String, Arc<Known>>,
    /// Whether there was ever a key, and when that was asked.
    were_made: Mutex<Option<(bool, Instant)>>,
}

#[derive(Debug)]
struct Known {
    id: Arc<str>,
    scope: Scope,
    since: Instant,
}

/// What a request brings to say who sends it.
pub(super) enum Credentials {
    /// Nothing.
    None,
    /// What is no bearer token.
    Malformed,
    /// The hash of a key.
    Key(String),
}

impl Credentials {
    /// As the headers have them.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let Some(given) = headers.get(header::AUTHORIZATION) else { return Self::None };
        match given.to_str().ok().and_then(|text| text.split_once(' ')) {
            Some(("bearer" | "Bearer" | "BEARER", key)) => Self::Key(hash(key.trim())),
            _ => Self::Malformed,
        }
    }
}

/// Who a request is from.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Anybody on this machine: no key was ever made.
    Local,
    /// A key's holder.
    Key {
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
            believed_for: remember,
            by_hash: Cache::new(MAX_REMEMBERED),
            were_made: Mutex::new(None),
        }
    }

    /// The id of a key that was in force when it was last looked up, without a look into the database.
    pub(super) async fn seen(&self, credentials: &Credentials) -> Option<Arc<str>> {
        let Credentials::Key(hash) = credentials else { return None };
        self.by_hash.get(hash).await.map(|known| Arc::clone(&known.id))
    }

    /// Who sent these credentials.
    pub(super) async fn caller(&self, credentials: Credentials, store: &Store) -> Result<Caller, StoreError> {
        let hash = match credentials {
            Credentials::Key(hash) => hash,
            Credentials::Malformed => return Ok(refused("The Authorization header is not `Bearer KEY`.")),
            Credentials::None => {
                return Ok(match self.on_loopback && !self.were_made(store).await? {
                    true => Caller::Local,
                    false => refused(
                        "Send an API key as `Authorization: Bearer KEY`; `candlecast keys create --name NAME --scope \
                         read` makes one.",
                    ),
                });
            }
        };
        Ok(match self.known(hash, store).await? {
            Some(known) => Caller::Key { scope: known.scope },
            None => refused(
                "This API key is unknown or was revoked; `candlecast keys create --name NAME --scope read` makes one.",
            ),
        })
    }

    async fn were_made(&self, store: &Store) -> Result<bool, StoreError> {
        let asked = *self.were_made.lock().unwrap_or_else(PoisonError::into_inner);
        match asked.filter(|(_, since)| since.elapsed() < self.believed_for.min(OPEN_FOR)) {
            Some((were_made, _)) => Ok(were_made),
            // In a box: as a part of every request's future, what asks the database would be moved with each.
            None => Box::pin(self.ask_whether_made(store)).await,
        }
    }

    async fn ask_whether_made(&self, store: &Store) -> Result<bool, StoreError> {
        let since = Instant::now();
        let were_made = store.keys_were_made().await?;
        *self.were_made.lock().unwrap_or_else(PoisonError::into_inner) = Some((were_made, since));
        Ok(were_made)
    }

    async fn known(&self, hash: String, store: &Store) -> Result<Option<Arc<Known>>, StoreError> {
        let remembered = self.by_hash.get(&hash).await;
        match remembered.filter(|known| known.since.elapsed() < self.believed_for) {
            Some(known) => Ok(Some(known)),
            None => Box::pin(self.look_up(hash, store)).await,
        }
    }

    async fn look_up(&self, hash: String, store: &Store) -> Result<Option<Arc<Known>>, StoreError> {
        let since = Instant::now();
        let Some(key) = store.key_by_hash(&hash).await? else {
            self.by_hash.invalidate(&hash).await;
            return Ok(None);
        };
        let known = Arc::new(Known { id: key.id.into(), scope: key.scope, since });
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
        Caller::Key { scope } if *scope >= needed => Ok(()),
        Caller::Key { scope } => {
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
