//! The end: answers that have begun are let finish for a while, and no more than that.

use std::io;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sandbox::Script;
use serde_json::{Value, json};
use tests::endpoint::{Answer, Endpoint, Reply, Serve, chat_body};
use tests::faultd::{self, DONE, Faultd, LAST_CHUNK, chunk, finish_event, sse_head, text_event};
use tests::{LIMIT, service};

const CHAT: &str = "/v1/chat/completions";
const ENDING: &str = "ending: 1 answer may go on for";

fn stream_body(model: &str) -> Value {
    let mut body = chat_body(model, "Hello");
    body["stream"] = json!(true);
    body
}

/// A service that begins its answer, and ends it when it is released.
fn held() -> Faultd {
    let begin = [sse_head(), chunk(text_event("begun"))].concat();
    let end = [
        chunk(text_event(" and ended") + &finish_event("stop") + DONE),
        LAST_CHUNK.into(),
    ]
    .concat();
    Faultd::playing([faultd::Script::new().send(begin).hold().send(end)])
}

/// An endpoint whose one answer never ends, and that answer.
fn endless(arguments: &[&str]) -> (Endpoint, Reply) {
    let service = service();
    let stalls = Script {
        stall_after_chunks: Some(1),
        ..Script::words(10)
    };
    service.script("acme/stalls", stalls);
    let endpoint = Serve::before(service).arguments(arguments).start();
    let mut reply = endpoint.open(&endpoint.post(CHAT, &stream_body("acme/stalls")));
    reply.until("data: ");
    (endpoint, reply)
}

/// Waits until nobody is let in any more.
#[track_caller]
fn wait_until_refused(endpoint: &Endpoint) {
    let late = Instant::now() + LIMIT;
    while TcpStream::connect(endpoint.address()).is_ok() {
        assert!(Instant::now() < late, "it still listens");
    }
    let refused = TcpStream::connect(endpoint.address()).map_err(|cause| cause.kind());
    assert_eq!(refused.err(), Some(io::ErrorKind::ConnectionRefused));
}

#[test]
fn a_stream_that_runs_ends_whole_and_nobody_else_is_let_in() {
    let faultd = held();
    let mut endpoint = Serve::new().asking(&faultd).start();
    let mut idle = endpoint.open(&endpoint.get("/health")).whole_and_client().1;
    let mut reply = endpoint.open(&endpoint.post(CHAT, &stream_body("acme/model")));
    reply.until("begun");
    endpoint.signal("TERM");
    endpoint.wait_for_stderr(ENDING, 1);
    wait_until_refused(&endpoint);
    assert!(
        idle.is_closed(),
        "a connection without a request has no business any more"
    );
    faultd.release();
    let answer: Answer = reply.whole().expect(200);
    assert_eq!(answer.streamed(), "begun and ended");
    assert_eq!(answer.events().last().map(String::as_str), Some("[DONE]"));
    let ran = endpoint.end();
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    assert!(!ran.stderr.contains("1 answer was cut off"), "{}", ran.stderr);
}

#[test]
fn a_whole_answer_that_is_being_made_is_given_before_the_end() {
    let faultd = Faultd::playing([faultd::Script::new().hold().send(faultd::json_reply(
        200,
        &[],
        &faultd::whole_answer("made"),
    ))]);
    let mut endpoint = Serve::new().asking(&faultd).start();
    let mut client = endpoint.connect();
    client
        .send(endpoint.post(CHAT, &chat_body("acme/model", "Hello")).bytes())
        .expect("it is there");
    faultd.wait_for_requests(1);
    endpoint.signal("INT");
    endpoint.wait_for_stderr(ENDING, 1);
    faultd.release();
    let (answer, mut client) = client.reply().whole_and_client();
    assert_eq!(answer.expect(200).content(), "made");
    assert!(client.is_closed(), "the connection is not kept for more");
    assert_eq!(endpoint.end().code, Some(0));
}

#[test]
fn a_second_signal_ends_at_once_and_says_what_was_cut() {
    let (mut endpoint, reply) = endless(&["--drain", "3600"]);
    endpoint.signal("TERM");
    endpoint.wait_for_stderr(ENDING, 1);
    endpoint.signal("TERM");
    let ran = endpoint.end();
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(ran.stderr.contains("ended: 1 answer was cut off"), "{}", ran.stderr);
    let answer = reply.whole();
    assert!(
        !answer.is_whole,
        "a cut answer does not look like a whole one: {answer:?}"
    );
    endpoint
        .service
        .wait_until_idle(LIMIT)
        .expect("the service is not kept busy");
}

#[test]
fn the_limit_for_answers_that_go_on_holds() {
    let (mut endpoint, reply) = endless(&["--drain", "1"]);
    let begun = Instant::now();
    let ran = endpoint.stop();
    let took = begun.elapsed();
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(took >= Duration::from_secs(1), "{took:?}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(
        ran.stderr.contains("may go on for 1 s; a second signal ends at once"),
        "{}",
        ran.stderr
    );
    assert!(!reply.whole().is_whole);
}

#[test]
fn no_time_to_end_means_none() {
    let (mut endpoint, reply) = endless(&["--drain", "0"]);
    let ran = endpoint.stop();
    assert_eq!(ran.code, Some(130), "{}", ran.stderr);
    assert!(!reply.whole().is_whole);
}

#[test]
fn without_answers_to_wait_for_it_ends_at_once_and_well() {
    for signal in ["TERM", "INT"] {
        let mut endpoint = Serve::new().arguments(&["--drain", "3600"]).start();
        let _idle = endpoint.open(&endpoint.get("/health")).whole_and_client().1;
        endpoint.signal(signal);
        let ran = endpoint.end();
        assert_eq!((ran.code, ran.stdout.lines().count()), (Some(0), 1), "{}", ran.stderr);
    }
}

#[test]
fn a_client_that_is_still_sending_its_request_does_not_keep_the_end_away_for_long() {
    let mut endpoint = Serve::new().arguments(&["--drain", "1"]).start();
    let mut client = endpoint.connect();
    client
        .send("POST /v1/chat/completions HTTP/1.1\r\nhost: ")
        .expect("it is there");
    let ran = endpoint.stop();
    assert!([Some(0), Some(130)].contains(&ran.code), "{ran:?}");
    assert!(client.reply_if_any().is_none());
}

#[test]
fn the_port_can_be_taken_again_right_after_the_end() {
    let mut first = Endpoint::start();
    let client = first.open(&first.get("/health")).whole_and_client().1;
    assert_eq!(first.stop().code, Some(0));
    let second = Serve::again(&first).port(first.address().port()).start();
    assert_eq!(second.address(), first.address());
    second.answer(&second.get("/health")).expect(200);
    drop(client);
}
