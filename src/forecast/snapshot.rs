//! What a forecast needs of a ticker, kept in memory until the ticker's revision moves.

use std::sync::{Arc, Mutex, PoisonError};

use moka::Entry;
use moka::future::Cache;
use moka::ops::compute::Op;

use crate::app::{App, TickerState};
use crate::domain::{BarTime, Series, Ticker};
use crate::evaluate::ScoredForecast;
use crate::registry::{LoadedModel, RegistryError};
use crate::store::{Store, StoreError, TickerRecord};

use super::serving::Serving;
use super::{ForecastError, ForecastWarning, ModelChoice, ledger};

/// A ticker as of one state of it and its market.
#[derive(Debug)]
pub(super) struct Snapshot {
    revision: i64,
    market: Mutex<Option<i64>>,
    pub(super) record: TickerRecord,
    /// The newest bars: as many as the champion reads, and all that came since it was trained.
    /// With what the market did.
    pub(super) newest: Arc<Series>,
    /// Who answers; `None` without a champion.
    pub(super) serving: Option<Serving>,
    /// Why that is an older version than the one promoted, if it is.
    champion_refused: Option<String>,
    /// What networks forecast live, one session ahead, as far as it came true; in order of time.
    pub(super) live: Vec<ScoredForecast>,
}

impl Snapshot {
    /// That another version than the champion answers, and why.
    pub(super) fn refusal_warning(&self, asked: ModelChoice) -> Option<ForecastWarning> {
        let refused = self.champion_refused.as_ref().filter(|_| asked == ModelChoice::Champion)?;
        let message = format!("an older version answers: {refused}; train again or promote another one");
        Some(ForecastWarning { code: "champion_refused", message })
    }
}

/// Snapshots of the tickers asked for lately.
#[derive(Debug)]
pub(super) struct Snapshots {
    kept: Cache<Ticker, Arc<Snapshot>>,
}

/// What a track record and a state take, in bars.
const TRACK_WEIGHT: u32 = 1_500;

/// Bars kept for all tickers together; a bar is 56 bytes, and 32 more with its market.
const KEPT_BARS: u64 = 4_000_000;

/// Bars that a snapshot holds where no champion says how many it reads.
const BARS_WITHOUT_CHAMPION: u64 = 300;

impl Snapshot {
    /// Of a ticker whose champion does not answer.
    async fn without_champion(app: &App, record: TickerRecord, state: TickerState) -> Result<Self, ForecastError> {
        let newest = Arc::new(newest_bars(&app.store, &record, None, BARS_WITHOUT_CHAMPION).await?);
        let (revision, market) = (state.revision, state.market.into());
        Ok(Self { revision, market, record, newest, serving: None, champion_refused: None, live: Vec::new() })
    }

    fn is_of(&self, state: TickerState) -> bool {
        self.revision == state.revision && *self.market.lock().unwrap_or_else(PoisonError::into_inner) == state.market
    }

    /// Whether the ticker did not move, and the market did beside it what it was seen to do: all of this still holds.
    async fn holds_in(&self, app: &App, state: TickerState) -> Result<bool, ForecastError> {
        let holds = self.revision == state.revision
            && match self.serving.as_ref().filter(|serving| serving.loaded.model.reads_market()) {
                Some(_) => app.in_market(&self.record, self.newest.as_ref().clone()).await? == *self.newest,
                None => true,
            };
        if holds {
            *self.market.lock().unwrap_or_else(PoisonError::into_inner) = state.market;
        }
        Ok(holds)
    }
}

impl Snapshots {
    pub(super) fn new() -> Self {
        let weigh = |_: &Ticker, snapshot: &Arc<Snapshot>| snapshot.newest.len() as u32 + TRACK_WEIGHT;
        Self { kept: Cache::builder().max_capacity(KEPT_BARS).weigher(weigh).build() }
    }

    /// The ticker as it is now. Where its champion is refused and so is every older version, only who asks for it is told.
    pub(super) async fn get(
        &self,
        app: &App,
        ticker: &Ticker,
        asked: ModelChoice,
    ) -> Result<Arc<Snapshot>, ForecastError> {
        match self.current(app, ticker).await {
            Err(ForecastError::Registry(RegistryError::Refused { .. } | RegistryError::Outdated { .. }))
                if asked != ModelChoice::Champion =>
            {
                let state = app.state(ticker).ok_or_else(|| ForecastError::UnknownTicker { ticker: ticker.clone() })?;
                let record = record(app, ticker).await?;
                let live = live_forecasts(&app.store, &record).await?;
                Ok(Arc::new(Snapshot { live, ..Snapshot::without_champion(app, record, state).await? }))
            }
            current => current,
        }
    }

