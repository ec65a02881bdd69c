//! Bars to a model to a forecast, through the public surface.

use std::sync::atomic::AtomicBool;

use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Interval, Series};
use candlecast::train::{Control, Model, Preset, Table, Topology, TrainConfig, TrainError, min_bars, train};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A market with slowly moving volatility; closes have no trend.
fn market(n_bars: usize, seed: u64) -> Series {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0;
    let (mut close_log, mut variance_log) = (4.6_f64, -8.5_f64);
    let bars = (0..n_bars).map(|idx| {
        variance_log += -0.05 * (variance_log + 8.5) + 0.15 * normal();
        let sd = (0.5 * variance_log).exp();
        let open_log = close_log + 0.4 * sd * normal();
        let mut path = vec![open_log];
        for _ in 0..20 {
            path.push(path[path.len() - 1] + 0.2 * sd * normal());
        }
        close_log = path[path.len() - 1];
        Bar::new(RawBar {
            at: BarTime::from_seconds(86_400 * (idx + idx / 5 * 2) as i64),
            open: open_log.exp(),
            high: path.iter().copied().fold(f64::MIN, f64::max).exp(),
            low: path.iter().copied().fold(f64::MAX, f64::min).exp(),
            close: close_log.exp(),
            volume: (seed.is_multiple_of(2)).then(|| (1e6 * (1.0 + sd)).round()),
        })
        .expect("high and low are of the path")
    });
    Series::new(Interval::Day, bars.collect()).expect("ascending")
}

/// A price that swings without a random number: there is something to learn.
pub(crate) fn swings(n_bars: usize) -> Series {
    let bar = |idx: usize| {
        let price = |x: f64| 100.0 + 3.0 * (x / 7.0).sin() + 1.5 * (x * 1.7).sin();
        let (open, close) = (price(idx as f64 - 0.5), price(idx as f64));
        let (high, low) = (open.max(close) + 0.5, open.min(close) - 0.4);
        let at = BarTime::from_seconds(86_400 * idx as i64);
        Bar::new(RawBar { at, open, high, low, close, volume: None }).expect("high above low")
    };
    Series::new(Interval::Day, (0..n_bars).map(bar).collect()).expect("ascending")
}

fn fast() -> TrainConfig {
    TrainConfig::preset(Preset::Fast)
}

/// Enough training for [`swings`] that the networks speak: where they are not trusted, a test of them tests nothing.
pub(crate) fn learning() -> TrainConfig {
    TrainConfig { epochs: 6, patience: 6, learning_rate: 0.01, ..fast() }
}

fn trusted(series: &Series) -> Model {
    let trained = train(series, &learning(), &Control::quiet()).expect("enough bars");
    assert!(trained.metrics.network_trust[0] > 0.5, "{:?}", trained.metrics);
    trained.model
}

#[test]
fn a_model_written_and_read_forecasts_the_same_bits() {
    let series = market(400, 1);
    let model = train(&series, &fast(), &Control::quiet()).expect("400 bars are enough").model;
    let spec = serde_json::to_string(model.spec()).expect("a spec is JSON");
    let table = Table { name: "notes".to_owned(), shape: vec![2, 1], numbers: vec![0.1 + 0.2, -1e300] };
    let bytes = model.to_safetensors(std::slice::from_ref(&table)).expect("finite");
    let (again, tables) =
        Model::from_parts(serde_json::from_str(&spec).expect("its own spec"), &bytes).expect("its own file");
    assert_eq!(model.forecast(&series).expect("long enough"), again.forecast(&series).expect("long enough"));
    assert_eq!(tables, [table]);
    assert_eq!(again.to_safetensors(&tables).expect("finite"), bytes);
}

