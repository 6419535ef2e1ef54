//! Fetches what is not an answer of a model: lists, the key, the account.
//!
//! In: a path below the base URL. Out: the body of an answer with status 200, or a typed error.
//! Never retries. Sends the key to the service's own origin and nowhere else.

use std::time::{Duration, SystemTime};

use plugin_api::{Error, ErrorKind};
use reqwest::header::{self, HeaderMap};
use reqwest::{RequestBuilder, Url};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::failure;
use crate::service::{Settings, transport};
use crate::values::secret;

/// The longest time from the request to the last byte of its answer.
const LIMIT: Duration = Duration::from_secs(10);

/// The most bytes of an answer. The model list has about 2 MB.
const MAX_BODY_BYTES: usize = 16 << 20;

/// The most bytes of an error's body that are read.
const MAX_ERROR_BODY_BYTES: usize = 64 << 10;

/// An answer with status 200.
#[derive(Debug)]
pub struct Fetched {
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// Fetches `path` below the base URL, such as `/models`.
///
/// - Errors: `auth` without a key; by the status if it is not 200; `connect`; `timeout` after 10 seconds;
///   `too_large` beyond 16 MiB; `interrupted`.
pub async fn get(settings: &Settings, path: &str) -> Result<Fetched, Error> {
    fetch(settings, url_of(settings, path)?, LIMIT).await
}

/// A path with these parameters behind it.
pub fn with_query(path: &str, pairs: &[(&str, String)]) -> String {
    let mut url = Url::parse("https://localhost").expect("it is an address");
    url.query_pairs_mut().extend_pairs(pairs);
    format!("{path}?{}", url.query().unwrap_or_default())
}

fn url_of(settings: &Settings, path: &str) -> Result<Url, Error> {
    Url::parse(&format!("{}{path}", settings.service.base_url))
        .map_err(|_| Error::new(ErrorKind::INTERNAL, format!("`{}` is not a path", without_query(path))))
}

/// Fetches what the `next` link of an earlier answer points to.
///
/// - Errors: `protocol` for a link that is not a URL or leads to another origin; else those of [`get`].
pub async fn get_next(settings: &Settings, link: &str) -> Result<Fetched, Error> {
    fetch(settings, next_url(&settings.service.base_url, link)?, LIMIT).await
}

/// The URL of a link, which must be on the service's own origin.
fn next_url(base_url: &str, link: &str) -> Result<Url, Error> {
    let refused = |why: &str| {
        Error::new(
            ErrorKind::PROTOCOL,
            format!("the service's link to its next page {why}"),
        )
    };
    let base = Url::parse(&format!("{base_url}/")).map_err(|_| refused("cannot be resolved against the base URL"))?;
    let url = base.join(link).map_err(|_| refused("is not a URL"))?;
    if url.origin() != base.origin() {
        return Err(refused("leads to another origin, where the key must not go").with_hint("check the base URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("contains a user name or password"));
    }
    Ok(url)
}

/// Sends JSON to `path` below the base URL without the key, and returns the answer untouched: it may hold a new key.
///
/// - Errors: as for [`get`], apart from those about the key.
pub async fn post(settings: &Settings, path: &str, body: &Value) -> Result<Zeroizing<Vec<u8>>, Error> {
    let url = url_of(settings, path)?;
    let request = settings.service.client.post(url).body(body.to_string());
    let request = request.header(header::CONTENT_TYPE, "application/json");
    let fetched = answered(settings, request, path, "", LIMIT).await?;
    Ok(Zeroizing::new(fetched.body))
}

async fn fetch(settings: &Settings, url: Url, limit: Duration) -> Result<Fetched, Error> {
    let key = settings.key()?;
    let path = url.path().to_owned();
    let request = settings.service.client.get(url);
    let request = request.header(header::AUTHORIZATION, key.header.clone());
    let mut fetched = answered(settings, request, &path, &key.secret, limit).await?;
    fetched.body = without_key(fetched.body, &key.secret);
    Ok(fetched)
}

/// Sends a request, and reads its answer.
///
/// - In: `path` for messages; `secret`, which no error may repeat.
async fn answered(
    settings: &Settings,
    request: RequestBuilder,
    path: &str,
    secret: &str,
    limit: Duration,
) -> Result<Fetched, Error> {
    let work = async {
        let mut response = request
            .header(header::ACCEPT, "application/json")
            .send()
            .await
            .map_err(|cause| transport::from_transport(&cause, &settings.service).error)?;
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        if status != 200 {
            // Without its body it is still the same error.
            let (body, _) = read(&mut response, MAX_ERROR_BODY_BYTES).await;
            return Err(failure::from_response(
                status,
                &headers,
                &body,
                secret,
                SystemTime::now(),
            ));
        }
        let (body, end) = read(&mut response, MAX_BODY_BYTES).await;
        match end {
            End::Whole => Ok(Fetched { headers, body }),
            End::TooLarge => Err(Error::new(
                ErrorKind::TOO_LARGE,
                format!("expected at most {} MiB at `{path}`, found more", MAX_BODY_BYTES >> 20),
            )),
            End::Broken(cause) => Err(transport::from_body(&cause)),
        }
    };
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(
            ErrorKind::TIMEOUT,
            format!("the service did not answer at `{path}` within {} ms", limit.as_millis()),
        )),
    }
}

/// Removes the key from a body, so that no list shows it or stores it.
fn without_key(body: Vec<u8>, key: &str) -> Vec<u8> {
    if !secret::is_in_answer(&body, key) {
        return body;
    }
    secret::without_secret(String::from_utf8_lossy(&body).into_owned(), key).into_bytes()
}

/// How reading a body ended.
enum End {
    Whole,
    TooLarge,
    Broken(reqwest::Error),
}

/// Reads a body up to a limit. Returns what was read, however it ended.
async fn read(response: &mut reqwest::Response, limit_bytes: usize) -> (Vec<u8>, End) {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(piece)) => {
                let room = limit_bytes - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() > room {
                    return (body, End::TooLarge);
                }
            }
            Ok(None) => return (body, End::Whole),
            Err(cause) => return (body, End::Broken(cause)),
        }
    }
}

