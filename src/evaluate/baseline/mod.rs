//! Forecasts that any model has to beat, each complete enough to be served.
//!
//! All have one form: the return over `step` sessions is a location plus a volatility forecast times a fixed
//! shape, and the shape of each step is the distribution of the past returns of that many sessions divided by
//! what was forecast for them (filtered historical simulation, taken directly at each step; for GARCH a
//! Student-t fitted to it). Why not simulate paths: the direct form needs no draws, so it is exact, repeatable
//! and costs a multiplication a quantile; what paths would add, the shape of sums of shocks, is in the data of
//! each step already.
//!
//! Source: Barone-Adesi, Giannopoulos & Vosper (1999), "VaR without correlations for portfolios of derivative
//! securities", Journal of Futures Markets 19.

mod garch;
mod nelder_mead;
mod volatility;
mod fitted;

use serde::{Deserialize, Serialize};

pub use fitted::FittedBaseline;
pub use garch::Garch;
use volatility::Volatility;

use super::{EvaluateError, Forecaster, Method};
use crate::domain::{Horizon, Series};
use crate::features::{Columns, Regressors, VolatilityModel};

/// The baselines, in the order in which reports list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "String")]
pub enum Baseline {
    /// "No change", with the spread of past returns around it.
    Naive,
    /// The mean return of the past goes on, with the spread of past returns around it.
    Drift,
    /// The returns of the last two years, as they were (historical simulation).
    Historical,
    /// Exponentially weighted volatility with filtered historical simulation.
    Ewma,
    /// GARCH(1,1) with Student-t shocks.
    Garch,
    /// Heterogeneous autoregression of range volatility with filtered historical simulation.
    Har,
}

/// Levels at which baselines give quantiles: those that are scored, and two more in each tail.
pub const BASELINE_LEVELS: [f64; 17] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99, 0.995];

/// Returns without which a quantile is a guess.
const MIN_RETURNS: usize = 30;

impl Baseline {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Naive, Self::Drift, Self::Historical, Self::Ewma, Self::Garch, Self::Har];

    /// As in reports and in `model=`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Naive => "naive",
            Self::Drift => "drift",
            Self::Historical => "historical",
            Self::Ewma => "ewma",
            Self::Garch => "garch",
            Self::Har => "har",
        }
    }

    /// Bars below which [`fit`](Self::fit) refuses.
    pub fn min_bars(self, horizon: Horizon) -> usize {
        let longest = horizon.steps();
        match self {
            Self::Naive | Self::Drift | Self::Historical => MIN_RETURNS + longest,
            Self::Ewma => 2 * MIN_RETURNS + longest,
            Self::Garch => 250 + longest,
            Self::Har => VolatilityModel::WARMUP + VolatilityModel::MIN_ROWS + longest,
        }
    }

    /// The one that has proved best among those that `n_bars` suffice for: HAR, then EWMA, then naive.
    pub fn best_for(n_bars: usize, horizon: Horizon) -> Option<Self> {
        [Self::Har, Self::Ewma, Self::Naive].into_iter().find(|baseline| n_bars >= baseline.min_bars(horizon))
    }

    /// Fits on all bars given, for steps `1..=horizon`.
    ///
    /// # Errors
    /// With fewer than [`min_bars`](Self::min_bars) bars; GARCH also where the price never changes.
    pub fn fit(self, known: &Series, horizon: Horizon) -> Result<FittedBaseline, EvaluateError> {
        let (needed, have) = (self.min_bars(horizon), known.len());
        let too_few = || EvaluateError::TooFewBars { method: self.name().to_owned(), needed, have };
        if have < needed {
            return Err(too_few());
        }
        let columns = Columns::new(known);
        let returns = &columns.return_log[1..];
        let mean = mean_of(returns).unwrap_or(0.0);
        let (drift, volatility) = match self {
            Self::Naive | Self::Historical => (0.0, Volatility::Constant),
            Self::Drift => (mean, Volatility::Constant),
            Self::Ewma => (0.0, Volatility::Ewma),
            Self::Garch => {
                let no_variation = || EvaluateError::NoVariation { method: self.name().to_owned() };
                let garch = Garch::fit(returns).ok_or_else(no_variation)?;
                (garch.mu, Volatility::Garch(garch))
            }
            Self::Har => {
                let model = |step| VolatilityModel::fit_all(&columns, step, Regressors::Har).map_err(|_| too_few());
                (0.0, Volatility::Har((1..=horizon.steps()).map(model).collect::<Result<_, _>>()?))
            }
        };
        let shapes = (1..=horizon.steps()).map(|step| {
            let sample = scaled_returns(&columns, &volatility, step, drift);
            self.shape(sample, &volatility, step)
        });
        Ok(FittedBaseline { baseline: self, drift, shapes: shapes.collect(), volatility })
    }

    /// Quantiles at [`BASELINE_LEVELS`] of a step's scaled returns.
    fn shape(self, mut sample: Vec<f64>, volatility: &Volatility, step: usize) -> Vec<f64> {
        if let (Self::Garch, Volatility::Garch(garch)) = (self, volatility) {
            let (scale, freedom) = if step == 1 { (1.0, garch.freedom) } else { garch::fit_student(&sample) };
            return BASELINE_LEVELS.map(|level| scale * garch::student_quantile(freedom, level)).to_vec();
        }
        if matches!(self, Self::Naive | Self::Drift) {
            let middle = mean_of(&sample).unwrap_or(0.0);
            sample.iter_mut().for_each(|value| *value -= middle);
        }
        empirical_quantiles(&mut sample)
    }
}

