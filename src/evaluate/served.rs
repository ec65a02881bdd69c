//! A network's forecasts as they are served: calibrated online.
//!
//! The state is a pure function of the artifact (which holds the state as of the last bar trained on) and the bars
//! since: each of them is forecast from, and its truth taken up when it comes. So nothing of it is stored anywhere else:
//! a restart computes the same again, two processes agree, and a bar that is corrected corrects the state. What is
//! added bar by bar equals what is computed from the beginning.

use std::collections::VecDeque;

use super::track::ScoredForecast;
use super::{Calibration, EvaluateError, Forecaster};
use crate::domain::{BarTime, Quantiles, Series};
use crate::train::Model;

/// The calibration of one model's forecasts, caught up with a series.
#[derive(Debug, Clone, PartialEq)]
pub struct Served {
    calibration: Calibration,
    /// The newest forecasts, oldest first: as many as may still wait for a truth.
    pending: VecDeque<Made>,
}

/// What a model said at a bar, before calibration.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    at: BarTime,
    raw: Vec<Quantiles>,
}

/// Bars forecast in one pass: memory of a pass grows with them.
const PASS: usize = 512;

impl Served {
    /// As training left it.
    pub fn new(calibration: Calibration) -> Self {
        Self { calibration, pending: VecDeque::new() }
    }

    /// Takes up the bars of `series` that it has not seen, from the last one that the model was trained on. Bars
    /// before that teach nothing: the model has seen them. `at_each` looks at the state as of each of these bars.
    ///
    /// * `series` what was given before, with newer bars at its end
    ///
    /// # Errors
    /// When the model cannot forecast from the bars; the state is then of no use.
    pub fn follow(
        &mut self,
        model: &Model,
        series: &Series,
        mut at_each: impl FnMut(usize, &Self) -> Result<(), EvaluateError>,
    ) -> Result<(), EvaluateError> {
        let bars = series.bars();
        let since = model.spec().trained_through;
        let first = match self.pending.back() {
            Some(made) => bars.partition_point(|bar| bar.at() <= made.at),
            None => {
                let known = bars.partition_point(|bar| bar.at() < since);
                known.max(model.min_bars() - 1)
            }
        };
        let cutoffs: Vec<usize> = (first..bars.len()).collect();
        for pass in cutoffs.chunks(PASS) {
            for (cutoff, raw) in pass.iter().zip(Forecaster::forecast_at(model, series, pass)?) {
                self.take_up(series, *cutoff, raw);
                at_each(*cutoff, self)?;
            }
        }
        Ok(())
    }

    /// The calibrated forecast from the newest bar taken up, one distribution a step; `None` where there was none.
    ///
    /// # Errors
    /// When calibrated values are not finite.
    pub fn forecast(&self) -> Result<Option<Vec<Quantiles>>, EvaluateError> {
        let Some(newest) = self.pending.back() else { return Ok(None) };
        self.calibration.apply_all(&newest.raw).map(Some).map_err(EvaluateError::calibration)
    }

    /// What the model itself said at the newest bar; point forecasts are made of it, because λ was estimated on it.
    pub fn raw(&self) -> Option<&[Quantiles]> {
        self.pending.back().map(|made| made.raw.as_slice())
    }

    fn take_up(&mut self, series: &Series, cutoff: usize, raw: Vec<Quantiles>) {
        let bars = series.bars();
        for made in &self.pending {
            let Ok(made_idx) = bars.binary_search_by_key(&made.at, |bar| bar.at()) else { continue };
            let step = cutoff - made_idx;
            if let Some(forecast) = made.raw.get(step - 1) {
                let truth = (bars[cutoff].close() / bars[made_idx].close()).ln();
                self.calibration.observe(step, forecast, truth);
            }
        }
        if self.pending.len() == self.calibration.n_steps() {
            self.pending.pop_front();
        }
        self.pending.push_back(Made { at: bars[cutoff].at(), raw });
    }
}

