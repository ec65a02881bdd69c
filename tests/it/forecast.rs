//! A forecast is the champion's, as of the bars stored, and says what it is worth.

use std::sync::Arc;

use candlecast::app::App;
use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, Calendar, Horizon, Series};
use candlecast::evaluate::{Baseline, synthetic};
use candlecast::forecast::{ForecastError, ForecastRequest, Forecaster, ModelChoice, ModelUsed, VersionUsed};
use candlecast::store::{LedgerFilter, OnConflict, PriceBasis, SentBars, TickerPatch};
use chrono::{TimeDelta, Utc};
use serde_json::json;

use crate::support::{app, market, publish, put, ticker};

fn version(used: &ModelUsed) -> &VersionUsed {
    match used {
        ModelUsed::Version(version) => version,
        other => panic!("{other:?} is no network"),
    }
}

#[tokio::test]
async fn the_next_session_is_forecast_from_the_newest_bars_at_once_after_they_are_stored() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let (name, all) = (ticker("TEST"), market("TEST", 420));
    let before = Series::new(all.interval(), all.bars()[..419].to_vec()).unwrap();

    let unknown = forecaster.forecast(&name, &ForecastRequest::default()).await;
    assert!(matches!(unknown, Err(ForecastError::UnknownTicker { .. })), "{unknown:?}");
    put(&app, &name, &before).await;
    let none = forecaster.forecast(&name, &ForecastRequest::default()).await;
    assert!(matches!(none, Err(ForecastError::NoModelYet { .. })), "{none:?}");

    let published = publish(&app, &name, &before, true).await;
    let first = forecaster.forecast(&name, &ForecastRequest::default()).await.unwrap();
    assert_eq!(
        (first.as_of.as_str(), version(&first.model).version, version(&first.model).age_bars),
        ("2024-11-21", published, 0)
    );
    assert_eq!(first.steps.len(), 1);
    let step = &first.steps[0];
    assert_eq!(step.session.as_deref(), Some("2024-11-22"));
    assert!(step.intervals[0].lower < step.close && step.close < step.intervals[0].upper);
    assert!(step.intervals[1].lower < step.intervals[0].lower, "95 % is wider than 80 %");
    assert!(!first.in_sample);

    put(&app, &name, &all).await;
    let second = forecaster.forecast(&name, &ForecastRequest::default()).await.unwrap();
    assert_eq!((second.as_of.as_str(), version(&second.model).age_bars), ("2024-11-22", 1));
    assert_eq!(second.last_close, all.last().unwrap().close());

    let past = ForecastRequest { as_of: Some(before.last().unwrap().at()), ..ForecastRequest::default() };
    let again = forecaster.forecast(&name, &past).await.unwrap();
    assert_eq!(again.steps[0].quantiles, first.steps[0].quantiles);
    assert_eq!((again.steps[0].close, again.as_of), (first.steps[0].close, first.as_of), "later bars change nothing");
    let inside = ForecastRequest { as_of: Some(all.bars()[300].at()), ..ForecastRequest::default() };
    assert!(forecaster.forecast(&name, &inside).await.unwrap().in_sample, "the model has seen what followed");
}

#[tokio::test]
async fn what_the_model_cannot_do_is_said_with_the_way_out() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let (name, all) = (ticker("TEST"), market("TEST", 420));
    put(&app, &name, &all).await;
    publish(&app, &name, &all, true).await;

    let far = ForecastRequest { horizon: Horizon::try_from(20).unwrap(), ..ForecastRequest::default() };
    let refused = forecaster.forecast(&name, &far).await;
    assert!(matches!(refused, Err(ForecastError::HorizonBeyondModel { asked: 20, .. })), "{refused:?}");
    let early = ForecastRequest { as_of: Some(all.bars()[10].at()), ..ForecastRequest::default() };
    let refused = forecaster.forecast(&name, &early).await;
    assert!(matches!(refused, Err(ForecastError::TooFewBars { have: 11, .. })), "{refused:?}");
    let other = ForecastRequest { model: ModelChoice::Version(9), ..ForecastRequest::default() };
    let refused = forecaster.forecast(&name, &other).await;
    assert!(matches!(refused, Err(ForecastError::UnknownVersion { version: 9, .. })), "{refused:?}");
}

