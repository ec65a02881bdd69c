//! A network as it is served, for backtests: with what its held-back bars taught, calibrated by each bar since.

use std::collections::BTreeMap;

use super::forecaster::Answer;
use super::{Calibration, EvaluateError, Forecaster, HeldBackRecord, Method, Network, Served};
use crate::domain::{Horizon, Quantiles, Series};
use crate::train::Model;

/// Trains as [`Network`] does, and forecasts what the service would have answered.
pub struct ServedNetwork<'a> {
    /// The network beneath.
    pub network: Network<'a>,
}

impl Method for ServedNetwork<'_> {
    fn label(&self) -> String {
        format!("{}+online", self.network.label())
    }

    fn fit_on(&self, known: &Series, horizon: Horizon) -> Result<Box<dyn Forecaster>, EvaluateError> {
        let trained = self.network.train_on(known, horizon)?;
        let calibration = HeldBackRecord::new(&trained.held_back, known)?.calibration;
        Ok(Box::new(Fitted { model: trained.model, calibration }))
    }
}

struct Fitted {
    model: Model,
    /// As training left it.
    calibration: Calibration,
}

impl Forecaster for Fitted {
    fn forecast_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Quantiles>>, EvaluateError> {
        let answers = self.answer_at(series, cutoffs)?;
        Ok(answers.into_iter().map(|steps| steps.into_iter().map(|step| step.forecast).collect()).collect())
    }

    fn answer_at(&self, series: &Series, cutoffs: &[usize]) -> Result<Vec<Vec<Answer>>, EvaluateError> {
        let Some(last) = cutoffs.iter().max() else { return Ok(Vec::new()) };
        if *last >= series.len() {
            return Err(EvaluateError::NoSuchBar { cutoff: *last, have: series.len() });
        }
        let mut wanted: BTreeMap<usize, Option<Vec<Answer>>> = cutoffs.iter().map(|cutoff| (*cutoff, None)).collect();
        // Every bar since training teaches, whether its forecast is asked for or not.
        let look = |cutoff: usize, served: &Served| {
            let (Some(answer), Some(steps)) = (wanted.get_mut(&cutoff), served.forecast()?) else { return Ok(()) };
            let raw = served.raw().unwrap_or_default().iter().enumerate();
            // As served: λ was estimated on what the network itself says.
            let points = raw.map(|(idx, raw)| self.model.point(idx + 1, raw));
            *answer = Some(steps.into_iter().zip(points).map(|(forecast, point)| Answer { forecast, point }).collect());
            Ok(())
        };
        Served::new(self.calibration.clone()).follow(&self.model, &series.slice(0..last + 1), look)?;
        let answer = |cutoff: &usize| {
            wanted.get(cutoff).cloned().flatten().ok_or_else(|| EvaluateError::Method {
                method: "the network".to_owned(),
                message: format!("bar {cutoff} lies before the last one that it was trained on"),
            })
        };
        cutoffs.iter().map(answer).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Calendar;
    use crate::evaluate::backtest::audit;
    use crate::evaluate::{served_since_training, synthetic};
    use crate::train::{Control, Preset, TrainConfig};

    #[test]
    fn it_says_what_is_served_and_learns_from_no_bar_after_the_cutoff() {
        let last = "2024-06-28".parse().expect("a date");
        let series = synthetic::market(31, &synthetic::tickers(1), 440, &Calendar::Weekdays, last).remove(0).1;
        let (config, control) = (TrainConfig::preset(Preset::Fast), Control::quiet());
        let network = Network { name: "network".to_owned(), config, control: &control };
        let trained = network.train_on(&series.slice(0..400), Horizon::ONE).expect("enough bars");
        let record = HeldBackRecord::new(&trained.held_back, &series.slice(0..400)).expect("finite");
        let served = served_since_training(&trained.model, &record.calibration, &series).expect("follows");

        let method = ServedNetwork { network };
        assert_eq!(method.label(), "network+online");
        let fitted = method.fit_on(&series.slice(0..400), Horizon::ONE).expect("enough bars");
        let answers = fitted.answer_at(&series, &[399, 420]).expect("follows");
        for (answer, served) in answers.iter().zip([&served[0], &served[21]]) {
            assert_eq!((answer[0].point, answer[0].forecast.at(0.9)), (served.point, served.quantiles[10]));
        }
        assert!(audit::leakage("served", fitted.as_ref(), &series, &[405, 420, 438]).expect("runs").identical);
        assert!(fitted.forecast_at(&series, &[390]).is_err(), "its calibration knows what came after");
        assert!(fitted.forecast_at(&series, &[440]).is_err());
    }
}
