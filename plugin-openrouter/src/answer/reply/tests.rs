//! Frames, and the events that come of them. The streams of `answer::golden` cover their shapes.

use plugin_api::{ChatReply, ErrorKind};
use serde_json::{Value, json};

use super::*;

fn reader() -> ReplyReader {
    let heard = Heard::new(Some("acme/large".to_owned()), None, "sk-or-v1-secret");
    ReplyReader::new(heard, View::Typed, 64 << 20)
}

/// Reads all frames and ends the answer.
fn read(frames: &[Value]) -> Result<ChatReply, Error> {
    let frames: Vec<String> = frames.iter().map(Value::to_string).collect();
    read_bytes(frames.iter().map(String::as_bytes))
}

fn read_bytes<'a>(frames: impl IntoIterator<Item = &'a [u8]>) -> Result<ChatReply, Error> {
    let mut reader = reader();
    let mut events = VecDeque::new();
    for frame in frames {
        reader.frame(frame, &mut events).map_err(FrameError::into_error)?;
    }
    let done = reader.finish(&mut events)?;
    let mut reply = ChatReply::default();
    events.into_iter().for_each(|event| reply.add(event));
    reply.done = done;
    Ok(reply)
}

fn refused(frames: &[Value]) -> Error {
    read(frames).expect_err("no whole answer")
}

fn piece(delta: Value) -> Value {
    json!({"id": "gen-1", "model": "acme/large-2", "provider": "Acme", "choices": [{"index": 0, "delta": delta}]})
}

fn finish(reason: &str) -> Value {
    json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason, "native_finish_reason": "END"}]})
}

#[test]
fn a_failed_answer_says_what_happened_and_quotes_no_frame() {
    let half = json!([{"index": 0, "id": "c", "function": {"name": "f", "arguments": "{\"a"}}]);
    let half = [piece(json!({"tool_calls": half})), finish("tool_calls")];
    let of_frame = [json!({"error": {"code": "server_error", "message": "Provider disconnected"}})];
    let of_another_protocol = [json!({"type": "message_delta"}), json!({"type": "message_stop"})];
    let of_delta =
        [json!({"choices": [{"delta": {"error": {"code": 502, "message": "no"}}, "message": {"content": ""}}]})];
    let rows: [(&[Value], &str); 5] = [
        (&[], "the answer ended before anything arrived"),
        (
            &of_another_protocol,
            "the answer ended without anything readable: 2 events had another form",
        ),
        (&half, "the answer broke off inside the arguments of the tool call `f`"),
        (&of_frame, "the service reported an error: Provider disconnected"),
        (&of_delta, "the service reported error 502: no"),
    ];
    for (frames, message) in rows {
        assert_eq!(refused(frames).message, message);
    }
    // Content in parts is unusual, and hides no error.
    for content in [json!(""), json!([])] {
        let failed = |error: Value| {
            refused(&[json!({"choices": [{"delta": {"content": content}, "error": error, "finish_reason": "error"}]})])
        };
        let message = failed(json!({"code": 502, "message": "upstream"})).message;
        assert_eq!(message, "the service reported error 502: upstream", "{content}");
        let message = failed(json!(null)).message;
        assert_eq!(message, "the provider ended the answer with `error`", "{content}");
    }
    let error = read_bytes([b"{private".as_slice()]).expect_err("not JSON");
    assert_eq!(error.message, "the service sent 8 bytes that are not a JSON object");
}

