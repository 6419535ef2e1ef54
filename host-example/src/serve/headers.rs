//! Which headers are passed on in both directions, and which ones this endpoint adds about who served an answer. Pure.

use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use plugin_api::{Attempt, Blob, Done, HttpRequest, Notice};

use super::guard::KEY_HEADERS;

pub const X_SERVED_MODEL: HeaderName = HeaderName::from_static("x-served-model");
pub const X_SERVED_PROVIDER: HeaderName = HeaderName::from_static("x-served-provider");
pub const X_ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");
pub const X_COST_USD: HeaderName = HeaderName::from_static("x-cost-usd");
pub const X_GENERATION_ID: HeaderName = HeaderName::from_static("x-generation-id");
pub const X_TRANSLATED: HeaderName = HeaderName::from_static("x-translated");
pub const X_NOTICES: HeaderName = HeaderName::from_static("x-notices");
pub const X_LACKS: HeaderName = HeaderName::from_static("x-lacks");
pub const X_FALLBACK: HeaderName = HeaderName::from_static("x-fallback");
pub const X_HINT: HeaderName = HeaderName::from_static("x-hint");
/// In a request: `on` or `off`. In an answer: `hit` or `miss`.
pub const X_CACHE: HeaderName = HeaderName::from_static("x-agent-host-cache");
pub const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The headers that a web page may read besides the safelisted ones.
pub const EXPOSED: &str = "x-served-model, x-served-provider, x-attempts, x-cost-usd, x-generation-id, x-fallback, x-translated, x-notices, x-lacks, x-hint, x-agent-host-cache, x-request-id, retry-after, age, warning";

/// The longest `x-fallback`, and the longest id of a model in it, in bytes.
const MAX_FALLBACK_BYTES: usize = 512;
const MAX_MODEL_BYTES: usize = 100;

/// The prefix of notice codes about a translated request.
const TRANSLATED: &str = "translated.";

/// Headers that belong to one connection.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Request headers that are meant for this endpoint alone.
const OWN_REQUEST_HEADERS: [&str; 13] = [
    "authorization",
    "cookie",
    "host",
    "content-length",
    "accept-encoding",
    "expect",
    "origin",
    "referer",
    "forwarded",
    "via",
    "x-real-ip",
    "dnt",
    "x-agent-host-cache",
];

/// Answer headers about the service's connection or for browsers, which this endpoint sets itself.
const OWN_ANSWER_HEADERS: [&str; 8] = [
    "content-length",
    "content-encoding",
    "set-cookie",
    "date",
    "server",
    "strict-transport-security",
    "alt-svc",
    "vary",
];

/// The request for the plugin.
pub fn request(method: &str, path: String, headers: &HeaderMap, body: Option<Vec<u8>>) -> HttpRequest {
    // `Connection` may name further headers of this kind.
    let named: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let goes_on = |name: &str| {
        !HOP_BY_HOP.contains(&name)
            && !OWN_REQUEST_HEADERS.contains(&name)
            && !KEY_HEADERS.iter().any(|key| key == name)
            && !["sec-", "x-forwarded-", "access-control-"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
            && !named.iter().any(|named| named == name)
    };
    let headers = headers
        .iter()
        .filter(|(name, _)| goes_on(name.as_str()))
        .filter_map(|(name, value)| {
            Some((
                name.as_str().to_owned(),
                str::from_utf8(value.as_bytes()).ok()?.to_owned(),
            ))
        });
    HttpRequest {
        headers: headers.collect(),
        body: body.map(Blob::from),
        ..HttpRequest::new(method, path)
    }
}

/// Passes on the service's headers, except those that this endpoint sets itself.
pub fn pass(from: &[(String, String)], to: &mut HeaderMap) {
    let goes_on = |name: &str| {
        !HOP_BY_HOP.contains(&name) && !OWN_ANSWER_HEADERS.contains(&name) && !name.starts_with("access-control-")
    };
    for (name, value) in from {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::from_str(value))
            && goes_on(name.as_str())
        {
            to.append(name, value);
        }
    }
}

/// Adds who served a whole answer, if a model did.
pub fn set_done(done: &Done, headers: &mut HeaderMap) {
    set(headers, X_SERVED_MODEL, done.model.as_deref());
    set(headers, X_SERVED_PROVIDER, done.provider.as_deref());
    set(headers, X_GENERATION_ID, done.generation_id.as_deref());
    let cost = done.usage.as_ref().and_then(|usage| usage.cost_usd.as_deref());
    set(headers, X_COST_USD, cost);
    if done.model.is_some() || done.requested_model.is_some() || !done.attempts.is_empty() {
        headers.insert(X_ATTEMPTS, HeaderValue::from(done.attempts.len().max(1)));
    }
}

pub fn set_notices(notices: &[Notice], headers: &mut HeaderMap) {
    let (mut words, mut others): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for notice in notices {
        let (list, word) = match notice.code.strip_prefix(TRANSLATED) {
            Some(word) => (&mut words, word),
            // `x-attempts` already counts retries.
            None if notice.attempt.is_some() || notice.wait_ms.is_some() => continue,
            None => (&mut others, notice.code.as_str()),
        };
        if !list.contains(&word) {
            list.push(word);
        }
    }
    let mut lacks: Vec<&str> = Vec::new();
    for ability in notices
        .iter()
        .filter_map(|notice| notice.about.as_ref()?.ability.as_deref())
    {
        if !lacks.contains(&ability) {
            lacks.push(ability);
        }
    }
    for (name, words) in [(X_TRANSLATED, words), (X_NOTICES, others), (X_LACKS, lacks)] {
        if !words.is_empty() {
            set(headers, name, Some(&words.join(", ")));
        }
    }
}

