//! Turns what the service reports about a failed call into one typed [`Error`].
//!
//! In: HTTP statuses, headers and bodies, and error objects from inside a stream.
//! Out: the kind, the service's own message, a remedy, and the wait that the service asks for. Pure.
//! No error from here contains the key, a URL's query or a prompt.
//!
//! An error inside an answer is read without a clock, so a limit that ends at a moment leaves here as that moment;
//! [`until_then`] turns it into a wait.

use std::time::{Duration, SystemTime};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use plugin_api::{Attempt, Error, ErrorKind};
use serde_json::Value;

use crate::failure::retry::affordable_tokens;
use crate::failure::shapes::{self, number};
use crate::failure::table;
use crate::values::secret::scrub;

/// The longest wait that is reported, in milliseconds: a day. Longer ones are cut to it.
const MAX_WAIT_MS: u64 = 86_400_000;

/// The error for an answer whose status is not 200.
///
/// - In: at most the first 64 KiB of the body, which may be JSON in several shapes or a web page;
///   `now`, for a `Retry-After` date that comes without a `Date` header.
pub fn from_response(status: u16, headers: &HeaderMap, body: &[u8], secret: &str, now: SystemTime) -> Error {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    let mut error = match &parsed {
        Some(document) if names_an_error(document) => from_object(document, Some(status), Some(now), secret),
        _ => {
            let found = if body.is_empty() {
                "no explanation".to_owned()
            } else {
                page(body, secret)
            };
            // Cloudflare, in front of the service, finds the request in its log by this id.
            let ray =
                text_header(headers, "cf-ray").map_or(String::new(), |ray| format!(" (ray {})", scrub(&ray, secret)));
            with_status(status, &format!("the service answered {status} with {found}{ray}"))
        }
    };
    error.retry_after_ms = retry_after_ms(status, headers, Some(now)).or(error.retry_after_ms);
    error.details.generation_id = text_header(headers, "x-generation-id").map(|id| scrub(&id, secret));
    error.details.request_id = request_id(headers, secret);
    if let Some(document) = &parsed {
        error.details.attempts = router_attempts(&document["openrouter_metadata"], secret);
        error.details.attempts.extend(previous_errors(document, secret));
    }
    error
}

/// The attempts that the service itself made for one request, from its metadata.
pub fn router_attempts(metadata: &Value, secret: &str) -> Vec<Attempt> {
    let attempts = metadata["attempts"].as_array().into_iter().flatten();
    attempts.map(|reported| attempt(reported, "status", secret)).collect()
}

/// The attempts that failed before the final error of a request, from that error.
fn previous_errors(document: &Value, secret: &str) -> Vec<Attempt> {
    let errors = document["error"]["metadata"]["previous_errors"].as_array();
    let errors = errors.into_iter().flatten();
    errors
        .map(|reported| {
            let key = if reported["status"].is_null() { "code" } else { "status" };
            attempt(reported, key, secret)
        })
        .collect()
}

fn attempt(reported: &Value, status_key: &str, secret: &str) -> Attempt {
    let text = |key: &str| reported[key].as_str().map(|text| scrub(text, secret));
    let status = number(&reported[status_key]);
    Attempt {
        model: text("model").unwrap_or_default(),
        provider: text("provider").or_else(|| text("provider_name")),
        status,
        code: status
            .filter(|status| *status != 200)
            .map(|status| table::meaning_of_status(status).0.code().to_owned()),
        reason: text("message"),
    }
}

/// The attempt that ended with `error`. If the error does not name the model that failed, it is `asked`.
pub fn attempt_of(error: &Error, asked: &str) -> Attempt {
    Attempt {
        model: error.details.model.clone().unwrap_or_else(|| asked.to_owned()),
        provider: error.details.provider.clone(),
        status: error.details.status,
        code: Some(error.kind.code().to_owned()),
        reason: Some(error.message.clone()),
    }
}

/// Whether an error came from the service itself rather than from a gateway that could not reach it.
pub fn is_the_services_own(error: &Error) -> bool {
    error.details.error_type.is_some()
        || error.details.provider.is_some()
        || !error.details.attempts.is_empty()
        || error.details.status.is_some_and(|status| status < 500)
}

