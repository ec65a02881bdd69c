//! The store's promises, each kept on SQLite and on Postgres.

use candlecast::domain::{BarTime, Calendar, Interval, Series, Ticker};
use candlecast::store::{
    LedgerEntry, LedgerFilter, ModelRecord, OnConflict, PriceBasis, PutBarsError, Scope, SentBars, Store, TickerPatch,
};
use serde_json::json;

use crate::support::{daily, on_both_databases, on_both_stores, ticker};

const ALL: (BarTime, BarTime) = (BarTime::from_seconds(i64::MIN), BarTime::from_seconds(i64::MAX));

fn sent<'a>(ticker: &'a Ticker, series: &'a Series) -> SentBars<'a> {
    SentBars { ticker, series, calendar: None, currency: None, price_basis: PriceBasis::Raw, finishes: None }
}

pub(super) async fn put(store: &Store, name: &str, series: &Series, on_conflict: OnConflict) -> (u64, u64, u64, u64) {
    let ticker = ticker(name);
    let outcomes = store.put_bars(&[sent(&ticker, series)], on_conflict, false).await.expect("stored");
    let outcome = &outcomes[0];
    (outcome.inserted, outcome.updated, outcome.unchanged, outcome.record.data_version)
}

#[test]
fn the_same_body_twice_changes_nothing_and_every_bar_is_counted_once() {
    on_both_stores(|store| async move {
        // More than two statements' rows, and a rest.
        assert_eq!(put(&store, "A", &daily(0..2345, 100.0), OnConflict::Replace).await, (2345, 0, 0, 1));
        assert_eq!(put(&store, "A", &daily(0..2345, 100.0), OnConflict::Replace).await, (0, 0, 2345, 1));
        let overlap = daily(2300..2400, 100.0);
        assert_eq!(put(&store, "A", &overlap, OnConflict::Replace).await, (55, 0, 45, 2));
        let other_values = daily(2390..2410, 200.0);
        assert_eq!(put(&store, "A", &other_values, OnConflict::Replace).await, (10, 10, 0, 3));

        let record = store.ticker(&ticker("A")).await.unwrap().expect("the ticker is there");
        assert_eq!(record.bars_total, 2410);
        assert_eq!(record.last, Some(BarTime::from_seconds(2409 * 86_400)));
        let bars = store.bars(record.id, ALL.0, ALL.1, u64::MAX).await.unwrap();
        assert_eq!(bars.len(), 2410);
        assert_eq!(bars[2389].open(), 100.0);
        assert_eq!(bars[2390].open(), 200.0);
        let newest = store.newest_bars(record.id, ALL.1, 3).await.unwrap();
        assert_eq!(newest, bars[2407..]);
    });
}

#[test]
fn a_rewritten_history_and_bars_that_no_job_was_queued_for_are_known() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..100, 100.0), OnConflict::Replace).await;
        put(&store, "B", &daily(0..100, 100.0), OnConflict::Replace).await;
        store.enqueue("1", "train", &ticker("A"), &json!({"data_version": 1})).await.unwrap();
        let without_job = async || store.without_job("train", &["A", "NONE"]).await.unwrap();
        let rewritten = async || store.ticker(&ticker("A")).await.unwrap().map(|record| record.rewritten_version);
        assert_eq!(store.without_job("train", &["A", "B", "NONE"]).await.unwrap(), [ticker("B")]);
        put(&store, "A", &daily(0..5, 200.0), OnConflict::Replace).await;
        assert_eq!((rewritten().await, without_job().await), (Some(0), vec![]), "one bar in twenty");
        put(&store, "A", &daily(0..6, 300.0), OnConflict::Replace).await;
        assert_eq!((rewritten().await, without_job().await), (Some(3), vec![ticker("A")]));
        put(&store, "A", &daily(100..101, 300.0), OnConflict::Replace).await;
        assert_eq!(rewritten().await, Some(3), "new bars rewrite nothing");
    });
}

