//! How the endpoint ends, and what happens at its limits.

use std::net::TcpStream;

use plugin_api::ChatEvent;

use super::bench::{Bench, block_on};
use super::fake::{Fake, Held, wait_until_dropped};

const BODY: &str = r#"{"stream":true}"#;

#[test]
fn answers_that_have_begun_end_well_and_new_connections_are_not_taken() {
    let mut bench = Bench::new();
    let mut idle = bench.client();
    idle.ask("GET", "/health", "");
    assert_eq!(idle.answer().status, 200);
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?drained", BODY);
    let held = Held::wait("/chat/completions?drained");
    held.raw("data: 1\n\n");
    client.until("data: 1\n\n\r\n");
    bench.server.drain();
    // The idle connection is closed, and by then nobody listens any more.
    assert_eq!(idle.rest(), "");
    assert!(TcpStream::connect(bench.address).is_err());
    assert!(bench.shared.is_draining());
    held.raw("data: 2\n\n");
    held.send(ChatEvent::done("stop"));
    assert_eq!(client.chunks(), "data: 2\n\n");
    assert_eq!(client.rest(), "");
    block_on(bench.server.ended());
}

#[test]
fn an_answer_that_does_not_end_is_cut_off() {
    let mut bench = Bench::new();
    let mut client = bench.client();
    client.ask("POST", "/v1/chat/completions?cut-off", BODY);
    let held = Held::wait("/chat/completions?cut-off");
    held.raw("data: 1\n\n");
    client.until("data: 1\n\n\r\n");
    bench.server.drain();
    bench.server.end();
    block_on(bench.server.ended());
    wait_until_dropped("/chat/completions?cut-off");
    // Without the last chunk: nobody may take it for the whole answer.
    assert_eq!(client.rest(), "");
}

#[test]
fn a_connection_beyond_the_limit_waits_until_another_one_ends() {
    let bench = Bench::with::<Fake>(1);
    let mut first = bench.client();
    first.ask("POST", "/v1/chat/completions?first-of-two", BODY);
    let held = Held::wait("/chat/completions?first-of-two");
    let mut second = bench.client();
    second.ask("GET", "/health", "");
    held.send(ChatEvent::done("stop"));
    let (status, _) = first.head();
    assert_eq!((status, first.chunks().as_str()), (200, ""));
    drop(first);
    assert_eq!(second.answer().status, 200);
}
