//! Writes an answer as a whole response, and as the responses inside the events of a stream.

use serde_json::{Value, json};

use super::items;
use crate::{answer::Turn, catalogue::CREATED_S, failure::Failure, forms::stream::add_extra};

/// Members that a reply repeats from the request; null if absent there.
const REPEATED: [&str; 10] = words!(
    temperature top_p presence_penalty frequency_penalty instructions metadata max_output_tokens max_tool_calls
    prompt_cache_key user
);
/// The values that `error_type` of a reply may have.
const ERROR_TYPES: [&str; 27] = words!(
    context_length_exceeded max_tokens_exceeded token_limit_exceeded string_too_long authentication
    permission_denied payment_required rate_limit_exceeded provider_overloaded provider_unavailable invalid_request
    invalid_prompt not_found precondition_failed payload_too_large unprocessable content_policy_violation refusal
    invalid_image image_too_large image_too_small unsupported_image_format image_not_found image_download_failed
    server timeout unmapped
);

/// The body of a whole reply.
pub(crate) fn body_from(turn: &Turn<'_>) -> Value {
    let mut body = match turn.script.fail_after_chunks {
        Some(_) => failed(turn),
        None => finished(turn),
    };
    add_extra(&mut body, &turn.script.extra);
    body
}

/// The reply after the whole answer.
pub(super) fn finished(turn: &Turn<'_>) -> Value {
    let (status, incomplete) = items::ending(&turn.answer.finish_reason);
    let mut value = begun(turn);
    value["status"] = json!(status);
    if turn.script.omit_finish_reason {
        value["status"] = json!("in_progress");
    } else {
        value["completed_at"] = json!(CREATED_S);
    }
    value["incomplete_details"] = incomplete;
    value["output"] = Value::Array(items::all(turn));
    value["usage"] = usage(turn);
    if status == "failed" {
        value["error"] = json!({"code": "server_error", "message": "The provider ended the answer with an error"});
    }
    turn.served.add_metadata(&mut value);
    value
}

/// The reply after a failure in the middle.
pub(super) fn failed(turn: &Turn<'_>) -> Value {
    let failure = turn.script.late_failure();
    let mut value = begun(turn);
    value["status"] = json!("failed");
    value["error"] = error(&failure);
    let error_type = failure.error_object()["metadata"]["error_type"].clone();
    if ERROR_TYPES.iter().any(|known| error_type == *known) {
        value["error_type"] = error_type;
    }
    value
}

/// The reply before any output.
pub(super) fn begun(turn: &Turn<'_>) -> Value {
    let Turn { asked, served, .. } = turn;
    let mut value = json!({
        "id": served.id,
        "object": "response",
        "created_at": CREATED_S,
        "completed_at": null,
        "model": served.model_id,
        "status": "in_progress",
        "output": [],
        "error": null,
        "incomplete_details": null,
        "tools": functions(turn),
        "tool_choice": asked.get("tool_choice").cloned().unwrap_or(json!("auto")),
        "parallel_tool_calls": asked.get("parallel_tool_calls").and_then(Value::as_bool).unwrap_or(true),
        "text": asked.get("text").cloned().unwrap_or(json!({"format": {"type": "text"}})),
        "truncation": "disabled",
        "store": false,
        "background": false,
    });
    for name in REPEATED {
        value[name] = asked.get(name).cloned().unwrap_or_default();
    }
    value
}

/// The functions of the request, as a reply repeats them.
fn functions(turn: &Turn<'_>) -> Vec<Value> {
    let tools = turn.asked.get("tools").and_then(Value::as_array);
    let functions = tools.into_iter().flatten().filter(|tool| tool["type"] == "function");
    functions
        .map(|tool| {
            let mut tool = tool.clone();
            if let Value::Object(members) = &mut tool {
                members.entry("parameters").or_insert(Value::Null);
                members.entry("strict").or_insert(Value::Null);
            }
            tool
        })
        .collect()
}

/// `error` of a failed reply.
pub(super) fn error(failure: &Failure) -> Value {
    let code = match failure.status {
        429 => "rate_limit_exceeded",
        400 => "invalid_prompt",
        _ => "server_error",
    };
    json!({"code": code, "message": failure.error_object()["message"]})
}

/// The usage with the member names of this form; unknown members stay.
fn usage(turn: &Turn<'_>) -> Value {
    let mut rest = turn.usage.clone();
    let mut take = |name: &str| rest.remove(name).unwrap_or_default();
    let (input, output, total) = (take("prompt_tokens"), take("completion_tokens"), take("total_tokens"));
    let (prompt, completion) = (take("prompt_tokens_details"), take("completion_tokens_details"));
    let costs = take("cost_details");
    let count = |value: &Value| value.as_u64().unwrap_or(0);
    let mut value = json!({
        "input_tokens": input,
        "input_tokens_details": {
            "cached_tokens": count(&prompt["cached_tokens"]),
            "cache_write_tokens": count(&prompt["cache_write_tokens"]),
        },
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": count(&completion["reasoning_tokens"])},
        "total_tokens": total,
    });
    if costs.is_object() {
        value["cost_details"] = json!({
            "upstream_inference_cost": costs["upstream_inference_cost"],
            "upstream_inference_input_cost": costs["upstream_inference_prompt_cost"].as_f64().unwrap_or(0.0),
            "upstream_inference_output_cost": costs["upstream_inference_completions_cost"].as_f64().unwrap_or(0.0),
        });
    }
    add_extra(&mut value, &rest);
    value
}
