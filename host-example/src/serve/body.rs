//! Reads the body of a request, within limits, and says whether an answer in pieces is wanted.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderValue};
use plugin_api::ErrorKind;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::error::Category;
use tokio::time::Instant;

use super::problem::Problem;

/// The longest silence within a body.
const IDLE: Duration = Duration::from_secs(30);
/// The longest time for a whole body.
const WHOLE: Duration = Duration::from_secs(300);
/// The most that is set aside for a body before any of it has come, in bytes.
const MAX_FIRST_BYTES: u64 = 256 << 10;

/// - Errors: it is larger than `max_bytes`, it pauses for too long, or the client is gone.
pub async fn read(mut body: Incoming, max_bytes: u64) -> Result<Vec<u8>, Problem> {
    let promised = body.size_hint().lower();
    if promised > max_bytes {
        return Err(too_large(max_bytes));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(promised.min(MAX_FIRST_BYTES)).unwrap_or(0));
    let end = Instant::now() + WHOLE;
    loop {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let frame = match tokio::time::timeout_at(end.min(Instant::now() + IDLE), next).await {
            Ok(None) => return Ok(bytes),
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Problem::bad_request("the body broke off")),
            Err(_) => {
                let message = if Instant::now() >= end {
                    format!("the body was not complete after {} s", WHOLE.as_secs())
                } else {
                    format!("the body paused for {} s", IDLE.as_secs())
                };
                return Err(closing(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    ErrorKind::TIMEOUT.code(),
                    message,
                )));
            }
        };
        if let Some(piece) = frame.data_ref() {
            if (bytes.len() + piece.len()) as u64 > max_bytes {
                return Err(too_large(max_bytes));
            }
            bytes.extend_from_slice(piece);
        }
    }
}

fn too_large(max_bytes: u64) -> Problem {
    closing(
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::TOO_LARGE.code(),
            format!("expected a body of at most {} MiB, found a larger one", max_bytes >> 20),
        )
        .with_hint("send less, or start the endpoint with a larger `--max-body`"),
    )
}

/// The rest of the body is not wanted, so no further request can follow it.
fn closing(problem: Problem) -> Problem {
    problem.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// Whether the top level of a JSON body has `"stream": true`.
///
/// - Errors: it is no JSON; the message says where, and quotes nothing.
pub fn wants_stream(body: &[u8]) -> Result<bool, Problem> {
    if let Err(cause) = std::str::from_utf8(body) {
        let before = body.get(..cause.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        return Err(not_json("it has bytes that are no UTF-8", line, column));
    }
    let mut reader = serde_json::Deserializer::from_slice(body);
    let wanted = reader.deserialize_any(TopLevel).and_then(|wanted| {
        reader.end()?;
        Ok(wanted)
    });
    wanted.map_err(|cause| {
        let why = match cause.classify() {
            Category::Eof => "it ends too early",
            _ => "something else stands there",
        };
        not_json(why, cause.line(), cause.column())
    })
}

fn not_json(why: &str, line: usize, column: usize) -> Problem {
    Problem::bad_request(format!("the body is not JSON: {why}, line {line}, column {column}"))
}

/// Looks at `stream` and skips everything else.
struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        let mut wanted = false;
        while let Some(Key(is_stream)) = members.next_key()? {
            if is_stream {
                wanted = members.next_value::<Flag>()?.0;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(wanted)
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// Whether a key is `stream`.
struct Key(bool);

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(Key(key == "stream"))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// Whether a value is `true`; what else it is is the service's matter.
struct Flag(bool);

impl<'de> serde::Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = <&serde_json::value::RawValue>::deserialize(deserializer)?;
        Ok(Self(value.get() == "true"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_top_levels_true_asks_for_a_stream() {
        for (body, wanted) in [
            (r#"{"stream": true}"#, true),
            (r#" {"model":"a","messages":[{"stream":false}],"stream":true } "#, true),
            (r#"{"\u0073tream":true}"#, true),
            (r#"{"stream":true,"stream":false}"#, false),
            (r#"{"stream":false}"#, false),
            (r#"{"stream":"true"}"#, false),
            (r#"{"stream":1}"#, false),
            (r#"{"stream":null}"#, false),
            (r#"{"stream":{"a":[true]}}"#, false),
            (r#"{"messages":[{"stream":true}]}"#, false),
            (r#"[{"stream":true}]"#, false),
            (r#""stream""#, false),
            ("{}", false),
            ("null", false),
            ("-1.5", false),
        ] {
            assert_eq!(wants_stream(body.as_bytes()), Ok(wanted), "{body}");
        }
        let deep = format!("{{\"a\":{}{},\"stream\":true}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(wants_stream(deep.as_bytes()), Ok(true));
    }

    #[test]
    fn a_body_that_is_not_json_is_refused_with_its_place_and_without_its_words() {
        let message = |body: &[u8]| wants_stream(body).expect_err("it is no JSON").message;
        assert_eq!(
            message(b"{\n  \"secret\": private"),
            "the body is not JSON: something else stands there, line 2, column 13"
        );
        assert_eq!(
            message(b"{\"a\":1"),
            "the body is not JSON: it ends too early, line 1, column 6"
        );
        assert_eq!(
            message(b""),
            "the body is not JSON: it ends too early, line 1, column 0"
        );
        assert_eq!(
            message(b"{\"a\":1} trailing"),
            "the body is not JSON: something else stands there, line 1, column 9"
        );
        assert_eq!(
            message(b"{\n\"a\": \"\xff\"}"),
            "the body is not JSON: it has bytes that are no UTF-8, line 2, column 7"
        );
    }
}
