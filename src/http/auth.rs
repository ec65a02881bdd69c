//! Who calls, and what they may: API keys as bearer tokens.
//!
//! The database has hashes only. A key that was checked is remembered for `auth.cache_ms`, so is one that does
//! not exist. Without any key a server on loopback is open to its machine, and guards itself against web pages
//! that would use the browser of somebody on that machine.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, Method, header};
use moka::future::Cache;
use uuid::Uuid;

use super::error::Problem;
use crate::app::App;
use crate::config::Settings;
use crate::store::{Scope, Store, StoreError};

/// Keys remembered at most; past them the database is asked.
const MAX_REMEMBERED: u64 = 10_000;

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
    by_hash: Cache<String, Option<Arc<Known>>>,
    any: Cache<(), bool>,
}

#[derive(Debug)]
struct Known {
    id: String,
    scope: Scope,
}

/// Who a request is from.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Anybody on this machine: no keys exist.
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
            any: Cache::builder().max_capacity(1).time_to_live(remember).build(),
        }
    }

    /// Who sent these headers.
    pub(super) async fn caller(&self, headers: &HeaderMap, store: &Store) -> Result<Caller, Arc<StoreError>> {
        let Some(given) = headers.get(header::AUTHORIZATION) else {
            return Ok(match self.on_loopback && !self.any.try_get_with((), store.has_keys()).await? {
                true => Caller::Local,
                false => refused("Send an API key as `Authorization: Bearer KEY`."),
            });
        };
        let key = given.to_str().ok().and_then(|text| text.split_once(' '));
        let Some(("bearer" | "Bearer" | "BEARER", key)) = key else {
            return Ok(refused("The Authorization header is not `Bearer KEY`."));
        };
        let hash = hash(key.trim());
        let look_up =
            async { Ok(store.key_by_hash(&hash).await?.map(|key| Arc::new(Known { id: key.id, scope: key.scope }))) };
        Ok(match self.by_hash.try_get_with(hash.clone(), look_up).await? {
            Some(known) => Caller::Key { id: known.id.as_str().into(), scope: known.scope },
            None => refused("This API key is unknown or was revoked."),
        })
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
        Caller::Local => check_own_page(request),
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

/// An open server must not be used by a web page that the machine's owner happens to look at: it answers to local
/// names only (DNS rebinding), and takes changes from its own page only (cross-site requests).
fn check_own_page(request: &Request) -> Result<(), Problem> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let host = header(header::HOST);
    if let Some(host) = host.filter(|host| !is_local(host)) {
        return Err(Problem::new("foreign_host", format!("This open server does not answer to {host:?}.")));
    }
    let from = header(header::ORIGIN).map(|origin| origin.split_once("://").map_or(origin, |(_, host)| host));
    match from {
        Some(from) if Some(from) != host => {
            Err(Problem::new("cross_origin", format!("The page {from:?} is not this server's.")))
        }
        _ => Ok(()),
    }
}

fn is_local(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn local_names_are_those_of_this_machine() {
        for host in ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:8080", "127.1.2.3", "[::1]:8080"] {
            assert!(is_local(host), "{host}");
        }
        for host in ["example.com", "localhost.example.com", "10.0.0.1:8080", "[2001:db8::1]", "", "127.0.0.1.nip.io"] {
            assert!(!is_local(host), "{host}");
        }
    }

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
