//! Every forecast served, beside what came true.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Path, Query};
use super::forecasts::model;
use super::wire::{cut, edge, instant, out_of_range, page_size, start, ticker};
use crate::domain::{BarTime, Horizon, Interval};
use crate::evaluate::{SCORE_LEVELS, metrics};
use crate::forecast::ScoredEntry;
use crate::store::{LedgerFilter, LedgerPlace};

/// Which forecasts to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LedgerQuery {
    /// Made as of this session or later.
    #[param(example = "2018-01-01")]
    from: Option<String>,
    /// Made as of this session or earlier.
    #[param(example = "2018-02-07")]
    to: Option<String>,
    /// Only those made when `as_of` was the newest bar; the others are replays.
    #[serde(default)]
    live: bool,
    /// Only this many sessions ahead.
    #[param(minimum = 1, maximum = 20)]
    step: Option<u32>,
    /// Only those of `champion` (the version in service), of a version, or of a baseline.
    #[param(example = "champion")]
    model: Option<String>,
    /// Entries on a page.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Where the page before ended.
    cursor: Option<String>,
}

/// Forecasts served, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LedgerBody {
    ledger: Vec<LedgerEntryBody>,
    /// Pass as `cursor` for what follows; null at the end.
    next_cursor: Option<String>,
}

/// One step of a forecast as it was served.
#[derive(Debug, Serialize, ToSchema)]
struct LedgerEntryBody {
    /// The last session that it saw.
    #[schema(example = "2018-02-07")]
    as_of: String,
    /// Sessions ahead.
    #[schema(example = 1)]
    step: u32,
    /// A version's number, or a baseline's name.
    #[schema(example = "3")]
    model: String,
    /// The state of the bars.
    data_version: u64,
    /// Of how many other tickers of its exchange it knew the session of `as_of`: that may be later than the ticker's own
    /// bar, so of the same bars there may be several forecasts. Null where of none.
    #[schema(example = 26)]
    market_tickers: Option<u32>,
    /// Whether `as_of` was the newest bar when it was served.
    live: bool,
    /// When it was served, RFC 3339 UTC.
    served_at: String,
    /// The close of `as_of`.
    #[schema(example = 159.54)]
    last_close: f64,
    /// The point forecast.
    #[schema(example = 159.6)]
    close: f64,
    /// The same as log return from the last close.
    #[schema(example = 0.0004)]
    return_log: f64,
    /// The distribution as it was served.
    quantiles: Vec<LedgerQuantileBody>,
    /// What came true; null while it has not.
    truth: Option<TruthBody>,
}

/// One point of a distribution.
#[derive(Debug, Serialize, ToSchema)]
struct LedgerQuantileBody {
    #[schema(example = 0.1)]
    quantile: f64,
    #[schema(example = 157.1)]
    close: f64,
}

/// What came true, and how the forecast did.
#[derive(Debug, Serialize, ToSchema)]
struct TruthBody {
    /// Which session it was.
    #[schema(example = "2018-02-08")]
    session: String,
    /// Its close.
    #[schema(example = 155.15)]
    close: f64,
    /// Log return from the close of `as_of` as it is stored now.
    #[schema(example = -0.0279)]
    return_log: f64,
    /// The point forecast's error in log return: truth less forecast.
    error_log: f64,
    /// Mean pinball loss at the levels of `quantiles`, in log return; null where the entry has none.
    pinball: Option<f64>,
}

