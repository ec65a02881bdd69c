//! Jobs: every transition is one statement, with the lease's token in its WHERE.
//!
//! `enqueued → running → succeeded | failed | canceled`. A worker holds a job by a lease that it must renew;
//! a lease that ran out is anybody's to take up, under a new token, and what the old holder still writes
//! finds no row (fencing). An attempt that was interrupted is not one that failed.

mod record;
mod queue;
mod lease;
mod list;

pub use lease::{Heartbeat, JobEnd, Lease};
pub use list::{JobFilter, QueuePlace};
pub use record::{JobRecord, JobState};
