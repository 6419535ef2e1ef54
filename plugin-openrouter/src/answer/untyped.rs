//! Parts of frames whose shape is not known, as JSON values.

use serde_json::Value;

/// The largest frame, or part of one, that is read without knowing its shape, in bytes: that takes up to seventy times as much
/// memory.
pub const MAX_LOOSE_BYTES: usize = 512 << 10;

/// A part of a frame whose shape is not known; nothing where it is too large to be looked at.
pub fn loose(json: &str) -> Value {
    if json.len() > MAX_LOOSE_BYTES {
        return Value::Null;
    }
    serde_json::from_str(json).unwrap_or_default()
}

/// The texts of reasoning that came in parts; encrypted ones have none.
pub fn texts_of_details(details: &Value) -> Vec<&str> {
    let parts = details.as_array().into_iter().flatten();
    parts
        .filter_map(|part| part["text"].as_str().or(part["summary"].as_str()))
        .collect()
}

/// The texts in a content that may be a text, or an array of parts.
pub fn loose_text(content: &Value) -> Vec<&str> {
    match content {
        Value::String(text) if !text.is_empty() => vec![text],
        Value::Array(parts) => parts.iter().filter_map(|part| part["text"].as_str()).collect(),
        _ => Vec::new(),
    }
}