/// The part of a path that messages may show: a query may hold anything.
fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kit::{KEY, Service, block_on};

    /// The kind and message of the error that a request for `/models` ends with.
    fn refusal(service: &Service) -> (ErrorKind, String) {
        let error = block_on(get(&service.settings(json!({}), &[]), "/models")).expect_err("a refusal");
        (error.kind, error.message)
    }

    #[test]
    fn an_answer_comes_with_its_headers_and_the_request_carries_the_key() {
        let service = Service::start(|_| (200, "x-request-id: 7\r\n".to_owned(), "{}".to_owned()));
        let settings = service.settings(json!({}), &[]);
        let fetched = block_on(get(&settings, "/models?limit=1")).expect("an answer");
        assert_eq!(fetched.body, b"{}");
        assert_eq!(fetched.headers["x-request-id"], "7");
        let request = &service.requests()[0];
        let expected = "GET /api/v1/models?limit=1 HTTP/1.1\r\n";
        assert!(request.starts_with(expected), "{request}");
        let expected = format!("authorization: Bearer {KEY}\r\n");
        assert!(request.contains(&expected), "{request}");
    }

    #[test]
    fn a_refusal_gets_the_meaning_of_its_status() {
        let service = Service::start(|_| {
            let body = json!({"error": {"code": 403, "message": format!("not with {KEY}")}});
            (403, String::new(), body.to_string())
        });
        let message = "the service answered 403: not with [key]".to_owned();
        assert_eq!(refusal(&service), (ErrorKind::FORBIDDEN, message));
    }

    #[test]
    fn a_key_repeated_in_a_list_is_removed() {
        let service = Service::start(|_| {
            (
                200,
                String::new(),
                json!({"data": [{"id": KEY, "name": KEY}]}).to_string(),
            )
        });
        let fetched = block_on(get(&service.settings(json!({}), &[]), "/models")).expect("an answer");
        let expected = json!({"data": [{"id": "[key]", "name": "[key]"}]});
        assert_eq!(String::from_utf8_lossy(&fetched.body), expected.to_string());
    }

    #[test]
    fn a_redirect_is_not_followed() {
        let service = Service::start(|_| (302, "location: /elsewhere\r\n".to_owned(), String::new()));
        let error = block_on(get(&service.settings(json!({}), &[]), "/models")).expect_err("a refusal");
        assert_eq!((error.kind, error.details.status), (ErrorKind::PROTOCOL, Some(302)));
        assert_eq!(service.requests().len(), 1);
    }

    #[test]
    fn an_answer_beyond_the_limit_is_an_error() {
        let service = Service::start(|_| (200, String::new(), " ".repeat(MAX_BODY_BYTES + 1)));
        let message = "expected at most 16 MiB at `/api/v1/models`, found more".to_owned();
        assert_eq!(refusal(&service), (ErrorKind::TOO_LARGE, message));
    }

    #[test]
    fn a_body_that_breaks_off_is_an_error() {
        let service = Service::start(|_| (200, "content-length: 9\r\n".to_owned(), "{".to_owned()));
        assert_eq!(refusal(&service).0, ErrorKind::INTERRUPTED);
    }

    #[test]
    fn a_silent_service_times_out() {
        let (over, waits) = std::sync::mpsc::channel::<()>();
        let waits = std::sync::Mutex::new(waits);
        let service = Service::start(move |_| {
            // Ends when the test drops the other side.
            let _ = waits.lock().map(|waits| waits.recv());
            (200, String::new(), String::new())
        });
        let settings = service.settings(json!({}), &[]);
        let url = Url::parse(&format!("{}/models?q=secret", settings.service.base_url)).expect("an address");
        let error = block_on(fetch(&settings, url, Duration::from_millis(20))).expect_err("silence");
        assert_eq!(error.kind, ErrorKind::TIMEOUT);
        let expected = "the service did not answer at `/api/v1/models` within 20 ms";
        assert_eq!(error.message, expected);
        drop(over);
    }

    #[test]
    fn a_link_to_another_origin_is_refused_before_the_key_travels() {
        let links = "https://example.com/api/v1/models?offset=500 //example.com/models
            http://openrouter.ai/api/v1/models https://openrouter.ai:8443/api/v1/models
            https://openrouter.ai.example.com/models file:///etc/passwd";
        let elsewhere = "leads to another origin, where the key must not go";
        let links = links.split_whitespace().map(|link| (link, elsewhere)).chain([
            (
                "https://user:password@openrouter.ai/models",
                "contains a user name or password",
            ),
            ("https://", "is not a URL"),
        ]);
        for (link, expected) in links {
            let error = next_url("https://openrouter.ai/api/v1", link).expect_err("a refusal");
            assert_eq!(error.kind, ErrorKind::PROTOCOL, "{link}");
            let message = format!("the service's link to its next page {expected}");
            assert_eq!(error.message, message, "{link}");
        }
    }

    #[test]
    fn a_link_may_be_absolute_or_relative() {
        let base = "https://openrouter.ai/api/v1";
        let expected = "https://openrouter.ai/api/v1/models?offset=500";
        for link in [expected, "/api/v1/models?offset=500", "models?offset=500"] {
            assert_eq!(next_url(base, link).expect("the same origin").as_str(), expected);
        }
    }
}
