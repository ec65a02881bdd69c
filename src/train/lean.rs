//! How the next distribution leans on what the last sessions were like: where it lies, and how wide it is for its
//! scale.

use crate::features::Columns;
use crate::features::regression::solve_positive;

/// What is known of a bar, in this order: where it closed between low and high, the mean of its week's scaled returns,
/// how far it went by itself, its volume against the month's, and the log of the volatility forecast from it.
pub(super) const STATES: usize = 5;

/// What of a bar's [`STATES`] moves the distribution.
const MOVING: std::ops::Range<usize> = 0..3;
/// What of them widens it.
const WIDENING: std::ops::Range<usize> = 2..5;
/// How many of them each.
pub(super) const EFFECTS: usize = 3;

/// As if so many returns had said that nothing moves the distribution: moves are small and easily imagined.
const STILL_RETURNS: f64 = 3000.0;
/// As if so many had said that nothing widens it.
const EVEN_RETURNS: f64 = 2000.0;
/// A state counts as at most so many standard deviations from its mean.
const FARTHEST: f64 = 4.0;

/// Where a return's distribution lies: return = scale · (center + quantile).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub(super) scale: f64,
    pub(super) center: f64,
}

/// What the states do to the distribution of return / scale.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Lean {
    /// Mean and standard deviation of each state, over the cutoffs fitted on.
    pub(super) usual: [(f64, f64); STATES],
    /// `[step]`: what a standard deviation of each moving state adds, in scales.
    pub(super) moves: Vec<[f64; EFFECTS]>,
    /// `[step]`: what a standard deviation of each widening state adds to the log width.
    pub(super) widths: Vec<[f64; EFFECTS]>,
}

/// The states of a bar.
///
/// * `residuals` return / volatility forecast made a bar before, up to the bar; newest last
/// * `scale` the scale of the next return
pub(super) fn states(columns: &Columns, bar_idx: usize, residuals: &[f64], scale: f64) -> [f64; STATES] {
    let week: Vec<f64> = residuals.iter().rev().take(5).map(|value| value.clamp(-3.0, 3.0)).collect();
    let of_week = week.iter().sum::<f64>() / week.len().max(1) as f64;
    let of_day = residuals.last().map_or(0.0, |value| value.abs().min(4.0));
    let volume = columns.volume_against_mean(bar_idx, 1);
    [columns.close_place[bar_idx], of_week, of_day, volume, scale.ln()]
}

impl Lean {
    /// No lean at all, for `states` as usual as they are.
    pub(super) fn none(states: &[[f64; STATES]], n_steps: usize) -> Self {
        let n_rows = states.len().max(1) as f64;
        let usual = std::array::from_fn(|idx| {
            let mean = states.iter().map(|row| row[idx]).sum::<f64>() / n_rows;
            let variance = states.iter().map(|row| (row[idx] - mean).powi(2)).sum::<f64>() / n_rows;
            (mean, if variance > 1e-20 { variance.sqrt() } else { 1.0 })
        });
        Self { usual, moves: vec![[0.0; EFFECTS]; n_steps], widths: vec![[0.0; EFFECTS]; n_steps] }
    }

    /// Finds what the states do to the return of step `step_idx + 1`: two Newton steps from nothing on the pinball
    /// loss of `center + quantile · width`, summed over the levels.
    ///
    /// * `states` of each cutoff
    /// * `returns` return / scale of each cutoff
    /// * `quantiles` of those, `[level]`
    /// * `densities` of those at the quantiles, `[level]`
    ///
    /// Source: Zou & Yuan (2008), "Composite Quantile Regression and the Oracle Model Selection Theory", Annals of
    /// Statistics 36; a width beside the location as in Koenker & Zhao (1994), "L-Estimation for Linear
    /// Heteroscedastic Models", Journal of Nonparametric Statistics 3.
    pub(super) fn fit_step(
        &mut self,
        step_idx: usize,
        states: &[[f64; STATES]],
        returns: &[f64],
        (levels, quantiles, densities): (&[f64], &[f64], &[f64]),
    ) {
        let states: Vec<[f64; STATES]> = states.iter().map(|row| self.standard(row)).collect();
        // Returns over several sessions overlap, and say as much less.
        let sessions = (step_idx + 1) as f64;
        let (still, even) = (STILL_RETURNS * sessions, EVEN_RETURNS * sessions);
        let steepness = (
            densities.iter().sum::<f64>(),
            densities.iter().zip(quantiles).map(|(density, quantile)| density * quantile * quantile).sum::<f64>(),
        );
        for _ in 0..2 {
            let (mut by_move, mut by_width) = ([0.0; EFFECTS], [0.0; EFFECTS]);
            for (row, value) in states.iter().zip(returns) {
                let (center, width) = self.effect(step_idx, row);
                let (mut move_sum, mut width_sum) = (0.0, 0.0);
                for (level, quantile) in levels.iter().zip(quantiles) {
                    let slope = if *value < center + quantile * width { level - 1.0 } else { *level };
                    move_sum += slope;
                    width_sum += slope * quantile * width;
                }
                for idx in 0..EFFECTS {
                    by_move[idx] += row[MOVING.start + idx] * move_sum;
                    by_width[idx] += row[WIDENING.start + idx] * width_sum;
                }
            }
            newton(&mut self.moves[step_idx], &states, MOVING.start, by_move, steepness.0, still);
            newton(&mut self.widths[step_idx], &states, WIDENING.start, by_width, steepness.1, even);
        }
    }

