//! One chat request.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::message::Message;
use crate::error::{Error, ErrorKind};

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
