//! One chat request: the conversation, which model should answer, and in which form.
//!
//! Messages and parameters stay JSON text, so a plugin that only passes them on never parses them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::message::Message;
use super::parts::{ResponseFormat, Tool};
use crate::error::{Error, ErrorKind};

/// One chat request.
#[derive(Clone, Serialize, Deserialize, JsonSchema)]
pub struct ChatRequest {
    /// The tier whose model should answer, such as `TEXT_LARGE`. Absent, with `model` absent too: the default tier.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The id of the model that should answer. Overrides `tier`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The conversation, oldest first: an array of messages, passed on unchanged.
    #[schemars(with = "Vec<Message>")]
    pub messages: Box<RawValue>,
    /// Further fields of the service's request body, by their names on the wire, passed on unchanged.
    /// They override the profile's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Value>")]
    pub parameters: BTreeMap<String, Box<RawValue>>,
    /// The application that asks, where it differs from the profile's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribution: Option<Attribution>,
    /// The form of the answer. Since: 1.2.
    #[serde(default, skip_serializing_if = "View::is_typed")]
    pub view: View,
}

impl ChatRequest {
    /// A request with these messages for the plugin's default tier, answered in typed form.
    ///
    /// - Errors: `internal` if a message cannot be written as JSON.
    pub fn new(messages: &[Message]) -> Result<Self, Error> {
        let messages =
            to_raw_value(messages).map_err(|_| Error::new(ErrorKind::INTERNAL, "cannot write the messages as JSON"))?;
        Ok(Self {
            tier: None,
            model: None,
            messages,
            parameters: BTreeMap::new(),
            attribution: None,
            view: View::Typed,
        })
    }

    /// Sets a further field of the service's request body, by its name on the wire.
    ///
    /// ```
    /// use plugin_api::{ChatRequest, Message, Tool};
    /// use serde_json::json;
    ///
    /// let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    /// let weather = Tool::new("get_weather", "The weather in a city.", schema);
    /// let request = ChatRequest::new(&[Message::user("Is it raining in Paris?")])?
    ///     .with_tools([weather])
    ///     .with_parameter("temperature", 0.2);
    /// # Ok::<(), plugin_api::Error>(())
    /// ```
    ///
    /// - Since: 1.3.
    pub fn with_parameter(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = to_raw_value(&value.into()).expect("a `Value` has no keys but text, so it can be written");
        self.parameters.insert(name.to_owned(), value);
        self
    }

    /// Offers these functions to the model: the field `tools`.
    ///
    /// - Since: 1.3.
    pub fn with_tools(self, tools: impl IntoIterator<Item = Tool>) -> Self {
        self.with_parameter("tools", tools.into_iter().map(Value::from).collect::<Value>())
    }

    /// Sets the format of the answer's text: the field `response_format`.
    ///
    /// - Since: 1.3.
    pub fn with_response_format(self, format: ResponseFormat) -> Self {
        self.with_parameter("response_format", format)
    }

    /// Parses the messages. A plugin that only passes them on does not need to.
    ///
    /// - Errors: `invalid_request`, without quoting the messages.
    pub fn read_messages(&self) -> Result<Vec<Message>, Error> {
        serde_json::from_str(self.messages.get()).map_err(|_| {
            Error::new(
                ErrorKind::INVALID_REQUEST,
                "expected `messages` to be an array of objects, each with a `role`",
            )
        })
    }
}

/// The form of an answer. The plugin parses the answer once for both forms, and builds only the form you ask for.
///
/// Since: 1.2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum View {
    /// Text, reasoning and tool calls, as typed events.
    #[default]
    Typed,
    /// The service's own answer, byte for byte: a `Head` event, then `Raw` events; `raw` in a whole reply.
    Raw,
    /// Both forms. Each raw event comes before the typed events that were read from it.
    Both,
}

impl View {
    fn is_typed(&self) -> bool {
        *self == Self::Typed
    }

    /// Whether the answer includes text, reasoning and tool calls as typed events.
    pub fn has_types(self) -> bool {
        self != Self::Raw
    }

    /// Whether the answer includes the service's own bytes.
    pub fn has_raw(self) -> bool {
        self != Self::Typed
    }
}

/// The application that asks, for services that show it in their statistics.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attribution {
    /// The URL of the application or its project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site_url: Option<String>,
    /// The application's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// The kinds of application it is, in the service's words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub categories: Vec<String>,
}
