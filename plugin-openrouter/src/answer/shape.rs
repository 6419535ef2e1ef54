//! What a body with status 200 is: a stream, a document, or something that the service never sent.
//!
//! In: its first bytes, and what its head says. Out: how to read it. Pure. Providers and proxies send streams without their type,
//! and documents where a stream was asked for; the bytes tell.

use http::header::HeaderValue;

/// What a body with status 200 is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// An event stream.
    Stream,
    /// One JSON document.
    Document,
    /// A web page: something else than the service answers.
    Page,
}

/// The names of the fields of an event stream.
const FIELDS: [&[u8]; 5] = [b":", b"data", b"event", b"id", b"retry"];

impl Shape {
    /// What the first bytes of a body look like, whatever its head says; where they look like nothing, what the head says.
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
    fn a_body_is_what_it_begins_like_and_else_what_its_head_says() {
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
