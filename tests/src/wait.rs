//! Waiting, always with a limit.
//!
//! The limits are far longer than anything takes, even on a slow and busy machine: they turn a hang into a failure and
//! measure nothing.

use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

/// The longest that a test waits for one thing other than a build.
pub const LIMIT: Duration = Duration::from_secs(60);

/// The longest that a test waits for thousands of calls, or for a process that may make them.
pub const LONG_LIMIT: Duration = Duration::from_secs(10 * 60);

/// Runs `work` on a tokio runtime of this thread.
///
/// - Panics: if it takes longer than [`LIMIT`].
#[track_caller]
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    block_on_for(LIMIT, work)
}

/// Runs `work` like [`block_on`], with a limit of its own.
#[track_caller]
pub fn block_on_for<T>(limit: Duration, work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the machine has an event queue");
    let done = runtime.block_on(async { tokio::time::timeout(limit, work).await });
    match done {
        Ok(result) => result,
        Err(_) => panic!("not done within {limit:?}"),
    }
}

/// Runs `work` on this thread without any runtime, with the smallest possible executor.
///
/// - Panics: if it takes longer than [`LIMIT`].
#[track_caller]
pub fn wait_for<T>(work: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut work = pin!(work);
    let late = Instant::now() + LIMIT;
    loop {
        match work.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park_timeout(late.saturating_duration_since(Instant::now())),
        }
        assert!(Instant::now() < late, "not done within {LIMIT:?}");
    }
}

/// Tries again and again until `attempt` succeeds: for states that change without an event to wait for.
///
/// - Panics: after [`LIMIT`], with the last failure.
#[track_caller]
pub fn eventually<T, E: fmt::Debug>(mut attempt: impl FnMut() -> Result<T, E>) -> T {
    let late = Instant::now() + LIMIT;
    loop {
        match attempt() {
            Ok(result) => return result,
            Err(failure) => assert!(Instant::now() < late, "still failing after {LIMIT:?}: {failure:?}"),
        }
        thread::yield_now();
    }
}

/// Polls once, with a waker that wakes nobody.
pub fn poll_once<F: Future>(work: Pin<&mut F>) -> Poll<F::Output> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}
