//! One request from its beginning to its end, for the counters and the request log.
//!
//! A record that is dropped before anybody said how the request ended belongs to a client that went away.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use hyper::{Method, StatusCode};
use plugin_api::{Attempt, Done, Error};

use super::metrics::Metrics;
#[cfg(feature = "otel")]
use super::otel::{Otel, Traced};
use super::requests_log::RequestLog;

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

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    /// The caller's request could not be served.
    Refused,
    /// There was no answer.
    Failed,
    /// The answer broke off.
    Interrupted,
    /// The client went away.
    Left,
}

impl Outcome {
    /// The stable word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Left => "client_left",
        }
    }
}

/// A name for a request that no other one of this machine has, as far as anybody can tell.
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

/// A request, and what is known of it.
pub struct Record {
    telemetry: Arc<Telemetry>,
    /// What the request is called in the log and in its answer's headers.
    pub id: String,
    pub route: &'static str,
    pub method: Method,
    /// Without its query; empty where nobody keeps a log.
    pub path: String,
    begun: Instant,
    pub status: Option<StatusCode>,
    outcome: Option<Outcome>,
    pub first_token: Option<Duration>,
    pub done: Option<Box<Done>>,
    /// The attempts of a request that failed.
    failed_attempts: Vec<Attempt>,
    /// What went wrong, as a stable word, and the model that was asked, where there is an error.
    pub failure: Option<(&'static str, Option<String>)>,
    /// What only a trace needs, where there is one.
    #[cfg(feature = "otel")]
    traced: Option<Box<Traced>>,
}

impl Record {
    pub fn begin(telemetry: Arc<Telemetry>, route: &'static str, method: &Method, path: &str) -> Self {
        telemetry.metrics.in_flight.inc();
        let path = if telemetry.log.is_some() { path } else { "" };
        Self {
            route,
            method: method.clone(),
            path: path.to_owned(),
            begun: Instant::now(),
            status: None,
            outcome: None,
            first_token: None,
            done: None,
            failed_attempts: Vec::new(),
            failure: None,
            id: next_id(),
            #[cfg(feature = "otel")]
            traced: None,
            telemetry,
        }
    }

    /// Who answers, what is asked and from whose trace; nothing is kept of it where nobody collects traces.
    #[cfg(feature = "otel")]
    pub fn trace(&mut self, plugin: &str, parts: &hyper::http::request::Parts) {
        if self.telemetry.otel.is_some() {
            let traced = Traced::new(plugin, self.route, &parts.method, &parts.uri, &parts.headers);
            self.traced = Some(Box::new(traced));
        }
    }

    /// Whether an answer in pieces is wanted.
    #[cfg(feature = "otel")]
    pub fn wants_stream(&mut self, wants_stream: bool) {
        if let Some(traced) = &mut self.traced {
            traced.wants_stream = Some(wants_stream);
        }
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The first piece of an answer was seen.
    pub fn piece(&mut self) {
        if self.first_token.is_none() {
            self.first_token = Some(self.begun.elapsed());
        }
    }

    /// The answer is complete.
    pub fn complete(&mut self, done: Box<Done>) {
        self.outcome = Some(Outcome::Ok);
        self.done = Some(done);
    }

    /// The answer broke off.
    pub fn broke_off(&mut self, error: &Error) {
        self.outcome = Some(Outcome::Interrupted);
        self.failed(error);
    }

    /// There is no answer but an error.
    pub fn failed(&mut self, error: &Error) {
        self.failed_attempts.clone_from(&error.details.attempts);
        self.failure = Some((error.kind.code(), error.details.model.clone()));
        #[cfg(feature = "otel")]
        if let Some(traced) = &mut self.traced {
            traced.failed(error);
        }
    }

    /// A whole answer with this status goes out.
    pub fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
        self.outcome = Some(match status.as_u16() {
            ..400 => Outcome::Ok,
            400..500 => Outcome::Refused,
            _ => Outcome::Failed,
        });
    }

    pub fn outcome(&self) -> Outcome {
        self.outcome.unwrap_or(Outcome::Left)
    }

    /// Every attempt that was made, where there was more than one.
    pub fn attempts(&self) -> &[Attempt] {
        match &self.done {
            Some(done) => &done.attempts,
            None => &self.failed_attempts,
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let telemetry = Arc::clone(&self.telemetry);
        telemetry.metrics.in_flight.dec();
        telemetry.metrics.count(self);
        if let Some(log) = &telemetry.log {
            log.write(self);
        }
        #[cfg(feature = "otel")]
        if let (Some(otel), Some(traced)) = (&telemetry.otel, &self.traced) {
            otel.take(self, traced);
        }
    }
}
