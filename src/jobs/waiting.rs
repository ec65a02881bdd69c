//! Why a job waits, in words.

use crate::store::QueuePlace;

/// What a job at this place waits for.
pub fn reason(place: &QueuePlace) -> String {
    match (place.not_before, place.running, place.ahead) {
        (Some(_), ..) => "its last try failed, and the next one is not due yet".to_owned(),
        (None, 0, 0) => {
            "the next look of a worker takes it up; if that takes longer than moments, no worker runs".to_owned()
        }
        (None, 0, ahead) => format!(
            "{ahead} {} before it and none runs; if that lasts longer than moments, no worker runs",
            if ahead == 1 { "waits" } else { "wait" },
        ),
        (None, running, ahead) => format!(
            "{running} {} and {ahead} {} before it; worker.n_jobs says how many a worker runs at one time",
            if running == 1 { "job runs" } else { "jobs run" },
            if ahead == 1 { "waits" } else { "wait" },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_counts_what_is_before_a_job() {
        let told = |ahead, running| reason(&QueuePlace { ahead, running, not_before: None });
        assert!(told(0, 1).starts_with("1 job runs and 0 wait before it;"), "{}", told(0, 1));
        assert!(told(1, 2).starts_with("2 jobs run and 1 waits before it;"), "{}", told(1, 2));
        for ahead in [0, 1, 2] {
            assert!(told(ahead, 0).contains("no worker runs"), "{}", told(ahead, 0));
        }
        let delayed = reason(&QueuePlace { ahead: 3, running: 1, not_before: Some(1) });
        assert!(delayed.contains("failed"), "{delayed}");
    }
}
