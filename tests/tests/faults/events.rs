//! Event streams with odd, broken or missing events.

use std::time::Duration;

use plugin_api::{ChatEvent, ToolCall};
use serde_json::{Value, json};
use tests::faultd::{DONE, Faultd, Script, chunk, delta_event, finish_event, sse_head, text_event};
use tests::{LIMIT, block_on, request};

use crate::bench::{once, outcome, plugin_at, stream, streamed};

/// An event of this JSON.
fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn answered(events: &[&str]) -> crate::bench::Outcome {
    streamed(json!({}), &[Script::stream(events)])
}

#[test]
fn fault_26_an_answer_is_the_same_wherever_its_bytes_are_split() {
    // All splits are a unit test of the reader; here are the sizes of pieces, through the whole plugin.
    let events = format!(
        "\u{feff}{}{}{}{DONE}",
        text_event("grüße 🌍"),
        text_event(" ж"),
        finish_event("stop")
    );
    let events = events.replace('\n', "\r\n");
    let body = [chunk(&events), tests::faultd::LAST_CHUNK.into()].concat();
    for n_at_a_time in [1, 2, 3, 5, 7, 64] {
        let script = Script::new().send(sse_head()).drip(body.clone(), n_at_a_time);
        let outcome = streamed(once(), &[script]);
        assert_eq!(
            (outcome.told(), outcome.text()),
            (("ok", 1), "grüße 🌍 ж"),
            "{n_at_a_time}"
        );
    }
}

#[test]
fn fault_27_line_ends_and_fields_are_read_by_the_standard() {
    let one = text_event("one ").replace('\n', "\r");
    let two = text_event("two ")
        .replace('\n', "\r\n")
        .replace("data: ", "id: 7\nevent: message\nretry: 9\ndata:");
    // One event of two lines of data, which belong together.
    let three = text_event("three").replacen(',', ",\ndata: ", 1);
    let outcome = answered(&[&one, &two, &three, &finish_event("stop"), DONE]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "one two three"));
}

#[test]
fn fault_28_comments_without_end_are_no_progress() {
    let begun = [sse_head(), chunk(text_event("once "))].concat();
    let comments = chunk(": OPENROUTER PROCESSING\n\n").repeat(100);
    let script = Script::new().send(begun).send_forever(comments);
    let outcome = streamed(json!({"timeouts": {"progressMs": 400}}), &[script]);
    assert_eq!(outcome.told(), ("timeout", 1), "{:?}", outcome.result.err());
    assert_eq!(outcome.partial(), Some("once "));
    outcome.assert_within(Duration::from_millis(400));
}

#[test]
fn fault_28_comments_before_the_first_piece_do_not_stand_in_for_it() {
    let comments = chunk(": OPENROUTER PROCESSING\n\n").repeat(100);
    let script = Script::new().send(sse_head()).send_forever(comments);
    let options = json!({"retry": {"attempts": 1}, "timeouts": {"firstTokenMs": 400}});
    let outcome = streamed(options, &[script]);
    assert_eq!(outcome.told(), ("timeout", 1), "{:?}", outcome.result.err());
    assert_eq!(outcome.partial(), None);
}

#[test]
fn fault_28_comments_keep_a_slow_answer_alive() {
    // Each piece comes after comments; only silence counts against the short limit.
    let mut body = sse_head();
    for word in ["one ", "two ", "three"] {
        body.extend(chunk(": OPENROUTER PROCESSING\n\n").repeat(2000));
        body.extend(chunk(text_event(word)));
    }
    body.extend(
        [
            chunk(finish_event("stop")),
            chunk(DONE),
            tests::faultd::LAST_CHUNK.into(),
        ]
        .concat(),
    );
    let options = json!({"retry": {"attempts": 1}, "timeouts": {"idleMs": 5_000}});
    let outcome = streamed(options, &[Script::new().drip(body, 40)]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "one two three"));
}

