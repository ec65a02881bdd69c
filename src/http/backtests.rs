//! Walk-forward runs: asked for, listed, read.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Json as JsonIn, Path, Query};
use super::jobs::{JobBody, QueuedBody};
use super::tickers::find;
use super::wire::{cut, instant, page_size};
use crate::domain::Ticker;
use crate::jobs::BacktestConfig;
use crate::jobs::backtest::{BACKTEST, enqueue_backtest, unpack_points};
use crate::store::{BacktestRecord, JobRecord, JobState, TickerRecord};

/// What to run; every field is optional.
#[derive(Debug, ToSchema)]
#[schema(example = json!({"folds": 5, "horizon": 1, "baselines": ["naive", "har"], "config": {"preset": "fast"}}))]
#[expect(dead_code, reason = "names the fields of BacktestConfig in the OpenAPI document")]
pub(super) struct BacktestRequestBody {
    /// Consecutive stretches that are forecast, the newest bars last. Default 5.
    #[schema(minimum = 1, maximum = 50)]
    folds: Option<u32>,
    /// Bars between two forecasts. Default 1.
    #[schema(minimum = 1, maximum = 250)]
    step_size: Option<u32>,
    /// Sessions ahead. Default 1.
    #[schema(minimum = 1, maximum = 20)]
    horizon: Option<u32>,
    /// Bars left out between the newest bar of a fit and the first forecast with it. Default 0.
    #[schema(minimum = 0, maximum = 250)]
    embargo: Option<u32>,
    /// Whether each fold fits anew; else the first fold's fit is kept. Default true.
    refit: Option<bool>,
    /// What a refit sees: `expanding`, every bar before its fold (the default), or `rolling`, as many as the first.
    window: Option<String>,
    /// Bars of a fold. Default: half of all bars over the folds, 50 at most.
    #[schema(minimum = 1, maximum = 1000)]
    fold_bars: Option<u32>,
    /// Who is run on the same points: `naive`, `drift`, `historical`, `ewma`, `garch`, `har`. Default: all.
    baselines: Option<Vec<String>>,
    /// The network, as for a training.
    #[schema(value_type = Option<Object>)]
    config: Option<Value>,
}

/// A backtest in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BacktestEntryBody {
    /// The same as that of its job.
    #[schema(example = "0199d2f4-6d9a-7cc2-a7a4-5e2f5a3c1b11")]
    id: String,
    /// Whose.
    #[schema(value_type = String, example = "AAPL")]
    ticker: Ticker,
    /// When it was done, RFC 3339 UTC.
    created_at: String,
    /// The state of the bars that it ran on.
    data_version: u64,
    /// `beats_naive`, `no_evidence` or `worse_than_naive`, of the network's farthest step.
    #[schema(example = "no_evidence")]
    verdict: String,
    /// What was run, with its defaults filled in.
    #[schema(value_type = Object, example = json!({"folds": 5, "step_size": 1, "horizon": 1, "refit": true, "window": "expanding"}))]
    settings: Value,
}

/// A page of backtests, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BacktestsBody {
    backtests: Vec<BacktestEntryBody>,
    /// Pass as `cursor` for what follows; null at the end.
    next_cursor: Option<String>,
}

