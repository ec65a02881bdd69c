//! How far the next sessions will move: a regression of log variance on its own past.

use super::columns::{Columns, trailing_mean};
use super::regression::Linear;

/// What the regression sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Regressors {
    /// Log variance of the last session and of the means over 5 and 22 sessions.
    ///
    /// Source: Corsi (2009), "A Simple Approximate Long-Memory Model of Realized Volatility", Journal of
    /// Financial Econometrics 7; on ranges instead of intraday returns.
    Har,
}

impl Regressors {
    /// How many.
    pub fn len(self) -> usize {
        match self {
            Self::Har => 3,
        }
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    fn push(self, columns: &Columns, bar_idx: usize, row: &mut Vec<f64>) {
        match self {
            Self::Har => row.extend([1, 5, 22].map(|n_bars| trailing_mean(&columns.variance, bar_idx, n_bars).ln())),
        }
    }
}

/// A fitted forecast of the volatility over a number of sessions ahead; direct, one model a horizon.
///
/// The target is the log of the mean variance (Garman-Klass plus squared gap, [`Columns::variance`]) of the
/// sessions ahead. Forecasts are clipped to the range that fitting has seen: a log regression outside of it
/// has once answered a thousandfold.
#[derive(Debug, Clone, PartialEq)]
pub struct VolatilityModel {
    /// What it sees.
    pub regressors: Regressors,
    /// Sessions ahead.
    pub horizon: usize,
    /// Regressors to log daily variance.
    pub linear: Linear,
    /// Lowest and highest log daily variance met in fitting.
    pub range: (f64, f64),
}

/// Fewer rows than the regression has unknowns to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{have} bars with a known outcome: a volatility regression needs {needed}")]
pub struct TooFewRows {
    /// How many would do.
    pub needed: usize,
    /// How many there are.
    pub have: usize,
}

impl VolatilityModel {
    /// Bars without which the longest mean is not one yet.
    pub const WARMUP: usize = 22;
    /// Rows below which a regression is noise.
    pub const MIN_ROWS: usize = 60;

    /// Fits on the cutoffs `rows` (positions of bars); those whose sessions ahead have not all come are left out.
    ///
    /// # Errors
    /// With fewer than [`MIN_ROWS`](Self::MIN_ROWS) usable rows.
    pub fn fit(
        columns: &Columns,
        horizon: usize,
        regressors: Regressors,
        rows: impl IntoIterator<Item = usize>,
    ) -> Result<Self, TooFewRows> {
        let (mut flat, mut targets) = (Vec::new(), Vec::new());
        for bar_idx in rows {
            if let Some(target) = columns.future_variance_log(bar_idx, horizon) {
                regressors.push(columns, bar_idx, &mut flat);
                targets.push(target);
            }
        }
        if targets.len() < Self::MIN_ROWS {
            return Err(TooFewRows { needed: Self::MIN_ROWS, have: targets.len() });
        }
        let lowest = targets.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = targets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let linear = Linear::fit(&flat, &targets, 1e-6 * targets.len() as f64);
        Ok(Self { regressors, horizon, linear, range: (lowest, highest) })
    }

    /// Fits on every bar of a series past the [`WARMUP`](Self::WARMUP).
    ///
    /// # Errors
    /// With too few bars.
    pub fn fit_all(columns: &Columns, horizon: usize, regressors: Regressors) -> Result<Self, TooFewRows> {
        Self::fit(columns, horizon, regressors, Self::WARMUP..columns.len())
    }

    /// Log of the mean daily variance over the sessions ahead, as known at bar `bar_idx`.
    pub fn variance_log(&self, columns: &Columns, bar_idx: usize) -> f64 {
        let mut row = Vec::with_capacity(self.regressors.len());
        self.regressors.push(columns, bar_idx, &mut row);
        self.linear.predict(&row).clamp(self.range.0, self.range.1)
    }

    /// Standard deviation of the log return over all `horizon` sessions ahead, as known at bar `bar_idx`.
    ///
    /// Up to a factor near 1 (the mean of a log is not the log of a mean): quantiles of returns divided by it
    /// absorb that factor.
    pub fn volatility(&self, columns: &Columns, bar_idx: usize) -> f64 {
        (0.5 * self.variance_log(columns, bar_idx)).exp() * (self.horizon as f64).sqrt()
    }
}
