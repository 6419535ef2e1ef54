//! One request while it runs. When the record is dropped, the request has ended, and counters, log and traces get it.
//!
//! Nobody has to report an end: a record that is dropped before its outcome is known belongs to a client that went
//! away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Instant, SystemTime};

use hyper::{Method, StatusCode};
use plugin_api::{Done, Error};

use super::ended::{Ended, Outcome};
use super::metrics::Metrics;
#[cfg(feature = "otel")]
use super::otel::{Otel, Traced};
use super::requests_log::RequestLog;
use crate::history::Open;

/// Where records go.
pub struct Telemetry {
    pub metrics: Metrics,
    pub log: Option<RequestLog>,
    #[cfg(feature = "otel")]
    pub otel: Option<Otel>,
}

impl Telemetry {
    pub fn new(log: Option<RequestLog>) -> Self {
        Self {
            metrics: Metrics::new(),
            log,
            #[cfg(feature = "otel")]
            otel: None,
        }
    }
}

/// A request, and what is known of it so far.
pub struct Record {
    telemetry: Arc<Telemetry>,
    begun: Instant,
    ended: Ended,
    /// Its row in the ledger, if it asks a model.
    row: Option<Open>,
    /// What only a trace needs, where there is one.
    #[cfg(feature = "otel")]
    traced: Option<Box<Traced>>,
}

impl Record {
    pub fn begin(telemetry: Arc<Telemetry>, route: &'static str, method: &Method, path: &str) -> Self {
        telemetry.metrics.in_flight.inc();
        let path = if telemetry.log.is_some() { path } else { "" };
        Self {
            telemetry,
            begun: Instant::now(),
            ended: Ended {
                id: next_id(),
                route,
                method: method.clone(),
                path: path.to_owned(),
                ..Ended::default()
            },
            row: None,
            #[cfg(feature = "otel")]
            traced: None,
        }
    }

    /// The request's name in the log and in its answer's headers.
    pub fn id(&self) -> &str {
        &self.ended.id
    }

    /// Notes who answers, what is asked and from whose trace; nothing where nobody collects traces.
    #[cfg(feature = "otel")]
    pub fn trace(&mut self, plugin: &str, parts: &hyper::http::request::Parts) {
        if self.telemetry.otel.is_some() {
            let traced = Traced::new(plugin, self.ended.route, &parts.method, &parts.uri, &parts.headers);
            self.traced = Some(Box::new(traced));
        }
    }

    /// Notes whether the answer is to be streamed.
    #[cfg(feature = "otel")]
    pub fn wants_stream(&mut self, wants_stream: bool) {
        if let Some(traced) = &mut self.traced {
            traced.wants_stream = Some(wants_stream);
        }
    }

    /// The request asks a model.
    pub fn asks(&mut self, row: Open) {
        self.row = Some(row);
    }

    /// The answer was there already, so that no model is asked.
    pub fn was_kept(&mut self) {
        self.row.iter_mut().for_each(Open::forget);
    }

    /// A stream with this status begins.
    pub fn streams(&mut self, status: StatusCode) {
        self.ended.status = Some(status);
    }

    /// A piece of the answer goes out.
    pub fn piece(&mut self) {
        if self.ended.first_token.is_none() {
            self.ended.first_token = Some(self.begun.elapsed());
            self.row.iter_mut().for_each(Open::piece);
        }
    }

    /// The answer is complete.
    pub fn complete(&mut self, done: Box<Done>) {
        self.ended.outcome = Outcome::Ok;
        self.row.iter_mut().for_each(|row| row.complete(&done));
        self.ended.done = Some(done);
    }

    /// The answer broke off.
    pub fn broke_off(&mut self, error: &Error) {
        self.ended.outcome = Outcome::Interrupted;
        self.failed(error);
    }

    /// The answer is an error.
    pub fn failed(&mut self, error: &Error) {
        self.row.iter_mut().for_each(|row| row.failed(error));
        self.ended.failed_attempts.clone_from(&error.details.attempts);
        self.ended.failure = Some((error.kind.code(), error.details.model.clone()));
        #[cfg(feature = "otel")]
        if let Some(traced) = &mut self.traced {
            traced.failed(error);
        }
    }

    /// A whole answer with this status goes out.
    pub fn answered(&mut self, status: StatusCode) {
        self.ended.status = Some(status);
        self.ended.outcome = match status.as_u16() {
            ..400 => Outcome::Ok,
            400..500 => Outcome::Refused,
            _ => Outcome::Failed,
        };
        if self.ended.outcome != Outcome::Ok {
            self.row.iter_mut().for_each(Open::refused);
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.ended.elapsed = self.begun.elapsed();
        self.telemetry.metrics.in_flight.dec();
        self.telemetry.metrics.count(&self.ended);
        if let Some(log) = &self.telemetry.log {
            log.write(&self.ended);
        }
        #[cfg(feature = "otel")]
        if let (Some(otel), Some(traced)) = (&self.telemetry.otel, &self.traced) {
            otel.take(&self.ended, traced);
        }
    }
}

/// A name for a request that no other request of this machine has.
fn next_id() -> String {
    static STARTED: OnceLock<u128> = OnceLock::new();
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let started = STARTED.get_or_init(|| {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        since.map_or(0, |since| since.as_nanos())
    });
    let n = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("req-{:x}-{:x}-{n}", std::process::id(), started & 0xffff_ffff)
}
