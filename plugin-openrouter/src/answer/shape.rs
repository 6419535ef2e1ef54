//! Detects the shape of a body with status 200: a stream, a document, or a page that the service did not send.
//!
//! In: the first bytes and the content type. Out: how to read the body. Pure.
//! Providers and proxies send streams without a content type, and documents although a stream was requested,
//! so the bytes decide.

use http::header::HeaderValue;

/// The shape of a body with status 200.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An event stream.
    Stream,
    /// One JSON document.
    Document,
    /// A web page, which the service never sends.
    Page,
}

/// How a line of an event stream can begin.
const FIELDS: [&[u8]; 5] = [b":", b"data", b"event", b"id", b"retry"];

impl Shape {
    /// Detects the shape by the first bytes, and by the content type if the bytes are not decisive.
    pub fn of(body: &[u8], content_type: Option<&HeaderValue>) -> Self {
        let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body).trim_ascii_start();
        let begins_a_field = |field: &&[u8]| body.starts_with(field) || field.starts_with(body);
        match body.first() {
            Some(b'{' | b'[') => Self::Document,
            Some(b'<') => Self::Page,
            Some(_) if FIELDS.iter().any(begins_a_field) => Self::Stream,
            _ if content_type.is_some_and(is_event_stream) => Self::Stream,
            _ => Self::Document,
        }
    }
}

fn is_event_stream(content_type: &HeaderValue) -> bool {
    content_type
        .as_bytes()
        .to_ascii_lowercase()
        .starts_with(b"text/event-stream")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_decide_before_the_content_type() {
        let stream = HeaderValue::from_static("Text/Event-Stream; charset=utf-8");
        let document = HeaderValue::from_static("application/json");
        let rows: [(&[u8], Option<&HeaderValue>, Shape); 12] = [
            (b"data: {}", None, Shape::Stream),
            (b": comment", Some(&document), Shape::Stream),
            (b"\n\nevent: x", None, Shape::Stream),
            (b"d", None, Shape::Stream),
            (b"{\"id\"", Some(&stream), Shape::Document),
            (b" \n[", None, Shape::Document),
            (b"\xEF\xBB\xBFdata:", None, Shape::Stream),
            (b"\xEF\xBB\xBF{", None, Shape::Document),
            (b"<!doctype html>", Some(&stream), Shape::Page),
            (b"", Some(&stream), Shape::Stream),
            (b"", Some(&document), Shape::Document),
            (b"ok", None, Shape::Document),
        ];
        for (body, head, shape) in rows {
            assert!(Shape::of(body, head) == shape, "{}", String::from_utf8_lossy(body));
        }
    }
}
