//! Event streams with odd, broken or missing events.
//!
//! What each odd event means is tested where it is read, with the streams of `plugin-openrouter/streams`.
//! Here are the ways in which a stream can end a call.

use serde_json::{Value, json};
use tests::faultd::{DONE, Faultd, Script, chunk, delta_event, finish_event, sse_head, text_event};

use crate::call::{Outcome, outcome, plugin_at, stream, streamed};

/// An event of this JSON.
fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn answered(events: &[&str]) -> Outcome {
    streamed(json!({}), &[Script::stream(events)])
}

#[test]
fn fault_28_endless_comments_are_neither_progress_nor_a_first_token() {
    for (first, timeout) in [("once ", "progressMs"), ("", "firstTokenMs")] {
        let begun = if first.is_empty() {
            sse_head()
        } else {
            [sse_head(), chunk(text_event(first))].concat()
        };
        let comments = chunk(": OPENROUTER PROCESSING\n\n").repeat(100);
        let script = Script::new().send(begun).send_forever(comments);
        // No other timeout is shorter than a minute, and the service never stops. A second is long enough to connect.
        let options = json!({"retry": {"attempts": 1}, "timeouts": {timeout: 1_000}});
        let outcome = streamed(options, &[script]);
        outcome.expect("timeout", 1);
        assert_eq!(outcome.partial().unwrap_or_default(), first);
    }
}

#[test]
fn fault_32_deep_nesting_does_not_overflow_the_stack() {
    let deep = format!("data: {{\"x\": {}{}}}\n\n", "[".repeat(100_000), "]".repeat(100_000));
    let outcome = answered(&[&text_event("once "), &deep, &finish_event("stop"), DONE]);
    outcome.expect_one_of(&["ok", "protocol"]);
    assert_eq!(outcome.requests.len(), 1);
}

#[test]
fn fault_37_an_error_in_the_middle_is_not_retried_and_keeps_what_arrived() {
    let error = event(&json!({
        "id": "gen-faultd", "provider": "Acme",
        "error": {"code": 502, "message": "the provider fell over", "metadata": {"error_type": "provider_unavailable"}},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }));
    let reasoning = delta_event(&json!({"reasoning": "let me see"}));
    for (begun, text) in [(text_event("once "), "once "), (reasoning, "")] {
        let outcome = answered(&[&begun, &error, &text_event("more"), &finish_event("stop"), DONE]);
        outcome.expect_one_of(&["unavailable", "interrupted"]);
        assert_eq!(outcome.requests.len(), 1);
        assert_eq!(outcome.partial().unwrap_or_default(), text);
        let details = &outcome.error().details;
        assert_eq!(details.error_type.as_deref(), Some("provider_unavailable"));
        assert_eq!(details.generation_id.as_deref(), Some("gen-faultd"));
        assert_eq!(details.status, Some(502));
    }
}

#[test]
fn fault_39_an_answer_without_a_finish_reason_is_not_complete() {
    let begun = text_event("once ");
    for end in [&[][..], &[DONE]] {
        let outcome = answered(&[&[begun.as_str()][..], end].concat());
        assert_eq!(outcome.expect("interrupted", 1).partial(), Some("once "), "{end:?}");
    }
}

#[test]
fn fault_39_an_empty_answer_is_asked_for_once_more() {
    let nothing = Script::stream(&[": OPENROUTER PROCESSING\n\n", DONE]);
    let outcome = streamed(json!({}), &[nothing.clone(), Script::answer("something")]);
    assert_eq!(outcome.expect("ok", 2).text(), "something");
    streamed(json!({}), &[nothing]).expect("interrupted", 2);
}

/// A whole answer whose body has no end.
fn open_end() -> Vec<u8> {
    let whole = [text_event("hello"), finish_event("stop"), DONE.to_owned()].concat();
    [sse_head(), chunk(whole)].concat()
}

#[test]
fn fault_40_an_answer_ends_before_its_connection_does() {
    let service = Faultd::playing([Script::new().send(open_end()).wait_for_client_close()]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    assert_eq!(stream(&plugin).expect("an answer").text, "hello");
    // The plugin lives on and closes the connection by itself.
    service.wait_until_idle();
    drop(plugin);
}

#[test]
fn fault_40_what_follows_the_end_is_not_read_for_ever() {
    let endless = Script::new().send(open_end()).send_forever(chunk(": still here\n\n"));
    let service = Faultd::playing([endless]);
    let outcome = outcome(json!({}), &service, |plugin| {
        let result = stream(plugin);
        service.wait_until_idle();
        result
    });
    assert_eq!(outcome.expect("ok", 1).text(), "hello");
}
