//! A tokio runtime that a plugin owns.
//!
//! A plugin carries its own copy of tokio, so the host's runtime cannot drive the plugin's sockets. This one has a thread
//! of its own, on which sockets, timers and the work around them live. Going there and back wakes two threads, so a
//! plugin goes there once for a request and its answer's head, and hands over what arrives afterwards in as few
//! pieces as it can; what has arrived is best read on the thread that polls.

use std::future::Future;
use std::pin::Pin;
use std::process;
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::abi::{Caught, Side};
use crate::error::{Error, ErrorKind};
use crate::log_bridge;

/// A runtime with a thread of its own that lives as long as the plugin.
pub struct Runtime {
    handle: Handle,
    /// The process whose thread it is: a fork has a copy of this struct and no thread.
    process_id: u32,
    /// `None` after [`Runtime::shutdown`].
    owned: Mutex<Option<Owned>>,
}

/// What ends the runtime.
struct Owned {
    /// Takes the longest time that the end may take.
    end: oneshot::Sender<Duration>,
    /// Is closed when the runtime has ended.
    ended: mpsc::Receiver<()>,
}

impl Runtime {
    /// Starts a runtime whose thread carries `name`.
    ///
    /// - Errors: `internal` if the system gives no thread or no event queue.
    pub fn start(name: &str) -> Result<Self, Error> {
        let failed = |cause| {
            Error::new(
                ErrorKind::INTERNAL,
                format!("the plugin's runtime could not start: {cause}"),
            )
        };
        // One thread is enough for sockets and timers, and a runtime of one thread has the cheapest wake-ups.
        let runtime = Builder::new_current_thread()
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(failed)?;
        let handle = runtime.handle().clone();
        let (end, asked_to_end) = oneshot::channel();
        let (alive, ended) = mpsc::channel::<()>();
        let serve = move || {
            log_bridge::never_wait_here();
            let limit = runtime.block_on(async {
                match asked_to_end.await {
                    Ok(limit) => limit,
                    // The plugin was dropped without a shutdown.
                    Err(_) => Duration::ZERO,
                }
            });
            runtime.shutdown_timeout(limit);
            drop(alive);
        };
        thread::Builder::new()
            .name(name.to_owned())
            .spawn(serve)
            .map_err(failed)?;
        Ok(Self {
            handle,
            process_id: process::id(),
            owned: Mutex::new(Some(Owned { end, ended })),
        })
    }

    /// Does `work` on the runtime's thread. Dropping the task ends the work.
    ///
    /// - Errors: those of the work; `internal` with the place if it panics; `shut_down` if the runtime ends before it; `forked`
    ///   at once in a process that was forked from the one where the runtime was started.
    pub fn spawn<T, F>(&self, work: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        if process::id() != self.process_id {
            return Task { handle: None };
        }
        Task {
            // Guarded on the thread where it runs: only there is the place of a panic known.
            handle: Some(self.handle.spawn(Caught::new(Side::Plugin, "task", work))),
        }
    }

    /// Asks whether work can begin.
    ///
    /// - Errors: `forked` in a process that was forked from the one where the runtime was started; `shut_down` after
    ///   [`Runtime::shutdown`].
    pub fn ready(&self) -> Result<(), Error> {
        if process::id() != self.process_id {
            return Err(forked());
        }
        match &*self.owned.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(_) => Ok(()),
            None => Err(Error::new(ErrorKind::SHUT_DOWN, "the plugin was shut down")),
        }
    }

    /// Ends all tasks, and waits until `deadline` at most for those that block a thread, be it the runtime's own.
    pub async fn shutdown(&self, deadline: Duration) {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Owned { end, ended }) = owned else {
            return;
        };
        if end.send(deadline).is_err() {
            return;
        }
        // A task that blocks the runtime's thread stops its clock, and no other clock is at hand on every executor that
        // may poll this, so a thread of its own keeps the time.
        let (over, waited) = oneshot::channel::<()>();
        let begun = Instant::now();
        let watch = move || {
            // Nothing is sent: the channel is closed when the runtime has ended.
            let _ = ended.recv_timeout(deadline);
            log_bridge::flush(deadline.saturating_sub(begun.elapsed()));
            drop(over);
        };
        // Without a thread there is nobody to keep the time, and so no wait.
        if thread::Builder::new().name("shutdown".to_owned()).spawn(watch).is_ok() {
            let _ = waited.await;
        }
    }
}

/// Work on a [`Runtime`]'s thread.
pub struct Task<T> {
    /// `None`: it could not begin, because this process is a fork, or it goes on by itself.
    handle: Option<JoinHandle<Result<T, Error>>>,
}

impl<T> Task<T> {
    /// Lets the work go on to its end although nobody waits for it.
    pub fn detach(mut self) {
        self.handle = None;
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(handle) = &mut self.handle else {
            return Poll::Ready(Err(forked()));
        };
        match ready!(Pin::new(handle).poll(context)) {
            Ok(result) => Poll::Ready(result),
            // The work's own panics are caught inside of it, so what is left is the end of the runtime.
            Err(_) => Poll::Ready(Err(Error::new(ErrorKind::SHUT_DOWN, "the plugin was shut down"))),
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.abort();
        }
    }
}

fn forked() -> Error {
    Error::new(
        ErrorKind::FORKED,
        "the process was forked after the plugin had started, and the plugin's thread does not exist in it",
    )
    .with_hint("create the plugin in the forked process")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::note_panics_in_tests;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().build().expect("the machine has memory");
        runtime.block_on(work)
    }

    fn started() -> Runtime {
        Runtime::start("test").expect("the machine has threads")
    }

    #[test]
    fn a_task_that_blocks_the_only_thread_does_not_hold_up_the_shutdown() {
        let runtime = started();
        let (begun, has_begun) = mpsc::channel();
        let (release, blocked_until) = mpsc::channel::<()>();
        let _task = runtime.spawn(async move {
            begun.send(()).expect("the test waits");
            // Ends when the test drops the other side.
            let _ = blocked_until.recv();
            Ok(())
        });
        has_begun.recv().expect("the task begins");
        let since = Instant::now();
        block_on(runtime.shutdown(Duration::from_millis(50)));
        let took = since.elapsed();
        assert!(
            took >= Duration::from_millis(50) && took < Duration::from_secs(10),
            "{took:?}"
        );
        drop(release);
    }

    #[test]
    fn a_runtime_without_work_ends_before_the_deadline() {
        let runtime = started();
        let since = Instant::now();
        block_on(runtime.shutdown(Duration::from_secs(3600)));
        assert!(since.elapsed() < Duration::from_secs(10));
        let error = block_on(runtime.spawn(async { Ok(()) })).expect_err("there is no runtime any more");
        assert_eq!(error, Error::new(ErrorKind::SHUT_DOWN, "the plugin was shut down"));
    }

    #[test]
    fn a_panic_in_a_task_is_an_error_that_names_its_place() {
        note_panics_in_tests();
        let runtime = started();
        let work = async {
            if true {
                panic!("cannot go on");
            }
            Ok(())
        };
        let line = line!() - 4;
        let error = block_on(runtime.spawn(work)).expect_err("it panics");
        let expected = format!("the plugin panicked in `task` at {}:{line}", file!());
        assert_eq!(error, Error::new(ErrorKind::INTERNAL, expected));
        assert_eq!(block_on(runtime.spawn(async { Ok(7) })), Ok(7));
    }
}
