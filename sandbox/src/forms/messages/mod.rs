//! The form of Anthropic's Messages API: blocks go in, blocks come out, and errors have a shape of their own.
//!
//! Pure. [`request`] turns a request into one of chat; [`blocks`] makes what an answer consists of; the stream is a
//! row of named events. Images and audio have no place in an answer of this form, so they are left out.
// Source: `MessagesRequest`, `MessagesResult`, `MessagesStreamEvents` and `AnthropicMessagesErrorResponse` of the API
// description, copy of 2026-08-22. That `[DONE]` comes as an event named `data` is a field report.

mod request;
mod blocks;

use bytes::Bytes;
use serde_json::{Map, Value, json};

pub(crate) use self::request::chat_from;
use crate::{
    answer::Turn,
    answer::reasoning::said_in,
    catalogue::PROVIDERS,
    failure::Failure,
    forms::stream::{Frames, Part, Step, add_extra, event_frame, few_pieces, pieces, steps_from as steps},
    script::Empty,
};

/// Most pieces that the input of a tool is cut into.
const FEW: usize = 4;
const DONE: &str = "event: data\ndata: [DONE]\n\n";

/// The body of a refusal.
pub(crate) fn error_value(failure: &Failure) -> Value {
    let mut body = error_event(failure);
    body["request_id"] = Value::Null;
    if !failure.metadata.is_empty() {
        body["metadata"] = json!(failure.metadata);
    }
    body
}

fn error_event(failure: &Failure) -> Value {
    let kind = match failure.status {
        400 | 413 | 415 | 422 => "invalid_request_error",
        401 => "authentication_error",
        402 => "billing_error",
        403 => "permission_error",
        404 | 405 => "not_found_error",
        408 | 524 => "timeout_error",
        429 => "rate_limit_error",
        503 | 529 => "overloaded_error",
        _ => "api_error",
    };
    let object = failure.error_object();
    let mut error = json!({"type": kind, "message": object["message"]});
    if object["metadata"]["error_type"].is_string() {
        error["error_type"] = object["metadata"]["error_type"].clone();
    }
    json!({"type": "error", "error": error})
}

/// The body of a reply that is not streamed.
///
/// - Errors: what the script wants to fail with in the middle; a reply of this form has no place for it.
pub(crate) fn body_from(turn: &Turn<'_>) -> Result<Value, Failure> {
    let Turn { script, served, .. } = turn;
    if script.fail_after_chunks.is_some() {
        return Err(script.late_failure());
    }
    let mut body = message(turn);
    body["content"] = Value::Array(blocks::all(turn));
    if !script.omit_finish_reason {
        merge(&mut body, stop(turn));
    }
    body["usage"] = usage(turn);
    if let Some(metadata) = &served.metadata {
        body["openrouter_metadata"] = metadata.clone();
    }
    add_extra(&mut body, &script.extra);
    Ok(body)
}

/// The message as it is before anything was said.
fn message(turn: &Turn<'_>) -> Value {
    let served = turn.served;
    // The description lists the names of providers and lets no other in; this is the one in it that is not real.
    let known = PROVIDERS
        .iter()
        .any(|provider| provider.name == served.provider && provider.name != "Sandbox");
    let provider = if known || turn.script.provider.is_some() {
        served.provider.as_str()
    } else {
        "FakeProvider"
    };
    let mut usage = usage(turn);
    usage["output_tokens"] = json!(0);
    usage["output_tokens_details"] = Value::Null;
    if let Some(members) = usage.as_object_mut() {
        members.retain(|name, _| !["cost", "cost_details", "is_byok"].contains(&name.as_str()));
    }
    json!({
        "id": served.id,
        "type": "message",
        "role": "assistant",
        "container": null,
        "content": [],
        "model": served.model_id,
        "provider": provider,
        "stop_reason": null,
        "stop_details": null,
        "stop_sequence": null,
        "usage": usage,
    })
}

/// Why the message ended.
fn stop(turn: &Turn<'_>) -> Value {
    let answer = turn.answer;
    let reason = match answer.finish_reason.as_str() {
        "tool_calls" => "tool_use",
        "length" => "max_tokens",
        "content_filter" => "refusal",
        _ if answer.stopped_by.is_some() => "stop_sequence",
        _ => "end_turn",
    };
    json!({"stop_reason": reason, "stop_sequence": answer.stopped_by, "stop_details": null, "container": null})
}

fn merge(value: &mut Value, members: Value) {
    if let (Value::Object(value), Value::Object(members)) = (value, members) {
        value.extend(members);
    }
}

