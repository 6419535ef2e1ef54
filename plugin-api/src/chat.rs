//! The vocabulary of chat, shared by hosts and plugins: a request, the events of an answer, a whole answer.
//!
//! These types cross the boundary as JSON, except for the pieces of text. Fields are only ever added; a reader skips
//! what it does not know.

mod printed;
mod stream;
mod verbatim;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use crate::abi::{RawEvent, RawEventKind, Text};
use crate::error::{Error, ErrorKind};
use crate::http::Head;

pub use self::stream::{EventStream, Events};
pub use self::verbatim::Verbatim;

/// One chat request.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChatRequest {
    /// The tier whose model is asked for, such as `TEXT_LARGE`. Absent with `model` absent: the plugin's default tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// A model by id; wins over the tier's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The conversation, oldest first: an array of [`Message`]s, passed on as it is written.
    #[schemars(with = "Vec<Message>")]
    pub messages: Box<RawValue>,
    /// Further fields of the service's request body, by their names on the wire, passed on as they are. They win over
    /// the profile's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub parameters: BTreeMap<String, Box<RawValue>>,
    /// Who is asking, where it differs from what the profile says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// In which form the answer is wanted.
    #[serde(default, skip_serializing_if = "View::is_typed")]
    pub view: View,
}

/// In which form an answer is wanted. Both forms come from one reading of it, and what is not wanted is not made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Text, reasoning and tool calls, in types.
    #[default]
    Typed,
    /// The service's own words, byte for byte: [`ChatEvent::Head`], then [`ChatEvent::Raw`]; `raw` of a whole reply.
    Raw,
    /// Both; each piece of the raw form comes before what it says in types.
    Both,
}

impl View {
    fn is_typed(&self) -> bool {
        *self == Self::Typed
    }

    /// Whether text, reasoning and tool calls are wanted in types.
    pub fn has_types(self) -> bool {
        self != Self::Raw
    }

    /// Whether the service's own words are wanted.
    pub fn has_raw(self) -> bool {
        self != Self::Typed
    }
}

/// Who is asking, for services that show it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attribution {
    /// The address of the site or of the project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_url: Option<String>,
    /// The name of the application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// What kind of application it is, in the service's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}

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
    /// What is sent back exactly as it was received, such as `reasoning_details`; see [`Done::extras`]. A message that is read has
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

impl ChatRequest {
    /// A request with these messages, for the plugin's default tier.
    ///
    /// - Errors: `internal` if a message cannot be written as JSON.
    pub fn new(messages: &[Message]) -> Result<Self, Error> {
        let messages = serde_json::value::to_raw_value(messages)
            .map_err(|_| Error::new(ErrorKind::INTERNAL, "could not write the messages as JSON"))?;
        Ok(Self {
            tier: None,
            model: None,
            messages,
            parameters: BTreeMap::new(),
            attribution: None,
            view: View::Typed,
        })
    }

    /// The messages, read. A plugin that only passes them on has no need to.
    ///
    /// - Errors: `invalid_request`; the messages are not quoted.
    pub fn read_messages(&self) -> Result<Vec<Message>, Error> {
        serde_json::from_str(self.messages.get()).map_err(|_| {
            Error::new(
                ErrorKind::INVALID_REQUEST,
                "expected `messages` to be an array of objects, each with a `role`",
            )
        })
    }
}

/// One event of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// A piece of the answer.
    Text(Text),
    /// A piece of the model's reasoning.
    Reasoning(Text),
    /// A tool call, whole.
    ToolCall(ToolCall),
    /// A sign of life without content; the service's words, if it had any.
    KeepAlive(Text),
    /// Something that the caller should know, such as that another model than the one asked for answers.
    Notice(Notice),
    /// The answer is complete. It is the last event; a stream that ends without it ends with an error.
    Done(Box<Done>),
    /// The head of the service's answer, once, where its raw form was asked for.
    Head(Box<Head>),
    /// A piece of the service's answer as it was written, where its raw form was asked for: whole lines, of whole events.
    Raw(Text),
    /// A kind of event that this version does not know.
    Other {
        /// Its number.
        kind: u32,
        /// Its text.
        text: Text,
        /// Its JSON.
        json: Text,
    },
}

/// A call of a tool that the model asks for.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCall {
    /// The call's id, to be repeated with the tool's answer.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// Its arguments: a text of JSON, whole.
    pub arguments: String,
}

/// Something that the caller should know about a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// A stable word for what happened: `retry`, `fallback`, or a word of the plugin.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// The attempt that led to it, where it tells of a retry or a fallback.
    // In a box, because every event, the hot ones too, is as large as the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
    /// How long the call now waits before it goes on, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

impl Notice {
    /// A notice with this code and sentence.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }
}

