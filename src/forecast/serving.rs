//! A champion caught up with its ticker's bars: what it says now, and what it said before.

use std::sync::Arc;

use super::distributions::step_returns;
use super::steps::StepReturns;
use crate::domain::{Level, Series};
use crate::evaluate::{ScoredForecast, Served, Skill, TrackRecord, report_levels, score_garch};
use crate::registry::LoadedModel;

/// A champion with all that its answers need, as of one revision of its ticker.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) loaded: Arc<LoadedModel>,
    /// Bars after the last one that it was trained on.
    pub(super) age_bars: u64,
    /// Calibrated, one a step; `None` where it cannot forecast from these bars: who asks is told why.
    pub(super) returns: Option<Vec<StepReturns>>,
    served: Option<Served>,
    track: TrackRecord,
    /// The track record with the levels that are asked for most.
    skill: Option<Skill>,
}

impl Serving {
    /// Catches up with `newest`. Where `before` is the same model and only newer bars came, those are taken up
    /// alone; a bar that was corrected begins anew.
    pub(super) fn catch_up(
        loaded: Arc<LoadedModel>,
        age_bars: u64,
        newest: &Series,
        live: &mut [ScoredForecast],
        before: Option<(&Self, &Series)>,
    ) -> Self {
        let kept = before.filter(|(serving, seen)| {
            serving.loaded.manifest.sha256 == loaded.manifest.sha256 && newest.continues(seen)
        });
        let begun = kept.and_then(|(serving, _)| serving.served.clone());
        let mut served = begun.unwrap_or_else(|| Served::new(loaded.record.calibration.clone()));
        let followed = served.follow(&loaded.model, newest, |_, _| Ok(()));
        let served = followed.is_ok().then_some(served);
        let returns = served.as_ref().and_then(|served| step_returns(&loaded, served).ok()?);
        if let Some(garch) = loaded.record.garch {
            score_garch(garch, newest, live);
        }
        let track = TrackRecord::new(&loaded.record.scored, live);
        let skill = track.skill(&report_levels());
        Self { loaded, age_bars, returns, served, track, skill }
    }

    /// The track record with the coverage of these levels; `None` while it is too short to say anything.
    pub(super) fn skill(&self, levels: &[Level]) -> Option<Skill> {
        match levels == report_levels() {
            true => self.skill.clone(),
            false => self.track.skill(levels),
        }
    }
}
