//! Sends a request and waits for the head of the answer.
//!
//! In: a request body. Out: an answer with status 200, or a typed error. What the body says is the next step's matter.

use std::future::Future;
use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorKind};
use reqwest::header::{self, HeaderMap};

use crate::failure;
use crate::request::Prepared;
use crate::settings::Settings;

/// Bytes of an error's body that are read.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// Bytes of an answer in one piece that are read.
const MAX_BODY_BYTES: usize = 32 << 20;

/// Sends a request and waits for the head of the answer.
///
/// - Errors: what the service's status means; `timeout` after the time to the first token; `connect`.
pub async fn send(settings: &Settings, request: Prepared, begun: Instant) -> Result<reqwest::Response, Error> {
    let key = settings.key()?;
    let timeouts = settings.options.timeouts;
    let mut headers = request.headers;
    headers.insert(header::AUTHORIZATION, key.header.clone());
    headers.insert(
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/json"),
    );
    let sending = settings
        .client
        .post(settings.chat_url.clone())
        .headers(headers)
        .body(request.body)
        .send();
    // An answer in one piece has no first token: its head comes when all of it is there.
    let (limit_ms, option) = if !request.stream || timeouts.total_ms < timeouts.first_token_ms {
        (timeouts.total_ms, "totalMs")
    } else {
        (timeouts.first_token_ms, "firstTokenMs")
    };
    let limit = Duration::from_millis(limit_ms);
    let response = within(limit, begun, sending)
        .await
        .ok_or_else(|| failure::timed_out("the service did not begin to answer", limit, option))?
        .map_err(|cause| failure::from_transport(&cause, &settings.base_url))?;
    let status = response.status().as_u16();
    if status == 200 {
        return Ok(response);
    }
    let head: HeaderMap = response.headers().clone();
    let body = within(limit, begun, read_body(response, MAX_ERROR_BODY_BYTES)).await;
    // An error whose explanation does not arrive is still that error.
    let body = match body {
        Some(Ok(body) | Err(BodyFailure::TooLarge(body))) => body,
        Some(Err(BodyFailure::Broken(_))) | None => Vec::new(),
    };
    Err(failure::from_response(status, &head, &body, &key.secret))
}

/// Reads the body of an answer in one piece.
///
/// - Errors: `too_large` beyond 32 MiB; `timeout` after the total time; `interrupted`.
pub async fn whole_body(settings: &Settings, response: reqwest::Response, begun: Instant) -> Result<Vec<u8>, Error> {
    let limit = Duration::from_millis(settings.options.timeouts.total_ms);
    match within(limit, begun, read_body(response, MAX_BODY_BYTES)).await {
        Some(Ok(body)) => Ok(body),
        Some(Err(BodyFailure::TooLarge(_))) => Err(Error::new(
            ErrorKind::TOO_LARGE,
            format!("expected an answer of at most {} MiB, found more", MAX_BODY_BYTES >> 20),
        )),
        Some(Err(BodyFailure::Broken(cause))) => Err(failure::from_body(&cause)),
        None => Err(failure::timed_out("the answer was not complete", limit, "totalMs")),
    }
}

enum BodyFailure {
    /// What was read up to the limit.
    TooLarge(Vec<u8>),
    Broken(reqwest::Error),
}

async fn read_body(mut response: reqwest::Response, limit_bytes: usize) -> Result<Vec<u8>, BodyFailure> {
    let mut body = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(BodyFailure::Broken)? {
        let room = limit_bytes - body.len();
        body.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            return Err(BodyFailure::TooLarge(body));
        }
    }
    Ok(body)
}

/// Waits for `work` until `limit` has passed since `begun`.
async fn within<T>(limit: Duration, begun: Instant, work: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout_at((begun + limit).into(), work).await.ok()
}