#[tokio::test]
async fn a_model_too_old_for_its_policy_answers_only_who_insists() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let (name, all) = (ticker("TEST"), market("TEST", 420));
    let before = Series::new(all.interval(), all.bars()[..417].to_vec()).unwrap();
    put(&app, &name, &before).await;
    publish(&app, &name, &before, true).await;
    put(&app, &name, &all).await;
    let policy = |limit: u32| TickerPatch {
        policy: Some(json!({"retrain_after_bars": 1, "expire_after_bars": limit})),
        ..TickerPatch::default()
    };

    app.store.patch_ticker(&name, &policy(3)).await.unwrap();
    app.refresh().await.unwrap();
    let aging = forecaster.forecast(&name, &ForecastRequest::default()).await.unwrap();
    assert!(aging.warnings.iter().any(|warning| warning.code == "model_aging"), "{:?}", aging.warnings);

    app.store.patch_ticker(&name, &policy(2)).await.unwrap();
    app.refresh().await.unwrap();
    let expired = forecaster.forecast(&name, &ForecastRequest::default()).await;
    assert!(matches!(expired, Err(ForecastError::ModelExpired { age_bars: 3, limit: 2, .. })), "{expired:?}");
    let insist = ForecastRequest { allow_stale: true, ..ForecastRequest::default() };
    assert!(forecaster.forecast(&name, &insist).await.is_ok());
}

#[tokio::test]
async fn bars_that_are_old_or_have_not_come_are_told_unless_the_past_is_asked_for() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let today = Utc::now().date_naive();
    let told = async |name: &str, days: i64, back: Option<usize>| {
        let (name, last) = (ticker(name), today + TimeDelta::days(days));
        let series = synthetic::market(7, std::slice::from_ref(&name), 120, &Calendar::AllDays, last).remove(0).1;
        put(&app, &name, &series).await;
        let patch = TickerPatch { calendar: Some(Calendar::AllDays), ..TickerPatch::default() };
        app.store.patch_ticker(&name, &patch).await.unwrap();
        app.refresh().await.unwrap();
        let as_of = back.map(|back| series.bars()[series.len() - 1 - back].at());
        let request = ForecastRequest { as_of, model: ModelChoice::Baseline(Baseline::Ewma), ..Default::default() };
        let forecast = forecaster.forecast(&name, &request).await.unwrap();
        forecast.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>()
    };
    assert_eq!(told("NEW", 0, None).await, [""; 0]);
    assert_eq!(told("LATE", -5, None).await, [""; 0]);
    assert_eq!(told("OLD", -6, None).await, ["stale_bars"], "five days lie between");
    assert_eq!(told("OLD", -6, Some(0)).await, [""; 0], "the newest bar, asked for by its date");
    assert_eq!(told("OLD", -6, Some(20)).await, [""; 0]);
    assert_eq!(told("TOMORROW", 1, None).await, [""; 0]);
    assert_eq!(told("LATER", 2, None).await, ["future_bars"]);
}

#[tokio::test]
async fn every_baseline_answers_without_a_model() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let (name, all) = (ticker("TEST"), market("TEST", 420));
    put(&app, &name, &all).await;
    for baseline in Baseline::ALL {
        let horizon = Horizon::try_from(5).unwrap();
        let request = ForecastRequest { horizon, model: ModelChoice::Baseline(baseline), ..ForecastRequest::default() };
        let forecast = forecaster.forecast(&name, &request).await.unwrap();
        assert_eq!(forecast.model, ModelUsed::Baseline(baseline));
        assert_eq!(forecast.steps.len(), 5);
        let widths: Vec<f64> = forecast.steps.iter().map(|s| s.intervals[0].upper - s.intervals[0].lower).collect();
        assert!(widths[4] > widths[0], "{baseline}: {widths:?}");
    }
    let short = market("SHORT", 20);
    put(&app, &ticker("SHORT"), &short).await;
    let har = ForecastRequest { model: ModelChoice::Baseline(Baseline::Har), ..ForecastRequest::default() };
    let refused = forecaster.forecast(&ticker("SHORT"), &har).await;
    assert!(matches!(refused, Err(ForecastError::TooFewBars { have: 20, .. })), "{refused:?}");
}

