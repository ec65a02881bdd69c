//! Scores of central intervals `(lower, upper)`, in log return.

use super::mean;

/// Share of truths inside their interval, ends included.
pub fn coverage(intervals: &[(f64, f64)], truths: &[f64]) -> Option<f64> {
    let inside = |((lower, upper), truth): (&(f64, f64), &f64)| f64::from(u8::from(lower <= truth && truth <= upper));
    mean(intervals.iter().zip(truths).map(inside))
}

/// Mean width; at the same coverage, narrower is better.
pub fn width(intervals: &[(f64, f64)]) -> Option<f64> {
    mean(intervals.iter().map(|(lower, upper)| upper - lower))
}

/// Mean Winkler (interval) score at `level`: the width, plus `2 / (1 − level)` times the distance by which the
/// truth lies outside. It rewards narrow intervals that hold; lower is better.
///
/// Source: Gneiting & Raftery (2007), "Strictly Proper Scoring Rules, Prediction, and Estimation", Journal of
/// the American Statistical Association 102, equation 43.
pub fn winkler(level: f64, intervals: &[(f64, f64)], truths: &[f64]) -> Option<f64> {
    let factor = 2.0 / (1.0 - level);
    let outside = |lower: f64, upper: f64, truth: f64| (lower - truth).max(0.0) + (truth - upper).max(0.0);
    let scores = intervals.iter().zip(truths);
    mean(scores.map(|((lower, upper), truth)| upper - lower + factor * outside(*lower, *upper, *truth)))
}

#[cfg(test)]
mod tests {
    use super::super::sample::{ACTUAL, close};
    use super::*;

    #[test]
    fn numbers_agree_with_numpy() {
        let intervals = [(-0.01, 0.013); 12];
        close(winkler(0.8, &intervals, &ACTUAL), 0.037_166_666_666_666_66);
        close(coverage(&intervals, &ACTUAL), 8.0 / 12.0);
        close(width(&intervals), 0.023);
        assert_eq!(coverage(&[], &[]), None);
    }

    #[test]
    fn the_ends_belong_to_the_interval() {
        close(coverage(&[(0.0, 1.0), (0.0, 1.0), (0.0, 1.0)], &[0.0, 1.0, 1.1]), 2.0 / 3.0);
    }
}
