//! Answers whose bytes break the rules of HTTP/1.1, or end before they should.

use std::time::Duration;

use plugin_api::Plugin;
use serde_json::json;
use tests::faultd::{
    DONE, Faultd, LAST_CHUNK, Script, chunk, finish_event, head, json_reply, sse_head, sse_head_until_close,
    text_event, whole_answer,
};

use crate::bench::{both, chat, code, once, outcome, plain, plugin_at, stream, streamed};

/// A reply whose head promises this length, and whose body is a whole answer.
fn promising(length: &str) -> Vec<u8> {
    let headers = [("content-type", "application/json"), ("content-length", length)];
    [head(200, &headers), whole_answer("hello").to_string().into_bytes()].concat()
}

#[test]
fn fault_23_a_body_shorter_than_promised_is_no_answer_and_is_not_asked_for_again() {
    let outcome = plain(json!({}), &[Script::new().send(promising("9999")).close()]);
    assert_eq!(outcome.told(), ("interrupted", 1), "{:?}", outcome.result.err());
}

#[test]
fn fault_23_a_body_longer_than_promised_spoils_no_later_call() {
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
fn fault_23_lengths_and_encodings_that_contradict_each_other_are_errors_or_read_right() {
    let both_ways = [
        ("content-type", "application/json"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
    ];
    let sideways = [("content-type", "application/json"), ("transfer-encoding", "sideways")];
    let in_chunks = [chunk(whole_answer("hello").to_string()), LAST_CHUNK.into()].concat();
    let replies = [
        promising("-1"),
        promising("1e3"),
        promising("99999999999999999999999"),
        promising("5, 6"),
        [head(200, &both_ways), in_chunks].concat(),
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n{}  ".to_vec(),
        b"HTTP/9.9 200 OK\r\n\r\n".to_vec(),
        b"ICY 200 OK\r\n\r\n".to_vec(),
        b"HTTP/1.1 2000 OK\r\n\r\n".to_vec(),
        b"\0\0\0\0\0\0\0\0\r\n\r\n".to_vec(),
        b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n".to_vec(),
        [head(200, &sideways), whole_answer("hello").to_string().into_bytes()].concat(),
    ];
    for reply in replies {
        let what = String::from_utf8_lossy(&reply[..reply.len().min(60)]).into_owned();
        let [streamed, plain] = both(&json!({}), &[Script::new().send(reply).close()]);
        for outcome in [&streamed, &plain] {
            let (code, _) = outcome.told();
            let is_read_right = outcome.result.as_ref().is_ok_and(|reply| reply.text == "hello");
            let is_typed = ["connect", "protocol", "interrupted"].contains(&code);
            assert!(is_read_right || is_typed, "{what:?}: {:?}", outcome.result);
        }
        assert!(streamed.requests.len() <= 2, "{what:?}: {}", streamed.requests.len());
        assert_eq!(plain.requests.len(), 1, "{what:?}");
    }
}

#[test]
fn fault_23_a_chunk_of_an_impossible_size_ends_the_answer_with_what_had_arrived() {
    for size in ["xyz", "-5", "fffffffffffffffff", ""] {
        let bytes = [
            sse_head(),
            chunk(text_event("once ")),
            format!("{size}\r\n").into_bytes(),
        ]
        .concat();
        let outcome = streamed(json!({}), &[Script::new().send(bytes).close()]);
        assert_eq!(
            outcome.told(),
            ("interrupted", 1),
            "`{size}`: {:?}",
            outcome.result.err()
        );
        assert_eq!(outcome.partial(), Some("once "), "`{size}`");
    }
}

#[test]
fn fault_23_chunks_that_are_cut_end_the_answer_with_what_had_arrived() {
    let whole = chunk(text_event("upon a time"));
    let cuts = [1, 3, whole.len() / 2, whole.len() - 1];
    for cut in cuts {
        let bytes = [sse_head(), chunk(text_event("once ")), whole[..cut].to_vec()].concat();
        let outcome = streamed(json!({}), &[Script::new().send(bytes).close()]);
        assert_eq!(outcome.told(), ("interrupted", 1), "{cut}: {:?}", outcome.result.err());
        let partial = outcome.partial().expect("the first piece");
        assert!(["once ", "once upon a time"].contains(&partial), "{cut}: `{partial}`");
    }
}

#[test]
fn fault_24_an_answer_that_only_its_connection_delimits_is_complete_only_with_a_finish_reason() {
    let events = [
        text_event("once "),
        text_event("upon"),
        finish_event("stop"),
        DONE.to_owned(),
    ];
    let whole: String = events.concat();
    // After the head; within the first event; between events; within the finish; before and within the end mark.
    let ends = [
        0,
        20,
        events[0].len(),
        events[0].len() + events[1].len(),
        events[0].len() + events[1].len() + events[2].len() / 2,
    ];
    for end in ends {
        let bytes = [sse_head_until_close(), whole.as_bytes()[..end].to_vec()].concat();
        let outcome = streamed(once(), &[Script::new().send(bytes).close()]);
        assert_eq!(outcome.told().0, "interrupted", "{end}: {:?}", outcome.result.err());
    }
    let complete = whole.len() - DONE.len();
    for end in [complete, complete + 3, whole.len()] {
        let bytes = [sse_head_until_close(), whole.as_bytes()[..end].to_vec()].concat();
        let outcome = streamed(once(), &[Script::new().send(bytes).close()]);
        assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "once upon"), "{end}");
    }
    let cut = whole_answer("hello").to_string();
    let by_close = head(200, &[("content-type", "application/json"), ("connection", "close")]);
    let bytes = [by_close, cut.as_bytes()[..cut.len() / 2].to_vec()].concat();
    let outcome = plain(json!({}), &[Script::new().send(bytes).close()]);
    let (code, n_requests) = outcome.told();
    assert!(
        ["protocol", "interrupted"].contains(&code) && n_requests == 1,
        "{:?}",
        outcome.result.err()
    );
}

