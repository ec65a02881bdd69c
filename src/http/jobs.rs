//! Background work: what is queued, how far it is, how it ended.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Path, Query};
use super::wire::{cut, instant, page_size, start, ticker};
use crate::domain::Ticker;
use crate::jobs::due::training_config;
use crate::jobs::waiting;
use crate::store::{JobFilter, JobRecord, JobState, Store, StoreError};

/// A piece of background work.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct JobBody {
    /// Ids ascend with time.
    #[schema(example = "0199d2f4-6d9a-7cc2-a7a4-5e2f5a3c1b11")]
    id: String,
    /// `train` or `backtest`.
    #[schema(example = "train")]
    kind: String,
    /// Whose.
    #[schema(value_type = String, example = "AAPL")]
    ticker: Ticker,
    /// Where it stands.
    #[schema(value_type = JobStateBody)]
    state: JobState,
    /// Where it waits and for what; null when it does not wait, and in lists.
    queue: Option<QueueBody>,
    /// How often a worker began it.
    attempt: u32,
    /// Whether a client asked to cancel it; a running job goes on until its worker hears of it, within a heartbeat.
    cancel_requested: bool,
    /// Of a training: what is trained, every field of it; null for other kinds.
    #[schema(value_type = Option<Object>, example = json!({"cell": "lstm", "hidden": 16, "lookback": 20, "horizon": 5}))]
    config: Option<Value>,
    /// When it was queued, RFC 3339 UTC.
    #[schema(example = "2026-11-23T20:00:00.000Z")]
    created_at: String,
    /// When the first attempt began.
    started_at: Option<String>,
    /// When it ended.
    finished_at: Option<String>,
    /// How far it is.
    #[schema(value_type = Option<Object>, example = json!({"fraction": 0.4, "epoch": 12, "epochs": 30, "train_loss": 0.29, "validation_loss": 0.288, "eta_ms": 2100}))]
    progress: Option<Value>,
    /// Of a job that succeeded: what a training made, or which backtest.
    #[schema(value_type = Option<Object>, example = json!({"model_version": 3, "promoted": true, "reason": "…"}))]
    result: Option<Value>,
    /// Of a job that failed: `code` and `message`.
    #[schema(value_type = Option<Object>)]
    error: Option<Value>,
}

/// The place of a job that waits.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(super) struct QueueBody {
    /// Waiting jobs that will be taken up before it.
    #[schema(example = 3)]
    jobs_ahead: u64,
    /// Jobs that run now, on all workers.
    #[schema(example = 1)]
    jobs_running: u64,
    /// When its next try is due, after one that failed; null where it could begin now.
    not_before: Option<String>,
    /// What it waits for, in words.
    #[schema(example = "1 job runs and 3 wait before it; worker.n_jobs says how many a worker runs at one time")]
    reason: String,
}

/// A job that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct QueuedBody {
    #[serde(flatten)]
    job: JobBody,
    /// Whether one was queued or running before, with its own settings: then this is that one, and nothing was queued.
    already_queued: bool,
}

impl QueuedBody {
    /// 202 with the job and its `Location`.
    pub(super) async fn answer(api: &Api, job: JobRecord, is_new: bool) -> Result<Response, Problem> {
        let location = HeaderValue::from_str(&format!("/v1/jobs/{}", job.id)).map_err(Problem::internal)?;
        let placed = JobBody::placed(&api.app().store, job.clone()).await.unwrap_or_else(|error| {
            // The job is queued, whatever else fails: who was refused now would ask again.
            tracing::warn!(%error, "a job is told without its place in the queue");
            job.into()
        });
        let body = Self { job: placed, already_queued: !is_new };
        Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(body)).into_response())
    }
}

/// The states of a job.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "names the values in the OpenAPI document")]
pub(super) enum JobStateBody {
    /// Waits for a worker.
    Enqueued,
    /// A worker holds it.
    Running,
    /// Done.
    Succeeded,
    /// Gave up.
    Failed,
    /// Canceled by a client.
    Canceled,
}

impl JobBody {
    /// The job with its place in the queue.
    pub(super) async fn placed(store: &Store, job: JobRecord) -> Result<Self, StoreError> {
        let place = if job.state == JobState::Enqueued { store.queue_place(&job.id).await? } else { None };
        let queue = place.map(|place| QueueBody {
            jobs_ahead: place.ahead,
            jobs_running: place.running,
            not_before: place.not_before.map(instant),
            reason: waiting::reason(&place),
        });
        Ok(Self { queue, ..job.into() })
    }
}

impl From<JobRecord> for JobBody {
    fn from(job: JobRecord) -> Self {
        Self {
            config: training_config(&job).cloned(),
            cancel_requested: job.cancel_requested,
            id: job.id,
            kind: job.kind,
            ticker: job.ticker,
            state: job.state,
            queue: None,
            attempt: job.attempt,
            created_at: instant(job.created_at),
            started_at: job.started_at.map(instant),
            finished_at: job.finished_at.map(instant),
            progress: job.progress,
            result: job.result,
            error: job.error,
        }
    }
}