#[test]
fn a_window_too_short_and_a_series_too_short_say_what_they_need() {
    let (config, series) = (fast(), market(400, 2));
    let needed = min_bars(&config);
    let refusal = train(&market(needed - 1, 2), &config, &Control::quiet()).expect_err("one bar short");
    assert!(matches!(refusal, TrainError::TooFewBars { have, .. } if have == needed - 1), "{refusal}");
    let model = train(&market(needed, 2), &config, &Control::quiet()).expect("just enough").model;
    let at = |n: usize| series.up_to(series.bars()[n - 1].at());
    assert!(model.forecast(&at(model.min_bars())).is_ok());
    assert!(model.forecast(&at(model.min_bars() - 1)).is_err());
}

#[test]
fn a_cancel_ends_the_training() {
    let cancel = AtomicBool::new(true);
    let control = Control { cancel: &cancel, ..Control::quiet() };
    assert!(matches!(train(&market(400, 3), &fast(), &control), Err(TrainError::Canceled)));
}

/// Every bar after `cutoff` with other prices and volume.
fn poisoned(series: &Series, cutoff: usize) -> Series {
    let bars = series.bars().iter().enumerate().map(|(idx, bar)| match idx > cutoff {
        true => Bar::new(RawBar {
            at: bar.at(),
            open: bar.open() * 3.0,
            high: bar.high() * 7.0,
            low: bar.low() * 0.2,
            close: bar.close() * 0.5,
            volume: bar.volume().map(|volume| volume * 100.0),
        })
        .expect("wider than the bar it was"),
        false => *bar,
    });
    Series::new(Interval::Day, bars.collect()).expect("ascending")
}

#[test]
fn no_forecast_depends_on_a_bar_after_its_cutoff() {
    let series = swings(700);
    let cutoffs: Vec<usize> = vec![60, 299, 450, 520];
    let model = trusted(&series);
    let honest = model.forecast_at(&series, &cutoffs).expect("long enough");
    for (cutoff, wanted) in cutoffs.iter().zip(&honest) {
        let other = poisoned(&series, *cutoff);
        assert_eq!(&model.forecast_at(&other, &[*cutoff]).expect("long enough")[0], wanted, "cutoff {cutoff}");
        let seen = series.up_to(series.bars()[*cutoff].at());
        assert_eq!(&model.forecast(&seen).expect("long enough"), wanted, "cutoff {cutoff}");
    }
}

#[test]
fn bars_older_than_the_memory_change_no_bit() {
    let series = swings(1600);
    let model = trusted(&series.up_to(series.bars()[399].at()));
    let newest = series.bars()[series.len() - model.memory()..].to_vec();
    let newest = Series::new(Interval::Day, newest).expect("ascending");
    assert_eq!(model.forecast(&newest).expect("long"), model.forecast(&series).expect("long"));
    let at = model.forecast_at(&series, &[series.len() - 1]).expect("long");
    assert_eq!(model.forecast(&newest).expect("long"), at[0]);
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let series = market(400, 6);
    let bytes = |seed| {
        let config = TrainConfig { seed, ..fast() };
        let model = train(&series, &config, &Control::quiet()).expect("400 bars are enough").model;
        model.to_safetensors(&[]).expect("finite")
    };
    assert_eq!(bytes(1), bytes(1));
    assert_ne!(bytes(1), bytes(2));
}

#[test]
fn more_sessions_ahead_never_look_more_certain() {
    let series = market(500, 7);
    let config = TrainConfig { horizon: 20.try_into().expect("a horizon"), ..fast() };
    let model = train(&series, &config, &Control::quiet()).expect("500 bars are enough").model;
    for steps in model.forecast_at(&series, &[100, 300, 499]).expect("long enough") {
        assert_eq!(steps.len(), 20);
        for pair in steps.windows(2) {
            for level in [0.6, 0.8, 0.95, 0.99] {
                let width = |q: &candlecast::domain::Quantiles| q.at(0.5 + level / 2.0) - q.at(0.5 - level / 2.0);
                assert!(width(&pair[1]) >= width(&pair[0]) * (1.0 - 1e-9), "level {level}");
            }
        }
    }
}

