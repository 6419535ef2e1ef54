//! One message of a conversation.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::event::ToolCall;
use super::reply::ChatReply;
use crate::verbatim::Verbatim;

/// One message of a conversation, in the form of OpenAI's protocol.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Message {
    /// `system`, `developer`, `user`, `assistant` or `tool`.
    pub role: String,
    /// Text, or an array of parts.
    #[serde(default)]
    pub content: Value,
    /// Whatever else the message has, such as `tool_calls`.
    #[serde(flatten)]
    pub others: Map<String, Value>,
    /// What is sent back exactly as it was received, such as `reasoning_details`; see `Done::extras`. A message that is read has
    /// it among the `others`.
    #[serde(flatten, skip_deserializing)]
    #[schemars(skip)]
    pub extras: BTreeMap<String, Verbatim>,
}

impl Message {
    /// A message of text.
    pub fn text(role: &str, text: impl Into<String>) -> Self {
        Self {
            role: role.to_owned(),
            content: Value::String(text.into()),
            others: Map::new(),
            extras: BTreeMap::new(),
        }
    }

    /// The assistant's turn that `reply` is, complete: services refuse a turn that lacks what they sent with it.
    pub fn assistant(reply: &ChatReply) -> Self {
        let mut message = Self::text("assistant", reply.text.as_str());
        if !reply.tool_calls.is_empty() {
            if reply.text.is_empty() {
                message.content = Value::Null;
            }
            let call = |call: &ToolCall| {
                serde_json::json!({
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": call.arguments},
                })
            };
            let calls = reply.tool_calls.iter().map(call).collect();
            message.others.insert("tool_calls".to_owned(), calls);
        }
        message.extras.clone_from(&reply.done.extras);
        message
    }

    /// The result of a tool call.
    pub fn tool(call_id: impl Into<String>, result: impl Into<String>) -> Self {
        let mut message = Self::text("tool", result);
        message
            .others
            .insert("tool_call_id".to_owned(), Value::String(call_id.into()));
        message
    }

    /// Text from the user.
    pub fn user(text: impl Into<String>) -> Self {
        Self::text("user", text)
    }
}
