//! Answers without end: they are refused in time and in little memory.

use std::fs;

use plugin_api::ChatEvent;
use serde_json::json;
use tests::faultd::{Faultd, Script, chunk, head, sse_head, sse_head_until_close, text_event};
use tests::{block_on, request};

use crate::bench::{code, once, outcome, plain, plugin_at, stream, streamed};
use crate::child::Child;

/// How much an answer without end may cost, in KiB.
const MOST_KIB: u64 = 64 << 10;

/// The most memory that this process ever held, in KiB.
pub fn peak_kib() -> u64 {
    status_kib("VmHWM:")
}

fn status_kib(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.expect("Linux tells it")
}

/// Runs the test in a process of its own, whose memory must not grow by more than [`MOST_KIB`].
fn in_little_memory(test: &'static str, body: impl FnOnce()) {
    Child::of(test).run(|| {
        // The library, the threads and the pools are there before it counts.
        let outcome = streamed(once(), &[Script::answer("hello")]);
        assert_eq!(outcome.told(), ("ok", 1));
        let before = peak_kib();
        body();
        let grown_kib = peak_kib() - before;
        println!("grown by {grown_kib} KiB");
        assert!(grown_kib < MOST_KIB, "{grown_kib} KiB");
    });
}

#[test]
fn fault_22_a_body_without_end_is_refused_in_little_memory() {
    in_little_memory("flood::fault_22_a_body_without_end_is_refused_in_little_memory", || {
        for encoding in ["identity", "gzip"] {
            let headers = [
                ("content-type", "application/json"),
                ("content-encoding", encoding),
                ("connection", "close"),
            ];
            let filler = vec![b' '; 1 << 20];
            let script = Script::new().send(head(200, &headers)).send_forever(filler);
            let outcome = plain(json!({}), &[script]);
            assert!(
                ["too_large", "protocol"].contains(&outcome.told().0),
                "{:?}",
                outcome.result.err()
            );
            assert_eq!(outcome.requests.len(), 1);
        }
    });
}

#[test]
fn fault_22_the_body_of_an_error_without_end_is_read_only_in_part() {
    in_little_memory(
        "flood::fault_22_the_body_of_an_error_without_end_is_read_only_in_part",
        || {
            let headers = [("content-type", "text/html"), ("connection", "close")];
            let script = Script::new()
                .send(head(502, &headers))
                .send_forever(vec![b'x'; 1 << 20]);
            let outcome = plain(once(), &[script]);
            assert_eq!(outcome.told(), ("unavailable", 1), "{:?}", outcome.result.err());
        },
    );
}

#[test]
fn fault_30_a_line_without_end_is_refused_in_little_memory() {
    in_little_memory("flood::fault_30_a_line_without_end_is_refused_in_little_memory", || {
        for (begin, n_requests) in [(Vec::new(), 1), (text_event("once ").into_bytes(), 1)] {
            let begun = [sse_head_until_close(), begin].concat();
            let line = [begun.as_slice(), b"data: "].concat();
            let finite = Script::new().send(line).send(vec![b'x'; 9 << 20]).send("\n\n").close();
            let endless = Script::new().send(begun.clone()).send_forever(vec![b'x'; 1 << 20]);
            for script in [finite, endless] {
                let outcome = streamed(json!({}), &[script]);
                assert_eq!(outcome.told(), ("too_large", n_requests), "{:?}", outcome.result.err());
            }
        }
    });
}

#[test]
fn fault_30_an_event_of_lines_without_end_is_refused_in_little_memory() {
    in_little_memory(
        "flood::fault_30_an_event_of_lines_without_end_is_refused_in_little_memory",
        || {
            let line = format!("data: {}\n", "x".repeat(100_000));
            let script = Script::new().send(sse_head()).send_forever(chunk(line));
            let outcome = streamed(json!({}), &[script]);
            assert_eq!(outcome.told(), ("too_large", 1), "{:?}", outcome.result.err());
        },
    );
}

#[test]
fn fault_35_tool_calls_without_end_are_refused() {
    let mut index = 0;
    let many = std::iter::repeat_with(|| {
        index += 1;
        chunk(tests::faultd::delta_event(&json!({"tool_calls": [
            {"index": index, "id": "a", "function": {"name": "again", "arguments": "{}"}}]})))
    });
    let begun = [sse_head(), many.take(200).collect::<Vec<_>>().concat()].concat();
    let outcome = streamed(json!({}), &[Script::new().send(begun)]);
    assert_eq!(outcome.told(), ("too_large", 1), "{:?}", outcome.result.err());
    let piece = json!({"tool_calls": [{"index": 0, "function": {"name": "long", "arguments": "x".repeat(1000)}}]});
    let script = Script::new()
        .send(sse_head())
        .send_forever(chunk(tests::faultd::delta_event(&piece)));
    let outcome = streamed(json!({}), &[script]);
    assert_eq!(outcome.told(), ("too_large", 1), "{:?}", outcome.result.err());
}

#[test]
fn fault_42_a_host_that_does_not_read_slows_the_service_down_and_is_not_taken_for_silence() {
    in_little_memory(
        "flood::fault_42_a_host_that_does_not_read_slows_the_service_down_and_is_not_taken_for_silence",
        || {
            let service = Faultd::playing([Script::new().send(sse_head()).send_forever(chunk(text_event("word ")))]);
            // Shorter than the time after which the service counts as blocked.
            let options = json!({"timeouts": {"idleMs": 100, "progressMs": 100}});
            let result = outcome(options, &service, |plugin| {
                block_on(async {
                    let mut events = plugin.stream(&request("acme/model", "hello")).await?;
                    service.wait_until_blocked();
                    let sent_kib = service.sent_bytes() >> 10;
                    println!("blocked after {sent_kib} KiB");
                    assert!(sent_kib < 16 << 10, "{sent_kib} KiB");
                    for _ in 0..10_000 {
                        let event = events.next().await.expect("there is more")?;
                        assert!(matches!(event, ChatEvent::Text(_)), "{event:?}");
                    }
                    Ok(plugin_api::ChatReply::default())
                })
            });
            assert_eq!(result.told(), ("ok", 1), "{:?}", result.result.err());
        },
    );
}

#[test]
fn fault_42_a_call_that_nobody_polls_ends_nothing() {
    let service = Faultd::playing([Script::answer("hello")]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    let unpolled = plugin.chat(&request("acme/model", "hello"));
    let mut polled_once = Box::pin(plugin.chat(&request("acme/model", "hello")));
    let _ = tests::poll_once(polled_once.as_mut());
    assert_eq!(code(&stream(&plugin)), "ok");
    drop((unpolled, polled_once));
    drop(plugin);
    service.wait_until_idle();
}
