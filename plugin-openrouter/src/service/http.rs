//! Sends a request, waits for the head of the answer, and reads bodies up to a limit.
//!
//! In: a request. Out: an answer with status 200, or a typed failure. The body is parsed in the next step.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http_body::Body as _;
use plugin_api::{Error, ErrorKind, Head, ServiceAnswer};
use reqwest::header::{self, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use crate::failure;
use crate::failure::retry::{Class, Failed};
use crate::service::clock::{Clock, Due};
use crate::service::{Service, transport};
use crate::values::secret;

/// The most bytes of an error's body that are read.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// The longest wait for the body of an error.
const ERROR_BODY_LIMIT: Duration = Duration::from_secs(5);

/// A body that is being read.
pub type Body = Pin<Box<reqwest::Body>>;

/// One request of a call.
pub struct Sending {
    pub method: Method,
    pub url: Url,
    pub body: Option<Bytes>,
    /// All headers but the key and `Accept-Encoding`.
    pub headers: HeaderMap,
    /// Whether the answer is streamed.
    pub stream: bool,
    /// Whether the caller wants the answer, or the error, as the service wrote it.
    pub has_raw: bool,
    /// Whether every 2xx status is an answer, not only 200.
    pub takes_any_success: bool,
}

/// Sends a request and waits for the head of the answer.
///
/// - Errors: by the status; `timeout` after the first-token timeout if streamed, else the total timeout; `connect`.
pub async fn send(service: &Service, request: Sending, clock: Clock) -> Result<reqwest::Response, Failed> {
    let mut headers = request.headers;
    if let Some(key) = &service.key {
        headers.insert(header::AUTHORIZATION, key.header.clone());
    }
    // Compression delays a stream, and a small compressed answer may unpack to a huge one.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut sending = service.client.request(request.method, request.url).headers(headers);
    if let Some(body) = request.body {
        sending = sending.body(body);
    }
    let sending = sending.send();
    let what = "the service did not begin to answer";
    // Without a stream there is no first token: the head arrives when the answer is complete.
    let due = if request.stream {
        clock.first_token(what).or(Due { what, ..clock.total() })
    } else {
        Due { what, ..clock.total() }
    };
    let response = due
        .wait(sending)
        .await
        .map_err(|late| Failed::new(Class::Ambiguous, late))?
        .map_err(|cause| transport::from_transport(&cause, service))?;
    let status = response.status().as_u16();
    if status == 200 || request.takes_any_success && response.status().is_success() {
        refuse_compressed(&response)?;
        return Ok(response);
    }
    let head: HeaderMap = response.headers().clone();
    let mut body = Vec::new();
    // Without its body it is still the same error, so the body is not worth a long wait.
    let soon = Due {
        at: due.at.min(Instant::now() + ERROR_BODY_LIMIT),
        ..due
    };
    let response = Box::pin(reqwest::Body::from(response));
    let _ = soon
        .wait(read_body(&mut body, response, MAX_ERROR_BODY_BYTES, || None))
        .await;
    let mut error = failure::from_response(status, &head, &body, service.secret(), SystemTime::now());
    // Anything else is the page of a gateway, not an answer of the service.
    let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok();
    if request.has_raw && is_json {
        let Head { status, headers } = head_of(status, &head, service.secret());
        let body = secret::without_keys(&String::from_utf8_lossy(&body), service.secret());
        error.details.answer = Some(Box::new(ServiceAnswer { status, headers, body }));
    }
    Err(Failed {
        is_of_all_models: true,
        ..Failed::reported(error)
    })
}

/// Headers of an answer that the caller gets, besides those that begin with one of [`PASSED_PREFIXES`].
const PASSED_HEADERS: [&str; 8] = [
    "content-type",
    "content-disposition",
    "x-generation-id",
    "x-request-id",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "openai-processing-ms",
];
const PASSED_PREFIXES: [&str; 3] = ["x-openrouter-", "x-ratelimit-", "anthropic-ratelimit-"];

/// The part of an answer's head that the caller gets.
pub fn head_of(status: u16, headers: &HeaderMap, secret: &str) -> Head {
    let is_passed =
        |name: &str| PASSED_HEADERS.contains(&name) || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let passed = headers.iter().filter(|(name, _)| is_passed(name.as_str()));
    let headers = passed
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), secret::scrub(value.to_str().ok()?, secret))))
        .collect();
    Head { status, headers }
}

