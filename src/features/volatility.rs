//! How far the next sessions will move: a regression of log variance on its own past, and on its market.

use super::columns::{Columns, future_mean_log};
use super::regression::Linear;
use super::regressors::{RegressorTable, Regressors};

/// A fitted forecast of the volatility over a number of sessions ahead; direct, one model a horizon.
///
/// The target is the log of the mean variance (Garman-Klass plus squared gap, [`Columns::variance`]; for
/// [`Regressors::Extended`] [`Columns::movement`]) of the sessions ahead. Forecasts are clipped to the range that fitting has seen: a log regression outside of it
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
        let rows: Vec<usize> = rows.into_iter().collect();
        let first = rows.iter().copied().min().unwrap_or(columns.len());
        Self::fit_table(columns, &RegressorTable::new(columns, regressors, first), regressors, horizon, rows)
    }

    /// As [`fit`](Self::fit), on regressors at hand.
    ///
    /// # Errors
    /// With fewer than [`MIN_ROWS`](Self::MIN_ROWS) usable rows.
    pub fn fit_table(
        columns: &Columns,
        table: &RegressorTable,
        regressors: Regressors,
        horizon: usize,
        rows: impl IntoIterator<Item = usize>,
    ) -> Result<Self, TooFewRows> {
        let (flat, targets) = lessons(columns, table, regressors, horizon, rows)?;
        let lowest = targets.iter().copied().fold(f64::INFINITY, f64::min);
        let highest = targets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let linear = Linear::fit(&flat, &targets, regressors.ridge(targets.len()));
        Ok(Self { regressors, horizon, linear, range: (lowest, highest) })
    }

    /// This one, corrected by what `regressors`, its own and more, say of what it leaves over: the fewer rows know them,
    /// the nearer it stays to what it was.
    ///
    /// # Errors
    /// With fewer than [`MIN_ROWS`](Self::MIN_ROWS) rows in which all are known.
    pub fn corrected(
        &self,
        columns: &Columns,
        table: &RegressorTable,
        regressors: Regressors,
        rows: impl IntoIterator<Item = usize>,
    ) -> Result<Self, TooFewRows> {
        let (flat, targets) = lessons(columns, table, regressors, self.horizon, rows)?;
        let left_over: Vec<f64> =
            flat.chunks(regressors.len()).zip(targets).map(|(row, target)| target - self.linear.predict(row)).collect();
        let mut linear = Linear::fit(&flat, &left_over, regressors.ridge(left_over.len()));
        linear.intercept += self.linear.intercept;
        for (sum, own) in linear.coefficients.iter_mut().zip(&self.linear.coefficients) {
            *sum += own;
        }
        Ok(Self { regressors, horizon: self.horizon, linear, range: self.range })
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
        self.of_variance_log(self.variance_log(columns, bar_idx))
    }

    /// As [`volatility`](Self::volatility), from regressors at hand; `None` where those that it sees are not known.
    pub fn volatility_in(&self, table: &RegressorTable, bar_idx: usize) -> Option<f64> {
        let row = table.row(self.regressors, bar_idx)?;
        Some(self.of_variance_log(self.linear.predict(row).clamp(self.range.0, self.range.1)))
    }

    fn of_variance_log(&self, variance_log: f64) -> f64 {
        (0.5 * variance_log).exp() * (self.horizon as f64).sqrt()
    }
}

/// The regressors of the cutoffs `rows` and their targets, as far as both are known.
fn lessons(
    columns: &Columns,
    table: &RegressorTable,
    regressors: Regressors,
    horizon: usize,
    rows: impl IntoIterator<Item = usize>,
) -> Result<(Vec<f64>, Vec<f64>), TooFewRows> {
    let (mut flat, mut targets) = (Vec::new(), Vec::new());
    for bar_idx in rows {
        let target = future_mean_log(regressors.target(columns), bar_idx, horizon);
        if let (Some(target), Some(row)) = (target, table.row(regressors, bar_idx)) {
            flat.extend_from_slice(row);
            targets.push(target);
        }
    }
    match targets.len() < VolatilityModel::MIN_ROWS {
        true => Err(TooFewRows { needed: VolatilityModel::MIN_ROWS, have: targets.len() }),
        false => Ok((flat, targets)),
    }
}