/// A backtest with all its scores.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct BacktestBody {
    #[serde(flatten)]
    entry: BacktestEntryBody,
    /// Bars of the series.
    #[schema(value_type = u64, example = 1256)]
    n_bars: Value,
    /// The stretches, by the names of their bars.
    #[schema(value_type = Vec<Object>, example = json!([{"known_from": "2013-02-08", "known_to": "2017-02-10", "first_cutoff": "2017-02-10", "last_cutoff": "2017-04-24", "n": 50}]))]
    folds: Value,
    /// The network (`network+online`, as it is served) and each baseline on the same points: by step, all folds
    /// `pooled` and each of the `folds`. Ratios below 1 are better; `null` is undefined; `error` says who refused.
    #[schema(value_type = Vec<Object>, example = json!([{"model": "network+online", "error": null, "steps": [{"step": 1,
        "verdict": "no_evidence", "pinball_ratio_to": {"har": 0.998}, "folds": [], "pooled": {"n": 250, "rmse": 0.0124,
        "mae": 0.009, "mase": 0.97, "rmsse": 0.98, "rmse_ratio_to_naive": 0.9996, "pinball": 0.0034, "crps": 0.0067,
        "intervals": [{"level": 0.8, "observed": 0.804, "width": 0.029, "winkler": 0.045}], "qlike": -7.7,
        "directional_accuracy": 0.52, "diebold_mariano": {"statistic": -0.2, "p_value": 0.42, "n": 250},
        "pesaran_timmermann": null}}]}]))]
    models: Value,
    /// Whether nonsense after a cutoff changed a forecast at it, for each model. Anything but `identical` is a leak.
    #[schema(value_type = Vec<Object>, example = json!([{"model": "har", "cutoffs_checked": 4, "identical": true, "first_difference": null}]))]
    audit: Value,
    /// Whether the point forecast is the last known price in disguise. `is_last_price` is the ordinary answer for prices.
    #[schema(value_type = Option<Object>, example = json!({"rmse_by_lag": [0.0124, 0.0001, 0.0125], "best_lag": 1, "is_last_price": true,
        "variance_share": 0.0002, "correlation_with_last_return": null}))]
    lag: Value,
    /// The network on the same bars in random order: what skill it shows there is chance.
    #[schema(value_type = Option<Object>, example = json!({"verdict": "no_evidence", "rmse_ratio_to_naive": 1.0, "vanished": true}))]
    shuffled: Value,
}

/// Which backtests to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BacktestsQuery {
    /// Entries on a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// In which form a backtest is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct BacktestQuery {
    /// `json`, the report; or `csv`, every forecast beside its truth.
    #[serde(default)]
    #[param(inline)]
    format: BacktestFormat,
}

#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum BacktestFormat {
    #[default]
    Json,
    Csv,
}

