//! HTTP/2 connections that the service ends, refuses or floods.
//!
//! The frames are written by hand, because a library would not break the rules.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_api::{ChatReply, Error};
use serde_json::json;
use tests::block_on;
use tests::faultd::{Connection, DONE, finish_event, text_event};

use crate::call::{ask, code, plugin_at};
use crate::this_process::peak_kib;
use crate::tls::{Authority, Certified, tls_service, trusting};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const NO_ERROR: u32 = 0;
const REFUSED_STREAM: u32 = 7;
const ENHANCE_YOUR_CALM: u32 = 11;

/// What the service does with one request.
#[derive(Clone, Copy, Debug)]
enum Act {
    Answer,
    /// Ends the connection, with the last stream that it processed: none.
    GoAway(u32),
    Refuse,
    FloodOfEmptyData,
    FloodOfContinuations,
}

/// An HTTP/2 connection, seen from the service.
struct Http2(Connection);

impl Http2 {
    fn begin(mut connection: Connection) -> io::Result<Self> {
        // Source: RFC 9113, section 3.4.
        connection.receive("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len())?;
        let mut begun = Self(connection);
        begun.send(SETTINGS, 0, 0, &[])?;
        Ok(begun)
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> io::Result<()> {
        self.0.send(&frame(kind, flags, stream, payload))
    }

    /// Reads frames until a request is complete, and returns its stream.
    fn request(&mut self) -> io::Result<u32> {
        loop {
            let head = self.0.receive(9)?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            self.0.receive(length as usize)?;
            match (head[3], head[4]) {
                (SETTINGS, flags) if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, &[])?,
                (DATA | HEADERS, flags) if flags & END_STREAM != 0 => return Ok(stream),
                _ => {}
            }
        }
    }

    fn act(&mut self, act: Act, stream: u32) -> io::Result<()> {
        match act {
            Act::Answer => {
                let body = text_event("hello") + &finish_event("stop") + DONE;
                self.send(HEADERS, END_HEADERS, stream, &answer_headers())?;
                self.send(DATA, END_STREAM, stream, body.as_bytes())
            }
            Act::GoAway(reason) => {
                let payload = [0_u32.to_be_bytes(), reason.to_be_bytes()].concat();
                self.send(GOAWAY, 0, 0, &payload)?;
                Err(io::ErrorKind::ConnectionAborted.into())
            }
            Act::Refuse => self.send(RST_STREAM, 0, stream, &REFUSED_STREAM.to_be_bytes()),
            Act::FloodOfEmptyData => {
                self.send(HEADERS, END_HEADERS, stream, &answer_headers())?;
                let many = frame(DATA, 0, stream, &[]).repeat(1000);
                loop {
                    self.0.send(&many)?;
                }
            }
            Act::FloodOfContinuations => {
                self.send(HEADERS, 0, stream, &[0x88])?;
                // Each frame holds the header `x: y`, without indexing.
                let many = frame(CONTINUATION, 0, stream, &[0, 1, b'x', 1, b'y']).repeat(1000);
                loop {
                    self.0.send(&many)?;
                }
            }
        }
    }
}

/// `:status: 200` and the content type for event streams.
///
/// - Source: RFC 7541, appendix A: entries 8 and 31 of the static table.
fn answer_headers() -> Vec<u8> {
    let kind = b"text/event-stream";
    [&[0x88, 0x0f, 0x10, kind.len() as u8], &kind[..]].concat()
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .expect("frames here are small")
        .to_be_bytes();
    let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
    [head, payload.to_vec()].concat()
}

/// How a call ended, and what the service counted.
struct Outcome {
    result: Result<ChatReply, Error>,
    n_requests: usize,
    n_connections: usize,
}

/// One call to a service that speaks HTTP/2 over TLS. It does one act for each request, and repeats the last one.
fn call(certified: &Certified, acts: &[Act], as_stream: bool) -> Outcome {
    let (acts, n_requests) = (acts.to_vec(), Arc::new(AtomicUsize::new(0)));
    let counting = Arc::clone(&n_requests);
    let service = tls_service(certified, &["h2", "http/1.1"], move |connection, is_http2| {
        assert!(is_http2, "the plugin offers HTTP/2");
        let Ok(mut connection) = Http2::begin(connection) else {
            return;
        };
        while let Ok(stream) = connection.request() {
            let number = counting.fetch_add(1, Ordering::SeqCst);
            if connection.act(acts[number.min(acts.len() - 1)], stream).is_err() {
                return;
            }
        }
    });
    let plugin = plugin_at(&format!("https://{}/api/v1", service.address()), json!({}));
    let result = block_on(ask(&plugin, as_stream));
    Outcome {
        result,
        n_requests: n_requests.load(Ordering::SeqCst),
        n_connections: service.accepted_connections(),
    }
}

#[test]
fn fault_08_connections_that_the_service_ends_are_replaced_a_few_times() {
    trusting(|| {
        let certified = Authority::trusted().certificate_for("127.0.0.1");
        for (acts, as_stream, code_and_requests) in [
            (&[Act::GoAway(NO_ERROR), Act::Answer][..], true, ("ok", 2)),
            (&[Act::GoAway(NO_ERROR), Act::Answer], false, ("ok", 2)),
            (&[Act::GoAway(NO_ERROR)], true, ("connect", 3)),
            // This reason does not prove that the request was not processed.
            (&[Act::GoAway(ENHANCE_YOUR_CALM)], true, ("connect", 2)),
            // A refused request was never processed.
            (&[Act::Refuse, Act::Answer], false, ("ok", 2)),
            (&[Act::Refuse], false, ("connect", 3)),
        ] {
            let outcome = call(&certified, acts, as_stream);
            let found = (code(&outcome.result), outcome.n_requests);
            assert_eq!(found, code_and_requests, "{acts:?}: {:?}", outcome.result);
            if matches!(acts, [Act::GoAway(_), ..]) {
                assert_eq!(outcome.n_connections, outcome.n_requests, "{acts:?}");
            }
        }
    });
}

#[test]
fn fault_09_floods_of_empty_frames_end_in_little_memory() {
    trusting(|| {
        let certified = Authority::trusted().certificate_for("127.0.0.1");
        // This brings up the library, its threads and its pools, which must not be counted.
        assert_eq!(code(&call(&certified, &[Act::Answer], true).result), "ok");
        for flood in [Act::FloodOfEmptyData, Act::FloodOfContinuations] {
            let before = peak_kib();
            assert_ne!(code(&call(&certified, &[flood], true).result), "ok");
            let grown_kib = peak_kib() - before;
            assert!(grown_kib < 64 << 10, "{grown_kib} KiB");
        }
    });
}
