//! Turns a request of the Responses form into one of chat.
//!
//! Adjacent reasoning, text and tool calls of the assistant become one message. Items that chat lacks are ignored, as
//! a model would not see them either.

use serde_json::{Map, Value, json};

use crate::{
    failure::Failure,
    forms::assistant_message,
    rules::{check_chat, is_server_tool, refuse_if_any, request::Chat},
};

/// Members with the same name in chat. This form allows null, which counts as absent.
const SAME: [&str; 17] = words!(
    model models stream temperature top_p top_k top_logprobs frequency_penalty presence_penalty provider session_id
    user metadata service_tier parallel_tool_calls plugins reasoning
);
const ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

/// Checks the body of a request.
pub(crate) fn chat_from(body: &Map<String, Value>) -> Result<Chat, Failure> {
    let mut problems = Vec::new();
    let mut chat = Map::new();
    let mut put = |name: &str, value: Value| chat.insert(name.to_owned(), value);
    let given = |name: &str| body.get(name).filter(|value| !value.is_null()).cloned();
    for name in SAME {
        if let Some(value) = given(name) {
            put(name, value);
        }
    }
    if body.get("store").is_some_and(|store| store != &json!(false)) {
        problems.push("store: expected false, nothing is kept".to_owned());
    }
    if given("previous_response_id").is_some() {
        problems.push("previous_response_id: nothing is kept, send the whole conversation as `input`".to_owned());
    }
    if let Some(most) = given("max_output_tokens") {
        put("max_tokens", most);
    }
    if let Some(Value::Object(format)) = given("text").and_then(|text| text.get("format").cloned()) {
        put("response_format", format_from(format));
    }
    if let Some(tools) = given("tools") {
        put("tools", tools_from(&tools));
    }
    if let Some(choice) = given("tool_choice") {
        put("tool_choice", choice_from(choice));
    }
    put("messages", Value::Array(messages_from(body, &mut problems)));
    refuse_if_any(&problems)?;
    check_chat(&chat)
}

fn format_from(mut format: Map<String, Value>) -> Value {
    if format.get("type").is_none_or(|kind| kind != "json_schema") {
        return Value::Object(format);
    }
    format.remove("type");
    json!({"type": "json_schema", "json_schema": format})
}

fn tools_from(tools: &Value) -> Value {
    let Value::Array(tools) = tools else {
        return tools.clone();
    };
    let tool = |tool: &Value| {
        let kind = tool["type"].as_str().unwrap_or_default();
        if kind != "function" {
            // Keeps the server tools that chat has too and drops those of this form only.
            return is_server_tool(kind).then(|| tool.clone());
        }
        let mut function = tool.clone();
        if let Value::Object(members) = &mut function {
            members.retain(|name, value| name != "type" && !value.is_null());
        }
        Some(json!({"type": "function", "function": function}))
    };
    tools.iter().filter_map(tool).collect()
}

fn choice_from(choice: Value) -> Value {
    match choice["type"].as_str() {
        Some("function") => json!({"type": "function", "function": {"name": choice["name"]}}),
        _ => choice,
    }
}

fn messages_from(body: &Map<String, Value>, problems: &mut Vec<String>) -> Vec<Value> {
    let mut messages = Vec::new();
    if let Some(text) = body.get("instructions").and_then(Value::as_str) {
        messages.push(json!({"role": "system", "content": text}));
    }
    let items = match body.get("input") {
        Some(Value::String(text)) => {
            messages.push(json!({"role": "user", "content": text}));
            return messages;
        }
        Some(Value::Array(items)) if !items.is_empty() => items,
        _ => {
            problems.push("input: expected text, or an array with at least one item".to_owned());
            return messages;
        }
    };

    // What the assistant said that is not yet a message.
    let mut spoken = Spoken::default();
    for (at, item) in items.iter().enumerate() {
        if !item.is_object() {
            problems.push(format!("input[{at}]: expected an object"));
            continue;
        }
        match item["type"].as_str().unwrap_or("message") {
            "message" => {
                let Some(role) = item["role"].as_str().filter(|role| ROLES.contains(role)) else {
                    problems.push(format!("input[{at}].role: expected one of {}", ROLES.join(", ")));
                    continue;
                };
                let content = content_from(&item["content"]);
                if role == "assistant" {
                    spoken.say(content, &mut messages);
                } else {
                    spoken.end(&mut messages);
                    messages.push(json!({"role": role, "content": content}));
                }
            }
            "reasoning" => spoken.details.extend(details_from(item)),
            "function_call" => spoken.calls.push(json!({
                "id": item["call_id"],
                "type": "function",
                "function": {"name": item["name"], "arguments": item["arguments"]},
            })),
            "function_call_output" => {
                spoken.end(&mut messages);
                let content = content_from(&item["output"]);
                messages.push(json!({"role": "tool", "tool_call_id": item["call_id"], "content": content}));
            }
            _ => {}
        }
    }
    spoken.end(&mut messages);
    messages
}

/// An assistant message in the making.
#[derive(Default)]
struct Spoken {
    content: Option<Value>,
    details: Vec<Value>,
    calls: Vec<Value>,
}

impl Spoken {
    fn say(&mut self, content: Value, messages: &mut Vec<Value>) {
        if self.content.is_some() || !self.calls.is_empty() {
            self.end(messages);
        }
        self.content = Some(content);
    }

    fn end(&mut self, messages: &mut Vec<Value>) {
        let Self {
            content,
            details,
            calls,
        } = std::mem::take(self);
        if content.is_none() && details.is_empty() && calls.is_empty() {
            return;
        }
        messages.push(assistant_message(content, details, calls));
    }
}

/// The details that [`super::items`] made the item from.
fn details_from(item: &Value) -> Vec<Value> {
    let texts = |name: &str| {
        let parts = item[name].as_array().into_iter().flatten();
        parts.filter_map(|part| part["text"].as_str())
    };
    let summaries = texts("summary").map(|text| json!({"type": "reasoning.summary", "summary": text}));
    let said = texts("content").map(|text| json!({"type": "reasoning.text", "text": text}));
    let mut details: Vec<Value> = summaries.chain(said).collect();
    if let Some(signature) = item["signature"].as_str()
        && let Some(last) = details.last_mut().filter(|last| last["type"] == "reasoning.text")
    {
        last["signature"] = json!(signature);
    }
    if let Some(sealed) = item["encrypted_content"].as_str() {
        details.push(json!({"type": "reasoning.encrypted", "data": sealed}));
    }
    for (index, detail) in details.iter_mut().enumerate() {
        detail["index"] = json!(index);
    }
    details
}

fn content_from(content: &Value) -> Value {
    match content {
        Value::Array(parts) => parts.iter().map(part_from).collect(),
        Value::Null => json!(""),
        other => other.clone(),
    }
}

fn part_from(part: &Value) -> Value {
    match part["type"].as_str().unwrap_or_default() {
        "input_text" | "output_text" => json!({"type": "text", "text": part["text"]}),
        "refusal" => json!({"type": "text", "text": part["refusal"]}),
        "input_image" => {
            json!({"type": "image_url", "image_url": {"url": part["image_url"], "detail": part["detail"]}})
        }
        "input_video" => json!({"type": "video_url", "video_url": {"url": part["video_url"]}}),
        "input_file" => {
            let place = ["file_data", "file_url", "file_id"]
                .iter()
                .find_map(|name| part[name].as_str());
            json!({"type": "file", "file": {"file_data": place, "filename": part["filename"]}})
        }
        _ => part.clone(),
    }
}