/// Every forecast served of a ticker, with what came true and its score, the newest first.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/ledger", tag = "forecasts",
    params(("ticker" = String, Path, example = "AAPL"), LedgerQuery), responses(
    (status = 200, description = "The forecasts", body = LedgerBody),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A limit or step outside of the caps", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_ledger(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<LedgerQuery>,
) -> Result<Json<LedgerBody>, Problem> {
    let page = page_size(query.limit, &api.settings().limits.query)?;
    let all = LedgerFilter::default();
    let filter = LedgerFilter {
        from: query.from.as_deref().map_or(Ok(all.from), |text| edge("from", text, false))?,
        to: query.to.as_deref().map_or(Ok(all.to), |text| edge("to", text, true))?,
        live_only: query.live,
        first_only: false,
        step: query.step.map(step).transpose()?,
        model: None,
        after: start(query.cursor.as_deref(), "forecasts", place)?,
        limit: page as u32 + 1,
    };
    let of = query.model.as_deref().map(model).transpose()?;
    let (record, entries) = api.0.forecaster.ledger(&ticker(&name)?, of, filter).await?;
    let (entries, next_cursor) = cut(entries, page, |scored| cursor(&scored.entry.place()));
    let ledger = entries.into_iter().map(|entry| LedgerEntryBody::new(record.interval, entry)).collect();
    Ok(Json(LedgerBody { ledger, next_cursor }))
}

fn step(asked: u32) -> Result<u32, Problem> {
    let refuse = |_| out_of_range("step", asked as usize, Horizon::MAX as usize);
    Horizon::try_from(asked).map(|_| asked).map_err(refuse)
}

/// A place as text: `1517961600.1.3.1764164000000.0.har`. The name comes last, because nothing says that it has no dot.
fn cursor(place: &LedgerPlace) -> String {
    let LedgerPlace { as_of, step, model, data_version, served_at, market } = place;
    format!("{}.{step}.{data_version}.{served_at}.{market}.{model}", as_of.seconds())
}

fn place(cursor: &str) -> Option<LedgerPlace> {
    let mut parts = cursor.splitn(6, '.');
    let as_of = BarTime::from_seconds(parts.next()?.parse().ok()?);
    let step = parts.next()?.parse().ok()?;
    let data_version = parts.next()?.parse::<i64>().ok()?.try_into().ok()?;
    let served_at = parts.next()?.parse().ok()?;
    let market = parts.next()?.parse().ok()?;
    let model = parts.next().filter(|model| !model.contains('\0'))?.to_owned();
    Some(LedgerPlace { as_of, step, model, data_version, served_at, market })
}

impl LedgerEntryBody {
    fn new(interval: Interval, scored: ScoredEntry) -> Self {
        let (outcome, truth_log) = (scored.outcome(), scored.truth_log());
        let ScoredEntry { entry, truth, .. } = scored;
        let price = |return_log: f64| entry.last_close * return_log.exp();
        let truth = truth.zip(truth_log).map(|(bar, return_log)| TruthBody {
            session: interval.label(bar.at()),
            close: bar.close(),
            return_log: return_log + 0.0,
            error_log: return_log - entry.point + 0.0,
            pinball: outcome.map(|outcome| metrics::pinball_of(&outcome.forecast, &SCORE_LEVELS, outcome.truth)),
        });
        let quantile =
            |(quantile, value): (&f64, &f64)| LedgerQuantileBody { quantile: *quantile, close: price(*value) };
        Self {
            as_of: interval.label(entry.as_of),
            step: entry.step,
            data_version: entry.data_version,
            market_tickers: entry.market_tickers,
            live: entry.live,
            served_at: instant(entry.served_at),
            last_close: entry.last_close,
            close: price(entry.point),
            // A zero of either sign becomes a plain one.
            return_log: entry.point + 0.0,
            quantiles: SCORE_LEVELS.iter().zip(&entry.quantiles).map(quantile).collect(),
            model: entry.model,
            truth,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_the_place_it_was_made_of_and_nothing_else() {
        let (as_of, model) = (BarTime::from_seconds(-5), "a.b".to_owned());
        let there = LedgerPlace { as_of, step: 2, model, data_version: 7, served_at: 8, market: 9 };
        assert_eq!(place(&cursor(&there)), Some(there));
        for text in
            ["", "1", "1.1", "1.1.1", "1.1.1.0.0", "x.1.1.0.0.har", "1.1.-1.0.0.har", "1.1.1.0.x.har", "1.1.1.0.0.\0"]
        {
            assert_eq!(place(text), None, "{text:?}");
        }
    }
}