#[tokio::test]
async fn what_was_served_stays_in_the_ledger_and_becomes_the_track_record() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let (name, all) = (ticker("TEST"), market("TEST", 460));
    let first = 420;
    let up_to = |n_bars: usize| Series::new(all.interval(), all.bars()[..n_bars].to_vec()).unwrap();
    put(&app, &name, &up_to(first)).await;
    publish(&app, &name, &up_to(first), true).await;
    let request = ForecastRequest::default();
    let young = forecaster.forecast(&name, &request).await.unwrap().skill.expect("from day one");
    assert_eq!((young.n, young.n_live), (77, 0), "of the bars held back in training");
    assert!(young.pinball_ratio_to_garch.is_some_and(|ratio| (0.8..1.2).contains(&ratio)), "{young:?}");

    // A year's habit in short: a forecast each session, asked for twice, then the bar comes.
    for n_bars in first + 1..=all.len() {
        put(&app, &name, &up_to(n_bars)).await;
        forecaster.forecast(&name, &request).await.unwrap();
        forecaster.forecast(&name, &request).await.unwrap();
    }
    let replay = ForecastRequest { as_of: Some(all.bars()[430].at()), ..request.clone() };
    forecaster.forecast(&name, &replay).await.unwrap();

    let everything = LedgerFilter::default();
    let before = forecaster.forecast(&name, &request).await.unwrap();
    // A restart is another process over the same files.
    let forecaster = Forecaster::new(Arc::new(App::open(app.settings.clone()).await.unwrap()));
    let (_, entries) = forecaster.ledger(&name, None, everything).await.unwrap();
    assert_eq!(entries.len(), 1 + 40 + 1, "each served forecast once, and the replay");
    assert_eq!(entries.iter().filter(|scored| scored.entry.live).count(), 41);
    let newest = &entries[0];
    assert_eq!((newest.entry.as_of, newest.truth), (all.last().unwrap().at(), None), "its bar has not come");
    let scored = &entries[1];
    assert_eq!(scored.truth, all.last().copied(), "the bar after its own");

    let again = forecaster.forecast(&name, &request).await.unwrap();
    assert_eq!(again, before, "calibration and track record come out of the bars and the ledger");
    let skill = again.skill.expect("40 forecasts came true");
    assert_eq!((skill.n, skill.n_live), (117, 40));
    assert_eq!(skill.coverage.len(), 2);
    assert!(skill.rmse_ratio_to_naive.is_some_and(f64::is_finite));
    assert!(skill.pinball_ratio_to_garch.is_some_and(|ratio| (0.8..1.2).contains(&ratio)), "{skill:?}");
}

#[tokio::test]
async fn a_forecast_whose_bar_gave_way_to_another_day_s_has_no_outcome() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let (name, all) = (ticker("TEST"), market("TEST", 104));
    put(&app, &name, &all.slice(0..101)).await;
    let request = ForecastRequest { model: ModelChoice::Baseline(Baseline::Naive), ..ForecastRequest::default() };
    forecaster.forecast(&name, &request).await.unwrap();
    let outcomes = async || {
        let (_, entries) = forecaster.ledger(&name, None, LedgerFilter::default()).await.unwrap();
        entries.into_iter().map(|scored| (scored.origin, scored.truth)).collect::<Vec<_>>()
    };
    let bar = |idx: usize| Some(all.bars()[idx]);
    put(&app, &name, &all.slice(101..102)).await;
    assert_eq!(outcomes().await, [(bar(100), bar(101))]);

    forecaster.forecast(&name, &request).await.unwrap();
    let finishes = bar(101).map(|bar| bar.at()).zip(bar(102).map(|bar| bar.at()));
    let series = all.slice(102..104);
    let (calendar, currency, price_basis) = (None, None, PriceBasis::Raw);
    let sent = SentBars { ticker: &name, series: &series, calendar, currency, price_basis, finishes };
    app.store.put_bars(&[sent], OnConflict::Replace, false).await.unwrap();
    app.refresh().await.unwrap();
    assert_eq!(outcomes().await, [(None, None), (bar(100), bar(102))], "a day later is another forecast's truth");
}

