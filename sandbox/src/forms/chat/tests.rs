use serde_json::{Value, json};

use super::*;
use crate::forms::{
    kit::{each, joined, played, streamed},
    stream::{DONE, Step},
};

#[test]
fn a_stream_is_role_pieces_finish_reason_usage_and_done() {
    let (chunks, done) = streamed(r#"{"text": "one two"}"#, steps_from);
    let contents = json!(["", "one", " two", "", null]);
    assert_eq!(each(&chunks, "/choices/0/delta/content"), contents);
    let reasons = json!([null, null, null, "stop", null]);
    assert_eq!(each(&chunks, "/choices/0/finish_reason"), reasons);
    assert_eq!(chunks[4]["choices"], json!([]));
    assert!(chunks[4]["usage"].is_object());
    assert_eq!(done.as_deref(), Some(DONE));
}

#[test]
fn a_failure_in_the_middle_is_reported_in_both_replies() {
    let script = r#"{"text": "one two", "fail_after_chunks": 1}"#;
    let (chunks, done) = streamed(script, steps_from);
    assert_eq!((chunks.len(), done), (3, None), "role, one piece, the failure");
    assert_eq!(chunks[2]["error"]["metadata"]["error_type"], "provider_unavailable");
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], "error");
    let choice = &played(script, body_from)["choices"][0];
    let seen = json!([
        choice["message"]["content"],
        choice["finish_reason"],
        choice["error"]["code"]
    ]);
    assert_eq!(seen, json!(["one", "error", 502]));
}

#[test]
fn a_stall_before_the_first_piece_sends_only_the_role() {
    let steps = played(r#"{"text": "one", "stall_after_chunks": 0}"#, steps_from);
    assert_eq!((steps.len(), steps.last()), (2, Some(&Step::Stall)));
}

#[test]
fn the_pieces_of_a_tool_call_join_to_its_arguments() {
    let script = r#"{"tool_calls": [{"name": "weather", "arguments": {"city": "Paris"}}]}"#;
    let (chunks, _) = streamed(script, steps_from);
    let function = "/choices/0/delta/tool_calls/0/function";
    assert_eq!(joined(&chunks, &format!("{function}/arguments")), r#"{"city":"Paris"}"#);
    assert_eq!(joined(&chunks, &format!("{function}/name")), "weather");
}

#[test]
fn comments_come_before_the_first_chunk_and_between_pieces() {
    let script = r#"{"text": "one two", "comments": 2, "comments_between": 1}"#;
    let steps = played(script, steps_from);
    let kind = |step: &Step| if matches!(step, Step::Data(_)) { 'd' } else { 't' };
    assert_eq!(steps.iter().map(kind).collect::<String>(), "ttddtdddt");
}

#[test]
fn reasoning_of_several_kinds_comes_in_order_with_its_signature_last() {
    let script = r#"{"text": "one", "reasoning_details": [
        {"type": "reasoning.summary", "summary": "in short", "index": 0},
        {"type": "reasoning.text", "text": "at length", "signature": "s", "index": 1},
        {"type": "reasoning.encrypted", "data": "x", "id": "r", "index": 2}
    ]}"#;
    let (chunks, _) = streamed(script, steps_from);
    let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"]);
    let sent: Vec<Value> = deltas
        .filter(|delta| delta.get("reasoning_details").is_some())
        .map(|delta| json!([delta["reasoning"], delta["reasoning_details"][0]]))
        .collect();
    let expected = json!([
        ["in", {"type": "reasoning.summary", "summary": "in", "index": 0}],
        [" short", {"type": "reasoning.summary", "summary": " short", "index": 0}],
        ["at", {"type": "reasoning.text", "text": "at", "index": 1}],
        [" length", {"type": "reasoning.text", "text": " length", "index": 1}],
        [null, {"type": "reasoning.text", "signature": "s", "index": 1}],
        [null, {"type": "reasoning.encrypted", "data": "x", "id": "r", "index": 2}],
    ]);
    assert_eq!(json!(sent), expected);
}

#[test]
fn images_audio_annotations_and_extra_members_are_in_both_replies() {
    let script = r#"{
        "text": "one", "images": [{"type": "image_url", "image_url": {"url": "data:,"}}],
        "audio": {"id": "a", "data": "AAAABBBB", "transcript": "one", "expires_at": 5},
        "annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com"}}],
        "extra": {"service_tier": "x", "id": "no"}
    }"#;
    let (chunks, _) = streamed(script, steps_from);
    let whole = played(script, body_from);
    for reply in chunks.iter().chain([&whole]) {
        assert_eq!(reply["service_tier"], "x");
        assert_eq!(reply["id"], "gen-sandbox-000001");
    }
    let message = &whole["choices"][0]["message"];
    let all = |name: &str| -> Vec<&Value> {
        let found = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"][name]);
        found.filter(|value| !value.is_null()).collect()
    };
    assert_eq!(all("images"), [&message["images"]]);
    assert_eq!(message["images"][0]["image_url"]["url"], "data:,");
    assert_eq!(all("annotations"), [&message["annotations"]]);
    assert_eq!(message["annotations"][0]["type"], "url_citation");
    let expected = json!([{"id": "a"}, {"transcript": "one"}, {"data": "AAAA"}, {"data": "BBBB"}, {"expires_at": 5}]);
    assert_eq!(json!(all("audio")), expected);
    assert_eq!(message["audio"]["data"], "AAAABBBB");
}
