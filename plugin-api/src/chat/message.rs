//! One message of a conversation, in the form of OpenAI's protocol.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::event::ToolCall;
use super::parts::Part;
use super::reply::ChatReply;
use crate::verbatim::Verbatim;

/// One message of a conversation, in the form of OpenAI's protocol.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// A string, or an array of content parts.
    #[serde(default)]
    pub content: Value,
    /// All other fields of the message, such as `tool_calls`.
    #[serde(flatten)]
    pub others: Map<String, Value>,
    /// Fields that go back to the service exactly as they were received; see [`Done::extras`](crate::Done::extras).
    /// Only written: when a message is read, these fields are among the `others`.
    #[serde(flatten, skip_deserializing)]
    #[schemars(skip)]
    pub extras: BTreeMap<String, Verbatim>,
}

impl Message {
    /// A message whose content is a string.
    pub fn text(role: &str, text: impl Into<String>) -> Self {
        Self {
            role: role.to_owned(),
            content: Value::String(text.into()),
            others: Map::new(),
            extras: BTreeMap::new(),
        }
    }

    /// A message whose content is several parts, such as a question and a picture.
    ///
    /// ```
    /// use plugin_api::{Message, Part};
    ///
    /// let picture = Part::image("https://example.com/cat.png");
    /// let message = Message::parts("user", [Part::Text("What is this?".to_owned()), picture]);
    /// assert_eq!(message.text_content(), "What is this?");
    /// assert_eq!(message.content[1]["image_url"]["url"], "https://example.com/cat.png");
    /// ```
    ///
    /// - Since: 1.3.
    pub fn parts(role: &str, parts: impl IntoIterator<Item = Part>) -> Self {
        Self {
            content: parts.into_iter().map(Value::from).collect(),
            ..Self::text(role, "")
        }
    }

    /// The text of the content: the string, or the text parts joined. Empty if there is none.
    ///
    /// - Since: 1.3.
    pub fn text_content(&self) -> Cow<'_, str> {
        match &self.content {
            Value::String(text) => Cow::Borrowed(text),
            Value::Array(parts) => {
                let is_text = |part: &&Value| {
                    ["text", "input_text", "output_text"]
                        .iter()
                        .any(|kind| part["type"] == *kind)
                };
                parts
                    .iter()
                    .filter(is_text)
                    .filter_map(|part| part["text"].as_str())
                    .collect()
            }
            _ => Cow::default(),
        }
    }

    /// A text message from the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text("user", text)
    }

    /// The assistant's turn of the conversation, made from the model's `reply`, with its tool calls and extras.
    ///
    /// Services refuse a turn that lacks the extras they sent with it, so build assistant messages with this.
    ///
    /// - Since: 1.2.
    pub fn assistant(reply: &ChatReply) -> Self {
        let mut message = Self::text("assistant", reply.text.as_str());
        if !reply.tool_calls.is_empty() {
            if reply.text.is_empty() {
                message.content = Value::Null;
            }
            let calls = reply.tool_calls.iter().map(tool_call).collect();
            message.others.insert("tool_calls".to_owned(), calls);
        }
        message.extras.clone_from(&reply.done.extras);
        if let Some(parts) = &reply.done.content {
            message.content = serde_json::from_str(parts.get()).unwrap_or(message.content);
        }
        message
    }

    /// The result of the tool call with the id `call_id`.
    pub fn tool(call_id: impl Into<String>, result: impl Into<String>) -> Self {
        let mut message = Self::text("tool", result);
        message
            .others
            .insert("tool_call_id".to_owned(), Value::String(call_id.into()));
        message
    }
}

/// A tool call in its form on the wire, with its extras where they came from.
fn tool_call(call: &ToolCall) -> Value {
    let mut json = json!({
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    });
    for (name, extra) in &*call.extras {
        let (part, name) = match name.strip_prefix("function.") {
            Some(name) => (&mut json["function"], name),
            None => (&mut json, name.as_str()),
        };
        part[name] = serde_json::from_str(extra.get()).unwrap_or_default();
    }
    json
}
