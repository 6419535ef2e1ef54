use serde_json::{Value, json};

use super::*;
use crate::{
    catalogue::CREATED_S,
    forms::{
        kit::{kinds, played, streamed, turn},
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
    assert_eq!(
        body,
        json!({
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
        })
    );
}

#[test]
fn a_mixed_answer_is_a_list_of_items() {
    let body = played(EVERYTHING, body_from);
    assert_eq!(body["added"], json!(1));
    assert_eq!(
        body["output"],
        json!([
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
        ])
    );
}

#[test]
fn a_stream_goes_from_created_to_completed() {
    let (events, done) = streamed(r#"{"text": "one two"}"#, steps_from);
    assert_eq!(
        kinds(&events).join(" "),
        "response.created response.in_progress response.output_item.added response.content_part.added \
         response.output_text.delta response.output_text.delta response.output_text.done \
         response.content_part.done response.output_item.done response.completed"
    );
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(n));
    }
    assert_eq!(
        events[5],
        json!({
            "type": "response.output_text.delta", "delta": " two", "logprobs": [], "output_index": 0,
            "content_index": 0, "item_id": "msg_sandbox-000001_0", "sequence_number": 5,
        })
    );
    let last = &events[9]["response"];
    assert_eq!(*last, played(r#"{"text": "one two"}"#, body_from));
    assert_eq!(last["output"][0], events[8]["item"]);
    assert_eq!(done.as_deref(), Some("data: [DONE]\n\n"));
}

#[test]
fn the_pieces_of_every_item_join_to_the_item() {
    let (events, _) = streamed(EVERYTHING, steps_from);
    let joined = |kind: &str| -> String {
        let deltas = events.iter().filter(|event| event["type"] == kind);
        deltas.filter_map(|event| event["delta"].as_str()).collect()
    };
    assert_eq!(joined("response.reasoning_summary_text.delta"), "short");
    assert_eq!(joined("response.reasoning_text.delta"), "long");
    assert_eq!(joined("response.output_text.delta"), "one two");
    let items: Vec<&Value> = events
        .iter()
        .filter(|event| event["type"] == "response.output_item.done")
        .map(|event| &event["item"])
        .collect();
    let body = played(EVERYTHING, body_from);
    let output = body["output"].as_array().expect("an array");
    assert_eq!(items, output.iter().collect::<Vec<_>>());
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
    let pieces: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(pieces, "{\"city\":\"Paris\"}");
    let done = events
        .iter()
        .find(|event| event["type"] == "response.function_call_arguments.done");
    assert_eq!(done.map(|event| &event["name"]), Some(&json!("f")));
}

#[test]
fn an_answer_cut_by_the_token_limit_is_incomplete() {
    let script = r#"{"text": "one", "finish_reason": "length"}"#;
    let body = played(script, body_from);
    assert_eq!(
        (&body["status"], &body["incomplete_details"]),
        (&json!("incomplete"), &json!({"reason": "max_output_tokens"}))
    );
    let (events, _) = streamed(script, steps_from);
    assert_eq!(
        events.last().map(|event| &event["type"]),
        Some(&json!("response.incomplete"))
    );
}

#[test]
fn a_failure_in_the_middle_is_reported_as_the_script_sets() {
    let (events, done) = streamed(r#"{"text": "one two", "fail_after_chunks": 1}"#, steps_from);
    let last = events.last().expect("events");
    assert_eq!(kinds(&events)[4..], ["response.output_text.delta", "response.failed"]);
    assert_eq!((&last["sequence_number"], done), (&json!(5), None));
    assert_eq!(last["response"]["status"], json!("failed"));
    assert_eq!(
        last["response"]["error"],
        json!({"code": "server_error", "message": "Provider disconnected"})
    );
    assert_eq!(last["response"]["error_type"], json!("provider_unavailable"));
    let whole = played(r#"{"text": "one two", "fail_after_chunks": 1}"#, body_from);
    assert_eq!(last["response"], whole);

    let script = r#"{"text": "a", "fail_after_chunks": 0, "fail": {"status": 429}, "error_event": true}"#;
    let (events, _) = streamed(script, steps_from);
    assert_eq!(
        events[2],
        json!({
            "type": "error", "code": "rate_limit_exceeded", "message": "Rate limit exceeded", "param": null,
            "sequence_number": 2,
        })
    );
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
    assert_eq!(
        (
            &usage["input_tokens"],
            &usage["input_tokens_details"]["cached_tokens"],
            &usage["new_count"]
        ),
        (&json!(7), &json!(5), &json!(3))
    );
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
    assert_eq!(
        chat.returned_reasoning,
        Some(vec![
            json!({"type": "reasoning.summary", "summary": "s", "index": 0}),
            json!({"type": "reasoning.encrypted", "data": "x", "index": 1}),
        ])
    );
}

#[test]
fn requests_that_need_stored_state_or_lack_input_are_refused() {
    assert_eq!(
        chat(json!({"model": "m", "store": true, "previous_response_id": "r", "input": []})),
        Err(
            "store: expected false, nothing is kept; previous_response_id: nothing is kept, send the whole \
             conversation as `input`; input: expected text, or an array with at least one item"
                .to_owned()
        )
    );
    assert_eq!(
        chat(json!({"model": "m", "input": [{"role": "robot", "content": "hi"}, "x"]})),
        Err(
            "input[0].role: expected one of user, assistant, system, developer; input[1]: expected an object"
                .to_owned()
        )
    );
    let wrong = chat(json!({"model": "m", "input": "hi", "provider": {"allowFallbacks": true}}));
    assert_eq!(wrong, Err("provider: unrecognized key `allowFallbacks`".to_owned()));
}
