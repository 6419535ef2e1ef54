//! Any HTTP request to a plugin's service, and the answer as the service wrote it: the raw view.
//!
//! For hosts that speak the service's own protocol, such as a gateway. The plugin adds the key, the address and its
//! failure policy; the bytes pass through unparsed. A body crosses as a blob, without base64 and without a copy.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::abi::{Blob, Payload};
use crate::error::{Error, ErrorKind};
use crate::outcome::{Done, Notice};

/// An HTTP request to the service behind a plugin.
///
/// Since: 1.2.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HttpRequest {
    /// `GET`, `POST`, …
    pub method: String,
    /// The path below the service's base URL, such as `/chat/completions`, with a query if there is one.
    pub path: String,
    /// The caller's headers, in order. The plugin forwards those that mean something to its service.
    /// Leave out the caller's own credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body. Crosses as a blob beside the JSON.
    #[serde(skip)]
    pub body: Option<Blob>,
}

impl HttpRequest {
    /// A request without headers or a body.
    pub fn new(method: &str, path: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            path: path.into(),
            ..Self::default()
        }
    }

    /// A `POST` with a JSON body.
    pub fn post(path: impl Into<String>, json: impl Into<Vec<u8>>) -> Self {
        Self {
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body: Some(json.into().into()),
            ..Self::new("POST", path)
        }
    }

    /// The value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    pub(crate) fn into_payload(self) -> Result<Payload, Error> {
        let payload = Payload::of(&self)?;
        Ok(match self.body {
            Some(body) => payload.and_blob(body),
            None => payload,
        })
    }

    pub(crate) fn from_payload(payload: Payload) -> Result<Self, Error> {
        let mut request: Self = payload.read()?;
        let mut blobs = payload.into_blobs();
        request.body = blobs.next();
        if blobs.next().is_some() {
            return Err(Error::new(
                ErrorKind::INVALID_REQUEST,
                "expected at most one body in a raw request, found several",
            ));
        }
        Ok(request)
    }
}

/// The status and headers of a service's answer.
///
/// Since: 1.2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// The HTTP status.
    pub status: u16,
    /// The headers that matter to the caller, in order; names in lower case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// The value of the first header with this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

/// A service's answer as it was written, and what the plugin knows about it.
///
/// Since: 1.2.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HttpAnswer {
    /// The status and headers.
    pub head: Head,
    /// The body, byte for byte. Crosses as a blob beside the JSON.
    #[serde(skip)]
    pub body: Blob,
    /// What the caller should know about the call, such as retries and fallbacks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// How the answer ended. If no model was involved, only `duration_ms` is known.
    pub done: Done,
}

impl HttpAnswer {
    pub(crate) fn into_payload(self) -> Result<Payload, Error> {
        Ok(Payload::of(&self)?.and_blob(self.body))
    }

    pub(crate) fn from_payload(payload: Payload) -> Result<Self, Error> {
        let mut answer: Self = payload.read()?;
        answer.body = payload.into_blobs().next().unwrap_or_default();
        Ok(answer)
    }
}

fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(present, _)| present.eq_ignore_ascii_case(name))?;
    Some(&found.1)
}

// Bodies, queries and header values may be private, so only names and sizes are printed.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("path", &self.path.split('?').next().unwrap_or_default())
            .field(
                "headers",
                &self.headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
            )
            .field("body", &self.body)
            .finish()
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAnswer")
            .field("status", &self.head.status)
            .field("body", &self.body)
            .field("notices", &self.notices)
            .field("done", &self.done)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_and_answers_cross_unchanged() {
        let mut with_body = HttpRequest::post("/audio/speech?x=1", vec![0xff, 0, b'"']);
        with_body.headers.push(("X-Title".to_owned(), "me".to_owned()));
        assert_eq!(with_body.header("x-title"), Some("me"));
        for request in [with_body, HttpRequest::new("GET", "/models")] {
            let payload = request
                .clone()
                .into_payload()
                .expect("a request can be written as JSON");
            assert_eq!(HttpRequest::from_payload(payload), Ok(request));
        }

        let answer = HttpAnswer {
            head: Head {
                status: 200,
                headers: vec![("content-type".to_owned(), "audio/mpeg".to_owned())],
            },
            body: vec![0xff, 0xfb].into(),
            ..HttpAnswer::default()
        };
        let payload = answer.clone().into_payload().expect("an answer can be written as JSON");
        assert_eq!(HttpAnswer::from_payload(payload), Ok(answer));
    }

    #[test]
    fn debug_output_contains_no_query_body_or_header_value() {
        let mut request = HttpRequest::post("/generation?id=private", b"private".to_vec());
        request.headers.push(("x-session-id".to_owned(), "private".to_owned()));
        let answer = HttpAnswer {
            body: b"private".to_vec().into(),
            ..HttpAnswer::default()
        };
        let printed = format!("{request:?} {answer:?}");
        assert!(!printed.contains("private"), "{printed}");
        assert!(
            printed.contains("/generation") && printed.contains("Blob(7 bytes)"),
            "{printed}"
        );
    }
}