/// `series` with every bar after position `cutoff` of another size.
fn wild_after(series: &Series, cutoff: usize) -> Series {
    let wild = |(idx, bar): (usize, &Bar)| match idx > cutoff {
        false => *bar,
        true => {
            let (at, open, high, low) = (bar.at(), bar.open() * 3.0, bar.high() * 7.0, bar.low() * 0.2);
            Bar::new(RawBar { at, open, high, low, close: bar.close() * 0.5, volume: Some(1.0) }).unwrap()
        }
    };
    Series::new(series.interval(), series.bars().iter().enumerate().map(wild).collect()).unwrap()
}

#[tokio::test]
async fn an_answer_as_of_a_past_bar_is_bit_for_bit_blind_to_what_followed() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let (name, all) = (ticker("TEST"), market("TEST", 460));
    put(&app, &name, &all.slice(0..420)).await;
    publish(&app, &name, &all.slice(0..420), true).await;
    put(&app, &name, &all).await;
    let horizon = Horizon::try_from(5).unwrap();
    let as_of = |idx: usize| ForecastRequest { as_of: Some(all.bars()[idx].at()), horizon, ..Default::default() };
    let out_of_sample = forecaster.forecast(&name, &as_of(440)).await.unwrap();
    let in_sample = forecaster.forecast(&name, &as_of(300)).await.unwrap();
    let now = ForecastRequest { horizon, ..ForecastRequest::default() };
    let newest = forecaster.forecast(&name, &now).await.unwrap();

    // The same as it was answered when that bar was the newest.
    put(&app, &name, &wild_after(&all, 440)).await;
    let again = forecaster.forecast(&name, &as_of(440)).await.unwrap();
    assert_eq!((again.steps, again.in_sample), (out_of_sample.steps.clone(), false));
    let other = forecaster.forecast(&name, &now).await.unwrap();
    assert_ne!(other.steps, newest.steps, "corrected bars correct the state");
    let fresh = Forecaster::new(app.clone()).forecast(&name, &now).await.unwrap();
    assert_eq!(fresh.steps, other.steps, "and who begins anew says the same");

    put(&app, &name, &wild_after(&all, 300)).await;
    let again = forecaster.forecast(&name, &as_of(300)).await.unwrap();
    assert_eq!((again.steps, again.in_sample), (in_sample.steps, true));
    assert_eq!(again.warnings.iter().map(|warning| warning.code).collect::<Vec<_>>(), ["in_sample"]);

    for pair in out_of_sample.steps.windows(2) {
        for (near, far) in pair[0].intervals.iter().zip(&pair[1].intervals) {
            assert!(far.upper / far.lower >= near.upper / near.lower * (1.0 - 1e-12), "wider with the horizon");
        }
        assert!(pair[0].quantiles.is_sorted_by_key(|quantile| quantile.close));
    }
}

#[tokio::test]
async fn a_ticker_too_young_for_a_network_is_answered_by_the_best_baseline_and_says_so() {
    let (app, _folder) = app().await;
    let forecaster = Forecaster::new(app.clone());
    let request = ForecastRequest::default();
    for (n_bars, baseline) in [(249, Baseline::Har), (70, Baseline::Ewma), (35, Baseline::Naive)] {
        let name = ticker(&format!("T{n_bars}"));
        put(&app, &name, &market("TEST", n_bars)).await;
        let forecast = forecaster.forecast(&name, &request).await.unwrap();
        assert_eq!(forecast.model, ModelUsed::Baseline(baseline), "{n_bars} bars");
        assert_eq!(forecast.warnings[0].code, "baseline_used");
    }
    put(&app, &ticker("TINY"), &market("TEST", 20)).await;
    let refused = forecaster.forecast(&ticker("TINY"), &request).await;
    assert!(matches!(refused, Err(ForecastError::TooFewBars { needed: 31, have: 20, .. })), "{refused:?}");
    put(&app, &ticker("OLD"), &market("TEST", 250)).await;
    let waits = forecaster.forecast(&ticker("OLD"), &request).await;
    assert!(matches!(waits, Err(ForecastError::NoModelYet { .. })), "enough bars for a network: {waits:?}");
}