    /// Where the return of step `step_idx + 1` lies, for the states of its cutoff and its scale.
    pub(super) fn place(&self, step_idx: usize, states: &[f64; STATES], scale: f64) -> Place {
        let (center, width) = self.effect(step_idx, &self.standard(states));
        Place { scale: scale * width, center: center / width }
    }

    fn standard(&self, states: &[f64; STATES]) -> [f64; STATES] {
        std::array::from_fn(|idx| {
            let (mean, deviation) = self.usual[idx];
            ((states[idx] - mean) / deviation).clamp(-FARTHEST, FARTHEST)
        })
    }

    /// Center and width by standard states.
    fn effect(&self, step_idx: usize, states: &[f64; STATES]) -> (f64, f64) {
        let sum =
            |effects: &[f64; EFFECTS], states: &[f64]| effects.iter().zip(states).map(|(a, b)| a * b).sum::<f64>();
        (sum(&self.moves[step_idx], &states[MOVING]), sum(&self.widths[step_idx], &states[WIDENING]).exp())
    }
}

/// One step of `effects` along `slope`, with a ridge of `hold` rows.
fn newton(
    effects: &mut [f64; EFFECTS],
    states: &[[f64; STATES]],
    first: usize,
    slope: [f64; EFFECTS],
    steepness: f64,
    hold: f64,
) {
    let mut curvature = vec![0.0; EFFECTS * EFFECTS];
    for row in states {
        for i in 0..EFFECTS {
            for j in 0..=i {
                curvature[i * EFFECTS + j] += row[first + i] * row[first + j];
            }
        }
    }
    let mut right = Vec::with_capacity(EFFECTS);
    for i in 0..EFFECTS {
        curvature[i * EFFECTS + i] += hold;
        right.push(slope[i] / steepness.max(f64::MIN_POSITIVE) - hold * effects[i]);
    }
    for (effect, step) in effects.iter_mut().zip(solve_positive(curvature, right)) {
        *effect += step;
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;

    use super::*;
    use crate::nn::seeded;
    use crate::train::base::{ascending, density, empirical_quantile};

    const LEVELS: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

    /// States drawn evenly, and returns that the first state moves and the fourth widens by so much a deviation.
    fn drawn(n_rows: usize, by_first: f64, by_fourth: f64) -> (Vec<[f64; STATES]>, Vec<f64>) {
        let mut random = seeded(5);
        let mut even = move || random.random::<f64>() * 2.0 - 1.0;
        let deviation = (1.0_f64 / 3.0).sqrt();
        let rows = (0..n_rows).map(|_| {
            let states: [f64; STATES] = [0.5 + 0.1 * even(), 3.0, even().abs(), 4.0 * even(), even() - 9.0];
            let (first, fourth) = ((states[0] - 0.5) / (0.1 * deviation), states[3] / (4.0 * deviation));
            let noise: f64 = (0..12).map(|_| 0.5 * even()).sum();
            (states, by_first * first + (by_fourth * fourth).exp() * noise)
        });
        rows.unzip()
    }

    fn fitted(states: &[[f64; STATES]], returns: &[f64], step_idx: usize) -> Lean {
        let sorted = ascending(returns.to_vec());
        let quantiles = LEVELS.map(|level| empirical_quantile(&sorted, level));
        let densities = LEVELS.map(|level| density(&sorted, level));
        let mut lean = Lean::none(states, step_idx + 1);
        lean.fit_step(step_idx, states, returns, (&LEVELS, &quantiles, &densities));
        lean
    }

    #[test]
    fn what_moves_and_widens_is_found_and_what_does_not_is_left() {
        let (states, returns) = drawn(60_000, 0.2, 0.15);
        let lean = fitted(&states, &returns, 0);
        let (moves, widths) = (lean.moves[0], lean.widths[0]);
        assert!((moves[0] - 0.2).abs() < 0.03 && (widths[1] - 0.15).abs() < 0.03, "{moves:?} {widths:?}");
        // The second state never moves, so it does nothing.
        assert_eq!(moves[1], 0.0);
        assert!([moves[2], widths[0], widths[2]].iter().all(|effect| effect.abs() < 0.015), "{moves:?} {widths:?}");
        let place = lean.place(0, &states[0], 2.0);
        let (center, width) = lean.effect(0, &lean.standard(&states[0]));
        assert!((place.scale * place.center - 2.0 * center).abs() < 1e-12 && (place.scale - 2.0 * width).abs() < 1e-12);
    }

    #[test]
    fn few_returns_and_overlapping_ones_move_little() {
        let (states, returns) = drawn(600, 0.2, 0.15);
        let (one, twenty) = (fitted(&states, &returns, 0).moves[0][0], fitted(&states, &returns, 19).moves[19][0]);
        assert!(one < 0.08 && twenty < 0.2 * one, "{one} {twenty}");
    }
}