#[test]
fn fault_25_a_head_of_too_many_or_too_long_headers_is_an_error() {
    let many: Vec<String> = (0..200).map(|number| format!("x-{number}: y\r\n")).collect();
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n{{}}", many.concat());
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n{{}}", "y".repeat(2 << 20));
    for reply in [many, long] {
        let [streamed, plain] = both(&json!({}), &[Script::new().send(reply).close()]);
        assert!(
            ["connect", "protocol"].contains(&streamed.told().0),
            "{:?}",
            streamed.result.err()
        );
        assert!(streamed.requests.len() <= 2, "{}", streamed.requests.len());
        assert!(
            ["connect", "protocol"].contains(&plain.told().0),
            "{:?}",
            plain.result.err()
        );
        assert_eq!(plain.requests.len(), 1);
    }
}

#[test]
fn fault_25_interim_answers_without_end_end_with_the_time_limit() {
    let options = json!({"retry": {"attempts": 1}, "timeouts": {"firstTokenMs": 500, "totalMs": 500}});
    let calls = [("103 Early Hints", stream as fn(&Plugin) -> _), ("100 Continue", chat)];
    for (interim, call) in calls {
        let interim = format!("HTTP/1.1 {interim}\r\n\r\n");
        let service = Faultd::playing([Script::new().send_forever(interim.repeat(1000))]);
        let outcome = outcome(options.clone(), &service, call);
        println!("{:?} instead of 500 ms", outcome.took);
        outcome.assert_within(Duration::from_millis(500));
        assert!(
            ["timeout", "connect", "protocol"].contains(&outcome.told().0),
            "{:?}",
            outcome.result.err()
        );
    }
}

#[test]
fn fault_22_an_encoding_that_nobody_asked_for_is_no_answer() {
    for encoding in ["gzip", "br", "zstd", "deflate", "rot13"] {
        let headers = [
            ("content-type", "application/json"),
            ("content-encoding", encoding),
            ("content-length", "10"),
        ];
        let reply = [head(200, &headers), vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3]].concat();
        for outcome in both(&once(), &[Script::new().send(reply)]) {
            assert!(
                ["protocol", "interrupted"].contains(&outcome.told().0),
                "{encoding}: {:?}",
                outcome.result.err()
            );
            // An answer in pieces must not be held back by whoever compresses it.
            let asked = outcome.requests[0].header("accept-encoding");
            assert!(asked.is_none_or(|asked| asked == "identity"), "{asked:?}");
        }
    }
}
