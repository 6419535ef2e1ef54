//! A tokio runtime that a plugin owns.
//!
//! A plugin carries its own copy of tokio, so the host's runtime cannot drive the plugin's sockets. This one has a thread
//! of its own, on which sockets, timers and the work around them live. Going there and back wakes two threads, so a
//! plugin goes there once for a request and its answer's head, and hands over what arrives afterwards in as few
//! pieces as it can; what has arrived is best read on the thread that polls.

use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::error::{Error, ErrorKind};

/// A runtime with a thread of its own that lives as long as the plugin.
pub struct Runtime {
    handle: Handle,
    /// `None` after [`Runtime::shutdown`].
    owned: Mutex<Option<Owned>>,
}

/// What ends the runtime.
struct Owned {
    /// Takes the longest time that the end may take.
    end: oneshot::Sender<Duration>,
    /// Is closed when the runtime has ended.
    ended: oneshot::Receiver<()>,
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
        let (alive, ended) = oneshot::channel();
        let serve = move || {
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
            owned: Mutex::new(Some(Owned { end, ended })),
        })
    }

    /// Does `work` on the runtime's thread. Dropping the task ends the work.
    ///
    /// - Errors: those of the work; `shut_down` if the runtime ends before it.
    pub fn spawn<T, F>(&self, work: F) -> Task<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        Task {
            handle: self.handle.spawn(work),
        }
    }

    /// Whether [`Runtime::shutdown`] was called.
    pub fn is_shut_down(&self) -> bool {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Ends all tasks, and waits for blocking ones until `deadline` at most.
    pub async fn shutdown(&self, deadline: Duration) {
        let owned = self.owned.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(owned) = owned
            && owned.end.send(deadline).is_ok()
        {
            // Nothing is sent: the channel is closed when the runtime has ended.
            let _ = owned.ended.await;
        }
    }
}

/// Work on a [`Runtime`]'s thread.
pub struct Task<T> {
    handle: JoinHandle<Result<T, Error>>,
}

impl<T> Future for Task<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match ready!(Pin::new(&mut self.handle).poll(context)) {
            Ok(result) => Poll::Ready(result),
            Err(ended) => match ended.try_into_panic() {
                // It goes on here, where the boundary turns it into an error of this call.
                Ok(panic) => panic::resume_unwind(panic),
                Err(_) => Poll::Ready(Err(Error::new(ErrorKind::SHUT_DOWN, "the plugin was shut down"))),
            },
        }
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.handle.abort();
    }
}