/// The forecasts one session ahead that would have been served of the bars since training, as far as they came true.
///
/// # Errors
/// As [`Served::follow`].
pub fn served_since_training(
    model: &Model,
    calibration: &Calibration,
    series: &Series,
) -> Result<Vec<ScoredForecast>, EvaluateError> {
    let bars = series.bars();
    let mut scored = Vec::new();
    Served::new(calibration.clone()).follow(model, series, |cutoff, served| {
        let (Some(next), Some(steps)) = (bars.get(cutoff + 1), served.forecast()?) else { return Ok(()) };
        let (truth, raw) = ((next.close() / bars[cutoff].close()).ln(), served.raw().unwrap_or_default());
        scored.push(ScoredForecast::new(bars[cutoff].at(), &steps[0], model.point(1, &raw[0]), truth));
        Ok(())
    })?;
    Ok(scored)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Calendar;
    use crate::domain::bar::{Bar, RawBar};
    use crate::evaluate::{HeldBackRecord, synthetic};
    use crate::train::{Control, Preset, TrainConfig, train};

    fn trained(n_bars: usize, n_known: usize) -> (Series, Model, Calibration) {
        let last = "2024-06-28".parse().expect("a date");
        let series = synthetic::market(12, &synthetic::tickers(1), n_bars, &Calendar::Weekdays, last).remove(0).1;
        let known = series.slice(0..n_known);
        let trained = train(&known, &TrainConfig::preset(Preset::Fast), &Control::quiet()).expect("enough bars");
        let record = HeldBackRecord::new(&trained.held_back, &known).expect("finite");
        (series, trained.model, record.calibration)
    }

    fn caught_up(model: &Model, calibration: &Calibration, series: &Series) -> Served {
        let mut served = Served::new(calibration.clone());
        served.follow(model, series, |_, _| Ok(())).expect("follows");
        served
    }

    #[test]
    fn bar_by_bar_is_bit_for_bit_what_all_at_once_is() {
        let (series, model, calibration) = trained(460, 400);
        let mut step_by_step = Served::new(calibration.clone());
        for n_bars in [400, 401, 402, 407, 430, 460] {
            step_by_step.follow(&model, &series.slice(0..n_bars), |_, _| Ok(())).expect("follows");
            let at_once = caught_up(&model, &calibration, &series.slice(0..n_bars));
            assert_eq!(step_by_step, at_once, "{n_bars} bars");
        }
        assert_eq!(step_by_step.calibration.n_observed(1), calibration.n_observed(1) + 60);
        assert_eq!(step_by_step.calibration.n_observed(5), calibration.n_observed(5) + 56);
        let raw = model.forecast(&series).expect("long enough");
        assert_eq!(step_by_step.raw(), Some(raw.as_slice()));
        assert_ne!(step_by_step.forecast(), Ok(Some(raw)), "what came true moves it");
    }

    #[test]
    fn as_of_training_the_stored_state_answers_and_before_it_nothing_does() {
        let (series, model, calibration) = trained(420, 400);
        let fresh = caught_up(&model, &calibration, &series.slice(0..400));
        assert_eq!(fresh.calibration, calibration);
        let raw = model.forecast(&series.slice(0..400)).expect("long enough");
        assert_eq!(fresh.forecast(), Ok(Some(calibration.apply_all(&raw).expect("finite"))));
        let before = caught_up(&model, &calibration, &series.slice(0..390));
        assert_eq!(before.forecast(), Ok(None), "its calibration knows what came after");
    }

    #[test]
    fn no_served_forecast_depends_on_a_bar_after_its_cutoff() {
        let (series, model, calibration) = trained(460, 400);
        let cutoff = 430;
        let wild = |(idx, bar): (usize, &Bar)| match idx > cutoff {
            false => *bar,
            true => {
                let (at, open, high, low) = (bar.at(), bar.open() * 3.0, bar.high() * 7.0, bar.low() * 0.2);
                let raw = RawBar { at, open, high, low, close: bar.close() * 0.5, volume: Some(1.0) };
                Bar::new(raw).expect("wider than the bar it was")
            }
        };
        let bars = series.bars().iter().enumerate().map(wild).collect();
        let poisoned = Series::new(series.interval(), bars).expect("ascending");
        let at_cutoff = |series: &Series| {
            let mut seen = None;
            let mut served = Served::new(calibration.clone());
            let look = |at: usize, served: &Served| {
                if at == cutoff {
                    seen = served.forecast()?;
                }
                Ok(())
            };
            served.follow(&model, series, look).expect("follows");
            seen.expect("the cutoff was passed")
        };
        assert_eq!(at_cutoff(&series), at_cutoff(&poisoned));
        assert_ne!(caught_up(&model, &calibration, &series), caught_up(&model, &calibration, &poisoned));
    }

    #[test]
    fn calibration_keeps_quantiles_and_steps_in_order() {
        let (series, model, calibration) = trained(460, 400);
        let mut n_seen = 0;
        let check = |_: usize, served: &Served| {
            let steps = served.forecast()?.expect("a forecast");
            for pair in steps.windows(2) {
                for (lower, upper) in [(0.025, 0.975), (0.1, 0.9), (0.25, 0.75)] {
                    let width = |q: &Quantiles| q.at(upper) - q.at(lower);
                    assert!(width(&pair[1]) >= width(&pair[0]) * (1.0 - 1e-12));
                }
            }
            assert!(steps.iter().all(|q| q.values().is_sorted()));
            n_seen += 1;
            Ok(())
        };
        Served::new(calibration).follow(&model, &series, check).expect("follows");
        assert_eq!(n_seen, 61);
    }
}
