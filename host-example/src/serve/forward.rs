//! Hands a request to the plugin and its answer back, both as they are.
//!
//! What concerns only one connection, the caller's credentials and what a browser adds stay here. An answer gets headers that say who
//! served it and what became of the request on the way.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use plugin_api::{Blob, ChatEvent, Done, Error, EventStream, HttpAnswer, HttpRequest, Notice};
use serde_json::json;

use super::guard::KEY_HEADERS;
use super::problem::{error_object, json_response, status_of};
use super::record::Record;
use super::route::Dialect;
use super::server::Serving;
use super::stream::{Body, Form, Source};
use super::typed::{self, Asked, Writer};

const X_SERVED_MODEL: HeaderName = HeaderName::from_static("x-served-model");
const X_SERVED_PROVIDER: HeaderName = HeaderName::from_static("x-served-provider");
const X_ATTEMPTS: HeaderName = HeaderName::from_static("x-attempts");
const X_COST_USD: HeaderName = HeaderName::from_static("x-cost-usd");
const X_GENERATION_ID: HeaderName = HeaderName::from_static("x-generation-id");
const X_TRANSLATED: HeaderName = HeaderName::from_static("x-translated");
const X_NOTICES: HeaderName = HeaderName::from_static("x-notices");
const X_HINT: HeaderName = HeaderName::from_static("x-hint");
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The headers that a page may read beside the harmless ones.
pub const EXPOSED: &str = "x-served-model, x-served-provider, x-attempts, x-cost-usd, x-generation-id, x-translated, x-notices, x-hint, x-request-id, retry-after, age, warning";

/// What a notice's code begins with that tells of a translated form.
const TRANSLATED: &str = "translated.";

/// What concerns one connection alone, and no answer and no request beyond it.
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

/// What a request says to this endpoint and to nobody else.
const OWN_REQUEST_HEADERS: [&str; 12] = [
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
];

/// What an answer says about the service's connection or to a browser, for whom this endpoint has its own words.
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
    // A connection may name further headers that are its own.
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

/// Gets a whole answer.
pub async fn whole(serving: &Serving, request: HttpRequest, mut record: Record) -> Response<Body> {
    match serving.plugin.raw(request).await {
        Ok(answer) => whole_response(answer, record),
        Err(error) => failure(&error, &[], &mut record),
    }
}

fn whole_response(answer: HttpAnswer, mut record: Record) -> Response<Body> {
    let HttpAnswer {
        head,
        body,
        notices,
        done,
    } = answer;
    let mut response = Response::new(Body::whole(Bytes::from_owner(body)));
    *response.status_mut() = StatusCode::from_u16(head.status).unwrap_or(StatusCode::OK);
    let headers = response.headers_mut();
    pass(&head.headers, headers);
    tell_done(&done, headers);
    tell_notices(&notices, headers);
    record.answered(response.status());
    if response.status().is_success() {
        record.complete(Box::new(done));
    }
    response
}

/// Gets an answer in pieces. Until something of it is there, a failure still has a status of its own.
pub async fn in_pieces(
    serving: &Serving,
    request: HttpRequest,
    dialect: Dialect,
    mut record: Record,
) -> Response<Body> {
    match serving.plugin.raw_stream(request).await {
        Ok(stream) => opened(stream, Form::Raw(dialect), record).await,
        Err(error) => failure(&error, &[], &mut record),
    }
}

/// The same for a plugin that has no raw form.
pub async fn typed_in_pieces(serving: &Serving, asked: &Asked, mut record: Record) -> Response<Body> {
    match serving.plugin.stream(&asked.request).await {
        Ok(stream) => opened(stream, Form::Typed(Writer::new(asked)), record).await,
        Err(error) => failure(&error, &[], &mut record),
    }
}

/// A whole answer of a plugin that has no raw form.
pub async fn typed_whole(serving: &Serving, asked: &Asked, mut record: Record) -> Response<Body> {
    match serving.plugin.chat(&asked.request).await {
        Ok(reply) => {
            let mut response = json_response(StatusCode::OK, &typed::completion(&reply));
            tell_done(&reply.done, response.headers_mut());
            tell_notices(&reply.notices, response.headers_mut());
            record.answered(StatusCode::OK);
            record.complete(Box::new(reply.done));
            response
        }
        Err(error) => failure(&error, &[], &mut record),
    }
}

