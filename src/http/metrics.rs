//! Prometheus metrics: is it healthy, how fast, how many jobs, how old are models.

use std::collections::HashMap;
use std::sync::{LazyLock, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use ::metrics::{Histogram, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use axum::extract::State;
use axum::http::{StatusCode, header};
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
    describe_counter!("candlecast_job_attempts_total", "Attempts at jobs that this process ended, by kind and end");
    describe_histogram!("candlecast_job_duration_seconds", "Time of an attempt at a job of this process, by kind");
    describe_gauge!("candlecast_jobs", "Jobs by state, over all processes");
    describe_gauge!(
        "candlecast_queue_age_seconds",
        "How long the job that waits longest has been due; 0 when none waits"
    );
    describe_gauge!("candlecast_tickers", "Tickers, by whether a champion answers for them");
    describe_gauge!("candlecast_model_age_bars", "Bars that champions have not seen, as quantiles over the tickers");
    describe_gauge!("process_resident_memory_bytes", "Memory of this process that is in RAM");
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

/// Counts an answer and its time. The recorder is asked for each histogram once: to find it by its labels it makes and
/// compares texts, which costs as much as finding an answer in memory.
pub(super) fn answered(route: &str, method: &'static str, status: StatusCode, seconds: f64) {
    type ByRoute = HashMap<String, HashMap<(&'static str, StatusCode), Histogram>>;
    static KNOWN: LazyLock<RwLock<ByRoute>> = LazyLock::new(RwLock::default);
    let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(histogram) = known.get(route).and_then(|of_route| of_route.get(&(method, status))) {
        return histogram.record(seconds);
    }
    drop(known);
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.as_str().to_owned())];
    let histogram = histogram!("candlecast_http_request_duration_seconds", &labels);
    histogram.record(seconds);
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.entry(route.to_owned()).or_default().insert((method, status), histogram);
}

/// Metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = 200, description = "Metrics in the Prometheus text format", content_type = "text/plain", body = String),
))]
pub(super) async fn get_metrics(State(api): State<Api>) -> Result<Response, Problem> {
    let store = &api.app().store;
    tell_jobs(&store.count_jobs().await?, store.queue_age_ms().await?);
    tell_models(&store.champion_ages().await?);
    if let Some(bytes) = resident_bytes() {
        gauge!("process_resident_memory_bytes").set(bytes as f64);
    }
    let recorder = recorder().ok_or_else(|| Problem::internal("no metrics recorder"))?;
    let text = recorder.render();
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

fn tell_jobs(counts: &[(JobState, u64)], queue_age_ms: Option<u64>) {
    for state in JobState::ALL {
        let n_jobs = counts.iter().find(|(counted, _)| *counted == state).map_or(0, |(_, n_jobs)| *n_jobs);
        gauge!("candlecast_jobs", "state" => state.as_str()).set(n_jobs as f64);
    }
    gauge!("candlecast_queue_age_seconds").set(queue_age_ms.unwrap_or(0) as f64 / 1e3);
}

/// Quantiles and not a series a ticker: there are thousands of those.
fn tell_models(ages: &[Option<u64>]) {
    let mut known: Vec<u64> = ages.iter().copied().flatten().collect();
    known.sort_unstable();
    gauge!("candlecast_tickers", "champion" => "yes").set(known.len() as f64);
    gauge!("candlecast_tickers", "champion" => "no").set((ages.len() - known.len()) as f64);
    for (label, quantile) in [("0.5", 0.5), ("0.9", 0.9), ("1", 1.0)] {
        gauge!("candlecast_model_age_bars", "quantile" => label).set(nearest_rank(&known, quantile));
    }
}

/// The smallest value that a share of `quantile` of them does not exceed; NaN where there are none.
fn nearest_rank(ascending: &[u64], quantile: f64) -> f64 {
    let rank = (quantile * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).map_or(f64::NAN, |value| *value as f64)
}

/// As the kernel counts it; `None` where there is no `/proc`.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_one_of_the_values() {
        assert_eq!([0.5, 0.9, 1.0].map(|quantile| nearest_rank(&[1, 2, 3, 40], quantile)), [2.0, 40.0, 40.0]);
        assert_eq!(nearest_rank(&[7], 0.5), 7.0);
        assert!(nearest_rank(&[], 1.0).is_nan());
    }
}
