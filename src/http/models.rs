//! Training, and the model versions that came of it.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Json as JsonIn, Path};
use super::jobs::QueuedBody;
use super::tickers::find;
use super::wire::instant;
use crate::domain::{Ticker, counted};
use crate::jobs::due;
use crate::store::{ModelRecord, TickerRecord};
use crate::train::{TrainConfig, min_bars};

/// What to train; every field is optional.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"preset": "default", "horizon": 5, "seed": 7}))]
#[expect(dead_code, reason = "names the fields of TrainConfig in the OpenAPI document")]
pub(super) struct TrainBody {
    /// Where the other fields come from: `default`, `tutorial` or `fast`.
    preset: Option<String>,
    /// `lstm`, `gru` or `rnn`.
    cell: Option<String>,
    /// Recurrent layers on each other.
    #[schema(minimum = 1)]
    layers: Option<u32>,
    /// Units of a layer.
    #[schema(minimum = 1)]
    hidden: Option<u32>,
    /// Share of units left out in training.
    #[schema(minimum = 0, maximum = 0.9)]
    dropout: Option<f64>,
    /// Bars of the window.
    #[schema(minimum = 1)]
    lookback: Option<u32>,
    /// Sessions ahead.
    #[schema(minimum = 1, maximum = 20)]
    horizon: Option<u32>,
    /// `many_to_one`, `one_to_one`, `one_to_many`, `many_to_many` or `many_to_many_aligned`.
    topology: Option<String>,
    /// Gradients stop after this many bars back.
    #[schema(minimum = 1)]
    tbptt_steps: Option<u32>,
    /// Passes over the training windows, at most.
    #[schema(minimum = 1)]
    epochs: Option<u32>,
    /// Windows of a step.
    #[schema(minimum = 1)]
    batch_size: Option<u32>,
    /// Highest learning rate.
    learning_rate: Option<f64>,
    /// Decoupled weight decay.
    weight_decay: Option<f64>,
    /// Gradients longer than this are shortened to it.
    clip_norm: Option<f64>,
    /// Epochs without improvement after which training stops.
    #[schema(minimum = 1)]
    patience: Option<u32>,
    /// Networks averaged.
    #[schema(minimum = 1)]
    ensemble: Option<u32>,
    /// The same bars, config and seed give the same model.
    seed: Option<u64>,
    /// Quantile levels learned, ascending, 0.5 among them.
    levels: Option<Vec<f64>>,
}

/// A model version.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelBody {
    /// Whose.
    #[schema(value_type = String, example = "AAPL")]
    ticker: Ticker,
    /// Counts from 1, a ticker.
    version: u32,
    /// Whether it is the one that answers.
    champion: bool,
    /// When it was trained, RFC 3339 UTC.
    created_at: String,
    /// The job that trained it.
    job_id: Option<String>,
    /// The state of the bars it was trained on.
    data_version: u64,
    /// How many bars that were.
    bars: u64,
    /// The first of them.
    #[schema(example = "2013-02-08")]
    first: String,
    /// The last of them.
    #[schema(example = "2018-02-07")]
    last: String,
    /// Of the safetensors file.
    sha256: String,
    /// Its length.
    bytes: u64,
    /// What was trained.
    #[schema(value_type = Object, example = json!({"cell": "lstm", "hidden": 16, "lookback": 20, "horizon": 5}))]
    config: Value,
    /// What training said of it.
    #[schema(value_type = Object)]
    metrics: Value,
    /// The release that trained it.
    #[schema(value_type = Option<String>, example = "0.1.0")]
    code_version: Value,
    /// BLAKE3 of the bars: two models with the same one saw the same numbers.
    #[schema(value_type = Option<String>)]
    data_hash: Value,
    /// What came of it when it challenged the champion; null where it never did.
    promotion: Option<PromotionBody>,
}

/// What came of a version when it challenged the champion of its day.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({"promoted": false, "against": 2, "reason": "its pinball loss is 1.0213 times the champion's over 245 points (p = 0.012)", "n": 245, "pinball_ratio": 1.0213, "p_value": 0.012}))]
pub(super) struct PromotionBody {
    /// Whether it became champion.
    promoted: bool,
    /// The champion's version; null for the first model.
    against: Option<u32>,
    /// Why, or why not.
    reason: String,
    /// Held-back sessions that both forecast.
    n: usize,
    /// Its pinball loss over the champion's there; below 1 is better.
    pinball_ratio: Option<f64>,
    /// How likely losses that much larger are if it is no worse: one-sided Diebold-Mariano test.
    p_value: Option<f64>,
}

/// The versions of a ticker, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ModelsBody {
    models: Vec<ModelBody>,
    /// Always null: all versions are on the page.
    next_cursor: Option<String>,
}

