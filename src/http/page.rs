//! The page.

use axum::Router;

use super::Api;

pub(super) fn router() -> Router<Api> {
    Router::new()
}
