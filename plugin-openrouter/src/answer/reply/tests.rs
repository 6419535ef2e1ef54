//! Frames of every shape, and the events that come of them.

use plugin_api::{ChatReply, ToolCall, Usage};
use serde_json::{Value, json};

use super::*;

fn reader() -> ReplyReader {
    ReplyReader::new(
        Heard::new(Some("acme/large".to_owned()), None, "sk-or-v1-secret"),
        View::Typed,
    )
}

/// Reads all frames and ends the answer.
fn read(frames: &[Value]) -> Result<ChatReply, Error> {
    let mut reader = reader();
    let mut events = VecDeque::new();
    for frame in frames {
        reader
            .frame(frame.to_string().as_bytes(), &mut events)
            .map_err(FrameError::into_error)?;
    }
    let done = reader.finish(&mut events)?;
    let mut reply = ChatReply::default();
    events.into_iter().for_each(|event| reply.add(event));
    reply.done = done;
    Ok(reply)
}

fn piece(delta: Value) -> Value {
    json!({"id": "gen-1", "model": "acme/large-2", "provider": "Acme", "choices": [{"index": 0, "delta": delta}]})
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason, "native_finish_reason": "END"}]})
}

#[test]
fn an_answer_reports_who_served_it_and_what_it_cost() {
    let usage = json!({"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5,
        "cost": 1.5e-5, "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1}}});
    let reply = read(&[
        piece(json!({"role": "assistant", "content": "", "reasoning": "Hm."})),
        piece(json!({"content": "Good "})),
        piece(json!({"content": "day\u{e9}\n"})),
        finish("stop"),
        usage,
    ])
    .expect("a whole answer");
    assert_eq!((reply.text.as_str(), reply.reasoning.as_str()), ("Good dayé\n", "Hm."));
    assert_eq!(
        reply.done,
        Done {
            finish_reason: "stop".to_owned(),
            native_finish_reason: Some("END".to_owned()),
            requested_model: Some("acme/large".to_owned()),
            model: Some("acme/large-2".to_owned()),
            provider: Some("Acme".to_owned()),
            generation_id: Some("gen-1".to_owned()),
            usage: Some(Usage {
                prompt_tokens: 3,
                completion_tokens: 2,
                total_tokens: 5,
                cached_tokens: Some(1),
                reasoning_tokens: Some(1),
                cost_usd: Some("0.000015".to_owned()),
                ..Usage::default()
            }),
            ..Done::default()
        }
    );
}

#[test]
fn an_answer_without_a_finish_reason_is_an_error_with_the_text_so_far() {
    let error = read(&[piece(json!({"content": "Half an ans"}))]).expect_err("no finish reason");
    assert_eq!(error.kind, ErrorKind::INTERRUPTED);
    assert_eq!(error.details.partial_text.as_deref(), Some("Half an ans"));
    assert_eq!(error.details.generation_id.as_deref(), Some("gen-1"));
    assert_eq!(
        read(&[]).expect_err("nothing").message,
        "the answer ended before anything arrived"
    );
}

#[test]
fn an_error_in_the_middle_carries_the_text_so_far() {
    let broken = json!({"error": {"code": "server_error", "message": "Provider disconnected"},
        "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]});
    let error = read(&[piece(json!({"content": "So far"})), broken]).expect_err("an error chunk");
    assert_eq!(error.message, "the service reported an error: Provider disconnected");
    assert_eq!(error.details.partial_text.as_deref(), Some("So far"));
    assert_eq!(error.details.provider.as_deref(), Some("Acme"));
}

#[test]
fn an_error_of_a_choice_and_a_bare_finish_reason_error_are_errors_too() {
    let of_choice = json!({"choices": [{"delta": {}, "error": {"code": 502, "message": "upstream"}}]});
    let error = read(&[of_choice]).expect_err("an error");
    assert_eq!(error.message, "the service reported error 502: upstream");
    assert_eq!(error.details.status, Some(502));
    assert_eq!(
        read(&[finish("error")]).expect_err("an error").kind,
        ErrorKind::UNAVAILABLE
    );
}

#[test]
fn tool_calls_arrive_in_pieces_and_leave_whole() {
    let reply = read(&[
        piece(json!({"tool_calls": [{"index": 0, "id": "c0", "function": {"name": "weather", "arguments": ""}}]})),
        piece(json!({"tool_calls": [{"index": 1, "id": "c1", "function": {"name": "time", "arguments": {}}}]})),
        piece(json!({"tool_calls": [{"index": 0, "function": {"name": "weather", "arguments": "{\"city\":"}}]})),
        piece(json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"Par\u{ed}s\"}"}}]})),
        finish("tool_calls"),
        finish("tool_calls"),
    ])
    .expect("two calls");
    let call = |id: &str, name: &str, arguments: &str| ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: arguments.to_owned(),
    };
    assert_eq!(
        reply.tool_calls,
        [call("c0", "weather", "{\"city\":\"París\"}"), call("c1", "time", "{}")]
    );
}

