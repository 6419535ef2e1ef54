//! Carries a plugin's `tracing` events to its host's log.
//!
//! A plugin in a library of its own has its own copy of `tracing`, without a subscriber. This is that subscriber. It
//! asks the host before it formats anything, so a disabled level costs one call. Records from the thread that serves
//! all calls reach the host through a queue and a thread of their own, so a log that blocks delays no call.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;
use std::time::Duration;

use serde_json::{Map, Value};
use tracing_core::field::{Field, Visit};
use tracing_core::span;
use tracing_core::{Dispatch, Event, Interest, Metadata, Subscriber, dispatcher};

use crate::abi::Host;
use crate::services::Level;

/// Whether this copy of `tracing` belongs to a plugin alone, as in a library of its own. A plugin that is linked into
/// its host shares the host's copy and needs no bridge.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// The most records that wait for a slow log. Further ones are dropped and counted.
const MAX_WAITING: usize = 1024;

thread_local! {
    static SERVES_ALL: Cell<bool> = const { Cell::new(false) };
}

/// The queue for threads that must not wait for the host's log; `None` inside if it could not start.
static QUEUE: OnceLock<Option<SyncSender<Queued>>> = OnceLock::new();

/// Records that were dropped because the queue was full.
static N_LOST: AtomicU64 = AtomicU64::new(0);

enum Queued {
    Record(Record),
    /// Dropped once everything before it is written.
    Flush(Sender<()>),
}

struct Record {
    level: Level,
    target: &'static str,
    message: String,
    fields_json: String,
}

/// Marks this thread as one that serves all calls and must not wait for the log.
#[cfg_attr(
    not(feature = "runtime"),
    expect(dead_code, reason = "only a runtime has such a thread")
)]
pub fn never_wait_here() {
    SERVES_ALL.set(true);
}

/// Waits until the queued records have reached the host, at most for `limit`.
#[cfg_attr(
    not(feature = "runtime"),
    expect(dead_code, reason = "only a runtime has such a thread")
)]
pub fn flush(limit: Duration) {
    if let Some(Some(queue)) = QUEUE.get() {
        let (written, is_written) = mpsc::channel();
        if queue.try_send(Queued::Flush(written)).is_ok() {
            // In time or not, there is nothing else to do.
            let _ = is_written.recv_timeout(limit);
        }
    }
}

/// Writes queued records to the host's log, one after the other.
fn write_all(host: &Host, queue: &Receiver<Queued>) {
    for queued in queue {
        match queued {
            Queued::Record(record) => record.write(host),
            Queued::Flush(written) => drop(written),
        }
        let n_lost = N_LOST.swap(0, Ordering::Relaxed);
        if n_lost > 0 {
            let message = format!("{n_lost} records of the plugin were dropped because this log was blocked");
            host.log(Level::Warn, module_path!(), &message, "{}");
        }
    }
}

impl Record {
    fn write(&self, host: &Host) {
        host.log(self.level, self.target, &self.message, &self.fields_json);
    }
}

/// Starts the queue if necessary; `None` if the system provides no thread for it.
fn queue(host: &Host) -> Option<&'static SyncSender<Queued>> {
    let start = || {
        let (sender, receiver) = mpsc::sync_channel(MAX_WAITING);
        let host = host.clone();
        let serve = move || write_all(&host, &receiver);
        let started = thread::Builder::new().name("log".to_owned()).spawn(serve);
        started.ok().map(|_| sender)
    };
    QUEUE.get_or_init(start).as_ref()
}

/// Records that this copy of `tracing` belongs to a plugin alone.
pub fn allow() {
    IS_OURS.store(true, Ordering::Relaxed);
}

/// Sends the events of this copy of `tracing` to `host`, if [`allow`] was called. The first host stays for good: all
/// instances of a plugin live in one process and share its log.
pub fn install(host: &Host) {
    if IS_OURS.load(Ordering::Relaxed) && !dispatcher::has_been_set() {
        // Another instance may win the race; then its host stays.
        let _ = dispatcher::set_global_default(Dispatch::new(Bridge { host: host.clone() }));
    }
}

struct Bridge {
    host: Host,
}

impl Subscriber for Bridge {
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        // The host may change its log levels at any time, so nothing is cached.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.host.log_enabled(level_of(metadata), metadata.target())
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let record = Record {
            level: level_of(event.metadata()),
            target: event.metadata().target(),
            message: fields.message,
            fields_json: Value::Object(fields.others).to_string(),
        };
        if !SERVES_ALL.get() {
            return record.write(&self.host);
        }
        let is_queued = queue(&self.host).is_some_and(|queue| queue.try_send(Queued::Record(record)).is_ok());
        if !is_queued {
            N_LOST.fetch_add(1, Ordering::Relaxed);
        }
    }

    // Spans do not cross: the host knows which call it made.
    fn new_span(&self, _span: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _span: &span::Id, _values: &span::Record<'_>) {}

    fn record_follows_from(&self, _span: &span::Id, _follows: &span::Id) {}

    fn enter(&self, _span: &span::Id) {}

    fn exit(&self, _span: &span::Id) {}
}

fn level_of(metadata: &Metadata<'_>) -> Level {
    match *metadata.level() {
        tracing_core::Level::ERROR => Level::Error,
        tracing_core::Level::WARN => Level::Warn,
        tracing_core::Level::INFO => Level::Info,
        tracing_core::Level::DEBUG => Level::Debug,
        tracing_core::Level::TRACE => Level::Trace,
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Fields {
    fn add(&mut self, field: &Field, value: Value) {
        self.others.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a String cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.add(field, Value::String(format!("{value:?}")));
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, Value::from(value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, Value::from(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field, Value::from(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, Value::from(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, Value::from(value));
    }
}
