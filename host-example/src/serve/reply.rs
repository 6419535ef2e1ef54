//! The body of an answer: whole, or in pieces as they arrive.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{self, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub type Body = UnsyncBoxBody<Bytes, Infallible>;

pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed_unsync()
}

/// A body that keeps something until it has been handed over.
struct Holding<T> {
    body: Body,
    _kept: T,
}

pub fn holding(body: Body, kept: impl Send + Unpin + 'static) -> Body {
    Holding { body, _kept: kept }.boxed_unsync()
}

impl<T: Unpin> HttpBody for Holding<T> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
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
