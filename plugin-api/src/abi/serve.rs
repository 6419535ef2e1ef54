//! The plugin's end: turns an author's [`Provider`] into the functions that cross.
//!
//! In: raw calls from the host. Out: futures and streams whose every poll and destructor is guarded. Everything that
//! crosses to the host keeps the provider alive.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use abi_stable::std_types::{RResult, RStr, RVec};
use abi_stable::{prefix_type::WithMetadata, sabi_trait::TD_Opaque};
use async_ffi::{FfiContext, FfiFuture, FfiPoll, FutureExt};
use futures_core::Stream;

use super::future::Guarded;
use super::guard::{GuardedDrop, Side, caught, caught_drop};
use super::host::Host;
use super::traits::{
    RawHostBox, RawModule, RawModule_Ref, RawPlugin, RawPlugin_TO, RawPluginBox, RawStream, RawStream_TO, RawStreamBox,
};
use super::types::{Payload, RawError, RawEvent};
use super::visit::Module;
use crate::chat::EventStream;
use crate::dispatch::{dispatch_call, dispatch_check, dispatch_open};
use crate::error::Error;
use crate::log_bridge;
use crate::manifest;
use crate::provider::Provider;

/// The module of a plugin that is linked into this program.
pub fn module_of<P: Provider>() -> Module {
    Module::from_raw(raw_module_of::<P>())
}

/// The root of a plugin library, for [`export_plugin!`](crate::export_plugin).
pub fn raw_module_of<P: Provider>() -> RawModule_Ref {
    struct Root<P>(P);
    impl<P: Provider> Root<P> {
        const MODULE: RawModule = RawModule {
            manifest: manifest_of::<P>,
            create: create::<P>,
            check: check::<P>,
        };
        const STATIC: &'static WithMetadata<RawModule> = &WithMetadata::new(Self::MODULE);
    }
    RawModule_Ref(Root::<P>::STATIC.static_as_prefix())
}

extern "C" fn manifest_of<P: Provider>() -> RStr<'static> {
    RStr::from_str(manifest::sealed::<P>())
}

extern "C" fn create<P: Provider>(host: RawHostBox, config: RStr<'_>) -> RResult<RawPluginBox, RawError> {
    let created = caught(Side::Plugin, "create", || {
        let host = Host::from_raw(host);
        log_bridge::install(&host);
        P::create(host, config.as_str())
    });
    match created {
        Ok(Ok(provider)) => {
            let adapter = PluginAdapter {
                provider: GuardedDrop::new(Arc::new(provider)),
                is_shut_down: AtomicBool::new(false),
            };
            RResult::ROk(RawPlugin_TO::from_value(adapter, TD_Opaque))
        }
        Ok(Err(error)) | Err(error) => RResult::RErr(error.into()),
    }
}

extern "C" fn check<P: Provider>(options: Payload) -> RResult<Payload, RawError> {
    match caught(Side::Plugin, "check", || dispatch_check::<P>(&options)) {
        Ok(Ok(problems)) => RResult::ROk(problems),
        Ok(Err(error)) | Err(error) => RResult::RErr(error.into()),
    }
}

struct PluginAdapter<P> {
    provider: GuardedDrop<Arc<P>>,
    is_shut_down: AtomicBool,
}

impl<P> PluginAdapter<P> {
    /// The provider for a call.
    ///
    /// - Errors: `shut_down`.
    fn provider(&self) -> Result<GuardedDrop<Arc<P>>, Error> {
        if self.is_shut_down.load(Ordering::Relaxed) {
            return Err(Error::shut_down());
        }
        Ok(GuardedDrop::new(Arc::clone(&self.provider)))
    }
}

impl<P: Provider> RawPlugin for PluginAdapter<P> {
    fn call(&self, method: RStr<'_>, payload: Payload) -> FfiFuture<RResult<Payload, RawError>> {
        let provider = self.provider();
        let method = method.as_str().to_owned();
        let answer = async move { dispatch_call(&**provider?, &method, payload).await };
        Guarded::new(Side::Plugin, "call", answer).into_ffi()
    }