/// Queues a walk-forward run of the network, as it is served, beside baselines on the same points. While one of this
/// ticker is queued or running, that one is the answer. The report then stands under the job's id.
#[utoipa::path(post, path = "/v1/tickers/{ticker}/backtests", tag = "backtests", params(("ticker" = String, Path, example = "AAPL")),
    request_body(content = BacktestRequestBody, description = "No body: the defaults"), responses(
    (status = 202, description = "Queued; `Location` is the job", body = QueuedBody, headers(("location" = String, description = "The job"))),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
    (status = 408, description = "The body came too slowly", body = ProblemBody, content_type = "application/problem+json"),
    (status = 413, description = "The body is too large", body = ProblemBody, content_type = "application/problem+json"),
    (status = 415, description = "The body is not JSON", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A field that cannot be, is above a cap of `/v1/limits`, or needs more bars", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn post_backtest(
    State(api): State<Api>,
    Path(name): Path<String>,
    JsonIn(config): JsonIn<BacktestConfig>,
) -> Result<Response, Problem> {
    let record = find(&api, &name).await?;
    config.check(record.bars_total as usize, &api.settings().limits)?;
    let queued = enqueue_backtest(api.app(), &record.ticker, &config).await?;
    let (job, is_new) = queued.ok_or_else(|| Problem::unknown_ticker(&record.ticker))?;
    QueuedBody::answer(&api, job, is_new).await
}

/// The backtests of a ticker that are done, the newest first. The newest few are kept (`/v1/limits`).
#[utoipa::path(get, path = "/v1/tickers/{ticker}/backtests", tag = "backtests",
    params(("ticker" = String, Path, example = "AAPL"), BacktestsQuery), responses(
    (status = 200, description = "A page of backtests", body = BacktestsBody),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A limit outside of the caps", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_backtests(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<BacktestsQuery>,
) -> Result<Json<BacktestsBody>, Problem> {
    let page = page_size(query.limit, &api.settings().limits.query)?;
    let bad_cursor = || Problem::new("bad_cursor", "This cursor is not one that a list of backtests gave.");
    let before = query.cursor.as_deref().map(|text| id(text).ok_or_else(bad_cursor)).transpose()?;
    let record = find(&api, &name).await?;
    let found = api.app().store.backtests(&record.ticker, before.as_deref(), page as u32 + 1).await?;
    let (found, next_cursor) = cut(found, page, |backtest| backtest.id.clone());
    Ok(Json(BacktestsBody { backtests: found.into_iter().map(|one| entry(&record, one)).collect(), next_cursor }))
}

/// One backtest: all scores, per fold and pooled, with the audits and the verdict; `format=csv` gives every forecast
/// beside its truth.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/backtests/{id}", tag = "backtests",
    params(("ticker" = String, Path, example = "AAPL"), ("id" = String, Path, description = "Of the backtest, which is its job's"), BacktestQuery), responses(
    (status = 200, description = "The report, or its points", content(
        (BacktestBody = "application/json"),
        (String = "text/csv", example = "model,fold,as_of,session,step,last_close,close,point,q0.025,q0.1,q0.5,q0.9,q0.975\nhar,1,2017-02-10,2017-02-13,1,132.12,133.29,132.12,129.1,130.5,132.2,133.8,135.2"))),
    (status = 404, description = "No such ticker or backtest", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "It is not done: `backtest_not_done`", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_backtest(
    State(api): State<Api>,
    Path((name, text)): Path<(String, String)>,
    Query(query): Query<BacktestQuery>,
) -> Result<Response, Problem> {
    let record = find(&api, &name).await?;
    let Some(id) = id(&text) else { return Err(no_backtest(&record.ticker, &text)) };
    match query.format {
        BacktestFormat::Json => match api.app().store.backtest(&record.ticker, &id).await? {
            Some((found, report)) => Ok(Json(body(&record, found, report)).into_response()),
            None => Err(absent(&api, &record.ticker, &id).await?),
        },
        BacktestFormat::Csv => {
            let turn = api.app().computing.turn();
            turn.take().await?;
            match api.app().store.backtest_points(&record.ticker, &id).await? {
                Some(packed) => {
                    let unpacked = turn.run(move || unpack_points(&packed)).await?;
                    csv(&record.ticker, &id, unpacked.map_err(Problem::internal)?)
                }
                None => Err(absent(&api, &record.ticker, &id).await?),
            }
        }
    }
}

fn csv(ticker: &Ticker, id: &str, points: Vec<u8>) -> Result<Response, Problem> {
    let file = format!("attachment; filename=\"{ticker}-backtest-{id}.csv\"");
    let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, &file)];
    Ok((headers, points).into_response())
}

/// Why there is no report under an id that could be one.
async fn absent(api: &Api, ticker: &Ticker, id: &str) -> Result<Problem, Problem> {
    let is_ours = |job: &JobRecord| job.kind == BACKTEST && job.ticker == *ticker && job.state != JobState::Succeeded;
    let Some(job) = api.app().store.job(id).await?.filter(is_ours) else { return Ok(no_backtest(ticker, id)) };
    let detail = format!("This backtest has no report: its job is {}.", job.state.as_str());
    let job = serde_json::to_value(JobBody::from(job)).map_err(Problem::internal)?;
    Ok(Problem::new("backtest_not_done", detail).with("job", job))
}

fn no_backtest(ticker: &Ticker, id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::new("unknown_backtest", format!("{ticker} has no backtest {shown:?}, or no longer."))
}

/// The id as it is stored, if the text can be one.
fn id(text: &str) -> Option<String> {
    uuid::Uuid::try_parse(text).ok().map(|id| id.to_string())
}

fn entry(record: &TickerRecord, backtest: BacktestRecord) -> BacktestEntryBody {
    BacktestEntryBody {
        id: backtest.id,
        ticker: record.ticker.clone(),
        created_at: instant(backtest.created_at),
        data_version: backtest.data_version,
        verdict: backtest.verdict,
        settings: backtest.settings,
    }
}

fn body(record: &TickerRecord, backtest: BacktestRecord, mut report: Value) -> BacktestBody {
    let mut part = |name: &str| report.get_mut(name).map(Value::take).unwrap_or_default();
    BacktestBody {
        entry: entry(record, backtest),
        n_bars: part("n_bars"),
        folds: part("folds"),
        models: part("models"),
        audit: part("audit"),
        lag: part("lag"),
        shuffled: part("shuffled"),
    }
}
