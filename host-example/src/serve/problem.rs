//! Why this program refuses a request. Pure; quotes no body, header or query.

use hyper::header::{HeaderName, HeaderValue};
use hyper::{Response, StatusCode};
use plugin_api::ErrorKind;

use super::error_object::object;
use super::reply::{Body, error_response};

/// Why a request is not answered as it was meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    /// A stable word.
    pub word: &'static str,
    pub message: String,
    pub hint: Option<String>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    pub fn new(status: StatusCode, word: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            word,
            message: message.into(),
            hint: None,
            headers: Vec::new(),
        }
    }

    /// The caller's request cannot be served as it is.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, ErrorKind::INVALID_REQUEST.code(), message)
    }

    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ErrorKind::NOT_FOUND.code(), message)
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn into_response(self) -> Response<Body> {
        let error = object(self.status, self.word, &self.message, self.hint.as_deref());
        let mut response = error_response(self.status, error);
        for (name, value) in self.headers {
            response.headers_mut().insert(name, value);
        }
        response
    }
}
