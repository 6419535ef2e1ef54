//! Turns everything that can go wrong with a call into one typed [`Error`].
//!
//! In: HTTP statuses, bodies and headers, error objects from inside a stream, transport errors. Out: the kind, the
//! service's own message, what to do. Pure. What leaves this module never holds the key, a URL's query or a prompt.

use std::error::Error as _;
use std::time::Duration;

use plugin_api::{Error, ErrorKind};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// The longest message of the service that is passed on, in bytes.
const MAX_MESSAGE_BYTES: usize = 2048;

/// What a status means, and what to do about it.
struct Meaning {
    kind: ErrorKind,
    hint: &'static str,
}

/// Every status that the service documents, and those of the network in front of it.
fn meaning_of(status: u16) -> Meaning {
    let (kind, hint) = match status {
        400 | 422 => (
            ErrorKind::INVALID_REQUEST,
            "check the model id, the parameters and the provider preferences",
        ),
        401 => (
            ErrorKind::AUTH,
            "the key was refused: check it at https://openrouter.ai/settings/keys, it may be disabled or expired",
        ),
        402 => (
            ErrorKind::PAYMENT,
            "add credit at https://openrouter.ai/settings/credits, or ask for fewer tokens with `maxTokens`",
        ),
        403 => (
            ErrorKind::FORBIDDEN,
            "the service refuses this content, this region or this use of the key",
        ),
        404 => (
            ErrorKind::NOT_FOUND,
            "check the model id at https://openrouter.ai/models, whether the provider preferences leave any provider, \
             and the base URL if it was changed",
        ),
        408 | 504 | 524 => (ErrorKind::TIMEOUT, "try again, or choose another model"),
        413 => (
            ErrorKind::TOO_LARGE,
            "send a shorter conversation or smaller attachments",
        ),
        429 => (ErrorKind::RATE_LIMIT, "wait and try again, or choose another model"),
        500 | 502 | 503 | 520..=523 | 529 => (ErrorKind::UNAVAILABLE, "try again, or choose another model"),
        300..=399 => (
            ErrorKind::PROTOCOL,
            "redirects are not followed, because the key would travel with them: check the base URL",
        ),
        400..=499 => (ErrorKind::INVALID_REQUEST, "the service does not accept this request"),
        _ => (ErrorKind::UNAVAILABLE, "try again later"),
    };
    Meaning { kind, hint }
}

/// The error of an answer whose status is not 200.
///
/// - In: at most the first 64 KiB of the body; anything from JSON in several shapes to a web page.
pub fn from_response(status: u16, headers: &HeaderMap, body: &[u8], secret: &str) -> Error {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let mut error = match parsed.as_ref().and_then(error_object) {
        Some(object) => from_object(object, Some(status), secret),
        None => {
            let found = match page_title(body) {
                Some(title) => format!("a page titled `{}`", scrub(&title, secret)),
                None if body.is_empty() => "no explanation".to_owned(),
                None => "an answer that is not JSON".to_owned(),
            };
            with_status(status, &format!("the service answered {status} with {found}"))
        }
    };
    error.retry_after_ms = retry_after_ms(headers).or(error.retry_after_ms);
    error.details.generation_id = text_header(headers, "x-generation-id");
    error
}

/// The error of an object `{code, message, metadata}` that came with status 200: in place of an answer, or in the
/// middle of a stream.
pub fn from_error_object(object: &Value, secret: &str) -> Error {
    from_object(object, None, secret)
}

/// Finds the error object in a body: `{"error": {…}}`, `{"error": "text"}` or the object itself.
pub fn error_object(body: &Value) -> Option<&Value> {
    match body.get("error") {
        Some(error @ (Value::Object(_) | Value::String(_))) => Some(error),
        _ if body.get("object").and_then(Value::as_str) == Some("error") => Some(body),
        _ => None,
    }
}

fn from_object(object: &Value, status: Option<u16>, secret: &str) -> Error {
    let metadata = &object["metadata"];
    let availability = &object["availability"];
    // Source: OpenRouter's API description has a number in `code`, its page on streaming a string, its page on
    // availability neither but `http_status`.
    let code = number(&object["code"]).or_else(|| number(&object["http_status"]));
    // What came inside an answer was no status, and is not told as one.
    let verb = if status.is_some() { "answered" } else { "reported error" };
    let status = status.or(code);
    let message = object["message"].as_str().or(object.as_str()).unwrap_or_default();
    let message = scrub(message, secret);
    let said = if message.is_empty() {
        "it gave no reason".to_owned()
    } else {
        message
    };
    let mut error = match status {
        Some(status) => with_status(status, &format!("the service {verb} {status}: {said}")),
        None => {
            let kind = kind_of_word(object["code"].as_str().unwrap_or_default());
            Error::new(kind, format!("the service reported an error: {said}"))
        }
    };
    let error_type = [
        &metadata["error_type"],
        &object["error_type"],
        &availability["code"],
        &object["type"],
    ]
    .into_iter()
    .find_map(Value::as_str);
    error.details.error_type = error_type.map(|word| scrub(word, secret));
    if let Some(kind) = error_type.and_then(kind_of_error_type) {
        error.kind = kind;
    }
    error.details.provider = metadata["provider_name"].as_str().map(|name| scrub(name, secret));
    error.details.retryable = availability["retryable"].as_bool();
    error.retry_after_ms = availability["retry_after"].as_f64().and_then(milliseconds);
    error
}

