//! The side that asks: safe handles on what the other side answers.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use abi_stable::std_types::{RResult, RStr, RVec};
use async_ffi::{ContextExt, FfiPoll};
use futures_core::Stream;

use super::future::Answer;
use super::host::raw_host_of;
use super::traits::{RawModule_Ref, RawPluginBox, RawStreamBox};
use super::types::{Payload, RawEvent};
use crate::chat::ChatEvent;
use crate::error::{Error, ErrorKind};
use crate::services::HostServices;

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
