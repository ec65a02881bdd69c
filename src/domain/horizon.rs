//! How far ahead.

use serde::{Deserialize, Serialize};

/// How many trading sessions ahead a forecast reaches, `1..=Horizon::MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Horizon(u32);

/// Why a number is not a horizon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("horizon {steps} is outside 1 to {} sessions", Horizon::MAX)]
pub struct HorizonError {
    /// What was asked for.
    pub steps: u32,
}

impl Horizon {
    /// A month of sessions; beyond it one day's data says nothing.
    pub const MAX: u32 = 20;
    /// The next session.
    pub const ONE: Self = Self(1);

    /// Sessions ahead.
    pub fn steps(self) -> usize {
        self.0 as usize
    }
}

impl TryFrom<u32> for Horizon {
    type Error = HorizonError;

    fn try_from(steps: u32) -> Result<Self, HorizonError> {
        match (1..=Self::MAX).contains(&steps) {
            true => Ok(Self(steps)),
            false => Err(HorizonError { steps }),
        }
    }
}

impl From<Horizon> for u32 {
    fn from(horizon: Horizon) -> Self {
        horizon.0
    }
}

impl std::str::FromStr for Horizon {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let steps: u32 = text.parse().map_err(|_| format!("horizon {text:?} is not a whole number of sessions"))?;
        Self::try_from(steps).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_holds_from_both_sides() {
        for (steps, fits) in [(0, false), (1, true), (20, true), (21, false)] {
            assert_eq!(Horizon::try_from(steps).is_ok(), fits, "{steps}");
        }
    }
}