#[test]
fn what_a_stored_bar_with_other_values_gets_is_the_sender_s_choice() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..10, 100.0), OnConflict::Replace).await;
        let other = daily(5..15, 200.0);
        assert_eq!(put(&store, "A", &other, OnConflict::Keep).await, (5, 0, 5, 2));

        let name = ticker("A");
        let next = daily(0..20, 300.0);
        let refused = store.put_bars(&[sent(&name, &next)], OnConflict::Reject, false).await;
        let Err(PutBarsError::Conflict { session, stored, sent, .. }) = refused else { panic!("{refused:?}") };
        assert_eq!(session, "1970-01-01");
        assert_eq!((stored.as_str(), sent.as_str()), ("100 101 99 100.5 1000", "300 301 299 300.5 1000"));
        assert_eq!(store.ticker(&name).await.unwrap().map(|t| (t.bars_total, t.data_version)), Some((15, 2)));
    });
}

#[test]
fn a_bar_that_finishes_the_newest_one_takes_its_place() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..3, 100.0), OnConflict::Replace).await;
        let name = ticker("A");
        let finish = async |series: Series, from: i64, to: i64| {
            let finishes = Some((BarTime::from_seconds(from * 86_400), BarTime::from_seconds(to * 86_400)));
            let sent = [SentBars { finishes, ..sent(&name, &series) }];
            let outcome = store.put_bars(&sent, OnConflict::Replace, false).await.expect("stored").remove(0);
            (
                outcome.inserted,
                outcome.updated,
                outcome.unchanged,
                outcome.record.bars_total,
                outcome.record.data_version,
            )
        };
        assert_eq!(
            finish(daily(3..5, 100.0), 2, 3).await,
            (1, 1, 0, 4, 2),
            "counted also where only its day is another"
        );
        assert_eq!(finish(daily(3..5, 100.0), 2, 3).await, (0, 0, 2, 4, 2), "there is none any more");
        assert_eq!(finish(daily(3..4, 200.0), 1, 3).await, (0, 1, 0, 4, 3), "its place is taken");
        let corrected = [daily(3..4, 100.0).bars(), daily(5..6, 100.0).bars()].concat();
        let corrected = Series::new(Interval::Day, corrected).expect("in order");
        assert_eq!(finish(corrected, 4, 5).await, (0, 2, 0, 4, 4), "beside another that changed");
        let record = store.ticker(&name).await.unwrap().expect("the ticker is there");
        let bars = store.bars(record.id, ALL.0, ALL.1, u64::MAX).await.unwrap();
        assert_eq!(bars.iter().map(|bar| bar.at().seconds() / 86_400).collect::<Vec<_>>(), [0, 1, 3, 5]);
    });
}

#[test]
fn a_body_is_stored_whole_or_not_at_all() {
    on_both_stores(|store| async move {
        put(&store, "OLD", &daily(0..10, 100.0), OnConflict::Replace).await;
        let (new, old) = (ticker("NEW"), ticker("OLD"));
        let (fine, differs) = (daily(0..10, 1.5), daily(0..10, 200.0));
        let both = [sent(&new, &fine), sent(&old, &differs)];
        assert!(store.put_bars(&both, OnConflict::Reject, false).await.is_err());
        assert_eq!(store.ticker(&new).await.unwrap(), None, "nothing of a refused body stays");

        let adjusted = SentBars { price_basis: PriceBasis::Adjusted, ..sent(&old, &fine) };
        let refused = store.put_bars(&[adjusted], OnConflict::Replace, false).await;
        assert!(matches!(refused, Err(PutBarsError::PriceBasis { .. })), "{refused:?}");

        let dry = store.put_bars(&both, OnConflict::Replace, true).await.expect("a dry run counts");
        assert_eq!((dry[0].inserted, dry[1].updated), (10, 10));
        assert_eq!(store.ticker(&new).await.unwrap(), None, "a dry run leaves nothing behind");
    });
}

