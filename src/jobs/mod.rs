//! Answer later: the queue, one file a job kind.

pub mod due;
