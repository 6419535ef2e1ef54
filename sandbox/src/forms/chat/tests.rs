use serde_json::{Value, json};

use super::*;
use crate::forms::{
    kit::{played, streamed},
    stream::{DONE, Step},
};

/// The deltas of a stream.
fn deltas(script: &str) -> Vec<Value> {
    let chunks = streamed(script, steps_from).0;
    chunks
        .iter()
        .map(|chunk| chunk["choices"][0]["delta"].clone())
        .collect()
}

#[test]
fn a_stream_is_role_pieces_finish_reason_usage_and_done() {
    let (chunks, done) = streamed(r#"{"text": "one two"}"#, steps_from);
    let contents: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["content"])
        .collect();
    assert_eq!(
        contents,
        [&json!(""), &json!("one"), &json!(" two"), &json!(""), &Value::Null]
    );
    assert_eq!(chunks[3]["choices"][0]["finish_reason"], json!("stop"));
    assert_eq!(
        (&chunks[4]["choices"], chunks[4]["usage"].is_object()),
        (&json!([]), true)
    );
    assert_eq!(done.as_deref(), Some(DONE));
}

#[test]
fn a_failure_in_the_middle_is_reported_in_both_replies() {
    let script = r#"{"text": "one two", "fail_after_chunks": 1}"#;
    let (chunks, done) = streamed(script, steps_from);
    assert_eq!((chunks.len(), done), (3, None), "role, one piece, the failure");
    assert_eq!(
        chunks[2]["error"]["metadata"]["error_type"],
        json!("provider_unavailable")
    );
    assert_eq!(chunks[2]["choices"][0]["finish_reason"], json!("error"));

    let choice = &played(script, body_from)["choices"][0];
    assert_eq!(choice["message"]["content"], json!("one"));
    assert_eq!(
        (&choice["finish_reason"], &choice["error"]["code"]),
        (&json!("error"), &json!(502))
    );
}

#[test]
fn a_stall_before_the_first_piece_sends_only_the_role() {
    let steps = played(r#"{"text": "one", "stall_after_chunks": 0}"#, steps_from);
    assert_eq!((steps.len(), steps.last()), (2, Some(&Step::Stall)));
}

#[test]
fn the_pieces_of_a_tool_call_join_to_its_arguments() {
    let all = deltas(r#"{"tool_calls": [{"name": "weather", "arguments": {"city": "Paris"}}]}"#);
    let functions: Vec<&Value> = all.iter().map(|delta| &delta["tool_calls"][0]["function"]).collect();
    let joined: String = functions
        .iter()
        .filter_map(|function| function["arguments"].as_str())
        .collect();
    let n_names = functions.iter().filter(|function| function["name"].is_string()).count();
    assert_eq!((joined.as_str(), n_names), (r#"{"city":"Paris"}"#, 1));
}

#[test]
fn comments_come_before_the_first_chunk_and_between_pieces() {
    let steps = played(
        r#"{"text": "one two", "comments": 2, "comments_between": 1}"#,
        steps_from,
    );
    let kind = |step: &Step| if matches!(step, Step::Data(_)) { 'd' } else { 't' };
    assert_eq!(steps.iter().map(kind).collect::<String>(), "ttddtdddt");
}

#[test]
fn reasoning_of_several_kinds_comes_in_order_with_its_signature_last() {
    let all = deltas(
        r#"{"text": "one", "reasoning_details": [
            {"type": "reasoning.summary", "summary": "in short", "index": 0},
            {"type": "reasoning.text", "text": "at length", "signature": "s", "index": 1},
            {"type": "reasoning.encrypted", "data": "x", "id": "r", "index": 2}
        ]}"#,
    );
    let sent: Vec<Value> = all
        .iter()
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
        assert_eq!(
            (&reply["service_tier"], &reply["id"]),
            (&json!("x"), &json!("gen-sandbox-000001"))
        );
    }
    let message = &whole["choices"][0]["message"];
    let all = |name: &str| -> Vec<&Value> {
        let found = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"][name]);
        found.filter(|value| !value.is_null()).collect()
    };
    assert_eq!(all("images"), [&message["images"]]);
    assert_eq!(message["images"][0]["image_url"]["url"], json!("data:,"));
    assert_eq!(all("annotations"), [&message["annotations"]]);
    assert_eq!(message["annotations"][0]["type"], json!("url_citation"));
    assert_eq!(
        json!(all("audio")),
        json!([{"id": "a"}, {"transcript": "one"}, {"data": "AAAA"}, {"data": "BBBB"}, {"expires_at": 5}])
    );
    assert_eq!(message["audio"]["data"], json!("AAAABBBB"));
}
