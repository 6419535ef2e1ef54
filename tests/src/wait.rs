//! Waiting, with a limit.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::runtime::Builder;

/// Longest wait of any test for anything but a build. Much longer than anything takes, because it is reached only when
/// something is wrong.
pub const LIMIT: Duration = Duration::from_secs(60);

/// Runs `work` on a tokio runtime of this thread.
///
/// - Panics: if it is not done within [`LIMIT`].
#[track_caller]
pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("the machine has an event queue");
    let done = runtime.block_on(async { tokio::time::timeout(LIMIT, work).await });
    match done {
        Ok(result) => result,
        Err(_) => panic!("not done within {LIMIT:?}"),
    }
}

/// Runs `work` on this thread without any runtime: the least executor that there is.
///
/// - Panics: if it is not done within [`LIMIT`].
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

/// Polls once and lets nobody be woken.
pub fn poll_once<F: Future>(work: Pin<&mut F>) -> Poll<F::Output> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}
