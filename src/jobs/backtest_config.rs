//! What a backtest job runs: fields, defaults, and what is refused before it begins.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::config::LimitSettings;
use crate::domain::{Horizon, counted};
use crate::evaluate::backtest::{Plan, Window};
use crate::evaluate::{Baseline, EvaluateError};
use crate::train::{ConfigError, TrainConfig, min_bars};

/// What to run. In JSON every field is optional.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "ConfigPatch")]
pub struct BacktestConfig {
    /// As in [`Plan`].
    pub folds: usize,
    /// As in [`Plan`].
    pub step_size: usize,
    /// As in [`Plan`].
    pub horizon: Horizon,
    /// As in [`Plan`].
    pub embargo: usize,
    /// As in [`Plan`].
    pub refit: bool,
    /// As in [`Plan`].
    pub window: Window,
    /// As in [`Plan`].
    pub fold_bars: Option<usize>,
    /// Who is run beside the network, on the same points.
    pub baselines: BTreeSet<Baseline>,
    /// The network, run as it is served.
    pub config: TrainConfig,
}

impl Default for BacktestConfig {
    fn default() -> Self {
        let Plan { folds, step_size, horizon, embargo, refit, window, fold_bars } = Plan::default();
        let baselines = Baseline::ALL.into_iter().collect();
        let config = TrainConfig::default();
        Self { folds, step_size, horizon, embargo, refit, window, fold_bars, baselines, config }
    }
}

/// A config as a client writes it: what is absent or null is the default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ConfigPatch {
    folds: Option<usize>,
    step_size: Option<usize>,
    horizon: Option<Horizon>,
    embargo: Option<usize>,
    refit: Option<bool>,
    window: Option<Window>,
    fold_bars: Option<usize>,
    baselines: Option<BTreeSet<Baseline>>,
    config: Option<TrainConfig>,
}

impl From<ConfigPatch> for BacktestConfig {
    fn from(patch: ConfigPatch) -> Self {
        let base = Self::default();
        Self {
            folds: patch.folds.unwrap_or(base.folds),
            step_size: patch.step_size.unwrap_or(base.step_size),
            horizon: patch.horizon.unwrap_or(base.horizon),
            embargo: patch.embargo.unwrap_or(base.embargo),
            refit: patch.refit.unwrap_or(base.refit),
            window: patch.window.unwrap_or(base.window),
            fold_bars: patch.fold_bars,
            baselines: patch.baselines.unwrap_or(base.baselines),
            config: patch.config.unwrap_or(base.config),
        }
    }
}

/// Why a backtest is not run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BacktestRefusal {
    /// A number outside of what makes sense or is granted.
    #[error("{field} {value} is outside {min} to {max}")]
    OutOfRange {
        /// The field.
        field: &'static str,
        /// What it is.
        value: usize,
        /// Lowest allowed.
        min: usize,
        /// Highest allowed.
        max: usize,
    },
    /// Each number is granted, but not all of them together.
    #[error("this run would make {asked} forecasts, {max} are allowed: fewer folds, fold_bars, horizon or baselines")]
    TooManyPoints {
        /// Over all models, cutoffs and steps.
        asked: usize,
        /// The cap.
        max: usize,
    },
    /// Nothing is left to fit on.
    #[error("{}: this backtest needs {needed}: send more, or ask for {way_out}", counted(*have, "bar"))]
    TooFewBars {
        /// What to ask for that these bars are enough for, or nearer to it.
        way_out: &'static str,
        /// How many would do.
        needed: usize,
        /// How many there are.
        have: usize,
    },
    /// The network's config.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

impl BacktestConfig {
    /// Which bars are known and which are forecast.
    pub fn plan(&self) -> Plan {
        let Self { folds, step_size, horizon, embargo, refit, window, fold_bars, .. } = self.clone();
        Plan { folds, step_size, horizon, embargo, refit, window, fold_bars }
    }

