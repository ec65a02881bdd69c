//! A forecast distribution, held as quantiles that never cross.

use std::sync::LazyLock;

use statrs::distribution::{ContinuousCDF, Normal};

/// Quantiles of one random value (here: a log return) at ascending levels, values not descending.
///
/// Between the given levels a quantile is interpolated linearly over the standard normal score
/// `z = Φ⁻¹(level)`, and beyond the outermost ones it continues with the slope of the last
/// stretch: exact for a normal distribution, and no tail is invented that the given quantiles do not show.
#[derive(Debug, Clone, PartialEq)]
pub struct Quantiles {
    levels: Vec<f64>,
    scores: Vec<f64>,
    values: Vec<f64>,
}

/// Why levels and values are not a distribution.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum QuantilesError {
    /// Too few, or not as many levels as values.
    #[error("{levels} levels and {values} values: need two or more of both, as many of one as of the other")]
    Count {
        /// How many levels.
        levels: usize,
        /// How many values.
        values: usize,
    },
    /// Levels outside (0, 1) or not ascending.
    #[error("levels must ascend strictly inside (0, 1)")]
    Levels,
    /// A value that is NaN or infinite.
    #[error("the value at level {level} is not finite")]
    NotFinite {
        /// Where.
        level: f64,
    },
}

/// How finely moments are taken over the quantile function.
const MOMENT_POINTS: usize = 400;

impl Quantiles {
    /// Takes quantiles; values that cross are put in order (Chernozhukov, Fernández-Val & Galichon
    /// 2010, "Quantile and Probability Curves Without Crossing", Econometrica 78: rearrangement never
    /// makes the estimate worse).
    ///
    /// # Errors
    /// When counts differ, levels do not ascend inside (0, 1), or a value is not finite.
    pub fn new(levels: Vec<f64>, mut values: Vec<f64>) -> Result<Self, QuantilesError> {
        if levels.len() != values.len() || levels.len() < 2 {
            return Err(QuantilesError::Count { levels: levels.len(), values: values.len() });
        }
        let inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
        if !inside || levels.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(QuantilesError::Levels);
        }
        if let Some(idx) = values.iter().position(|value| !value.is_finite()) {
            return Err(QuantilesError::NotFinite { level: levels[idx] });
        }
        values.sort_by(f64::total_cmp);
        let scores = levels.iter().map(|level| normal_score(*level)).collect();
        Ok(Self { levels, scores, values })
    }

    /// The levels given, ascending.
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// The values at [`levels`](Self::levels), not descending.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The value at any level in (0, 1).
    pub fn at(&self, level: f64) -> f64 {
        self.at_score(normal_score(level))
    }

    /// The middle of the distribution.
    pub fn median(&self) -> f64 {
        self.at_score(0.0)
    }

    /// The expected value.
    pub fn mean(&self) -> f64 {
        self.grid().sum::<f64>() / MOMENT_POINTS as f64
    }

    /// The standard deviation.
    pub fn standard_deviation(&self) -> f64 {
        let mean = self.mean();
        (self.grid().map(|value| (value - mean).powi(2)).sum::<f64>() / MOMENT_POINTS as f64).sqrt()
    }

    /// The probability that the value is above `x`; a distribution that is one point at `x` gives one half.
    pub fn probability_above(&self, x: f64) -> f64 {
        1.0 - standard_normal().cdf(self.score_of(x))
    }

    /// The standard normal score `z = Φ⁻¹(F(x))` of a value: standard normal itself, over many forecasts, where
    /// they say what comes true. Between -9 and 9; 0 for the point of a distribution that is one point.
    pub fn score_of(&self, x: f64) -> f64 {
        const MAX: f64 = 9.0;
        let right = self.values.partition_point(|value| *value <= x).clamp(1, self.values.len() - 1);
        let (z0, z1) = (self.scores[right - 1], self.scores[right]);
        let (v0, v1) = (self.values[right - 1], self.values[right]);
        if v1 > v0 {
            return (z0 + (z1 - z0) * (x - v0) / (v1 - v0)).clamp(-MAX, MAX);
        }
        // A flat end never reaches a value beyond it.
        match x == v0 && self.values[0] == self.values[self.values.len() - 1] {
            true => 0.0,
            false if x < v0 => -MAX,
            false => MAX,
        }
    }

    /// The distribution of `a + b · value`, for `b > 0`.
    pub fn affine(&self, a: f64, b: f64) -> Self {
        debug_assert!(b > 0.0, "a negative factor would turn the order around");
        Self { values: self.values.iter().map(|value| a + b * value).collect(), ..self.clone() }
    }

    /// The value at the level whose standard normal score is given: finer in the tails than a level near 1 can be.
    pub fn at_score(&self, score: f64) -> f64 {
        let right = self.scores.partition_point(|s| *s < score).clamp(1, self.scores.len() - 1);
        let (z0, z1) = (self.scores[right - 1], self.scores[right]);
        let (v0, v1) = (self.values[right - 1], self.values[right]);
        v0 + (v1 - v0) * (score - z0) / (z1 - z0)
    }

    fn grid(&self) -> impl Iterator<Item = f64> {
        // Scores of the same levels again and again: the inverse normal is what moments would cost.
        static SCORES: LazyLock<Vec<f64>> = LazyLock::new(|| {
            (0..MOMENT_POINTS).map(|idx| normal_score((idx as f64 + 0.5) / MOMENT_POINTS as f64)).collect()
        });
        SCORES.iter().map(|score| self.at_score(*score))
    }
}

