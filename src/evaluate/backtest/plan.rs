//! Which bars are known and which are forecast, fold by fold.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::domain::Horizon;
use crate::evaluate::EvaluateError;

/// What a refit sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Window {
    /// Every bar up to the fold.
    Expanding,
    /// As many bars as the first fold saw, the newest ones.
    Rolling,
}

/// A walk-forward run, as clients ask for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Consecutive stretches that are forecast, 1 to 50. More show better whether skill lasts, and cost a fit each.
    pub folds: usize,
    /// Bars between two forecasts.
    pub step_size: usize,
    /// Sessions ahead.
    pub horizon: Horizon,
    /// Bars left out between the newest bar of a fit and the first forecast with it.
    pub embargo: usize,
    /// Whether each fold fits anew; else the first fold's fit is kept.
    pub refit: bool,
    /// What a refit sees.
    pub window: Window,
    /// Bars a fold; `None`: half of all bars over the folds, 50 at most.
    pub fold_bars: Option<usize>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            folds: 5,
            step_size: 1,
            horizon: Horizon::ONE,
            embargo: 0,
            refit: true,
            window: Window::Expanding,
            fold_bars: None,
        }
    }
}

/// One stretch of forecasts, and the bars that were known for its fit; positions of bars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fold {
    /// Bars given to the fit. Its windows and targets lie inside, so no outcome after it can be learned (purge).
    pub known: Range<usize>,
    /// The last bars known to each forecast, ascending.
    pub cutoffs: Vec<usize>,
}

impl Plan {
    /// Most folds, each of which may cost a training.
    pub const MAX_FOLDS: usize = 50;
    /// Bars below which no fit is tried.
    pub const MIN_KNOWN: usize = 60;

    /// Lays the folds over the newest bars of a series, so that every forecast of every step has come true.
    ///
    /// # Errors
    /// When a setting makes no sense or the series is too short for it.
    pub fn lay(&self, n_bars: usize) -> Result<Vec<Fold>, EvaluateError> {
        self.check()?;
        let horizon = self.horizon.steps();
        let too_short = |needed| EvaluateError::TooFewBars { method: "this backtest".to_owned(), needed, have: n_bars };
        let usual = (n_bars / 2 / self.folds).min(50);
        let fold_bars = self.fold_bars.unwrap_or(usual);
        let reserved = self.folds * fold_bars + horizon - 1;
        let needed = reserved + 1 + self.embargo + Self::MIN_KNOWN;
        if fold_bars == 0 || n_bars < needed {
            return Err(too_short(needed.max(2 * self.folds)));
        }
        // The first forecast is made at `first`; the last one, of all folds, comes true at the last bar.
        let first = n_bars - 1 - reserved;
        let first_known = first + 1 - self.embargo;
        let fold = |idx: usize| {
            let start = first + idx * fold_bars;
            let end = start + 1 - self.embargo;
            let known = match (self.refit, self.window) {
                (false, _) => 0..first_known,
                (true, Window::Expanding) => 0..end,
                (true, Window::Rolling) => end - first_known..end,
            };
            Fold { known, cutoffs: (start..start + fold_bars).step_by(self.step_size).collect() }
        };
        Ok((0..self.folds).map(fold).collect())
    }

    /// Forecasts of `step` whose outcomes share bars with the one before.
    pub fn overlap(&self, step: usize) -> usize {
        step.div_ceil(self.step_size.max(1))
    }

    fn check(&self) -> Result<(), EvaluateError> {
        let bad = |field, value: usize, rule: &str| EvaluateError::BadSetting {
            field,
            value: value as f64,
            rule: rule.to_owned(),
        };
        if !(1..=Self::MAX_FOLDS).contains(&self.folds) {
            return Err(bad("folds", self.folds, "use 1 to 50"));
        }
        if !(1..=250).contains(&self.step_size) {
            return Err(bad("step_size", self.step_size, "use 1 to 250 bars"));
        }
        if self.embargo > 250 {
            return Err(bad("embargo", self.embargo, "use 0 to 250 bars"));
        }
        match self.fold_bars {
            Some(bars) if !(1..=5_000).contains(&bars) => Err(bad("fold_bars", bars, "use 1 to 5000 bars")),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn folds_follow_each_other_up_to_the_last_bar() {
        let plan = Plan { folds: 3, fold_bars: Some(10), embargo: 2, ..Plan::default() };
        let folds = plan.lay(200).expect("long enough");
        assert_eq!(folds[0].cutoffs, (169..179).collect::<Vec<_>>());
        assert_eq!((folds[0].known.clone(), folds[2].known.clone()), (0..168, 0..188));
        assert_eq!(folds[2].cutoffs.last(), Some(&198));
        let rolling = Plan { window: Window::Rolling, ..plan.clone() }.lay(200).expect("long enough");
        assert_eq!(rolling[2].known, 20..188);
        let once = Plan { refit: false, ..plan }.lay(200).expect("long enough");
        assert_eq!(once[2].known, 0..168);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_field() {
        let refused = |plan: Plan, n_bars| plan.lay(n_bars).map(|_| ()).map_err(|error| error.to_string());
        assert!(refused(Plan { folds: 0, ..Plan::default() }, 500).is_err_and(|text| text.starts_with("folds is 0")));
        assert!(refused(Plan { step_size: 0, ..Plan::default() }, 500).is_err());
        assert!(refused(Plan::default(), 8).is_err_and(|text| text.starts_with("8 bars: this backtest needs")));
        assert!(refused(Plan { fold_bars: Some(usize::MAX), ..Plan::default() }, 500).is_err());
        assert_eq!(refused(Plan::default(), 500), Ok(()));
    }

    proptest! {
        #[test]
        fn no_fit_sees_a_forecast_s_outcome(
            n_bars in 0_usize..600, folds in 1_usize..8, step_size in 1_usize..6, steps in 1_u32..=20, embargo in 0_usize..30,
            refit: bool, rolling: bool,
        ) {
            let horizon = Horizon::try_from(steps).expect("in range");
            let window = if rolling { Window::Rolling } else { Window::Expanding };
            let plan = Plan { folds, step_size, horizon, embargo, refit, window, fold_bars: None };
            for fold in plan.lay(n_bars).unwrap_or_default() {
                prop_assert!(fold.known.len() >= Plan::MIN_KNOWN);
                for cutoff in &fold.cutoffs {
                    prop_assert!(fold.known.end <= cutoff + 1 - embargo.min(*cutoff), "the embargo holds");
                    prop_assert!(cutoff + horizon.steps() < n_bars, "every step comes true");
                }
            }
        }
    }
}
