//! Reads parts of frames of unknown shape as JSON values. Pure.

use serde_json::Value;

/// Largest frame, or part of one, that is read as a JSON value, in bytes. The value takes up to 70 times the memory.
pub const MAX_LOOSE_BYTES: usize = 512 << 10;

/// Reads a part of a frame; `null` if it is too large or not JSON.
pub fn loose(json: &str) -> Value {
    if json.len() > MAX_LOOSE_BYTES {
        return Value::Null;
    }
    serde_json::from_str(json).unwrap_or_default()
}

/// The texts of reasoning in parts; encrypted parts have none.
pub fn texts_of_details(details: &Value) -> Vec<&str> {
    let parts = details.as_array().into_iter().flatten();
    parts
        .filter_map(|part| part["text"].as_str().or(part["summary"].as_str()))
        .collect()
}

/// The texts of a content that is a string or an array of parts.
pub fn loose_text(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) if !text.is_empty() => vec![text],
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}
