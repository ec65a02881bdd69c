//! A ticker as a picture: `GET …/chart.svg`.
//!
//! In go stored bars, the forecast as it is answered, and what was forecast before; out comes an SVG that needs
//! nothing from elsewhere. [`draw`] knows nothing of the store, [`words`] says the same for those who cannot see it.

mod axis;
mod draw;
mod shapes;
mod words;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum_extra::headers::{ETag, HeaderMapExt, IfNoneMatch};
use serde::Deserialize;
use utoipa::IntoParams;

use super::Api;
use super::error::{Problem, ProblemBody};
use super::extract::{Path, Query};
use super::tickers::find;
use super::wire::{out_of_range, outside, ticker};
use crate::app::TickerState;
use crate::domain::{Bar, BarTime, Horizon, Ticker};
use crate::evaluate::{ScoredForecast, report_levels};
use crate::forecast::{Forecast, ForecastError, ForecastRequest, live_forecasts};
use draw::{Chart, Past};

/// What to draw.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ChartQuery {
    /// Sessions ahead; 5 where absent, or as far as the model reaches.
    #[param(minimum = 1, maximum = 20, example = 5)]
    horizon: Option<u32>,
    /// Stored sessions, the newest; 120 where absent.
    #[param(minimum = 20, maximum = 500, example = 120)]
    lookback: Option<u32>,
}

/// Fewer candles say nothing, more are narrower than a pixel.
const LOOKBACK: std::ops::RangeInclusive<usize> = 20..=500;
const DEFAULT_LOOKBACK: u32 = 120;
/// Steps where nobody asks for a number: a week.
const DEFAULT_HORIZON: u32 = 5;

/// The newest sessions as a picture: candlesticks, volume, the fan of intervals, and what was forecast of past sessions
/// (80 %, one session ahead, served live by a model) beside what came true. Where there is no forecast yet the picture
/// says so. It follows the reader's light or dark scheme, and is good for as long as its `ETag` is.
#[utoipa::path(get, path = "/v1/tickers/{ticker}/chart.svg", tag = "forecasts",
    params(("ticker" = String, Path, example = "AAPL"), ChartQuery), responses(
    (status = 200, description = "The picture", body = String, content_type = "image/svg+xml",
        headers(("etag" = String, description = "Moves with the ticker's bars, champion and settings, and with its market")),
        example = json!("<svg role=\"img\" viewBox=\"0 0 960 500\" xmlns=\"http://www.w3.org/2000/svg\"><title>AAPL: 120 sessions to 2018-02-07, forecast of the 5 after it</title></svg>")),
    (status = 304, description = "The picture that `If-None-Match` names is still good"),
    (status = 404, description = "Nobody sent bars of it", body = ProblemBody, content_type = "application/problem+json"),
    (status = 422, description = "A horizon or lookback that cannot be", body = ProblemBody, content_type = "application/problem+json"),
))]
pub(super) async fn get_chart(
    State(api): State<Api>,
    Path(name): Path<String>,
    Query(query): Query<ChartQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = ticker(&name)?;
    let (lookback, horizon) = (query.lookback()?, query.horizon()?);
    // Read before everything else: what is drawn is at least as new as its tag says.
    let tag = tag(api.app().state(&name))?;
    let known = headers.typed_get::<IfNoneMatch>();
    let mut response = match (&tag, known) {
        (Some(tag), Some(known)) if !known.precondition_passes(tag) => StatusCode::NOT_MODIFIED.into_response(),
        _ => picture(draw::svg(&chart(&api, &name, lookback, horizon).await?)),
    };
    let headers = response.headers_mut();
    // Kept by the browser that asked, and asked about each time: bars may come at any moment.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    if let Some(tag) = tag {
        headers.typed_insert(tag);
    }
    Ok(response)
}

impl ChartQuery {
    fn lookback(&self) -> Result<u64, Problem> {
        let asked = self.lookback.unwrap_or(DEFAULT_LOOKBACK) as usize;
        match LOOKBACK.contains(&asked) {
            true => Ok(asked as u64),
            false => Err(outside("lookback", asked, LOOKBACK)),
        }
    }

    fn horizon(&self) -> Result<Option<Horizon>, Problem> {
        let refuse = |asked: u32| out_of_range("horizon", asked as usize, Horizon::MAX as usize);
        self.horizon.map(|asked| Horizon::try_from(asked).map_err(|_| refuse(asked))).transpose()
    }
}

/// A picture is a function of how the ticker stands, its own address and this program; of a market that was never read it
/// is not known how that stands.
fn tag(state: Option<TickerState>) -> Result<Option<ETag>, Problem> {
    let Some(TickerState { revision, market: Some(market) }) = state else { return Ok(None) };
    let tag = format!("\"{}-{revision}-{market:x}\"", env!("CARGO_PKG_VERSION"));
    tag.parse().map(Some).map_err(Problem::internal)
}