#[test]
fn every_change_raises_the_one_revision_and_deletion_tells_too() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..5, 100.0), OnConflict::Replace).await;
        put(&store, "B", &daily(0..5, 100.0), OnConflict::Replace).await;
        let moved = store.moved_since(0).await.unwrap();
        assert_eq!(moved.iter().map(|one| one.ticker.as_str()).collect::<Vec<_>>(), ["A", "B"]);
        let newest = moved[1].revision;

        put(&store, "A", &daily(0..5, 100.0), OnConflict::Replace).await;
        assert_eq!(store.moved_since(newest).await.unwrap(), [], "unchanged bars move nothing");
        let calendar: Calendar = "XNYS".parse().unwrap();
        let patch = TickerPatch { calendar: Some(calendar.clone()), ..TickerPatch::default() };
        let patched = store.patch_ticker(&ticker("A"), &patch).await.unwrap().expect("there");
        assert_eq!(patched.calendar, calendar);
        let moved = store.moved_since(newest).await.unwrap();
        assert_eq!((moved.len(), &moved[0].kind), (1, &Some((calendar, Interval::Day))));

        assert!(store.delete_ticker(&ticker("B")).await.unwrap());
        assert!(!store.delete_ticker(&ticker("B")).await.unwrap());
        let moved = store.moved_since(patched.revision).await.unwrap();
        assert_eq!(moved.last().map(|one| (one.ticker.as_str(), one.is_alive)), Some(("B", false)));
        assert_eq!(put(&store, "B", &daily(0..5, 9.0), OnConflict::Replace).await, (5, 0, 0, 1));
        assert!(store.tickers("b", "", 10).await.unwrap().iter().all(|t| t.bars_total == 5));
    });
}

#[test]
fn two_senders_at_once_lose_no_bar_and_count_each_once() {
    on_both_stores(|store| async move {
        let senders = (0..8_i64).map(|sender| {
            let store = store.clone();
            async move { put(&store, "A", &daily(sender * 50..sender * 50 + 100, 100.0), OnConflict::Replace).await.0 }
        });
        let inserted: u64 = futures::future::join_all(senders).await.into_iter().sum();
        let record = store.ticker(&ticker("A")).await.unwrap().expect("there");
        assert_eq!((inserted, record.bars_total), (450, 450));
        assert_eq!(store.bars(record.id, ALL.0, ALL.1, u64::MAX).await.unwrap().len(), 450);
    });
}

#[test]
fn what_was_stored_is_there_after_a_restart() {
    on_both_databases(|settings| async move {
        let store = Store::connect(&settings).await.unwrap();
        put(&store, "A", &daily(0..5, 100.0), OnConflict::Replace).await;
        store.close().await;
        let again = Store::connect(&settings).await.unwrap();
        assert_eq!(again.ticker(&ticker("A")).await.unwrap().map(|t| t.bars_total), Some(5));
    });
}

#[test]
fn processes_that_start_at_once_on_a_new_database_all_find_it_ready() {
    on_both_databases(|settings| async move {
        let opened = futures::future::join_all((0..6).map(|_| Store::connect(&settings))).await;
        for store in opened {
            store.expect("opened").ping().await.expect("ready");
        }
    });
}

