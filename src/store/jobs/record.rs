//! A job as stored.

use serde::{Deserialize, Serialize};

use crate::domain::Ticker;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
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

impl JobState {
    /// All states, in the order of a job's life.
    pub const ALL: [Self; 5] = [Self::Enqueued, Self::Running, Self::Succeeded, Self::Failed, Self::Canceled];

    /// As stored and sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Canceled => "canceled",
        }
    }

    /// Whether nothing more will happen to it.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Enqueued | Self::Running)
    }
}

impl JobRecord {
    /// Attempts that ended without a word before the last one: their worker died, of the job perhaps.
    pub fn interruptions(&self) -> u32 {
        self.attempt.saturating_sub(self.failures + self.handed_back + 1)
    }
}

impl std::str::FromStr for JobState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|state| state.as_str() == text);
        found.ok_or_else(|| format!("state {text:?} is none of enqueued, running, succeeded, failed, canceled"))
    }
}

/// A job as stored. Times are ms since 1970 UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// UUIDv7: ids ascend with time.
    pub id: String,
    /// `train` or `backtest`.
    pub kind: String,
    /// Whose.
    pub ticker: Ticker,
    /// Where it stands.
    pub state: JobState,
    /// What to do, by the kind's own rules.
    pub payload: serde_json::Value,
    /// How often a worker began it.
    pub attempt: u32,
    /// How many of these attempts failed.
    pub failures: u32,
    /// How many of them a worker handed back because it stopped.
    pub handed_back: u32,
    /// A client wants it canceled.
    pub cancel_requested: bool,
    /// When it was queued.
    pub created_at: i64,
    /// When the first attempt began.
    pub started_at: Option<i64>,
    /// When it became final.
    pub finished_at: Option<i64>,
    /// As last reported.
    pub progress: Option<serde_json::Value>,
    /// Of a success.
    pub result: Option<serde_json::Value>,
    /// Of a failure.
    pub error: Option<serde_json::Value>,
}

pub(super) const COLUMNS: &str =
    "jobs.id, kind, tickers.name AS ticker, state, payload, attempt, failures, handed_back, cancel_requested,
    created_at, started_at, finished_at, progress, result, error";

/// A row of [`COLUMNS`] as a record, for either database's row type.
macro_rules! job {
    ($row:expr) => {{
        let row = $row;
        (|| -> Result<JobRecord, StoreError> {
            let json = |column: &'static str| -> Result<Option<serde_json::Value>, StoreError> {
                row.try_get::<Option<String>, _>(column)?.map(|text| parsed("a job", &text)).transpose()
            };
            Ok(JobRecord {
                id: row.try_get("id")?,
                kind: row.try_get("kind")?,
                ticker: parsed("a ticker", &row.try_get::<String, _>("ticker")?)?,
                state: parsed("a job's state", &row.try_get::<String, _>("state")?)?,
                payload: json("payload")?.unwrap_or_default(),
                attempt: row.try_get::<i64, _>("attempt")? as u32,
                failures: row.try_get::<i64, _>("failures")? as u32,
                handed_back: row.try_get::<i64, _>("handed_back")? as u32,
                cancel_requested: row.try_get("cancel_requested")?,
                created_at: row.try_get("created_at")?,
                started_at: row.try_get("started_at")?,
                finished_at: row.try_get("finished_at")?,
                progress: json("progress")?,
                result: json("result")?,
                error: json("error")?,
            })
        })()
    }};
}

pub(super) use job;