#[test]
fn odd_frames_lose_no_tool_call_and_no_usage() {
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
fn a_lone_surrogate_or_a_bad_byte_does_not_cost_the_answer() {
    let rows: [(&[u8], &str); 8] = [
        (br"a\ud83db", "a\u{fffd}b"),
        (br"\ud83d", "\u{fffd}"),
        (br"\ude00x", "\u{fffd}x"),
        (br"\ud83d\ude00", "\u{1f600}"),
        (br"\\ud83d", r"\ud83d"),
        (br"\ud83d\n", "\u{fffd}\n"),
        (br"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (b"a\xFFb", "a\u{fffd}b"),
    ];
    for (json, text) in rows {
        let head = br#"{"choices":[{"delta":{"content":""#;
        let tail = br#""},"finish_reason":"stop"}]}"#;
        let frame = [head.as_slice(), json, tail].concat();
        let reply = read_bytes([&*frame]).expect("a whole answer");
        assert_eq!(reply.text, text, "{}", json.escape_ascii());
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
        r#"{"choices":[{"delta":{"reasoning":"so"}}],"id":"h"}"#,
        r#"{"choices":[{"delta":{"reasoning":" \"it\"\n"}}],"id":"h"}"#,
        r#"{"choices":[{"delta":{"reasoning":" is\\"}}],"id":"h"}"#,
        r#"{"choices":[{"delta":{"reasoning":" \u2014"}}],"id":"h"}"#,
        r#"{"choices":[{"delta":{"reasoning":"","content":" ten"}}],"id":"h"}"#,
        r#"{"id":"h","choices":[{"delta":{},"finish_reason":"stop"}]}"#,
    ];
    let (mut one, mut events, mut fresh_events) = (reader(), VecDeque::new(), VecDeque::new());
    for frame in frames.map(str::as_bytes) {
        one.frame(frame, &mut events).expect("a readable frame");
        reader().frame(frame, &mut fresh_events).expect("a readable frame");
    }
    assert_eq!(events, fresh_events);
    let done = one.finish(&mut events).expect("a whole answer");
    let models = (done.requested_model.as_deref(), done.model.as_deref());
    let expected = ((Some("acme/large"), Some("a/c")), Some("h"));
    assert_eq!((models, done.generation_id.as_deref()), expected);
    let partial = one
        .heard
        .attach_partial(Error::new(ErrorKind::INTERRUPTED, ""))
        .details
        .partial_text;
    let text = "zero and a \"half\", é, one two three four five six seven eight nine ten";
    assert_eq!(partial.as_deref(), Some(text));
}

#[test]
fn arguments_in_alike_chunks_are_appended_to_their_own_call() {
    let piece = |call: Value| json!({"choices": [{"delta": {"tool_calls": [call]}}]});
    let next = |index: u32, text: &str| piece(json!({"index": index, "function": {"arguments": text}}));
    let mut frames = vec![
        piece(json!({"index": 0, "id": "a", "function": {"name": "f", "arguments": "["}})),
        piece(json!({"index": 1, "id": "b", "function": {"name": "g", "arguments": "["}})),
    ];
    for text in [r#""q\"""#, "1", "\"\u{1f600}\""] {
        frames.extend([next(0, text), next(0, ",2,"), next(1, "3"), next(1, ",")]);
    }
    frames.extend([next(0, "5]"), next(1, "4]"), finish("tool_calls")]);
    let reply = read(&frames).expect("a whole answer");
    let arguments: Vec<&str> = reply.tool_calls.iter().map(|call| call.arguments.as_str()).collect();
    assert_eq!(arguments, ["[\"q\\\"\",2,1,2,\"\u{1f600}\",2,5]", "[3,3,3,4]"]);
}

#[test]
fn pieces_of_one_delta_are_one_event_whatever_they_hold() {
    let pieces = [r#"{"text":"a"}"#, r#"{"text":"\ud83d"}"#, r#"{"text":"\ude00"}"#]
        .repeat(1000)
        .join(",");
    let frame = format!(r#"{{"choices":[{{"delta":{{"reasoning_details":[{pieces}]}}}}]}}"#);
    let mut events = VecDeque::new();
    reader().frame(frame.as_bytes(), &mut events).expect("a readable frame");
    assert_eq!(events, [ChatEvent::Reasoning("a\u{1f600}".repeat(1000).into())]);
}

#[test]
fn further_members_of_a_call_are_counted_over_all_its_pieces() {
    let pieces = (0..100).map(|n| {
        let mut call = json!({"index": 0, "id": "c", "function": {"name": "f"}});
        call[format!("x{n}")] = json!(n);
        piece(json!({"tool_calls": [call]}))
    });
    let frames: Vec<Value> = pieces.chain([finish("tool_calls")]).collect();
    let reply = read(&frames).expect("a whole answer");
    let n_notices = reply
        .notices
        .iter()
        .filter(|notice| notice.code == "odd_answer")
        .count();
    assert_eq!((reply.tool_calls[0].extras.len(), n_notices), (64, 1));
}

#[test]
fn a_tool_call_begins_the_answer() {
    let mut reader = reader();
    let call = piece(json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f"}}]})).to_string();
    assert!(!reader.heard.has_begun);
    reader
        .frame(call.as_bytes(), &mut VecDeque::new())
        .expect("a readable frame");
    assert!(reader.heard.has_begun);
}

#[test]
fn the_key_is_removed_from_every_member_of_an_odd_frame() {
    let frame = json!({"id": "sk-or-v1-secret", "model": "a/sk-or-v1-secret", "provider": "sk-or-v1-secret", "choices": [
        {"delta": {"content": [{"text": "Hi"}]}, "finish_reason": "sk-or-v1-secret",
            "native_finish_reason": "sk-or-v1-secret"}]});
    let done = read(&[frame]).expect("a finish reason").done;
    let shown = serde_json::to_string(&done).expect("JSON");
    assert!(!shown.contains("secret") && shown.contains("a/[key]"), "{shown}");
}