#[test]
fn fault_29_a_byte_that_is_no_text_spoils_its_own_event_only() {
    let mut bad = text_event("b_d ").into_bytes();
    let at = bad.iter().position(|&byte| byte == b'_').expect("the mark");
    bad[at] = 0xff;
    let parts = [
        text_event("good ").into_bytes(),
        bad,
        text_event("good").into_bytes(),
        finish_event("stop").into_bytes(),
    ];
    let body = parts.iter().flat_map(chunk).chain(tests::faultd::LAST_CHUNK.bytes());
    let whole: Vec<u8> = sse_head().into_iter().chain(body).collect();
    let outcome = streamed(json!({}), &[Script::new().send(whole)]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "good b\u{fffd}d good"));
}

#[test]
fn fault_31_an_event_that_is_not_json_is_never_taken_for_text_and_never_repeats_the_call() {
    for broken in ["data: {\"choices\": [\n\n", "data: hello\n\n", "data: {}{}\n\n"] {
        let outcome = answered(&[
            &text_event("once "),
            broken,
            &text_event("more"),
            &finish_event("stop"),
            DONE,
        ]);
        match &outcome.result {
            // Skipped, and the rest is whole.
            Ok(reply) => assert_eq!(reply.text, "once more", "{broken}"),
            Err(error) => {
                assert_eq!(error.kind.code(), "protocol", "{broken}: {error:?}");
                assert_eq!(error.details.partial_text.as_deref(), Some("once "), "{broken}");
            }
        }
        assert_eq!(outcome.requests.len(), 1, "{broken}");
    }
    let nothing_else = "data: x\n\n".repeat(1000);
    let outcome = streamed(once(), &[Script::stream(&[nothing_else])]);
    assert!(
        ["protocol", "interrupted"].contains(&outcome.told().0),
        "{:?}",
        outcome.result.err()
    );
}

#[test]
fn fault_32_json_that_means_harm_does_none() {
    let deep = format!("data: {{\"x\": {}{}}}\n\n", "[".repeat(100_000), "]".repeat(100_000));
    let twice = r#"data: {"choices": [{"delta": {"content": "no"}}], "choices": [{"delta": {"content": "x"}}]}"#;
    let numbers = r#"data: {"usage": {"prompt_tokens": 1e999, "cost": 1e400}, "created": 99999999999999999999999999}"#;
    let nul = r#"data: {"choices": [{"delta": {"content": "\u0000"}}]}"#;
    for harm in [deep.as_str(), twice, numbers, nul, "data: \u{0}"] {
        let harm = format!("{}\n\n", harm.trim_end());
        let outcome = answered(&[&text_event("once "), &harm, &finish_event("stop"), DONE]);
        let (code, n_requests) = outcome.told();
        assert!(
            ["ok", "protocol"].contains(&code) && n_requests == 1,
            "{:.60}: {:?}",
            harm,
            outcome.result.err()
        );
    }
    // The halves of a character that two events share.
    let half = |text: &str| format!("data: {{\"choices\": [{{\"delta\": {{\"content\": \"{text}\"}}}}]}}\n\n");
    let outcome = answered(&[&half(r"a \ud83d"), &half(r"\ude00 b"), &finish_event("stop"), DONE]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "a 😀 b"));
}

#[test]
fn fault_33_words_that_nobody_knows_yet_are_passed_on_or_skipped() {
    let new = event(&json!({
        "id": "gen-faultd", "novelty": {"a": [1]}, "choices": [{"index": 0, "mood": "good",
            "delta": {"content": "new", "smell": ["rose"], "tool_calls": null, "audio": {"data": "x"}}}],
    }));
    let outcome = answered(&[
        &new,
        "event: novelty\ndata: {\"type\": \"novelty\"}\n\n",
        &finish_event("bored"),
        DONE,
    ]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "new"));
    assert_eq!(outcome.result.expect("an answer").done.finish_reason, "bored");
}

