//! The body of an answer: whole, or in pieces as they arrive.

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A whole answer of this type.
pub fn response(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(whole(body));
    *response.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

/// A whole answer in JSON.
pub fn json_response(status: StatusCode, value: &Value) -> Response<Body> {
    response(status, "application/json", value.to_string())
}

/// The object of an error of this endpoint's own, for clients that read errors in another form than OpenAI's.
#[derive(Clone)]
pub struct OwnError(pub Value);

/// An error of this endpoint's own.
pub fn error_response(status: StatusCode, object: Value) -> Response<Body> {
    let mut response = json_response(status, &json!({"error": object}));
    response.extensions_mut().insert(OwnError(object));
    response
}