    fn open(&self, method: RStr<'_>, payload: Payload) -> FfiFuture<RResult<RawStreamBox, RawError>> {
        let provider = self.provider();
        let method = method.as_str().to_owned();
        let opened = async move {
            let provider = provider?;
            let events = dispatch_open(&**provider, &method, payload).await?;
            let adapter = StreamAdapter {
                events: Some(events),
                failure: None,
                _provider: provider,
            };
            Ok(RawStream_TO::from_value(adapter, TD_Opaque))
        };
        Guarded::new(Side::Plugin, "open", opened).into_ffi()
    }

    fn shutdown(&self, deadline_ms: u64) -> FfiFuture<RResult<(), RawError>> {
        self.is_shut_down.store(true, Ordering::Relaxed);
        let provider = GuardedDrop::new(Arc::clone(&self.provider));
        let done = async move {
            provider.shutdown(Duration::from_millis(deadline_ms)).await;
            Ok(())
        };
        Guarded::new(Side::Plugin, "shutdown", done).into_ffi()
    }
}

struct StreamAdapter<P> {
    /// `None` after the end.
    events: Option<EventStream>,
    /// An error that came after events of the same batch. The next poll returns it.
    failure: Option<Error>,
    /// The events may come from something that the provider owns, such as its runtime, so the stream keeps it alive.
    _provider: GuardedDrop<Arc<P>>,
}

impl<P> StreamAdapter<P> {
    fn fill(&mut self, context: &mut FfiContext<'_>, max: u32, out: &mut RVec<RawEvent>) -> Poll<Result<u32, Error>> {
        if let Some(error) = self.failure.take() {
            return Poll::Ready(Err(error));
        }
        let Some(events) = &mut self.events else {
            return Poll::Ready(Ok(0));
        };
        let mut filled = 0;
        let ended = context.with_context(|context| {
            while filled < max && (filled == 0 || events.has_more()) {
                match Pin::new(&mut *events).poll_next(context) {
                    Poll::Pending => return None,
                    Poll::Ready(None) => return Some(None),
                    Poll::Ready(Some(Err(error))) => return Some(Some(error)),
                    Poll::Ready(Some(Ok(event))) => {
                        out.push(event.into());
                        filled += 1;
                    }
                }
            }
            None
        });
        if let Some(failure) = ended {
            self.events = None;
            self.failure = failure;
            if filled == 0 {
                return Poll::Ready(self.failure.take().map_or(Ok(0), Err));
            }
        }
        if filled == 0 {
            Poll::Pending
        } else {
            Poll::Ready(Ok(filled))
        }
    }
}

impl<P: Provider> RawStream for StreamAdapter<P> {
    fn poll_next(
        &mut self,
        context: &mut FfiContext<'_>,
        max: u32,
        out: &mut RVec<RawEvent>,
    ) -> FfiPoll<RResult<u32, RawError>> {
        match caught(Side::Plugin, "poll", || self.fill(context, max.max(1), out)) {
            Ok(Poll::Pending) => FfiPoll::Pending,
            Ok(Poll::Ready(Ok(filled))) => FfiPoll::Ready(RResult::ROk(filled)),
            Ok(Poll::Ready(Err(error))) => FfiPoll::Ready(RResult::RErr(error.into())),
            Err(panicked) => {
                caught_drop(|| self.events = None);
                // Events of this batch from before the panic arrive before its error.
                match u32::try_from(out.len()) {
                    Ok(filled @ 1..) => {
                        self.failure = Some(panicked);
                        FfiPoll::Ready(RResult::ROk(filled))
                    }
                    _ => FfiPoll::Ready(RResult::RErr(panicked.into())),
                }
            }
        }
    }
}

impl<P> Drop for StreamAdapter<P> {
    fn drop(&mut self) {
        caught_drop(|| self.events = None);
    }
}
