//! A challenger against the champion: who forecast better what neither was trained on.

use std::sync::Arc;

use serde::Serialize;
use serde_json::json;

use super::due::policy;
use super::train::{of_market, of_registry, of_store};
use super::{JobContext, JobFailure};
use crate::app::App;
use crate::domain::{BarTime, Series, Ticker, counted};
use crate::evaluate::{
    EvaluateError, Promotion, PromotionRule, ScoredForecast, decide, on_common_bars, report_levels,
    served_since_training,
};
use crate::registry::{LoadedModel, RegistryError};
use crate::store::TickerRecord;

/// What came of a challenge; kept with the version, so that a refused one is listed with the reason.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Challenge {
    /// Whether it became champion.
    pub(super) promoted: bool,
    /// The champion's version.
    against: Option<u32>,
    /// Why, or why not.
    pub(super) reason: String,
    /// Held-back bars that both forecast.
    n: usize,
    /// Pinball loss over the champion's.
    pinball_ratio: Option<f64>,
    /// How likely losses that much larger are if it is no worse.
    p_value: Option<f64>,
}

impl Challenge {
    fn new(against: Option<u32>, decision: Promotion) -> Self {
        let Promotion { promote, reason, n, pinball_ratio, p_value } = decision;
        Self { promoted: promote, against, reason, n, pinball_ratio, p_value }
    }

    /// It became champion without being compared.
    fn uncontested(against: Option<u32>, reason: String) -> Self {
        Self { promoted: true, against, reason, n: 0, pinball_ratio: None, p_value: None }
    }
}

/// Promotes a first model, and one that is not worse than the champion. The decision is kept before it is carried out.
pub(super) fn challenge(
    app: &App,
    ticker: &Ticker,
    version: u32,
    context: &JobContext,
) -> Result<Challenge, JobFailure> {
    const TRIES: usize = 10;
    for _ in 0..TRIES {
        let record = context.wait_for(app.store.ticker(ticker)).map_err(of_store)?;
        let record = record.ok_or_else(|| JobFailure::lasting("unknown_ticker", format!("{ticker} was deleted")))?;
        let decided = match record.champion {
            Some(champion) if champion == version => {
                return Ok(Challenge::uncontested(None, "it is the champion".to_owned()));
            }
            Some(champion) => compare(app, &record, champion, version, context)?,
            None => Challenge::new(None, decide(None, &[], &report_levels(), 1, &PromotionRule::default())),
        };
        context.wait_for(app.store.set_promotion(ticker, version, &json!(decided))).map_err(of_store)?;
        if !decided.promoted {
            return Ok(decided);
        }
        match context.wait_for(app.registry.promote(ticker, version, record.champion)) {
            Ok(()) => return Ok(decided),
            Err(RegistryError::Raced { .. }) => {}
            Err(error) => return Err(of_registry(error)),
        }
    }
    Err(JobFailure::passing("raced", format!("the champion of {ticker} changes faster than it can be compared with")))
}

fn compare(
    app: &App,
    record: &TickerRecord,
    champion: u32,
    version: u32,
    context: &JobContext,
) -> Result<Challenge, JobFailure> {
    let ticker = &record.ticker;
    let new = context.wait_for(app.registry.load(ticker, version)).map_err(of_registry)?;
    let against = Some(champion);
    let old = match context.wait_for(app.registry.load(ticker, champion)) {
        Ok(old) => old,
        Err(refusal @ (RegistryError::Refused { .. } | RegistryError::Outdated { .. })) => {
            return Ok(Challenge::uncontested(against, format!("the champion cannot be served: {refusal}")));
        }
        Err(error) => return Err(of_registry(error)),
    };
    let since = context.wait_for(app.store.count_bars_after(record.id, old.manifest.last)).map_err(of_store)?;
    let count = old.model.memory() as u64 + since;
    let newest = app.store.newest_bars(record.id, BarTime::from_seconds(i64::MAX), count);
    let bars = context.wait_for(newest).map_err(of_store)?;
    let series = Series::new(record.interval, bars).map_err(|error| JobFailure::lasting("bad_series", error))?;
    let series = context.wait_for(app.in_newest_market(record, series)).map_err(of_market)?;
    let theirs = match as_served(&old, &series) {
        Ok(theirs) => theirs,
        Err(error) => {
            return Ok(Challenge::uncontested(
                against,
                format!("the champion cannot forecast from these bars: {error}"),
            ));
        }
    };
    let [ours, champions] = [&new, &old].map(|loaded| loaded.model.config().horizon.steps());
    // One that is too old to answer is in nobody's service.
    if ours < champions && !policy(record).is_expired(since) {
        let reason = format!(
            "it forecasts {} ahead and the champion {champions}, which may be asked for: promote it where that is meant",
            counted(ours, "step")
        );
        let refused = Promotion { promote: false, reason, n: 0, pinball_ratio: None, p_value: None };
        return Ok(Challenge::new(against, refused));
    }
    let (theirs, ours) = on_common_bars(&theirs, &new.record.scored);
    let decision = decide(Some(&theirs), &ours, &report_levels(), 1, &PromotionRule::default());
    Ok(Challenge::new(against, decision))
}

/// Everything that a model forecast without having been trained on the outcome, as it was or would have been served:
/// the bars that it held back, and those that came since.
fn as_served(loaded: &Arc<LoadedModel>, series: &Series) -> Result<Vec<ScoredForecast>, EvaluateError> {
    let mut scored = loaded.record.scored.clone();
    scored.extend(served_since_training(&loaded.model, &loaded.record.calibration, series)?);
    Ok(scored)
}
