//! What each bar says by itself and against the bar before it.

use std::f64::consts::LN_2;

use crate::domain::{Bar, BarTime, MarketSession, Series};

/// Per-bar numbers of a series; every vector has one entry a bar, ascending in time.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// When the bar stands.
    pub at: Vec<BarTime>,
    /// Natural log of the close.
    pub close_log: Vec<f64>,
    /// ln(close / close before); 0 at the first bar.
    pub return_log: Vec<f64>,
    /// Overnight gap ln(open / close before); 0 at the first bar.
    pub gap_log: Vec<f64>,
    /// Garman-Klass variance of the session: ½ ln(H/L)² − (2 ln 2 − 1) ln(C/O)².
    ///
    /// Source: Garman & Klass (1980), "On the Estimation of Security Price Volatilities from Historical Data",
    /// Journal of Business 53.
    pub garman_klass: Vec<f64>,
    /// Parkinson variance of the session: ln(H/L)² / (4 ln 2).
    ///
    /// Source: Parkinson (1980), "The Extreme Value Method for Estimating the Variance of the Rate of Return",
    /// Journal of Business 53.
    pub parkinson: Vec<f64>,
    /// Garman-Klass variance plus the squared gap: the variance from close to close, not below
    /// [`Columns::FLOOR`] nor below a hundredth of its own recent mean.
    pub variance: Vec<f64>,
    /// Natural log of [`variance`](Self::variance).
    pub variance_log: Vec<f64>,
    /// Seven tenths of the variance and three of the squared return, floored as that: what a width forecast should
    /// know. A range tells more exactly how wild a session was, the return how far it went.
    pub movement: Vec<f64>,
    /// Where the close lies between the session's low (0) and high (1), in logs; ½ where nothing moved.
    pub close_place: Vec<f64>,
    /// ln(1 + volume); `None` where the source gives none.
    pub volume_log: Vec<Option<f64>>,
    /// Return over the daily volatility of the [`Columns::MONTH`] before the bar, cut at ±6.
    pub scaled_return: Vec<f64>,
    /// Squared gap over the daily variance of the month before the bar, cut at 10.
    pub scaled_gap: Vec<f64>,
    /// ln(variance / mean variance of the month before the bar), cut at −3 and 5.
    pub surprise: Vec<f64>,
    /// What the other tickers of the market did; `None` where that is not known.
    pub market: Vec<Option<MarketSession>>,
}

impl Columns {
    /// How many bars back a number may look: a season of two years, the scaled returns by which the recent level is told,
    /// and what they need themselves.
    pub const MEMORY: usize = 1300;
    /// Sessions of a month.
    pub const MONTH: usize = 22;
    /// Variance of a bar in which nothing moved: a thousandth of a percent, squared.
    pub const FLOOR: f64 = 1e-10;

    /// Reads a series.
    pub fn new(series: &Series) -> Self {
        let market = (0..series.len()).map(|idx| series.market(idx)).collect();
        Self { market, ..Self::from_bars(series.bars()) }
    }

