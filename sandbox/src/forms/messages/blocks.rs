//! The blocks of an answer: thinking, text, tool calls.

use serde_json::{Value, json};

use crate::{
    answer::{Call, Turn, reasoning::said_in},
    script::Empty,
};

/// The content of the whole answer.
pub(super) fn all(turn: &Turn<'_>) -> Vec<Value> {
    let answer = turn.answer;
    if turn.script.empty == Some(Empty::Choices) {
        return Vec::new();
    }
    let mut blocks: Vec<Value> = answer.details.iter().map(thinking).collect();
    if answer.calls.is_empty() || !answer.text.is_empty() {
        let citations: Vec<Value> = answer.annotations.iter().filter_map(citation).collect();
        let citations = Some(citations).filter(|citations| !citations.is_empty());
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
    json!({"type": "thinking", "thinking": said_in(detail).map_or("", |(_, text)| text), "signature": signature})
}

/// Arguments that are not JSON stay text.
fn tool_use(call: &Call) -> Value {
    let input = serde_json::from_str(&call.arguments).unwrap_or_else(|_| json!(call.arguments));
    json!({"type": "tool_use", "id": call.id, "name": call.name, "input": input, "caller": {"type": "direct"}})
}

/// A citation of a URL; this form has no other annotations.
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
