//! Room on the processors for what answers wait for: fits, forward passes, packing.
//!
//! Such work runs on threads of its own, a few at a time, in the order in which it came, so that answers from memory
//! stay quick whatever is asked beside them. Requests take turns: one that finds too many others with a turn is refused
//! before it began, not half way.

use std::sync::Arc;

use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::config::HttpSettings;

/// The processors as requests share them. One a process.
#[derive(Debug)]
pub struct Computing {
    threads: Arc<Semaphore>,
    turns: Arc<Semaphore>,
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
            // One processor stays for answers from memory.
            0 => std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2)),
            n => n,
        };
        let turns = settings.max_computing_requests;
        Self { threads: Arc::new(Semaphore::new(threads)), turns: Arc::new(Semaphore::new(turns)) }
    }

    /// A request's turn; it takes its place when it first computes.
    pub fn turn(&self) -> Turn<'_> {
        Turn { computing: self, place: OnceCell::new() }
    }

    /// Runs what is bounded otherwise (once a ticker and change, say) as soon as a thread is free; never
    /// [`Busy`](ComputeError::Busy).
    ///
    /// # Errors
    /// When the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ComputeError> {
        let failed = |reason: &dyn ToString| ComputeError::Failed(reason.to_string());
        let thread = Arc::clone(&self.threads).acquire_owned().await.map_err(|error| failed(&error))?;
        let working = tokio::task::spawn_blocking(move || {
            // Who asked may have gone; the thread is busy until the work ends all the same.
            let _thread = thread;
            work()
        });
        working.await.map_err(|error| failed(&error))
    }
}

/// One request's turn to compute, as often as it needs to.
#[derive(Debug)]
pub struct Turn<'a> {
    computing: &'a Computing,
    place: OnceCell<OwnedSemaphorePermit>,
}

impl Turn<'_> {
    /// Takes the turn, where it is not taken yet: before anything is read only to be computed with.
    ///
    /// # Errors
    /// When too many other requests have theirs.
    pub async fn take(&self) -> Result<(), ComputeError> {
        let take = async || Arc::clone(&self.computing.turns).try_acquire_owned().map_err(|_| ComputeError::Busy);
        self.place.get_or_try_init(take).await.map(drop)
    }

    /// Runs `work` as soon as a thread is free.
    ///
    /// # Errors
    /// As [`take`](Self::take), or when the work panics.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ComputeError> {
        self.take().await?;
        self.computing.run(work).await
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
    async fn a_panic_is_the_request_s_own() {
        let computing = computing(1, 1);
        #[expect(clippy::panic, reason = "the fault that is caught")]
        let failed = computing.turn().run(|| panic!("of its own")).await;
        assert!(matches!(failed, Err::<(), _>(ComputeError::Failed(_))), "{failed:?}");
        assert_eq!(computing.turn().run(|| 1).await, Ok(1));
    }
}
