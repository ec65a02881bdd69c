//! Long work gives way.
//!
//! A scheduler that shares out time (Linux since 6.6) lets a thread of the lowest priority that has run little run on to
//! the end of its slice, up to 4 ms, although a thread that answers a request is ready. Giving the processor up
//! now and then costs nothing where nobody waits, and where somebody does, the thread's next turn is put off so far that
//! answers do not meet it again soon.

use std::cell::Cell;

thread_local! {
    /// Multiplications since this thread last gave way; `None` where it does not.
    static SINCE: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Multiplications after which a thread gives way: some tenths of a millisecond of them. Fewer would stop trainings
/// for good beside other busy programs, more are felt in one answer of a hundred.
const AT_MOST: usize = 16 << 20;

/// From now on, layers that run on this thread let others go first between two of their steps.
pub fn give_way_on_this_thread() {
    SINCE.set(Some(0));
}

/// Counts multiplications, and gives way when there were enough.
pub(crate) fn worked(multiplications: usize) {
    let Some(since) = SINCE.get() else { return };
    let since = since.saturating_add(multiplications);
    SINCE.set(Some(if since < AT_MOST { since } else { 0 }));
    if since >= AT_MOST {
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_thread_that_says_so_gives_way_and_only_after_enough_work() {
        worked(AT_MOST);
        assert_eq!(SINCE.get(), None);
        give_way_on_this_thread();
        worked(AT_MOST - 1);
        assert_eq!(SINCE.get(), Some(AT_MOST - 1));
        worked(1);
        assert_eq!(SINCE.get(), Some(0));
        let of_another = std::thread::spawn(|| SINCE.get()).join();
        assert!(matches!(of_another, Ok(None)));
    }
}
