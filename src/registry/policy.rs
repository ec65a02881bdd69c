//! When a ticker's model is due for retraining, when it is too old to answer, and why.

use serde::{Deserialize, Serialize};

use crate::domain::counted;
use crate::evaluate::CoverageDrift;

/// A ticker's retraining policy. Ages are counted in bars, so that weekends and holidays do not age a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Whether new bars may queue a training at all. Too often off: models grow old in silence.
    pub automatic: bool,
    /// How many bars a ticker needs before its first training. Lower than the network's own minimum only fails jobs.
    pub min_bars: u32,
    /// A training is due once this many bars came after the newest version's last, be it the champion or one that was
    /// refused. Too low: the machine trains all day.
    pub retrain_after_bars: u32,
    /// Whether a training is also due when the champion's live intervals miss their levels by more than luck. Off:
    /// only age counts.
    pub retrain_on_coverage_drift: bool,
    /// A champion older than this many bars no longer answers (`model_expired`); `null` never expires.
    pub expire_after_bars: Option<u32>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            automatic: true,
            min_bars: 250,
            retrain_after_bars: 20,
            retrain_on_coverage_drift: true,
            expire_after_bars: Some(250),
        }
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

/// Bars between two trainings that drift makes due: the first may have been refused.
const DRIFT_PAUSE_BARS: u64 = 10;

/// What the policy is asked about: the ticker's state at this moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PolicyFacts {
    /// Bars stored.
    pub bars_total: u64,
    /// Bars after the last one that the champion was trained on; `None` without a champion.
    pub champion_age_bars: Option<u64>,
    /// The same of the version trained last, be it the champion or not.
    pub newest_age_bars: Option<u64>,
    /// The champion is in another layout than this release reads, so it answers nobody.
    pub champion_outdated: bool,
    /// That the champion's live intervals miss their levels.
    pub coverage_drift: Option<CoverageDrift>,
    /// A training of this ticker is queued or running.
    pub training_active: bool,
    /// The last training failed on this very data version: trying again would fail again.
    pub failed_on_this_data: bool,
    /// A client canceled the last training, of this very data version.
    pub canceled_on_this_data: bool,
    /// No training since so much of the history was replaced that a model of before has learned another one.
    pub rewritten: bool,
    /// The newest version was trained without a market that there is now.
    pub market_is_new: bool,
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
        let PolicyFacts { bars_total, champion_age_bars, training_active, failed_on_this_data, .. } = facts;
        let no = |reason: String| Retraining { due: false, reason };
        let yes = |reason: String| Retraining { due: true, reason };
        if !self.automatic {
            return no("automatic training is off for this ticker".into());
        }
        if training_active {
            return no("a training is already queued or running".into());
        }
        if bars_total < u64::from(self.min_bars) {
            return no(format!(
                "{} stored, the policy asks for {} before a training",
                counted(bars_total, "bar"),
                self.min_bars
            ));
        }
        if failed_on_this_data {
            return no("the last training failed on this very data; send new bars, or train by hand".into());
        }
        if facts.canceled_on_this_data {
            return no("the last training, of this very data, was canceled; send new bars, or train by hand".into());
        }
        let Some(champion_age) = champion_age_bars else { return yes("no model yet".into()) };
        if facts.champion_outdated {
            return yes("the champion is in another layout than this release reads".into());
        }
        if facts.rewritten {
            return yes("more than one bar in twenty was replaced since the last training".into());
        }
        if facts.market_is_new {
            return yes("the model was trained without the other tickers of its exchange, which are stored now".into());
        }
        // A challenger that was refused, or a champion that was taken back, is not trained again on the same bars.
        let newest_age = facts.newest_age_bars.unwrap_or(champion_age).min(champion_age);
        if let Some(CoverageDrift { level, n_inside, n }) =
            facts.coverage_drift.filter(|_| self.retrain_on_coverage_drift && newest_age >= DRIFT_PAUSE_BARS)
        {
            return yes(format!(
                "the champion's {level} intervals held {n_inside} of the last {n} outcomes, which luck does not explain"
            ));
        }
        let whose = match newest_age < champion_age {
            true => format!(
                "{} since the newest version's last ({champion_age} since the champion's)",
                counted(newest_age, "bar")
            ),
            false => format!("{} since the champion's last", counted(champion_age, "bar")),
        };
        let reason = format!("{whose}, the policy retrains after {}", self.retrain_after_bars);
        Retraining { due: newest_age >= u64::from(self.retrain_after_bars), reason }
    }

    /// Whether a champion of this age no longer answers.
    pub fn is_expired(&self, champion_age_bars: u64) -> bool {
        self.expire_after_bars.is_some_and(|limit| champion_age_bars > u64::from(limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: PolicyFacts = PolicyFacts {
        bars_total: 1000,
        champion_age_bars: None,
        newest_age_bars: None,
        champion_outdated: false,
        coverage_drift: None,
        training_active: false,
        failed_on_this_data: false,
        canceled_on_this_data: false,
        rewritten: false,
        market_is_new: false,
    };

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
    fn a_rewritten_history_is_learned_anew_and_a_canceled_training_is_not_begun_again() {
        let trained = PolicyFacts { champion_age_bars: Some(0), newest_age_bars: Some(0), ..FRESH };
        assert!(!due(trained));
        assert!(due(PolicyFacts { rewritten: true, ..trained }));
        assert!(due(PolicyFacts { champion_outdated: true, ..trained }));
        assert!(!due(PolicyFacts { champion_outdated: true, failed_on_this_data: true, ..trained }));
        assert!(!due(PolicyFacts { rewritten: true, canceled_on_this_data: true, ..trained }));
        assert!(!due(PolicyFacts { canceled_on_this_data: true, ..FRESH }));
    }

    #[test]
    fn a_refused_challenger_is_not_trained_again_at_once() {
        let refused = PolicyFacts { champion_age_bars: Some(25), newest_age_bars: Some(4), ..FRESH };
        assert!(!due(refused));
        let said = Policy::default().retraining(refused).reason;
        assert!(said.starts_with("4 bars since the newest version's last (25 since the champion's)"), "{said}");
        assert!(due(PolicyFacts { newest_age_bars: Some(20), champion_age_bars: Some(41), ..FRESH }));
    }

    #[test]
    fn coverage_that_drifts_makes_a_training_due_before_its_time() {
        let drift = Some(CoverageDrift { level: 0.8, n_inside: 3, n: 12 });
        let facts = PolicyFacts { champion_age_bars: Some(12), coverage_drift: drift, ..FRESH };
        let said = Policy::default().retraining(facts);
        assert!(said.due && said.reason.contains("0.8 intervals held 3 of the last 12"), "{said:?}");
        assert!(!due(PolicyFacts { newest_age_bars: Some(3), ..facts }), "one was trained for it just now");
        let off = Policy { retrain_on_coverage_drift: false, ..Policy::default() };
        assert!(!off.retraining(facts).due);
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
