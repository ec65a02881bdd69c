//! Online calibration: intervals that keep their promise although the market changes.
//!
//! A forecast and what came true go in, one pair a bar and step; out comes, for the next forecast, how far each
//! quantile must move. All is done on the standard normal score `z` of the truth under its forecast
//! ([`Quantiles::score_of`]), which is standard normal where forecasts are right, whatever their shape. Two layers:
//!
//! 1. **Scale.** One expert follows the size of `|z|`, the other trusts the forecasts; they are mixed by their
//!    recent pinball loss. In calm times the one that does nothing wins, after a change of regime the other
//!    takes over within some bars.
//! 2. **Coverage.** For each central interval a shift is tracked that grows by each truth outside and shrinks
//!    by each inside, in the proportion of its level. Whatever the market does, the long-run share inside comes
//!    to the level.
//!
//! Why this and not plain adaptive conformal inference (ACI): one step size is either too slow for a jump of
//! volatility or adds noise for years. The mix of rates is the answer of Gibbs & Candès (2024), "Conformal
//! Inference for Online Prediction with Arbitrary Distribution Shifts", JMLR 25 (DtACI); tracking a quantile in
//! the units of the score next to a model of its scale is that of Angelopoulos, Candès & Tibshirani (2023),
//! "Conformal PID Control for Time Series Prediction", NeurIPS; both follow Gibbs & Candès (2021), "Adaptive
//! Conformal Inference Under Distribution Shift", NeurIPS.

use std::sync::LazyLock;

use super::metrics::pinball;
use super::scores::SCORE_LEVELS;
use crate::domain::quantiles::{QuantilesError, normal_score};
use crate::domain::{Horizon, Quantiles};

/// Rates at which the experts follow the scale, in log units a bar; 0 trusts the forecasts. More experts cost right
/// forecasts more than they give after a change.
const SCALE_RATES: [f64; 2] = [0.0, 0.04];
/// Mean of `min(|z|, 3)` of a standard normal: what an expert compares with.
const EXPECTED_SIZE: f64 = 0.797_120;
/// Beyond three deviations a truth counts as three, so that one crash does not widen a month of intervals.
const MAX_SIZE: f64 = 3.0;
/// Scales stay within a factor of e³.
const MAX_SCALE_LOG: f64 = 3.0;
/// Of what an expert lost a year ago, some quarter counts today.
const LOSS_DECAY: f64 = 0.995;
/// How sharply the mix prefers the better expert.
const LOSS_WEIGHT: f64 = 10.0;
/// How much more, as a log weight, the expert that does nothing is believed at equal loss: without it, noise in the
/// losses costs right forecasts more than all else here.
const TRUST: f64 = 5.0;
/// Central intervals whose coverage is tracked; between them the shift is interpolated.
const TRACKED: [f64; 7] = [0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 0.99];
/// Share of a coverage gap that is closed a bar: 0.0025 forgets in about 400 bars. 0.001 is too slow for a volatility
/// that doubles within 2,000 bars; a year of forecasts whose coverage drifts by two points needs this much, and what it
/// adds of noise to right forecasts costs a ten-thousandth of their loss.
const COVERAGE_RATE: f64 = 0.0025;

/// The calibration of one ticker's forecasts: begun in training, kept with the model, updated by each new bar.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    steps: Vec<StepState>,
}

/// The state of one step.
#[derive(Debug, Clone, PartialEq)]
struct StepState {
    /// Truths seen.
    n_observed: u64,
    /// Log scale of each expert.
    scales_log: [f64; SCALE_RATES.len()],
    /// Decayed pinball loss of each expert, in scores.
    losses: [f64; SCALE_RATES.len()],
    /// Shift of each tracked interval's half width, in scores.
    shifts: [f64; TRACKED.len()],
}

impl Calibration {
    /// Starts with trust: forecasts pass unchanged until truths come.
    pub fn new(horizon: Horizon) -> Self {
        let untouched = StepState {
            n_observed: 0,
            scales_log: [0.0; SCALE_RATES.len()],
            losses: [0.0; SCALE_RATES.len()],
            shifts: [0.0; TRACKED.len()],
        };
        Self { steps: vec![untouched; horizon.steps()] }
    }

