//! Runs a plugin's code with a time limit.
//!
//! A plugin may block, or return a future that is never ready. Its code runs on a thread that is abandoned when the
//! time is up, so that the host goes on.

use std::future::Future;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::terminal::{Exit, Failure};

/// How long a plugin may take to be loaded, created, configured, or asked about itself.
pub const LIMIT: Duration = Duration::from_secs(15);

/// Runs `work` of the plugin `id`, and waits for it; `doing` says what it is about, such as `be created`.
///
/// - Errors: it does not end within the limit, or panics.
pub fn bounded<T: Send + 'static>(
    id: &str,
    doing: &str,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let (sender, receiver) = channel();
    start(id, doing, move || drop(sender.send(work())))?;
    receiver.recv_timeout(limit).map_err(|cause| match cause {
        RecvTimeoutError::Timeout => late(id, doing, limit),
        RecvTimeoutError::Disconnected => panicked(id, doing),
    })
}

/// The same for a future, without keeping this thread.
pub async fn bounded_future<F>(id: &str, doing: &str, limit: Duration, work: F) -> Result<F::Output, Failure>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|cause| Failure::internal(format!("cannot start a runtime: {cause}")))?;
    let (sender, receiver) = oneshot::channel();
    start(id, doing, move || drop(sender.send(runtime.block_on(work))))?;
    match tokio::time::timeout(limit, receiver).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(_)) => Err(panicked(id, doing)),
        Err(_) => Err(late(id, doing, limit)),
    }
}

/// What runs now, as `the plugin `x` … when it had to be created`: the plugin, and what it is about.
static RUNNING: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());

/// What of a plugin runs now, the newest last.
pub fn running() -> Vec<(String, String)> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn start(id: &str, doing: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Failure> {
    let row = (id.to_owned(), doing.to_owned());
    let watched = move || {
        let rows = || RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        rows().push(row.clone());
        work();
        rows().retain(|other| *other != row);
    };
    let spawned = thread::Builder::new().name(format!("plugin {id}")).spawn(watched);
    spawned.map_err(|cause| Failure::internal(format!("cannot start a thread: {cause}")))?;
    Ok(())
}

fn late(id: &str, doing: &str, limit: Duration) -> Failure {
    failed(id, &format!("needs more than {} s to {doing}", limit.as_secs_f32()))
}

fn panicked(id: &str, doing: &str) -> Failure {
    failed(id, &format!("panicked when it had to {doing}"))
}

fn failed(id: &str, what: &str) -> Failure {
    Failure::new(Exit::Plugin, format!("the plugin `{id}` {what}")).with_hint(format!(
        "get a newer version of it, or switch it off: agent-host plugins disable {id}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_never_ends_fails_in_time_and_the_host_goes_on() {
        let limit = Duration::from_millis(1);
        let blocked = bounded("slow", "be created", limit, || {
            loop {
                thread::park();
            }
        });
        let message = |outcome: Result<(), Failure>| outcome.err().map(|failure| failure.message);
        assert_eq!(
            message(blocked).as_deref(),
            Some("the plugin `slow` needs more than 0.001 s to be created")
        );
        let pending = bounded_future("slow", "shut down", limit, std::future::pending()).await;
        assert_eq!(
            message(pending).as_deref(),
            Some("the plugin `slow` needs more than 0.001 s to shut down")
        );
        assert_eq!(
            bounded_future("quick", "answer", LIMIT, async { 7 }).await.ok(),
            Some(7)
        );
    }
}
