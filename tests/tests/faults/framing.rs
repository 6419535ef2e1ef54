//! Answers whose bytes break the rules of HTTP/1.1, or that end too early.

use plugin_api::Plugin;
use serde_json::json;
use tests::faultd::{
    DONE, Faultd, LAST_CHUNK, Script, chunk, finish_event, head, json_reply, sse_head, sse_head_until_close,
    text_event, whole_answer,
};

use crate::call::{both, chat, code, once, outcome, plain, plugin_at, stream, streamed};

/// A reply whose head promises this length, and whose body is a whole answer.
fn promising(length: &str) -> Vec<u8> {
    let headers = [("content-type", "application/json"), ("content-length", length)];
    [head(200, &headers), whole_answer("hello").to_string().into_bytes()].concat()
}

#[test]
fn fault_23_a_cut_answer_is_interrupted_and_keeps_what_arrived() {
    let half = whole_answer("hello").to_string();
    let until_close = head(200, &[("content-type", "application/json"), ("connection", "close")]);
    let half = [until_close, half.as_bytes()[..half.len() / 2].to_vec()].concat();
    for cut in [promising("9999"), half] {
        let outcome = plain(json!({}), &[Script::new().send(cut).close()]);
        outcome.expect_one_of(&["protocol", "interrupted"]);
        assert_eq!(outcome.requests.len(), 1);
    }
    // Impossible sizes of chunks, and chunks that are cut.
    let next = chunk(text_event("upon a time"));
    let cut = |at: usize| next[..at].to_vec();
    let ends: [Vec<u8>; 8] = [
        b"xyz\r\n".into(),
        b"-5\r\n".into(),
        b"fffffffffffffffff\r\n".into(),
        b"\r\n".into(),
        cut(1),
        cut(3),
        cut(next.len() / 2),
        cut(next.len() - 1),
    ];
    for end in ends {
        let bytes = [sse_head(), chunk(text_event("once ")), end].concat();
        let outcome = streamed(json!({}), &[Script::new().send(bytes).close()]);
        // Of the last one, only the end of its chunk is missing.
        let partial = outcome.expect("interrupted", 1).partial();
        assert!(
            [Some("once "), Some("once upon a time")].contains(&partial),
            "{partial:?}"
        );
    }
}

#[test]
fn fault_23_a_body_longer_than_promised_harms_no_later_call() {
    let mut reply = json_reply(200, &[], &whole_answer("hello"));
    reply.extend_from_slice(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
    let service = Faultd::playing([Script::new().send(reply)]);
    let plugin = plugin_at(&service.base_url(), once());
    for number in 1..=5 {
        let result = chat(&plugin);
        assert_eq!(code(&result), "ok", "call {number}: {:?}", result.err());
        assert_eq!(service.requests().len(), number);
    }
}

#[test]
fn fault_23_contradicting_lengths_are_errors_or_read_right() {
    let both_ways = [
        ("content-type", "application/json"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ];
    let sideways = [("content-type", "application/json"), ("transfer-encoding", "sideways")];
    let in_chunks = [chunk(whole_answer("hello").to_string()), LAST_CHUNK.into()].concat();
    let replies = [
        promising("-1"),
        promising("99999999999999999999999"),
        promising("5, 6"),
        [head(200, &both_ways), in_chunks].concat(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n{}  ".to_vec(),
        b"HTTP/9.9 200 OK\r\n\r\n".to_vec(),
        b"\0\0\0\0\0\0\0\0\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n".to_vec(),
        [head(200, &sideways), whole_answer("hello").to_string().into_bytes()].concat(),
    ];
    for reply in replies {
        let what = String::from_utf8_lossy(&reply[..reply.len().min(60)]).into_owned();
        let [streamed, plain] = both(&json!({}), &[Script::new().send(reply).close()]);
        for outcome in [&streamed, &plain] {
            if outcome.result.as_ref().is_ok_and(|reply| reply.text == "hello") {
                continue;
            }
            outcome.expect_one_of(&["connect", "protocol", "interrupted"]);
        }
        assert!(streamed.requests.len() <= 2, "{what:?}: {}", streamed.requests.len());
        assert_eq!(plain.requests.len(), 1, "{what:?}");
    }
}

#[test]
fn fault_24_a_body_that_ends_with_its_connection_needs_a_finish_reason() {
    let [first, second] = [text_event("once "), text_event("upon")];
    let text_bytes = first.len() + second.len();
    let whole = first + &second + &finish_event("stop") + DONE;
    let complete = whole.len() - DONE.len();
    // At the head, between events, within the finish reason; then behind it, within the end mark, and behind that.
    let ends = [0, text_bytes, text_bytes + 20, complete, complete + 3, whole.len()];
    for end in ends {
        let bytes = [sse_head_until_close(), whole.as_bytes()[..end].to_vec()].concat();
        let outcome = streamed(once(), &[Script::new().send(bytes).close()]);
        if end < complete {
            outcome.expect_one_of(&["interrupted"]);
        } else {
            assert_eq!(outcome.expect("ok", 1).text(), "once upon", "{end}");
        }
    }
}

#[test]
fn fault_25_too_many_and_too_long_headers_are_errors() {
    let many: Vec<String> = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", many.concat());
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n{{}}", "y".repeat(2 << 20));
    for reply in [many, long] {
        let [streamed, plain] = both(&json!({}), &[Script::new().send(reply).close()]);
        streamed.expect_one_of(&["connect", "protocol"]);
        assert!(streamed.requests.len() <= 2, "{}", streamed.requests.len());
        plain.expect_one_of(&["connect", "protocol"]);
        assert_eq!(plain.requests.len(), 1);
    }
}

#[test]
fn fault_25_endless_interim_answers_end_with_the_timeout() {
    // The service never stops, so only the timeout can end the call.
    let options = json!({"retry": {"attempts": 1}, "timeouts": {"firstTokenMs": 300, "totalMs": 300}});
    let calls = [("103 Early Hints", stream as fn(&Plugin) -> _), ("100 Continue", chat)];
    for (interim, call) in calls {
        // Few and large ones, because reading the head of many small ones takes long without optimization.
        let interim = format!("HTTP/1.1 {interim}\r\nlink: {}\r\n\r\n", "y".repeat(8_000));
        let service = Faultd::playing([Script::new().send_forever(interim.repeat(10))]);
        outcome(options.clone(), &service, call).expect_one_of(&["timeout", "connect", "protocol"]);
    }
}
