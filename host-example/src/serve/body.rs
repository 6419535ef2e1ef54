//! Reads the body of a request, within limits, and in which form it wants its answer.

use std::collections::BTreeMap;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Body, Incoming};
use hyper::header::{self, HeaderMap, HeaderValue};
use plugin_api::ErrorKind;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::error::Category;
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::body_memory::{self, BodyMemory, Room, SMALL_BYTES};
use super::problem::Problem;

/// The longest silence within a body.
const IDLE: Duration = Duration::from_secs(30);
/// The longest time for a whole body.
const WHOLE: Duration = Duration::from_secs(300);
/// How much of a body is read at a time, in bytes. Then it is the others' turn: each thread serves many connections,
/// and a client on the same machine sends faster than this end reads.
const TURN_BYTES: usize = 128 << 10;

/// A body, and its room in memory.
#[derive(Default)]
pub struct Read {
    pub bytes: Vec<u8>,
    pub room: Room,
}

/// - Errors: it is too large, it finds no room, it pauses for too long, or the client is gone.
pub async fn read(mut body: Incoming, memory: &BodyMemory) -> Result<Read, Problem> {
    let max_bytes = memory.max_bytes;
    let promised = body.size_hint().lower();
    if promised > max_bytes {
        return Err(too_large(max_bytes));
    }
    let mut room = memory.room(promised).await.map_err(closing)?;
    let mut bytes = Vec::with_capacity(usize::try_from(promised).unwrap_or(0));
    let end = Instant::now() + WHOLE;
    let mut turn_bytes = 0;
    loop {
        let frame = match tokio::time::timeout_at(end.min(Instant::now() + IDLE), body.frame()).await {
            Ok(None) => break,
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => return Err(Problem::bad_request("the body ended early")),
            Err(_) => {
                let message = if Instant::now() >= end {
                    format!("the body was still incomplete after {} s", WHOLE.as_secs())
                } else {
                    format!("no part of the body arrived for {} s", IDLE.as_secs())
                };
                return Err(closing(Problem::new(
                    StatusCode::REQUEST_TIMEOUT,
                    ErrorKind::TIMEOUT.code(),
                    message,
                )));
            }
        };
        if let Some(piece) = frame.data_ref() {
            let n_bytes = (bytes.len() + piece.len()) as u64;
            if n_bytes > max_bytes {
                return Err(too_large(max_bytes));
            }
            if room.is_none() && n_bytes > SMALL_BYTES {
                // Nobody knows how long it gets, and bodies that each wait for more would wait for each other.
                room = memory.room(max_bytes).await.map_err(closing)?;
            }
            bytes.extend_from_slice(piece);
            turn_bytes += piece.len();
            if turn_bytes >= TURN_BYTES {
                turn_bytes = 0;
                tokio::task::yield_now().await;
            }
        }
    }
    body_memory::shrink(&mut room, bytes.len());
    Ok(Read { bytes, room })
}

fn too_large(max_bytes: u64) -> Problem {
    closing(
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            ErrorKind::TOO_LARGE.code(),
            format!("expected a body of at most {} MiB, found a larger one", max_bytes >> 20),
        )
        .with_hint("send a smaller body, or start the endpoint with a larger `--max-body`"),
    )
}

/// The rest of the body is not read, so no further request can follow on this connection.
pub fn closing(problem: Problem) -> Problem {
    problem.with_header(header::CONNECTION, HeaderValue::from_static("close"))
}

/// - Errors: the body is compressed. Nothing here decompresses, so that no small body becomes a large one.
pub fn check_encoding(headers: &HeaderMap) -> Result<(), Problem> {
    let mut encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(encoding) = encodings.find(|sent| !sent.as_bytes().eq_ignore_ascii_case(b"identity")) else {
        return Ok(());
    };
    let known = ["gzip", "x-gzip", "deflate", "br", "zstd"];
    let name = known
        .into_iter()
        .find(|name| encoding.as_bytes().eq_ignore_ascii_case(name.as_bytes()));
    let name = name.map_or("an unknown encoding".to_owned(), |name| format!("`{name}`"));
    let message = format!("expected a body without `content-encoding`, found one in {name}");
    Err(closing(
        Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
            .with_hint("switch off the compression of requests in the client")
            // Source: RFC 9110, section 15.5.16.
            .with_header(header::ACCEPT_ENCODING, HeaderValue::from_static("identity")),
    ))
}

/// The deepest JSON that is read as a tree, which is the limit of the library.
const MAX_DEPTH: usize = 127;

/// In which form a body wants its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `"stream": true`
    pub stream: bool,
    /// `"stream_options": {"include_usage": true}`
    pub usage: bool,
    /// Whether there is a `model`.
    pub names_model: bool,
    /// That model, if it is a text.
    pub model: Option<String>,
    /// `"temperature": 0`
    pub is_cold: bool,
    /// Whether there is an `agent`.
    pub names_agent: bool,
}