/// The error for an object `{code, message, metadata}` that came with status 200, instead of an answer or in the middle
/// of a stream. Its wait may be a moment; see [`until_then`].
pub fn from_error_object(object: &Value, secret: &str) -> Error {
    from_object(object, None, None, secret)
}

/// Turns the moment that a limit ends, in milliseconds since 1970, into a wait. A wait stays as it is.
pub fn until_then(error: &mut Error, now: SystemTime) {
    if let Some(at_ms) = error.retry_after_ms.filter(|ms| *ms > MAX_WAIT_MS) {
        let then = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at_ms));
        let wait = then.map_or(Duration::MAX, |then| then.duration_since(now).unwrap_or_default());
        error.retry_after_ms = Some(whole_ms(wait).min(MAX_WAIT_MS));
    }
}

/// Whether the body of an answer that is not 200 is more than JSON about something else.
fn names_an_error(body: &Value) -> bool {
    matches!(body["error"], Value::Object(_) | Value::String(_)) || body["object"] == "error" || shapes::has_words(body)
}

fn from_object(object: &Value, status: Option<u16>, now: Option<SystemTime>, secret: &str) -> Error {
    let opened = shapes::opened(object);
    let told = shapes::told(&opened);
    let (metadata, availability) = (told.member("metadata"), told.member("availability"));
    let code = told.code();
    // A code inside an answer with status 200 is not an HTTP status, so the message does not call it one.
    let verb = if status.is_some() { "answered" } else { "reported error" };
    let status = status.or(code);
    let message = scrub(&told.message, secret);
    let reason = match status.and_then(table::sentence_of_status) {
        _ if !message.is_empty() => message,
        Some(sentence) => sentence.to_owned(),
        None => "no reason given".to_owned(),
    };
    let mut error = match status {
        Some(status) => with_status(status, &format!("the service {verb} {status}: {reason}")),
        None => Error::new(
            ErrorKind::UNAVAILABLE,
            format!("the service reported an error: {reason}"),
        ),
    };
    // The most specific one first.
    let words = [availability["code"].as_str(), metadata["error_type"].as_str()];
    let words: Vec<&str> = words.into_iter().flatten().chain(told.types()).collect();
    let known = words.iter().find_map(|word| table::meaning_of_word(word));
    let known = known.or_else(|| table::meaning_of_message(&error.message));
    let error_type = known.map(|row| row.code).or(words.first().copied());
    error.details.error_type = error_type
        .filter(|word| number(&Value::from(*word)).is_none())
        .map(|word| scrub(word, secret));
    if let Some(row) = known {
        error.kind = row.kind;
        error.details.hint = Some(row.remedy.to_owned());
    }
    error.details.provider = metadata["provider_name"].as_str().map(|name| scrub(name, secret));
    error.details.retryable = availability["retryable"].as_bool();
    let available_ms = availability["retry_after"].as_f64().and_then(milliseconds);
    let waits = headers_in(metadata);
    error.retry_after_ms = available_ms.or_else(|| retry_after_ms(status.unwrap_or(0), &waits, now));
    if let Some(hint) = hint_for(&error) {
        error.details.hint = Some(hint);
    }
    let is_in_flight = metadata["limit_source"] == "openrouter_in_flight_budget";
    if is_in_flight && metadata["reason"] != "weight_exceeds_budget" {
        // Source: OpenRouter docs, `api_reference/limits`: the credit is set aside for requests that have not ended.
        error.details.retryable = Some(true);
        error.details.hint = Some("wait until other requests have ended, send fewer at once, or add credit".to_owned());
    }
    error
}

/// The hint for what only the message says.
fn hint_for(error: &Error) -> Option<String> {
    if let Some(tokens) = affordable_tokens(error) {
        return Some(format!(
            "ask for at most {tokens} tokens with `--max-tokens {tokens}` or `parameters.maxTokens` in the profile, or add \
             credit at https://openrouter.ai/settings/credits"
        ));
    }
    let message = error.message.to_ascii_lowercase();
    let says = |words| error.kind == ErrorKind::NOT_FOUND && message.contains(words);
    if says("data policy") {
        let row = table::meaning_of_word("privacy_restricted");
        return row.map(|row| row.remedy.to_owned());
    }
    says("support tool use").then(|| {
        "choose a model that supports tools: `agent-host models --tools` lists them; or relax the provider preferences".to_owned()
    })
}

