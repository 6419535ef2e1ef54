//! The items of an answer: reasoning, a message, images, function calls.
//!
//! This form has no audio, so it is dropped.

use serde_json::{Value, json};

use crate::{
    answer::{Call, Turn, reasoning::said_in},
    script::Empty,
};

/// The output of a complete answer.
pub(super) fn all(turn: &Turn<'_>) -> Vec<Value> {
    let Turn { script, answer, .. } = turn;
    if script.empty == Some(Empty::Choices) {
        return Vec::new();
    }
    let mut items: Vec<Value> = reasoning(turn).into_iter().collect();
    // Always a message, unless the answer is only calls.
    if answer.calls.is_empty() || !answer.text.is_empty() {
        items.push(message(turn));
    }
    items.extend((0..).zip(&answer.images).map(|(n, image)| image_item(turn, n, image)));
    items.extend((0..).zip(&answer.calls).map(|(n, call)| function_call(turn, n, call)));
    items
}

/// How an answer ended: `status` and `incomplete_details`.
pub(super) fn ending(finish_reason: &str) -> (&'static str, Value) {
    match finish_reason {
        "length" => ("incomplete", json!({"reason": "max_output_tokens"})),
        "content_filter" => ("incomplete", json!({"reason": "content_filter"})),
        "error" => ("failed", Value::Null),
        _ => ("completed", Value::Null),
    }
}

fn status(turn: &Turn<'_>) -> &'static str {
    match ending(&turn.answer.finish_reason).0 {
        "incomplete" => "incomplete",
        _ => "completed",
    }
}

/// The id of an item: its kind, the number of the reply, its index.
fn id(turn: &Turn<'_>, kind: &str, n: usize) -> String {
    let number = turn.served.id.trim_start_matches("gen-");
    format!("{kind}_{number}_{n}")
}

/// All details as one item: summaries, texts with the last signature, encrypted data.
fn reasoning(turn: &Turn<'_>) -> Option<Value> {
    let details = &turn.answer.details;
    let first = details.first()?;
    let own_id = details.iter().find_map(|detail| detail["id"].as_str());
    let mut item = json!({
        "type": "reasoning",
        "id": own_id.map_or_else(|| id(turn, "rs", 0), str::to_owned),
        "status": "completed",
        "summary": parts(details, "summary"),
        "content": parts(details, "text"),
        "format": first.get("format").cloned().unwrap_or(json!("unknown")),
    });
    for (from, to) in [("signature", "signature"), ("data", "encrypted_content")] {
        if let Some(found) = details.iter().rev().find_map(|detail| detail[from].as_str()) {
            item[to] = json!(found);
        }
    }
    Some(item)
}

/// The parts of a reasoning item, from `member` of the details.
fn parts(details: &[Value], member: &str) -> Vec<Value> {
    let kind = if member == "summary" {
        "summary_text"
    } else {
        "reasoning_text"
    };
    let said = details.iter().filter_map(said_in).filter(|(found, _)| *found == member);
    said.map(|(_, text)| json!({"type": kind, "text": text})).collect()
}

fn message(turn: &Turn<'_>) -> Value {
    let answer = turn.answer;
    let annotations: Vec<Value> = answer.annotations.iter().map(annotation).collect();
    let part = json!({"type": "output_text", "text": answer.text, "annotations": annotations, "logprobs": []});
    let content = Some(part).filter(|_| turn.script.empty.is_none());
    json!({
        "type": "message",
        "id": id(turn, "msg", 0),
        "role": "assistant",
        "status": status(turn),
        "content": Vec::from_iter(content),
    })
}

/// An annotation of chat with its inner members moved up.
pub(super) fn annotation(annotation: &Value) -> Value {
    let Some(cited) = annotation["url_citation"].as_object() else {
        return annotation.clone();
    };
    let mut value = json!({"type": "url_citation", "url": "", "title": "", "start_index": 0, "end_index": 0});
    for (name, fact) in cited {
        value[name] = fact.clone();
    }
    value
}

/// An image: the base64 of its data URL, or the URL.
fn image_item(turn: &Turn<'_>, n: usize, image: &Value) -> Value {
    let url = image["image_url"]["url"].as_str().unwrap_or_default();
    let data = url.split_once(";base64,").map_or(url, |(_, data)| data);
    json!({"type": "image_generation_call", "id": id(turn, "ig", n), "status": "completed", "result": data})
}

fn function_call(turn: &Turn<'_>, n: usize, call: &Call) -> Value {
    json!({
        "type": "function_call",
        "id": id(turn, "fc", n),
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    })
}