    /// Truths seen for a step, from 1.
    pub fn n_observed(&self, step: usize) -> u64 {
        self.state(step).map_or(0, |state| state.n_observed)
    }

    /// A step's forecast, calibrated; at the levels it came with. A step never observed passes unchanged.
    ///
    /// # Errors
    /// When the moved values are not finite.
    pub fn apply(&self, step: usize, raw: &Quantiles) -> Result<Quantiles, QuantilesError> {
        let Some(state) = self.state(step).filter(|state| state.n_observed > 0) else {
            return Ok(raw.clone());
        };
        let reach = state.reach();
        let moved = |level: &f64| raw.at_score(reach.of(normal_score(*level)));
        Quantiles::new(raw.levels().to_vec(), raw.levels().iter().map(moved).collect())
    }

    /// All steps of a forecast, calibrated. More sessions ahead never look more certain: where calibration would
    /// make a step's quantile nearer to its median than one step before, it stays as far.
    ///
    /// # Errors
    /// When the moved values are not finite.
    pub fn apply_all(&self, raw: &[Quantiles]) -> Result<Vec<Quantiles>, QuantilesError> {
        let mut steps: Vec<Quantiles> = Vec::with_capacity(raw.len());
        for (idx, forecast) in raw.iter().enumerate() {
            let calibrated = self.apply(idx + 1, forecast)?;
            steps.push(match steps.last() {
                Some(before) => at_least_as_wide(&calibrated, before)?,
                None => calibrated,
            });
        }
        Ok(steps)
    }

    /// Learns from what came true.
    ///
    /// * `raw` the forecast of this step as the model made it, before calibration
    /// * `truth` the log return that came true
    pub fn observe(&mut self, step: usize, raw: &Quantiles, truth: f64) {
        if let Some(state) = step.checked_sub(1).and_then(|idx| self.steps.get_mut(idx)) {
            // Outcomes of overlapping steps repeat each other: what they teach grows with the root only.
            state.observe(raw.score_of(truth), (step as f64).sqrt());
        }
    }

    /// Calibrates a run of past forecasts as it would have happened: each cutoff's forecast is moved by what had
    /// come true by then, and by nothing after. Leaves the state as of the bar `known`.
    ///
    /// * `cutoffs` ascending positions of bars
    /// * `raw`     `[cutoff][step]`
    /// * `known`   the last bar whose close is learned from; not before the last cutoff
    /// * `truth`   log return from a cutoff over a number of steps
    ///
    /// # Errors
    /// When moved values are not finite.
    pub fn replay(
        &mut self,
        cutoffs: &[usize],
        raw: &[Vec<Quantiles>],
        known: usize,
        truth: &dyn Fn(usize, usize) -> f64,
    ) -> Result<Vec<Vec<Quantiles>>, QuantilesError> {
        // Of each step, the first forecast whose truth has not been learned yet.
        let mut pending = vec![0; self.steps.len()];
        let mut learn = |calibration: &mut Self, now: usize| {
            for (step_idx, next) in pending.iter_mut().enumerate() {
                while let Some(made) = cutoffs.get(*next).filter(|made| **made + step_idx < now) {
                    if let Some(forecast) = raw[*next].get(step_idx) {
                        calibration.observe(step_idx + 1, forecast, truth(*made, step_idx + 1));
                    }
                    *next += 1;
                }
            }
        };
        let mut calibrated = Vec::with_capacity(raw.len());
        for (cutoff, forecasts) in cutoffs.iter().zip(raw) {
            learn(self, *cutoff);
            calibrated.push(self.apply_all(forecasts)?);
        }
        learn(self, known);
        Ok(calibrated)
    }

    /// The same state for another forecaster of the same series: what was learned of the market's scale stays, what
    /// was learned of the forecaster's own intervals goes.
    pub fn for_another_forecaster(mut self) -> Self {
        self.steps.iter_mut().for_each(|state| state.shifts = [0.0; TRACKED.len()]);
        self
    }