fn with_status(status: u16, message: &str) -> Error {
    let (kind, hint) = table::meaning_of_status(status);
    let mut error = Error::new(kind, message).with_hint(hint);
    error.details.status = Some(status);
    error
}

/// The headers about waits in the metadata of an error. Gateways and providers spell and place them in several ways.
fn headers_in(metadata: &Value) -> HeaderMap {
    let places = [&metadata["headers"], metadata, &metadata["limit_source"]];
    let members = places.into_iter().filter_map(Value::as_object).flatten();
    let headers = members.filter_map(|(name, value)| {
        let name = name.to_ascii_lowercase().replace('_', "-");
        let name = match name.as_str() {
            "retry-after" | "retry-after-seconds" => "retry-after",
            "retry-after-ms" => "retry-after-ms",
            "x-ratelimit-reset" | "ratelimit-reset" | "reset" | "reset-at" => "x-ratelimit-reset",
            _ => return None,
        };
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        Some((HeaderName::from_static(name), HeaderValue::from_str(&value).ok()?))
    });
    headers.collect()
}

/// The wait that the service asks for, in milliseconds; the longest one if it names several.
/// Invalid values are ignored.
///
/// - In: without `now`, a moment stays one, in milliseconds since 1970.
fn retry_after_ms(status: u16, headers: &HeaderMap, now: Option<SystemTime>) -> Option<u64> {
    let all = |name: &'static str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .map(str::trim)
    };
    let precise = all("retry-after-ms")
        .filter_map(|text| milliseconds(text.parse::<f64>().ok()? / 1000.0))
        .max();
    if precise.is_some() {
        return precise;
    }
    // This machine's clock may be wrong, so the service's own one counts if it sends it.
    let now = all("date")
        .find_map(|text| httpdate::parse_http_date(text).ok())
        .or(now);
    let until = |then: SystemTime| match now {
        Some(now) => whole_ms(then.duration_since(now).unwrap_or_default()).min(MAX_WAIT_MS),
        None => whole_ms(then.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()),
    };
    let asked = all("retry-after").filter_map(|text| match text.parse::<f64>() {
        Ok(seconds) => milliseconds(seconds),
        Err(_) => httpdate::parse_http_date(text).ok().map(until),
    });
    let reset = || {
        // OpenRouter reports when its own limits end, in milliseconds since 1970; others do so in seconds.
        let at: u64 = all("x-ratelimit-reset").next()?.parse().ok()?;
        let at_ms = match at {
            1_000_000_000_001.. => at,
            1_000_000_001.. => at.saturating_mul(1000),
            _ => return None,
        };
        let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(at_ms))?;
        (status == 429).then(|| until(at))
    };
    asked.max().or_else(reset)
}

fn milliseconds(seconds: f64) -> Option<u64> {
    let wait = Duration::try_from_secs_f64(seconds).ok()?;
    Some(whole_ms(wait).min(MAX_WAIT_MS))
}

fn whole_ms(wait: Duration) -> u64 {
    u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
}

/// The id of a request: the service's own, or that of Cloudflare in front of it.
pub fn request_id(headers: &HeaderMap, secret: &str) -> Option<String> {
    let ids = ["x-request-id", "request-id", "cf-ray"].into_iter();
    let mut known = ids.filter_map(|name| text_header(headers, name));
    known.next().map(|id| scrub(&id, secret))
}

fn text_header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The error for an answer, or a part of one, that exceeds `limits.answerMib`.
pub fn too_large(what: &str, limit_bytes: usize) -> Error {
    let message = format!("expected {what} of at most {} MiB, found more", limit_bytes >> 20);
    Error::new(ErrorKind::TOO_LARGE, message).with_hint("raise `limits.answerMib` in the profile")
}