    /// From memory where neither ticker nor market has moved. Who asks while another request is at it waits for that one's.
    async fn current(&self, app: &App, ticker: &Ticker) -> Result<Arc<Snapshot>, ForecastError> {
        let unknown = || ForecastError::UnknownTicker { ticker: ticker.clone() };
        let state = app.state(ticker).ok_or_else(unknown)?;
        if let Some(kept) = self.kept.get(ticker).await.filter(|kept| kept.is_of(state)) {
            return Ok(kept);
        }
        let refreshed = self.kept.entry_by_ref(ticker).and_try_compute_with(|kept| async {
            let before = kept.map(Entry::into_value);
            // Read before everything else: what is read after it is at least as new as its tag says.
            let state = app.state(ticker).ok_or_else(unknown)?;
            match before {
                Some(kept) if kept.holds_in(app, state).await? => Ok(Op::Nop),
                before => Ok::<_, ForecastError>(Op::Put(Arc::new(refresh(app, ticker, state, before).await?))),
            }
        });
        refreshed.await?.into_entry().map(Entry::into_value).ok_or_else(unknown)
    }
}

async fn refresh(
    app: &App,
    ticker: &Ticker,
    state: TickerState,
    before: Option<Arc<Snapshot>>,
) -> Result<Snapshot, ForecastError> {
    let record = record(app, ticker).await?;
    let (champion, refusal) = app.registry.serving(&record).await?.unzip();
    let champion_refused = refusal.flatten().map(|refusal| refusal.to_string());
    let Some(loaded) = champion else {
        return Snapshot::without_champion(app, record, state).await;
    };
    let age_bars = app.store.count_bars_after(record.id, loaded.manifest.last).await?;
    let newest = newest_bars(&app.store, &record, None, loaded.model.memory() as u64 + age_bars).await?;
    let newest = beside_market(app, &record, &loaded, newest).await?;
    let mut live = live_forecasts(&app.store, &record).await?;
    let newest = Arc::new(newest);
    let seen = Arc::clone(&newest);
    // Forward passes are work for a processor, not for a thread that answers requests.
    // Once a ticker and revision, whoever asks, so nobody is refused for it or waits behind what others compute.
    let catching_up = app.computing.catch_up(move || {
        let before = before.as_ref().and_then(|kept| Some((kept.serving.as_ref()?, kept.newest.as_ref())));
        let serving = Serving::catch_up(loaded, age_bars, &seen, &mut live, before);
        (serving, live)
    });
    let (serving, live) = catching_up.await?;
    let (revision, market) = (state.revision, state.market.into());
    Ok(Snapshot { revision, market, record, newest, serving: Some(serving), champion_refused, live })
}

async fn record(app: &App, ticker: &Ticker) -> Result<TickerRecord, ForecastError> {
    let unknown = || ForecastError::UnknownTicker { ticker: ticker.clone() };
    app.store.ticker(ticker).await?.ok_or_else(unknown)
}

async fn live_forecasts(store: &Store, record: &TickerRecord) -> Result<Vec<ScoredForecast>, StoreError> {
    Ok(ledger::live_forecasts(store, record).await?.into_iter().map(|(_, scored)| scored).collect())
}

/// The newest `count` bars up to `as_of`.
pub(super) async fn newest_bars(
    store: &Store,
    record: &TickerRecord,
    as_of: Option<BarTime>,
    count: u64,
) -> Result<Series, StoreError> {
    let to = as_of.unwrap_or(BarTime::from_seconds(i64::MAX));
    let bars = store.newest_bars(record.id, to, count).await?;
    Series::new(record.interval, bars)
        .map_err(|error| StoreError::Corrupt { what: "the order of bars", reason: error.to_string() })
}

/// Bars as a model reads them: beside what the market did, where it learned from that.
pub(super) async fn beside_market(
    app: &App,
    record: &TickerRecord,
    loaded: &LoadedModel,
    series: Series,
) -> Result<Series, ForecastError> {
    match loaded.model.reads_market() {
        true => Ok(app.in_market(record, series).await?),
        false => Ok(series),
    }
}
