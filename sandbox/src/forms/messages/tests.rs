use serde_json::{Value, json};

use super::*;
use crate::{
    failure::Failure,
    forms::{
        kit::{joined, kinds, played, streamed},
        stream::Step,
    },
    rules::request::{Chat, Format, ToolChoice},
};

const EVERYTHING: &str = r#"{
    "text": "one two",
    "reasoning_details": [
        {"type": "reasoning.text", "text": "at length", "signature": "s", "index": 0},
        {"type": "reasoning.encrypted", "data": "x", "index": 1}
    ],
    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t"}}],
    "extra": {"added": 1}
}"#;

fn whole(script: &str) -> Value {
    played(script, body_from).expect("this script does not fail")
}

fn chat(body: Value) -> Result<Chat, String> {
    chat_from(body.as_object().expect("an object")).map_err(|failure| failure.message.unwrap_or_default())
}

#[test]
fn a_whole_reply_has_every_documented_member() {
    let expected = json!({
        "id": "gen-sandbox-000001", "type": "message", "role": "assistant", "model": "openai/gpt-4o",
        "provider": "FakeProvider", "container": null,
        "content": [{"type": "text", "text": "one two", "citations": null}],
        "stop_reason": "end_turn", "stop_sequence": null, "stop_details": null,
        "usage": {
            "input_tokens": 10, "output_tokens": 2, "output_tokens_details": {"thinking_tokens": 0},
            "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "cache_creation": null,
            "inference_geo": null, "server_tool_use": null, "service_tier": "standard", "is_byok": false,
            "cost": 0.000_045,
            "cost_details": {
                "upstream_inference_cost": null, "upstream_inference_prompt_cost": 0.000_025,
                "upstream_inference_completions_cost": 0.000_02,
            },
        },
    });
    assert_eq!(whole(r#"{"text": "one two"}"#), expected);
}

#[test]
fn a_mixed_answer_is_a_list_of_blocks() {
    let body = whole(EVERYTHING);
    assert_eq!(body["added"], json!(1));
    let expected = json!([
        {"type": "thinking", "thinking": "at length", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
        {"type": "text", "text": "one two", "citations": [{
            "type": "web_search_result_location", "cited_text": "", "encrypted_index": "", "title": "t",
            "url": "https://example.com",
        }]},
    ]);
    assert_eq!(body["content"], expected);
}

#[test]
fn a_stream_goes_from_message_start_to_message_stop() {
    let (events, done) = streamed(EVERYTHING, steps_from);
    let (start, delta, stop) = ("content_block_start", "content_block_delta", "content_block_stop");
    let kinds_of_blocks = [
        start, delta, delta, delta, stop, start, stop, start, delta, delta, delta, stop,
    ];
    assert_eq!(kinds(&events)[..2], ["message_start", "ping"]);
    assert_eq!(kinds(&events)[2..14], kinds_of_blocks);
    assert_eq!(kinds(&events)[14..], ["message_delta", "message_stop"]);
    assert_eq!(events[0]["message"]["usage"]["output_tokens"], 0);
    let opened = json!([
        events[2]["content_block"],
        events[5]["delta"],
        events[7]["content_block"]
    ]);
    let expected = json!([
        {"type": "thinking", "thinking": "", "signature": ""},
        {"type": "signature_delta", "signature": "s"},
        {"type": "redacted_thinking", "data": "x"},
    ]);
    assert_eq!(opened, expected);
    let text = json!({"type": "text_delta", "text": " two"});
    assert_eq!(
        events[11],
        json!({"type": delta, "index": 2, "delta": text, "added": 1})
    );
    assert_eq!(events[12]["delta"]["type"], "citations_delta");
    assert_eq!(events[14]["delta"]["stop_reason"], "end_turn");
    assert_eq!(events[14]["usage"], whole(EVERYTHING)["usage"]);
    assert_eq!(done.as_deref(), Some("event: data\ndata: [DONE]\n\n"));
}

#[test]
fn every_event_is_named_in_its_frame() {
    for step in played(r#"{"text": "a"}"#, steps_from) {
        let (Step::Data(frame) | Step::Text(frame)) = step else {
            panic!("expected a frame");
        };
        let text = String::from_utf8_lossy(&frame).into_owned();
        let (event, data) = text.split_once("\ndata: ").expect("two lines");
        let kind = event.strip_prefix("event: ").expect("a name");
        let named = format!("\"type\":\"{kind}\"");
        assert!(kind == "data" || data.contains(&named), "{text}");
    }
}

#[test]
fn a_call_is_a_block_whose_input_comes_in_pieces() {
    let script = r#"{"tool_calls": [{"name": "f", "arguments": {"city": "Paris"}}]}"#;
    let body = whole(script);
    let expected = json!([{
        "type": "tool_use", "id": "call_sandbox_01", "name": "f", "input": {"city": "Paris"},
        "caller": {"type": "direct"},
    }]);
    assert_eq!(body["content"], expected);
    assert_eq!(body["stop_reason"], "tool_use");
    let (events, _) = streamed(script, steps_from);
    assert_eq!(joined(&events, "/delta/partial_json"), "{\"city\":\"Paris\"}");
    assert_eq!(events[2]["content_block"]["input"], json!({}));
}

#[test]
fn a_failure_in_the_middle_is_an_error_event_or_a_refusal() {
    let script = r#"{"text": "one two", "fail_after_chunks": 1, "fail": {"status": 529}}"#;
    let (events, done) = streamed(script, steps_from);
    let details = json!({"type": "overloaded_error", "message": "Provider returned error",
        "error_type": "provider_overloaded"});
    let error = json!({"type": "error", "error": details});
    assert_eq!((events.last(), done), (Some(&error), None));
    let failure = played(script, body_from).expect_err("a reply cannot say it");
    assert_eq!(failure.status, 529);
}

#[test]
fn errors_have_the_shape_of_anthropic() {
    let details = json!({"type": "not_found_error", "message": "No endpoints found for this model.",
        "error_type": "not_found"});
    let expected = json!({"type": "error", "request_id": null, "error": details});
    assert_eq!(error_value(&Failure::status(404)), expected);
    for (status, kind) in [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (402, "billing_error"),
        (403, "permission_error"),
        (408, "timeout_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (502, "api_error"),
        (503, "overloaded_error"),
        (529, "overloaded_error"),
    ] {
        assert_eq!(error_value(&Failure::status(status))["error"]["type"], json!(kind));
    }
}

#[test]
fn a_conversation_with_a_tool_becomes_one_of_chat() {
    let chat = chat(json!({
        "model": "m", "max_tokens": 5, "system": [{"type": "text", "text": "be brief"}],
        "stop_sequences": ["a", "b", "c", "d", "e"], "metadata": {"user_id": "u"},
        "tools": [
            {"name": "f", "description": "d", "input_schema": {"type": "object"}},
            {"type": "bash_20250124", "name": "bash"},
        ],
        "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": true},
        "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"},
        "messages": [
            {"role": "user", "content": [
                {"type": "text", "text": "weather?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "t", "signature": "s"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "tool_use", "id": "c", "name": "f", "input": {"city": "Paris"}},
            ]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": "sunny"}]},
        ],
    }))
    .expect("in order");
    assert_eq!((chat.last_user_text.as_str(), chat.max_tokens), ("weather?", Some(5)));
    assert_eq!((chat.stop.len(), chat.tools.len(), chat.one_call_only), (5, 1, true));
    assert_eq!(chat.user.as_deref(), Some("u"));
    assert_eq!(chat.tool_results, ["sunny"]);
    assert_eq!(chat.tool_choice, ToolChoice::Named("f".to_owned()));
    assert_eq!(chat.format, Format::Schema(json!({"type": "object"})));
    let expected = Some(vec![
        json!({"type": "reasoning.text", "text": "t", "signature": "s", "index": 0}),
        json!({"type": "reasoning.encrypted", "data": "x", "index": 1}),
    ]);
    assert_eq!(chat.returned_reasoning, expected);
}

#[test]
fn fallbacks_become_models_and_thinking_can_be_disabled() {
    let body = json!({"model": "a", "fallbacks": [{"model": "b"}], "thinking": {"type": "disabled"},
        "messages": [{"role": "user", "content": "hi"}]});
    let chat = chat(body).expect("in order");
    assert_eq!(chat.models, ["a", "b"]);
    assert!(chat.hides_reasoning);
}

#[test]
fn every_problem_is_listed() {
    let problems = "model: expected text; fallbacks: expected nothing beside `models`; stop_sequences: expected an array \
                    of texts";
    let seen = chat(json!({"stop_sequences": "a", "models": ["b"], "fallbacks": []}));
    assert_eq!(seen, Err(problems.to_owned()));
    let expected = Err("messages: expected an array with at least one message, found nothing".to_owned());
    assert_eq!(chat(json!({"model": "m"})), expected);
}
