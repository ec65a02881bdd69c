//! The volatility forecast inside a baseline: state that moves bar by bar, parameters that were fitted.

use super::garch::Garch;
use crate::features::{Columns, VolatilityModel};

/// Decay of the exponentially weighted variance a session.
///
/// Source: J. P. Morgan/Reuters (1996), "RiskMetrics Technical Document", 4th edition.
const EWMA_DECAY: f64 = 0.94;

/// How a baseline forecasts the standard deviation of the coming returns.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Volatility {
    /// Not at all: one, whatever happens.
    Constant,
    /// Exponentially weighted squared returns; over `step` sessions, `√step` as much.
    Ewma,
    /// GARCH(1,1).
    Garch(Garch),
    /// HAR on ranges, one regression a step.
    Har(Vec<VolatilityModel>),
}

impl Volatility {
    /// Standard deviation of the return over `step` sessions from each cutoff. One pass over the bars, however
    /// many cutoffs; what is said at a cutoff uses no bar after it.
    pub(super) fn at(&self, columns: &Columns, cutoffs: &[usize], step: usize) -> Vec<f64> {
        let at_cutoffs = |variances: Vec<f64>, over: &dyn Fn(f64) -> f64| {
            cutoffs.iter().map(|cutoff| over(variances[*cutoff]).max(Columns::FLOOR).sqrt()).collect()
        };
        match self {
            Self::Constant => vec![1.0; cutoffs.len()],
            Self::Ewma => at_cutoffs(ewma_variances(&columns.return_log), &|variance| variance * step as f64),
            Self::Garch(garch) => {
                let mut variances = vec![garch.before];
                variances.extend(garch.next_variances(columns.return_log.get(1..).unwrap_or_default()));
                at_cutoffs(variances, &|next| garch.variance_ahead(next, step))
            }
            Self::Har(models) => cutoffs.iter().map(|cutoff| models[step - 1].volatility(columns, *cutoff)).collect(),
        }
    }
}

/// Weights of the first bars are divided by their sum, so that the start needs no guess.
fn ewma_variances(returns: &[f64]) -> Vec<f64> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let step = |(idx, r): (usize, &f64)| {
        // The first bar has no return.
        if idx > 0 {
            sum = EWMA_DECAY * sum + (1.0 - EWMA_DECAY) * r * r;
            weight = EWMA_DECAY * weight + (1.0 - EWMA_DECAY);
        }
        if weight > 0.0 { sum / weight } else { 0.0 }
    };
    returns.iter().enumerate().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weighted_variance_is_the_definition() {
        let variances = ewma_variances(&[0.0, 0.01, -0.02]);
        assert_eq!(variances[0], 0.0);
        assert!((variances[1] - 1e-4).abs() < 1e-15);
        let expected = (0.06 * 4e-4 + 0.94 * 0.06 * 1e-4) / (0.06 + 0.94 * 0.06);
        assert!((variances[2] - expected).abs() < 1e-15);
    }
}
