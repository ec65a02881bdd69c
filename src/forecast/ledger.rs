//! Forecasts served beside what came true.

use super::steps::StepReturns;
use super::{Forecast, ModelUsed};
use crate::domain::{Bar, BarTime, Level, Quantiles};
use crate::evaluate::{Outcome, SCORE_LEVELS, Skill, skill};
use crate::store::{LedgerEntry, LedgerFilter, Store, StoreError, TickerRecord};

/// One step of a served forecast, and its bar where that has come.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredEntry {
    /// As served.
    pub entry: LedgerEntry,
    /// The bar that it was about.
    pub truth: Option<Bar>,
}

impl ScoredEntry {
    /// The forecast beside what came true, in log returns; `None` while the bar has not come.
    pub fn outcome(&self) -> Option<Outcome> {
        let truth = (self.truth?.close() / self.entry.last_close).ln();
        let forecast = Quantiles::new(SCORE_LEVELS.to_vec(), self.entry.quantiles.clone()).ok()?;
        Some(Outcome { forecast, point: self.entry.point, truth })
    }
}

/// Forecasts that a skill is made of: a year of sessions, as far as there are as many.
const SKILL_WINDOW: u32 = 250;

/// Scored forecasts below which a track record says nothing.
const MIN_SCORED: usize = 30;

/// The entries of a served forecast.
pub(super) fn entries(forecast: &Forecast, returns: &[StepReturns], as_of: BarTime, live: bool) -> Vec<LedgerEntry> {
    let model = match &forecast.model {
        ModelUsed::Version(used) => used.version.to_string(),
        ModelUsed::Baseline(baseline) => baseline.name().to_owned(),
    };
    let entry = |(idx, step): (usize, &StepReturns)| LedgerEntry {
        as_of,
        step: idx as u32 + 1,
        model: model.clone(),
        data_version: forecast.data_version.unwrap_or_default(),
        live,
        last_close: forecast.last_close,
        point: step.point,
        quantiles: SCORE_LEVELS.map(|level| step.distribution.at(level)).to_vec(),
        served_at: 0,
    };
    returns.iter().enumerate().map(entry).collect()
}

/// Entries with the bars that they were about, the newest forecasts first.
pub(super) async fn scored(
    store: &Store,
    record: &TickerRecord,
    filter: &LedgerFilter,
) -> Result<Vec<ScoredEntry>, StoreError> {
    let entries = store.ledger(record.id, filter).await?;
    let Some(oldest) = entries.last().map(|entry| entry.as_of) else { return Ok(Vec::new()) };
    let bars = store.bars(record.id, oldest, BarTime::from_seconds(i64::MAX), u64::MAX).await?;
    let truth = |entry: &LedgerEntry| {
        let after = bars.partition_point(|bar| bar.at() <= entry.as_of);
        bars.get(after + entry.step as usize - 1).copied()
    };
    Ok(entries.into_iter().map(|entry| ScoredEntry { truth: truth(&entry), entry }).collect())
}

/// What the live forecasts of a ticker's networks were worth, one step ahead; `None` while too few have come true.
pub(super) async fn track_record(
    store: &Store,
    record: &TickerRecord,
    levels: &[Level],
) -> Result<Option<Skill>, StoreError> {
    let filter = LedgerFilter { live_only: true, step: Some(1), limit: SKILL_WINDOW * 4, ..LedgerFilter::default() };
    let mut scored = scored(store, record, &filter).await?;
    scored.retain(|scored| scored.entry.model.parse::<u32>().is_ok());
    // Of several forecasts as of one bar (a model was promoted in between) the first one served counts.
    scored.sort_by_key(|scored| (scored.entry.as_of, scored.entry.served_at));
    scored.dedup_by_key(|scored| scored.entry.as_of);
    let outcomes: Vec<Outcome> = scored.iter().filter_map(ScoredEntry::outcome).collect();
    let newest = &outcomes[outcomes.len().saturating_sub(SKILL_WINDOW as usize)..];
    Ok((newest.len() >= MIN_SCORED).then(|| skill(newest, None, levels, 1)))
}
