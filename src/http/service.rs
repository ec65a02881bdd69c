//! What operators and clients ask of the service itself.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::error::Problem;
use crate::domain::Horizon;

/// Whether the process lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct HealthBody {
    /// Always `ok`.
    #[schema(example = "ok")]
    status: &'static str,
}

/// The process is alive; nothing is touched to say so.
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "Alive", body = HealthBody)))]
pub(super) async fn get_health() -> Json<HealthBody> {
    Json(HealthBody { status: "ok" })
}

/// The database and the artifacts answer, and the server is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "service", responses(
    (status = 200, description = "Ready", body = HealthBody),
    (status = 503, description = "Not ready", body = super::error::ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_readiness(State(api): State<Api>) -> Result<Json<HealthBody>, Problem> {
    if api.0.stop.is_cancelled() {
        return Err(Problem::new("stopping", "The server is stopping.").retry_after(5));
    }
    let app = api.app();
    app.store.ping().await?;
    app.registry.ping().await?;
    Ok(Json(HealthBody { status: "ok" }))
}

/// What a client may ask for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LimitsBody {
    /// On bodies of bars.
    #[schema(value_type = Object, example = json!({"max_body_bytes": 67_108_864, "max_rows": 2_000_000}))]
    bars: Value,
    /// On training configs.
    #[schema(value_type = Object, example = json!({"hidden": 512, "layers": 4, "lookback": 512}))]
    training: Value,
    /// On backtests.
    #[schema(value_type = Object, example = json!({"folds": 50, "points": 100_000}))]
    backtests: Value,
    /// On lists and queries.
    #[schema(value_type = Object, example = json!({"max_page": 1000}))]
    queries: Value,
    /// The farthest horizon, in sessions.
    #[schema(example = 20)]
    max_horizon: u32,
}

/// The caps that this server applies.
#[utoipa::path(get, path = "/v1/limits", tag = "service", responses((status = 200, description = "The caps", body = LimitsBody)))]
pub(super) async fn get_limits(State(api): State<Api>) -> Result<Json<LimitsBody>, Problem> {
    let limits = &api.settings().limits;
    let json = |limits: Result<Value, serde_json::Error>| limits.map_err(Problem::internal);
    Ok(Json(LimitsBody {
        bars: json(serde_json::to_value(&limits.ingest))?,
        training: json(serde_json::to_value(&limits.train))?,
        backtests: json(serde_json::to_value(&limits.backtest))?,
        queries: json(serde_json::to_value(&limits.query))?,
        max_horizon: Horizon::MAX,
    }))
}

/// What runs.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VersionBody {
    /// Always `candlecast`.
    #[schema(example = "candlecast")]
    name: &'static str,
    /// Of the program.
    #[schema(example = "0.1.0")]
    version: &'static str,
    /// Of this API.
    #[schema(example = "v1")]
    api: &'static str,
}

/// The program's version.
#[utoipa::path(get, path = "/v1/version", tag = "service", responses((status = 200, description = "The version", body = VersionBody)))]
pub(super) async fn get_version() -> Json<VersionBody> {
    Json(VersionBody { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION"), api: "v1" })
}