#[test]
fn tickers_are_found_by_any_of_their_characters() {
    on_both_stores(|store| async move {
        for name in ["BRK_B", "BRKXB", "^GSPC"] {
            put(&store, name, &daily(0..5, 100.0), OnConflict::Replace).await;
        }
        let found = async |query: &str| {
            let records = store.tickers(query, "", 10).await.unwrap();
            // Databases sort `_` differently.
            let mut names: Vec<_> = records.into_iter().map(|record| record.ticker.to_string()).collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(found("brk_b").await, "BRK_B");
        assert_eq!((found("^").await, found("k").await), ("^GSPC".to_owned(), "BRKXB BRK_B".to_owned()));
        assert_eq!((found("%").await, found("\\").await), (String::new(), String::new()));
    });
}

#[test]
fn promotion_is_one_compare_and_set() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..5, 100.0), OnConflict::Replace).await;
        let name = ticker("A");
        let at = BarTime::from_seconds(0);
        let model = |version| ModelRecord {
            version,
            job_id: None,
            data_version: 1,
            bars: 5,
            first: at,
            last: at,
            sha256: "00".into(),
            bytes: 1,
            manifest: json!({}),
            promotion: None,
            created_at: 0,
        };
        assert!(store.add_model(&name, &model(1)).await.unwrap());
        assert!(!store.add_model(&name, &model(1)).await.unwrap(), "a number is given once");
        assert!(store.add_model(&name, &model(2)).await.unwrap());
        assert!(!store.add_model(&ticker("NONE"), &model(1)).await.unwrap());

        assert!(!store.promote(&name, 3, None).await.unwrap(), "no such version");
        assert!(store.promote(&name, 1, None).await.unwrap());
        assert!(!store.promote(&name, 2, None).await.unwrap(), "somebody was faster");
        assert!(store.promote(&name, 2, Some(1)).await.unwrap());
        assert!(store.promote(&name, 1, Some(2)).await.unwrap(), "the way back");
        assert_eq!(store.ticker(&name).await.unwrap().and_then(|t| t.champion), Some(1));
        let versions: Vec<_> = store.models(&name).await.unwrap().into_iter().map(|m| m.version).collect();
        assert_eq!(versions, [2, 1]);
    });
}

#[test]
fn how_old_champions_are_and_how_long_jobs_wait_is_counted() {
    on_both_stores(|store| async move {
        assert_eq!((store.champion_ages().await.unwrap(), store.queue_age_ms().await.unwrap()), (vec![], None));
        put(&store, "A", &daily(0..10, 100.0), OnConflict::Replace).await;
        put(&store, "B", &daily(0..10, 100.0), OnConflict::Replace).await;
        let model = ModelRecord {
            version: 1,
            job_id: None,
            data_version: 1,
            bars: 7,
            first: BarTime::from_seconds(0),
            last: BarTime::from_seconds(6 * 86_400),
            sha256: "00".into(),
            bytes: 1,
            manifest: json!({}),
            promotion: None,
            created_at: 0,
        };
        assert!(store.add_model(&ticker("A"), &model).await.unwrap());
        assert_eq!(store.champion_ages().await.unwrap(), [None, None], "a challenger answers nobody");
        assert!(store.promote(&ticker("A"), 1, None).await.unwrap());
        let mut ages = store.champion_ages().await.unwrap();
        ages.sort_unstable();
        assert_eq!(ages, [None, Some(3)]);

        store.enqueue("one", "train", &ticker("A"), &json!({})).await.unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        assert!(store.queue_age_ms().await.unwrap().is_some_and(|age_ms| (20..60_000).contains(&age_ms)));
        let (_, lease) = store.claim(&["train"], 10_000).await.unwrap().expect("there is one");
        assert_eq!(store.queue_age_ms().await.unwrap(), None, "it is worked on");
        store.requeue(&lease, Some(&json!({})), 60_000).await.unwrap();
        assert_eq!(store.queue_age_ms().await.unwrap(), None, "its next try is not due yet");
    });
}

#[test]
fn the_id_of_a_deleted_ticker_is_not_given_again() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..5, 100.0), OnConflict::Replace).await;
        let before = store.ticker(&ticker("A")).await.unwrap().expect("there").id;
        assert!(store.delete_ticker(&ticker("A")).await.unwrap());
        put(&store, "B", &daily(0..5, 100.0), OnConflict::Replace).await;
        assert_ne!(store.ticker(&ticker("B")).await.unwrap().expect("there").id, before);
        assert_eq!(store.bars(before, ALL.0, ALL.1, 10).await.unwrap(), []);
    });
}

