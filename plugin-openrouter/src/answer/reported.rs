//! Finds the error that a chunk reports, in the forms of services and of gateways before them. Pure.

use serde_json::Value;

use crate::answer::chunk::Chunk;
use crate::answer::json::{self, Place, Raw};
use crate::failure;

/// What a chunk says about an error.
pub enum Failure {
    None,
    /// Words in a place where answers have none. They are the error only if no answer follows.
    Perhaps(Value),
    Reported(Value),
}

/// Reads what a chunk reports.
///
/// - In: the chunk as it was written; its members named `error`, the most telling first.
pub fn failure_of(json: &str, chunk: &Chunk<'_>, errors: &[Raw<'_>]) -> Failure {
    for error in errors.iter().filter(|error| !error.is_empty()) {
        let error = json::value(error);
        // An error that is too large to be read is still an error.
        if error.is_null() || is_error(&error) {
            return Failure::Reported(error);
        }
    }
    if !chunk.base_resp.is_empty() {
        let status = json::value(chunk.base_resp);
        if failure::has_failed(&status) {
            return Failure::Reported(status);
        }
    }
    let of_an_answer = [chunk.usage, chunk.x_groq, chunk.openrouter_metadata];
    if !matches!(chunk.choices, Place::Nothing) || of_an_answer.iter().any(|member| !member.is_empty()) {
        return Failure::None;
    }
    let is_error = |member: Raw<'_>| member == "\"error\"";
    let whole = json::value(json);
    let names_an_error = ["detail", "errors"].iter().any(|name| failure::has_words(&whole[name]));
    let has_words = names_an_error || failure::has_words(&whole);
    if is_error(chunk.object) || is_error(chunk.kind) || names_an_error || has_words && failure::has_failed(&whole) {
        Failure::Reported(whole)
    } else if has_words {
        Failure::Perhaps(whole)
    } else {
        Failure::None
    }
}

/// Whether the value of `error` reports one; some services send an empty one with every chunk.
fn is_error(error: &Value) -> bool {
    let is_empty = |value: &Value| {
        value.is_null() || value == "" || value == false || value == 0 || value.as_array().is_some_and(Vec::is_empty)
    };
    match error {
        Value::Object(members) => !members.values().all(is_empty),
        other => !is_empty(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_empty_error_in_any_form_is_none() {
        let empty = json!([null, "", false, 0, [], {}, {"code": 0, "message": ""}, {"code": null, "metadata": []}]);
        let full = json!(["no", true, 1, ["no"], {"code": 1}, {"code": 0, "message": "no"}, {"metadata": {}}]);
        for (errors, expected) in [(empty, false), (full, true)] {
            for error in errors.as_array().expect("a list") {
                assert_eq!(is_error(error), expected, "{error}");
            }
        }
    }
}