/// Adds the models that another one replaced, and why: `acme/large (503 unavailable), acme/new (rate_limit)`.
pub fn set_fallback(notices: &[Notice], headers: &mut HeaderMap) {
    let mut passed_over: Vec<&Attempt> = Vec::new();
    for attempt in notices
        .iter()
        .filter_map(|notice| notice.about.as_ref())
        .flat_map(|about| &about.passed_over)
    {
        // The last thing learnt about a model best explains why it did not answer.
        passed_over.retain(|earlier| earlier.model != attempt.model);
        passed_over.push(attempt);
    }
    let mut text = String::new();
    for attempt in passed_over {
        let between = if text.is_empty() { "" } else { ", " };
        let entry = format!("{between}{}", passed_over_entry(attempt));
        if text.len() + entry.len() > MAX_FALLBACK_BYTES - ", ...".len() {
            text.push_str(", ...");
            break;
        }
        text.push_str(&entry);
    }
    set(headers, X_FALLBACK, Some(text.as_str()).filter(|text| !text.is_empty()));
}

/// A model with the status and the code of its failure, as far as they are known. Plain ASCII, whatever an id holds.
fn passed_over_entry(attempt: &Attempt) -> String {
    let plain = |text: &str| -> String {
        let is_plain = |letter: char| letter.is_ascii_graphic() && !"(),".contains(letter);
        let letters = text.chars().take(MAX_MODEL_BYTES);
        letters
            .map(|letter| if is_plain(letter) { letter } else { '?' })
            .collect()
    };
    let status = attempt.status.map(|status| status.to_string());
    let why: Vec<String> = status.into_iter().chain(attempt.code.as_deref().map(plain)).collect();
    match why.is_empty() {
        true => plain(&attempt.model),
        false => format!("{} ({})", plain(&attempt.model), why.join(" ")),
    }
}

/// Sets a header if there is a value that fits into one.
pub fn set(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::About;

    use super::*;

    #[test]
    fn the_callers_own_headers_are_not_passed_on() {
        let mut headers = HeaderMap::new();
        let private = "host authorization x-api-key api-key cookie content-length accept-encoding origin referer \
            sec-fetch-site x-forwarded-for x-mine te expect";
        let public = "content-type http-referer x-title anthropic-version";
        for name in private.split_whitespace().chain(public.split_whitespace()) {
            headers.append(name, HeaderValue::from_static("1"));
        }
        headers.append("connection", HeaderValue::from_static("keep-alive, X-Mine"));
        let request = request("POST", "/chat/completions".to_owned(), &headers, Some(b"{}".to_vec()));
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.join(" "), public);
        assert_eq!(format!("{} {}", request.method, request.path), "POST /chat/completions");
        assert_eq!(request.body.as_deref(), Some(&b"{}"[..]));
    }

    #[test]
    fn the_services_connection_headers_are_not_passed_back() {
        let names = "content-type content-length content-encoding transfer-encoding set-cookie \
            access-control-allow-origin server x-ratelimit-remaining";
        let sent = names.split_whitespace().map(|name| (name, "1"));
        let sent = sent.chain([("x-bad", "a\nb"), ("bad name", "x")]);
        let sent: Vec<_> = sent.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut headers = HeaderMap::new();
        pass(&sent, &mut headers);
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x-ratelimit-remaining"]);
    }

    #[test]
    fn each_translation_is_listed_once() {
        let notice = |code: &str| Notice::new(code, "x");
        let mut headers = HeaderMap::new();
        let mut retry = notice("retry");
        retry.wait_ms = Some(7);
        set_notices(&[retry], &mut headers);
        assert!(headers.is_empty());
        let codes = [
            "translated.model-list",
            "capability",
            "translated.max-price",
            "translated.model-list",
        ];
        set_notices(&codes.map(notice), &mut headers);
        assert_eq!(headers[X_TRANSLATED], "model-list, max-price");
        assert_eq!(headers[X_NOTICES], "capability");
    }

    fn about(about: About) -> Notice {
        Notice::new("x", "y").with_about(about)
    }

    #[test]
    fn each_missing_ability_is_named_once() {
        let lacks = |ability: &str| about(About::ability(ability));
        let mut headers = HeaderMap::new();
        set_notices(&["tools", "image_input", "tools"].map(lacks), &mut headers);
        assert_eq!(headers[X_LACKS], "tools, image_input");
    }

    #[test]
    fn replaced_models_are_named_shortly_and_in_plain_ascii() {
        let replaced = |model: &str, status: Option<u16>, code: Option<&str>| {
            let (model, code) = (model.to_owned(), code.map(str::to_owned));
            about(About::passed_over([Attempt {
                model,
                status,
                code,
                ..Attempt::default()
            }]))
        };
        let shown = |notices: &[Notice]| {
            let mut headers = HeaderMap::new();
            set_fallback(notices, &mut headers);
            let value = headers.get(X_FALLBACK).map(|value| value.to_str().map(str::to_owned));
            value.transpose().expect("plain ASCII")
        };
        assert_eq!(shown(&[Notice::new("fallback", "x")]), None);
        let known = [
            replaced("acme/large", None, None),
            replaced("acme/held", None, Some("rate_limit")),
            replaced("acme/large", Some(503), Some("unavailable")),
            replaced("ac me/é\n,(x)", Some(418), None),
        ];
        let expected = "acme/held (rate_limit), acme/large (503 unavailable), ac?me/????x? (418)";
        assert_eq!(shown(&known).as_deref(), Some(expected));
        let many: Vec<Notice> = (0..9)
            .map(|n| replaced(&format!("{n}{}", "x".repeat(200)), None, None))
            .collect();
        let many = shown(&many).expect("a header");
        assert!(many.len() <= MAX_FALLBACK_BYTES && many.ends_with("x, ..."), "{many}");
    }
}
