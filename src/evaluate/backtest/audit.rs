//! Three questions that a good score must survive: did the future leak in, is the forecast only yesterday's
//! price, and does the skill vanish where there is nothing to know?

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::domain::bar::{Bar, RawBar};
use crate::domain::{MarketSession, Quantiles, Series};
use crate::evaluate::{EvaluateError, Forecaster, metrics};

/// Whether bars after a cutoff change what is forecast at it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakageAudit {
    /// Whose forecasts.
    pub model: String,
    /// Cutoffs after which every bar was replaced by nonsense.
    pub cutoffs_checked: usize,
    /// Whether every forecast stayed the same, bit by bit.
    pub identical: bool,
    /// The first cutoff whose forecast moved: the future leaks in there.
    pub first_difference: Option<usize>,
}

/// Poisons all bars after each cutoff and compares the forecasts up to it, bit by bit.
///
/// # Errors
/// When the forecaster refuses.
pub fn leakage(
    label: &str,
    forecaster: &dyn Forecaster,
    series: &Series,
    cutoffs: &[usize],
) -> Result<LeakageAudit, EvaluateError> {
    let clean = forecaster.forecast_at(series, cutoffs)?;
    let mut first_difference = None;
    for (idx, cutoff) in cutoffs.iter().enumerate() {
        let poisoned = forecaster.forecast_at(&poison_after(series, *cutoff), &cutoffs[..=idx])?;
        let moved = poisoned.iter().zip(&clean).position(|(a, b)| bits(a) != bits(b));
        if let Some(moved) = moved {
            first_difference = Some(cutoffs[moved]);
            break;
        }
    }
    let identical = first_difference.is_none();
    Ok(LeakageAudit { model: label.to_owned(), cutoffs_checked: cutoffs.len(), identical, first_difference })
}

/// The same bars up to a cutoff, and wild ones after it: prices jump by factors of up to ten either way, and so does
/// what the market did.
pub fn poison_after(series: &Series, cutoff: usize) -> Series {
    let mut rng = ChaCha8Rng::seed_from_u64(cutoff as u64);
    let wild = |(bar_idx, bar): (usize, &Bar)| {
        if bar_idx <= cutoff {
            return *bar;
        }
        let factor = 10_f64.powf(rng.random_range(-1.0..1.0));
        let scaled = |price: f64| (price * factor).clamp(*Bar::PRICES.start(), *Bar::PRICES.end());
        let raw = RawBar {
            at: bar.at(),
            open: scaled(bar.open()),
            high: scaled(bar.high() * 1.5),
            low: scaled(bar.low() / 1.5),
            close: scaled(bar.close()),
            volume: bar.volume().map(|volume| (volume * 7.0 + 1.0).min(Bar::MAX_VOLUME)),
        };
        Bar::new(raw).unwrap_or(*bar)
    };
    let known = series.bars().get(cutoff).map(Bar::at);
    let bars = series.bars().iter().enumerate().map(wild).collect();
    let mut market = (0..series.len()).map(|idx| series.market(idx));
    same_times(series, bars).in_market(|at| {
        let session = market.next().flatten();
        let wild = |session: MarketSession| MarketSession {
            surprise: 3.0 - session.surprise,
            scaled_return: -4.0 * session.scaled_return,
            ..session
        };
        if known.is_none_or(|known| at <= known) { session } else { session.map(wild) }
    })
}

fn bits(steps: &[Quantiles]) -> Vec<u64> {
    steps.iter().flat_map(|quantiles| quantiles.values().iter().map(|value| value.to_bits())).collect()
}

/// Whether the forecasts follow the truth or trail behind it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LagReport {
    /// RMSE of the forecast price against the price `lag` bars before the one it is meant for; log units, lag 0 first.
    pub rmse_by_lag: Vec<f64>,
    /// The lag at which the forecasts fit best; 0 is a forecast, the horizon is "the last price known".
    pub best_lag: usize,
    /// Whether the forecasts fit the last known price better than the one they are meant for.
    pub is_last_price: bool,
    /// Variance of the point forecasts over that of the outcomes: near 0 says "no change" in other words.
    pub variance_share: Option<f64>,
    /// Correlation of the forecast return with the one just seen.
    pub correlation_with_last_return: Option<f64>,
}

/// Looks for a forecast that is yesterday's price drawn one day to the right.
///
/// * `points` `(cutoff, point forecast)` of one step, log return from the cutoff's close
pub fn lag(series: &Series, points: &[(usize, f64)], step: usize) -> Option<LagReport> {
    let close = |bar_idx: usize| series.bars()[bar_idx].close().ln();
    let usable: Vec<(usize, f64)> = points.iter().copied().filter(|(cutoff, _)| *cutoff >= 2).collect();
    let rmse_at = |lag: usize| {
        let error = |(cutoff, point): &(usize, f64)| close(cutoff + step - lag) - close(*cutoff) - point;
        metrics::rmse(&usable.iter().map(error).collect::<Vec<_>>())
    };
    let rmse_by_lag: Vec<f64> = (0..=step + 2).map(rmse_at).collect::<Option<_>>()?;
    let best_lag = (0..rmse_by_lag.len()).min_by(|a, b| rmse_by_lag[*a].total_cmp(&rmse_by_lag[*b]))?;
    let forecasts: Vec<f64> = usable.iter().map(|(_, point)| *point).collect();
    let truths: Vec<f64> = usable.iter().map(|(cutoff, _)| close(cutoff + step) - close(*cutoff)).collect();
    let seen: Vec<f64> = usable.iter().map(|(cutoff, _)| close(*cutoff) - close(cutoff - 1)).collect();
    let share = variance(&forecasts)? / variance(&truths)?;
    Some(LagReport {
        is_last_price: rmse_by_lag[step] < rmse_by_lag[0],
        best_lag,
        rmse_by_lag,
        variance_share: share.is_finite().then_some(share),
        correlation_with_last_return: correlation(&forecasts, &seen),
    })
}