    /// The state as numbers, a row of [`ROW_LEN`](Self::ROW_LEN) a step; [`from_rows`](Self::from_rows) reads them.
    pub fn to_rows(&self) -> Vec<f64> {
        let row = |state: &StepState| {
            std::iter::once(state.n_observed as f64)
                .chain(state.scales_log)
                .chain(state.losses)
                .chain(state.shifts)
                .collect::<Vec<_>>()
        };
        self.steps.iter().flat_map(row).collect()
    }

    /// Numbers of one step's state.
    pub const ROW_LEN: usize = 1 + 2 * SCALE_RATES.len() + TRACKED.len();

    /// The state that [`to_rows`](Self::to_rows) gave.
    pub fn from_rows(rows: &[f64]) -> Self {
        let state = |row: &[f64]| {
            let mut numbers = row.iter().copied();
            let mut next = || numbers.next().unwrap_or_default();
            StepState {
                n_observed: next() as u64,
                scales_log: std::array::from_fn(|_| next()),
                losses: std::array::from_fn(|_| next()),
                shifts: std::array::from_fn(|_| next()),
            }
        };
        Self { steps: rows.chunks_exact(Self::ROW_LEN).map(state).collect() }
    }

    /// Steps that it calibrates.
    pub fn n_steps(&self) -> usize {
        self.steps.len()
    }

    fn state(&self, step: usize) -> Option<&StepState> {
        self.steps.get(step.checked_sub(1)?)
    }
}

impl StepState {
    fn observe(&mut self, score: f64, overlap: f64) {
        let reach = self.reach();
        let tracked = TRACKED.into_iter().zip(*TRACKED_SCORES);
        for ((shift, (level, nominal)), half_width) in self.shifts.iter_mut().zip(tracked).zip(reach.half_widths) {
            let density = 2.0 * normal_density(nominal);
            let is_outside = f64::from(u8::from(score.abs() > half_width));
            *shift += COVERAGE_RATE / overlap * (is_outside - (1.0 - level)) / density;
        }
        for ((scale_log, loss), rate) in self.scales_log.iter_mut().zip(&mut self.losses).zip(SCALE_RATES) {
            let scale = scale_log.exp();
            *loss = LOSS_DECAY * *loss + scaled_normal_loss(scale, score) / overlap;
            let surprise = (score.abs() / scale).min(MAX_SIZE) / EXPECTED_SIZE - 1.0;
            *scale_log = (*scale_log + rate / overlap * surprise).clamp(-MAX_SCALE_LOG, MAX_SCALE_LOG);
        }
        self.n_observed += 1;
    }

    fn reach(&self) -> Reach {
        let scale = self.scale();
        let mut half_widths = [0.0; TRACKED.len()];
        for ((half_width, nominal), shift) in half_widths.iter_mut().zip(*TRACKED_SCORES).zip(self.shifts) {
            *half_width = (scale * nominal + shift).max(0.0);
        }
        Reach { half_widths }
    }

    /// The experts' scales, mixed by the exponential of their losses.
    fn scale(&self) -> f64 {
        let least = self.losses.iter().copied().fold(f64::INFINITY, f64::min);
        let mut weights = self.losses.map(|loss| (-LOSS_WEIGHT * (loss - least)).exp());
        // The first expert's rate is 0.
        weights[0] *= TRUST.exp();
        let mixed: f64 = weights.iter().zip(self.scales_log).map(|(weight, scale_log)| weight * scale_log).sum();
        (mixed / weights.iter().sum::<f64>()).exp()
    }
}

/// Where the calibrated quantiles lie on the raw forecast, in scores.
struct Reach {
    /// Half width of each tracked interval.
    half_widths: [f64; TRACKED.len()],
}

