//! Carries `tracing` events of a plugin to its host.
//!
//! A plugin in a library of its own has its own copy of `tracing`, which nobody listens to. This subscriber does, and
//! asks the host before it formats anything: a disabled level costs one call.

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Map, Value};
use tracing_core::field::{Field, Visit};
use tracing_core::span;
use tracing_core::{Dispatch, Event, Interest, Metadata, Subscriber, dispatcher};

use crate::abi::Host;
use crate::services::Level;

/// Whether this copy of `tracing` belongs to a plugin alone, as it does in a library of its own. A plugin that is linked
/// into its host shares the host's, and needs no bridge.
static IS_OURS: AtomicBool = AtomicBool::new(false);

/// Says that this copy of `tracing` belongs to a plugin alone.
pub fn allow() {
    IS_OURS.store(true, Ordering::Relaxed);
}

/// Makes `host` the listener of this copy of `tracing`, where that is allowed. The first host stays: all instances of a
/// plugin live in one process and so with one log.
pub fn install(host: &Host) {
    if IS_OURS.load(Ordering::Relaxed) && !dispatcher::has_been_set() {
        // Losing a race against another instance is the same as coming second.
        let _ = dispatcher::set_global_default(Dispatch::new(Bridge { host: host.clone() }));
    }
}

struct Bridge {
    host: Host,
}

impl Subscriber for Bridge {
    fn register_callsite(&self, _metadata: &'static Metadata<'static>) -> Interest {
        // The host may change its mind, so nothing is cached.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.host.log_enabled(level_of(metadata), metadata.target())
    }

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let json = Value::Object(fields.others).to_string();
        self.host.log(
            level_of(event.metadata()),
            event.metadata().target(),
            &fields.message,
            &json,
        );
    }

    // Spans are the host's matter: it knows which call it made.
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
