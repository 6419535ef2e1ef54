//! A tokio runtime that a plugin owns.
//!
//! A plugin carries its own copy of tokio, so the host's runtime cannot drive the plugin's sockets. The plugin's futures
//! are polled on the host's thread with this runtime *entered*: sockets and timers belong to the runtime's worker,
//! while the work itself needs no hop to another thread.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use tokio::runtime::{Builder, Handle};

use crate::error::{Error, ErrorKind};

/// A runtime with one worker that lives as long as the plugin.
pub struct Runtime {
    handle: Handle,
    owned: Mutex<Option<tokio::runtime::Runtime>>,
}

impl Runtime {
    /// Starts a runtime whose threads carry `name`.
    ///
    /// - Errors: `internal` if the system gives no thread or no event queue.
    pub fn start(name: &str) -> Result<Self, Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(name)
            .enable_all()
            .build()
            .map_err(|cause| {
                Error::new(
                    ErrorKind::INTERNAL,
                    format!("the plugin's runtime could not start: {cause}"),
                )
            })?;
        Ok(Self {
            handle: runtime.handle().clone(),
            owned: Mutex::new(Some(runtime)),
        })
    }

    /// Wraps a future or a stream so that it is polled and dropped with this runtime entered.
    pub fn enter<T>(&self, inner: T) -> Entered<T> {
        Entered {
            handle: self.handle.clone(),
            inner: Some(Box::pin(inner)),
        }
    }

    /// Whether [`Runtime::shutdown`] was called.
    pub fn is_shut_down(&self) -> bool {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Ends all tasks, and waits for blocking ones until `deadline` at most.
    pub async fn shutdown(&self, deadline: Duration) {
        let runtime = self.owned.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(runtime) = runtime else { return };
        let (done, ended) = tokio::sync::oneshot::channel::<()>();
        // The wait blocks, so it has a thread of its own. If none is to be had, the runtime is left to end by itself.
        let waiting = std::thread::Builder::new()
            .name("plugin-shutdown".to_owned())
            .spawn(move || {
                runtime.shutdown_timeout(deadline);
                drop(done);
            });
        if waiting.is_ok() {
            let _ = ended.await;
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(runtime) = self.owned.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            // Never blocks: the host may drop the plugin on a thread that must not wait.
            runtime.shutdown_background();
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
