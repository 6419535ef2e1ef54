//! The values that cross the boundary. Their layout is frozen within a major version.
//!
//! Text and bytes keep the allocator of the side that made them, and the other side reads them in place. Turning them
//! into a `String` or a `Vec` would copy, so the types offer slices.

use std::fmt;
use std::ops::Deref;

use abi_stable::StableAbi;
use abi_stable::std_types::{ROption, RString, RVec};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Text that the other side may have allocated. It derefs to `&str` without a copy.
#[repr(transparent)]
#[derive(StableAbi, Clone, PartialEq, Eq, Default)]
pub struct Text(RString);

impl Text {
    /// The text, without a copy.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Deref for Text {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.as_str()
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(RString::from(text))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(RString::from(text))
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Text {
    /// Prints the size only: the content may be part of a conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({} bytes)", self.len())
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

/// Bytes that the other side may have allocated. They deref to `&[u8]` without a copy.
///
/// Since: 1.2.
#[repr(transparent)]
#[derive(StableAbi, Clone, PartialEq, Eq, Default)]
pub struct Blob(pub(super) RVec<u8>);

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(RVec::from(bytes))
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Self {
        Self(RVec::from(bytes))
    }
}

impl fmt::Debug for Blob {
    /// Prints the size only: the content may be part of a conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.len())
    }
}

/// A request or an answer as it crosses: JSON, and blobs that the JSON refers to as `{"$blob": INDEX}`.
///
/// Blobs carry images and audio without base64 and without a copy.
#[repr(C)]
#[derive(StableAbi, Clone, Default)]
pub struct Payload {
    pub(super) json: RString,
    pub(super) blobs: RVec<RVec<u8>>,
}

macro_rules! kinds {
    ($(#[$attribute:meta])* $Type:ident { $($(#[$doc:meta])* $NAME:ident = $number:literal $word:literal,)* }) => {
        $(#[$attribute])*
        #[repr(transparent)]
        #[derive(StableAbi, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $Type(u32);

        impl $Type {
            $($(#[$doc])* pub const $NAME: Self = Self($number);)*

            /// All kinds that this version knows, each with its stable code.
            pub const KNOWN: &'static [(Self, &'static str)] = &[$((Self($number), $word),)*];

            /// The number that crosses the boundary.
            pub const fn number(self) -> u32 {
                self.0
            }

            /// The kind with this number, even if this version does not know it.
            pub const fn from_number(number: u32) -> Self {
                Self(number)
            }

            /// The stable code that logs and JSON use; `"other"` for a kind that this version does not know.
            pub fn code(self) -> &'static str {
                Self::KNOWN.iter().find(|(kind, _)| *kind == self).map_or("other", |(_, code)| code)
            }
        }

        impl fmt::Display for $Type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.code())
            }
        }

        impl fmt::Debug for $Type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", self.code(), self.0)
            }
        }
    };
}

kinds! {
    /// The class of a failure. Later minor versions may add kinds, so match with a fallback.
    ErrorKind {
        /// A panic or an impossible state: a bug in the plugin or in this crate.
        INTERNAL = 1 "internal",
        /// The plugin has no such method.
        UNSUPPORTED = 2 "unsupported",
        /// The request cannot be served as it is. The caller must change it.
        INVALID_REQUEST = 3 "invalid_request",
        /// The plugin's options are wrong, or something they need is missing.
        CONFIG = 4 "config",
        /// The key is missing, malformed, refused or expired.
        AUTH = 5 "auth",
        /// The account or the key has no credit left for this request.
        PAYMENT = 6 "payment",
        /// The service refuses this content, this region or this use.
        FORBIDDEN = 7 "forbidden",
        /// There is no such model, route or object, or no provider meets the preferences.
        NOT_FOUND = 8 "not_found",
        /// Too many requests. `retry_after_ms` says how long to wait, if the service said so.
        RATE_LIMIT = 9 "rate_limit",
        /// The service or the provider behind it cannot answer now.
        UNAVAILABLE = 10 "unavailable",
        /// One of the timeouts passed.
        TIMEOUT = 11 "timeout",
        /// The service could not be reached.
        CONNECT = 12 "connect",
        /// The answer breaks the protocol.
        PROTOCOL = 13 "protocol",
        /// The answer broke off after part of it had arrived; that part is in `details.partial_text`.
        INTERRUPTED = 14 "interrupted",
        /// The plugin was shut down.
        SHUT_DOWN = 15 "shut_down",
        /// Something is larger than its limit.
        TOO_LARGE = 16 "too_large",
        /// The request might exceed the profile's budget. The service was not asked. Since: 1.1.
        SPEND_LIMIT = 17 "spend_limit",
        /// More concurrent calls than the profile allows. The service was not asked. Since: 1.1.
        OVERLOADED = 18 "overloaded",
        /// The process was forked after the plugin had started, and its threads do not exist in the child. Since: 1.1.
        FORKED = 19 "forked",
        /// The model's call of a tool cannot be used, and was not executed. Since: 1.3.
        TOOL_CALL = 20 "tool_call",
    }
}

kinds! {
    /// The kind of an event in a stream. Later minor versions may add kinds.
    RawEventKind {
        /// A piece of the answer: `text`.
        TEXT = 1 "text",
        /// A piece of the model's reasoning: `text`.
        REASONING = 2 "reasoning",
        /// A whole tool call: `json`.
        TOOL_CALL = 3 "tool_call",
        /// A keep-alive comment: `text`, possibly empty.
        KEEP_ALIVE = 4 "keep_alive",
        /// Something that the caller should know: `json`.
        NOTICE = 5 "notice",
        /// The end of a complete answer: `json`.
        DONE = 6 "done",
        /// The status and headers of the service's answer, in the raw form: `json`.
        HEAD = 7 "head",
        /// A piece of the service's answer as it was written, in the raw form: `text`.
        RAW = 8 "raw",
    }
}

/// One event of a stream as it crosses. The frequent ones, text and reasoning, carry no JSON.
#[repr(C)]
#[derive(StableAbi, Clone, Debug)]
pub struct RawEvent {
    pub(crate) kind: RawEventKind,
    pub(crate) index: u32,
    pub(crate) text: Text,
    pub(crate) json: Text,
}

/// An error as it crosses. Both sides work with [`Error`](crate::Error).
#[repr(C)]
#[derive(StableAbi)]
pub struct RawError {
    pub(super) kind: ErrorKind,
    pub(super) retry_after_ms: ROption<u64>,
    pub(super) message: RString,
    pub(super) details: RString,
}
