//! Any method with online calibration on top, for backtests: as it is served.

use super::{Calibration, EvaluateError, Forecaster, Method};
use crate::domain::{BarTime, Horizon, Quantiles, Series};

/// A method whose forecasts are recalibrated with each bar that comes after its fit.
pub struct Online<'a> {
    /// The method beneath.
    pub method: &'a dyn Method,
}

impl Method for Online<'_> {
    fn label(&self) -> String {
        format!("{}+online", self.method.label())
    }

    fn fit_on(&self, known: &Series, horizon: Horizon) -> Result<Box<dyn Forecaster>, EvaluateError> {
        let fitted = self.method.fit_on(known, horizon)?;
        let known_to = known.last().map_or(BarTime::from_seconds(i64::MIN), |bar| bar.at());
        Ok(Box::new(FittedOnline { fitted, known_to, horizon }))
    }
}

struct FittedOnline {
    fitted: Box<dyn Forecaster>,
    /// The newest bar that the fit saw: errors up to it say nothing of errors to come.
    known_to: BarTime,
    horizon: Horizon,
}

impl Forecaster for FittedOnline {
    fn forecast_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, EvaluateError> {
        let (Some(first), Some(last)) = (cutoffs.iter().min(), cutoffs.iter().max()) else {
            return Ok(Vec::new());
        };
        // Every bar since the fit teaches, whether its forecast was asked for or not.
        let since = series.bars().partition_point(|bar| bar.at() <= self.known_to).saturating_sub(1);
        let begin = since.min(*first);
        let all: Vec<usize> = (begin..=*last).collect();
        let raw = self.fitted.forecast_at(series, &all)?;
        let close = |bar_idx: usize| series.bars()[bar_idx].close();
        let truth = |cutoff: usize, step: usize| (close(cutoff + step) / close(cutoff)).ln();
        let calibrated =
            Calibration::new(self.horizon).replay(&all, &raw, *last, &truth).map_err(EvaluateError::calibration)?;
        Ok(cutoffs.iter().map(|cutoff| calibrated[cutoff - begin].clone()).collect())
    }

    fn point(&self, step: usize, forecast: &Quantiles) -> f64 {
        self.fitted.point(step, forecast)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Calendar;
    use crate::evaluate::backtest::audit;
    use crate::evaluate::{Baseline, synthetic};

    #[test]
    fn it_learns_from_the_bars_since_the_fit_and_from_none_after_the_cutoff() {
        let last = "2024-06-28".parse().expect("a date");
        let series = synthetic::market(31, &synthetic::tickers(1), 600, &Calendar::Weekdays, last).remove(0).1;
        let online = Online { method: &Baseline::Naive };
        let fitted = online.fit_on(&series.slice(0..300), Horizon::ONE).expect("fits");
        let plain = Baseline::Naive.fit(&series.slice(0..300), Horizon::ONE).expect("fits");
        assert_eq!(online.label(), "naive+online");
        assert_eq!(fitted.forecast_at(&series, &[299]), plain.forecast_at(&series, &[299]));
        assert_ne!(fitted.forecast_at(&series, &[599]), plain.forecast_at(&series, &[599]));
        let audit = audit::leakage("online", fitted.as_ref(), &series, &[350, 420, 590]).expect("runs");
        assert!(audit.identical);
    }
}
