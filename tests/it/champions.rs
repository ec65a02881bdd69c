//! Which version answers, and when the next one is trained.

use std::sync::Arc;

use candlecast::domain::{Bar, Horizon, Series};
use candlecast::evaluate::HeldBackRecord;
use candlecast::jobs::due::{enqueue_when_due, standing};
use candlecast::jobs::{Runner, enqueue_training};
use candlecast::store::{JobState, LedgerEntry, TickerPatch};
use candlecast::train::{Control, Preset, TrainConfig, Trained, train};
use serde_json::json;

use crate::support::{daily, job, market, on_both_apps, publish, put, quick, ticker};

#[test]
fn a_training_publishes_a_version_and_the_first_becomes_champion() {
    on_both_apps(&quick(), |app| async move {
        let (name, series) = (ticker("A"), market("A", 400));
        put(&app, &name, &series).await;
        let runner = Runner::new(Arc::clone(&app)).expect("a processor");
        let fast = TrainConfig::preset(Preset::Fast);
        let (first, is_new) =
            enqueue_training(&app, &name, fast.clone(), 1).await.unwrap().expect("the ticker is there");
        assert!(is_new);
        assert_eq!(enqueue_training(&app, &name, fast.clone(), 1).await.unwrap().unwrap().0.id, first.id);
        assert!(runner.run_one().await.unwrap());
        let done = job(&app, &first.id).await;
        assert_eq!(done.state, JobState::Succeeded, "{:?}", done.error);
        assert_eq!(done.result, Some(json!({"model_version": 1, "promoted": true, "reason": "the first model"})));
        assert_eq!(done.progress.map(|progress| progress["fraction"].clone()), Some(json!(1.0)));
        let record = app.store.ticker(&name).await.unwrap().unwrap();
        assert_eq!(record.champion, Some(1));
        let model = app.registry.load(&name, 1).await.unwrap();
        assert!(model.model.forecast(&series).is_ok());

        let short = ticker("SHORT");
        put(&app, &short, &market("SHORT", 30)).await;
        let (queued, _) = enqueue_training(&app, &short, fast, 1).await.unwrap().unwrap();
        assert!(runner.run_one().await.unwrap());
        assert_eq!(job(&app, &queued.id).await.error.unwrap()["code"], "too_few_bars");
    });
}

#[test]
fn a_history_that_was_rewritten_is_learned_anew() {
    on_both_apps(&quick(), |app| async move {
        let name = ticker("A");
        put(&app, &name, &market("A", 400)).await;
        enqueue_training(&app, &name, TrainConfig::preset(Preset::Fast), 1).await.unwrap();
        assert!(Runner::new(Arc::clone(&app)).expect("a processor").run_one().await.unwrap());
        let due_after = async |n_replaced: usize, price: f64| {
            let days =
                market("A", 400).bars()[..n_replaced].iter().map(|bar| bar.at().seconds() / 86_400).collect::<Vec<_>>();
            put(&app, &name, &daily(days, price)).await;
            let record = app.store.ticker(&name).await.unwrap().unwrap();
            enqueue_when_due(&app, &record).await.unwrap()
        };
        assert!(due_after(20, 50.0).await.is_none(), "one bar in twenty is a correction");
        let queued = due_after(21, 60.0).await.expect("a training");
        app.store.cancel_job(&queued.id).await.unwrap();
        assert!(due_after(20, 60.0).await.is_none(), "canceled, and nothing has changed");
        assert!(due_after(1, 65.0).await.is_some(), "nothing has learned the new history yet");
    });
}

/// `record` as a model would have it whose intervals are `factor` times as wide.
fn widened(record: &HeldBackRecord, factor: f64) -> HeldBackRecord {
    let mut record = record.clone();
    for scored in &mut record.scored {
        scored.quantiles = scored.quantiles.map(|value| factor * value);
    }
    record
}

