//! What is kept of the bars that a model held back in training: the calibration that they taught, and a track record
//! to show before the first live forecast has come true.
//!
//! The networks' weights did not see the outcomes of these bars; the epoch to stop at and λ of the served model were
//! chosen on them. Each point forecast here has a λ of its own, estimated elsewhere (see [`HeldBack::points`]), so
//! that the record does not know what it is scored on. GARCH was fitted on the bars before the first point only.

use super::baseline::Garch;
use super::track::{SKILL_WINDOW, ScoredForecast, score_garch};
use super::{Baseline, Calibration, EvaluateError, SCORE_LEVELS};
use crate::domain::{BarTime, Horizon, Series};
use crate::train::{HeldBack, Table};

/// The record of one model's held-back bars.
#[derive(Debug, Clone, PartialEq)]
pub struct HeldBackRecord {
    /// As of the last bar trained on: how its forecasts of coming bars are to be moved.
    pub calibration: Calibration,
    /// The newest forecasts one session ahead, calibrated by what had come true before each; in order of time.
    pub scored: Vec<ScoredForecast>,
    /// GARCH fitted on every bar trained on, for points to come; `None` where it cannot be fitted.
    pub garch: Option<Garch>,
}

/// Why tables are not such a record.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the held-back record's {table} is not what it must be")]
pub struct BadRecord {
    /// Which table.
    table: &'static str,
}

impl HeldBackRecord {
    /// Replays the held-back bars as they would have been served.
    ///
    /// * `series` the bars trained on
    ///
    /// # Errors
    /// When calibrated values are not finite.
    pub fn new(held_back: &HeldBack, series: &Series) -> Result<Self, EvaluateError> {
        let HeldBack { cutoffs, forecasts, points } = held_back;
        let close = |bar_idx: usize| series.bars()[bar_idx].close();
        let truth = |cutoff: usize, step: usize| (close(cutoff + step) / close(cutoff)).ln();
        let horizon = forecasts.first().map_or(1, Vec::len);
        let horizon = Horizon::try_from(horizon as u32).unwrap_or(Horizon::ONE);
        let mut calibration = Calibration::new(horizon);
        let known = series.len().saturating_sub(1);
        let calibrated = calibration.replay(cutoffs, forecasts, known, &truth).map_err(EvaluateError::calibration)?;
        let from = cutoffs.len().saturating_sub(SKILL_WINDOW);
        let mut scored: Vec<ScoredForecast> = (from..cutoffs.len())
            .map(|idx| {
                let cutoff = cutoffs[idx];
                ScoredForecast::new(series.bars()[cutoff].at(), &calibrated[idx][0], points[idx], truth(cutoff, 1))
            })
            .collect();
        let before = cutoffs.get(from).map_or(0, |cutoff| cutoff + 1);
        if let Some(garch) = fit_garch(&series.slice(0..before)) {
            score_garch(garch, series, &mut scored);
        }
        // Each forecast above is one network's, what is served is the mean of all: its intervals are a little wider.
        let calibration = calibration.for_another_forecaster();
        Ok(Self { calibration, scored, garch: fit_garch(series) })
    }

    /// The record as tables of an artifact.
    pub fn to_tables(&self) -> Vec<Table> {
        let of_points = |name: &str, width: usize, numbers: &dyn Fn(&ScoredForecast) -> Vec<f64>| Table {
            name: name.to_owned(),
            shape: vec![self.scored.len(), width],
            numbers: self.scored.iter().flat_map(numbers).collect(),
        };
        let shape = vec![self.calibration.n_steps(), Calibration::ROW_LEN];
        let mut tables = vec![
            Table { name: CALIBRATION.to_owned(), shape, numbers: self.calibration.to_rows() },
            // Seconds since 1970 are whole numbers far below 2^53.
            of_points(AT, 1, &|point| vec![point.at.seconds() as f64]),
            of_points(QUANTILES, SCORE_LEVELS.len(), &|point| point.quantiles.to_vec()),
            of_points(POINTS, 2, &|point| vec![point.point, point.truth]),
        ];
        if self.scored.iter().all(|point| point.garch_pinball.is_some()) {
            tables.push(of_points(GARCH_PINBALL, 1, &|point| point.garch_pinball.into_iter().collect()));
        }
        if let Some(Garch { mu, omega, alpha, beta, freedom, before }) = self.garch {
            let numbers = vec![mu, omega, alpha, beta, freedom, before];
            tables.push(Table { name: GARCH.to_owned(), shape: vec![numbers.len()], numbers });
        }
        tables
    }

