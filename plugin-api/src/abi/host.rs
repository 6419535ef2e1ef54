//! Both ends of a host's services: the object that the host hands over, and the [`Host`] that the plugin holds.
//!
//! A panic in the services stays on the host's side: it becomes an error of the plugin's call, or a lost log record.

use std::future::Future;
use std::sync::Arc;

use abi_stable::sabi_trait::TD_Opaque;
use abi_stable::std_types::{RResult, RStr};
use async_ffi::{FfiFuture, FutureExt};

use super::future::{Answer, Guarded};
use super::guard::{GuardedDrop, Side, caught, caught_drop};
use super::traits::{RawHost, RawHost_TO, RawHostBox};
use super::types::{Payload, RawError};
use crate::error::Error;
use crate::services::{HostServices, Level};

/// Turns a host's services into the object that crosses.
pub fn raw_host_of(services: Arc<dyn HostServices>) -> RawHostBox {
    RawHost_TO::from_value(HostAdapter(GuardedDrop::new(services)), TD_Opaque)
}

struct HostAdapter(GuardedDrop<Arc<dyn HostServices>>);

impl RawHost for HostAdapter {
    fn log_enabled(&self, level: u32, target: RStr<'_>) -> bool {
        caught(Side::Host, "log_enabled", || {
            self.0.log_enabled(Level::from_number(level), target.as_str())
        })
        .unwrap_or(false)
    }

    fn log(&self, level: u32, target: RStr<'_>, message: RStr<'_>, fields_json: RStr<'_>) {
        caught_drop(|| {
            self.0.log(
                Level::from_number(level),
                target.as_str(),
                message.as_str(),
                fields_json.as_str(),
            );
        });
    }

    fn call(&self, method: RStr<'_>, payload: Payload) -> FfiFuture<RResult<Payload, RawError>> {
        let services = GuardedDrop::new(Arc::clone(&self.0));
        let method = method.as_str().to_owned();
        let answer = async move { services.call(&method, payload).await };
        Guarded::new(Side::Host, "call", answer).into_ffi()
    }
}

/// A plugin's handle on its host: the host's log, and methods by name.
///
/// Clones share it. A panic in the host becomes an error of the call.
#[derive(Clone)]
pub struct Host {
    raw: Arc<RawHostBox>,
}

impl Host {
    pub(super) fn from_raw(raw: RawHostBox) -> Self {
        Self { raw: Arc::new(raw) }
    }

    /// Whether the host would write a record of this level. Cheap: one call, no allocation.
    pub fn log_enabled(&self, level: Level, target: &str) -> bool {
        self.raw.log_enabled(level.number(), RStr::from_str(target))
    }

    /// Writes a record to the host's log. Prefer the macros of `tracing`, whose events end up here too.
    ///
    /// - In: `target`, the module path; `fields_json`, the structured fields as a JSON object.
    pub fn log(&self, level: Level, target: &str, message: &str, fields_json: &str) {
        self.raw.log(
            level.number(),
            RStr::from_str(target),
            RStr::from_str(message),
            RStr::from_str(fields_json),
        );
    }

    /// Calls a method of the host. Dropping the future cancels the call.
    ///
    /// - Errors: the host's; `unsupported` if it has no such method.
    pub fn call(&self, method: &str, payload: Payload) -> impl Future<Output = Result<Payload, Error>> + Send + use<> {
        Answer {
            inner: self.raw.call(RStr::from_str(method), payload),
            what: "call",
        }
    }
}
