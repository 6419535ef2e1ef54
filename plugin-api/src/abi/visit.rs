//! The side that asks: safe handles on what the other side answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use abi_stable::std_types::{RResult, RStr, RVec};
use async_ffi::{ContextExt, FfiFuture, FfiPoll};
use futures_core::Stream;

use super::guard::{Side, caught};
use super::serve::raw_host_of;
use super::traits::{RawHostBox, RawModule_Ref, RawPluginBox, RawStreamBox};
use super::types::{ErrorKind, Payload, RawError, RawEvent};
use crate::chat::ChatEvent;
use crate::error::Error;
use crate::services::{HostServices, Level};

/// Events fetched with one crossing, at most. One crossing costs about as much as one event, so beyond a few dozen
/// there is nothing left to gain.
const BATCH: u32 = 64;

/// A plugin's code, loaded from a file or linked; it makes instances.
#[derive(Clone, Copy)]
pub struct Module {
    raw: RawModule_Ref,
}

impl Module {
    pub(super) fn from_raw(raw: RawModule_Ref) -> Self {
        Self { raw }
    }

    /// The manifest as the code tells it, in its sealed form (see [`crate::Manifest::parse`]).
    pub fn manifest_text(&self) -> &'static str {
        (self.raw.manifest())().as_str()
    }

    /// Creates an instance of the plugin.
    pub fn create(&self, services: Arc<dyn HostServices>, config: &str) -> Result<Instance, Error> {
        match (self.raw.create())(raw_host_of(services), RStr::from_str(config)) {
            RResult::ROk(raw) => Ok(Instance { raw }),
            RResult::RErr(error) => Err(error.into()),
        }
    }
}

/// A future of the other side as an ordinary one.
struct Answer<T> {
    inner: FfiFuture<RResult<T, RawError>>,
    what: &'static str,
}

impl<T> Future for Answer<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // async-ffi turns a panic that its peer reports into a panic here; the peer's guard makes that impossible
        // for plugins built with this crate, and this one holds for others.
        let what = self.what;
        match caught(Side::Plugin, what, || Pin::new(&mut self.inner).poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(RResult::ROk(value))) => Poll::Ready(Ok(value)),
            Ok(Poll::Ready(RResult::RErr(error))) => Poll::Ready(Err(error.into())),
            Err(panicked) => Poll::Ready(Err(panicked)),
        }
    }
}

/// An instance of a plugin, as raw methods; [`crate::Plugin`] adds the vocabulary.
pub struct Instance {
    raw: RawPluginBox,
}

impl Instance {
    /// Calls a method that answers once. Dropping the future cancels the work.
    pub fn call(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send + use<> {
        Answer {
            inner: self.raw.call(RStr::from_str(method), payload),
            what: "call",
        }
    }

    /// Calls a method that answers with a stream. Errors of opening come from the future, not from the stream.
    pub fn open(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Incoming, Error>> + Send + use<> {
        let opening = Answer {
            inner: self.raw.open(RStr::from_str(method), payload),
            what: "open",
        };
        async move { opening.await.map(Incoming::from_raw) }
    }

    /// Ends the plugin's work, at the latest after `deadline`.
    pub fn shutdown(&self, deadline: Duration) -> impl Future<Output = Result<(), Error>> + Send + use<> {
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        Answer {
            inner: self.raw.shutdown(deadline_ms),
            what: "shutdown",
        }
    }
}

/// The events of one call, fetched in batches. Dropping it cancels the call.
pub struct Incoming {
    /// `None` after the end.
    raw: Option<RawStreamBox>,
    /// What was fetched and not yet asked for, the next one last. It keeps its memory from one batch to the next.
    fetched: RVec<RawEvent>,
}

impl Incoming {
    fn from_raw(raw: RawStreamBox) -> Self {
        Self {
            raw: Some(raw),
            fetched: RVec::new(),
        }
    }

    fn poll_fetch(&mut self, context: &mut Context<'_>) -> Poll<Result<u32, Error>> {
        let Some(raw) = &mut self.raw else {
            return Poll::Ready(Ok(0));
        };
        let fetched = &mut self.fetched;
        let polled = context.with_ffi_context(|context| raw.poll_next(context, BATCH, fetched));
        let count = match polled {
            FfiPoll::Pending => return Poll::Pending,
            FfiPoll::Ready(RResult::ROk(count)) => Ok(count),
            FfiPoll::Ready(RResult::RErr(error)) => Err(error.into()),
            // Only a peer whose own guards are missing answers so.
            FfiPoll::Panicked => Err(Error::new(ErrorKind::INTERNAL, "the plugin panicked in `poll`")),
        };
        if matches!(count, Ok(1..)) {
            self.fetched.reverse();
        } else {
            // After an error there is nothing, whatever stands in the buffer.
            self.fetched.clear();
            self.raw = None;
        }
        Poll::Ready(count)
    }
}

/// Nothing here is pinned in place: the plugin's stream stands behind a pointer.
impl Unpin for Incoming {}

impl Stream for Incoming {
    type Item = Result<ChatEvent, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(event) = self.fetched.pop() {
                return Poll::Ready(Some(ChatEvent::try_from(event)));
            }
            match ready!(self.poll_fetch(context)) {
                Ok(0) => return Poll::Ready(None),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

/// What the host offers to a plugin: its log, and methods by name.
#[derive(Clone)]
pub struct Host {
    raw: Arc<RawHostBox>,
}

impl Host {
    pub(super) fn from_raw(raw: RawHostBox) -> Self {
        Self { raw: Arc::new(raw) }
    }

    /// Whether the host wants records of this level. One call, no allocation.
    pub fn log_enabled(&self, level: Level, target: &str) -> bool {
        self.raw.log_enabled(level.number(), RStr::from_str(target))
    }

    /// Writes a record to the host's log. Prefer `tracing`'s macros, which end here.
    pub fn log(&self, level: Level, target: &str, message: &str, fields_json: &str) {
        self.raw.log(
            level.number(),
            RStr::from_str(target),
            RStr::from_str(message),
            RStr::from_str(fields_json),
        );
    }

    /// Calls a method of the host. A host that has no such method answers `unsupported`.
    pub fn call(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send + use<> {
        Answer {
            inner: self.raw.call(RStr::from_str(method), payload),
            what: "call",
        }
    }
}
