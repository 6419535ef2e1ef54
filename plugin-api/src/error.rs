//! The one error type of the boundary: what failed, whether a retry may help, and what to do.
//!
//! Callers ask it questions ([`Error::is_retryable`], [`Error::hint`]) and match its kind; they never compare its
//! text. It holds no key and no prompt. It keeps the part of an answer that arrived before the failure, and prints it
//! nowhere.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::outcome::{Attempt, Notice, Usage};

pub use crate::abi::ErrorKind;

impl ErrorKind {
    /// Whether the same request may succeed later without anyone changing anything.
    pub fn is_retryable(self) -> bool {
        [
            Self::RATE_LIMIT,
            Self::UNAVAILABLE,
            Self::TIMEOUT,
            Self::CONNECT,
            Self::OVERLOADED,
        ]
        .contains(&self)
    }
}

/// Why a call, a stream or the creation of a plugin failed.
#[derive(Clone, Debug, PartialEq)]
pub struct Error {
    /// The class of the failure, for programs.
    pub kind: ErrorKind,
    /// One sentence for people, in lower case and without a full stop: what was being done, expected, found.
    pub message: String,
    /// How long the service asks callers to wait before the next try, in milliseconds. `None`: it did not say.
    pub retry_after_ms: Option<u64>,
    /// Everything else that is known.
    pub details: Box<Details>,
}

impl Error {
    /// An error without details.
    ///
    /// - In: `message`, one sentence in lower case and without a full stop. It must not quote a key or a prompt.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_ms: None,
            details: Box::default(),
        }
    }

    /// The error of a call to a plugin that was shut down.
    ///
    /// - Since: 1.3.
    pub fn shut_down() -> Self {
        Self::new(ErrorKind::SHUT_DOWN, "the plugin was shut down")
    }

    /// The error of a method that a plugin or a host does not have.
    pub fn unsupported(method: &str) -> Self {
        Self::new(
            ErrorKind::UNSUPPORTED,
            format!("the method `{method}` is not supported here"),
        )
    }

    /// Adds advice on what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.details.hint = Some(hint.into());
        self
    }

    /// What to do about it, if that is known.
    pub fn hint(&self) -> Option<&str> {
        self.details.hint.as_deref()
    }

    /// Whether the same request may succeed later without anyone changing anything.
    ///
    /// If the service said so itself, its word counts; otherwise the kind decides.
    pub fn is_retryable(&self) -> bool {
        self.details.retryable.unwrap_or_else(|| self.kind.is_retryable())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// What is known about a failure beyond its kind and message. Absent means unknown.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Details {
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The HTTP status of the service's answer, or the code of an error inside an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The service's own name for the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Whether the service itself says that a retry may succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// The model that was asked, or that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider behind the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The service's id of the generation, to quote to its support or to find in its logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<String>,
    /// The id that the service, or the proxy in front of it, gave the request, to quote to its support. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The model of the tier's split that the call was given to, as configured. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// The tokens used and the cost, if the service billed the failed answer. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Box<Usage>>,
    /// The answer's text up to the point where it broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_text: Option<String>,
    /// The service's own answer, if there was one and the request asked for the raw form. Since: 1.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<ServiceAnswer>>,
    /// Notices about the failed call that the caller has not received yet.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// Whether readers of the raw form have seen this error: the stream's raw events contain it, in the service's own
    /// words. A host that passes them on must then add no error of its own. False: they lack it, or there were none.
    /// Since: 1.2.
    // The name is on the wire, so it stays; read it as "is in the raw form".
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_told: bool,
    /// Every attempt of the call, oldest first. Empty if the only attempt adds nothing to the error itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Every problem of a document, for errors of configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

impl fmt::Debug for Details {
    /// Prints the size of the partial text only: it is part of a conversation.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Details")
            .field("hint", &self.hint)
            .field("status", &self.status)
            .field("error_type", &self.error_type)
            .field("retryable", &self.retryable)
            .field("model", &self.model)
            .field("provider", &self.provider)
            .field("generation_id", &self.generation_id)
            .field("request_id", &self.request_id)
            .field("arm", &self.arm)
            .field("partial_text_bytes", &self.partial_text.as_ref().map(String::len))
            .field("answer", &self.answer)
            .field("notices", &self.notices)
            .field("attempts", &self.attempts)
            .field("problems", &self.problems)
            .finish()
    }
}

/// An error answer of the service as it was written, except that a key repeated in it is removed.
///
/// Since: 1.2.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ServiceAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that matter to the caller, in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most 64 KiB.
    pub body: String,
}

impl fmt::Debug for ServiceAnswer {
    /// Prints the size of the body only: it may repeat a prompt.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAnswer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One problem of a document, such as a profile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Problem {
    /// The place, as a JSON pointer into the plugin's options. Empty for the whole document.
    pub pointer: String,
    /// What was expected, then what was found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Whether the document is usable in spite of it.
    #[serde(default)]
    pub warning: bool,
}

impl Problem {
    /// A problem that makes the document unusable.
    pub fn error(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
            hint: None,
            warning: false,
        }
    }

    /// A problem that leaves the document usable.
    pub fn warning(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::error(pointer, message)
        }
    }

    /// Adds advice on what to do.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_overrides_the_kind_on_retries() {
        let mut error = Error::new(ErrorKind::UNAVAILABLE, "no capacity");
        assert!(error.is_retryable());
        error.details.retryable = Some(false);
        assert!(!error.is_retryable());
    }
}