/// The usage with the names of this form; members that chat does not know go along.
fn usage(turn: &Turn<'_>) -> Value {
    let mut rest: Map<String, Value> = turn.usage.clone();
    let mut take = |name: &str| rest.remove(name).unwrap_or_default();
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let (prompt, completion) = (count(&take("prompt_tokens")), count(&take("completion_tokens")));
    take("total_tokens");
    let (prompt_details, completion_details) = (take("prompt_tokens_details"), take("completion_tokens_details"));
    let read = count(&prompt_details["cached_tokens"]);
    let written = count(&prompt_details["cache_write_tokens"]);
    let mut value = json!({
        // What came from the cache or went into it is not counted as input here.
        "input_tokens": prompt.saturating_sub(read).saturating_sub(written),
        "output_tokens": completion,
        "output_tokens_details": {"thinking_tokens": count(&completion_details["reasoning_tokens"])},
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "cache_creation": null,
        "inference_geo": null,
        "server_tool_use": null,
        "service_tier": "standard",
    });
    add_extra(&mut value, &rest);
    value
}

/// The steps that stream the answer.
pub(crate) fn steps_from(turn: &Turn<'_>) -> Vec<Step> {
    let script = turn.script;
    let mut body = Vec::new();
    for (index, block) in blocks::all(turn).iter().enumerate() {
        tell(turn, index, block, &mut body);
    }
    let mut closing = Vec::new();
    if !script.omit_finish_reason {
        closing.push(frame(
            turn,
            json!({"type": "message_delta", "delta": stop(turn), "usage": usage(turn)}),
        ));
    }
    if !script.omit_done {
        let mut last = json!({"type": "message_stop"});
        if let Some(metadata) = &turn.served.metadata {
            last["openrouter_metadata"] = metadata.clone();
        }
        closing.push(frame(turn, last));
    }
    let frames = Frames {
        opening: vec![
            frame(turn, json!({"type": "message_start", "message": message(turn)})),
            frame(turn, json!({"type": "ping"})),
        ],
        body,
        closing,
        failing: vec![frame(turn, error_event(&script.late_failure()))],
        done: Some(DONE),
    };
    steps(script, frames)
}

fn frame(turn: &Turn<'_>, event: Value) -> Bytes {
    let kind = event["type"].as_str().map(str::to_owned);
    event_frame(kind.as_deref(), event, &turn.script.extra)
}

/// One block from its beginning to its end.
fn tell(turn: &Turn<'_>, index: usize, block: &Value, body: &mut Vec<Part>) {
    let around = |event: Value| Part::Around(frame(turn, event));
    let delta = |delta: Value| {
        let event = json!({"type": "content_block_delta", "index": index, "delta": delta});
        Part::Piece(frame(turn, event))
    };
    let text = |name: &str| block[name].as_str().unwrap_or_default();
    let cut = |name: &str| pieces(text(name), turn.script.chunk_chars);

    let mut first = block.clone();
    for (name, empty) in [
        ("text", json!("")),
        ("citations", Value::Null),
        ("thinking", json!("")),
        ("signature", json!("")),
        ("input", json!({})),
    ] {
        if first.get(name).is_some() {
            first[name] = empty;
        }
    }
    body.push(around(
        json!({"type": "content_block_start", "index": index, "content_block": first}),
    ));
    match text("type") {
        "text" => {
            body.extend(cut("text").map(|piece| delta(json!({"type": "text_delta", "text": piece}))));
            let citations = block["citations"].as_array();
            for citation in citations.into_iter().flatten() {
                body.push(delta(json!({"type": "citations_delta", "citation": citation})));
            }
        }
        "thinking" => {
            body.extend(cut("thinking").map(|piece| delta(json!({"type": "thinking_delta", "thinking": piece}))));
            if !text("signature").is_empty() {
                body.push(delta(
                    json!({"type": "signature_delta", "signature": text("signature")}),
                ));
            }
        }
        "tool_use" => {
            let call = turn.answer.calls.iter().find(|call| block["id"] == call.id.as_str());
            let arguments = call.map_or("", |call| call.arguments.as_str());
            let input = |piece| delta(json!({"type": "input_json_delta", "partial_json": piece}));
            body.extend(few_pieces(arguments, FEW, 1).map(input));
        }
        _ => {}
    }
    body.push(around(json!({"type": "content_block_stop", "index": index})));
}

/// Whether an answer has no blocks at all.
fn has_none(turn: &Turn<'_>) -> bool {
    turn.script.empty == Some(Empty::Choices)
}

/// The words of a detail, in whichever member they stand.
fn words_of(detail: &Value) -> &str {
    said_in(detail).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests;