    /// Checks everything that can be known before a run on `n_bars` bars.
    ///
    /// # Errors
    /// Names the first thing at fault.
    pub fn check(&self, n_bars: usize, limits: &LimitSettings) -> Result<(), BacktestRefusal> {
        self.config.check(&limits.train)?;
        let caps = &limits.backtest;
        for (field, value, min, max) in [
            ("folds", self.folds, 1, caps.folds),
            ("step_size", self.step_size, 1, caps.step_size),
            ("embargo", self.embargo, 0, caps.embargo),
            ("fold_bars", self.fold_bars.unwrap_or(1), 1, caps.fold_bars),
        ] {
            if !(min..=max).contains(&value) {
                return Err(BacktestRefusal::OutOfRange { field, value, min, max });
            }
        }
        let needed = self.min_bars();
        if n_bars < needed {
            return Err(BacktestRefusal::TooFewBars { way_out: self.way_out(n_bars), needed, have: n_bars });
        }
        let cutoffs: usize = self.plan().lay(n_bars).iter().flatten().map(|fold| fold.cutoffs.len()).sum();
        let asked = cutoffs * self.horizon.steps() * (1 + self.baselines.len());
        match asked > caps.points {
            true => Err(BacktestRefusal::TooManyPoints { asked, max: caps.points }),
            false => Ok(()),
        }
    }

