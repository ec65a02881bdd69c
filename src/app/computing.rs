//! Room on the processors for what answers wait for: fits, forward passes, packing.
//!
//! Such work runs on threads of its own, a few at a time, in the order in which it came, so that answers from memory
//! stay quick whatever is asked beside them. Requests take turns: one that finds too many others with a turn is refused
//! before it began, not half way. What keeps the memory up to date has threads beside these, and waits for no request.

use std::sync::Arc;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::config::HttpSettings;

/// The processors as requests share them. One a process.
#[derive(Debug)]
pub struct Computing {
    threads: Arc<Semaphore>,
    turns: Arc<Semaphore>,
    upkeep: Arc<Semaphore>,
}

/// Why nothing was computed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComputeError {
    /// As many requests as the settings allow compute or wait to.
    #[error("too much is being computed")]
    Busy,
    /// The work panicked, or the process ends.
    #[error("computing failed: {0}")]
    Failed(String),
}

impl Computing {
    pub(super) fn new(settings: &HttpSettings) -> Self {
        let threads = match settings.computing_threads {
            // Half, rounded up: where there are two or more, not all.
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)),
            n => n,
        };
        let turns = settings.max_computing_requests;
        let of = |permits| Arc::new(Semaphore::new(permits));
        Self { threads: of(threads), turns: of(turns), upkeep: of(threads) }
    }

    /// A request's turn; it takes its place when it first computes.
    pub fn turn(&self) -> Turn<'_> {
        Turn { computing: self, place: OnceCell::new() }
    }

    /// Brings up to date what answers come from: short work, once a change whoever asks. It waits for its like only,
    /// never for what requests compute, and is never [`Busy`](ComputeError::Busy).
    ///
    /// # Errors
    /// When the work panics.
    pub async fn catch_up<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeError> {
        run(&self.upkeep, work).await
    }
}

/// Runs `work` as soon as one of `threads` is free.
async fn run<T: Send + 'static>(
    threads: &Arc<Semaphore>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ComputeError> {
    let failed = |reason: &dyn ToString| ComputeError::Failed(reason.to_string());
    let thread = Arc::clone(threads).acquire_owned().await.map_err(|error| failed(&error))?;
    let working = tokio::task::spawn_blocking(move || {
        // Who asked may have gone; the thread is busy until the work ends all the same.
        let _thread = thread;
        work()
    });
    working.await.map_err(|error| failed(&error))
}

/// One request's turn to compute, as often as it needs to.
#[derive(Debug)]
pub struct Turn<'a> {
    computing: &'a Computing,
    /// `None` once it was refused.
    place: OnceCell<Option<OwnedSemaphorePermit>>,
}

impl Turn<'_> {
    /// Takes the turn, where it is not taken yet: before anything is read only to be computed with. Refused once, it
    /// stays refused: nothing is computed for a request that is refused all the same.
    ///
    /// # Errors
    /// When too many other requests have theirs.
    pub async fn take(&self) -> Result<(), ComputeError> {
        let take = async || Arc::clone(&self.computing.turns).try_acquire_owned().ok();
        self.place.get_or_init(take).await.as_ref().map(drop).ok_or(ComputeError::Busy)
    }

    /// Runs `work` as soon as a thread is free.
    ///
    /// # Errors
    /// As [`take`](Self::take), or when the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ComputeError> {
        self.take().await?;
        run(&self.computing.threads, work).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn computing(threads: usize, requests: usize) -> Arc<Computing> {
        let settings =
            HttpSettings { computing_threads: threads, max_computing_requests: requests, ..HttpSettings::default() };
        Arc::new(Computing::new(&settings))
    }

    #[tokio::test]
    async fn past_the_cap_a_request_is_refused_before_it_begins_and_never_half_way() {
        let computing = computing(1, 2);
        let (go, wait) = mpsc::channel::<()>();
        let (begun, mut has_begun) = tokio::sync::mpsc::channel(1);
        let first = Arc::clone(&computing);
        let first = tokio::spawn(async move {
            let turn = first.turn();
            let told = turn.run(move || (begun.blocking_send(()), wait.recv())).await.map(drop);
            (told, turn.run(|| 1).await)
        });
        has_begun.recv().await.expect("it begins");
        let second = Arc::clone(&computing);
        let second = tokio::spawn(async move { second.turn().run(|| 2).await });
        tokio::task::yield_now().await;
        assert_eq!(computing.turn().run(|| 3).await, Err(ComputeError::Busy));
        assert!(!second.is_finished(), "one at a time");
        go.send(()).expect("it waits");
        assert_eq!(second.await.expect("ends"), Ok(2));
        assert_eq!(first.await.expect("ends"), (Ok(()), Ok(1)));
        assert_eq!(computing.turn().run(|| 3).await, Ok(3), "there is room again");
    }

    #[tokio::test]
    async fn a_turn_that_was_refused_stays_so() {
        let computing = computing(1, 1);
        let (first, refused) = (computing.turn(), computing.turn());
        first.take().await.expect("there is room");
        assert_eq!(refused.take().await, Err(ComputeError::Busy));
        drop(first);
        assert_eq!(refused.run(|| 1).await, Err(ComputeError::Busy), "its request is answered with the refusal");
        assert_eq!(computing.turn().run(|| 1).await, Ok(1));
    }

    #[tokio::test]
    async fn upkeep_does_not_wait_for_what_requests_compute() {
        let computing = computing(1, 1);
        let (go, wait) = mpsc::channel::<()>();
        let turn = computing.turn();
        let beside = async {
            let kept = tokio::time::timeout(std::time::Duration::from_secs(10), computing.catch_up(|| 1)).await;
            go.send(()).expect("it waits");
            kept
        };
        let (worked, kept) = tokio::join!(turn.run(move || wait.recv()), beside);
        assert_eq!((worked.expect("ends"), kept), (Ok(()), Ok(Ok(1))));
    }

    #[tokio::test]
    async fn a_panic_is_the_request_s_own() {
        let computing = computing(1, 1);
        #[expect(clippy::panic, reason = "the fault that is caught")]
        let failed = computing.turn().run(|| panic!("of its own")).await;
        assert!(matches!(failed, Err::<(), _>(ComputeError::Failed(_))), "{failed:?}");
        assert_eq!(computing.turn().run(|| 1).await, Ok(1));
    }
}
