//! Host services that record what a plugin does with them.

use std::future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plugin_api::{BoxFuture, Error, HostServices, Level, LogOnly, Payload};

use crate::canary::is_traced;

/// One line of a plugin's log, as it reached the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its level.
    pub level: Level,
    /// The place in the plugin that it comes from.
    pub target: String,
    /// Its message.
    pub message: String,
    /// Its fields, a JSON object.
    pub fields_json: String,
}

/// A function of the host that a plugin calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Callback {
    /// [`HostServices::log_enabled`].
    LogEnabled,
    /// [`HostServices::log`].
    Log,
    /// [`HostServices::call`], before it returns a future.
    Call,
    /// The future of [`HostServices::call`], when it is polled.
    CallPolled,
    /// The destructor of a future of [`HostServices::call`] that is never ready.
    CallDropped,
}

/// Services that keep every record and answer every call; see [`recorder`].
pub struct Recorder {
    level: Level,
    panics_in: Option<Callback>,
    n_log_enabled: AtomicUsize,
    records: Mutex<Vec<Record>>,
    calls: Mutex<Vec<String>>,
}

/// Services that want records of every level, and answer each call with its method and its JSON.
pub fn recorder() -> Recorder {
    Recorder {
        level: Level::Trace,
        panics_in: None,
        n_log_enabled: AtomicUsize::new(0),
        records: Mutex::default(),
        calls: Mutex::default(),
    }
}

impl Recorder {
    /// Wants no records beyond `level`.
    pub fn up_to(mut self, level: Level) -> Self {
        self.level = level;
        self
    }

    /// Panics whenever this function is called.
    pub fn panicking_in(mut self, callback: Callback) -> Self {
        self.panics_in = Some(callback);
        self
    }

    /// In the form that a plugin takes.
    pub fn shared(self) -> Arc<Self> {
        Arc::new(self)
    }

    /// The log so far.
    pub fn records(&self) -> Vec<Record> {
        lock(&self.records).clone()
    }

    /// How often the plugin has asked whether a level is enabled.
    pub fn n_log_enabled(&self) -> usize {
        self.n_log_enabled.load(Ordering::SeqCst)
    }

    /// The methods called so far.
    pub fn calls(&self) -> Vec<String> {
        lock(&self.calls).clone()
    }

    fn maybe_panic(&self, callback: Callback) {
        assert!(
            self.panics_in != Some(callback),
            "the host was told to panic in {callback:?}"
        );
    }
}

/// Panics when it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("the host was told to panic in {:?}", Callback::CallDropped);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HostServices for Recorder {
    fn plugin(&self) -> &str {
        "recorded"
    }

    fn log_enabled(&self, level: Level, _target: &str) -> bool {
        self.n_log_enabled.fetch_add(1, Ordering::SeqCst);
        self.maybe_panic(Callback::LogEnabled);
        level <= self.level
    }

    fn log(&self, level: Level, target: &str, message: &str, fields_json: &str) {
        self.maybe_panic(Callback::Log);
        if is_traced() {
            LogOnly::new(self.plugin()).log(level, target, message, fields_json);
        }
        lock(&self.records).push(Record {
            level,
            target: target.to_owned(),
            message: message.to_owned(),
            fields_json: fields_json.to_owned(),
        });
    }

    fn call<'a>(&'a self, method: &'a str, payload: Payload) -> BoxFuture<'a, Result<Payload, Error>> {
        self.maybe_panic(Callback::Call);
        lock(&self.calls).push(method.to_owned());
        if self.panics_in == Some(Callback::CallDropped) {
            let sore = PanicsOnDrop;
            return Box::pin(async move {
                let _sore = sore;
                future::pending().await
            });
        }
        Box::pin(async move {
            self.maybe_panic(Callback::CallPolled);
            Ok(Payload::from_json(format!("{{\"{method}\":{}}}", payload.json())))
        })
    }
}
