//! The items that an answer consists of: reasoning, a message, images, calls of functions.
//!
//! Audio has no place in this form, so it is left out.

use serde_json::{Value, json};

use crate::{
    answer::reasoning::said_in,
    answer::{Call, Turn},
    script::Empty,
};

/// The output of an answer that was given to its end.
pub(super) fn all(turn: &Turn<'_>) -> Vec<Value> {
    let Turn { script, answer, .. } = turn;
    if script.empty == Some(Empty::Choices) {
        return Vec::new();
    }
    let mut items: Vec<Value> = reasoning(turn).into_iter().collect();
    items.extend(has_message(turn).then(|| message(turn)));
    items.extend((0..answer.images.len()).map(|n| image(turn, n)));
    items.extend(
        answer
            .calls
            .iter()
            .enumerate()
            .map(|(n, call)| function_call(turn, n, call)),
    );
    items
}

/// Whether there is a message: always, unless the answer is calls alone.
pub(super) fn has_message(turn: &Turn<'_>) -> bool {
    turn.answer.calls.is_empty() || !turn.answer.text.is_empty()
}

fn status(turn: &Turn<'_>) -> &'static str {
    match super::ending(&turn.answer.finish_reason).0 {
        "incomplete" => "incomplete",
        _ => "completed",
    }
}

/// The id of an item: what it is, the number of the reply, its place.
pub(super) fn id(turn: &Turn<'_>, kind: &str, n: usize) -> String {
    let number = turn.served.id.trim_start_matches("gen-");
    format!("{kind}_{number}_{n}")
}

/// All details as one item: summaries, texts with the last signature, what is encrypted.
pub(super) fn reasoning(turn: &Turn<'_>) -> Option<Value> {
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

/// The parts of a reasoning item whose words stand in `member` of the details.
pub(super) fn parts(details: &[Value], member: &str) -> Vec<Value> {
    let kind = if member == "summary" {
        "summary_text"
    } else {
        "reasoning_text"
    };
    let said = details.iter().filter_map(said_in).filter(|(found, _)| *found == member);
    said.map(|(_, text)| json!({"type": kind, "text": text})).collect()
}

pub(super) fn message(turn: &Turn<'_>) -> Value {
    let answer = turn.answer;
    let annotations: Vec<Value> = answer.annotations.iter().map(annotation).collect();
    let part = json!({"type": "output_text", "text": answer.text, "annotations": annotations, "logprobs": []});
    let content = if turn.script.empty.is_some() {
        json!([])
    } else {
        json!([part])
    };
    json!({
        "type": "message",
        "id": id(turn, "msg", 0),
        "role": "assistant",
        "status": status(turn),
        "content": content,
    })
}

/// An annotation of chat, whose facts are members of its own here.
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

/// An image: the base64 of its data URL, or the URL itself.
pub(super) fn image(turn: &Turn<'_>, n: usize) -> Value {
    let url = turn.answer.images[n]["image_url"]["url"].as_str().unwrap_or_default();
    let data = url.split_once(";base64,").map_or(url, |(_, data)| data);
    json!({"type": "image_generation_call", "id": id(turn, "ig", n), "status": "completed", "result": data})
}

pub(super) fn function_call(turn: &Turn<'_>, n: usize, call: &Call) -> Value {
    json!({
        "type": "function_call",
        "id": id(turn, "fc", n),
        "call_id": call.id,
        "name": call.name,
        "arguments": call.arguments,
        "status": "completed",
    })
}
