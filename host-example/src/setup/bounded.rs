//! Code of a plugin that must end in time.
//!
//! A plugin may block, or return a future that is never ready. Its code runs on a thread that is left behind when the
//! time is over, so that the host goes on.

use std::future::Future;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::terminal::{Exit, Failure};

/// How long a plugin may take to be loaded, created, configured, or asked about itself.
pub const LIMIT: Duration = Duration::from_secs(15);

/// Runs `work` of the plugin `id`; `doing` says what it is about, such as `be created`.
///
/// - Errors: it does not end within the limit, or panics.
pub fn bounded<T: Send + 'static>(
    id: &str,
    doing: &str,
    limit: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let failed = |reason: String| {
        Failure::new(Exit::Plugin, format!("the plugin `{id}` {reason}")).with_hint(format!(
            "get a newer version of it, or switch it off: agent-host plugins disable {id}"
        ))
    };
    let (sender, receiver) = channel();
    let spawned = thread::Builder::new().name(format!("plugin {id}")).spawn(move || {
        // Nobody waits any more if the time is over.
        let _ = sender.send(work());
    });
    spawned.map_err(|cause| Failure::internal(format!("cannot start a thread: {cause}")))?;
    receiver.recv_timeout(limit).map_err(|cause| match cause {
        std::sync::mpsc::RecvTimeoutError::Timeout => {
            failed(format!("needs more than {} s to {doing}", limit.as_secs_f32()))
        }
        std::sync::mpsc::RecvTimeoutError::Disconnected => failed(format!("panicked instead of {doing}")),
    })
}

/// The same for a future.
pub fn bounded_future<F>(id: &str, doing: &str, limit: Duration, work: F) -> Result<F::Output, Failure>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .map_err(|cause| Failure::internal(format!("cannot start a runtime: {cause}")))?;
    bounded(id, doing, limit, move || runtime.block_on(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_never_ends_fails_in_time_and_the_host_goes_on() {
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
        let pending = bounded_future("slow", "shut down", limit, std::future::pending());
        assert_eq!(
            message(pending).as_deref(),
            Some("the plugin `slow` needs more than 0.001 s to shut down")
        );
        assert_eq!(bounded_future("quick", "answer", LIMIT, async { 7 }).ok(), Some(7));
    }
}