fn picture(svg: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("image/svg+xml")),
        // Opened by itself a picture is a document: it may style itself, and nothing else.
        (
            HeaderName::from_static("content-security-policy"),
            HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        ),
    ];
    (headers, svg).into_response()
}

async fn chart(api: &Api, ticker: &Ticker, lookback: u64, horizon: Option<Horizon>) -> Result<Chart, Problem> {
    let (forecast, missing) = match forecast(api, ticker, horizon).await {
        Ok(forecast) => (Some(forecast), None),
        Err(error) => (None, Some(words::missing(&error).ok_or_else(|| Problem::from(error))?)),
    };
    let store = &api.app().store;
    let record = find(api, ticker.as_str()).await?;
    let mut bars = store.newest_bars(record.id, BarTime::from_seconds(i64::MAX), lookback).await?;
    if let Some(forecast) = &forecast {
        // A bar that came since is not what this forecast stands on.
        let seen = bars.iter().rposition(|bar| record.interval.label(bar.at()) == forecast.as_of);
        bars.truncate(seen.map_or(bars.len(), |last| last + 1));
    }
    let past = past(&bars, &live_forecasts(store, &record).await?);
    Ok(Chart {
        ticker: record.ticker,
        interval: record.interval,
        currency: record.currency,
        bars,
        past,
        forecast,
        missing,
    })
}

/// The forecast as `GET …/forecast` answers it, kept in the ledger too: who sees it drawn was told it.
async fn forecast(api: &Api, ticker: &Ticker, asked: Option<Horizon>) -> Result<Forecast, ForecastError> {
    let reaching = |horizon| ForecastRequest { horizon, levels: report_levels(), ..ForecastRequest::default() };
    let forecaster = &api.0.forecaster;
    let default = Horizon::try_from(DEFAULT_HORIZON).unwrap_or(Horizon::ONE);
    match forecaster.forecast(ticker, &reaching(asked.unwrap_or(default))).await {
        Err(ForecastError::HorizonBeyondModel { trained, .. }) if asked.is_none() => {
            let nearer = Horizon::try_from(trained as u32).unwrap_or(Horizon::ONE);
            forecaster.forecast(ticker, &reaching(nearer)).await
        }
        answered => answered,
    }
}

/// What was forecast of these bars, as far as the bar that it was forecast from is among them.
fn past(bars: &[Bar], live: &[(u32, ScoredForecast)]) -> Vec<Past> {
    let Some(level) = report_levels().first().copied() else { return Vec::new() };
    let drawn = |(_, scored): &(u32, ScoredForecast)| {
        let origin = bars.binary_search_by_key(&scored.at, Bar::at).ok()?;
        let (outcome, bar_idx) = (scored.outcome()?, origin + 1);
        let price = |quantile: f64| bars[origin].close() * outcome.forecast.at(quantile).exp();
        let (lower, upper) = (price(level.lower()), price(level.upper()));
        (bar_idx < bars.len()).then(|| Past { bar_idx, lower, upper, is_inside: outcome.is_inside(level) })
    };
    live.iter().filter_map(drawn).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Quantiles;
    use crate::domain::bar::RawBar;

    fn bar(day: i64, close: f64) -> Bar {
        let at = BarTime::from_seconds(day * 86_400);
        Bar::new(RawBar { at, open: close, high: close, low: close, close, volume: None }).expect("a bar")
    }

    #[test]
    fn a_past_forecast_stands_at_the_bar_that_it_was_about_in_prices_as_stored() {
        let bars = [bar(1, 100.0), bar(2, 101.0), bar(5, 90.0)];
        let spread = Quantiles::new(vec![0.1, 0.5, 0.9], vec![-0.02, 0.0, 0.02]).expect("ascending");
        let scored =
            |day: i64, truth: f64| (1, ScoredForecast::new(BarTime::from_seconds(day * 86_400), &spread, 0.0, truth));
        let live = [scored(0, 0.0), scored(1, 0.01), scored(2, -0.115), scored(5, 0.0)];
        let drawn = past(&bars, &live);
        let shown: Vec<_> = drawn.iter().map(|past| (past.bar_idx, past.is_inside)).collect();
        assert_eq!(shown, [(1, true), (2, false)], "not where the bar before or the bar itself is missing");
        assert!((drawn[0].lower - 100.0 * (-0.02_f64).exp()).abs() < 1e-9, "{}", drawn[0].lower);
        assert!((drawn[1].upper - 101.0 * 0.02_f64.exp()).abs() < 1e-9, "{}", drawn[1].upper);
    }
}