#[test]
fn an_incomplete_tool_call_is_an_error() {
    let half = piece(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{\"a"}}]}));
    let error = read(&[half, finish("tool_calls")]).expect_err("half a call");
    assert_eq!(
        error.message,
        "the answer broke off inside the arguments of the tool call `f`"
    );
}

#[test]
fn odd_frames_lose_nothing() {
    let reply = read(&[
        json!({"choices": [{"delta": {"content": [{"type": "text", "text": "in parts"}]}}]}),
        json!({"choices": [{"delta": {"content": ", and more"}}], "usage": {}}),
        json!({"choices": [{"delta": {"content": null, "reasoning_details": []}}], "usage": null}),
        json!({"choices": []}),
        json!({"unheard_of": true}),
        finish("stop"),
    ])
    .expect("a whole answer");
    assert_eq!(reply.text, "in parts, and more");
    assert_eq!(reply.done.usage, None);
}

#[test]
fn odd_frames_hide_no_error_and_lose_no_tool_call() {
    let failing = |extra: Value| {
        let mut choice = json!({"delta": {"content": []}, "finish_reason": "error"});
        choice
            .as_object_mut()
            .expect("an object")
            .extend(extra.as_object().cloned().unwrap_or_default());
        read(&[json!({"choices": [choice]})]).expect_err("an error")
    };
    assert_eq!(
        failing(json!({"error": {"code": 502, "message": "gone"}}))
            .details
            .status,
        Some(502)
    );
    assert_eq!(failing(json!({})).kind, ErrorKind::UNAVAILABLE);
    let call = json!([{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{}"}}]);
    let reply = read(&[
        piece(json!({"content": [], "tool_calls": call})),
        json!({"choices": [{"delta": {"content": [{"text": "."}]}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2}}),
    ])
    .expect("a whole answer");
    assert_eq!((reply.text.as_str(), reply.tool_calls.len()), (".", 1));
    assert_eq!(reply.done.usage.map(|usage| usage.total_tokens), Some(3));
}

#[test]
fn reasoning_under_both_of_its_names_is_emitted_once() {
    let both = piece(json!({"reasoning": "Hm.", "reasoning_content": "Hm.", "content": "Yes."}));
    let reply = read(&[both, finish("stop")]).expect("a whole answer");
    assert_eq!((reply.reasoning.as_str(), reply.text.as_str()), ("Hm.", "Yes."));
    let other = read(&[piece(json!({"reasoning_content": "Hm."})), finish("stop")]).expect("a whole answer");
    assert_eq!(other.reasoning, "Hm.");
}

#[test]
fn a_lone_surrogate_does_not_cost_the_answer() {
    let rows = [
        (r"a\ud83db", "a\u{fffd}b"),
        (r"\ud83d", "\u{fffd}"),
        (r"\ude00x", "\u{fffd}x"),
        (r"\ud83d\ude00", "\u{1f600}"),
        (r"\\ud83d", r"\ud83d"),
        (r"\ud83d\n", "\u{fffd}\n"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
    ];
    for (json, text) in rows {
        let mut events = VecDeque::new();
        let frame = format!(r#"{{"choices":[{{"delta":{{"content":"{json}"}},"finish_reason":"stop"}}]}}"#);
        let mut reader = reader();
        reader.frame(frame.as_bytes(), &mut events).expect("a readable frame");
        reader.finish(&mut events).expect("a whole answer");
        let found: String = events
            .iter()
            .map(|event| match event {
                ChatEvent::Text(text) => &**text,
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(found, text, "{json}");
    }
}

#[test]
fn chunks_read_the_same_with_and_without_a_template() {
    let frames = [
        r#"{"id":"g","model":"a/b","choices":[{"delta":{"content":"zero"},"finish_reason":null}]}"#,
        r#"{"id":"g","model":"a/b","choices":[{"delta":{"content":" and"},"finish_reason":null}]}"#,
        r#"{"id":"g","model":"a/b","choices":[{"delta":{"content":" a \"half\","},"finish_reason":null}]}"#,
        r#"{"id":"g","model":"a/b","choices":[{"delta":{"content":"","reasoning":"x"},"finish_reason":null}]}"#,
        r#"{"id":"g","model":"a/b","choices":[{"delta":{"content":" é,"},"finish_reason":null}]}"#,
        r#"{"id":"g","model":"a/b","choices":[{"delta":{"content":" "},"native_finish_reason":"s"}]}"#,
        r#"{"id":"g","model":"a/b","choices":[{"delta":{"content":"","reasoning":""},"finish_reason":null}]}"#,
        r#"{"id":"g","model":"a/b","provider":"P","choices":[{"delta":{"content":"one"}}]}"#,
        r#"{"id":"g","model":"a/b","provider":"P","choices":[{"delta":{"content":" two"}}]}"#,
        r#"{"id":"g","model":"a/c","provider":"Q","choices":[{"delta":{"content":" three"}}]}"#,
        r#"{"id":"g","model":"a/c","provider":"Q","choices":[{"delta":{"content":[{"text":" four"}]}}]}"#,
        r#"{"x":{"y":1,"choices":[]},"choices":[{"delta":{"content":" five"}}]}"#,
        r#"{"x":{"y":1,"choices":[]},"choices":[{"delta":{"content":" six"}}]}"#,
        r#"{"x":"\",\"choices\":","choices":[{"delta":{"content":" seven"}}]}"#,
        r#"{"x":"\",\"choices\":","choices":[{"delta":{"content":" eight"}}]}"#,
        r#"{"choices":[{"delta":{"content":" nine"}}],"id":"h"}"#,
        r#"{"id":"h","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    ];
    let (mut one, mut events) = (reader(), VecDeque::new());
    for frame in frames {
        one.frame(frame.as_bytes(), &mut events).expect("a readable frame");
    }
    let mut fresh_events = VecDeque::new();
    for frame in frames {
        reader()
            .frame(frame.as_bytes(), &mut fresh_events)
            .expect("a readable frame");
    }
    assert_eq!(events, fresh_events);
    let done = one.finish(&mut events).expect("a whole answer");
    assert_eq!(
        (done.generation_id.as_deref(), done.model.as_deref()),
        (Some("h"), Some("a/c"))
    );
    let ended = one.heard.attach_partial(Error::new(ErrorKind::INTERRUPTED, ""));
    assert_eq!(
        ended.details.partial_text.as_deref(),
        Some("zero and a \"half\", é, one two three four five six seven eight nine")
    );
}

#[test]
fn a_tool_call_begins_the_answer() {
    let mut reader = reader();
    let call = piece(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]}));
    assert!(!reader.heard.has_begun);
    reader
        .frame(call.to_string().as_bytes(), &mut VecDeque::new())
        .expect("a readable frame");
    assert!(reader.heard.has_begun);
}

#[test]
fn a_frame_with_a_bad_byte_keeps_its_text() {
    let mut events = VecDeque::new();
    let frame = b"{\"choices\":[{\"delta\":{\"content\":\"a\xFFb\"}}]}";
    reader().frame(frame, &mut events).expect("the text around the byte");
    assert_eq!(Vec::from(events), [ChatEvent::text("a\u{fffd}b")]);
}

#[test]
fn a_frame_that_is_not_json_is_an_error_that_does_not_quote_it() {
    let error = reader().frame(b"{private", &mut VecDeque::new()).expect_err("not JSON");
    let error = error.into_error();
    assert_eq!(error.kind, ErrorKind::PROTOCOL);
    assert_eq!(error.message, "the service sent 8 bytes that are not a JSON object");
}

#[test]
fn a_whole_reply_reads_like_a_stream() {
    let body = json!({"id": "gen-2", "model": "acme/large", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "All at once"}}], "usage": {"prompt_tokens": 1,
        "completion_tokens": 3, "total_tokens": 4, "cost": 0}});
    let reply = read(&[body]).expect("a reply");
    assert_eq!(reply.text, "All at once");
    assert_eq!(reply.done.usage.and_then(|usage| usage.cost_usd).as_deref(), Some("0"));
    let error = read(&[json!({"error": {"code": 402, "message": "pay"}})]).expect_err("an error in a 200");
    assert_eq!(error.kind, ErrorKind::PAYMENT);
}

#[test]
fn the_key_is_removed_from_every_member_of_an_odd_frame() {
    let mut reader = reader();
    let frame = json!({"id": "sk-or-v1-secret", "model": "a/sk-or-v1-secret", "provider": "sk-or-v1-secret", "choices": [
        {"delta": {"content": [{"text": "Hi"}]}, "finish_reason": "sk-or-v1-secret",
            "native_finish_reason": "sk-or-v1-secret"}]});
    reader
        .frame(frame.to_string().as_bytes(), &mut VecDeque::new())
        .expect("a readable frame");
    let done = reader.finish(&mut VecDeque::new()).expect("a finish reason");
    let shown = serde_json::to_string(&done).expect("JSON");
    assert!(!shown.contains("secret") && shown.contains("a/[key]"), "{shown}");
}
