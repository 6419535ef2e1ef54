//! Values of other programs in the forms that a profile has.

use serde_json::{Number, Value, json};

use super::super::secret;

/// Where another program takes a text from.
pub(super) enum Reference<'a> {
    Variable(&'a str),
    File(&'a str),
}

/// A reference as other programs write it.
pub(super) fn reference(text: &str) -> Option<Reference<'_>> {
    let text = text.trim();
    let inside = |start: &str| text.strip_prefix(start)?.strip_suffix('}');
    if let Some(path) = inside("{file:") {
        return Some(Reference::File(path));
    }
    let name = text
        .strip_prefix("os.environ/")
        .or_else(|| inside("{env:"))
        .or_else(|| inside("${"))
        .or_else(|| text.strip_prefix('$'))?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(Reference::Variable(name))
}

/// The value in the kind that the schema asks for, where a text stands for a number or a word.
pub(super) fn fitting(value: Value, parts: &[&Value]) -> Value {
    let takes = |kind: &str| {
        parts.iter().any(|part| match &part["type"] {
            Value::Array(kinds) => kinds.iter().any(|known| known == kind),
            known => known == kind,
        })
    };
    let Value::String(text) = &value else {
        return value;
    };
    let read = serde_json::from_str(text.trim()).ok();
    match read {
        Some(number @ Value::Number(_)) if !takes("string") && (takes("integer") || takes("number")) => number,
        Some(word @ Value::Bool(_)) if !takes("string") && takes("boolean") => word,
        _ => value,
    }
}

/// Whether a member has a part that looks like a key.
pub(super) fn may_hold_key(name: &str, value: &Value) -> bool {
    let text = json!({name: value}).to_string();
    secret::masked_text(&text, &[], &[]) != text
}

/// A whole number where it is one.
pub(super) fn whole(number: f64) -> Value {
    let rounded = number.round();
    if (number - rounded).abs() < 1e-6 {
        return Value::from(rounded as i64);
    }
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}
