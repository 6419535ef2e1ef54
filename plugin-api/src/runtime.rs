//! A tokio runtime that a plugin owns.
//!
//! A plugin carries its own copy of tokio, so the host's runtime cannot drive the plugin's sockets. This one has a thread
//! of its own. Work can be done in two places, and each has its price. [`Runtime::spawn`] does it on the runtime's
//! thread: going there and back wakes two threads, and everything in between wakes none, which suits a request and the
//! wait for its answer. [`Runtime::enter`] does it on the thread that polls, with the runtime's sockets and timers at
//! hand, which suits reading what has already arrived.

use std::future::Future;
use std::panic;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use futures_core::Stream;
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

    /// Wraps a future or a stream so that it is polled and dropped with this runtime entered.
    pub fn enter<T>(&self, inner: T) -> Entered<T> {
        Entered {
            handle: self.handle.clone(),
            inner: Some(Box::pin(inner)),
        }
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

/// A future or stream that runs with a [`Runtime`] entered.
pub struct Entered<T> {
    handle: Handle,
    /// `None` while it is being dropped.
    inner: Option<Pin<Box<T>>>,
}

impl<T> Entered<T> {
    fn parts(&mut self) -> (&Handle, Pin<&mut T>) {
        let inner = self.inner.as_mut().expect("taken by `drop` alone");
        (&self.handle, inner.as_mut())
    }
}

impl<T> Drop for Entered<T> {
    fn drop(&mut self) {
        // What the future holds may want to tell its runtime that it is gone.
        let _entered = self.handle.enter();
        self.inner = None;
    }
}

impl<F: Future> Future for Entered<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let (handle, inner) = self.parts();
        let _entered = handle.enter();
        inner.poll(context)
    }
}

impl<S: Stream> Stream for Entered<S> {
    type Item = S::Item;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<S::Item>> {
        let (handle, inner) = self.parts();
        let _entered = handle.enter();
        inner.poll_next(context)
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