#[test]
fn fault_34_events_without_choices_and_with_a_bill_only_are_read() {
    let bill = event(&json!({
        "id": "gen-faultd", "choices": [],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0.00012},
    }));
    let events = ["data: {}\n\n", &text_event("hello"), &finish_event("stop"), &bill, DONE];
    let outcome = answered(&events);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "hello"));
    let usage = outcome.result.expect("an answer").done.usage.expect("the bill");
    assert_eq!((usage.total_tokens, usage.cost_usd.as_deref()), (7, Some("0.00012")));
    for odd in [
        json!({"choices": null}),
        json!({"choices": {}}),
        json!({"choices": [null]}),
        json!({"choices": [{}]}),
    ] {
        let outcome = answered(&[&text_event("hello"), &event(&odd), &finish_event("stop"), DONE]);
        let (code, n_requests) = outcome.told();
        assert!(
            ["ok", "protocol"].contains(&code) && n_requests == 1,
            "{odd}: {:?}",
            outcome.result.err()
        );
    }
}

/// An event with pieces of tool calls.
fn tools(pieces: Value) -> String {
    delta_event(&json!({"tool_calls": pieces}))
}

#[test]
fn fault_35_the_pieces_of_tool_calls_become_whole_calls() {
    let events = [
        tools(json!([{"index": 0, "function": {"name": "weather", "arguments": "{\"ci"}}])),
        tools(json!([{"index": 1, "id": "b", "type": "function", "function": {"name": "time", "arguments": ""}}])),
        tools(json!([{"index": 0, "id": "a", "function": {"name": "weather", "arguments": "ty\": \"Paris\"}"}}])),
        finish_event("tool_calls"),
        DONE.to_owned(),
    ];
    let outcome = streamed(json!({}), &[Script::stream(&events)]);
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    let calls = outcome.result.expect("an answer").tool_calls;
    assert_eq!(
        calls,
        [call("a", "weather", r#"{"city": "Paris"}"#), call("b", "time", "{}")]
    );
}

#[test]
fn fault_35_a_tool_call_that_is_not_whole_is_never_handed_over() {
    let half = tools(json!([{"index": 0, "id": "a", "function": {"name": "pay", "arguments": "{\"usd\": 1"}}]));
    // A service may say `tool_calls` where the model had run out of tokens.
    for reason in ["tool_calls", "length", "stop"] {
        let service = Faultd::playing([Script::stream(&[half.as_str(), &finish_event(reason), DONE])]);
        let plugin = plugin_at(&service.base_url(), json!({}));
        let (events, error) = block_on(async {
            let mut opened = plugin.stream(&request("acme/model", "hello")).await.expect("it opens");
            let mut events = Vec::new();
            loop {
                match opened.next().await.expect("an error comes before the end") {
                    Ok(event) => events.push(event),
                    Err(error) => return (events, error),
                }
            }
        });
        assert_eq!(error.kind.code(), "interrupted", "{reason}: {error:?}");
        let handed_over = events.iter().any(|event| matches!(event, ChatEvent::ToolCall(_)));
        assert!(!handed_over, "{reason}: {events:?}");
        assert_eq!(service.requests().len(), 1, "{reason}");
    }
}

#[test]
fn fault_36_what_comes_after_the_end_is_not_told() {
    let late = text_event("late");
    let error = event(&json!({"error": {"code": 500, "message": "late"}}));
    for late in [late.as_str(), &error, DONE, "data: nonsense\n\n"] {
        let outcome = answered(&[&text_event("in time"), &finish_event("stop"), DONE, late]);
        assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "in time"), "{late}");
    }
}

