//! Finds the error that a chunk reports, in the forms of services and of gateways before them. Pure.

use serde_json::{Value, json};

use crate::answer::chunk::Chunk;
use crate::answer::json::{self, Raw};

/// Whether the value of `error` reports one; some services send an empty one with every chunk.
pub fn is_error(error: &Value) -> bool {
    let is_empty = |value: &Value| {
        value.is_null() || value == "" || value == false || value == 0 || value.as_array().is_some_and(Vec::is_empty)
    };
    match error {
        Value::Object(members) => !members.values().all(is_empty),
        other => !is_empty(other),
    }
}

/// The error in a chunk that has neither choices nor `error`, in the forms of gateways and other services.
pub fn failure_of(json: &str, chunk: &Chunk<'_>) -> Value {
    let is_error = |member: Raw<'_>| member == "\"error\"";
    if is_error(chunk.object) || is_error(chunk.kind) {
        return json::value(json);
    }
    if !chunk.detail.is_empty() {
        return json!({"message": json::value(chunk.detail)});
    }
    json::value(chunk.errors)
        .get_mut(0)
        .map(Value::take)
        .unwrap_or_default()
}
