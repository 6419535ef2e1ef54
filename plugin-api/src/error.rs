//! The one error of the boundary: what went wrong, whether waiting helps, and what to do.
//!
//! Callers ask it questions; they do not compare its text. It never holds a key or a prompt. The part of an answer
//! that arrived before the error is kept for the caller, and left out of every printed form.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::outcome::{Attempt, Notice};

pub use crate::abi::ErrorKind;

impl ErrorKind {
    /// Whether the same request may succeed later without anybody changing anything.
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

/// What a call, a stream or the creation of a plugin can fail with.
#[derive(Clone, PartialEq)]
pub struct Error {
    /// What went wrong.
    pub kind: ErrorKind,
    /// One sentence without a full stop, in lower case: what was being done, expected, found.
    pub message: String,
    /// How long to wait before the next try, in milliseconds, where the service said so.
    pub retry_after_ms: Option<u64>,
    /// Everything else that is known.
    pub details: Box<Details>,
}

/// What is known about a failure beyond its kind and message. Absent fields are unknown.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct Details {
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The HTTP status of the service's answer, or the code of an error that came inside one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The service's own word for the error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_type: Option<String>,
    /// Whether the service itself says that a retry may succeed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// The model that was asked or that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider behind the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The service's id of the generation, for its support and its logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<String>,
    /// The answer's text up to the point where it broke off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partial_text: Option<String>,
    /// The service's own answer, where the raw form of answers was asked for and there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<Box<ServiceAnswer>>,
    /// What the caller should know about the request that failed, where it was not told before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// Whether the raw form of the stream has told this error already, in the service's own words.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_told: bool,
    /// Every attempt that the call made, oldest first; empty where the first was the only one and had no answer to tell of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// Every problem of a document, for errors of configuration.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// A service's answer that is an error, as it was written; a key that it repeats is taken out.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default)]
pub struct ServiceAnswer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that concern whoever asked, in order; names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body, at most 64 KiB.
    pub body: String,
}

impl fmt::Debug for ServiceAnswer {
    /// The body may repeat a prompt: its length only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAnswer")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// One problem of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// Where, as a JSON pointer into the plugin's options; empty for the whole.
    pub pointer: String,
    /// Expected, then found.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// A warning does not stop the document from being used.
    #[serde(default)]
    pub warning: bool,
}

impl Problem {
    /// Something that makes the document unusable.
    pub fn error(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
            hint: None,
            warning: false,
        }
    }

    /// Something doubtful.
    pub fn warning(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::error(pointer, message)
        }
    }

    /// The same problem with advice.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Error {
    /// An error of this kind with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            retry_after_ms: None,
            details: Box::default(),
        }
    }

    /// The error of a method that a plugin or a host does not have.
    pub fn unsupported(method: &str) -> Self {
        Self::new(
            ErrorKind::UNSUPPORTED,
            format!("the method `{method}` is not supported here"),
        )
    }

    /// The same error with advice.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.details.hint = Some(hint.into());
        self
    }

    /// What to do about it, where that is known.
    pub fn hint(&self) -> Option<&str> {
        self.details.hint.as_deref()
    }

    /// Whether the same request may succeed later without anybody changing anything. What the service says about it
    /// outweighs what the kind suggests.
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

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("retry_after_ms", &self.retry_after_ms)
            .field("details", &self.details)
            .finish()
    }
}

impl fmt::Debug for Details {
    /// The partial text is somebody's conversation: its length only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Details")
            .field("hint", &self.hint)
            .field("status", &self.status)
            .field("error_type", &self.error_type)
            .field("retryable", &self.retryable)
            .field("model", &self.model)
            .field("provider", &self.provider)
            .field("generation_id", &self.generation_id)
            .field("partial_text_bytes", &self.partial_text.as_ref().map(String::len))
            .field("answer", &self.answer)
            .field("notices", &self.notices)
            .field("attempts", &self.attempts)
            .field("problems", &self.problems)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_service_says_about_a_retry_outweighs_the_kind() {
        let mut error = Error::new(ErrorKind::UNAVAILABLE, "no capacity");
        assert!(error.is_retryable());
        error.details.retryable = Some(false);
        assert!(!error.is_retryable());
    }

    #[test]
    fn the_partial_text_is_not_printed() {
        let mut error = Error::new(ErrorKind::INTERRUPTED, "the answer broke off");
        error.details.partial_text = Some("a private matter".to_owned());
        assert!(!format!("{error} {error:?}").contains("private"));
        assert!(format!("{error:?}").contains("partial_text_bytes: Some(16)"));
    }
}
