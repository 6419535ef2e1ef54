//! Errors as clients see them: one status and one JSON object for each.
//!
//! The shape is the one that clients of OpenAI's protocol read; those of Anthropic's get it in theirs.
//! Pure; quotes no body, header or query.

use hyper::StatusCode;
use plugin_api::{Error, ErrorKind};
use serde_json::{Value, json};

use super::agents::LIMITS;

/// The word for a key that was not sent, or that the plugin was not given.
pub const MISSING_KEY: &str = "missing_api_key";

/// An error object.
pub fn object(status: StatusCode, word: &str, message: &str, hint: Option<&str>) -> Value {
    let mut metadata = json!({"error_type": word});
    if let Some(hint) = hint {
        metadata["hint"] = Value::from(hint);
    }
    json!({
        "code": status.as_u16(),
        "message": message,
        "type": word,
        "param": null,
        "metadata": metadata,
    })
}

/// The plugin's error as clients read it.
pub fn error_object(error: &Error) -> Value {
    let mut object = object(status_of(error), word_of(error), &error.message, error.hint());
    let details = &error.details;
    let metadata = &mut object["metadata"];
    if let Some(word) = &details.error_type {
        metadata["error_type"] = Value::from(word.as_str());
        if LIMITS.contains(&word.as_str()) {
            object["type"] = Value::from(word.as_str());
        }
    }
    let metadata = &mut object["metadata"];
    if let Some(provider) = &details.provider {
        metadata["provider_name"] = Value::from(provider.as_str());
    }
    let ids = [
        ("generation_id", &details.generation_id),
        ("request_id", &details.request_id),
    ];
    for (name, id) in ids {
        if let Some(id) = id {
            metadata[name] = Value::from(id.as_str());
        }
    }
    if details.attempts.len() > 1 {
        metadata["attempts"] = json!(details.attempts);
    }
    object
}

/// An error object in Anthropic's form, which has no place for a hint but the message.
///
/// - In: an object of [`object`] or [`error_object`].
/// - Source: Anthropic's documentation of errors, for the types.
pub fn anthropic(object: &Value) -> Value {
    let kind = match object["code"].as_u64().unwrap_or_default() {
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        408 | 504 => "timeout_error",
        503 | 529 => "overloaded_error",
        400..500 => "invalid_request_error",
        _ => "api_error",
    };
    let message = object["message"].as_str().unwrap_or_default();
    let message = match object["metadata"]["hint"].as_str() {
        Some(hint) => format!("{message}; {hint}"),
        None => message.to_owned(),
    };
    json!({"type": "error", "error": {"type": kind, "message": message, "metadata": object["metadata"]}})
}

/// A missing key has a word of its own.
fn word_of(error: &Error) -> &'static str {
    if error.kind == ErrorKind::AUTH && error.details.status.is_none() {
        return MISSING_KEY;
    }
    error.kind.code()
}

/// The HTTP status for an error.
pub fn status_of(error: &Error) -> StatusCode {
    // Prefer the service's own status.
    let given = error.details.status.filter(|status| (400..600).contains(status));
    if let Some(status) = given.and_then(|status| StatusCode::from_u16(status).ok()) {
        return status;
    }
    match error.kind {
        ErrorKind::INVALID_REQUEST => StatusCode::BAD_REQUEST,
        ErrorKind::AUTH => StatusCode::UNAUTHORIZED,
        ErrorKind::PAYMENT | ErrorKind::SPEND_LIMIT => StatusCode::PAYMENT_REQUIRED,
        ErrorKind::FORBIDDEN => StatusCode::FORBIDDEN,
        ErrorKind::NOT_FOUND => StatusCode::NOT_FOUND,
        ErrorKind::TOO_LARGE => StatusCode::PAYLOAD_TOO_LARGE,
        ErrorKind::RATE_LIMIT => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::UNSUPPORTED => StatusCode::NOT_IMPLEMENTED,
        ErrorKind::CONNECT | ErrorKind::PROTOCOL | ErrorKind::INTERRUPTED | ErrorKind::TOOL_CALL => {
            StatusCode::BAD_GATEWAY
        }
        ErrorKind::UNAVAILABLE | ErrorKind::OVERLOADED | ErrorKind::SHUT_DOWN => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::TIMEOUT => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_the_status_that_clients_expect_of_it() {
        let expected = "internal 500, unsupported 501, invalid_request 400, config 500, auth 401, payment 402, \
            forbidden 403, not_found 404, rate_limit 429, unavailable 503, timeout 504, connect 502, protocol 502, \
            interrupted 502, shut_down 503, too_large 413, spend_limit 402, overloaded 503, forked 500, tool_call 502";
        let status = |kind: ErrorKind| status_of(&Error::new(kind, "x")).as_u16();
        let found: Vec<_> = ErrorKind::KNOWN
            .iter()
            .map(|(kind, code)| format!("{code} {}", status(*kind)))
            .collect();
        let found = found.join(", ");
        assert_eq!(found, expected);
    }

    #[test]
    fn an_error_says_what_happened_and_what_to_do() {
        let mut error = Error::new(ErrorKind::CONNECT, "no connection to the service").with_hint("look at the proxy");
        error.details.provider = Some("Acme".to_owned());
        assert_eq!(
            error_object(&error),
            json!({
                "code": 502, "message": "no connection to the service", "type": "connect", "param": null,
                "metadata": {"error_type": "connect", "hint": "look at the proxy", "provider_name": "Acme"},
            })
        );
        let missing = error_object(&Error::new(ErrorKind::AUTH, "there is no key"));
        assert_eq!(
            (&missing["code"], &missing["type"]),
            (&json!(401), &json!("missing_api_key"))
        );
    }

    #[test]
    fn anthropics_form_has_its_own_types_and_the_hint_in_the_message() {
        let kinds = "400 invalid_request_error, 401 authentication_error, 404 not_found_error, 415 invalid_request_error, \
            426 invalid_request_error, 429 rate_limit_error, 502 api_error, 503 overloaded_error";
        for row in kinds.split(", ") {
            let (status, kind) = row.split_once(' ').expect("a row");
            let status = StatusCode::from_bytes(status.as_bytes()).expect("a status");
            let metadata = json!({"error_type": "word", "hint": "look there"});
            let error = json!({"type": kind, "message": "no; look there", "metadata": metadata});
            assert_eq!(
                anthropic(&object(status, "word", "no", Some("look there"))),
                json!({"type": "error", "error": error})
            );
        }
    }
}
