//! What a host offers its plugins: a log, and methods by name.

use std::future::{self, Future};
use std::pin::Pin;

use crate::abi::Payload;
use crate::error::Error;

/// A boxed future, for traits that are used as trait objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How important a log record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is likely to fail, or was ignored.
    Warn,
    /// For operators.
    Info,
    /// For developers.
    Debug,
    /// For developers in search of a bug: everything.
    Trace,
}

impl Level {
    /// The number that crosses the boundary, from 1 for errors to 5 for traces.
    pub fn number(self) -> u32 {
        self as u32 + 1
    }

    /// The level with this number, or the nearest one if there is none.
    pub fn from_number(number: u32) -> Self {
        match number {
            0 | 1 => Self::Error,
            2 => Self::Warn,
            3 => Self::Info,
            4 => Self::Debug,
            _ => Self::Trace,
        }
    }
}

/// What a host offers to one plugin.
///
/// Only [`plugin`](Self::plugin) must be implemented: by default records go to the host's `tracing` under the target
/// `plugin`, and [`call`](Self::call) fails with `unsupported`. [`LogOnly`] is that default. A panic in here becomes
/// an error of the plugin's call.
pub trait HostServices: Send + Sync + 'static {
    /// The id of the plugin that these services are for. Every log record carries it.
    fn plugin(&self) -> &str;

    /// Whether a record of this level would be written. Called before a plugin formats anything, so keep it cheap.
    fn log_enabled(&self, level: Level, _target: &str) -> bool {
        match level {
            Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
            Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        }
    }

    /// Writes a record.
    ///
    /// - In: `target`, the module path in the plugin; `fields_json`, the structured fields as a JSON object.
    fn log(&self, level: Level, target: &str, message: &str, fields_json: &str) {
        macro_rules! write {
            ($level:ident) => {
                tracing::event!(
                    target: "plugin",
                    tracing::Level::$level,
                    plugin = self.plugin(),
                    source = target,
                    fields = fields_json,
                    "{message}"
                )
            };
        }
        match level {
            Level::Error => write!(ERROR),
            Level::Warn => write!(WARN),
            Level::Info => write!(INFO),
            Level::Debug => write!(DEBUG),
            Level::Trace => write!(TRACE),
        }
    }

    /// Answers a method that the plugin calls with [`Host::call`](crate::Host::call).
    ///
    /// - Errors: `unsupported` for a method that this host does not have.
    fn call<'a>(&'a self, method: &'a str, _payload: Payload) -> BoxFuture<'a, Result<Payload, Error>> {
        Box::pin(future::ready(Err(Error::unsupported(method))))
    }
}

/// The services of a host that offers nothing but its log.
pub struct LogOnly {
    plugin: String,
}

impl LogOnly {
    /// Services for the plugin with this id.
    pub fn new(plugin: impl Into<String>) -> Self {
        Self { plugin: plugin.into() }
    }
}

impl HostServices for LogOnly {
    fn plugin(&self) -> &str {
        &self.plugin
    }
}
