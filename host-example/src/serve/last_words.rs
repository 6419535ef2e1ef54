//! The last event of a stream that broke off without the service saying so. Pure.

use plugin_api::Error;
use serde_json::{Value, json};

use super::error_object::{anthropic, error_object};
use super::route::Dialect;
use crate::terminal::time::now_s;

/// An error event in the form of the dialect.
///
/// - In: the id of the answer; `last_number`, the number of the last event, in a form that counts them.
pub fn last_words(error: &Error, dialect: Dialect, id: &str, last_number: Option<u64>) -> String {
    let object = services_object(error).unwrap_or_else(|| error_object(error));
    match dialect {
        Dialect::Responses => {
            let event = json!({
                "type": "error",
                "code": object["type"],
                "message": error.message,
                "param": null,
                "sequence_number": last_number.map_or(0, |last| last.saturating_add(1)),
                "error": object,
            });
            format!("event: error\ndata: {event}\n\n")
        }
        Dialect::Messages => {
            let event = anthropic(&error_object(error));
            format!("event: error\ndata: {event}\n\n")
        }
        Dialect::Chat | Dialect::Completions | Dialect::Other => {
            let (kind, choice) = if dialect == Dialect::Completions {
                (
                    "text_completion",
                    json!({"index": 0, "text": "", "finish_reason": "error"}),
                )
            } else {
                (
                    "chat.completion.chunk",
                    json!({"index": 0, "delta": {}, "finish_reason": "error"}),
                )
            };
            let event = json!({
                "id": id,
                "object": kind,
                "created": now_s(),
                "model": error.details.model.as_deref().unwrap_or_default(),
                "choices": [choice],
                "error": object,
            });
            format!("data: {event}\n\n")
        }
    }
}

/// The service's own error object, if its answer was an error.
fn services_object(error: &Error) -> Option<Value> {
    let answer = error.details.answer.as_ref()?;
    let mut body: Value = serde_json::from_str(&answer.body).ok()?;
    Some(body["error"].take()).filter(Value::is_object)
}