#[test]
fn a_challenger_that_is_worse_stays_listed_with_the_reason_and_one_that_is_not_takes_over() {
    on_both_apps(&quick(), |app| async move {
        let (name, series) = (ticker("A"), market("A", 600));
        let fast = TrainConfig::preset(Preset::Fast);
        let fitted = |series: &Series, config: &TrainConfig| {
            let trained = train(series, config, &Control::quiet()).unwrap();
            let record = HeldBackRecord::new(&trained.held_back, series).unwrap();
            (trained, record)
        };
        let known = series.slice(0..580);
        put(&app, &name, &known).await;
        let (trained, record) = fitted(&known, &fast);
        // Too wide, so that no luck decides whether the second challenger is better.
        let record = widened(&record, 1.5);
        let champion = app.registry.publish(&name, &trained, &record, &known, 1, None).await.unwrap().version;
        app.registry.promote(&name, champion, None).await.unwrap();
        app.refresh().await.unwrap();
        put(&app, &name, &series).await;
        let runner = Runner::new(Arc::clone(&app)).expect("a processor");
        let (trained, record) = fitted(&series, &fast);
        let challenged = async |trained: &Trained, record: &HeldBackRecord| {
            let (queued, _) = enqueue_training(&app, &name, TrainConfig::default(), 1).await.unwrap().unwrap();
            // As an attempt that was interrupted after it had published.
            let published = app.registry.publish(&name, trained, record, &series, 2, Some(&queued.id)).await.unwrap();
            assert!(runner.run_one().await.unwrap());
            let done = job(&app, &queued.id).await;
            assert_eq!(done.state, JobState::Succeeded, "{:?}", done.error);
            (done.result.unwrap(), app.store.model(&name, published.version).await.unwrap().unwrap().promotion.unwrap())
        };

        let (result, kept) = challenged(&trained, &widened(&record, 3.0)).await;
        assert_eq!(
            (&result["promoted"], &kept["promoted"], &kept["against"]),
            (&json!(false), &json!(false), &json!(1))
        );
        assert!(result["reason"].as_str().unwrap().starts_with("its pinball loss is "), "{result}");
        assert_eq!(kept["reason"], result["reason"]);
        // All but the four bars whose outcomes reach beyond the last one that the champion was trained on.
        assert_eq!(kept["n"], record.scored.len() - 4);
        assert_eq!(app.store.ticker(&name).await.unwrap().unwrap().champion, Some(champion));

        let (result, kept) = challenged(&trained, &record).await;
        assert_eq!((&result["promoted"], &kept["promoted"]), (&json!(true), &json!(true)), "{kept}");
        assert_eq!(app.store.ticker(&name).await.unwrap().unwrap().champion, Some(3));
        assert_eq!(app.store.models(&name).await.unwrap()[2].promotion, None, "the first was promoted by hand");

        let (trained, record) = fitted(&series, &TrainConfig { horizon: Horizon::ONE, ..fast });
        let (_, kept) = challenged(&trained, &record).await;
        assert_eq!(kept["promoted"], false, "who asks for five steps goes on to get them");
        assert!(kept["reason"].as_str().unwrap().starts_with("it forecasts 1 step ahead and the champion 5"), "{kept}");
    });
}

#[test]
fn intervals_that_stopped_holding_make_a_training_due_before_its_time() {
    on_both_apps(&quick(), |app| async move {
        let (name, series) = (ticker("A"), market("A", 420));
        put(&app, &name, &series.slice(0..400)).await;
        publish(&app, &name, &series.slice(0..400), true).await;
        put(&app, &name, &series.slice(0..412)).await;
        let record = app.store.ticker(&name).await.unwrap().unwrap();
        let before = standing(&app, &record).await.unwrap().retraining;
        assert!(!before.due, "{before:?}");

        // Twelve forecasts that were much too sure.
        let entry = |bar: &Bar| LedgerEntry {
            as_of: bar.at(),
            step: 1,
            model: "1".to_owned(),
            data_version: 1,
            market: 0,
            market_tickers: None,
            live: true,
            last_close: bar.close(),
            point: 0.0,
            quantiles: (0..13).map(|idx| 1e-9 * f64::from(idx - 6)).collect(),
            served_at: 0,
        };
        let entries: Vec<LedgerEntry> = series.bars()[399..411].iter().map(entry).collect();
        app.store.add_to_ledger(record.id, &entries).await.unwrap();
        let drifted = standing(&app, &record).await.unwrap().retraining;
        assert!(drifted.due && drifted.reason.contains("0.8 intervals held "), "{drifted:?}");
        assert!(drifted.reason.contains("of the last 12 outcomes"), "{drifted:?}");

        let policy = Some(json!({"retrain_on_coverage_drift": false}));
        app.store.patch_ticker(&name, &TickerPatch { policy, ..TickerPatch::default() }).await.unwrap();
        let record = app.store.ticker(&name).await.unwrap().unwrap();
        assert!(!standing(&app, &record).await.unwrap().retraining.due);
    });
}
