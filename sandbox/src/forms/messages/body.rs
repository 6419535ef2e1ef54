//! Writes an answer as a whole message.

use serde_json::{Map, Value, json};

use super::blocks;
use crate::{answer::Turn, catalogue::is_real_provider, failure::Failure, forms::stream::add_extra};

/// The body of a whole reply.
///
/// - Errors: the failure in the middle of a script, since a reply of this form cannot hold one.
pub(crate) fn body_from(turn: &Turn<'_>) -> Result<Value, Failure> {
    let script = turn.script;
    if script.fail_after_chunks.is_some() {
        return Err(script.late_failure());
    }
    let mut body = message(turn);
    body["content"] = Value::Array(blocks::all(turn));
    if let (false, Value::Object(stop)) = (script.omit_finish_reason, stop(turn)) {
        stop.into_iter().for_each(|(name, value)| body[name] = value);
    }
    body["usage"] = usage(turn);
    turn.served.add_metadata(&mut body);
    add_extra(&mut body, &script.extra);
    Ok(body)
}

/// The message before any content.
pub(super) fn message(turn: &Turn<'_>) -> Value {
    let served = turn.served;
    // The API description accepts only listed names; `FakeProvider` is the one that is not real.
    let provider = if is_real_provider(&served.provider) || turn.script.provider.is_some() {
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
pub(super) fn stop(turn: &Turn<'_>) -> Value {
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

/// The usage with the member names of this form; unknown members stay.
pub(super) fn usage(turn: &Turn<'_>) -> Value {
    let mut rest: Map<String, Value> = turn.usage.clone();
    let mut take = |name: &str| rest.remove(name).unwrap_or_default();
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let (prompt, completion) = (count(&take("prompt_tokens")), count(&take("completion_tokens")));
    take("total_tokens");
    let (prompt_details, completion_details) = (take("prompt_tokens_details"), take("completion_tokens_details"));
    let read = count(&prompt_details["cached_tokens"]);
    let written = count(&prompt_details["cache_write_tokens"]);
    let mut value = json!({
        // Tokens read from the cache or written to it do not count as input here.
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
