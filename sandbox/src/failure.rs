//! The errors of the service: what each documented status says, and its shape on the wire.
//!
//! Used twice: [`crate::rules`] and [`crate::service::routing`] refuse a request with one, and a [`crate::Script`] asks for
//! one. Pure: no I/O, no clock.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// One refusal or failure, as the service would send it.
///
/// Every part but `status` has a default which fits the status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Failure {
    /// HTTP status, and `error.code`; default 500.
    pub status: u16,
    /// `error.metadata.error_type`; default: the documented one of the status. An empty text sends none.
    pub error_type: Option<String>,
    /// `error.message`; default: a usual text of the status.
    pub message: Option<String>,
    /// `Retry-After` in seconds; absent sends none.
    pub retry_after_s: Option<u64>,
    /// `error.availability`, sent as it is.
    pub availability: Option<Value>,
    /// More members of `error.metadata`.
    pub metadata: Map<String, Value>,
    /// More headers of the reply.
    pub headers: BTreeMap<String, String>,
    /// A raw body in place of the JSON error, sent as `text/html`: what a proxy before the service answers.
    pub body: Option<String>,
    /// Sends `error.code` as text (`"server_error"` from 500 on, the error type below), as some providers do.
    pub code_as_string: bool,
}

impl Default for Failure {
    fn default() -> Self {
        Self {
            status: 500,
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
}

/// What the service says with one status.
pub(crate) struct Documented {
    pub(crate) status: u16,
    pub(crate) error_type: &'static str,
    pub(crate) message: &'static str,
}

/// The statuses documented for chat, with the error type and a usual text of each.
// Source: OpenRouter docs, `api_reference/errors-and-debugging`, and the API description, copy of 2026-08-22.
pub(crate) const DOCUMENTED: [Documented; 14] = [
    Documented {
        status: 400,
        error_type: "invalid_request",
        message: "Invalid request parameters",
    },
    Documented {
        status: 401,
        error_type: "authentication",
        message: "User not found.",
    },
    Documented {
        status: 402,
        error_type: "payment_required",
        message: "This request requires more credits, or fewer max_tokens. You requested up to 65536 tokens, but can \
                  only afford 1234. To increase, visit https://openrouter.ai/settings/credits and add more credits",
    },
    Documented {
        status: 403,
        error_type: "permission_denied",
        message: "The model requires moderation on Sandbox. Your input was flagged for \"sandbox\". No credits were \
                  charged.",
    },
    Documented {
        status: 404,
        error_type: "not_found",
        message: "No endpoints found for this model.",
    },
    Documented {
        status: 408,
        error_type: "timeout",
        message: "Operation timed out. Please try again later.",
    },
    Documented {
        status: 413,
        error_type: "payload_too_large",
        message: "Request payload too large",
    },
    Documented {
        status: 422,
        error_type: "unprocessable",
        message: "Invalid argument",
    },
    Documented {
        status: 429,
        error_type: "rate_limit_exceeded",
        message: "Rate limit exceeded",
    },
    Documented {
        status: 500,
        error_type: "server",
        message: "Internal Server Error",
    },
    Documented {
        status: 502,
        error_type: "provider_unavailable",
        message: "Provider returned error",
    },
    Documented {
        status: 503,
        error_type: "provider_overloaded",
        message: "Service temporarily unavailable",
    },
    Documented {
        status: 524,
        error_type: "timeout",
        message: "Request timed out. Please try again later.",
    },
    Documented {
        status: 529,
        error_type: "provider_overloaded",
        message: "Provider returned error",
    },
];

/// Statuses after which another model or provider may still answer.
pub(crate) const RETRYABLE: [u16; 7] = [408, 429, 500, 502, 503, 524, 529];

impl Failure {
    /// The failure that `status` stands for, with its documented error type and a usual text.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// The same failure with another text.
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

    /// The `error` object alone, as it also stands in a chunk or in a choice.
    pub(crate) fn error_object(&self) -> Value {
        let documented = DOCUMENTED.iter().find(|row| row.status == self.status);
        let error_type = match self.error_type.as_deref() {
            Some(given) => given,
            None => documented.map_or("unmapped", |row| row.error_type),
        };
        let message = match self.message.as_deref() {
            Some(given) => given,
            None => documented.map_or("Unknown error", |row| row.message),
        };

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
        assert_eq!(
            Failure::status(408).body_value(Some("user_sandbox")),
            json!({
                "error": {
                    "code": 408,
                    "message": "Operation timed out. Please try again later.",
                    "metadata": {"error_type": "timeout"},
                },
                "user_id": "user_sandbox",
            })
        );
    }

    #[test]
    fn an_empty_error_type_leaves_the_metadata_out() {
        let failure = Failure::status(502).error_type("").message("Provider returned error");
        assert_eq!(
            failure.error_object(),
            json!({"code": 502, "message": "Provider returned error"})
        );
    }

    #[test]
    fn a_code_can_be_text() {
        let failure = Failure {
            code_as_string: true,
            ..Failure::status(502)
        };
        assert_eq!(failure.error_object()["code"], json!("server_error"));
    }

    #[test]
    fn the_wait_is_a_header() {
        let failure = Failure {
            retry_after_s: Some(7),
            ..Failure::status(429)
        };
        assert_eq!(failure.header_pairs(), [("retry-after".to_owned(), "7".to_owned())]);
    }
}