async fn opened(mut stream: EventStream, form: Form, mut record: Record) -> Response<Body> {
    let mut notices: Vec<Notice> = Vec::new();
    let first = loop {
        match stream.next().await {
            Some(Ok(ChatEvent::Notice(notice))) => notices.push(notice),
            Some(Ok(event)) => break event,
            Some(Err(error)) => return failure(&error, &notices, &mut record),
            // The stream tells an end without a `Done` as an error; this one has told everything.
            None => break ChatEvent::done(""),
        }
    };
    let mut response = Response::new(Body::whole(Bytes::new()));
    let headers = response.headers_mut();
    let mut status = StatusCode::OK;
    let mut held = Vec::new();
    if let ChatEvent::Head(head) = first {
        status = StatusCode::from_u16(head.status).unwrap_or(StatusCode::OK);
        pass(&head.headers, headers);
        // What is there together with the head may say who answers; nobody waits for it.
        held.extend(at_once(&mut stream, &mut notices).await);
    } else {
        held.push(Ok(first));
    }
    let events = HeaderValue::from_static("text/event-stream");
    let is_events = headers
        .get(header::CONTENT_TYPE)
        .is_none_or(|sent| sent.as_bytes().starts_with(events.as_bytes()));
    if is_events {
        headers.insert(header::CONTENT_TYPE, events);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_ACCEL_BUFFERING, HeaderValue::from_static("no"));
    if let Some(Ok(ChatEvent::Raw(piece))) = held.first() {
        let source = Source::of(piece);
        tell(headers, X_SERVED_MODEL, source.model.as_deref());
        tell(headers, X_SERVED_PROVIDER, source.provider.as_deref());
        tell(headers, X_GENERATION_ID, source.id.as_deref());
    }
    let failed = notices.iter().filter(|notice| notice.attempt.is_some()).count();
    headers.insert(X_ATTEMPTS, HeaderValue::from(failed + 1));
    tell_notices(&notices, headers);
    *response.status_mut() = status;
    record.status = Some(status);
    *response.body_mut() = Body::events(stream, held, form, record);
    response
}

/// The next item that is no notice, if it is there already.
async fn at_once(stream: &mut EventStream, notices: &mut Vec<Notice>) -> Option<Result<ChatEvent, Error>> {
    loop {
        let next = poll_fn(|context| match pin!(stream.next()).poll(context) {
            Poll::Ready(next) => Poll::Ready(next),
            Poll::Pending => Poll::Ready(None),
        });
        match next.await {
            Some(Ok(ChatEvent::Notice(notice))) => notices.push(notice),
            next => return next,
        }
    }
}

/// The answer to a request that failed: the service's own where it gave one.
pub fn failure(error: &Error, notices: &[Notice], record: &mut Record) -> Response<Body> {
    let mut response = match &error.details.answer {
        Some(answer) => {
            let mut response = Response::new(Body::whole(answer.body.clone()));
            *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or_else(|_| status_of(error));
            pass(&answer.headers, response.headers_mut());
            response
        }
        None => json_response(status_of(error), &json!({"error": error_object(error)})),
    };
    let headers = response.headers_mut();
    if let Some(wait_ms) = error.retry_after_ms
        && !headers.contains_key(header::RETRY_AFTER)
    {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(wait_ms.div_ceil(1000)));
    }
    let was_asked = error.details.status.is_some() || !error.details.attempts.is_empty();
    if was_asked {
        headers.insert(X_ATTEMPTS, HeaderValue::from(error.details.attempts.len().max(1)));
    }
    tell(headers, X_GENERATION_ID, error.details.generation_id.as_deref());
    // The service's own body has no place for it.
    tell(headers, X_HINT, error.hint().filter(|_| error.details.answer.is_some()));
    let notices: Vec<Notice> = notices.iter().chain(&error.details.notices).cloned().collect();
    tell_notices(&notices, headers);
    record.failed(error);
    record.answered(response.status());
    response
}