    /// The smallest change that makes `n_bars` enough.
    fn way_out(&self, n_bars: usize) -> &'static str {
        let changed = |folds: usize, fold_bars: Option<usize>, embargo: usize| {
            Self { folds, fold_bars, embargo, ..self.clone() }.min_bars() <= n_bars
        };
        let Self { folds, fold_bars, embargo, .. } = *self;
        match () {
            () if changed(1, fold_bars, embargo) => "fewer folds",
            () if changed(folds, Some(1), embargo) => "fewer fold_bars",
            () if changed(1, Some(1), embargo) => "fewer folds and fold_bars",
            () if changed(1, Some(1), 0) => "fewer folds and fold_bars and a shorter embargo",
            () => "a shorter lookback or horizon",
        }
    }

    /// The fewest bars whose first fold leaves the network enough to train on.
    fn min_bars(&self) -> usize {
        let needed = min_bars(&TrainConfig { horizon: self.horizon.max(self.config.horizon), ..self.config.clone() });
        let plan = self.plan();
        let mut n_bars = needed;
        // Each round adds what is missing; folds that grow with the series take half of it at most.
        for _ in 0..64 {
            n_bars = match plan.lay(n_bars) {
                Ok(folds) if folds[0].known.len() >= needed => return n_bars,
                Ok(folds) => n_bars + needed - folds[0].known.len(),
                Err(EvaluateError::TooFewBars { needed, .. }) => needed.max(n_bars + 1),
                Err(_) => return n_bars,
            };
        }
        n_bars
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut BacktestConfig), n_bars: usize) -> Option<BacktestRefusal> {
        let mut config = BacktestConfig::default();
        change(&mut config);
        config.check(n_bars, &LimitSettings::default()).err()
    }

    #[test]
    fn every_cap_holds_from_both_sides() {
        let field = |change: &dyn Fn(&mut BacktestConfig)| match refusal(change, 100_000) {
            Some(BacktestRefusal::OutOfRange { field, .. }) => Some(field),
            Some(BacktestRefusal::Config(error)) => Some(error.field()),
            Some(BacktestRefusal::TooManyPoints { .. }) => Some("points"),
            other => {
                assert_eq!(other, None);
                None
            }
        };
        assert_eq!(field(&|_| ()), None);
        assert_eq!((field(&|c| c.folds = 50), field(&|c| c.folds = 51)), (None, Some("folds")));
        assert_eq!(field(&|c| c.folds = 0), Some("folds"));
        assert_eq!((field(&|c| c.step_size = 250), field(&|c| c.step_size = 251)), (None, Some("step_size")));
        assert_eq!(field(&|c| c.step_size = 0), Some("step_size"));
        assert_eq!((field(&|c| c.embargo = 250), field(&|c| c.embargo = 251)), (None, Some("embargo")));
        assert_eq!(
            (field(&|c| c.fold_bars = Some(1_000)), field(&|c| c.fold_bars = Some(1_001))),
            (None, Some("fold_bars"))
        );
        assert_eq!(field(&|c| c.fold_bars = Some(0)), Some("fold_bars"));
        assert_eq!(field(&|c| c.config.hidden = 513), Some("hidden"));
        // 10 folds of 500 bars, 20 steps, the network alone: 100,000 forecasts.
        let many = |c: &mut BacktestConfig| {
            (c.folds, c.fold_bars, c.horizon) = (10, Some(500), Horizon::try_from(20).unwrap_or(Horizon::ONE));
            c.baselines.clear();
        };
        assert_eq!(field(&many), None);
        assert_eq!(
            field(&|c| {
                many(c);
                c.fold_bars = Some(501);
            }),
            Some("points")
        );
    }

    #[test]
    fn the_bars_that_a_refusal_asks_for_are_the_fewest_that_do() {
        let asks = |folds: usize, fold_bars: Option<usize>| {
            let change = move |c: &mut BacktestConfig| (c.folds, c.fold_bars) = (folds, fold_bars);
            let Some(BacktestRefusal::TooFewBars { needed, have: 100, .. }) = refusal(change, 100) else {
                panic!("100 bars do")
            };
            assert_eq!(refusal(change, needed), None, "{folds} folds of {fold_bars:?}");
            assert!(refusal(change, needed - 1).is_some(), "{folds} folds of {fold_bars:?}");
        };
        asks(5, None);
        asks(1, Some(10));
        asks(50, Some(3));
    }

    #[test]
    fn a_refusal_asks_for_nothing_that_does_not_help() {
        let way_out = |folds: usize, fold_bars: Option<usize>, n_bars: usize| {
            let change = |c: &mut BacktestConfig| (c.folds, c.fold_bars) = (folds, fold_bars);
            match refusal(change, n_bars) {
                Some(BacktestRefusal::TooFewBars { way_out, .. }) => way_out,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(way_out(50, Some(4), 300), "fewer folds");
        assert_eq!(refusal(|c| (c.folds, c.fold_bars) = (1, Some(4)), 300), None);
        assert_eq!(way_out(1, Some(200), 300), "fewer fold_bars");
        assert_eq!(refusal(|c| (c.folds, c.fold_bars) = (1, Some(1)), 300), None);
        assert_eq!(way_out(5, None, 100), "a shorter lookback or horizon");
        assert_eq!(way_out(50, Some(30), 190), "fewer folds and fold_bars");
        assert_eq!(refusal(|c| (c.folds, c.fold_bars) = (1, Some(1)), 190), None);
        let embargo = refusal(|c| c.embargo = 200, 300).map(|refusal| refusal.to_string());
        assert!(embargo.is_some_and(|text| text.ends_with("a shorter embargo")));
    }

    #[test]
    fn absent_fields_are_the_defaults() {
        let read = |text: &str| serde_json::from_str::<BacktestConfig>(text);
        assert_eq!(read("{}").ok(), Some(BacktestConfig::default()));
        assert_eq!(read(r#"{"folds": null, "config": null}"#).ok(), Some(BacktestConfig::default()));
        let whole = serde_json::to_string(&BacktestConfig::default()).expect("plain data");
        assert_eq!(read(&whole).ok(), Some(BacktestConfig::default()));
        let some =
            read(r#"{"folds": 2, "window": "rolling", "baselines": ["har", "har"], "config": {"preset": "fast"}}"#);
        assert!(some.is_ok_and(|c| c.folds == 2
            && c.window == Window::Rolling
            && c.baselines.len() == 1
            && c.config.hidden == 8));
        assert!(read(r#"{"fold": 2}"#).is_err() && read(r#"{"baselines": ["best"]}"#).is_err());
    }
}
