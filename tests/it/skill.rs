//! What training and calibration find in markets whose truth is known, scored on bars that came after: as served.

use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Interval, Series};
use candlecast::evaluate::{HeldBackRecord, Outcome, ScoredForecast, Verdict, served_since_training, verdict};
use candlecast::train::{Control, TrainConfig, train};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// Bars whose returns follow `r = φ r₋₁ + ε`, ε normal of 1 %; φ 0 is a random walk.
fn autoregressive(phi: f64, n_bars: usize, seed: u64) -> Series {
    const SD: f64 = 0.01;
    const MOVES: usize = 16;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (mut log_price, mut moved) = (4.0_f64, 0.0);
    let bars = (0..n_bars).map(|idx| {
        // The expected part comes overnight, the shock in small moves between open and close.
        let begun = log_price;
        log_price += phi * moved;
        let open = log_price;
        let (mut high, mut low) = (open, open);
        for _ in 0..MOVES {
            log_price += SD / (MOVES as f64).sqrt() * rng.sample::<f64, _>(StandardNormal);
            (high, low) = (high.max(log_price), low.min(log_price));
        }
        moved = log_price - begun;
        let at = BarTime::from_seconds(86_400 * idx as i64);
        let raw =
            RawBar { at, open: open.exp(), high: high.exp(), low: low.exp(), close: log_price.exp(), volume: None };
        Bar::new(raw).expect("high and low are of the path")
    });
    Series::new(Interval::Day, bars.collect()).expect("ascending")
}

/// λ one session ahead of models trained on all but the newest `n_test` bars of each series, and their forecasts of those.
fn served(series: &[Series], n_test: usize, config: &TrainConfig) -> (Vec<f64>, Vec<Vec<Outcome>>) {
    let of_one = |series: &Series| {
        let known = series.slice(0..series.len() - n_test);
        let trained = train(&known, config, &Control::quiet()).expect("enough bars");
        let record = HeldBackRecord::new(&trained.held_back, &known).expect("finite");
        let scored = served_since_training(&trained.model, &record.calibration, series).expect("forecasts");
        (trained.model.shrinkage(1), scored.iter().filter_map(ScoredForecast::outcome).collect())
    };
    series.iter().map(of_one).unzip()
}

fn one_session() -> TrainConfig {
    TrainConfig { horizon: candlecast::domain::Horizon::ONE, ..TrainConfig::default() }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

fn rmse_ratio(outcomes: &[Outcome]) -> f64 {
    let sum = |of: &dyn Fn(&Outcome) -> f64| outcomes.iter().map(|o| of(o).powi(2)).sum::<f64>();
    (sum(&Outcome::error) / sum(&|o| o.truth)).sqrt()
}

#[test]
fn in_a_random_walk_the_point_forecast_is_no_change() {
    let walks: Vec<Series> = (0..5).map(|seed| autoregressive(0.0, 1_000, seed)).collect();
    let (shrinkages, outcomes) = served(&walks, 250, &one_session());
    assert!(median(&shrinkages) < 0.05, "{shrinkages:?}");
    for outcomes in &outcomes {
        assert!(rmse_ratio(outcomes) <= 1.002, "{}", rmse_ratio(outcomes));
        assert_ne!(verdict(&outcomes.chunks(50).collect::<Vec<_>>(), 1), Verdict::BeatsNaive);
    }
}

#[test]
fn in_an_autoregression_of_a_fifth_the_skill_is_found() {
    let series: Vec<Series> = (0..3).map(|seed| autoregressive(0.2, 1_700, seed)).collect();
    // Sessions further ahead, of which nothing can be known, cost the first some of it.
    let (shrinkages, outcomes) = served(&series, 400, &TrainConfig::default());
    let found = rmse_ratio(&outcomes.concat());
    assert!(median(&shrinkages) > 0.5 && found < 0.995, "{shrinkages:?} {found}");

    let (shrinkages, outcomes) = served(&series, 400, &one_session());
    assert!(median(&shrinkages) > 0.5, "{shrinkages:?}");
    let folds: Vec<&[Outcome]> = outcomes.iter().map(Vec::as_slice).collect();
    let pooled = outcomes.concat();
    assert!(rmse_ratio(&pooled) < 0.99, "{}", rmse_ratio(&pooled));
    assert_eq!(verdict(&folds, 1), Verdict::BeatsNaive);
}
