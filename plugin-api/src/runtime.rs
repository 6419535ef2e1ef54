//! A tokio runtime that a plugin owns, for plugins that do I/O.
//!
//! A plugin carries its own copy of tokio, so the host's runtime cannot drive the plugin's sockets. This one has one
//! thread for sockets, timers and the work around them. A round trip to that thread wakes two threads: spawn one task
//! for a whole request, hand over what arrives in large batches, and parse it on the thread that polls.
//!
//! ```
//! use std::time::Duration;
//! use plugin_api::{ChatReply, ChatRequest, Error, Host, Provider, runtime::Runtime};
//!
//! struct Slow {
//!     runtime: Runtime,
//! }
//!
//! impl Provider for Slow {
//!     const MANIFEST: &'static str = r#"{"id": "slow", "name": "Slow", "version": "1.0.0"}"#;
//!
//!     fn create(_host: Host, _config: &str) -> Result<Self, Error> {
//!         Ok(Self { runtime: Runtime::start("slow")? })
//!     }
//!
//!     async fn chat(&self, _request: ChatRequest) -> Result<ChatReply, Error> {
//!         let work = async {
//!             tokio::time::sleep(Duration::from_secs(1)).await;
//!             Ok(ChatReply { text: "At last.".to_owned(), ..ChatReply::default() })
//!         };
//!         self.runtime.spawn(work).await
//!     }
//!
//!     async fn shutdown(&self, deadline: Duration) {
//!         self.runtime.shutdown(deadline).await;
//!     }
//! }
//! ```

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

/// A tokio runtime with one thread of its own. Keep it in the plugin; dropping it ends its tasks.
pub struct Runtime {
    handle: Handle,
    /// The process that owns the thread. A fork has a copy of this struct but no thread.
    process_id: u32,
    /// `None` after [`Runtime::shutdown`].
    owned: Mutex<Option<Owned>>,
}

/// What it takes to end the runtime.
struct Owned {
    /// Ends it, within the duration that is sent.
    end: oneshot::Sender<Duration>,
    /// Closed when the runtime has ended.
    ended: mpsc::Receiver<()>,
}

impl Runtime {
    /// Starts a runtime whose thread is called `name`.
    ///
    /// - Errors: `internal` if the system provides no thread or no event queue.
    pub fn start(name: &str) -> Result<Self, Error> {
        let failed = |cause| {
            Error::new(
                ErrorKind::INTERNAL,
                format!("cannot start the plugin's runtime: {cause}"),
            )
        };
        // One thread is enough for sockets and timers, and a single-threaded runtime wakes up fastest.
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
            // No limit arrives if the plugin was dropped without a shutdown.
            let limit = runtime.block_on(asked_to_end).unwrap_or(Duration::ZERO);
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

    /// Runs `work` on the runtime's thread. Dropping the task cancels the work.
    ///
    /// - Errors: those of the work; `internal` with the place if it panics; `shut_down` if the runtime ends first;
    ///   `forked` in a process that was forked from the one that started the runtime.
    pub fn spawn<T, F>(&self, work: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        if process::id() != self.process_id {
            return Task { handle: None };
        }
        Task {
            // Guarded on the thread where it runs, because only that thread knows the place of a panic.
            handle: Some(self.handle.spawn(Caught::new(Side::Plugin, "task", work))),
        }
    }

    /// Checks whether new work can start.
    ///
    /// - Errors: `forked` in a process that was forked from the one that started the runtime; `shut_down` after
    ///   [`Runtime::shutdown`].
    /// - Since: 1.1.
    pub fn ready(&self) -> Result<(), Error> {
        if process::id() != self.process_id {
            return Err(forked());
        }
        match &*self.owned.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(_) => Ok(()),
            None => Err(Error::shut_down()),
        }
    }

    /// Cancels all tasks, then waits at most `deadline` for those that block a thread, even the runtime's own.
    ///
    /// Log records that were written on the runtime's thread reach the host before it returns, if time permits.
    pub async fn shutdown(&self, deadline: Duration) {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Owned { end, ended }) = owned else {
            return;
        };
        if end.send(deadline).is_err() {
            return;
        }
        // A task that blocks the runtime's thread also stops its timers, and the executor that polls this may have
        // none. So a thread of its own keeps the time.
        let (over, waited) = oneshot::channel::<()>();
        let begun = Instant::now();
        let watch = move || {
            // Nothing is sent: the channel is closed when the runtime has ended.
            let _ = ended.recv_timeout(deadline);
            log_bridge::flush(deadline.saturating_sub(begun.elapsed()));
            drop(over);
        };
        // Without that thread nothing could end the wait, so there is none.
        if thread::Builder::new().name("shutdown".to_owned()).spawn(watch).is_ok() {
            let _ = waited.await;
        }
    }
}

/// Work on a [`Runtime`]'s thread.
pub struct Task<T> {
    /// `None` if the work could not start because this process is a fork, or if it was detached.
    handle: Option<JoinHandle<Result<T, Error>>>,
}

impl<T> Task<T> {
    /// Lets the work run to its end although nothing waits for it.
    ///
    /// - Since: 1.1.
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
            // Panics are caught inside the task, so the only failure left is the end of the runtime.
            Err(_) => Poll::Ready(Err(Error::shut_down())),
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
        "the process was forked after the plugin started, and the plugin's threads do not exist in the child",
    )
    .with_hint("create the plugin after the fork, in the child")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::record_panics_in_tests;

    fn block_on<T>(work: impl Future<Output = T>) -> T {
        let runtime = Builder::new_current_thread().build().expect("the machine has memory");
        runtime.block_on(work)
    }

    fn started() -> Runtime {
        Runtime::start("test").expect("the machine has threads")
    }

    #[test]
    fn a_task_that_blocks_the_only_thread_does_not_delay_the_shutdown() {
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
            took >= Duration::from_millis(50) && took < Duration::from_secs(60),
            "{took:?}"
        );
        drop(release);
    }

    #[test]
    fn a_runtime_without_work_ends_before_the_deadline() {
        let runtime = started();
        let since = Instant::now();
        block_on(runtime.shutdown(Duration::from_secs(3600)));
        assert!(since.elapsed() < Duration::from_secs(60));
        let error = block_on(runtime.spawn(async { Ok(()) })).expect_err("there is no runtime any more");
        assert_eq!(error, Error::shut_down());
    }

    #[test]
    fn a_panic_in_a_task_becomes_an_error_with_its_place() {
        record_panics_in_tests();
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
