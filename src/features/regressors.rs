//! What a volatility forecast sees of a bar: numbers known at it, of the ticker's past and of its market.

use super::columns::{Columns, trailing_mean};
use super::season::Season;

/// What the regression sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regressors {
    /// Log variance of the last session and of the means over 5 and 22 sessions.
    ///
    /// Source: Corsi (2009), "A Simple Approximate Long-Memory Model of Realized Volatility", Journal of
    /// Financial Econometrics 7; on ranges instead of intraday returns.
    Har,
    /// Means of logs over 1, 5 and 11 sessions, the month's median, how far the last session is from it (squared),
    /// the week's largest, the part within sessions by itself, falls over 5 and 22 sessions and from the highest
    /// closes of month and quarter (leverage), volume against its mean, the [`Season`], and a close near the low.
    ///
    /// Leverage after Corsi & Renò (2012), "Discrete-Time Volatility Forecasting with Persistent Leverage
    /// Effect", Journal of Business & Economic Statistics 30.
    Extended,
    /// Those, and what the market did: how wild the session was for the other tickers, their return, their falls over
    /// 1, 5 and 22 sessions and from the month's high. Known where the market's session is.
    InMarket,
}

impl Regressors {
    /// How many.
    pub fn len(self) -> usize {
        match self {
            Self::Har => 3,
            Self::Extended => 17,
            Self::InMarket => Self::Extended.len() + 6,
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// As if this many rows had said "no effect": many regressors need a hold, three do not.
    pub(super) fn ridge(self, n_rows: usize) -> f64 {
        match self {
            Self::Har => 1e-6 * n_rows as f64,
            Self::Extended | Self::InMarket => 100.0,
        }
    }

    /// What they are to forecast, a bar: its mean over the sessions ahead, in logs.
    pub(super) fn target(self, columns: &Columns) -> &[f64] {
        match self {
            Self::Har => &columns.variance,
            Self::Extended | Self::InMarket => &columns.movement,
        }
    }

    /// Appends the regressors known at bar `bar_idx`.
    pub fn push(self, columns: &Columns, bar_idx: usize, row: &mut Vec<f64>) {
        match self {
            Self::Har => row.extend([1, 5, 22].map(|n_bars| trailing_mean(&columns.variance, bar_idx, n_bars).ln())),
            Self::Extended => push_extended(columns, bar_idx, row),
            Self::InMarket => {
                push_extended(columns, bar_idx, row);
                push_market(columns, bar_idx, row);
            }
        }
    }

    /// Whether all of them are known at bar `bar_idx`; where not, those of the market say that nothing happened.
    fn are_known(self, columns: &Columns, bar_idx: usize) -> bool {
        self != Self::InMarket || columns.market[bar_idx].is_some()
    }
}

fn push_extended(columns: &Columns, bar_idx: usize, row: &mut Vec<f64>) {
    let first_of = |n_bars: usize| (bar_idx + 1).saturating_sub(n_bars);
    let largest = |values: &[f64]| values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let usual = median(&columns.variance_log[first_of(Columns::MONTH)..=bar_idx]);
    row.extend([1, WEEK, 11].map(|n_bars| trailing_mean(&columns.variance_log, bar_idx, n_bars)));
    row.push(usual);
    row.push((columns.variance_log[bar_idx] - usual).clamp(-3.0, 5.0).powi(2));
    row.push(largest(&columns.variance_log[first_of(WEEK)..=bar_idx]));
    let within = |idx: usize| columns.garman_klass[idx].max(0.01 * columns.variance[idx]);
    let week = first_of(WEEK)..=bar_idx;
    let n_week = week.clone().count() as f64;
    row.push(within(bar_idx).ln());
    row.push((week.map(within).sum::<f64>() / n_week).ln());
    row.extend([WEEK, Columns::MONTH].map(|n_bars| {
        let window = &columns.scaled_return[first_of(n_bars)..=bar_idx];
        window.iter().map(|value| value.clamp(-4.0, 0.0)).sum::<f64>() / window.len() as f64
    }));
    row.extend([Columns::MONTH, QUARTER].map(|n_bars| {
        let high = largest(&columns.close_log[first_of(n_bars)..=bar_idx]);
        (columns.close_log[bar_idx] - high).max(DEEPEST_FALL)
    }));
    row.extend([1, WEEK].map(|n_bars| columns.volume_against_mean(bar_idx, n_bars)));
    let season = Season::at(columns, bar_idx);
    row.extend([season.gap, season.surprise]);
    row.push((NEAR_THE_LOW - columns.close_place[bar_idx]).max(0.0));
}

fn push_market(columns: &Columns, bar_idx: usize, row: &mut Vec<f64>) {
    let known = |n_bars: usize| columns.market[(bar_idx + 1).saturating_sub(n_bars)..=bar_idx].iter().flatten();
    let today = columns.market[bar_idx];
    row.push(today.map_or(0.0, |session| session.surprise));
    row.push(today.map_or(0.0, |session| session.scaled_return));
    row.extend([1, WEEK, Columns::MONTH].map(|n_bars| {
        known(n_bars).map(|session| session.scaled_return.min(0.0)).sum::<f64>() / known(n_bars).count().max(1) as f64
    }));
    let (mut path, mut high) = (0.0_f64, 0.0_f64);
    for session in known(Columns::MONTH) {
        path += session.scaled_return;
        high = high.max(path);
    }
    row.push(path - high);
}

/// Sessions of a week.
const WEEK: usize = 5;
/// The lowest tenth of a session: who sells there was not done when it closed.
const NEAR_THE_LOW: f64 = 0.1;
/// Sessions of a quarter.
const QUARTER: usize = 66;
/// A fall of 45 % from a high says as much as a deeper one.
const DEEPEST_FALL: f64 = -0.6;

/// Of an even number of values, the mean of the two in the middle.
fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    0.5 * (sorted[(sorted.len() - 1) / 2] + sorted[sorted.len() / 2])
}

/// The regressors of a stretch of bars, computed once for the regressions of all steps and members.
#[derive(Debug, Clone)]
pub struct RegressorTable {
    regressors: Regressors,
    first: usize,
    rows: Vec<f64>,
    /// One a bar: whether all regressors are known.
    known: Vec<bool>,
}

impl RegressorTable {
    /// Those of bar `first` and all after it.
    pub fn new(columns: &Columns, regressors: Regressors, first: usize) -> Self {
        let mut rows = Vec::with_capacity(columns.len().saturating_sub(first) * regressors.len());
        (first..columns.len()).for_each(|bar_idx| regressors.push(columns, bar_idx, &mut rows));
        let known = (first..columns.len()).map(|bar_idx| regressors.are_known(columns, bar_idx)).collect();
        Self { regressors, first, rows, known }
    }