impl Reach {
    /// The score at which to read the raw forecast for a nominal score: linear between the tracked intervals and
    /// the middle, proportional beyond the last.
    fn of(&self, nominal: f64) -> f64 {
        let size = nominal.abs();
        let (mut z0, mut a0) = (0.0, 0.0);
        for (z1, half_width) in TRACKED_SCORES.into_iter().zip(self.half_widths) {
            if size <= z1 {
                return nominal.signum() * (a0 + (half_width - a0) * (size - z0) / (z1 - z0));
            }
            (z0, a0) = (z1, half_width);
        }
        nominal.signum() * a0 * size / z0
    }
}

/// Scores of the upper ends of the tracked intervals.
static TRACKED_SCORES: LazyLock<[f64; TRACKED.len()]> =
    LazyLock::new(|| TRACKED.map(|level| normal_score(0.5 * (1.0 + level))));
/// Each scored level with its score.
static SCORED: LazyLock<[(f64, f64); SCORE_LEVELS.len()]> =
    LazyLock::new(|| SCORE_LEVELS.map(|level| (level, normal_score(level))));

fn normal_density(score: f64) -> f64 {
    (-0.5 * score * score).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// Pinball loss of a normal of this scale against a score, over the scored levels.
fn scaled_normal_loss(scale: f64, score: f64) -> f64 {
    let loss = |(level, nominal): &(f64, f64)| pinball(*level, scale * nominal, score);
    SCORED.iter().map(loss).sum::<f64>() / SCORED.len() as f64
}

fn at_least_as_wide(forecast: &Quantiles, before: &Quantiles) -> Result<Quantiles, QuantilesError> {
    let (median, median_before) = (forecast.median(), before.median());
    let moved = |(level, value): (&f64, &f64)| {
        let earlier = median + before.at(*level) - median_before;
        if *level < 0.5 { value.min(earlier) } else { value.max(earlier) }
    };
    let values = forecast.levels().iter().zip(forecast.values()).map(moved).collect();
    Quantiles::new(forecast.levels().to_vec(), values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::metrics;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    /// A forecast that has learned a volatility of one and never notices that it changed.
    fn static_forecast(sd: f64) -> Quantiles {
        let levels = SCORE_LEVELS.to_vec();
        let values = levels.iter().map(|level| sd * normal_score(*level)).collect();
        Quantiles::new(levels, values).expect("ascending")
    }

    fn truths(n: usize, seed: u64, volatility: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|idx| volatility(idx) * rng.sample::<f64, _>(StandardNormal)).collect()
    }

    /// Coverage of the static and the calibrated intervals at a level, and the ratio of their pinball losses.
    fn run(raw: &Quantiles, truths: &[f64], level: f64) -> (f64, f64, f64) {
        let mut calibration = Calibration::new(Horizon::ONE);
        let (mut still, mut moved, mut losses) = (0, 0, (0.0, 0.0));
        for truth in truths {
            let calibrated = calibration.apply(1, raw).expect("finite");
            let is_inside = |q: &Quantiles| (q.at(0.5 - level / 2.0)..=q.at(0.5 + level / 2.0)).contains(truth);
            still += usize::from(is_inside(raw));
            moved += usize::from(is_inside(&calibrated));
            losses.0 += metrics::pinball_of(raw, &SCORE_LEVELS, *truth);
            losses.1 += metrics::pinball_of(&calibrated, &SCORE_LEVELS, *truth);
            calibration.observe(1, raw, *truth);
        }
        let n = truths.len() as f64;
        (still as f64 / n, moved as f64 / n, losses.1 / losses.0)
    }

    #[test]
    fn through_a_change_of_volatility_coverage_holds_where_static_intervals_fail() {
        let raw = static_forecast(0.01);
        let regimes: [(&str, &dyn Fn(usize) -> f64); 4] = [
            ("tripled", &|idx| if idx < 1_000 { 0.01 } else { 0.03 }),
            ("halved", &|idx| if idx < 1_000 { 0.01 } else { 0.005 }),
            ("there and back", &|idx| if (700..1_300).contains(&idx) { 0.025 } else { 0.01 }),
            ("slowly doubled", &|idx| 0.01 * 2_f64.powf(idx as f64 / 2_000.0)),
        ];
        for (name, volatility) in regimes {
            for level in [0.8, 0.9, 0.95] {
                for seed in 0..5 {
                    let (still, moved, ratio) = run(&raw, &truths(2_000, seed, volatility), level);
                    assert!((moved - level).abs() <= 0.015, "{name}, seed {seed}: {level} covers {moved}");
                    assert!((still - level).abs() > 0.015, "{name}, seed {seed}: static {level} covers {still}");
                    assert!(ratio < 1.0, "{name}: calibration costs {ratio}");
                }
            }
        }
    }

    #[test]
    fn where_forecasts_are_right_calibration_costs_next_to_nothing() {
        let ratios: Vec<f64> =
            (0..10).map(|seed| run(&static_forecast(0.01), &truths(2_000, seed, |_| 0.01), 0.8).2).collect();
        let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
        assert!(mean < 1.0005, "{mean}");
    }

    #[test]
    fn tails_that_a_forecast_does_not_know_are_learned() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let student = rand_distr::StudentT::new(3.0).expect("positive degrees");
        let truths: Vec<f64> = (0..4_000).map(|_| 0.006 * rng.sample::<f64, _>(student)).collect();
        let (_, moved, _) = run(&static_forecast(0.01), &truths[..], 0.95);
        assert!((moved - 0.95).abs() <= 0.01, "{moved}");
    }

    #[test]
    fn it_starts_unchanged_and_its_state_survives_storage() {
        let mut calibration = Calibration::new(Horizon::try_from(2).expect("in range"));
        let raw = static_forecast(0.01);
        assert_eq!(calibration.apply(1, &raw), Ok(raw.clone()));
        for truth in truths(50, 1, |_| 0.02) {
            calibration.observe(1, &raw, truth);
        }
        assert_eq!(Calibration::from_rows(&calibration.to_rows()), calibration);
        assert_eq!((calibration.n_observed(1), calibration.n_observed(2), calibration.n_observed(3)), (50, 0, 0));
    }

    #[test]
    fn another_forecaster_takes_over_the_market_s_scale_and_not_the_shifts() {
        let raw = static_forecast(0.01);
        let (mut calm, mut moved) = (Calibration::new(Horizon::ONE), Calibration::new(Horizon::ONE));
        truths(1_000, 1, |_| 0.01).iter().for_each(|truth| calm.observe(1, &raw, 0.9 * truth));
        truths(1_000, 1, |_| 0.02).iter().for_each(|truth| moved.observe(1, &raw, *truth));
        let width = |calibration: &Calibration| calibration.apply(1, &raw).expect("finite").at(0.95) / raw.at(0.95);
        assert!(width(&moved.clone().for_another_forecaster()) > 1.7, "the scale stays");
        assert!(width(&calm) < 0.99 && (width(&calm.for_another_forecaster()) - 1.0).abs() < 0.01, "the shifts go");
    }

    #[test]
    fn a_replay_learns_only_what_had_come_true_and_keeps_steps_in_order() {
        let truths = truths(400, 2, |_| 0.03);
        let cutoffs: Vec<usize> = (0..300).collect();
        let raw = vec![(1..=5).map(|step| static_forecast(0.01 * f64::from(step).sqrt())).collect::<Vec<_>>(); 300];
        let sum = |truths: &[f64], cutoff: usize, step: usize| truths[cutoff + 1..=cutoff + step].iter().sum::<f64>();
        let replay = |truths: &[f64]| {
            let mut calibration = Calibration::new(Horizon::try_from(5).expect("in range"));
            let truth = |cutoff, step| sum(truths, cutoff, step);
            calibration.replay(&cutoffs, &raw, 299, &truth).expect("finite")
        };
        let clean = replay(&truths);
        let mut poisoned = truths.clone();
        poisoned[201..].fill(9.0);
        assert_eq!(clean[..=200], replay(&poisoned)[..=200]);
        assert!(clean[299][0].at(0.9) > 2.0 * clean[0][0].at(0.9), "the scale was learned");
        for pair in clean[299].windows(2) {
            assert!(pair[1].at(0.95) >= pair[0].at(0.95) && pair[1].at(0.05) <= pair[0].at(0.05));
        }
    }
}