fn with_status(status: u16, message: &str) -> Error {
    let meaning = meaning_of(status);
    let mut error = Error::new(meaning.kind, message).with_hint(meaning.hint);
    error.details.status = Some(status);
    error
}

fn number(value: &Value) -> Option<u16> {
    let number = value.as_u64().or_else(|| value.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|status| (100..1000).contains(status))
}

fn kind_of_word(code: &str) -> ErrorKind {
    kind_of_error_type(code).unwrap_or(ErrorKind::UNAVAILABLE)
}

/// What the service's own words mean where they say more than the status.
fn kind_of_error_type(word: &str) -> Option<ErrorKind> {
    Some(match word {
        "context_length_exceeded" | "payload_too_large" | "token_limit_exceeded" => ErrorKind::TOO_LARGE,
        "content_policy_violation" | "refusal" | "permission_denied" => ErrorKind::FORBIDDEN,
        "authentication" => ErrorKind::AUTH,
        "payment_required" => ErrorKind::PAYMENT,
        "not_found" | "model_not_found" => ErrorKind::NOT_FOUND,
        "rate_limit_exceeded" => ErrorKind::RATE_LIMIT,
        "provider_unavailable" | "provider_overloaded" | "server" | "server_error" => ErrorKind::UNAVAILABLE,
        "timeout" => ErrorKind::TIMEOUT,
        _ => return None,
    })
}

/// The error of a request that got no answer from the service at `base_url`.
pub fn from_transport(cause: &reqwest::Error, base_url: &str) -> Error {
    let host = host_of(base_url);
    // The error's own text holds the whole URL; the causes below it do not.
    let reason = deepest_cause(cause);
    if cause.is_connect() {
        return Error::new(ErrorKind::CONNECT, format!("no connection to {host}: {reason}"))
            .with_hint("check the network, the proxy and the base URL of the service");
    }
    if cause.is_timeout() {
        return Error::new(ErrorKind::TIMEOUT, format!("{host} did not answer in time"));
    }
    Error::new(ErrorKind::CONNECT, format!("the connection to {host} failed: {reason}"))
}

