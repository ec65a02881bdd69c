//! Trainings of bars that are stored: queued at once, or made up for when the database answers again.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::due::{TRAIN, enqueue_when_due};
use crate::app::App;
use crate::domain::Ticker;
use crate::ingest::Warning;
use crate::store::{JobRecord, StoreError, TickerRecord};

/// The code of the warning that a training is not queued yet.
pub const NOT_QUEUED: &str = "training_not_queued";

/// A ticker whose bars are stored.
#[derive(Debug)]
pub(super) struct StoredTicker {
    pub record: TickerRecord,
    /// Whether this body changed its bars.
    pub is_changed: bool,
}

/// What could be queued.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub jobs: HashMap<Ticker, JobRecord>,
    /// What is told of those that are left for later.
    pub warnings: Vec<Warning>,
}

/// An answer waits no longer than this for its trainings to be queued.
const PATIENCE: Duration = Duration::from_secs(20);

/// Queues the trainings that are due. From the first failure on the database is not asked again in the caller's time: the
/// rest is told as warnings and left to a task of its own.
pub(super) async fn settle(app: Arc<App>, stored: Vec<StoredTicker>) -> Settled {
    let until = Instant::now() + PATIENCE;
    let mut settled = Settled::default();
    let mut left: VecDeque<TickerRecord> = VecDeque::new();
    let lost = lost(&app, &stored).await;
    let is_reached = lost.is_ok();
    if let Err(error) = &lost {
        tracing::error!(%error, "bars are stored, their trainings cannot be queued yet");
    }
    // Whoever got no answer sends the same bars again: a training that was never queued is queued then.
    let lost = lost.unwrap_or_default();
    left.extend(
        stored
            .into_iter()
            .filter(|ticker| ticker.is_changed || !is_reached || lost.contains(&ticker.record.ticker))
            .map(|ticker| ticker.record),
    );
    while let Some(record) = left.front().filter(|_| is_reached) {
        match tokio::time::timeout_at(until, enqueue_when_due(&app, record)).await {
            Ok(Ok(job)) => settled.jobs.extend(job.map(|job| (record.ticker.clone(), job))),
            Ok(Err(error)) => {
                tracing::error!(ticker = %record.ticker, %error, "bars are stored, their training cannot be queued yet");
                break;
            }
            Err(_) => {
                tracing::warn!(n_tickers = left.len(), "bars are stored, their trainings are queued in the background");
                break;
            }
        }
        left.pop_front();
    }
    settled.warnings.extend(not_queued(&left));
    let claimed = app.claim_unsettled(left.into_iter().map(|record| record.ticker));
    if !claimed.is_empty() {
        tokio::spawn(settle_later(app, claimed));
    }
    settled
}

/// One warning for all that are left: a body may have thousands of tickers.
fn not_queued(left: &VecDeque<TickerRecord>) -> Option<Warning> {
    const NAMED: usize = 3;
    const LATER: &str = "whether a training is due is not settled yet; it is tried again for an hour, and workers look \
                         for what is due of tickers that have a model";
    let first = &left.front()?.ticker;
    if left.len() == 1 {
        let message = format!("the bars are stored, but {LATER}");
        return Some(Warning { code: NOT_QUEUED, session: None, message, ticker: Some(first.clone()) });
    }
    let named: Vec<&str> = left.iter().take(NAMED).map(|record| record.ticker.as_str()).collect();
    let others = if left.len() > NAMED { " …" } else { "" };
    let message = format!("all bars are stored, but for {} tickers ({}{others}) {LATER}", left.len(), named.join(", "));
    Some(Warning { code: NOT_QUEUED, session: None, message, ticker: None })
}

/// Those whose bars this body did not change, and no training was ever queued for them.
async fn lost(app: &App, stored: &[StoredTicker]) -> Result<HashSet<Ticker>, StoreError> {
    let names: Vec<&str> =
        stored.iter().filter(|ticker| !ticker.is_changed).map(|ticker| ticker.record.ticker.as_str()).collect();
    match names.is_empty() {
        true => Ok(HashSet::new()),
        false => Ok(app.store.without_job(TRAIN, &names).await?.into_iter().collect()),
    }
}

/// Tries again, less and less often, for about an hour.
async fn settle_later(app: Arc<App>, tickers: Vec<Ticker>) {
    const ROUNDS: u32 = 66;
    const LONGEST: Duration = Duration::from_secs(60);
    let mut pause = Duration::from_millis(250);
    let mut left = VecDeque::from(tickers);
    for _ in 0..ROUNDS {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
        for _ in 0..left.len() {
            let Some(ticker) = left.pop_front() else { break };
            // Bars that are stored from here on see to their training themselves.
            app.release_unsettled(&ticker);
            let Err(error) = settle_one(&app, &ticker).await else { continue };
            let may_pass = matches!(error, StoreError::Timeout { .. } | StoreError::Database(_));
            if !may_pass {
                tracing::error!(%ticker, %error, "its training cannot be queued");
                continue;
            }
            tracing::warn!(%ticker, %error, "its training cannot be queued yet");
            let is_down = error.is_transient();
            left.extend(app.claim_unsettled([ticker]));
            if is_down {
                break;
            }
        }
        if left.is_empty() {
            return;
        }
    }
    for ticker in left {
        app.release_unsettled(&ticker);
        tracing::error!(%ticker, "its training could not be queued for an hour; send bars again, or train by hand");
    }
}

async fn settle_one(app: &App, ticker: &Ticker) -> Result<(), StoreError> {
    // As it is by now; it may also be gone.
    if let Some(record) = app.store.ticker(ticker).await? {
        enqueue_when_due(app, &record).await?;
    }
    Ok(())
}
