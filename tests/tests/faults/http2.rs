//! HTTP/2 connections that are ended, refused or flooded by the service.
//!
//! The frames are written by hand, because a library would not break the rules. Where the plugin does not choose HTTP/2, the
//! tests say that they did not run.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use plugin_api::{ChatReply, Error};
use serde_json::json;
use tests::faultd::{Arrival, Connection, DONE, Script, finish_event, text_event};

use crate::bench::{chat, code, plugin_at, stream};
use crate::flood::peak_kib;
use crate::tls::{Authority, tls_service, trusting};

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
#[derive(Clone, Copy)]
enum Act {
    Answer,
    /// Ends the connection and says that it did not look at the request.
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

    /// Reads frames until a request is complete, and says on which stream.
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
                // A header of its own in each frame: `x: y`, not to be remembered.
                let many = frame(CONTINUATION, 0, stream, &[0, 1, b'x', 1, b'y']).repeat(1000);
                loop {
                    self.0.send(&many)?;
                }
            }
        }
    }
}

/// `:status: 200` and the content type of an event stream.
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

/// What a call to a service came to that acts so, request by request; the last act holds for all further ones.
struct Told {
    result: Result<ChatReply, Error>,
    n_requests: usize,
    n_connections: usize,
}

/// Runs calls against a service behind TLS with HTTP/2, in a process of their own.
fn with_http2(test: &'static str, body: impl Fn(&dyn Fn(&[Act], bool) -> Told)) {
    trusting(test, || {
        let certified = Authority::trusted().certificate_for("127.0.0.1");
        let is_spoken = Arc::new(Mutex::new(false));
        let ask = |acts: &[Act], as_stream: bool| {
            let (acts, n_requests) = (acts.to_vec(), Arc::new(AtomicUsize::new(0)));
            let (counting, speaking) = (Arc::clone(&n_requests), Arc::clone(&is_spoken));
            let service = tls_service(&certified, &["h2", "http/1.1"], move |connection, is_http2| {
                *speaking.lock().expect("nothing panics while it is held") |= is_http2;
                if !is_http2 {
                    return connection.serve(&|_: &Arrival| Script::answer("hello"));
                }
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
            let result = if as_stream { stream(&plugin) } else { chat(&plugin) };
            Told {
                result,
                n_requests: n_requests.load(Ordering::SeqCst),
                n_connections: service.accepted_connections(),
            }
        };
        let first = ask(&[Act::Answer], true);
        assert_eq!(first.result.expect("an answer").text, "hello");
        if !*is_spoken.lock().expect("nothing panics while it is held") {
            println!("not run: {test}: the plugin does not offer HTTP/2");
            return;
        }
        body(&ask);
    });
}

#[test]
fn a_client_that_speaks_http2_is_understood() {
    let certified = Authority::new().certificate_for("127.0.0.1");
    let service = tls_service(&certified, &["h2"], |connection, is_http2| {
        assert!(is_http2);
        let mut connection = Http2::begin(connection).expect("the client begins");
        while let Ok(stream) = connection.request() {
            connection.act(Act::Answer, stream).expect("the client reads");
        }
    });
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(certified.roots())
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let text = tests::block_on(async {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build()?;
        let address = format!("https://{}/api/v1/chat/completions", service.address());
        client.post(address).body("{}").send().await?.text().await
    });
    assert!(text.expect("an answer").ends_with(DONE));
}

#[test]
fn fault_08_a_connection_that_the_service_ends_costs_no_call() {
    with_http2(
        "http2::fault_08_a_connection_that_the_service_ends_costs_no_call",
        |ask| {
            for (reason, as_stream) in [(NO_ERROR, true), (NO_ERROR, false), (ENHANCE_YOUR_CALM, true)] {
                let told = ask(&[Act::GoAway(reason), Act::Answer], as_stream);
                assert_eq!(
                    (code(&told.result), told.n_requests),
                    ("ok", 2),
                    "{:?}",
                    told.result.err()
                );
                assert_eq!(told.n_connections, 2);
            }
        },
    );
}

#[test]
fn fault_08_a_service_that_ends_every_connection_is_not_asked_for_ever() {
    with_http2(
        "http2::fault_08_a_service_that_ends_every_connection_is_not_asked_for_ever",
        |ask| {
            // After a reproach, whether the request was looked at is not taken for certain.
            for (reason, most) in [(NO_ERROR, 3), (ENHANCE_YOUR_CALM, 2)] {
                let told = ask(&[Act::GoAway(reason)], true);
                assert_eq!(
                    (code(&told.result), told.n_requests),
                    ("connect", most),
                    "{:?}",
                    told.result.err()
                );
            }
        },
    );
}

#[test]
fn fault_08_a_refused_request_was_never_processed_and_is_tried_again() {
    with_http2(
        "http2::fault_08_a_refused_request_was_never_processed_and_is_tried_again",
        |ask| {
            for as_stream in [true, false] {
                let told = ask(&[Act::Refuse, Act::Answer], as_stream);
                assert_eq!(
                    (code(&told.result), told.n_requests),
                    ("ok", 2),
                    "{:?}",
                    told.result.err()
                );
                let told = ask(&[Act::Refuse], as_stream);
                assert_eq!(
                    (code(&told.result), told.n_requests),
                    ("connect", 3),
                    "{:?}",
                    told.result.err()
                );
            }
        },
    );
}

#[test]
fn fault_09_floods_of_frames_without_content_end_and_take_no_memory() {
    with_http2(
        "http2::fault_09_floods_of_frames_without_content_end_and_take_no_memory",
        |ask| {
            for flood in [Act::FloodOfEmptyData, Act::FloodOfContinuations] {
                let before = peak_kib();
                let told = ask(&[flood], true);
                assert_ne!(code(&told.result), "ok");
                let grown_kib = peak_kib() - before;
                assert!(grown_kib < 64 << 10, "{grown_kib} KiB");
            }
        },
    );
}
