//! Sends a request and waits for the head of the answer.
//!
//! In: a request body. Out: an answer with status 200, or a typed failure. What the body says is the next step's matter.

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

/// Bytes of an error's body that are read.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// How long an error's explanation is waited for.
const ERROR_BODY_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of an answer in one piece that are read.
const MAX_BODY_BYTES: usize = 32 << 20;

/// A body that is being read.
pub type Body = Pin<Box<reqwest::Body>>;

/// One request of a call.
pub struct Sending {
    pub method: Method,
    pub url: Url,
    pub body: Option<Bytes>,
    /// Who is asking, and what the body is.
    pub headers: HeaderMap,
    /// Whether the answer is to be streamed.
    pub stream: bool,
    /// Whether the answer is wanted as the service wrote it, errors too.
    pub has_raw: bool,
    /// Whether any answer of success is one, as opposed to 200 alone.
    pub takes_any_success: bool,
}

/// Sends a request and waits for the head of the answer.
///
/// - Errors: what the service's status means; `timeout` after the time to the first token; `connect`.
pub async fn send(service: &Service, request: Sending, clock: Clock) -> Result<reqwest::Response, Failed> {
    let mut headers = request.headers;
    if let Some(key) = &service.key {
        headers.insert(header::AUTHORIZATION, key.header.clone());
    }
    // What is compressed on the way comes late and in lumps, and may be larger than it looks.
    headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    let mut sending = service.client.request(request.method, request.url).headers(headers);
    if let Some(body) = request.body {
        sending = sending.body(body);
    }
    let sending = sending.send();
    let what = "the service did not begin to answer";
    // An answer in one piece has no first token: its head comes when all of it is there.
    let due = if request.stream {
        clock.first_token(what).or(Due { what, ..clock.total() })
    } else {
        Due { what, ..clock.total() }
    };
    let response = due
        .wait(sending)
        .await
        .map_err(|late| Failed::new(Class::Ambiguous, late))?
        .map_err(|cause| transport::from_transport(&cause, service.host()))?;
    let status = response.status().as_u16();
    if status == 200 || request.takes_any_success && response.status().is_success() {
        refuse_compressed(&response)?;
        return Ok(response);
    }
    let head: HeaderMap = response.headers().clone();
    let mut body = Vec::new();
    // An error whose explanation does not arrive is still that error, and not worth a long wait.
    let soon = Due {
        at: due.at.min(Instant::now() + ERROR_BODY_LIMIT),
        ..due
    };
    let response = Box::pin(reqwest::Body::from(response));
    let _ = soon
        .wait(read_body(&mut body, response, MAX_ERROR_BODY_BYTES, || None))
        .await;
    let mut error = failure::from_response(status, &head, &body, service.secret(), SystemTime::now());
    // A page of something in front of the service is not in its words.
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

/// Headers of an answer that concern whoever asked, beside those that begin with one of [`PASSED_PREFIXES`].
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

/// What the head of an answer says to whoever asked.
pub fn head_of(status: u16, headers: &HeaderMap, secret: &str) -> Head {
    let concerns =
        |name: &str| PASSED_HEADERS.contains(&name) || PASSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let passed = headers.iter().filter(|(name, _)| concerns(name.as_str()));
    let headers = passed
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), secret::scrub(value.to_str().ok()?, secret))))
        .collect();
    Head { status, headers }
}

/// A compressed answer was not asked for, and is not unpacked: a few bytes of it can be gigabytes.
fn refuse_compressed(response: &reqwest::Response) -> Result<(), Failed> {
    let encoding = response.headers().get(header::CONTENT_ENCODING);
    let Some(encoding) = encoding.filter(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity")) else {
        return Ok(());
    };
    let name: String = String::from_utf8_lossy(encoding.as_bytes()).chars().take(20).collect();
    let message = format!(
        "expected an answer that is not compressed, found one in `{}`",
        name.escape_debug()
    );
    let error = Error::new(ErrorKind::PROTOCOL, message)
        .with_hint("check whether a proxy on the way compresses answers although nobody asks for it");
    Err(Failed::new(Class::Final, error))
}

/// Reads the body of an answer in one piece.
///
/// - Errors: `too_large` beyond 32 MiB; `timeout` after the total time; `interrupted`.
pub async fn whole_body(response: reqwest::Response, clock: Clock) -> Result<Bytes, Failed> {
    rest_of_body(Bytes::new(), Box::pin(reqwest::Body::from(response)), clock, false).await
}

/// The same for a body of which a first piece was read.
///
/// - In: `stream`, whether a stream was asked for; then its limits for silence hold.
pub async fn rest_of_body(first: Bytes, body: Body, clock: Clock, stream: bool) -> Result<Bytes, Failed> {
    let mut whole = Vec::from(first);
    let silence = || stream.then(|| clock.idle(Instant::now()).or(clock.first_token("no first token came")));
    let read = clock.total().wait(read_body(&mut whole, body, MAX_BODY_BYTES, silence));
    match read.await {
        Ok(Ok(())) => Ok(whole.into()),
        Ok(Err(BodyFailure::TooLarge)) => Err(Failed::new(
            Class::Answered,
            Error::new(
                ErrorKind::TOO_LARGE,
                format!("expected an answer of at most {} MiB, found more", MAX_BODY_BYTES >> 20),
            ),
        )),
        Ok(Err(BodyFailure::Broken(cause))) => Err(Failed::new(Class::Ambiguous, transport::from_body(&cause))),
        Ok(Err(BodyFailure::Silent(late))) | Err(late) => Err(Failed::new(Class::Ambiguous, late)),
    }
}

enum BodyFailure {
    /// It is longer than the limit, up to which it was read.
    TooLarge,
    Broken(reqwest::Error),
    Silent(Error),
}

/// Reads on behind what was read already.
///
/// - In: `silence`, until when the next piece has to come, if there is a limit.
async fn read_body(
    whole: &mut Vec<u8>,
    mut body: Body,
    limit_bytes: usize,
    silence: impl Fn() -> Option<Due>,
) -> Result<(), BodyFailure> {
    loop {
        let frame = poll_fn(|context| body.as_mut().poll_frame(context));
        let frame = match silence() {
            Some(due) => due.wait(frame).await.map_err(BodyFailure::Silent)?,
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

/// The failure of a web page in the place of an answer.
pub fn not_an_answer(body: &[u8], secret: &str) -> Failed {
    let error = Error::new(
        ErrorKind::PROTOCOL,
        format!("the service answered with {}", failure::page(body, secret)),
    )
    .with_hint("check the base URL, and whether this network asks for a sign-in");
    Failed::new(Class::Final, error)
}