/// Which jobs to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct JobsQuery {
    /// Only in this state.
    #[param(value_type = Option<JobStateBody>)]
    state: Option<JobState>,
    /// Only of this ticker.
    #[param(example = "AAPL")]
    ticker: Option<String>,
    /// Entries on a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// A page of jobs, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JobsBody {
    jobs: Vec<JobBody>,
    /// Pass as `cursor` for what follows; null at the end.
    next_cursor: Option<String>,
}

/// Jobs, the newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "training", params(JobsQuery), responses(
    (status = 200, description = "A page of jobs", body = JobsBody),
    (status = 422, description = "A limit outside of the caps", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_jobs(
    State(api): State<Api>,
    Query(query): Query<JobsQuery>,
) -> Result<Json<JobsBody>, Problem> {
    let page = page_size(query.limit, &api.settings().limits.query)?;
    let before = start(query.cursor.as_deref(), "jobs", job_id)?;
    let ticker = query.ticker.as_deref().map(ticker).transpose()?;
    let filter = JobFilter { state: query.state, ticker, before, ..JobFilter::default() };
    let jobs = api.app().store.jobs(&filter, page as u32 + 1).await?;
    let (jobs, next_cursor) = cut(jobs, page, |job| job.id.clone());
    Ok(Json(JobsBody { jobs: jobs.into_iter().map(JobBody::from).collect(), next_cursor }))
}

/// One job.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "training", params(("id" = String, Path, description = "Of the job")), responses(
    (status = 200, description = "The job", body = JobBody),
    (status = 404, description = "No such job", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_job(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<JobBody>, Problem> {
    let job = find(&api, &id).await?;
    Ok(Json(JobBody::placed(&api.app().store, job).await?))
}

/// Cancels a job: a waiting one at once, a running one within a heartbeat. The job as it then is.
#[utoipa::path(delete, path = "/v1/jobs/{id}", tag = "training", params(("id" = String, Path, description = "Of the job")), responses(
    (status = 200, description = "Canceled, or about to be: then `state` is still `running` and `cancel_requested` is true", body = JobBody),
    (status = 404, description = "No such job", body = ProblemBody, content_type = "application/problem+json"),
    (status = 409, description = "It is finished: `job_finished`", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn delete_job(State(api): State<Api>, Path(id): Path<String>) -> Result<Json<JobBody>, Problem> {
    let job = find(&api, &id).await?;
    if job.state.is_final() {
        return Err(Problem::new("job_finished", format!("This job has ended already: {}.", job.state.as_str()))
            .with("state", job.state.as_str()));
    }
    let job = api.app().store.cancel_job(&job.id).await?.ok_or_else(|| no_job(&id))?;
    Ok(Json(job.into()))
}

/// Follows a job by server-sent events: `progress` with each change, then one of `succeeded`, `failed`,
/// `canceled`; the data is the job.
#[utoipa::path(get, path = "/v1/jobs/{id}/events", tag = "training", params(("id" = String, Path, description = "Of the job")), responses(
    (status = 200, description = "Events until the job ends, each as its fields", body = JobEventBody, content_type = "text/event-stream"),
    (status = 404, description = "No such job", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_job_events(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let job = find(&api, &id).await?;
    let permit = Arc::clone(&api.0.event_streams).try_acquire_owned().map_err(|_| {
        Problem::new("overloaded", "Too many clients follow jobs; ask GET /v1/jobs/{id} instead.").retry_after(10)
    })?;
    let follow = Follow { api, id: job.id, seen: None, counted: Instant::now(), ended: false, _permit: permit };
    let events = futures::stream::unfold(follow, |mut follow| async move {
        let event = follow.next().await?;
        Some((Ok(event), follow))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))))
}

/// One server-sent event of a job.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "names the fields in the OpenAPI document")]
pub(super) struct JobEventBody {
    /// `progress`, or the state in which the job ended.
    #[schema(example = "progress")]
    event: String,
    /// The job as JSON, on one line.
    #[schema(example = "{\"id\":\"0199d2f4-6d9a-7cc2-a7a4-5e2f5a3c1b11\",\"kind\":\"train\",\"state\":\"running\"}")]
    data: String,
}

/// How often the store is asked; a training's progress moves a few times a second at most.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// How often the queue before a job is counted; that reads every job that waits.
const COUNT_EVERY: Duration = Duration::from_secs(3);

/// One client that follows one job, whichever process works on it.
struct Follow {
    api: Api,
    id: String,
    seen: Option<JobBody>,
    counted: Instant,
    ended: bool,
    _permit: OwnedSemaphorePermit,
}

impl Follow {
    /// The next change; `None` after the last one, when the job is gone, or when the server stops.
    async fn next(&mut self) -> Option<Event> {
        while !self.ended {
            let job = match self.look().await {
                Ok(job) => job?,
                Err(error) => {
                    tracing::warn!(%error, "an event stream ends: the job cannot be read");
                    return None;
                }
            };
            if self.seen.as_ref() != Some(&job) {
                self.ended = job.state.is_final();
                let name = if self.ended { job.state.as_str() } else { "progress" };
                let event = Event::default().event(name).json_data(&job).ok()?;
                self.seen = Some(job);
                return Some(event);
            }
            self.api.0.stop.run_until_cancelled(tokio::time::sleep(ASK_EVERY)).await?;
        }
        None
    }
}

impl Follow {
    async fn look(&mut self) -> Result<Option<JobBody>, StoreError> {
        let store = &self.api.app().store;
        let Some(job) = store.job(&self.id).await? else { return Ok(None) };
        let known = self.seen.as_ref().and_then(|seen| seen.queue.clone());
        match known.filter(|_| job.state == JobState::Enqueued && self.counted.elapsed() < COUNT_EVERY) {
            Some(queue) => Ok(Some(JobBody { queue: Some(queue), ..job.into() })),
            None => {
                self.counted = Instant::now();
                JobBody::placed(store, job).await.map(Some)
            }
        }
    }
}

async fn find(api: &Api, id: &str) -> Result<JobRecord, Problem> {
    let id = job_id(id).ok_or_else(|| no_job(id))?;
    api.app().store.job(&id).await?.ok_or_else(|| no_job(&id))
}

fn no_job(id: &str) -> Problem {
    let shown: String = id.chars().take(64).collect();
    Problem::new("unknown_job", format!("There is no job {shown:?}."))
}

fn job_id(text: &str) -> Option<String> {
    uuid::Uuid::try_parse(text).ok().map(|id| id.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::Path as FilePath;

    use serde_json::json;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::app::App;
    use crate::config::{DatabaseSettings, Settings};
    use crate::domain::{Bar, BarTime, Interval, Series, bar::RawBar};
    use crate::store::{OnConflict, PriceBasis, SentBars};

    /// An API over a database in `folder`, with a waiting job of each ticker.
    async fn api(folder: &FilePath, tickers: &[&str]) -> (Api, Vec<JobRecord>) {
        let mut settings = Settings { models_dir: folder.join("models").display().to_string(), ..Settings::default() };
        settings.database = DatabaseSettings::sqlite(&folder.join("test.db"));
        let app = Arc::new(App::open(settings).await.expect("opens"));
        let price = RawBar { at: BarTime::from_seconds(0), open: 1.0, high: 1.0, low: 1.0, close: 1.0, volume: None };
        let series = Series::new(Interval::Day, vec![Bar::new(price).expect("a bar")]).expect("one bar");
        let mut jobs = Vec::new();
        for name in tickers {
            let ticker: Ticker = name.parse().expect("a ticker");
            let price_basis = PriceBasis::Raw;
            let (calendar, currency, finishes) = (None, None, None);
            let sent = SentBars { ticker: &ticker, series: &series, calendar, currency, price_basis, finishes };
            app.store.put_bars(&[sent], OnConflict::Replace, false).await.expect("stored");
            let id = uuid::Uuid::now_v7().to_string();
            let queued = app.store.enqueue(&id, "train", &ticker, &json!({})).await.expect("queued");
            jobs.push(queued.expect("the ticker is there").0);
        }
        (Api::new(app, CancellationToken::new()), jobs)
    }

    #[tokio::test]
    async fn who_follows_a_waiting_job_has_its_queue_counted_every_three_seconds() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (api, jobs) = api(folder.path(), &["A", "B"]).await;
        let permit = Arc::clone(&api.0.event_streams).try_acquire_owned().expect("room");
        let (id, counted) = (jobs[1].id.clone(), Instant::now());
        let mut follow = Follow { api: api.clone(), id, seen: None, counted, ended: false, _permit: permit };
        async fn ahead(follow: &mut Follow) -> u64 {
            let body = follow.look().await.expect("reads").expect("there");
            let ahead = body.queue.as_ref().expect("it waits").jobs_ahead;
            follow.seen = Some(body);
            ahead
        }
        assert_eq!(ahead(&mut follow).await, 1);
        api.app().store.cancel_job(&jobs[0].id).await.expect("canceled");
        assert_eq!(ahead(&mut follow).await, 1, "counted a moment ago");
        follow.counted = Instant::now().checked_sub(COUNT_EVERY).expect("a machine up for longer");
        assert_eq!(ahead(&mut follow).await, 0);
        assert!(follow.counted.elapsed() < COUNT_EVERY, "and not again at once");
    }
}
