//! Writes an answer as the whole reply of chat.

use serde_json::{Value, json};

use crate::{
    answer::{Answer, Call, Turn, text_before_failure},
    catalogue::CREATED_S,
    forms::stream::add_extra,
    script::{Empty, Script},
};

/// The body of a reply that is not streamed.
pub(crate) fn body_from(turn: &Turn<'_>) -> Value {
    let Turn {
        script, answer, served, ..
    } = turn;
    let mut message = json!({"role": "assistant", "content": content(script, answer), "refusal": null});
    if !answer.details.is_empty() {
        message["reasoning"] = json!(answer.reasoning);
        message["reasoning_details"] = json!(answer.details);
    }
    if !answer.images.is_empty() {
        message["images"] = json!(answer.images);
    }
    if let Some(audio) = &answer.audio {
        message["audio"] = json!(audio);
    }
    if !answer.annotations.is_empty() {
        message["annotations"] = json!(answer.annotations);
    }
    if !answer.calls.is_empty() {
        let function = |call: &Call| json!({"name": call.name, "arguments": call.arguments});
        let calls = answer.calls.iter().enumerate();
        message["tool_calls"] = calls
            .map(|(n, call)| json!({"id": call.id, "index": n, "type": "function", "function": function(call)}))
            .collect();
    }
    let finish_reason = Some(&answer.finish_reason).filter(|_| !script.omit_finish_reason);
    let choice = json!({
        "index": 0,
        "message": message,
        "finish_reason": finish_reason,
        "native_finish_reason": answer.native_finish_reason,
        "logprobs": null,
    });
    let mut body = json!({
        "id": served.id,
        "provider": served.provider,
        "model": served.model_id,
        "object": "chat.completion",
        "created": CREATED_S,
        "choices": choices(script, choice),
        "system_fingerprint": null,
        "usage": turn.usage,
    });
    served.add_metadata(&mut body);
    add_extra(&mut body, &script.extra);
    body
}

/// `choices` of a whole reply; a failure in the middle ends the only one.
pub(in crate::forms) fn choices(script: &Script, mut choice: Value) -> Value {
    if script.empty == Some(Empty::Choices) {
        return json!([]);
    }
    if script.fail_after_chunks.is_some() {
        choice["finish_reason"] = json!("error");
        choice["error"] = script.late_failure().error_object();
    }
    json!([choice])
}

fn content(script: &Script, answer: &Answer) -> Value {
    if script.empty.is_some() || !answer.calls.is_empty() {
        return Value::Null;
    }
    json!(text_before_failure(script, answer))
}