    /// The first bar in it.
    pub fn first(&self) -> usize {
        self.first
    }

    /// The regressors `wanted` of bar `bar_idx`, which is not before [`first`](Self::first): the table's own, or of
    /// [`InMarket`](Regressors::InMarket)'s the [`Extended`](Regressors::Extended) ones. `None` where they are not known,
    /// or not in it.
    pub fn row(&self, wanted: Regressors, bar_idx: usize) -> Option<&[f64]> {
        let place = bar_idx - self.first;
        let is_in_it = match (wanted, self.regressors) {
            (Regressors::Extended, Regressors::InMarket) => true,
            _ => wanted == self.regressors && self.known[place],
        };
        is_in_it.then(|| &self.rows[place * self.regressors.len()..][..wanted.len()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::MarketSession;
    use crate::domain::bar::{Bar, BarTime, RawBar};

    /// Bars whose closes are these, a day apart, each with a range of one percent around them.
    fn columns(closes: &[f64]) -> Columns {
        let bar = |(idx, close): (usize, &f64)| {
            let at = BarTime::from_seconds(86_400 * idx as i64);
            let (high, low) = (close * 1.005, close * 0.995);
            Bar::new(RawBar { at, open: *close, high, low, close: *close, volume: None }).expect("valid")
        };
        Columns::from_bars(&closes.iter().enumerate().map(bar).collect::<Vec<_>>())
    }

    fn extended(closes: &[f64]) -> Vec<f64> {
        let mut row = Vec::new();
        Regressors::Extended.push(&columns(closes), closes.len() - 1, &mut row);
        assert_eq!(row.len(), Regressors::Extended.len());
        row
    }

    #[test]
    fn a_fall_is_told_from_the_highs_of_month_and_quarter() {
        let falls = |closes: &[f64]| (extended(closes)[10], extended(closes)[11]);
        let mut closes = vec![100.0; 40];
        assert_eq!(falls(&closes), (0.0, 0.0));
        closes.extend([80.0; 3]);
        let (month, quarter) = falls(&closes);
        assert!((month - 0.8_f64.ln()).abs() < 1e-12 && month == quarter, "{month} {quarter}");
        closes.extend([80.0; 19]);
        assert_eq!(falls(&closes), (0.0, quarter));
        closes.extend([80.0; 44]);
        assert_eq!(falls(&closes), (0.0, 0.0));
        closes.extend([1.0, 1.0]);
        assert_eq!(falls(&closes), (DEEPEST_FALL, DEEPEST_FALL));
    }

    #[test]
    fn a_close_near_the_low_is_told_and_one_above_the_lowest_tenth_is_not() {
        let bar = |close: f64| {
            let (at, low, high) = (BarTime::from_seconds(0), 99.0, 101.0);
            Bar::new(RawBar { at, open: 100.0, high, low, close, volume: None }).expect("valid")
        };
        let told = |close: f64| {
            let mut row = Vec::new();
            Regressors::Extended.push(&Columns::from_bars(&[bar(close)]), 0, &mut row);
            row[16]
        };
        assert_eq!((told(99.0), told(99.5), told(101.0)), (NEAR_THE_LOW, 0.0, 0.0));
        let between = told(99.1);
        assert!(between > 0.4 * NEAR_THE_LOW && between < 0.6 * NEAR_THE_LOW, "{between}");
    }

    #[test]
    fn the_extended_regression_aims_at_ranges_and_returns_the_other_at_ranges() {
        // Opens at 100, closes 1 % higher, and never leaves that: a range, and a return of as much.
        let bar = |(idx, close): (usize, f64)| {
            let (at, open, low) = (BarTime::from_seconds(86_400 * idx as i64), close / 1.01, close / 1.01);
            Bar::new(RawBar { at, open, high: close, low, close, volume: None }).expect("valid")
        };
        let columns = Columns::from_bars(&[100.0, 101.0].into_iter().enumerate().map(bar).collect::<Vec<_>>());
        let (squared, ranges) = (1.01_f64.ln().powi(2), columns.variance[1]);
        assert_eq!(Regressors::Har.target(&columns)[1], ranges);
        let aim = Regressors::Extended.target(&columns)[1];
        assert!((aim - (0.7 * ranges + 0.3 * squared)).abs() < 1e-15, "{aim}");
    }

    #[test]
    fn a_wild_session_is_told_by_its_distance_from_the_median_and_stays_the_largest_for_a_week() {
        let mut closes = vec![100.0; 40];
        let calm = extended(&closes);
        assert_eq!((calm[4], calm[5]), (0.0, calm[3]));
        closes.push(101.0);
        let wild = extended(&closes);
        assert!(wild[4] > 1.0 && wild[5] == wild[0] && wild[3] == calm[3], "{wild:?}");
        closes.extend([101.0; 4]);
        let after = extended(&closes);
        assert_eq!((after[4], after[5]), (0.0, wild[0]));
        closes.push(101.0);
        assert_eq!(extended(&closes)[5], calm[5]);
    }

    #[test]
    fn a_market_is_told_by_its_newest_session_and_its_falls_of_late() {
        let session = |surprise: f64, scaled_return: f64| Some(MarketSession { surprise, scaled_return, n_tickers: 5 });
        let told = |sessions: &[Option<MarketSession>]| {
            let mut columns = columns(&vec![100.0; sessions.len()]);
            columns.market = sessions.to_vec();
            let table = RegressorTable::new(&columns, Regressors::InMarket, 0);
            let bar_idx = sessions.len() - 1;
            let row = table.row(Regressors::InMarket, bar_idx).map(|row| row[Regressors::Extended.len()..].to_vec());
            let own = table.row(Regressors::Extended, bar_idx).map(<[f64]>::to_vec);
            assert_eq!(own, Some(extended(&vec![100.0; sessions.len()])), "whatever the market did");
            row
        };
        let calm = vec![session(0.0, 0.0); 30];
        assert_eq!(told(&calm), Some(vec![0.0; 6]));
        // Surprise and return of the day; mean falls of day, week and month; the fall from the month's high.
        let fallen = [calm.as_slice(), &[session(0.5, 1.0), session(2.0, -3.0)]].concat();
        let row = told(&fallen).expect("known");
        for (value, expected) in row.iter().zip([2.0, -3.0, -3.0, -3.0 / 5.0, -3.0 / 22.0, -3.0]) {
            assert!((value - expected).abs() < 1e-12, "{row:?}");
        }
        // Means are over the sessions that are known; where the newest is not, none of it is.
        let gaps = [calm.as_slice(), &[session(0.0, -2.0), None, None, None, session(0.0, 0.0)]].concat();
        assert_eq!(told(&gaps).expect("known")[3], -1.0);
        assert_eq!(told(&[calm.as_slice(), &[None]].concat()), None);
    }
}
