//! Endless answers, which are refused in little memory, and hosts that do not read what arrives.

use plugin_api::{ChatEvent, ChatReply};
use serde_json::{Value, json};
use tests::faultd::{Faultd, Script, chunk, delta_event, head, sse_head, sse_head_until_close, text_event};
use tests::{Child, block_on, request, test_of};

use crate::call::{once, outcome, plain, streamed};
use crate::this_process::peak_kib;

/// How much memory an endless answer may cost, in KiB.
const MOST_KIB: u64 = 64 << 10;

/// Runs the test in a process of its own, whose memory must not grow by more than [`MOST_KIB`].
fn in_little_memory(body: impl FnOnce()) {
    let test = test_of(&body);
    Child::new().run_test(test, || {
        // This brings up the library, its threads and its pools, which must not be counted.
        streamed(once(), &[Script::answer("hello")]).expect("ok", 1);
        let before = peak_kib();
        body();
        let grown_kib = peak_kib() - before;
        println!("grown by {grown_kib} KiB");
        assert!(grown_kib < MOST_KIB, "{grown_kib} KiB");
    });
}

#[test]
fn fault_22_an_endless_body_is_refused_in_little_memory() {
    in_little_memory(|| {
        for (status, encoding, codes) in [
            (200, "identity", &["too_large", "protocol"][..]),
            (200, "gzip", &["too_large", "protocol"]),
            // Of an error, only the first part is read.
            (502, "identity", &["unavailable"]),
        ] {
            let headers = [
                ("content-type", "application/json"),
                ("content-encoding", encoding),
                ("connection", "close"),
            ];
            let script = Script::new()
                .send(head(status, &headers))
                .send_forever(vec![b' '; 1 << 20]);
            let outcome = plain(once(), &[script]);
            outcome.expect_one_of(codes);
            assert_eq!(outcome.requests.len(), 1);
        }
    });
}

#[test]
fn fault_30_endless_lines_and_events_are_refused_in_little_memory() {
    in_little_memory(|| {
        let head = sse_head_until_close;
        let begun = [head(), text_event("once ").into_bytes()].concat();
        let long_line = [&b"data: "[..], &[b'x'; 9 << 20], b"\n\n"].concat();
        for script in [
            Script::new().send(head()).send(long_line).close(),
            Script::new().send(head()).send_forever(vec![b'x'; 1 << 20]),
            Script::new().send(begun).send_forever(vec![b'x'; 1 << 20]),
            // One event of many lines.
            Script::new()
                .send(head())
                .send_forever(format!("data: {}\n", "x".repeat(100_000))),
        ] {
            let options = json!({"limits": {"answerMib": 8}});
            streamed(options, &[script]).expect("too_large", 1);
        }
    });
}

#[test]
fn fault_35_endless_tool_calls_are_refused() {
    let tool_call = |call: Value| chunk(delta_event(&json!({"tool_calls": [call]})));
    let many: Vec<u8> = (0..200)
        .flat_map(|index| tool_call(json!({"index": index, "id": "a", "function": {"name": "f", "arguments": "{}"}})))
        .collect();
    let long = tool_call(json!({"index": 0, "function": {"name": "f", "arguments": "x".repeat(1000)}}));
    for script in [
        Script::new().send([sse_head(), many].concat()),
        Script::new().send(sse_head()).send_forever(long),
    ] {
        streamed(json!({}), &[script]).expect("too_large", 1);
    }
}

#[test]
fn fault_42_a_host_that_does_not_read_meets_no_timeout() {
    in_little_memory(|| {
        let word = chunk(text_event("word "));
        // The first piece alone is more than the plugin takes before it is read.
        let begun = [sse_head(), word.repeat(2_000)].concat();
        let service = Faultd::playing([Script::new().send(begun).send_forever(word.clone())]);
        // Shorter than the silence after which the service counts as blocked.
        let options = json!({"timeouts": {"idleMs": 400, "progressMs": 400}});
        let outcome = outcome(options, &service, |plugin| {
            block_on(async {
                let mut events = plugin.stream(&request("acme/model", "hello")).await?;
                service.wait_until_blocked();
                let sent_bytes = service.sent_bytes() as usize;
                assert!(sent_bytes < 16 << 20, "{sent_bytes} bytes");
                // What the network holds already can be read without waiting for the service.
                let n_words = sent_bytes / word.len() / 2;
                let mut text = String::new();
                while text.len() < n_words * "word ".len() {
                    match events.next().await.expect("there is more")? {
                        ChatEvent::Text(piece) => text.push_str(&piece),
                        event => panic!("{event:?}"),
                    }
                }
                Ok(ChatReply::default())
            })
        });
        outcome.expect("ok", 1);
    });
}