/// Reads the top level of a JSON body, a large one on another thread, because it delays the answers of this one.
///
/// - Errors: the body is not JSON; the message says where, and quotes nothing.
pub async fn looked_through(body: Vec<u8>) -> (Result<Wanted, Problem>, Vec<u8>) {
    if body.len() as u64 <= SMALL_BYTES {
        return (wanted(&body), body);
    }
    let look = tokio::task::spawn_blocking(move || (wanted(&body), body));
    // It does not panic, and nobody aborts it.
    look.await.unwrap_or_else(|_| (Ok(Wanted::default()), Vec::new()))
}

/// Reads the top level of a JSON body.
///
/// - Errors: the body is not JSON; the message says where, and quotes nothing.
pub fn wanted(body: &[u8]) -> Result<Wanted, Problem> {
    let text = std::str::from_utf8(body).map_err(|cause| {
        let before = body.get(..cause.valid_up_to()).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        not_json("invalid UTF-8", line, column)
    })?;
    // The members' values are skipped, not parsed. Other values of `stream` are for the service to judge.
    let wanted = match serde_json::from_str::<BTreeMap<String, &RawValue>>(text) {
        Ok(members) => Ok(Wanted {
            stream: members.get("stream").is_some_and(|stream| stream.get() == "true"),
            usage: members.get("stream_options").is_some_and(|options| {
                let options: Result<Value, _> = serde_json::from_str(options.get());
                options.is_ok_and(|options| options["include_usage"] == true)
            }),
            names_model: members.contains_key("model"),
            model: members
                .get("model")
                .and_then(|model| serde_json::from_str(model.get()).ok()),
            is_cold: members
                .get("temperature")
                .is_some_and(|degrees| degrees.get().parse() == Ok(0.0)),
            names_agent: members.contains_key("agent"),
        }),
        Err(cause) if cause.is_data() => serde_json::from_str::<IgnoredAny>(text).map(|_| Wanted::default()),
        Err(cause) => Err(cause),
    };
    wanted.map_err(|cause| unreadable(&cause))
}

/// Why a body cannot be read as JSON, and where.
pub fn unreadable(cause: &serde_json::Error) -> Problem {
    let (line, column) = (cause.line(), cause.column());
    // The library has no other sign of it.
    if cause.to_string().starts_with("recursion limit exceeded") {
        let message =
            format!("expected at most {MAX_DEPTH} levels of nesting, found more at line {line}, column {column}");
        return Problem::bad_request(message);
    }
    let why = match cause.classify() {
        Category::Eof => "unexpected end",
        _ => "unexpected character",
    };
    not_json(why, line, column)
}

fn not_json(why: &str, line: usize, column: usize) -> Problem {
    Problem::bad_request(format!("the body is not JSON: {why} at line {line}, column {column}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants_stream(body: &[u8]) -> Result<bool, Problem> {
        wanted(body).map(|wanted| wanted.stream)
    }

    #[test]
    fn the_usage_of_a_stream_is_asked_for_by_its_option_alone() {
        let usage = |body: &str| wanted(body.as_bytes()).map(|wanted| wanted.usage);
        assert_eq!(
            usage(r#"{"stream":true,"stream_options":{"a":1, "include_usage" : true}}"#),
            Ok(true)
        );
        for body in [
            r#"{"stream":true}"#,
            r#"{"stream_options":null}"#,
            r#"{"stream_options":{"include_usage":"true"}}"#,
            r#"{"include_usage":true,"usage":{"include":true}}"#,
        ] {
            assert_eq!(usage(body), Ok(false), "{body}");
        }
    }

    #[test]
    fn only_true_at_the_top_level_asks_for_a_stream() {
        let wanted = [
            r#"{"stream": true}"#,
            r#" {"model":"a","messages":[{"stream":false}],"stream":true } "#,
            r#"{"\u0073tream":true}"#,
        ];
        for body in wanted {
            assert_eq!(wants_stream(body.as_bytes()), Ok(true), "{body}");
        }
        let unwanted = r#"{"stream":true,"stream":false} {"stream":false} {"stream":"true"} {"stream":1} {"stream":null}
            {"stream":{"a":[true]}} {"messages":[{"stream":true}]} [{"stream":true}] "stream" {} null -1.5"#;
        for body in unwanted.split_whitespace() {
            assert_eq!(wants_stream(body.as_bytes()), Ok(false), "{body}");
        }
        let deep = format!("{{\"a\":{}{},\"stream\":true}}", "[".repeat(10_000), "]".repeat(10_000));
        assert_eq!(wants_stream(deep.as_bytes()), Ok(true));
    }

    #[test]
    fn a_body_that_is_not_json_is_refused_with_its_place_only() {
        let message = |body: &[u8]| wants_stream(body).expect_err("it is no JSON").message;
        for (body, expected) in [
            (
                &b"{\n  \"secret\": private"[..],
                "unexpected character at line 2, column 13",
            ),
            (b"{\"a\":1", "unexpected end at line 1, column 6"),
            (b"", "unexpected end at line 1, column 0"),
            (b"{\"a\":1} trailing", "unexpected character at line 1, column 9"),
            (b"{\n\"a\": \"\xff\"}", "invalid UTF-8 at line 2, column 7"),
        ] {
            assert_eq!(message(body), format!("the body is not JSON: {expected}"));
        }
    }
}