    /// Reads ascending bars of which no market is known.
    pub fn from_bars(bars: &[Bar]) -> Self {
        let n_bars = bars.len();
        let close_log: Vec<f64> = bars.iter().map(|bar| bar.close().ln()).collect();
        let mut return_log = vec![0.0; n_bars];
        let mut gap_log = vec![0.0; n_bars];
        let mut garman_klass = Vec::with_capacity(n_bars);
        let mut parkinson = Vec::with_capacity(n_bars);
        for (idx, bar) in bars.iter().enumerate() {
            let open_log = bar.open().ln();
            let range = (bar.high() / bar.low()).ln().powi(2);
            garman_klass.push(0.5 * range - (2.0 * LN_2 - 1.0) * (close_log[idx] - open_log).powi(2));
            parkinson.push(range / (4.0 * LN_2));
            if idx > 0 {
                return_log[idx] = close_log[idx] - close_log[idx - 1];
                gap_log[idx] = open_log - close_log[idx - 1];
            }
        }
        let raw: Vec<f64> = garman_klass.iter().zip(&gap_log).map(|(range, gap)| range.max(0.0) + gap * gap).collect();
        let moved = |(raw, change): (&f64, &f64)| 0.7 * raw + 0.3 * change * change;
        let movement = floored(&raw.iter().zip(&return_log).map(moved).collect::<Vec<_>>(), &raw);
        let variance = floored(&raw, &raw);
        let known = |idx: usize| trailing_mean(&variance, idx.saturating_sub(1), Self::MONTH);
        let scaled = |idx: usize| (return_log[idx] / known(idx).sqrt()).clamp(-6.0, 6.0);
        Self {
            scaled_return: (0..n_bars).map(scaled).collect(),
            scaled_gap: (0..n_bars).map(|idx| (gap_log[idx].powi(2) / known(idx)).min(10.0)).collect(),
            surprise: (0..n_bars).map(|idx| (variance[idx] / known(idx)).ln().clamp(-3.0, 5.0)).collect(),
            at: bars.iter().map(|bar| bar.at()).collect(),
            variance_log: variance.iter().map(|variance| variance.ln()).collect(),
            close_log,
            return_log,
            gap_log,
            garman_klass,
            parkinson,
            movement,
            close_place: bars.iter().map(close_place).collect(),
            variance,
            volume_log: bars.iter().map(|bar| bar.volume().map(f64::ln_1p)).collect(),
            market: vec![None; n_bars],
        }
    }

    /// How many bars.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// Mean ln volume of the `n_bars` up to the bar against that of the month, cut at ±4; 0 where there is no volume.
    pub fn volume_against_mean(&self, bar_idx: usize, n_bars: usize) -> f64 {
        let mean = |n_bars: usize| {
            let known = self.volume_log[(bar_idx + 1).saturating_sub(n_bars)..=bar_idx].iter().flatten();
            (known.clone().count() > 0).then(|| known.clone().sum::<f64>() / known.count() as f64)
        };
        let (Some(recent), Some(usual)) = (mean(n_bars), mean(Self::MONTH)) else { return 0.0 };
        (recent - usual).clamp(-4.0, 4.0)
    }

    /// ln(close `horizon` bars after / close) of bar `bar_idx`; `None` while that bar has not come.
    pub fn future_return(&self, bar_idx: usize, horizon: usize) -> Option<f64> {
        Some(self.close_log.get(bar_idx + horizon)? - self.close_log[bar_idx])
    }
}

/// Log of the mean of `values` over the `horizon` bars after `bar_idx`; `None` while they have not come.
pub fn future_mean_log(values: &[f64], bar_idx: usize, horizon: usize) -> Option<f64> {
    let future = values.get(bar_idx + 1..=bar_idx + horizon)?;
    Some((future.iter().sum::<f64>() / horizon as f64).ln())
}

/// Mean of the `n_bars` values up to and including `bar_idx`, of as many as there are.
///
/// Summed afresh at each bar: a running sum would carry the rounding of bars long gone, and the same
/// window would give other bits in a longer series.
pub fn trailing_mean(values: &[f64], bar_idx: usize, n_bars: usize) -> f64 {
    let window = &values[(bar_idx + 1).saturating_sub(n_bars)..=bar_idx];
    window.iter().sum::<f64>() / window.len() as f64
}

/// A bar without any range (a halt, one trade) says "nothing traded", not "no risk": its log would be an
/// outlier that outweighs a year of bars. So none is below a hundredth of the recent mean of `usual`.
fn floored(values: &[f64], usual: &[f64]) -> Vec<f64> {
    let floored = |idx: usize| {
        let recent = if idx == 0 { 0.0 } else { trailing_mean(usual, idx - 1, 66) };
        values[idx].max(0.01 * recent).max(Columns::FLOOR)
    };
    (0..values.len()).map(floored).collect()
}

fn close_place(bar: &Bar) -> f64 {
    let range = (bar.high() / bar.low()).ln();
    if range > 1e-6 { (bar.close() / bar.low()).ln() / range } else { 0.5 }
}
