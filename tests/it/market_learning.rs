//! What the other tickers of an exchange say of one of them: learned, and never looked at before it was known.

use candlecast::domain::bar::RawBar;
use candlecast::domain::{Bar, BarTime, Calendar, Interval, MarketSession, Series, Ticker};
use candlecast::evaluate::backtest::audit;
use candlecast::evaluate::synthetic;
use candlecast::features::Market;
use candlecast::train::{Control, Model, Preset, TrainConfig, Trained, train};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;

/// A share whose every session is as wild as the market was the day before, which its own bars do not tell: volatility
/// follows an independent draw a day, and so does `surprise` of the market one day ahead of it.
fn follower(n_bars: usize, seed: u64) -> Series {
    const MOVES: usize = 16;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut normal = move || rng.sample::<f64, _>(StandardNormal);
    let surprises: Vec<f64> = (0..n_bars).map(|_| 1.5 * normal()).collect();
    let mut log_price = 4.0_f64;
    let bars = (0..n_bars).map(|idx| {
        let before = idx.checked_sub(1).map_or(0.0, |before| surprises[before]);
        let move_sd = 0.01 * (0.5 * before).exp() / (MOVES as f64).sqrt();
        let (open, mut high, mut low) = (log_price, log_price, log_price);
        for _ in 0..MOVES {
            log_price += move_sd * normal();
            (high, low) = (high.max(log_price), low.min(log_price));
        }
        let at = BarTime::from_seconds(86_400 * idx as i64);
        let [open, high, low, close] = [open, high, low, log_price].map(f64::exp);
        Bar::new(RawBar { at, open, high, low, close, volume: None }).expect("high and low are of the path")
    });
    let series = Series::new(Interval::Day, bars.collect()).expect("ascending");
    let mut surprises = surprises.into_iter();
    series.in_market(|_| {
        Some(MarketSession { surprise: surprises.next().unwrap_or(0.0), scaled_return: 0.0, n_tickers: 9 })
    })
}

fn fast(series: &Series) -> Trained {
    train(series, &TrainConfig::preset(Preset::Fast), &Control::quiet()).expect("enough bars")
}

/// Width of the next session's 80 % interval as seen at each of these bars.
fn widths(model: &Model, series: &Series, cutoffs: &[usize]) -> Vec<f64> {
    let forecasts = model.forecast_at(series, cutoffs).expect("forecasts");
    forecasts.iter().map(|steps| steps[0].at(0.9) - steps[0].at(0.1)).collect()
}

#[test]
fn what_only_the_market_tells_is_learned_and_without_it_a_ticker_goes_by_itself() {
    let series = follower(1_200, 1);
    let alone = series.clone().in_market(|_| None);
    let (with, without) = (fast(&series.slice(0..1_000)), fast(&alone.slice(0..1_000)));
    assert!(with.model.reads_market() && !without.model.reads_market());
    assert_eq!((with.metrics.n_in_market, without.metrics.n_in_market), (1_000, 0));
    let cutoffs: Vec<usize> = (1_000..1_200).collect();
    let share_explained = |widths: &[f64]| {
        let known: Vec<f64> = cutoffs.iter().map(|idx| 0.5 * series.market(*idx).expect("known").surprise).collect();
        let logs: Vec<f64> = widths.iter().map(|width| width.ln()).collect();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let (a, b) = (mean(&known), mean(&logs));
        let cross: f64 = known.iter().zip(&logs).map(|(known, log)| (known - a) * (log - b)).sum();
        cross / known.iter().map(|known| (known - a).powi(2)).sum::<f64>()
    };
    // Widths should follow the market's surprise one for one in logs.
    let slope = share_explained(&widths(&with.model, &series, &cutoffs));
    assert!((0.7..1.2).contains(&slope), "{slope}");
    let slope = share_explained(&widths(&without.model, &series, &cutoffs));
    assert!(slope.abs() < 0.1, "{slope}: its own bars do not tell");
    // A day on which the market is not known, the ticker's own bars answer, and nothing else moves.
    let gap = series.bars()[1_100].at();
    let mut sessions = (0..).map(|idx| series.market(idx));
    let unknown = series.clone().in_market(|at| sessions.next().flatten().filter(|_| at != gap));
    let (full, partly) = (widths(&with.model, &series, &cutoffs), widths(&with.model, &unknown, &cutoffs));
    assert_eq!(full[..100], partly[..100]);
    assert_ne!(full[100], partly[100]);
    let wild = series.market(1_100).expect("known").surprise;
    assert!(wild.abs() > 0.3 && (full[100] > partly[100]) == (wild > 0.0), "{wild}: {} {}", full[100], partly[100]);
}

#[test]
fn a_model_is_read_back_with_its_market_and_nothing_later_is_known() {
    let series = follower(700, 2);
    let trained = fast(&series.slice(0..600));
    let bytes = trained.model.to_safetensors(&[]).expect("written");
    let (read, _) = Model::from_parts(trained.model.spec().clone(), &bytes).expect("read");
    let cutoffs: Vec<usize> = (600..700).collect();
    assert!(read.reads_market());
    assert_eq!(widths(&read, &series, &cutoffs), widths(&trained.model, &series, &cutoffs));
    let audited = audit::leakage("network", &read, &series, &[610, 640, 690]).expect("runs");
    assert!(audited.identical, "{audited:?}");
    // The audit's poison reaches the market: at the bar after the cutoff it is seen.
    let poisoned = audit::poison_after(&series, 640);
    assert_eq!(poisoned.market(640), series.market(640));
    assert_ne!(poisoned.market(641), series.market(641));
    let others_alone = series.clone().in_market(|at| {
        let idx = series.bars().partition_point(|bar| bar.at() < at);
        if idx <= 640 { series.market(idx) } else { poisoned.market(idx) }
    });
    let (clean, poisoned) = (widths(&read, &series, &[640, 641]), widths(&read, &others_alone, &[640, 641]));
    assert!(clean[0] == poisoned[0] && clean[1] != poisoned[1], "{clean:?} {poisoned:?}");
}

#[test]
fn forecasts_up_to_a_bar_know_nothing_that_any_ticker_does_after_it() {
    const KNOWN: usize = 520;
    let names = synthetic::tickers(6);
    let all = synthetic::market(5, &names, 600, &Calendar::Weekdays, "2024-11-22".parse().expect("a date"));
    let of = |all: &[(Ticker, Series)]| {
        let footprints = |series: &Series| candlecast::features::market::footprints(series).into();
        let market = Market::new(all.iter().map(|(name, series)| (name.clone(), footprints(series))));
        market.around(&all[0].0, all[0].1.clone())
    };
    let later: Vec<(Ticker, Series)> =
        all.iter().map(|(name, series)| (name.clone(), audit::poison_after(series, KNOWN))).collect();
    let (clean, poisoned) = (of(&all), of(&later));
    let (model, same) = (fast(&clean.slice(0..KNOWN + 1)).model, fast(&poisoned.slice(0..KNOWN + 1)).model);
    assert!(model.reads_market());
    let bits = |model: &Model, series: &Series, cutoff: usize| {
        let steps = model.forecast_at(series, &[cutoff]).expect("forecasts").remove(0);
        steps.iter().flat_map(|step| step.values().iter().map(|value| value.to_bits())).collect::<Vec<_>>()
    };
    for cutoff in [300, 450, KNOWN] {
        assert_eq!(bits(&model, &clean, cutoff), bits(&same, &poisoned, cutoff), "{cutoff}");
    }
    assert_ne!(bits(&model, &clean, KNOWN + 1), bits(&same, &poisoned, KNOWN + 1), "the poison is one");
}