/// Passes on the service's headers, but for those that are this endpoint's to say.
fn pass(from: &[(String, String)], to: &mut HeaderMap) {
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

/// Says where a whole answer comes from. Nothing is said of an answer that no model gave.
fn tell_done(done: &Done, headers: &mut HeaderMap) {
    tell(headers, X_SERVED_MODEL, done.model.as_deref());
    tell(headers, X_SERVED_PROVIDER, done.provider.as_deref());
    tell(headers, X_GENERATION_ID, done.generation_id.as_deref());
    let cost = done.usage.as_ref().and_then(|usage| usage.cost_usd.as_deref());
    tell(headers, X_COST_USD, cost);
    if done.model.is_some() || done.requested_model.is_some() || !done.attempts.is_empty() {
        headers.insert(X_ATTEMPTS, HeaderValue::from(done.attempts.len().max(1)));
    }
}

fn tell_notices(notices: &[Notice], headers: &mut HeaderMap) {
    let (mut words, mut others): (Vec<&str>, Vec<&str>) = (Vec::new(), Vec::new());
    for notice in notices {
        let (list, word) = match notice.code.strip_prefix(TRANSLATED) {
            Some(word) => (&mut words, word),
            // Of retries the number of attempts tells.
            None if notice.attempt.is_some() || notice.wait_ms.is_some() => continue,
            None => (&mut others, notice.code.as_str()),
        };
        if !list.contains(&word) {
            list.push(word);
        }
    }
    for (name, words) in [(X_TRANSLATED, words), (X_NOTICES, others)] {
        if !words.is_empty() {
            tell(headers, name, Some(&words.join(", ")));
        }
    }
}

/// Sets a header to what is known; a text that no header can hold is left out.
fn tell(headers: &mut HeaderMap, name: HeaderName, value: Option<&str>) {
    if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_the_callers_own_does_not_go_on() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("host", "localhost"),
            ("authorization", "Bearer secret"),
            ("x-api-key", "secret"),
            ("api-key", "secret"),
            ("cookie", "secret"),
            ("content-type", "application/json"),
            ("content-length", "2"),
            ("accept-encoding", "br"),
            ("origin", "http://localhost:3000"),
            ("referer", "http://localhost:3000/private"),
            ("sec-fetch-site", "none"),
            ("x-forwarded-for", "10.0.0.7"),
            ("connection", "keep-alive, X-Mine"),
            ("x-mine", "1"),
            ("te", "trailers"),
            ("expect", "100-continue"),
            ("http-referer", "https://app.example.org"),
            ("x-title", "My App"),
            ("anthropic-version", "2023-06-01"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let request = request("POST", "/chat/completions".to_owned(), &headers, Some(b"{}".to_vec()));
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["content-type", "http-referer", "x-title", "anthropic-version"]);
        assert_eq!(
            (request.method.as_str(), request.path.as_str()),
            ("POST", "/chat/completions")
        );
        assert_eq!(request.body.as_deref(), Some(&b"{}"[..]));
    }

    #[test]
    fn what_is_the_services_connections_own_does_not_come_back() {
        let sent = [
            ("content-type", "application/json"),
            ("content-length", "7"),
            ("content-encoding", "gzip"),
            ("transfer-encoding", "chunked"),
            ("set-cookie", "a=b"),
            ("access-control-allow-origin", "*"),
            ("server", "cloudflare"),
            ("x-ratelimit-remaining", "7"),
            ("x-bad", "a\nb"),
            ("bad name", "x"),
        ];
        let sent = sent.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut headers = HeaderMap::new();
        pass(&sent, &mut headers);
        let names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["content-type", "x-ratelimit-remaining"]);
    }

    #[test]
    fn translations_are_told_once_each() {
        let notice = |code: &str| Notice::new(code, "x");
        let mut headers = HeaderMap::new();
        let retry = Notice {
            wait_ms: Some(7),
            ..notice("retry")
        };
        tell_notices(&[retry], &mut headers);
        assert!(headers.is_empty());
        let codes = [
            "translated.model-list",
            "capability",
            "translated.max-price",
            "translated.model-list",
        ];
        tell_notices(&codes.map(notice), &mut headers);
        assert_eq!(headers[X_TRANSLATED], "model-list, max-price");
        assert_eq!(headers[X_NOTICES], "capability");
    }
}
