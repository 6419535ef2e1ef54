//! The host's end: safe handles on a plugin's module, its instances and their streams.
//!
//! They know methods by name and payloads only; [`Plugin`](crate::Plugin) adds the vocabulary.

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

/// The most events that one crossing fetches. A crossing costs about as much as an event, so more than a few dozen
/// gains nothing.
const BATCH: u32 = 64;

/// A plugin's code, loaded from a file or linked. It creates instances.
#[derive(Clone, Copy)]
pub struct Module {
    raw: RawModule_Ref,
}

impl Module {
    pub(super) fn from_raw(raw: RawModule_Ref) -> Self {
        Self { raw }
    }

    /// The manifest that the code reports, in its sealed form; see [`Manifest::parse`](crate::Manifest::parse).
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

    /// Calls the method `check`; `None` if the plugin is older than 1.3 and needs an instance for it.
    pub fn check(&self, options: Payload) -> Option<Result<Payload, Error>> {
        let check = self.raw.check()?;
        Some(match check(options) {
            RResult::ROk(problems) => Ok(problems),
            RResult::RErr(error) => Err(error.into()),
        })
    }
}

/// An instance of a plugin.
pub struct Instance {
    raw: RawPluginBox,
}

impl Instance {
    /// Calls a method that answers once. Dropping the future cancels the call.
    pub fn call(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send + use<> {
        Answer {
            inner: self.raw.call(RStr::from_str(method), payload),
            what: "call",
        }
    }

    /// Calls a method that answers with a stream. If it cannot be opened, the future fails.
    pub fn open(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Incoming, Error>> + Send + use<> {
        let opening = Answer {
            inner: self.raw.open(RStr::from_str(method), payload),
            what: "open",
        };
        async move { opening.await.map(Incoming::from_raw) }
    }

    /// Ends the plugin's work, within `deadline`.
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
    /// Events that were fetched but not returned yet, the next one last. Its memory is reused for the next batch.
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
            // Only a peer without guards of its own answers this.
            FfiPoll::Panicked => Err(Error::new(ErrorKind::INTERNAL, "the plugin panicked in `poll`")),
        };
        if matches!(count, Ok(1..)) {
            self.fetched.reverse();
        } else {
            // An error ends the stream, whatever is in the buffer.
            self.fetched.clear();
            self.raw = None;
        }
        Poll::Ready(count)
    }
}

/// Nothing here is pinned in place: the plugin's stream is behind a pointer.
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
