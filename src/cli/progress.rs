//! Jobs run by this process, with a bar each.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::jobs::Runner;
use crate::store::{JobRecord, JobState};

/// How often the bars move.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long running trainings get to end once Ctrl-C was pressed.
const GRACE: Duration = Duration::from_secs(5);
/// Bars stand on a scale of thousandths.
const FULL: u64 = 1_000;

/// Runs jobs until these are final, and returns them so. When `stop` comes first they are canceled.
pub(super) async fn run_to_the_end(
    runner: Runner,
    app: &Arc<App>,
    jobs: Vec<JobRecord>,
    stop: &CancellationToken,
) -> anyhow::Result<Vec<JobRecord>> {
    let running = tokio::spawn({
        let runner = runner.clone();
        async move { runner.run().await }
    });
    let ended = watch(app, jobs, stop).await;
    runner.stop(GRACE).await;
    running.await?;
    app.refresh().await?;
    ended
}

async fn watch(app: &App, mut jobs: Vec<JobRecord>, stop: &CancellationToken) -> anyhow::Result<Vec<JobRecord>> {
    let mut bars = Bars::default();
    let mut canceled = false;
    while jobs.iter().any(|job| !job.state.is_final()) {
        if stop.is_cancelled() && !canceled {
            canceled = true;
            for job in jobs.iter().filter(|job| !job.state.is_final()) {
                app.store.cancel_job(&job.id).await?;
            }
        }
        tokio::time::sleep(LOOK_EVERY).await;
        for job in jobs.iter_mut().filter(|job| !job.state.is_final()) {
            if let Some(now) = app.store.job(&job.id).await? {
                *job = now;
            } else {
                // Its ticker was deleted meanwhile, and the job with it.
                job.state = JobState::Canceled;
            }
            bars.show(job);
        }
    }
    Ok(jobs)
}

/// A bar a job, drawn on standard error where that is a terminal.
#[derive(Default)]
struct Bars {
    all: MultiProgress,
    by_job: HashMap<String, ProgressBar>,
}

impl Bars {
    fn show(&mut self, job: &JobRecord) {
        if job.state == JobState::Enqueued {
            return;
        }
        let bar = self.by_job.entry(job.id.clone()).or_insert_with(|| {
            self.all.add(ProgressBar::new(FULL).with_style(style()).with_prefix(job.ticker.to_string()))
        });
        if let Some(progress) = &job.progress {
            let fraction = progress["fraction"].as_f64().unwrap_or_default().clamp(0.0, 1.0);
            bar.set_position((fraction * FULL as f64) as u64);
            bar.set_message(message(progress));
        }
        match job.state {
            JobState::Succeeded => {
                bar.set_position(FULL);
                bar.finish();
            }
            state if state.is_final() => bar.abandon_with_message(state.as_str()),
            _ => {}
        }
    }
}

fn message(progress: &serde_json::Value) -> String {
    let (Some(epoch), Some(epochs)) = (progress["epoch"].as_u64(), progress["epochs"].as_u64()) else {
        return String::new();
    };
    match progress["validation_loss"].as_f64() {
        Some(loss) => format!("epoch {epoch}/{epochs}, loss {loss:.4}"),
        None => format!("epoch {epoch}/{epochs}"),
    }
}

fn style() -> ProgressStyle {
    // What a narrow terminal has no room for is cut off: a line that wraps is drawn again and again.
    let template = "{prefix:>12} {bar:24.cyan/dim} {percent:>3} % {elapsed:>4}  {wide_msg}";
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
