//! Connections that do not come, break or are gone already.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use plugin_api::{ChatReply, Error, Plugin};
use serde_json::{Value, json};
use tests::faultd::{Faultd, LAST_CHUNK, Script, chunk, finish_event, sse_head, text_event};

use crate::bench::{both, chat, code, once, outcome, plain, plugin_at, stream, streamed};
use crate::child::Child;
use crate::host::{assert_files_are_closed, open_files};

#[test]
fn fault_02_a_refused_connection_is_tried_three_times() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("there is a free port");
    let plugin = plugin_at(&format!("http://{address}/api/v1"), json!({}));
    for result in [stream(&plugin), chat(&plugin)] {
        let error = result.expect_err("nobody listens there any more");
        assert_eq!(error.kind.code(), "connect", "{error:?}");
        assert!(error.is_retryable());
        assert_eq!(error.details.attempts.len(), 3, "{error:?}");
        assert!(error.message.contains(&address.to_string()), "{error}");
    }
}

#[test]
fn fault_02_a_connection_that_nobody_accepts_is_given_up_in_its_time_and_tried_three_times() {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("a socket");
    let any_port = std::net::SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).expect("there is a free port");
    socket.listen(1).expect("it listens");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("it listens");
    let mut queued = Vec::new();
    // Until the queue is full; then a connection is neither accepted nor refused.
    while let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(connection);
    }
    let options = json!({"timeouts": {"connectMs": 200}});
    let plugin = plugin_at(&format!("http://{address}/api/v1"), options);
    let begun = std::time::Instant::now();
    let error = stream(&plugin).expect_err("nobody accepts");
    assert_eq!(
        (error.kind.code(), error.details.attempts.len()),
        ("connect", 3),
        "{error:?}"
    );
    // Three times 200 ms, and two waits of 0.5 s and 1 s at most.
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn fault_02_the_time_of_the_whole_call_holds_over_all_attempts() {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("there is a free port");
    let options = json!({"retry": {"attempts": 10}, "timeouts": {"totalMs": 700}});
    let plugin = plugin_at(&format!("http://{address}/api/v1"), options);
    let begun = std::time::Instant::now();
    let error = stream(&plugin).expect_err("nobody listens there any more");
    // A wait that would pass the limit is not begun, so the last failure is told at once.
    assert!(["connect", "timeout"].contains(&error.kind.code()), "{error:?}");
    assert!(error.details.attempts.len() < 10, "{error:?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn fault_04_a_reset_before_the_headers_is_retried_once_for_a_stream_and_not_for_a_plain_request() {
    let [streamed, plain] = both(&json!({}), &[Script::new().reset()]);
    assert_eq!(streamed.told(), ("connect", 2), "{:?}", streamed.result.err());
    assert_eq!(plain.told(), ("connect", 1), "{:?}", plain.result.err());
}

#[test]
fn fault_04_a_close_before_the_headers_is_like_a_reset() {
    let [streamed, plain] = both(&json!({}), &[Script::new().close()]);
    assert_eq!(streamed.told(), ("connect", 2), "{:?}", streamed.result.err());
    assert_eq!(plain.told(), ("connect", 1), "{:?}", plain.result.err());
}

#[test]
fn fault_04_a_stream_that_was_reset_once_is_answered_by_the_second_attempt() {
    let scripts = [Script::new().reset(), Script::answer("at last")];
    let outcome = streamed(json!({}), &scripts);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 2), "at last"));
    let attempts = &outcome.result.as_ref().expect("an answer").done.attempts;
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt.code.as_deref()).collect();
    assert_eq!(codes, [Some("connect"), None]);
}

#[test]
fn fault_04_a_profile_may_allow_a_plain_request_to_be_repeated() {
    let scripts = [Script::new().reset(), Script::answer("at last")];
    let outcome = plain(json!({"retry": {"ambiguous": true}}), &scripts);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 2), "at last"));
}

#[test]
fn fault_04_a_reset_after_the_headers_is_no_answer() {
    let [streamed, _] = both(&json!({}), &[Script::new().send(sse_head()).reset()]);
    let (code, n_requests) = streamed.told();
    assert!(
        ["interrupted", "connect"].contains(&code),
        "{:?}",
        streamed.result.err()
    );
    // Nothing was delivered, so one more attempt is allowed and more are not.
    assert!((1..=2).contains(&n_requests), "{n_requests} requests");
    let head = tests::faultd::head(200, &[("content-type", "application/json"), ("content-length", "100")]);
    let plain = plain(json!({}), &[Script::new().send(head).reset()]);
    assert_eq!(plain.requests.len(), 1, "{:?}", plain.result.err());
    assert!(
        ["interrupted", "connect"].contains(&plain.told().0),
        "{:?}",
        plain.result.err()
    );
}