/// Refuses a compressed answer: none was requested, and a few bytes of it can unpack to gigabytes.
fn refuse_compressed(response: &reqwest::Response) -> Result<(), Failed> {
    let encoding = response.headers().get(header::CONTENT_ENCODING);
    let Some(encoding) = encoding.filter(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) else {
        return Ok(());
    };
    let name: String = String::from_utf8_lossy(encoding.as_bytes()).chars().take(20).collect();
    let message = format!(
        "expected an uncompressed answer, found content encoding `{}`",
        name.escape_debug()
    );
    let error = Error::new(ErrorKind::PROTOCOL, message)
        .with_hint("check whether a proxy between here and the service compresses answers");
    Err(Failed::new(Class::Final, error))
}

/// Reads the body of an answer that is not streamed.
///
/// - Errors: `too_large` beyond `limit_bytes`; `timeout` after the total timeout; `interrupted`.
pub async fn whole_body(response: reqwest::Response, limit_bytes: usize, clock: Clock) -> Result<Bytes, Failed> {
    let body = Box::pin(reqwest::Body::from(response));
    rest_of_body(Bytes::new(), body, limit_bytes, clock, false).await
}

/// Reads the rest of a body whose first piece is already read.
///
/// - In: `stream`, whether a stream was requested; then the idle and first-token timeouts hold too.
pub async fn rest_of_body(
    first: Bytes,
    body: Body,
    limit_bytes: usize,
    clock: Clock,
    stream: bool,
) -> Result<Bytes, Failed> {
    let mut whole = Vec::from(first);
    let piece_due = || {
        stream.then(|| {
            clock
                .idle(Instant::now())
                .or(clock.first_token("no first token arrived"))
        })
    };
    let read = clock.total().wait(read_body(&mut whole, body, limit_bytes, piece_due));
    match read.await {
        Ok(Ok(())) => Ok(whole.into()),
        Ok(Err(BodyFailure::TooLarge)) => Err(Failed::new(
            Class::Answered,
            failure::too_large("an answer", limit_bytes),
        )),
        Ok(Err(BodyFailure::Broken(cause))) => Err(Failed::new(Class::Ambiguous, transport::from_body(&cause))),
        Ok(Err(BodyFailure::Late(late))) | Err(late) => Err(Failed::new(Class::Ambiguous, late)),
    }
}

enum BodyFailure {
    /// It is longer than the limit. What was read ends there.
    TooLarge,
    Broken(reqwest::Error),
    Late(Error),
}

/// Appends the rest of a body to `whole`.
///
/// - In: `piece_due`, the deadline for the next piece, if there is one.
async fn read_body(
    whole: &mut Vec<u8>,
    mut body: Body,
    limit_bytes: usize,
    piece_due: impl Fn() -> Option<Due>,
) -> Result<(), BodyFailure> {
    loop {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context));
        let frame = match piece_due() {
            Some(due) => due.wait(frame).await.map_err(BodyFailure::Late)?,
            None => frame.await,
        };
        let Some(frame) = frame else { return Ok(()) };
        let Ok(piece) = frame.map_err(BodyFailure::Broken)?.into_data() else {
            continue;
        };
        let room = limit_bytes.saturating_sub(whole.len());
        whole.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Err(BodyFailure::TooLarge);
        }
    }
}

/// The failure for a web page instead of an answer.
pub fn not_an_answer(body: &[u8], secret: &str) -> Failed {
    let error = Error::new(
        ErrorKind::PROTOCOL,
        format!("the service answered with {}", failure::page(body, secret)),
    )
    .with_hint("check the base URL, and whether this network requires a sign-in");
    Failed::new(Class::Final, error)
}
