//! The blocks that an answer consists of: thinking, text, calls of tools.

use serde_json::{Value, json};

use super::{has_none, words_of};
use crate::answer::{Call, Turn};

/// The content of the whole answer.
pub(super) fn all(turn: &Turn<'_>) -> Vec<Value> {
    let answer = turn.answer;
    if has_none(turn) {
        return Vec::new();
    }
    let mut blocks: Vec<Value> = answer.details.iter().map(thinking).collect();
    if answer.calls.is_empty() || !answer.text.is_empty() {
        let citations: Vec<Value> = answer.annotations.iter().filter_map(citation).collect();
        let citations = if citations.is_empty() {
            Value::Null
        } else {
            Value::Array(citations)
        };
        blocks.push(json!({"type": "text", "text": answer.text, "citations": citations}));
    }
    blocks.extend(answer.calls.iter().map(tool_use));
    blocks
}

fn thinking(detail: &Value) -> Value {
    if detail["type"] == "reasoning.encrypted" {
        return json!({"type": "redacted_thinking", "data": detail["data"]});
    }
    let signature = detail["signature"].as_str().unwrap_or_default();
    json!({"type": "thinking", "thinking": words_of(detail), "signature": signature})
}

/// Arguments that are no JSON are passed on as the text that they are.
fn tool_use(call: &Call) -> Value {
    let input = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input, "caller": {"type": "direct"}})
}

/// What cites an address; other annotations have no word in this form.
fn citation(annotation: &Value) -> Option<Value> {
    let cited = annotation["url_citation"].as_object()?;
    let text = |name: &str| cited.get(name).and_then(Value::as_str).unwrap_or_default();
    Some(json!({
        "type": "web_search_result_location",
        "cited_text": text("content"),
        "encrypted_index": "",
        "title": cited.get("title"),
        "url": text("url"),
    }))
}