#[test]
fn keys_are_found_by_hash_until_revoked() {
    on_both_stores(|store| async move {
        assert!(!store.has_keys().await.unwrap() && !store.keys_were_made().await.unwrap());
        store.add_key("k1", "laptop", "hash", Scope::Write).await.unwrap();
        assert_eq!(store.key_by_hash("hash").await.unwrap().map(|key| key.scope), Some(Scope::Write));
        assert_eq!(store.key_by_hash("other").await.unwrap(), None);
        assert!(store.revoke_key("k1").await.unwrap());
        assert!(!store.revoke_key("k1").await.unwrap());
        assert_eq!(store.key_by_hash("hash").await.unwrap(), None);
        assert!(!store.has_keys().await.unwrap() && store.keys_were_made().await.unwrap());
        assert_eq!(store.keys().await.unwrap().len(), 1, "a revoked key stays listed");
    });
}

#[test]
fn a_served_forecast_is_kept_once_and_read_newest_first() {
    on_both_stores(|store| async move {
        put(&store, "A", &daily(0..5, 100.0), OnConflict::Replace).await;
        let id = store.ticker(&ticker("A")).await.unwrap().expect("there").id;
        let entry = |day: i64, step: u32, live: bool| LedgerEntry {
            as_of: BarTime::from_seconds(day * 86_400),
            step,
            model: "1".into(),
            data_version: 1,
            market: 0,
            market_tickers: None,
            live,
            last_close: 100.5,
            point: 0.001,
            quantiles: vec![-0.01, 0.0, 0.01],
            served_at: 0,
        };
        let named = |model: &str, data_version| LedgerEntry { model: model.into(), data_version, ..entry(0, 1, true) };
        let entries = [
            entry(1, 1, true),
            entry(1, 2, true),
            entry(2, 1, false),
            named("har", 1),
            named("har", 2),
            named("naive", 1),
        ];
        store.add_to_ledger(id, &entries).await.unwrap();
        store.add_to_ledger(id, &entries).await.unwrap();
        let filter = LedgerFilter { limit: 10, ..LedgerFilter::default() };
        let read = store.ledger(id, &filter).await.unwrap();
        assert_eq!(
            read.iter().map(|e| (e.as_of.seconds() / 86_400, e.step)).collect::<Vec<_>>(),
            [(2, 1), (1, 1), (1, 2), (0, 1), (0, 1), (0, 1)]
        );
        assert_eq!((read[0].quantiles.as_slice(), read[0].last_close), ([-0.01, 0.0, 0.01].as_slice(), 100.5));
        assert!(read[0].served_at > 0, "the database's clock");
        for n_seen in 1..=read.len() {
            let rest = LedgerFilter { after: Some(read[n_seen - 1].place()), ..filter.clone() };
            assert_eq!(store.ledger(id, &rest).await.unwrap(), read[n_seen..], "after entry {n_seen}");
        }
        let of = |model: &str| LedgerFilter { model: Some(model.into()), ..filter.clone() };
        let data_versions =
            store.ledger(id, &of("har")).await.unwrap().iter().map(|e| e.data_version).collect::<Vec<_>>();
        assert_eq!(data_versions, [2, 1]);
        assert_eq!(store.ledger(id, &of("1")).await.unwrap(), read[..3]);
        assert_eq!(store.ledger(id, &of("garch")).await.unwrap(), []);
        let rest = LedgerFilter { after: Some(read[0].place()), ..of("1") };
        assert_eq!(store.ledger(id, &rest).await.unwrap(), read[1..3], "a page further");
        let live = LedgerFilter { live_only: true, step: Some(1), ..filter };
        assert_eq!(store.ledger(id, &live).await.unwrap().len(), 4);
    });
}
