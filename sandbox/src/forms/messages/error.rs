//! Errors as Anthropic's Messages API reports them.

use serde_json::{Value, json};

use crate::failure::Failure;

/// The body of a refusal.
pub(crate) fn error_value(failure: &Failure) -> Value {
    let mut body = error_event(failure);
    body["request_id"] = Value::Null;
    if !failure.metadata.is_empty() {
        body["metadata"] = json!(failure.metadata);
    }
    body
}

/// The error as an event of a stream.
pub(super) fn error_event(failure: &Failure) -> Value {
    let kind = match failure.status {
        400 | 413 | 415 | 422 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 | 405 => "not_found_error",
        408 | 524 => "timeout_error",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    let object = failure.error_object();
    let mut error = json!({"type": kind, "message": object["message"]});
    if object["metadata"]["error_type"].is_string() {
        error["error_type"] = object["metadata"]["error_type"].clone();
    }
    json!({"type": "error", "error": error})
}
