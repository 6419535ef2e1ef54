//! Turns a request of the Messages form into one of chat.
//!
//! A tool result is a block in a user message here, and a separate message in chat.

use serde_json::{Map, Value, json};

use crate::{
    failure::Failure,
    forms::assistant_message,
    rules::{check_chat, is_server_tool, refuse_if_any, request::Chat},
};

/// Members with the same name in chat.
const SAME: [&str; 11] = words!(
    model models stream max_tokens temperature top_p top_k provider session_id user plugins
);

/// Checks the body of a request.
pub(crate) fn chat_from(body: &Map<String, Value>) -> Result<Chat, Failure> {
    let mut problems = Vec::new();
    let mut chat = Map::new();
    let mut put = |name: &str, value: Value| chat.insert(name.to_owned(), value);
    for name in SAME {
        if let Some(value) = body.get(name) {
            put(name, value.clone());
        }
    }
    let given = |name: &str| body.get(name).unwrap_or(&Value::Null);
    if !given("model").is_string() {
        problems.push("model: expected text".to_owned());
    }
    if let Value::Array(fallbacks) = given("fallbacks") {
        if body.contains_key("models") {
            problems.push("fallbacks: expected nothing beside `models`".to_owned());
        }
        let models = fallbacks.iter().map(|fallback| fallback["model"].clone());
        put("models", models.collect());
    }
    let user = &given("metadata")["user_id"];
    if user.is_string() && !body.contains_key("user") {
        put("user", user.clone());
    }
    if !given("tools").is_null() {
        put("tools", tools_from(given("tools")));
    }
    let choice = given("tool_choice");
    if !choice.is_null() {
        put("tool_choice", choice_from(choice));
    }
    if choice["disable_parallel_tool_use"] == true {
        put("parallel_tool_calls", json!(false));
    }
    let output = given("output_config");
    if output["format"].is_object() {
        let schema = json!({"name": "output", "schema": output["format"]["schema"]});
        put("response_format", json!({"type": "json_schema", "json_schema": schema}));
    }
    let mut reasoning = Map::new();
    if output["effort"].is_string() {
        reasoning.insert("effort".to_owned(), output["effort"].clone());
    }
    if given("thinking")["type"] == "disabled" {
        reasoning.insert("exclude".to_owned(), json!(true));
    }
    if !reasoning.is_empty() {
        put("reasoning", Value::Object(reasoning));
    }
    match body.get("messages") {
        Some(Value::Array(messages)) if !messages.is_empty() => {
            put("messages", Value::Array(messages_from(given("system"), messages)));
        }
        // The rules of chat report what is wrong with anything else.
        Some(other) => {
            put("messages", other.clone());
        }
        None => {}
    }
    let stop = match given("stop_sequences") {
        Value::Null => Vec::new(),
        Value::Array(stop) => stop.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => {
            problems.push("stop_sequences: expected an array of texts".to_owned());
            Vec::new()
        }
    };
    refuse_if_any(&problems)?;
    let mut chat = check_chat(&chat)?;
    // Chat allows four of them, this form any number.
    chat.stop = stop;
    Ok(chat)
}

fn tools_from(tools: &Value) -> Value {
    let Value::Array(tools) = tools else {
        return tools.clone();
    };
    let tool = |tool: &Value| {
        let kind = tool["type"].as_str().unwrap_or("custom");
        if kind == "custom" {
            let mut function = json!({"name": tool["name"], "parameters": tool["input_schema"]});
            if tool["description"].is_string() {
                function["description"] = tool["description"].clone();
            }
            return Some(json!({"type": "function", "function": function}));
        }
        // Keeps the server tools that chat has too and drops those of this form only.
        is_server_tool(kind).then(|| tool.clone())
    };
    tools.iter().filter_map(tool).collect()
}

fn choice_from(choice: &Value) -> Value {
    match choice["type"].as_str() {
        Some("any") => json!("required"),
        Some("tool") => json!({"type": "function", "function": {"name": choice["name"]}}),
        Some(word) => json!(word),
        None => choice.clone(),
    }
}

fn messages_from(system: &Value, messages: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    if system.is_string() || system.get(0).is_some() {
        all.push(json!({"role": "system", "content": system}));
    }
    for message in messages {
        match (&message["role"], &message["content"]) {
            (role, Value::Array(blocks)) if role == "assistant" => all.push(assistant(blocks)),
            (role, Value::Array(blocks)) if role == "user" => user(blocks, &mut all),
            _ => all.push(message.clone()),
        }
    }
    all
}

fn assistant(blocks: &[Value]) -> Value {
    let (mut content, mut details, mut calls) = (Vec::new(), Vec::new(), Vec::new());
    for block in blocks {
        match block["type"].as_str().unwrap_or_default() {
            "text" => content.push(json!({"type": "text", "text": block["text"]})),
            "thinking" => details.push(json!({
                "type": "reasoning.text", "text": block["thinking"], "signature": block["signature"],
                "index": details.len(),
            })),
            "redacted_thinking" => details.push(json!({
                "type": "reasoning.encrypted", "data": block["data"], "index": details.len(),
            })),
            "tool_use" => calls.push(json!({
                "id": block["id"],
                "type": "function",
                "function": {"name": block["name"], "arguments": block["input"].to_string()},
            })),
            _ => {}
        }
    }
    let content = (!content.is_empty()).then_some(Value::Array(content));
    assistant_message(content, details, calls)
}

/// The tool results, then the other parts of the user message.
fn user(blocks: &[Value], all: &mut Vec<Value>) {
    let is_result = |block: &&Value| block["type"] == "tool_result";
    for block in blocks.iter().filter(is_result) {
        let content = match &block["content"] {
            Value::Array(parts) => parts.iter().filter_map(part_from).collect(),
            Value::Null => json!(""),
            other => other.clone(),
        };
        all.push(json!({"role": "tool", "tool_call_id": block["tool_use_id"], "content": content}));
    }
    let parts: Vec<Value> = blocks
        .iter()
        .filter(|block| !is_result(block))
        .filter_map(part_from)
        .collect();
    if !parts.is_empty() {
        all.push(json!({"role": "user", "content": parts}));
    }
}

/// The part of chat for a block; `None` for blocks that chat lacks.
fn part_from(block: &Value) -> Option<Value> {
    let source = &block["source"];
    let url = match source["type"].as_str() {
        Some("base64") => {
            let text = |name: &str| source[name].as_str().unwrap_or_default();
            json!(format!("data:{};base64,{}", text("media_type"), text("data")))
        }
        _ => source["url"].clone(),
    };
    match block["type"].as_str()? {
        "text" => Some(json!({"type": "text", "text": block["text"]})),
        "image" => Some(json!({"type": "image_url", "image_url": {"url": url}})),
        "document" if url.is_string() => Some(json!({"type": "file", "file": {"file_data": url}})),
        "document" => Some(json!({"type": "text", "text": source["data"].as_str().unwrap_or_default()})),
        _ => None,
    }
}