#[test]
fn fault_04_a_reset_after_the_first_piece_is_never_retried_and_keeps_what_had_arrived() {
    let begun = [sse_head(), chunk(text_event("once "))].concat();
    // The reset comes only when the first piece was read, since it may overtake what was not.
    let service = Faultd::playing([Script::new().send(begun).hold().reset()]);
    let outcome = outcome(json!({}), &service, |plugin| {
        tests::block_on(async {
            let mut events = plugin.stream(&tests::request("acme/model", "hello")).await?;
            let mut reply = ChatReply::default();
            while let Some(event) = events.next().await {
                reply.add(event?);
                if reply.text == "once " {
                    service.release();
                }
            }
            Ok(reply)
        })
    });
    assert_eq!(outcome.told(), ("interrupted", 1), "{:?}", outcome.result.err());
    assert_eq!(outcome.partial(), Some("once "));
}

/// Twenty calls to a service that ends each connection with its first answer, at a moment at which the plugin may want to
/// use it again. No call is to be answered twice.
fn twenty_calls(
    options: Value,
    script: &Script,
    call: impl Fn(&Plugin) -> Result<ChatReply, Error>,
) -> Vec<&'static str> {
    let service = Faultd::playing([script.clone()]);
    let plugin = plugin_at(&service.base_url(), options);
    let codes: Vec<_> = (0..20).map(|_| code(&call(&plugin))).collect();
    assert!(service.requests().len() <= 20, "{} requests", service.requests().len());
    codes
}

#[test]
fn fault_05_an_idle_connection_that_ended_costs_no_call_that_may_be_repeated() {
    for end in [Script::answer("hello").reset(), Script::answer("hello").close()] {
        assert_eq!(twenty_calls(json!({}), &end, stream), ["ok"; 20]);
        assert_eq!(
            twenty_calls(json!({"retry": {"ambiguous": true}}), &end, chat),
            ["ok"; 20]
        );
    }
}

#[test]
fn fault_05_a_plain_request_that_meets_the_end_of_an_idle_connection_is_never_answered_twice() {
    for end in [Script::answer("hello").reset(), Script::answer("hello").close()] {
        let codes = twenty_calls(json!({}), &end, chat);
        // Whether the service has seen a request that was being sent at that very moment, nobody knows.
        assert!(codes.iter().all(|code| ["ok", "connect"].contains(code)), "{codes:?}");
    }
}

#[test]
fn fault_05_an_idle_connection_that_is_known_to_have_ended_costs_no_call_at_all() {
    Child::of("connection::fault_05_an_idle_connection_that_is_known_to_have_ended_costs_no_call_at_all").run(|| {
        // The test's own runtime keeps files of the process, which are not counted.
        tests::block_on(async {});
        for end in [Script::answer("hello").reset(), Script::answer("hello").close()] {
            let service = Faultd::playing([end]);
            let plugin = plugin_at(&service.base_url(), json!({}));
            let before = open_files();
            for number in 1..=20 {
                let result = if number % 2 == 0 {
                    stream(&plugin)
                } else {
                    chat(&plugin)
                };
                assert_eq!(code(&result), "ok", "call {number}: {:?}", result.err());
                assert_eq!(service.requests().len(), number);
                // Until both ends of the connection are closed.
                assert_files_are_closed(before);
            }
        }
    });
}

#[test]
fn fault_07_an_answer_of_one_byte_at_a_time_is_read_right_and_not_given_up() {
    let events = [
        text_event("drop "),
        text_event("by "),
        text_event("drop"),
        finish_event("stop"),
    ];
    let body = events.iter().flat_map(chunk).chain(LAST_CHUNK.bytes());
    let whole: Vec<u8> = sse_head().into_iter().chain(body).collect();
    let options = json!({"retry": {"attempts": 1}, "timeouts": {"idleMs": 5_000}});
    let outcome = streamed(options, &[Script::new().drip(whole, 1)]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "drop by drop"));
    let whole = tests::faultd::json_reply(200, &[], &tests::faultd::whole_answer("drop by drop"));
    let outcome = plain(once(), &[Script::new().drip(whole, 1)]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "drop by drop"));
}