/// Describes a body that should be JSON and is not.
pub fn page(body: &[u8], secret: &str) -> String {
    match page_title(body) {
        Some(title) => format!("a page titled `{}`", scrub(&title, secret)),
        None => "a body that is not JSON".to_owned(),
    }
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

#[cfg(test)]
mod tests {
    use http::header::{HeaderMap, HeaderValue};
    use plugin_api::ErrorKind;
    use serde_json::json;

    use super::*;

    fn answered(status: u16, body: &str) -> Error {
        let now = SystemTime::UNIX_EPOCH;
        from_response(status, &HeaderMap::new(), body.as_bytes(), "sk-or-v1-secret", now)
    }

    #[test]
    fn every_documented_status_has_its_kind() {
        let kinds = [
            (ErrorKind::INVALID_REQUEST, &[400, 422][..]),
            (ErrorKind::AUTH, &[401]),
            (ErrorKind::PAYMENT, &[402]),
            (ErrorKind::FORBIDDEN, &[403]),
            (ErrorKind::NOT_FOUND, &[404]),
            (ErrorKind::TIMEOUT, &[408, 524]),
            (ErrorKind::TOO_LARGE, &[413]),
            (ErrorKind::RATE_LIMIT, &[429]),
            (ErrorKind::UNAVAILABLE, &[500, 502, 503, 529]),
            (ErrorKind::PROTOCOL, &[307]),
        ];
        for (kind, statuses) in kinds {
            for status in statuses {
                let body = json!({"error": {"code": status, "message": "because"}}).to_string();
                let error = answered(*status, &body);
                assert_eq!((error.kind, error.details.status), (kind, Some(*status)));
                assert_eq!(error.message, format!("the service answered {status}: because"));
                assert!(error.hint().is_some());
            }
        }
    }

    #[test]
    fn the_code_may_be_a_number_a_string_or_absent() {
        for code in [json!(429), json!("429"), json!(null)] {
            let body = json!({"error": {"code": code, "message": "slow down"}}).to_string();
            let error = answered(429, &body);
            assert_eq!((error.kind, error.details.status), (ErrorKind::RATE_LIMIT, Some(429)));
        }
        let error = from_error_object(&json!({"code": "server_error", "message": "oh"}), "");
        let found = (error.kind, error.message.as_str());
        assert_eq!(found, (ErrorKind::UNAVAILABLE, "the service reported an error: oh"));
    }

    #[test]
    fn a_wait_is_read_from_every_header_and_field_that_names_one() {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").expect("a date");
        let wait = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(value).expect("a header value"));
            from_response(429, &headers, b"{}", "", now).retry_after_ms
        };
        assert_eq!(wait("retry-after", "7"), Some(7000));
        assert_eq!(wait("retry-after", "0.5"), Some(500));
        assert_eq!(wait("retry-after-ms", "1500"), Some(1500));
        assert_eq!(wait("retry-after", "0"), Some(0));
        assert_eq!(wait("retry-after", "86400"), Some(86_400_000));
        assert_eq!(wait("retry-after", "1e15"), Some(MAX_WAIT_MS));
        assert_eq!(wait("retry-after", "Fri, 20 Nov 2026 12:00:30 GMT"), Some(30_000));
        assert_eq!(wait("retry-after", "Fri, 20 Nov 2026 11:00:00 GMT"), Some(0));
        assert_eq!(wait("x-ratelimit-reset", "1795176005000"), Some(5000));
        assert_eq!(wait("x-ratelimit-reset", "1795176005"), Some(5000));
        assert_eq!(wait("x-ratelimit-reset", "5"), None);
        for nonsense in ["-1", "NaN", "1e309", "soon", ""] {
            assert_eq!(wait("retry-after", nonsense), None, "{nonsense}");
        }
        let mut several = HeaderMap::new();
        for (name, value) in [
            ("retry-after", "2"),
            ("retry-after", "Fri, 20 Nov 2026 10:00:09 GMT"),
            ("date", "Fri, 20 Nov 2026 10:00:00 GMT"),
        ] {
            several.append(name, HeaderValue::from_static(value));
        }
        let error = from_response(503, &several, b"", "", now);
        // The longest one, by the service's clock.
        assert_eq!(error.retry_after_ms, Some(9000));
        let body = json!({"error": {"message": "m", "availability": {"retryable": true, "retry_after": 2}}});
        let error = answered(503, &body.to_string());
        assert_eq!((error.retry_after_ms, error.is_retryable()), (Some(2000), true));
    }

    #[test]
    fn the_end_of_a_limit_is_read_inside_the_error_too() {
        let now = httpdate::parse_http_date("Fri, 20 Nov 2026 12:00:00 GMT").expect("a date");
        for metadata in [
            json!({"headers": {"X-RateLimit-Reset": "1795176005000"}}),
            json!({"headers": {"x-ratelimit-reset": 1_795_176_005}}),
            json!({"headers": {"Retry-After": 5}}),
            json!({"retry_after_seconds": 5}),
            json!({"retry_after_ms": "5000"}),
            json!({"limit_source": {"reset_at": 1_795_176_005_000_u64}}),
        ] {
            let object = json!({"code": 429, "message": "m", "metadata": metadata});
            let body = json!({"error": object}).to_string();
            let by_status = from_response(429, &HeaderMap::new(), body.as_bytes(), "", now);
            let mut inside = from_error_object(&object, "");
            until_then(&mut inside, now);
            let found = [by_status.retry_after_ms, inside.retry_after_ms];
            assert_eq!(found, [Some(5000), Some(5000)], "{object}");
        }
        for odd in [
            json!(u64::MAX),
            json!([1]),
            json!({"a": 1}),
            json!("soon"),
            json!(-1),
            json!("1\n2"),
        ] {
            let object = json!({"code": 429, "metadata": {"headers": {"x-ratelimit-reset": odd, "retry-after": odd}}});
            let mut inside = from_error_object(&object, "");
            until_then(&mut inside, now);
            assert!(inside.retry_after_ms.is_none_or(|ms| ms <= MAX_WAIT_MS), "{object}");
        }
    }

    #[test]
    fn credit_that_is_set_aside_is_worth_waiting_for() {
        let refusal = |reason: &str, source: &str| {
            let metadata = json!({"reason": reason, "limit_source": source});
            let body = json!({"error": {"code": 402, "message": "too many at once", "metadata": metadata}});
            answered(402, &body.to_string()).is_retryable()
        };
        assert!(refusal("in_flight_budget_exhausted", "openrouter_in_flight_budget"));
        assert!(!refusal("weight_exceeds_budget", "openrouter_in_flight_budget"));
        assert!(!refusal("", "openrouter_key_limit"));
    }

    #[test]
    fn a_hint_has_the_next_command() {
        let hint = |status: u16, message: &str| {
            let body = json!({"error": {"code": status, "message": message}}).to_string();
            answered(status, &body).hint().unwrap_or_default().to_owned()
        };
        for (status, message, parts) in [
            (
                404,
                "No endpoints found matching your data policy (Free model training).",
                ["https://openrouter.ai/settings/privacy", "`privacy`"],
            ),
            (
                404,
                "No endpoints found that support tool use. Try another.",
                ["`agent-host models --tools`", "supports tools"],
            ),
            (
                402,
                "You requested up to 9000 tokens, but can only afford 200.",
                ["`--max-tokens 200`", "`parameters.maxTokens`"],
            ),
        ] {
            let hint = hint(status, message);
            assert!(parts.iter().all(|part| hint.contains(part)), "{message}: {hint}");
        }
        assert_eq!(hint(400, "your data policy"), hint(400, ""));
    }

    #[test]
    fn the_body_decides_about_a_retry_before_the_status_does() {
        let body = json!({"error": {"message": "m", "availability": {"code": "no_endpoints", "retryable": false}}});
        let error = answered(503, &body.to_string());
        assert!(!error.is_retryable());
        assert_eq!(error.details.error_type.as_deref(), Some("no_endpoints"));
    }

    #[test]
    fn a_nested_error_has_its_words_its_code_and_its_type() {
        let inner = r#"{"error":{"type":"context_length_exceeded","message":"key sk-or-v1-secret","code":400}}"#;
        let error = from_error_object(&json!({"error": {"message": inner}}), "sk-or-v1-secret");
        assert_eq!(error.message, "the service reported error 400: key [key]");
        assert_eq!(error.details.error_type.as_deref(), Some("context_length_exceeded"));
        assert_eq!(
            answered(422, r#"{"detail":[{"msg":"long"}]}"#).message,
            "the service answered 422: long"
        );
    }

    #[test]
    fn a_web_page_is_reported_by_its_title() {
        let page = "<html><head><title>502 Bad\n Gateway</title></head><body>long</body></html>";
        for (body, expected) in [
            (page, "a page titled `502 Bad Gateway`"),
            ("", "no explanation"),
            ("busy", "a body that is not JSON"),
        ] {
            let message = answered(502, body).message;
            assert_eq!(message, format!("the service answered 502 with {expected}"));
        }
    }
}
