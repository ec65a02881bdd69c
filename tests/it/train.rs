//! Bars to a model to a forecast, through the public surface.

use std::sync::atomic::AtomicBool;

use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Interval, Series};
use candlecast::train::{Control, Model, Preset, TrainConfig, TrainError, min_bars, train};
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

fn fast() -> TrainConfig {
    TrainConfig::preset(Preset::Fast)
}

#[test]
fn a_model_written_and_read_forecasts_the_same_bits() {
    let series = market(400, 1);
    let model = train(&series, &fast(), &Control::quiet()).expect("400 bars are enough").model;
    let spec = serde_json::to_string(model.spec()).expect("a spec is JSON");
    let bytes = model.to_safetensors().expect("finite");
    let again = Model::from_parts(serde_json::from_str(&spec).expect("its own spec"), &bytes).expect("its own file");
    assert_eq!(model.forecast(&series).expect("long enough"), again.forecast(&series).expect("long enough"));
    assert_eq!(again.to_safetensors().expect("finite"), bytes);
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
