//! Long work gives way.
//!
//! A scheduler that shares out time (Linux since 6.6) lets a thread of the lowest priority that has run little run on to
//! the end of its slice, up to 4 ms, although a thread that answers a request is ready. Giving the processor up
//! often keeps that out of the answers' tail and costs next to nothing where nobody waits. Where somebody does, the kernel
//! puts the thread's next turn far behind: beside a program that takes the processor to the last, it would hardly run
//! again. So what was waited is owed back: after a long wait a thread works on for its share of it before it gives way.

use std::cell::Cell;
use std::time::{Duration, Instant};

thread_local! {
    /// `None` where this thread does not give way.
    static TURN: Cell<Option<Turn>> = const { Cell::new(None) };
}

/// A thread's turn on the processor, in multiplications.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Turn {
    done: usize,
    /// After so many others go first.
    due: usize,
}

/// Multiplications of the shortest turn: some tens of microseconds of them.
const SHORTEST: usize = 2 << 20;

impl Turn {
    /// The turn after one that others were let go first for: for 35 ms, one millisecond of a processor that does forty
    /// multiplications a nanosecond. It is twice what a thread of the lowest priority is owed (15 of 1,039 parts), for the
    /// kernel ends many a turn sooner.
    fn after(waited: Duration) -> Self {
        let owed = waited.as_nanos().saturating_mul(40) / 35;
        Self { done: 0, due: SHORTEST.max(usize::try_from(owed).unwrap_or(usize::MAX)) }
    }
}

/// From now on, layers that run on this thread let others go first between two pieces of their work.
pub fn give_way_on_this_thread() {
    TURN.set(Some(Turn::after(Duration::ZERO)));
}

/// Counts multiplications, and gives way when there were enough.
#[inline]
pub(crate) fn worked(multiplications: usize) {
    let Some(mut turn) = TURN.get() else { return };
    turn.done = turn.done.saturating_add(multiplications);
    if turn.done >= turn.due {
        let begun = Instant::now();
        std::thread::yield_now();
        turn = Turn::after(begun.elapsed());
    }
    TURN.set(Some(turn));
}

/// Keeps Candle's element-wise operations on the thread that asks for them; `false` where that cannot be done safely, on
/// other systems than Linux or once there is a second thread. To be called first of all in a program.
///
/// From 65,536 numbers on Candle shares them with a thread for each further processor. They look for more work for half a
/// millisecond before they sleep, and give way to nobody: answers beside the training of a large network wait for them, and
/// so do other trainings. A `CANDLE_NUM_THREADS` that is set counts.
pub fn keep_candle_on_its_thread() -> bool {
    const N_THREADS: &str = "CANDLE_NUM_THREADS";
    let n_threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    if n_threads != 1 {
        return false;
    }
    if std::env::var_os(N_THREADS).is_none() {
        // SAFETY: this is the only thread of the process: nobody else reads or writes the environment.
        unsafe { std::env::set_var(N_THREADS, "1") };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_says_so_gives_way_and_only_after_enough_work() {
        worked(SHORTEST);
        assert_eq!(TURN.get(), None);
        give_way_on_this_thread();
        worked(SHORTEST - 1);
        assert_eq!(TURN.get().map(|turn| turn.done), Some(SHORTEST - 1));
        worked(1);
        assert_eq!(TURN.get().map(|turn| turn.done), Some(0));
        let of_another = std::thread::spawn(|| TURN.get()).join();
        assert!(matches!(of_another, Ok(None)));
    }

    #[test]
    fn the_environment_is_left_alone_where_others_may_read_it() {
        assert!(!keep_candle_on_its_thread());
        assert_eq!(std::env::var_os("CANDLE_NUM_THREADS"), None);
    }

    #[test]
    fn a_long_wait_is_owed_back_and_a_short_one_is_not() {
        assert_eq!(Turn::after(Duration::from_micros(100)).due, SHORTEST);
        assert_eq!(Turn::after(Duration::from_millis(35)).due, 40_000_000);
        assert_eq!(Turn::after(Duration::MAX).due, usize::MAX);
    }
}
