use serde_json::{Value, json};

use super::*;
use crate::{
    catalogue::CREATED_S,
    forms::{
        kit::{joined, kinds, played, streamed, turn},
        stream::Step,
    },
    rules::request::{Chat, Format, ToolChoice},
};

/// A script with everything that this form can express.
const EVERYTHING: &str = r#"{
    "text": "one two",
    "reasoning_details": [
        {"type": "reasoning.summary", "summary": "short", "index": 0},
        {"type": "reasoning.text", "text": "long", "signature": "s", "format": "anthropic-claude-v1", "index": 1},
        {"type": "reasoning.encrypted", "data": "x", "id": "rs_own", "index": 2}
    ],
    "images": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}],
    "annotations": [{"type": "url_citation", "url_citation": {"url": "https://example.com", "title": "t"}}],
    "extra": {"added": 1}
}"#;

fn chat(body: Value) -> Result<Chat, String> {
    chat_from(body.as_object().expect("an object")).map_err(|failure| failure.message.unwrap_or_default())
}

#[test]
fn a_whole_reply_has_every_documented_member() {
    let asked = json!({"model": "m", "input": "hi", "temperature": 0.5, "instructions": "be brief", "tools": [
        {"type": "function", "name": "f", "parameters": {}}, {"type": "openrouter:web_search"},
    ]});
    let body = turn(r#"{"text": "one two"}"#, &asked, body_from);
    let expected = json!({
        "id": "gen-sandbox-000001", "object": "response", "created_at": CREATED_S, "completed_at": CREATED_S,
        "model": "openai/gpt-4o", "status": "completed", "error": null, "incomplete_details": null,
        "output": [{
            "type": "message", "id": "msg_sandbox-000001_0", "role": "assistant", "status": "completed",
            "content": [{"type": "output_text", "text": "one two", "annotations": [], "logprobs": []}],
        }],
        "usage": {
            "input_tokens": 10, "output_tokens": 2, "total_tokens": 12, "cost": 0.000_045, "is_byok": false,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
            "cost_details": {
                "upstream_inference_cost": null, "upstream_inference_input_cost": 0.000_025,
                "upstream_inference_output_cost": 0.000_02,
            },
        },
        "temperature": 0.5, "top_p": null, "presence_penalty": null, "frequency_penalty": null,
        "instructions": "be brief", "metadata": null, "max_output_tokens": null, "max_tool_calls": null,
        "prompt_cache_key": null, "user": null, "tool_choice": "auto", "parallel_tool_calls": true,
        "tools": [{"type": "function", "name": "f", "parameters": {}, "strict": null}],
        "text": {"format": {"type": "text"}}, "truncation": "disabled", "store": false, "background": false,
    });
    assert_eq!(body, expected);
}

#[test]
fn a_mixed_answer_is_a_list_of_items() {
    let body = played(EVERYTHING, body_from);
    assert_eq!(body["added"], json!(1));
    let expected = json!([
        {
            "type": "reasoning", "id": "rs_own", "status": "completed", "format": "unknown",
            "summary": [{"type": "summary_text", "text": "short"}],
            "content": [{"type": "reasoning_text", "text": "long"}],
            "signature": "s", "encrypted_content": "x",
        },
        {
            "type": "message", "id": "msg_sandbox-000001_0", "role": "assistant", "status": "completed",
            "content": [{
                "type": "output_text", "text": "one two", "logprobs": [],
                "annotations": [{
                    "type": "url_citation", "url": "https://example.com", "title": "t", "start_index": 0,
                    "end_index": 0,
                }],
            }],
        },
        {"type": "image_generation_call", "id": "ig_sandbox-000001_0", "status": "completed", "result": "AAAA"},
    ]);
    assert_eq!(body["output"], expected);
}

#[test]
fn a_stream_goes_from_created_to_completed() {
    let (events, done) = streamed(r#"{"text": "one two"}"#, steps_from);
    let expected = "response.created response.in_progress response.output_item.added response.content_part.added \
                    response.output_text.delta response.output_text.delta response.output_text.done \
                    response.content_part.done response.output_item.done response.completed";
    assert_eq!(kinds(&events).join(" "), expected);
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(n));
    }
    let expected = json!({
        "type": "response.output_text.delta", "delta": " two", "logprobs": [], "output_index": 0,
        "content_index": 0, "item_id": "msg_sandbox-000001_0", "sequence_number": 5,
    });
    assert_eq!(events[5], expected);
    let last = &events[9]["response"];
    assert_eq!(*last, played(r#"{"text": "one two"}"#, body_from));
    assert_eq!(last["output"][0], events[8]["item"]);
    assert_eq!(done.as_deref(), Some("data: [DONE]\n\n"));
}

#[test]
fn the_pieces_of_every_item_join_to_the_item() {
    let (events, _) = streamed(EVERYTHING, steps_from);
    let of_kind = |kind: &str| -> Vec<Value> {
        let found = events
            .iter()
            .filter(|event| event["type"] == format!("response.{kind}"));
        found.cloned().collect()
    };
    for (kind, text) in [
        ("reasoning_summary_text", "short"),
        ("reasoning_text", "long"),
        ("output_text", "one two"),
    ] {
        assert_eq!(joined(&of_kind(&format!("{kind}.delta")), "/delta"), text, "{kind}");
    }
    let items: Value = of_kind("output_item.done")
        .iter()
        .map(|event| event["item"].clone())
        .collect();
    assert_eq!(items, played(EVERYTHING, body_from)["output"]);
    assert!(events.iter().all(|event| event["added"] == 1));
}

#[test]
fn a_call_is_an_item_whose_arguments_come_in_pieces() {
    let script = r#"{"tool_calls": [{"name": "f", "arguments": {"city": "Paris"}}]}"#;
    let body = played(script, body_from);
    let call = json!({
        "type": "function_call", "id": "fc_sandbox-000001_0", "call_id": "call_sandbox_01", "name": "f",
        "arguments": "{\"city\":\"Paris\"}", "status": "completed",
    });
    assert_eq!(body["output"], json!([call]));
    let (events, _) = streamed(script, steps_from);
    assert_eq!(joined(&events, "/delta"), "{\"city\":\"Paris\"}");
    let mut events = events.into_iter();
    let done = events.find(|event| event["type"] == "response.function_call_arguments.done");
    assert_eq!(done.expect("an event")["name"], "f");
}

#[test]
fn an_answer_cut_by_the_token_limit_is_incomplete() {
    let script = r#"{"text": "one", "finish_reason": "length"}"#;
    let body = played(script, body_from);
    assert_eq!(body["status"], "incomplete");
    assert_eq!(body["incomplete_details"], json!({"reason": "max_output_tokens"}));
    let (events, _) = streamed(script, steps_from);
    assert_eq!(kinds(&events).last(), Some(&"response.incomplete"));
}

#[test]
fn a_failure_in_the_middle_is_reported_as_the_script_sets() {
    let script = r#"{"text": "one two", "fail_after_chunks": 1}"#;
    let (events, done) = streamed(script, steps_from);
    assert_eq!(
        (kinds(&events)[4..].join(" "), done),
        ("response.output_text.delta response.failed".to_owned(), None)
    );
    assert_eq!(events[5]["sequence_number"], 5);
    let response = &events[5]["response"];
    let error = json!({"code": "server_error", "message": "Provider disconnected"});
    let seen = json!([response["status"], response["error"], response["error_type"]]);
    assert_eq!(seen, json!(["failed", error, "provider_unavailable"]));
    assert_eq!(*response, played(script, body_from));

    let script = r#"{"text": "a", "fail_after_chunks": 0, "fail": {"status": 429}, "error_event": true}"#;
    let (events, _) = streamed(script, steps_from);
    let expected = json!({
        "type": "error", "code": "rate_limit_exceeded", "message": "Rate limit exceeded", "param": null,
        "sequence_number": 2,
    });
    assert_eq!(events[2], expected);
}

#[test]
fn events_are_named_only_if_the_script_says_so() {
    let first = |script: &str| match played(script, steps_from).remove(0) {
        Step::Data(frame) => String::from_utf8_lossy(&frame).into_owned(),
        other => panic!("expected a frame, found {other:?}"),
    };
    assert!(first("{}").starts_with("data: {"));
    assert!(first(r#"{"event_lines": true}"#).starts_with("event: response.created\ndata: {"));
}

#[test]
fn an_empty_answer_has_no_items_or_no_content() {
    assert_eq!(played(r#"{"empty": "choices"}"#, body_from)["output"], json!([]));
    let body = played(r#"{"empty": "content"}"#, body_from);
    assert_eq!(body["output"][0]["content"], json!([]));
}

#[test]
fn usage_members_set_by_a_script_are_kept() {
    let script = r#"{"usage": {"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 5}, "new_count": 3}}"#;
    let usage = played(script, body_from)["usage"].clone();
    let cached = &usage["input_tokens_details"]["cached_tokens"];
    let seen = json!([usage["input_tokens"], cached, usage["new_count"]]);
    assert_eq!(seen, json!([7, 5, 3]));
}

#[test]
fn the_input_may_be_text_or_items() {
    let text =
        chat(json!({"model": "m", "input": "hi", "max_output_tokens": 9, "temperature": null})).expect("in order");
    assert_eq!((text.last_user_text.as_str(), text.max_tokens), ("hi", Some(9)));

    let items = json!([
        {"role": "system", "content": "be brief"},
        {"type": "message", "role": "user", "content": [
            {"type": "input_text", "text": "weather?"}, {"type": "input_image", "image_url": "data:,", "detail": "auto"},
        ]},
        {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "s"}], "encrypted_content": "x"},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "sunny"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "warm"}]},
    ]);
    let tools = json!([{"type": "function", "name": "f", "parameters": null, "strict": null}]);
    let chat = chat(json!({
        "model": "m", "input": items, "tools": tools, "tool_choice": {"type": "function", "name": "f"},
        "text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": true}},
    }))
    .expect("in order");
    assert_eq!(chat.last_user_text, "weather?");
    assert_eq!(chat.tool_results, ["sunny", "warm"]);
    assert_eq!(chat.tools[0].name, "f");
    assert_eq!(chat.tool_choice, ToolChoice::Named("f".to_owned()));
    assert_eq!(chat.format, Format::Schema(json!({"type": "object"})));
    let expected = Some(vec![
        json!({"type": "reasoning.summary", "summary": "s", "index": 0}),
        json!({"type": "reasoning.encrypted", "data": "x", "index": 1}),
    ]);
    assert_eq!(chat.returned_reasoning, expected);
}

#[test]
fn requests_that_need_stored_state_or_lack_input_are_refused() {
    let problems = "store: expected false, nothing is kept; previous_response_id: nothing is kept, send the whole \
                    conversation as `input`; input: expected text, or an array with at least one item";
    let stored = chat(json!({"model": "m", "store": true, "previous_response_id": "r", "input": []}));
    assert_eq!(stored, Err(problems.to_owned()));
    let problems = "input[0].role: expected one of user, assistant, system, developer; input[1]: expected an object";
    let items = chat(json!({"model": "m", "input": [{"role": "robot", "content": "hi"}, "x"]}));
    assert_eq!(items, Err(problems.to_owned()));
    let wrong = chat(json!({"model": "m", "input": "hi", "provider": {"allowFallbacks": true}}));
    assert_eq!(wrong, Err("provider: unrecognized key `allowFallbacks`".to_owned()));
}