/// The host and port of an address that was checked before: without a path, which might say more than a log should.
fn host_of(base_url: &str) -> &str {
    let rest = base_url.split_once("://").map_or(base_url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// The error of a body that broke off.
pub fn from_body(cause: &reqwest::Error) -> Error {
    Error::new(
        ErrorKind::INTERRUPTED,
        format!(
            "the connection broke while the answer arrived: {}",
            deepest_cause(cause)
        ),
    )
}

fn deepest_cause(error: &reqwest::Error) -> String {
    let mut cause = error.source();
    let mut text = None;
    while let Some(inner) = cause {
        text = Some(inner.to_string());
        cause = inner.source();
    }
    text.unwrap_or_else(|| "the reason is unknown".to_owned())
}

/// The error of a time limit.
pub fn timed_out(what: &str, limit: Duration, option: &str) -> Error {
    let message = format!("{what} within {} ms", limit.as_millis());
    Error::new(ErrorKind::TIMEOUT, message).with_hint(format!(
        "the limit is `timeouts.{option}` of the profile; another model may be faster"
    ))
}

/// The wait that the service asks for, in milliseconds.
fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    if let Some(milliseconds) = text_header(headers, "retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return self::milliseconds(milliseconds / 1000.0);
    }
    text_header(headers, "retry-after")?
        .parse::<f64>()
        .ok()
        .and_then(milliseconds)
}

fn milliseconds(seconds: f64) -> Option<u64> {
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from(wait.as_millis()).ok()
}

fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The title of a web page, such as the error pages of proxies.
fn page_title(body: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(body);
    let lower = text.to_ascii_lowercase();
    let start = lower.find("<title>")? + "<title>".len();
    let end = start + lower[start..].find("</title>")?;
    let title = text.get(start..end)?.split_whitespace().collect::<Vec<_>>().join(" ");
    (!title.is_empty()).then_some(title)
}

/// Takes keys out of a text of the service, and shortens it.
pub fn scrub(text: &str, secret: &str) -> String {
    let text = if secret.is_empty() {
        text.to_owned()
    } else {
        text.replace(secret, "[key]")
    };
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("sk-or-") {
        let (before, key) = rest.split_at(at);
        clean.push_str(before);
        clean.push_str("[key]");
        let end = key.find(|letter: char| !(letter.is_ascii_alphanumeric() || "-_*.".contains(letter)));
        rest = &key[end.unwrap_or(key.len())..];
    }
    clean.push_str(rest);
    if clean.len() > MAX_MESSAGE_BYTES {
        let end = (0..=MAX_MESSAGE_BYTES)
            .rev()
            .find(|&at| clean.is_char_boundary(at))
            .unwrap_or(0);
        clean.truncate(end);
        clean.push('…');
    }
    clean
}

#[cfg(test)]
mod tests {
    use plugin_api::ErrorKind;
    use reqwest::header::{HeaderMap, HeaderValue};
    use serde_json::json;

    use super::*;

    fn answered(status: u16, body: &str) -> Error {
        from_response(status, &HeaderMap::new(), body.as_bytes(), "sk-or-v1-secret")
    }

    #[test]
    fn every_documented_status_has_its_kind() {
        let kinds = [
            (400, ErrorKind::INVALID_REQUEST),
            (401, ErrorKind::AUTH),
            (402, ErrorKind::PAYMENT),
            (403, ErrorKind::FORBIDDEN),
            (404, ErrorKind::NOT_FOUND),
            (408, ErrorKind::TIMEOUT),
            (413, ErrorKind::TOO_LARGE),
            (422, ErrorKind::INVALID_REQUEST),
            (429, ErrorKind::RATE_LIMIT),
            (500, ErrorKind::UNAVAILABLE),
            (502, ErrorKind::UNAVAILABLE),
            (503, ErrorKind::UNAVAILABLE),
            (524, ErrorKind::TIMEOUT),
            (529, ErrorKind::UNAVAILABLE),
            (307, ErrorKind::PROTOCOL),
        ];
        for (status, kind) in kinds {
            let body = json!({"error": {"code": status, "message": "because"}}).to_string();
            let error = answered(status, &body);
            assert_eq!((error.kind, error.details.status), (kind, Some(status)));
            assert_eq!(error.message, format!("the service answered {status}: because"));
            assert!(error.hint().is_some());
        }
    }

    #[test]
    fn the_code_may_be_a_number_a_string_or_absent() {
        for code in [json!(429), json!("429"), json!(null)] {
            let error = answered(
                429,
                &json!({"error": {"code": code, "message": "slow down"}}).to_string(),
            );
            assert_eq!((error.kind, error.details.status), (ErrorKind::RATE_LIMIT, Some(429)));
        }
        let error = from_error_object(&json!({"code": "server_error", "message": "oh"}), "");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::UNAVAILABLE, "the service reported an error: oh")
        );
    }

    #[test]
    fn the_service_says_how_long_to_wait_in_several_ways() {
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
            from_response(429, &headers, b"{}", "").retry_after_ms
        };
        assert_eq!(wait("retry-after", "7"), Some(7000));
        assert_eq!(wait("retry-after", "0.5"), Some(500));
        assert_eq!(wait("retry-after-ms", "1500"), Some(1500));
        for nonsense in ["-1", "NaN", "1e309", "soon"] {
            assert_eq!(wait("retry-after", nonsense), None);
        }
        let body = json!({"error": {"message": "m", "availability": {"retryable": true, "retry_after": 2}}});
        let error = answered(503, &body.to_string());
        assert_eq!((error.retry_after_ms, error.is_retryable()), (Some(2000), true));
    }

    #[test]
    fn the_body_outweighs_the_status_in_what_may_be_retried() {
        let body = json!({"error": {"message": "m", "availability": {"code": "no_endpoints", "retryable": false}}});
        let error = answered(503, &body.to_string());
        assert!(!error.is_retryable());
        assert_eq!(error.details.error_type.as_deref(), Some("no_endpoints"));
    }

    #[test]
    fn a_web_page_is_reported_by_its_title() {
        let error = answered(
            502,
            "<html><head><title>502 Bad\n Gateway</title></head><body>long</body></html>",
        );
        assert_eq!(
            error.message,
            "the service answered 502 with a page titled `502 Bad Gateway`"
        );
        assert_eq!(
            answered(503, "").message,
            "the service answered 503 with no explanation"
        );
        assert_eq!(
            answered(503, "busy").message,
            "the service answered 503 with an answer that is not JSON"
        );
    }

    #[test]
    fn a_key_never_leaves_in_a_message() {
        let body = json!({"error": {"message": "key sk-or-v1-secret is bad, so is (sk-or-v1-0a1b2c) here"}});
        let error = answered(401, &body.to_string());
        assert_eq!(
            error.message,
            "the service answered 401: key [key] is bad, so is ([key]) here"
        );
        assert_eq!(scrub("my own secret word", "secret"), "my own [key] word");
    }

    #[test]
    fn a_long_message_is_shortened_between_characters() {
        let short = scrub(&"é".repeat(5000), "");
        assert!(short.len() <= MAX_MESSAGE_BYTES + "…".len() && short.ends_with('…'));
    }
}