    /// Reads back what [`to_tables`](Self::to_tables) gave, for a model of this horizon: the same bits.
    ///
    /// # Errors
    /// When a table is missing, of another shape, or unknown.
    pub fn from_tables(tables: &[Table], horizon: Horizon) -> Result<Self, BadRecord> {
        let known = [CALIBRATION, AT, QUANTILES, POINTS, GARCH_PINBALL, GARCH];
        if tables.iter().any(|table| !known.contains(&table.name.as_str())) {
            return Err(BadRecord { table: "list of tables" });
        }
        let find = |name: &'static str| tables.iter().find(|table| table.name == name);
        let needed = |name: &'static str, shape: &[usize]| match find(name) {
            Some(table) if table.shape == shape => Ok(table.numbers.as_slice()),
            _ => Err(BadRecord { table: name }),
        };
        let n = find(AT).map_or(0, |table| table.numbers.len());
        let calibration = needed(CALIBRATION, &[horizon.steps(), Calibration::ROW_LEN])?;
        let (at, points) = (needed(AT, &[n, 1])?, needed(POINTS, &[n, 2])?);
        let quantiles = needed(QUANTILES, &[n, SCORE_LEVELS.len()])?;
        let pinballs = find(GARCH_PINBALL).map(|_| needed(GARCH_PINBALL, &[n, 1])).transpose()?;
        let garch = find(GARCH).map(|_| needed(GARCH, &[6])).transpose()?;
        let scored = |idx: usize| ScoredForecast {
            at: BarTime::from_seconds(at[idx] as i64),
            quantiles: std::array::from_fn(|level| quantiles[idx * SCORE_LEVELS.len() + level]),
            point: points[2 * idx],
            truth: points[2 * idx + 1],
            garch_pinball: pinballs.map(|pinballs| pinballs[idx]),
        };
        Ok(Self {
            calibration: Calibration::from_rows(calibration),
            scored: (0..n).map(scored).collect(),
            garch: garch.map(|n| Garch { mu: n[0], omega: n[1], alpha: n[2], beta: n[3], freedom: n[4], before: n[5] }),
        })
    }
}

/// `[step, number]`: the state of each step.
const CALIBRATION: &str = "calibration";
/// `[point, 1]`: seconds since 1970 UTC.
const AT: &str = "at";
/// `[point, level]`: as served.
const QUANTILES: &str = "quantiles";
/// `[point, 2]`: point forecast and truth.
const POINTS: &str = "points";
/// `[point, 1]`; absent where GARCH could not be fitted before the first point.
const GARCH_PINBALL: &str = "garch_pinball";
/// Six parameters; absent where it could not be fitted.
const GARCH: &str = "garch";

/// GARCH on all bars given; `None` where they are too few or never move.
fn fit_garch(series: &Series) -> Option<Garch> {
    Baseline::Garch.fit(series, Horizon::ONE).ok()?.garch()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Calendar;
    use crate::evaluate::synthetic;
    use crate::train::{Control, Preset, TrainConfig, Trained, train};

    fn trained(n_bars: usize) -> (Series, Trained) {
        let last = "2024-06-28".parse().expect("a date");
        let series = synthetic::market(11, &synthetic::tickers(1), n_bars, &Calendar::Weekdays, last).remove(0).1;
        let config = TrainConfig { ensemble: 2, ..TrainConfig::preset(Preset::Fast) };
        let trained = train(&series, &config, &Control::quiet()).expect("enough bars");
        (series, trained)
    }

    #[test]
    fn it_covers_the_newest_held_back_bars_and_comes_back_bit_by_bit() {
        let (series, trained) = trained(900);
        let record = HeldBackRecord::new(&trained.held_back, &series).expect("finite");
        let held_back = &trained.held_back;
        assert_eq!(record.scored.len(), 250);
        assert!(record.scored.is_sorted_by_key(|point| point.at));
        let newest = *held_back.cutoffs.last().expect("some");
        assert_eq!(newest, 900 - 1 - 5, "the last window whose outcomes are all known");
        assert_eq!(record.scored[249].at, series.bars()[newest].at());
        assert_eq!(record.calibration.n_observed(1), held_back.cutoffs.len() as u64);
        assert_eq!(record.calibration.n_observed(5), held_back.cutoffs.len() as u64);
        assert!(record.garch.is_some() && record.scored.iter().all(|point| point.garch_pinball > Some(0.0)));
        let horizon = trained.model.config().horizon;
        assert_eq!(HeldBackRecord::from_tables(&record.to_tables(), horizon), Ok(record.clone()));
        let mut fewer = record.to_tables();
        fewer.remove(1);
        assert!(HeldBackRecord::from_tables(&fewer, horizon).is_err());
        assert!(HeldBackRecord::from_tables(&record.to_tables(), Horizon::ONE).is_err(), "another horizon");
    }

    #[test]
    fn too_few_bars_for_garch_leave_a_record_without_it() {
        let (series, trained) = trained(240);
        let record = HeldBackRecord::new(&trained.held_back, &series).expect("finite");
        assert!(record.garch.is_none() && record.scored.iter().all(|point| point.garch_pinball.is_none()));
        let horizon = trained.model.config().horizon;
        assert_eq!(HeldBackRecord::from_tables(&record.to_tables(), horizon), Ok(record));
    }
}
