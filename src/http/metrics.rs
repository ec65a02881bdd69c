//! Prometheus metrics: is it healthy, how fast, how many jobs, how old are models.

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{describe_counter, describe_gauge, describe_histogram, gauge};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

use super::Api;
use super::error::Problem;
use crate::store::JobState;

const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// From cached answers (tens of µs) to a large upload.
const BUCKETS_SECONDS: &[f64] =
    &[0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0];

/// The one recorder of the process, installed on first use.
fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    let installed = RECORDER.get_or_init(|| {
        install().inspect_err(|error| tracing::error!(%error, "no metrics: another recorder is installed")).ok()
    });
    installed.as_ref()
}

fn install() -> Result<PrometheusHandle, BuildError> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), BUCKETS_SECONDS)?
        .install_recorder()?;
    describe_histogram!("candlecast_http_request_duration_seconds", "Time to answer, by route, method and status");
    describe_counter!("candlecast_forecast_cache_total", "Forecasts answered from cached bytes (hit) or made (miss)");
    describe_gauge!("candlecast_jobs", "Jobs by state");
    describe_gauge!("candlecast_up", "1 while the process answers, labelled with its version");
    gauge!("candlecast_up", "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(handle)
}

/// Empties the histograms' buffers, which otherwise grow with every request, until `stop`.
pub(super) async fn upkeep(stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(UPKEEP_EVERY)).await.is_some() {
        if let Some(recorder) = recorder() {
            recorder.run_upkeep();
        }
    }
}

/// Makes sure that what is counted before the first scrape is kept.
pub(super) fn begin() {
    recorder();
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = 200, description = "Metrics in the Prometheus text format", content_type = "text/plain", body = String),
))]
pub(super) async fn get_metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let counts = api.app().store.count_jobs().await?;
    for state in JobState::ALL {
        let n_jobs = counts.iter().find(|(counted, _)| *counted == state).map_or(0, |(_, n_jobs)| *n_jobs);
        gauge!("candlecast_jobs", "state" => state.as_str()).set(n_jobs as f64);
    }
    let recorder = recorder().ok_or_else(|| Problem::internal("no metrics recorder"))?;
    let text = recorder.render();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}
