//! What a host gives its plugins: a log, and methods by name.

use std::future::{self, Future};
use std::pin::Pin;

use crate::abi::Payload;
use crate::error::Error;

/// A future in a box, for traits that must be used as objects.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// How important a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something failed.
    Error,
    /// Something is likely to fail, or was ignored.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    /// The number that crosses the boundary: 1 for errors to 5 for traces.
    pub fn number(self) -> u32 {
        self as u32 + 1
    }

    /// The level with this number; beyond the known ones, the nearest.
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

/// What a host offers to one plugin. Every function has a default: logs go to the host's `tracing`, methods are
/// unsupported.
pub trait HostServices: Send + Sync + 'static {
    /// The id of the plugin that these services are for; it stands in every record.
    fn plugin(&self) -> &str;

    /// Whether a record of this level would be written.
    fn log_enabled(&self, level: Level, _target: &str) -> bool {
        match level {
            Level::Error => tracing::enabled!(target: "plugin", tracing::Level::ERROR),
            Level::Warn => tracing::enabled!(target: "plugin", tracing::Level::WARN),
            Level::Info => tracing::enabled!(target: "plugin", tracing::Level::INFO),
            Level::Debug => tracing::enabled!(target: "plugin", tracing::Level::DEBUG),
            Level::Trace => tracing::enabled!(target: "plugin", tracing::Level::TRACE),
        }
    }

    /// Writes a record. `fields_json` is an object.
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

    /// Answers a method that the plugin calls.
    fn call<'a>(&'a self, method: &'a str, _payload: Payload) -> BoxFuture<'a, Result<Payload, Error>> {
        Box::pin(future::ready(Err(Error::unsupported(method))))
    }
}

/// The services of a host that offers its log alone.
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
