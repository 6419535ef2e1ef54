//! Waiting, with a limit.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

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

/// Polls once and lets nobody be woken.
pub fn poll_once<F: Future>(work: Pin<&mut F>) -> Poll<F::Output> {
    work.poll(&mut Context::from_waker(Waker::noop()))
}
