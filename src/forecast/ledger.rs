//! Forecasts served beside what came true.

use super::steps::StepReturns;
use super::{Forecast, ModelUsed};
use crate::domain::{Bar, BarTime, Quantiles};
use crate::evaluate::{Outcome, SCORE_LEVELS, SKILL_WINDOW, ScoredForecast};
use crate::store::{LedgerEntry, LedgerFilter, Store, StoreError, TickerRecord};

/// One step of a served forecast, and its bar where that has come.
#[derive(Debug, Clone, PartialEq)]
pub struct ScoredEntry {
    /// As served.
    pub entry: LedgerEntry,
    /// The bar that it was made at, as it is stored now.
    pub origin: Option<Bar>,
    /// The bar that it was about.
    pub truth: Option<Bar>,
}

impl ScoredEntry {
    /// The log return that came true; `None` while the bar has not come. Between bars as they are stored now: where
    /// prices were adjusted since, both ends are.
    pub fn truth_log(&self) -> Option<f64> {
        let from = self.origin.map_or(self.entry.last_close, |bar| bar.close());
        Some((self.truth?.close() / from).ln())
    }

    /// The forecast beside what came true, in log returns; `None` while the bar has not come.
    pub fn outcome(&self) -> Option<Outcome> {
        let truth = self.truth_log()?;
        let forecast = Quantiles::new(SCORE_LEVELS.to_vec(), self.entry.quantiles.clone()).ok()?;
        Some(Outcome { forecast, point: self.entry.point, truth })
    }
}

/// Entries of a ledger read for a track record; of one bar there may be several (a model was promoted in between,
/// baselines were asked too), one of each.
const LIVE_ENTRIES: u32 = 4 * SKILL_WINDOW as u32;

/// The entries of a served forecast, which knew a market so.
pub(super) fn entries(
    forecast: &Forecast,
    returns: &[StepReturns],
    as_of: BarTime,
    market: i64,
    live: bool,
) -> Vec<LedgerEntry> {
    let model = match &forecast.model {
        ModelUsed::Version(used) => used.version.to_string(),
        ModelUsed::Baseline(baseline) => baseline.name().to_owned(),
    };
    let entry = |(idx, step): (usize, &StepReturns)| LedgerEntry {
        as_of,
        step: idx as u32 + 1,
        model: model.clone(),
        data_version: forecast.data_version.unwrap_or_default(),
        market,
        market_tickers: match &forecast.model {
            ModelUsed::Version(used) => used.market_tickers,
            ModelUsed::Baseline(_) => None,
        },
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
    let beside = |entry: LedgerEntry| {
        let after = bars.partition_point(|bar| bar.at() <= entry.as_of);
        let origin = after.checked_sub(1).map(|idx| bars[idx]).filter(|bar| bar.at() == entry.as_of);
        // Steps are counted from the bar it was made at. Where that is gone (a week that was not over, whose end stands on
        // another day), no bar is known to be the one it was about.
        let truth = origin.and_then(|_| bars.get(after + entry.step as usize - 1).copied());
        ScoredEntry { origin, truth, entry }
    };
    Ok(entries.into_iter().map(beside).collect())
}

/// What a ticker's networks forecast live, one session ahead, as far as it came true: each with its version, in order
/// of time.
///
/// # Errors
/// When the database fails.
pub async fn live_forecasts(store: &Store, record: &TickerRecord) -> Result<Vec<(u32, ScoredForecast)>, StoreError> {
    let (live_only, first_only, step, limit) = (true, true, Some(1), LIVE_ENTRIES);
    let filter = LedgerFilter { live_only, first_only, step, limit, ..LedgerFilter::default() };
    let mut entries: Vec<(u32, ScoredEntry)> = scored(store, record, &filter)
        .await?
        .into_iter()
        .filter_map(|scored| Some((scored.entry.model.parse().ok()?, scored)))
        .collect();
    // Of several forecasts as of one bar the first one served counts.
    entries.sort_by_key(|(_, scored)| (scored.entry.as_of, scored.entry.served_at));
    entries.dedup_by_key(|(_, scored)| scored.entry.as_of);
    let forecast = |(version, scored): (u32, ScoredEntry)| {
        let Outcome { forecast, point, truth } = scored.outcome()?;
        Some((version, ScoredForecast::new(scored.entry.as_of, &forecast, point, truth)))
    };
    Ok(entries.into_iter().filter_map(forecast).collect())
}
