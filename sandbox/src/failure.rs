//! The errors of the service: the documented statuses, and the shape on the wire.
//!
//! Rules and routing refuse a request with a [`Failure`]; a script asks for one. Pure: no I/O, no clock.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// One refusal or failure, as the service would send it.
///
/// Every member but `status` defaults to what fits the status.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failure {
    /// HTTP status, and `error.code`; default 500.
    pub status: u16,
    /// `error.metadata.error_type`; default: the documented one. An empty text sends none.
    pub error_type: Option<String>,
    /// `error.message`; default: a usual one for the status.
    pub message: Option<String>,
    /// `Retry-After` in seconds; default: none.
    pub retry_after_s: Option<u64>,
    /// `error.availability`, verbatim.
    pub availability: Option<Value>,
    /// More members of `error.metadata`.
    pub metadata: Map<String, Value>,
    /// More headers of the reply.
    pub headers: BTreeMap<String, String>,
    /// A raw body in place of the JSON error, sent as `text/html`, as a proxy in front of the service would.
    pub body: Option<String>,
    /// Sends `error.code` as text (`"server_error"` from 500 on, the error type below), as some providers do.
    pub code_as_string: bool,
}

impl Default for Failure {
    fn default() -> Self {
        Self::status(500)
    }
}

/// The statuses documented for chat, each with its error type and a usual message.
// Source: OpenRouter docs, `api_reference/errors-and-debugging`, and the API description, copy of 2026-08-22.
pub(crate) const DOCUMENTED: [(u16, &str, &str); 14] = [
    (400, "invalid_request", "Invalid request parameters"),
    (401, "authentication", "User not found."),
    (
        402,
        "payment_required",
        "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can \
         only afford 1234. To increase, visit https://openrouter.ai/settings/credits and add more credits",
    ),
    (
        403,
        "permission_denied",
        "The model requires moderation on Sandbox. Your input was flagged for \"sandbox\". No credits were \
         charged.",
    ),
    (404, "not_found", "No endpoints found for this model."),
    (408, "timeout", "Operation timed out. Please try again later."),
    (413, "payload_too_large", "Request payload too large"),
    (422, "unprocessable", "Invalid argument"),
    (429, "rate_limit_exceeded", "Rate limit exceeded"),
    (500, "server", "Internal Server Error"),
    (502, "provider_unavailable", "Provider returned error"),
    (503, "provider_overloaded", "Service temporarily unavailable"),
    (524, "timeout", "Request timed out. Please try again later."),
    (529, "provider_overloaded", "Provider returned error"),
];

/// Statuses after which another model or provider may still answer.
pub(crate) const RETRYABLE: [u16; 7] = [408, 429, 500, 502, 503, 524, 529];

impl Failure {
    /// The failure of `status`, with its documented error type and a usual message.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            error_type: None,
            message: None,
            retry_after_s: None,
            availability: None,
            metadata: Map::new(),
            headers: BTreeMap::new(),
            body: None,
            code_as_string: false,
        }
    }

    /// The same failure with another message.
    #[must_use]
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// The same failure with another error type.
    #[must_use]
    pub fn error_type(mut self, error_type: impl Into<String>) -> Self {
        self.error_type = Some(error_type.into());
        self
    }

    /// The same failure with `error.availability`.
    #[must_use]
    pub fn availability(mut self, code: &str, retryable: bool, requested_models: &[String]) -> Self {
        self.availability = Some(json!({
            "code": code,
            "retryable": retryable,
            "requested_models": requested_models,
            "docs_url": "https://openrouter.ai/docs/api_reference/errors-and-debugging",
        }));
        self
    }

    pub(crate) fn is_retryable(&self) -> bool {
        RETRYABLE.contains(&self.status)
    }

    /// The `error` object alone, as a chunk or a choice holds it.
    pub(crate) fn error_object(&self) -> Value {
        let documented = DOCUMENTED.into_iter().find(|(status, ..)| *status == self.status);
        let (_, usual_type, usual_message) = documented.unwrap_or((self.status, "unmapped", "Unknown error"));
        let error_type = self.error_type.as_deref().unwrap_or(usual_type);
        let message = self.message.as_deref().unwrap_or(usual_message);

        let code = match (self.code_as_string, self.status) {
            (false, status) => json!(status),
            (true, 500..) => json!("server_error"),
            (true, _) => json!(error_type),
        };
        let mut error = json!({"code": code, "message": message});
        let mut metadata = self.metadata.clone();
        if !error_type.is_empty() {
            metadata.insert("error_type".to_owned(), json!(error_type));
        }
        if !metadata.is_empty() {
            error["metadata"] = Value::Object(metadata);
        }
        if let Some(availability) = &self.availability {
            error["availability"] = availability.clone();
        }
        error
    }

    /// The whole body; `user_id` is known once the key was accepted.
    pub(crate) fn body_value(&self, user_id: Option<&str>) -> Value {
        let mut body = json!({"error": self.error_object()});
        if let Some(user_id) = user_id {
            body["user_id"] = json!(user_id);
        }
        body
    }

    pub(crate) fn header_pairs(&self) -> Vec<(String, String)> {
        let retry_after = self
            .retry_after_s
            .map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
        let more = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
        retry_after.into_iter().chain(more).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_alone_gives_the_documented_error() {
        let error = json!({"code": 408, "message": "Operation timed out. Please try again later.",
            "metadata": {"error_type": "timeout"}});
        let expected = json!({"error": error, "user_id": "user_sandbox"});
        assert_eq!(Failure::status(408).body_value(Some("user_sandbox")), expected);
    }

    #[test]
    fn an_empty_error_type_omits_the_metadata() {
        let failure = Failure::status(502).error_type("").message("gone");
        assert_eq!(failure.error_object(), json!({"code": 502, "message": "gone"}));
    }

    #[test]
    fn a_code_can_be_text() {
        for (status, code) in [(502, "server_error"), (429, "rate_limit_exceeded")] {
            let mut failure = Failure::status(status);
            failure.code_as_string = true;
            assert_eq!(failure.error_object()["code"], code);
        }
    }

    #[test]
    fn a_retry_after_is_a_header() {
        let mut failure = Failure::status(429);
        failure.retry_after_s = Some(7);
        assert_eq!(failure.header_pairs(), [("retry-after".to_owned(), "7".to_owned())]);
    }
}