/// Queues the training of a challenger. While one of this ticker is queued or running, that one is the answer,
/// with the config it has (`already_queued`).
#[utoipa::path(post, path = "/v1/tickers/{ticker}/models", tag = "training", params(("ticker" = String, Path, example = "AAPL")),
    request_body(content = TrainBody, description = "No body: the defaults"), responses(
    (status = 202, description = "Queued; `Location` is the job", body = QueuedBody, headers(("location" = String, description = "The job"))),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
    (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
    (status = 415, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A config that cannot be, is above a cap, or needs more bars", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn post_model(
    State(api): State<Api>,
    Path(name): Path<String>,
    JsonIn(config): JsonIn<TrainConfig>,
) -> Result<Response, Problem> {
    let record = find(&api, &name).await?;
    config.check(&api.settings().limits.train)?;
    let needed = min_bars(&config) as u64;
    if record.bars_total < needed {
        let detail =
            format!("{} has {}; this config needs {needed}.", record.ticker, counted(record.bars_total, "bar"));
        return Err(Problem::new("too_few_bars", detail).with("have", record.bars_total).with("needed", needed));
    }
    let queued = due::enqueue_training(api.app(), &record.ticker, config, record.data_version).await?;
    let (job, is_new) = queued.ok_or_else(|| Problem::unknown_ticker(&record.ticker))?;
    QueuedBody::answer(&api, job, is_new).await
}

/// The versions of a ticker, the newest first.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/models", tag = "training", params(("ticker" = String, Path, example = "AAPL")), responses(
    (status = 200, description = "The versions", body = ModelsBody),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_models(State(api): State<Api>, Path(name): Path<String>) -> Result<Json<ModelsBody>, Problem> {
    let record = find(&api, &name).await?;
    let models = api.app().store.models(&record.ticker).await?;
    Ok(Json(ModelsBody { models: models.into_iter().map(|model| body(&record, model)).collect(), next_cursor: None }))
}

/// One version.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/models/{version}", tag = "training",
    params(("ticker" = String, Path, example = "AAPL"), ("version" = u32, Path, example = 1)), responses(
    (status = 200, description = "The version", body = ModelBody),
    (status = 404, description = "No such ticker or version", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_model(
    State(api): State<Api>,
    Path((name, version)): Path<(String, u32)>,
) -> Result<Json<ModelBody>, Problem> {
    let record = find(&api, &name).await?;
    Ok(Json(body(&record, find_version(&api, &record.ticker, version).await?)))
}

/// The tensors as safetensors, under the names that PyTorch's `nn.LSTM` has.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/models/{version}/weights", tag = "training",
    params(("ticker" = String, Path, example = "AAPL"), ("version" = u32, Path, example = 1)), responses(
    (status = 200, description = "A safetensors file", body = Vec<u8>, content_type = "application/octet-stream"),
    (status = 404, description = "No such ticker or version", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_weights(
    State(api): State<Api>,
    Path((name, version)): Path<(String, u32)>,
) -> Result<Response, Problem> {
    let record = find(&api, &name).await?;
    let tensors = api.app().registry.weights(&record.ticker, version).await?;
    let file = format!("attachment; filename=\"{}-{version}.safetensors\"", record.ticker);
    let headers = [(header::CONTENT_TYPE, "application/octet-stream"), (header::CONTENT_DISPOSITION, &file)];
    Ok((headers, tensors).into_response())
}

/// Makes a version the champion, after verifying it anew; also the way back to an older one.
#[utoipa::path(post, path = "/v1/tickers/{ticker}/models/{version}/promote", tag = "training",
    params(("ticker" = String, Path, example = "AAPL"), ("version" = u32, Path, example = 1)), responses(
    (status = 200, description = "It is the champion", body = ModelBody),
    (status = 404, description = "No such ticker or version", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "Another promotion came between", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn post_promotion(
    State(api): State<Api>,
    Path((name, version)): Path<(String, u32)>,
) -> Result<Json<ModelBody>, Problem> {
    let record = find(&api, &name).await?;
    let model = find_version(&api, &record.ticker, version).await?;
    api.app().registry.promote(&record.ticker, version, record.champion).await?;
    api.app().refresh().await?;
    Ok(Json(body(&TickerRecord { champion: Some(version), ..record }, model)))
}

async fn find_version(api: &Api, ticker: &Ticker, version: u32) -> Result<ModelRecord, Problem> {
    let unknown = || crate::registry::RegistryError::Unknown { ticker: ticker.clone(), version };
    Ok(api.app().store.model(ticker, version).await?.ok_or_else(unknown)?)
}

fn body(record: &TickerRecord, model: ModelRecord) -> ModelBody {
    let of_manifest = |path: &str| model.manifest.pointer(path).cloned().unwrap_or_default();
    ModelBody {
        ticker: record.ticker.clone(),
        version: model.version,
        champion: record.champion == Some(model.version),
        created_at: instant(model.created_at),
        data_version: model.data_version,
        bars: model.bars,
        first: record.interval.label(model.first),
        last: record.interval.label(model.last),
        bytes: model.bytes,
        config: of_manifest("/spec/config"),
        metrics: of_manifest("/metrics"),
        code_version: of_manifest("/code_version"),
        data_hash: of_manifest("/data_hash"),
        promotion: model.promotion.as_ref().and_then(|promotion| PromotionBody::deserialize(promotion).ok()),
        sha256: model.sha256,
        job_id: model.job_id,
    }
}
