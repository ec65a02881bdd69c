//! When a ticker's model is due for retraining, when it is too old to answer, and why.

use serde::{Deserialize, Serialize};

/// A ticker's retraining policy. Ages are counted in bars, so that weekends and holidays do not age a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether new bars may queue a training at all. Too often off: models grow old in silence.
    pub automatic: bool,
    /// How many bars a ticker needs before its first training. Lower than the network's own minimum only fails jobs.
    pub min_bars: u32,
    /// A training is due once this many bars came after the champion's last. Too low: the machine trains all day.
    pub retrain_after_bars: u32,
    /// A champion older than this many bars no longer answers (`model_expired`); `null` never expires.
    pub expire_after_bars: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { automatic: true, min_bars: 250, retrain_after_bars: 20, expire_after_bars: Some(250) }
    }
}

/// What of a [`Policy`] cannot be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A count of bars that must be at least one.
    #[error("{field} must be at least 1")]
    Zero {
        /// The field at fault.
        field: &'static str,
    },
    /// Models would expire before a retraining is due.
    #[error(
        "expire_after_bars {expire_after_bars} is below retrain_after_bars {retrain_after_bars}: models would expire before their successor is trained"
    )]
    ExpiresBeforeRetraining {
        /// As given.
        expire_after_bars: u32,
        /// As given.
        retrain_after_bars: u32,
    },
}

/// What the policy is asked about: the ticker's state at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyFacts {
    /// Bars stored.
    pub bars_total: u64,
    /// Bars after the last one that the champion was trained on; `None` without a champion.
    pub champion_age_bars: Option<u64>,
    /// A training of this ticker is queued or running.
    pub training_active: bool,
    /// The last training failed on this very data version: trying again would fail again.
    pub failed_on_this_data: bool,
}

/// Whether a training is due, and why (or why not), in a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retraining {
    /// Whether new bars will queue a training.
    pub due: bool,
    /// The reason, either way.
    pub reason: String,
}

impl Policy {
    /// Whether the numbers make sense together.
    ///
    /// # Errors
    /// Names the field at fault.
    pub fn check(&self) -> Result<(), PolicyError> {
        for (field, value) in [
            ("min_bars", Some(self.min_bars)),
            ("retrain_after_bars", Some(self.retrain_after_bars)),
            ("expire_after_bars", self.expire_after_bars),
        ] {
            if value == Some(0) {
                return Err(PolicyError::Zero { field });
            }
        }
        match self.expire_after_bars {
            Some(expire_after_bars) if expire_after_bars < self.retrain_after_bars => {
                Err(PolicyError::ExpiresBeforeRetraining {
                    expire_after_bars,
                    retrain_after_bars: self.retrain_after_bars,
                })
            }
            _ => Ok(()),
        }
    }

    /// Whether a training is due now.
    pub fn retraining(&self, facts: PolicyFacts) -> Retraining {
        let PolicyFacts { bars_total, champion_age_bars, training_active, failed_on_this_data } = facts;
        let no = |reason: String| Retraining { due: false, reason };
        let yes = |reason: String| Retraining { due: true, reason };
        if !self.automatic {
            return no("automatic training is off for this ticker".into());
        }
        if training_active {
            return no("a training is already queued or running".into());
        }
        if bars_total < u64::from(self.min_bars) {
            return no(format!("{bars_total} bars stored, the policy asks for {} before a training", self.min_bars));
        }
        if failed_on_this_data {
            return no("the last training failed on this very data; send new bars, or train by hand".into());
        }
        match champion_age_bars {
            None => yes("no model yet".into()),
            Some(age) if age >= u64::from(self.retrain_after_bars) => yes(format!(
                "{age} bars since the champion's last, the policy retrains after {}",
                self.retrain_after_bars
            )),
            Some(age) => no(format!(
                "{age} bars since the champion's last, the policy retrains after {}",
                self.retrain_after_bars
            )),
        }
    }

    /// Whether a champion of this age no longer answers.
    pub fn is_expired(&self, champion_age_bars: u64) -> bool {
        self.expire_after_bars.is_some_and(|limit| champion_age_bars > u64::from(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: PolicyFacts =
        PolicyFacts { bars_total: 1000, champion_age_bars: None, training_active: false, failed_on_this_data: false };

    fn due(facts: PolicyFacts) -> bool {
        Policy::default().retraining(facts).due
    }

    #[test]
    fn each_limit_decides_from_both_sides() {
        assert!(due(FRESH));
        assert!(!due(PolicyFacts { bars_total: 249, ..FRESH }));
        assert!(due(PolicyFacts { bars_total: 250, ..FRESH }));
        assert!(!due(PolicyFacts { champion_age_bars: Some(19), ..FRESH }));
        assert!(due(PolicyFacts { champion_age_bars: Some(20), ..FRESH }));
        assert!(!Policy::default().is_expired(250));
        assert!(Policy::default().is_expired(251));
        assert!(!Policy { expire_after_bars: None, ..Policy::default() }.is_expired(1_000_000));
    }

    #[test]
    fn what_would_train_for_nothing_is_not_due_and_says_why() {
        assert!(!due(PolicyFacts { training_active: true, ..FRESH }));
        let failed = Policy::default().retraining(PolicyFacts { failed_on_this_data: true, ..FRESH });
        assert!(!failed.due && failed.reason.contains("failed"), "{failed:?}");
        let off = Policy { automatic: false, ..Policy::default() }.retraining(FRESH);
        assert_eq!(off.reason, "automatic training is off for this ticker");
    }

    #[test]
    fn a_policy_that_expires_models_before_it_retrains_is_refused() {
        assert!(Policy::default().check().is_ok());
        let equal = Policy { retrain_after_bars: 250, ..Policy::default() };
        assert!(equal.check().is_ok());
        let contrary = Policy { retrain_after_bars: 251, ..Policy::default() };
        assert!(matches!(contrary.check(), Err(PolicyError::ExpiresBeforeRetraining { .. })));
        let zero = Policy { min_bars: 0, ..Policy::default() };
        assert_eq!(zero.check(), Err(PolicyError::Zero { field: "min_bars" }));
    }
}