#[test]
fn fault_37_an_error_in_the_middle_ends_the_answer_with_all_that_is_known() {
    let error = event(&json!({
        "id": "gen-faultd", "provider": "Acme",
        "error": {"code": 502, "message": "the provider fell over", "metadata": {"error_type": "provider_unavailable"}},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}],
    }));
    let outcome = answered(&[
        &text_event("once "),
        &error,
        &text_event("more"),
        &finish_event("stop"),
        DONE,
    ]);
    // Delivered is delivered: the kind tells the cause, and nothing is asked for again.
    assert_eq!(outcome.requests.len(), 1);
    let told = outcome.error();
    assert!(["unavailable", "interrupted"].contains(&told.kind.code()), "{told:?}");
    assert_eq!(outcome.partial(), Some("once "));
    assert_eq!(told.details.error_type.as_deref(), Some("provider_unavailable"));
    assert_eq!(told.details.generation_id.as_deref(), Some("gen-faultd"));
    assert_eq!(told.details.status, Some(502));
}

#[test]
fn fault_37_an_error_after_reasoning_or_a_piece_of_a_tool_call_is_not_tried_again() {
    let error = event(&json!({"error": {"code": 503, "message": "no"}}));
    let reasoning = delta_event(&json!({"reasoning": "let me see"}));
    let outcome = answered(&[&reasoning, &error]);
    assert_eq!(outcome.requests.len(), 1, "{:?}", outcome.result.err());
    assert_eq!(outcome.told().0, "unavailable");
}

#[test]
fn fault_38_every_reason_to_finish_is_told_as_it_is() {
    for reason in ["stop", "length", "content_filter"] {
        let outcome = answered(&[&text_event("hello"), &finish_event(reason), DONE]);
        assert_eq!(outcome.told(), ("ok", 1));
        assert_eq!(outcome.result.expect("an answer").done.finish_reason, reason);
    }
    let outcome = answered(&[&text_event("hello"), &finish_event("error"), DONE]);
    assert_eq!((outcome.told(), outcome.partial()), (("unavailable", 1), Some("hello")));
}

#[test]
fn fault_39_an_answer_without_a_reason_to_finish_is_not_complete() {
    let begun = text_event("once ");
    for end in [&[][..], &[DONE]] {
        let outcome = answered(&[&[begun.as_str()][..], end].concat());
        assert_eq!(
            (outcome.told(), outcome.partial()),
            (("interrupted", 1), Some("once ")),
            "{end:?}"
        );
    }
}

#[test]
fn fault_39_an_answer_of_nothing_is_asked_for_once_more() {
    for nothing in [&[][..], &[DONE], &[": OPENROUTER PROCESSING\n\n", DONE]] {
        let outcome = streamed(json!({}), &[Script::stream(nothing), Script::answer("something")]);
        assert_eq!(
            (outcome.told(), outcome.text()),
            (("ok", 2), "something"),
            "{nothing:?}"
        );
        let outcome = streamed(json!({}), &[Script::stream(nothing)]);
        assert_eq!(
            outcome.told(),
            ("interrupted", 2),
            "{nothing:?}: {:?}",
            outcome.result.err()
        );
    }
}

#[test]
fn fault_40_the_end_of_an_answer_does_not_wait_for_the_end_of_its_connection() {
    let whole = [text_event("hello"), finish_event("stop"), DONE.to_owned()].concat();
    let open_end = [sse_head(), chunk(whole)].concat();
    let service = Faultd::playing([Script::new().send(open_end).wait_for_client_close()]);
    let plugin = plugin_at(&service.base_url(), json!({}));
    assert_eq!(stream(&plugin).expect("an answer").text, "hello");
    // The plugin lives on, and lets go of the connection by itself.
    let since = std::time::Instant::now();
    service.wait_until_idle();
    assert!(since.elapsed() < LIMIT / 2, "{:?}", since.elapsed());
    drop(plugin);
}

#[test]
fn fault_40_what_a_service_still_says_after_the_end_is_not_read_for_ever() {
    let whole = [text_event("hello"), finish_event("stop"), DONE.to_owned()].concat();
    let begun = [sse_head(), chunk(whole)].concat();
    let service = Faultd::playing([Script::new().send(begun).send_forever(chunk(": still here\n\n"))]);
    let outcome = outcome(json!({}), &service, |plugin| {
        let result = stream(plugin);
        service.wait_until_idle();
        result
    });
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "hello"));
}