/// The standard normal score `Φ⁻¹(level)` of a level in (0, 1).
pub fn normal_score(level: f64) -> f64 {
    standard_normal().inverse_cdf(level)
}

fn standard_normal() -> Normal {
    Normal::standard()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn normal(mean: f64, sd: f64) -> Quantiles {
        let levels = vec![0.05, 0.25, 0.5, 0.75, 0.95];
        let values = levels.iter().map(|p| mean + sd * normal_score(*p)).collect();
        Quantiles::new(levels, values).expect("ascending")
    }

    #[test]
    fn a_normal_distribution_is_exact_between_and_beyond_its_quantiles() {
        let q = normal(0.01, 0.02);
        for level in [0.001, 0.1, 0.4, 0.5, 0.975, 0.999] {
            assert!((q.at(level) - (0.01 + 0.02 * normal_score(level))).abs() < 1e-9, "{level}");
        }
        assert!((q.mean() - 0.01).abs() < 1e-9);
        assert!((q.standard_deviation() - 0.02).abs() < 1e-4);
        assert!((q.probability_above(0.01) - 0.5).abs() < 1e-9);
        assert!((q.probability_above(0.03) - 0.158_655).abs() < 1e-5);
        assert!((q.score_of(0.07) - 3.0).abs() < 1e-9 && (q.at_score(-4.0) + 0.07).abs() < 1e-9);
    }

    #[test]
    fn what_is_not_a_distribution_is_refused() {
        assert!(matches!(Quantiles::new(vec![0.5], vec![0.0]), Err(QuantilesError::Count { .. })));
        assert_eq!(Quantiles::new(vec![0.5, 0.5], vec![0.0, 1.0]), Err(QuantilesError::Levels));
        assert_eq!(Quantiles::new(vec![0.0, 0.5], vec![0.0, 1.0]), Err(QuantilesError::Levels));
        let not_finite = Quantiles::new(vec![0.4, 0.5], vec![0.0, f64::NAN]);
        assert_eq!(not_finite, Err(QuantilesError::NotFinite { level: 0.5 }));
    }

    proptest! {
        #[test]
        fn quantiles_never_cross_at_any_level(
            values in prop::collection::vec(-1.0..1.0_f64, 7), a in 0.0005..0.9995_f64, b in 0.0005..0.9995_f64,
        ) {
            let q = Quantiles::new(vec![0.025, 0.1, 0.3, 0.5, 0.7, 0.9, 0.975], values).expect("finite");
            prop_assert!(q.at(a.min(b)) <= q.at(a.max(b)) + 1e-12);
            let up = q.probability_above(0.0);
            prop_assert!((0.0..=1.0).contains(&up));
        }
    }
}