/// One attempt to get an answer: a model that was asked, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attempt {
    /// The model that was asked.
    pub model: String,
    /// The provider that was asked, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The HTTP status of its answer; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the error that it ended with; absent for the attempt that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it failed, in one sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How an answer ended, and what is known about it. Absent means unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Done {
    /// Why the model stopped: `stop`, `length`, `tool_calls`, `content_filter`, or a word of the service.
    pub finish_reason: String,
    /// The same in the provider's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<String>,
    /// The model that was asked for, by the id that went to the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// The model that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The service's id of this generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<String>,
    /// Every attempt of the call, oldest first; the last one served. Empty where the first attempt served and the service told
    /// nothing of how it came about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What was used and billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What the message has beside its text and its tool calls, by its names on the wire, exactly as it came and in order:
    /// `reasoning_details`, `annotations`, `images`, `audio`. It belongs into the conversation with the message; see
    /// [`Message::assistant`].
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extras: BTreeMap<String, Verbatim>,
    /// From the start of the call to the first piece of text, reasoning or tool call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<u64>,
    /// From the start of the call to its end, in milliseconds.
    pub duration_ms: u64,
}

/// Tokens used and dollars billed, as the service counted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Of the prompt's tokens, those read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Of the prompt's tokens, those written to a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Of the answer's tokens, those spent on reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// What was billed, in US dollars, as a decimal text without an exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
}

/// A whole answer.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ChatReply {
    /// The answer's text.
    pub text: String,
    /// The model's reasoning, where it was given.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// The tools that the model wants called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_calls: Vec<ToolCall>,
    /// What the caller should know.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notices: Vec<Notice>,
    /// The answer as the service wrote it, where its raw form was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
    /// How the answer ended.
    pub done: Done,
}

impl ChatReply {
    /// Takes the next event of a stream into this reply.
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

impl ChatEvent {
    /// A piece of the answer.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// The end of an answer of which only the reason is known.
    pub fn done(finish_reason: &str) -> Self {
        Self::Done(Box::new(Done {
            finish_reason: finish_reason.to_owned(),
            ..Done::default()
        }))
    }
}

impl From<ChatEvent> for RawEvent {
    fn from(event: ChatEvent) -> Self {
        fn json(kind: RawEventKind, value: &impl Serialize) -> RawEvent {
            // These types have no maps with odd keys: writing them cannot fail.
            raw(
                kind,
                Text::default(),
                serde_json::to_string(value).unwrap_or_default().into(),
            )
        }
        fn raw(kind: RawEventKind, text: Text, json: Text) -> RawEvent {
            RawEvent {
                kind,
                index: 0,
                text,
                json,
            }
        }
        match event {
            ChatEvent::Text(text) => raw(RawEventKind::TEXT, text, Text::default()),
            ChatEvent::Reasoning(text) => raw(RawEventKind::REASONING, text, Text::default()),
            ChatEvent::KeepAlive(text) => raw(RawEventKind::KEEP_ALIVE, text, Text::default()),
            ChatEvent::ToolCall(call) => json(RawEventKind::TOOL_CALL, &call),
            ChatEvent::Notice(notice) => json(RawEventKind::NOTICE, &notice),
            ChatEvent::Done(done) => json(RawEventKind::DONE, &done),
            ChatEvent::Head(head) => json(RawEventKind::HEAD, &head),
            ChatEvent::Raw(piece) => raw(RawEventKind::RAW, piece, Text::default()),
            ChatEvent::Other { kind, text, json } => raw(RawEventKind::from_number(kind), text, json),
        }
    }
}

impl TryFrom<RawEvent> for ChatEvent {
    type Error = Error;

    fn try_from(raw: RawEvent) -> Result<Self, Error> {
        fn read<'a, T: Deserialize<'a>>(kind: RawEventKind, json: &'a Text) -> Result<T, Error> {
            serde_json::from_str(json).map_err(|_| {
                Error::new(
                    ErrorKind::PROTOCOL,
                    format!("the plugin sent a `{kind}` event that is not readable"),
                )
            })
        }
        Ok(match raw.kind {
            RawEventKind::TEXT => Self::Text(raw.text),
            RawEventKind::REASONING => Self::Reasoning(raw.text),
            RawEventKind::KEEP_ALIVE => Self::KeepAlive(raw.text),
            RawEventKind::TOOL_CALL => Self::ToolCall(read(raw.kind, &raw.json)?),
            RawEventKind::NOTICE => Self::Notice(read(raw.kind, &raw.json)?),
            RawEventKind::DONE => Self::Done(read(raw.kind, &raw.json)?),
            RawEventKind::HEAD => Self::Head(read(raw.kind, &raw.json)?),
            RawEventKind::RAW => Self::Raw(raw.text),
            other => Self::Other {
                kind: other.number(),
                text: raw.text,
                json: raw.json,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_no_larger_than_what_travels_most() {
        // A piece of text is 32 bytes; each event is moved half a dozen times on its way.
        assert!(size_of::<ChatEvent>() <= 80, "{}", size_of::<ChatEvent>());
    }
}
