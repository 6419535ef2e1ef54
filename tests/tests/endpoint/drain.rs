//! The end: answers that have begun may finish for a while, and no longer.

use std::io;
use std::net::TcpStream;

use serde_json::Value;
use tests::endpoint::{Endpoint, Reply, Serve, chat_body};
use tests::faultd::{self, DONE, Faultd, LAST_CHUNK, chunk, finish_event, sse_head, text_event};
use tests::{eventually, service};

use crate::bench::{CHAT, patient, stalling, stream_body};

const ENDING: &str = "shutting down: waiting up to";
const CUT: &str = "stopped: 1 answer was cut off";

/// So long that a test which depends on it fails.
const LONG: [&str; 2] = ["--drain", "3600"];

/// An endpoint whose one answer never ends, and that answer.
fn endless(arguments: &[&str]) -> (Endpoint, Reply) {
    let service = service();
    service.script("acme/stalls", stalling());
    let serve = Serve::before(service).profile(&patient()).arguments(arguments);
    let endpoint = serve.start();
    let mut reply = endpoint.open(&endpoint.post(CHAT, &stream_body("acme/stalls", "Hello")));
    reply.until("data: ");
    (endpoint, reply)
}

/// A cut answer ends with an error that its client reads, and never like a complete one.
#[track_caller]
fn ends_with_an_error(reply: Reply) {
    let answer = reply.whole().expect(200);
    let last = answer.events().pop().expect("an event");
    let last: Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(last["error"]["type"], "shut_down", "{last}");
}

#[track_caller]
fn wait_until_refused(endpoint: &Endpoint) {
    // A connection that the closing port still took is reset.
    let is_refused = |cause: &io::Error| cause.kind() == io::ErrorKind::ConnectionRefused;
    let refusal = || TcpStream::connect(endpoint.address()).err().filter(is_refused);
    eventually(|| refusal().ok_or("it still listens"));
}

#[test]
fn a_running_stream_ends_whole_while_new_clients_are_refused() {
    let begin = [sse_head(), chunk(text_event("begun"))].concat();
    let end = chunk(text_event(" and ended") + &finish_event("stop") + DONE);
    let end = [end, LAST_CHUNK.into()].concat();
    let faultd = Faultd::playing([faultd::Script::new().send(begin).hold().send(end)]);
    let mut endpoint = Serve::new().asking(&faultd).arguments(&LONG).start();
    let mut idle = endpoint.open(&endpoint.get("/health")).whole_and_client().1;
    let mut reply = endpoint.open(&endpoint.post(CHAT, &stream_body("acme/model", "Hello")));
    reply.until("begun");
    endpoint.signal("TERM");
    endpoint.wait_for_stderr(ENDING, 1);
    wait_until_refused(&endpoint);
    assert!(idle.is_closed(), "a connection without a request need not wait");
    faultd.release();
    let answer = reply.whole().expect(200);
    assert_eq!(answer.streamed(), "begun and ended");
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    let ran = endpoint.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains(CUT), "{}", ran.stderr);
}

#[test]
fn a_whole_answer_in_the_making_is_delivered_before_the_end() {
    let made = faultd::json_reply(200, &[], &faultd::whole_answer("made"));
    let faultd = Faultd::playing([faultd::Script::new().hold().send(made)]);
    let mut endpoint = Serve::new().asking(&faultd).arguments(&LONG).start();
    let mut client = endpoint.connect();
    let request = endpoint.post(CHAT, &chat_body("acme/model", "Hello"));
    client.send(request.bytes()).expect("it is there");
    faultd.wait_for_requests(1);
    endpoint.signal("INT");
    endpoint.wait_for_stderr(ENDING, 1);
    faultd.release();
    let (answer, mut client) = client.reply().whole_and_client();
    assert_eq!(answer.expect(200).content(), "made");
    assert!(client.is_closed(), "the connection takes no further request");
    assert_eq!(endpoint.end().code, Some(0));
}

#[test]
fn a_second_signal_ends_at_once_and_counts_what_was_cut() {
    let (mut endpoint, reply) = endless(&LONG);
    endpoint.signal("TERM");
    endpoint.wait_for_stderr(ENDING, 1);
    endpoint.signal("TERM");
    let ran = endpoint.end();
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains(CUT), "{}", ran.stderr);
    ends_with_an_error(reply);
}

#[test]
fn answers_that_outlast_the_limit_are_cut_and_counted() {
    for limit_s in ["0", "1"] {
        let (mut endpoint, reply) = endless(&["--drain", limit_s]);
        let ran = endpoint.stop();
        assert_eq!(ran.code, Some(130), "{}", ran.stderr);
        let ending = format!("{ENDING} {limit_s} s for 1 answer; a second signal stops at once");
        assert!(
            ran.stderr.contains(&ending) && ran.stderr.contains(CUT),
            "{}",
            ran.stderr
        );
        ends_with_an_error(reply);
    }
}

#[test]
fn without_answers_to_wait_for_the_end_is_immediate() {
    for signal in ["TERM", "INT"] {
        let mut endpoint = Serve::new().arguments(&LONG).start();
        let _idle = endpoint.open(&endpoint.get("/health")).whole_and_client().1;
        endpoint.signal(signal);
        let ran = endpoint.end();
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{}", ran.stderr);
    }
}

#[test]
fn half_a_request_delays_the_end_no_longer_than_the_limit() {
    let mut endpoint = Serve::new().arguments(&["--drain", "1"]).start();
    let mut client = endpoint.connect();
    let half = "POST /v1/chat/completions HTTP/1.1\r\nhost: ";
    client.send(half).expect("it is there");
    let ran = endpoint.stop();
    assert!([Some(0), Some(130)].contains(&ran.code), "{ran:?}");
    assert!(client.reply_if_any().is_none());
}