#[test]
fn flat_and_halted_series_and_every_topology_are_ordinary_inputs() {
    let flat = (0..300).map(|idx| RawBar {
        at: BarTime::from_seconds(86_400 * idx),
        open: 10.0,
        high: 10.0,
        low: 10.0,
        close: 10.0,
        volume: Some(0.0),
    });
    let flat = flat.map(|raw| Bar::new(raw).expect("a flat bar is valid")).collect();
    let flat = Series::new(Interval::Day, flat).expect("ascending");
    let model = train(&flat, &fast(), &Control::quiet()).expect("300 bars are enough").model;
    assert!(model.forecast(&flat).expect("long").iter().all(|q| q.values().iter().all(|value| *value == 0.0)));
    let series = market(300, 8);
    for topology in [
        Topology::OneToOne,
        Topology::OneToMany,
        Topology::ManyToOne,
        Topology::ManyToMany,
        Topology::ManyToManyAligned,
    ] {
        let config = TrainConfig { topology, epochs: 1, tbptt_steps: Some(4), ..fast() };
        let model = train(&series, &config, &Control::quiet()).expect("300 bars are enough").model;
        assert_eq!(model.forecast(&series).expect("long enough").len(), config.horizon.steps(), "{topology:?}");
    }
}

#[test]
fn a_file_with_another_shape_or_a_nan_is_refused() {
    let series = market(400, 9);
    let model = train(&series, &fast(), &Control::quiet()).expect("400 bars are enough").model;
    let bytes = model.to_safetensors(&[]).expect("finite");
    let mut wider = model.spec().clone();
    wider.config.hidden += 1;
    let refusal = Model::from_parts(wider, &bytes).expect_err("another shape").to_string();
    assert!(refusal.contains("weight_ih_l0"), "{refusal}");
    let mut broken = bytes.clone();
    let end = broken.len();
    broken[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(Model::from_parts(model.spec().clone(), &broken).is_err());
    assert!(Model::from_parts(model.spec().clone(), &bytes[..end - 1]).is_err());
}

#[test]
fn one_thread_or_several_give_the_same_bytes() {
    let series = market(400, 10);
    let bytes = |n_threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().expect("threads");
        let config = TrainConfig { layers: 2, hidden: 40, ..fast() };
        let model = pool.install(|| train(&series, &config, &Control::quiet())).expect("400 bars are enough").model;
        model.to_safetensors(&[]).expect("finite")
    };
    assert!(bytes(1) == bytes(4));
}

#[test]
fn a_model_trained_at_one_lookback_serves_at_another() {
    let series = swings(500);
    for topology in [Topology::ManyToOne, Topology::ManyToMany, Topology::ManyToManyAligned] {
        let config = TrainConfig { topology, learning_rate: 1e-2, epochs: 8, patience: 8, ..fast() };
        let model = train(&series, &config, &Control::quiet()).expect("500 bars are enough").model;
        let mut longer = model.spec().clone();
        longer.config.lookback = 2 * config.lookback;
        let bytes = model.to_safetensors(&[]).expect("finite");
        let (longer, _) = Model::from_parts(longer, &bytes).expect("weights know nothing of the window's length");
        // What it learned is not the window's length: weights of the tenth bar are those of the twentieth.
        assert_eq!(longer.min_bars(), model.min_bars() + config.lookback);
        let (at_ten, at_twenty) = (model.forecast(&series).expect("long"), longer.forecast(&series).expect("long"));
        assert_ne!(at_ten, at_twenty, "{topology:?} sees ten bars more");
        for (short, long) in at_ten.iter().zip(&at_twenty) {
            let ratio = (long.at(0.9) - long.at(0.1)) / (short.at(0.9) - short.at(0.1));
            assert!((0.5..2.0).contains(&ratio), "{topology:?}: the same market, not {ratio} times as wild");
        }
    }
}
