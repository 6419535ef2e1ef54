//! A whole answer, put together from the events of a stream.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::event::{ChatEvent, ToolCall};
use crate::outcome::{Done, Notice};

/// A whole answer.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChatReply {
    /// The answer's text.
    pub text: String,
    /// The model's reasoning, if it gave any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The tool calls that the model asks for, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What the caller should know about the call, such as retries and fallbacks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// The answer as the service wrote it, if the request asked for the raw form. Since: 1.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// How the answer ended.
    pub done: Done,
}

impl ChatReply {
    /// Appends the next event of a stream to this reply.
    pub fn add(&mut self, event: ChatEvent) {
        match event {
            ChatEvent::Text(text) => self.text.push_str(&text),
            ChatEvent::Reasoning(text) => self.reasoning.push_str(&text),
            ChatEvent::ToolCall(call) => self.tool_calls.push(call),
            ChatEvent::Notice(notice) => self.notices.push(notice),
            ChatEvent::Done(done) => self.done = *done,
            ChatEvent::Raw(piece) => self.raw.get_or_insert_default().push_str(&piece),
            ChatEvent::Head(_) | ChatEvent::KeepAlive(_) | ChatEvent::Other { .. } => {}
        }
    }
}
