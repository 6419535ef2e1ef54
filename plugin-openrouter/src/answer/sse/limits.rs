//! How large the lines and events of a stream may be.

use std::error::Error;
use std::fmt;

/// The largest sizes that a stream may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest line without its line end, in bytes. An image comes in one.
    pub line_bytes: usize,
    /// Longest data of one event, all its lines together, in bytes.
    pub event_bytes: usize,
}

impl Limits {
    /// One limit for both.
    pub const fn both(limit_bytes: usize) -> Self {
        Self {
            line_bytes: limit_bytes,
            event_bytes: limit_bytes,
        }
    }
}

/// A stream went past one of its [`Limits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// A line is longer than [`Limits::line_bytes`].
    Line {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
    /// The data of one event is longer than [`Limits::event_bytes`].
    Event {
        /// The limit, in bytes.
        limit_bytes: usize,
    },
}

impl fmt::Display for Overflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { limit_bytes } => {
                write!(f, "a line of the event stream is longer than {limit_bytes} bytes")
            }
            Self::Event { limit_bytes } => {
                write!(f, "an event of the stream holds more than {limit_bytes} bytes of data")
            }
        }
    }
}

impl Error for Overflow {}
