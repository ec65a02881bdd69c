//! An interval's probability.

use serde::{Deserialize, Serialize};

/// The probability that a central interval is meant to cover, a fraction strictly between 0 and 1
/// (0.8, not 80). Its interval reaches from quantile `(1 - level) / 2` to `(1 + level) / 2`.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Level(f64);

/// Why a number is not a level.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("level {value} is not a fraction between {} and {}{}", Level::MIN, Level::MAX, Level::hint(*.value))]
pub struct LevelError {
    /// What was asked for.
    pub value: f64,
}

impl Level {
    /// Below it an interval is a point.
    pub const MIN: f64 = 0.01;
    /// Above it there is no data to support the tails.
    pub const MAX: f64 = 0.999;

    /// The fraction.
    pub fn fraction(self) -> f64 {
        self.0
    }

    /// The quantile at the lower end of the central interval.
    pub fn lower(self) -> f64 {
        (1.0 - self.0) / 2.0
    }

    /// The quantile at the upper end of the central interval.
    pub fn upper(self) -> f64 {
        (1.0 + self.0) / 2.0
    }

    fn hint(value: f64) -> String {
        match (1.0..100.0).contains(&value) {
            true => format!("; for {value} % write {}", value / 100.0),
            false => String::new(),
        }
    }
}

impl TryFrom<f64> for Level {
    type Error = LevelError;

    fn try_from(value: f64) -> Result<Self, LevelError> {
        match (Self::MIN..=Self::MAX).contains(&value) {
            true => Ok(Self(value)),
            false => Err(LevelError { value }),
        }
    }
}

impl From<Level> for f64 {
    fn from(level: Level) -> Self {
        level.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_from_both_sides_and_percent_is_explained() {
        for (value, fits) in
            [(0.0, false), (0.009, false), (0.01, true), (0.999, true), (1.0, false), (f64::NAN, false)]
        {
            assert_eq!(Level::try_from(value).is_ok(), fits, "{value}");
        }
        let said = Level::try_from(80.0).map_err(|error| error.to_string());
        assert_eq!(said, Err("level 80 is not a fraction between 0.01 and 0.999; for 80 % write 0.8".to_owned()));
    }
}
