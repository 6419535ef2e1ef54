//! What every tool can do: describe itself, say whether it needs approval, and answer a call.

use std::pin::Pin;

use plugin_api::Tool as Function;
use serde_json::{Map, Value, json};

use super::definition::Approval;

/// The arguments of a call, a JSON object.
pub type Arguments = Map<String, Value>;

/// A call's result: text or JSON for the model, or what was wrong, so that it can try again.
pub type Answering<'a> = Pin<Box<dyn Future<Output = Result<String, String>> + Send + 'a>>;

/// Something that a model may call.
pub trait Tool: Send + Sync {
    /// Its name, what it does, and the JSON Schema of its arguments.
    fn function(&self) -> Function;

    /// Whether a call needs approval, if the agent does not say.
    fn approval(&self) -> Approval {
        Approval::Always
    }

    fn call<'a>(&'a self, arguments: &'a Arguments) -> Answering<'a>;
}

/// The JSON Schema of an object with these members.
pub fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// - Errors: the argument is missing, or no text.
pub fn text<'a>(arguments: &'a Arguments, name: &str) -> Result<&'a str, String> {
    let given = arguments.get(name).and_then(Value::as_str);
    given.ok_or_else(|| format!("expected the argument `{name}`, a string"))
}
