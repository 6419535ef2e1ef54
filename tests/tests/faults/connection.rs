//! Connections that never come up, break, or are already gone.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use plugin_api::{ChatReply, Plugin};
use serde_json::json;
use socket2::{Domain, Socket, Type};
use tests::faultd::{Faultd, Script, chunk, head, sse_head, text_event};
use tests::{Child, block_on, request};

use crate::call::{both, chat, code, outcome, plain, plugin_at, stream, streamed};
use crate::this_process::{open_files, wait_until_files_are_closed};

/// The base URL of a port where nobody listens any more.
fn nobody() -> (SocketAddr, String) {
    let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .expect("there is a free port");
    (address, format!("http://{address}/api/v1"))
}

#[test]
fn fault_02_a_refused_connection_is_tried_three_times() {
    let (address, base_url) = nobody();
    let error = stream(&plugin_at(&base_url, json!({}))).expect_err("nobody listens");
    assert_eq!(error.kind.code(), "connect", "{error:?}");
    assert!(error.is_retryable());
    assert_eq!(error.details.attempts.len(), 3, "{error:?}");
    assert!(error.message.contains(&address.to_string()), "{error}");
}

#[test]
fn fault_02_a_connection_that_nobody_accepts_is_tried_three_times() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).expect("there is a free port");
    socket.listen(1).expect("it listens");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("it listens");
    let mut queued = Vec::new();
    // Once the queue is full, a connection is neither accepted nor refused. The system would try for two minutes.
    while let Ok(connection) = TcpStream::connect_timeout(&address, Duration::from_millis(200)) {
        queued.push(connection);
    }
    let options = json!({"timeouts": {"connectMs": 100}});
    let error = stream(&plugin_at(&format!("http://{address}/api/v1"), options)).expect_err("nobody accepts");
    let n_attempts = error.details.attempts.len();
    assert_eq!((error.kind.code(), n_attempts), ("connect", 3), "{error:?}");
}

#[test]
fn fault_02_the_total_timeout_covers_all_attempts() {
    let options = json!({"retry": {"attempts": 10}, "timeouts": {"totalMs": 700}});
    let error = stream(&plugin_at(&nobody().1, options)).expect_err("nobody listens");
    // A wait that would pass the limit is not begun, so the call ends with its last failure.
    assert!(["connect", "timeout"].contains(&error.kind.code()), "{error:?}");
    assert!(error.details.attempts.len() < 10, "{error:?}");
}

#[test]
fn fault_04_a_call_lost_before_its_head_is_retried_once_if_streamed() {
    for lost in [Script::new().reset(), Script::new().close()] {
        let [streamed_once, plain_once] = both(&json!({}), std::slice::from_ref(&lost));
        streamed_once.expect("connect", 2);
        plain_once.expect("connect", 1);
        let scripts = [lost, Script::answer("at last")];
        let outcome = streamed(json!({}), &scripts);
        outcome.expect("ok", 2);
        let attempts = &outcome.result.as_ref().expect("an answer").done.attempts;
        let codes: Vec<_> = attempts.iter().map(|attempt| attempt.code.as_deref()).collect();
        assert_eq!(codes, [Some("connect"), None]);
        plain(json!({"retry": {"ambiguous": true}}), &scripts).expect("ok", 2);
    }
}

#[test]
fn fault_04_a_reset_after_the_head_is_not_an_answer() {
    let streamed = streamed(json!({}), &[Script::new().send(sse_head()).reset()]);
    streamed.expect_one_of(&["interrupted", "connect"]);
    // Nothing was delivered, so one more attempt is allowed.
    assert!((1..=2).contains(&streamed.requests.len()));
    let head = head(200, &[("content-type", "application/json"), ("content-length", "100")]);
    let plain = plain(json!({}), &[Script::new().send(head).reset()]);
    plain.expect_one_of(&["interrupted", "connect"]);
    assert_eq!(plain.requests.len(), 1);
}

#[test]
fn fault_04_a_reset_after_the_first_text_is_not_retried_and_keeps_it() {
    let begun = [sse_head(), chunk(text_event("once "))].concat();
    // A reset may overtake unread data, so it comes only after the text was read.
    let service = Faultd::playing([Script::new().send(begun).hold().reset()]);
    let outcome = outcome(json!({}), &service, |plugin| {
        block_on(async {
            let mut events = plugin.stream(&request("acme/model", "hello")).await?;
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
    outcome.expect("interrupted", 1);
    assert_eq!(outcome.partial(), Some("once "));
}

#[test]
fn fault_05_an_idle_connection_that_ends_fails_only_what_may_not_be_repeated() {
    // The service ends each connection with its first answer, just when the plugin may want to use it again. Nobody can
    // know whether it saw a request that was being sent at that moment.
    let plain_call: fn(&Plugin) -> _ = chat;
    for (options, call, allowed) in [
        (json!({}), stream as fn(&Plugin) -> _, &["ok"][..]),
        (json!({"retry": {"ambiguous": true}}), plain_call, &["ok"]),
        (json!({}), plain_call, &["ok", "connect"]),
    ] {
        for end in [Script::answer("hello").reset(), Script::answer("hello").close()] {
            let service = Faultd::playing([end]);
            let plugin = plugin_at(&service.base_url(), options.clone());
            let codes: Vec<_> = (0..10).map(|_| code(&call(&plugin))).collect();
            assert!(codes.iter().all(|code| allowed.contains(code)), "{codes:?}");
            // No call is answered twice.
            assert!(service.requests().len() <= 10, "{} requests", service.requests().len());
        }
    }
}

#[test]
fn fault_05_an_idle_connection_known_to_have_ended_fails_no_call() {
    Child::new().run(|| {
        // The test's own runtime keeps some files open, which must not be counted.
        block_on(async {});
        let ends = [Script::answer("hello").reset(), Script::answer("hello").close()];
        // All are created first and kept, because the files of one that ends must not be counted either.
        let benches = ends.map(|end| {
            let service = Faultd::playing([end]);
            let plugin = plugin_at(&service.base_url(), json!({}));
            (service, plugin)
        });
        let before = open_files();
        for (service, plugin) in &benches {
            for number in 1..=10 {
                let call = if number % 2 == 0 { stream } else { chat };
                let result = call(plugin);
                assert_eq!(code(&result), "ok", "call {number}: {:?}", result.err());
                assert_eq!(service.requests().len(), number);
                // Both ends of the connection are closed.
                wait_until_files_are_closed(before);
            }
        }
    });
}