impl std::fmt::Display for Baseline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl std::str::FromStr for Baseline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|baseline| baseline.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("baseline {text:?} is none of {}", known()))
    }
}

impl TryFrom<String> for Baseline {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl Method for Baseline {
    fn label(&self) -> String {
        self.name().to_owned()
    }

    fn fit_on(&self, known: &Series, horizon: Horizon) -> Result<Box<dyn Forecaster>, EvaluateError> {
        Ok(Box::new(self.fit(known, horizon)?))
    }
}

/// Past returns over `step` sessions, less drift, each divided by the volatility that was forecast for it.
fn scaled_returns(columns: &Columns, volatility: &Volatility, step: usize, drift: f64) -> Vec<f64> {
    // The very first bars have no volatility to divide by yet; short series keep what they have.
    let first = VolatilityModel::WARMUP.min(columns.len().saturating_sub(step + MIN_RETURNS));
    let first = if matches!(volatility, Volatility::Constant) { 0 } else { first };
    let cutoffs: Vec<usize> = (first..columns.len() - step).collect();
    let volatilities = volatility.at(columns, &cutoffs, step);
    let moved = |cutoff: usize| columns.close_log[cutoff + step] - columns.close_log[cutoff] - drift * step as f64;
    cutoffs.iter().zip(volatilities).map(|(cutoff, volatility)| moved(*cutoff) / volatility).collect()
}

/// Quantiles at [`BASELINE_LEVELS`] of a sample, linear between order statistics at `level · (n + 1)`: the next
/// draw then falls below with just that probability (type 6 of Hyndman & Fan 1996, "Sample Quantiles in
/// Statistical Packages", The American Statistician 50).
fn empirical_quantiles(sample: &mut [f64]) -> Vec<f64> {
    sample.sort_by(f64::total_cmp);
    let last = sample.len() - 1;
    let at = |level: f64| {
        let position = (level * (last + 2) as f64 - 1.0).clamp(0.0, last as f64);
        let low = position.floor() as usize;
        sample[low] + position.fract() * (sample[(low + 1).min(last)] - sample[low])
    };
    BASELINE_LEVELS.map(at).to_vec()
}

fn mean_of(values: &[f64]) -> Option<f64> {
    super::metrics::mean(values.iter().copied())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Calendar;
    use crate::domain::Quantiles;
    use crate::domain::bar::{Bar, BarTime, RawBar};
    use crate::evaluate::synthetic;

    fn market(n_bars: usize) -> Series {
        let last = "2024-06-28".parse().expect("a date");
        let (_, series) = synthetic::market(5, &synthetic::tickers(1), n_bars, &Calendar::Weekdays, last).remove(0);
        series
    }

    fn horizon(steps: u32) -> Horizon {
        Horizon::try_from(steps).expect("1 to 20")
    }

    #[test]
    fn a_name_is_read_whatever_its_case_and_another_one_names_all() {
        for text in ["HAR", "Har", "har"] {
            assert_eq!(text.parse(), Ok(Baseline::Har));
            assert_eq!(serde_json::from_value::<Baseline>(text.into()).ok(), Some(Baseline::Har));
        }
        assert_eq!(serde_json::to_value(Baseline::Har).ok(), Some("har".into()));
        let refused = "arima".parse::<Baseline>().expect_err("none of ours");
        assert_eq!(refused, "baseline \"arima\" is none of naive, drift, historical, ewma, garch, har");
    }

    #[test]
    fn each_baseline_covers_what_it_says_one_step_and_five_ahead() {
        let series = market(2_200);
        let known = series.up_to(series.bars()[1_199].at());
        for baseline in Baseline::ALL {
            let fitted = baseline.fit(&known, horizon(5)).expect("enough bars");
            let cutoffs: Vec<usize> = (1_199..2_194).collect();
            let forecasts = fitted.forecast_at(&series, &cutoffs).expect("in range");
            for step in [1, 5] {
                let inside = cutoffs.iter().zip(&forecasts).filter(|(cutoff, steps)| {
                    let (now, then) = (series.bars()[**cutoff].close(), series.bars()[**cutoff + step].close());
                    let moved = (then / now).ln();
                    (steps[step - 1].at(0.1)..=steps[step - 1].at(0.9)).contains(&moved)
                });
                let coverage = inside.count() as f64 / cutoffs.len() as f64;
                assert!((0.70..0.90).contains(&coverage), "{baseline} step {step}: {coverage}");
            }
        }
    }

    #[test]
    fn more_sessions_ahead_never_look_more_certain() {
        let series = market(400);
        for baseline in Baseline::ALL {
            let steps = baseline.fit(&series, horizon(20)).and_then(|fitted| fitted.forecast(&series)).expect("fits");
            assert_eq!(steps.len(), 20);
            for pair in steps.windows(2) {
                for (low, high) in [(0.025, 0.975), (0.1, 0.9), (0.4, 0.6)] {
                    let width = |q: &Quantiles| q.at(high) - q.at(low);
                    assert!(width(&pair[1]) >= width(&pair[0]) - 1e-12, "{baseline}");
                }
            }
        }
    }

    #[test]
    fn one_cutoff_answers_as_many_do() {
        let series = market(600);
        for baseline in Baseline::ALL {
            let fitted = baseline.fit(&series, horizon(3)).expect("fits");
            let many = fitted.forecast_at(&series, &[300, 450, 599]).expect("in range");
            assert_eq!(fitted.forecast(&series), Ok(many[2].clone()), "{baseline}");
            let seen = series.up_to(series.bars()[450].at());
            assert_eq!(fitted.forecast(&seen), Ok(many[1].clone()), "{baseline} looks ahead");
        }
    }

    #[test]
    fn short_series_are_refused_with_what_would_do_and_served_by_what_fits() {
        let series = market(40);
        let refused = Baseline::Har.fit(&series, Horizon::ONE);
        assert_eq!(refused.map(|_| ()), Err(EvaluateError::TooFewBars { method: "har".into(), needed: 83, have: 40 }));
        assert_eq!(Baseline::best_for(40, Horizon::ONE), Some(Baseline::Naive));
        assert_eq!(Baseline::best_for(1_000, Horizon::ONE), Some(Baseline::Har));
        assert_eq!(Baseline::best_for(10, Horizon::ONE), None);
        for baseline in Baseline::ALL {
            let needed = baseline.min_bars(horizon(20));
            let fitted = baseline.fit(&market(needed), horizon(20)).expect("just enough");
            assert!(fitted.forecast(&market(needed)).is_ok(), "{baseline}");
        }
    }

    #[test]
    fn a_price_that_never_moves_is_an_ordinary_input() {
        let bar = |day: i64| {
            let at = BarTime::from_seconds(day * 86_400);
            Bar::new(RawBar { at, open: 5.0, high: 5.0, low: 5.0, close: 5.0, volume: None }).expect("valid")
        };
        let series = Series::new(crate::domain::Interval::Day, (0..400).map(bar).collect()).expect("ascending");
        for baseline in Baseline::ALL {
            match baseline.fit(&series, Horizon::ONE).and_then(|fitted| fitted.forecast(&series)) {
                Ok(steps) => assert!(steps[0].at(0.9).abs() < 1e-9, "{baseline}"),
                Err(error) => assert_eq!(error, EvaluateError::NoVariation { method: "garch".into() }),
            }
        }
    }
}