/// The same bars in another order: each bar keeps its gap, range and volume, but what follows what is chance.
/// Nothing of a return can be known from the ones before it or from the market, which stays where it was, nor any
/// clustering of volatility.
pub fn shuffle(series: &Series, seed: u64) -> Series {
    let bars = series.bars();
    let mut order: Vec<usize> = (1..bars.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut last = bars.first().map_or(1.0, |bar| bar.close());
    let mut shuffled: Vec<Bar> = bars.iter().take(1).copied().collect();
    for (place, source) in order.into_iter().enumerate() {
        let (before, bar) = (bars[source - 1].close(), &bars[source]);
        let moved = |price: f64| (last * price / before).clamp(*Bar::PRICES.start(), *Bar::PRICES.end());
        let raw = RawBar {
            at: bars[place + 1].at(),
            open: moved(bar.open()),
            high: moved(bar.high()),
            low: moved(bar.low()),
            close: moved(bar.close()),
            volume: bar.volume(),
        };
        // Scaling keeps a bar's order of prices; at the edge of all prices the bar is left as it was.
        let next = Bar::new(raw).unwrap_or(bars[place + 1]);
        last = next.close();
        shuffled.push(next);
    }
    let mut market = (0..series.len()).map(|idx| series.market(idx));
    same_times(series, shuffled).in_market(|_| market.next().flatten())
}

fn same_times(series: &Series, bars: Vec<Bar>) -> Series {
    Series::new(series.interval(), bars).unwrap_or_else(|_| series.clone())
}

fn variance(values: &[f64]) -> Option<f64> {
    let mean = metrics::mean(values.iter().copied())?;
    metrics::mean(values.iter().map(|value| (value - mean).powi(2)))
}

fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mean_a, mean_b) = (metrics::mean(a.iter().copied())?, metrics::mean(b.iter().copied())?);
    let covariance = metrics::mean(a.iter().zip(b).map(|(a, b)| (a - mean_a) * (b - mean_b)))?;
    let scale = (variance(a)? * variance(b)?).sqrt();
    (scale > 1e-18).then(|| covariance / scale)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Calendar, Horizon};
    use crate::evaluate::{Baseline, synthetic};

    fn market(n_bars: usize) -> Series {
        let last = "2024-06-28".parse().expect("a date");
        synthetic::market(11, &synthetic::tickers(1), n_bars, &Calendar::Weekdays, last).remove(0).1
    }

    #[test]
    fn no_baseline_sees_the_future() {
        let series = market(500);
        for baseline in Baseline::ALL {
            let fitted = baseline.fit(&series.up_to(series.bars()[399].at()), Horizon::ONE).expect("fits");
            let audit = leakage(baseline.name(), &fitted, &series, &[60, 399, 420, 470]).expect("runs");
            assert!(audit.identical, "{audit:?}");
        }
    }

    /// Forecasts tomorrow's return with certainty, as a model with a misaligned target does.
    struct Cheat;

    impl Forecaster for Cheat {
        fn forecast_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, EvaluateError> {
            let tomorrow = |cutoff: &usize| {
                let moved = (series.bars()[cutoff + 1].close() / series.bars()[*cutoff].close()).ln();
                vec![Quantiles::new(vec![0.1, 0.9], vec![moved - 0.001, moved + 0.001]).expect("ascending")]
            };
            Ok(cutoffs.iter().map(tomorrow).collect())
        }
    }

    #[test]
    fn a_forecaster_that_looks_ahead_is_caught() {
        let audit = leakage("cheat", &Cheat, &market(200), &[100, 150]).expect("runs");
        assert_eq!((audit.identical, audit.first_difference), (false, Some(100)));
    }

    #[test]
    fn yesterday_s_price_is_recognised_and_a_real_forecast_is_not_called_so() {
        let series = market(400);
        let close = |idx: usize| series.bars()[idx].close().ln();
        let copied: Vec<(usize, f64)> = (100..300).map(|cutoff| (cutoff, 0.0)).collect();
        let report = lag(&series, &copied, 1).expect("defined");
        assert_eq!((report.best_lag, report.is_last_price), (1, true));
        assert_eq!(report.correlation_with_last_return, None);
        let known: Vec<(usize, f64)> =
            (100..300).map(|cutoff| (cutoff, 0.9 * (close(cutoff + 1) - close(cutoff)))).collect();
        let report = lag(&series, &known, 1).expect("defined");
        assert_eq!((report.best_lag, report.is_last_price), (0, false));
    }

    #[test]
    fn shuffling_keeps_the_moves_and_loses_their_order() {
        let series = market(300);
        let shuffled = shuffle(&series, 1);
        let moves = |series: &Series| {
            let mut moves: Vec<i64> = series
                .bars()
                .windows(2)
                .map(|pair| ((pair[1].close() / pair[0].close()).ln() * 1e9).round() as i64)
                .collect();
            moves.sort_unstable();
            moves
        };
        assert_eq!(shuffled.len(), 300);
        assert_ne!(shuffled, series);
        let apart = moves(&series).iter().zip(moves(&shuffled)).map(|(a, b)| (a - b).abs()).max();
        assert!(apart <= Some(2), "{apart:?}");
    }
}
