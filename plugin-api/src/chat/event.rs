//! The events of an answer, as both sides see them. How they cross is in `abi/convert.rs`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::abi::Text;
use crate::http::Head;
use crate::outcome::{Done, Notice};
use crate::verbatim::Verbatim;

/// One event of an answer.
///
/// A complete answer is any number of events and then one [`Done`](Self::Done). New kinds may be added in a minor
/// version; ignore those you do not know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ChatEvent {
    /// The next piece of the answer's text.
    Text(Text),
    /// The next piece of the model's reasoning.
    Reasoning(Text),
    /// A tool call, complete with its arguments.
    ToolCall(ToolCall),
    /// A keep-alive comment, empty or with the service's words. The service is still working.
    KeepAlive(Text),
    /// Something that the caller should know, such as a retry or a fallback to another model.
    Notice(Notice),
    /// The answer is complete. Always the last event: a stream that ends without it has failed.
    Done(Box<Done>),
    /// The status and headers of the service's answer, once, if the request asked for the raw form. Since: 1.2.
    Head(Box<Head>),
    /// The service's answer as it was written, if the request asked for the raw form: whole lines of whole events.
    /// Since: 1.2.
    Raw(Text),
    /// An event that this version does not know.
    Other {
        /// The number of its kind.
        kind: u32,
        /// Its text, empty if it has none.
        text: Text,
        /// Its JSON, empty if it has none.
        json: Text,
    },
}

impl ChatEvent {
    /// A [`Text`](Self::Text) event.
    pub fn text(text: impl Into<Text>) -> Self {
        Self::Text(text.into())
    }

    /// A [`Done`](Self::Done) event with nothing but a finish reason, such as `stop`.
    pub fn done(finish_reason: &str) -> Self {
        Self::Done(Box::new(Done {
            finish_reason: finish_reason.to_owned(),
            ..Done::default()
        }))
    }
}

/// A tool call that the model asks for.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolCall {
    /// The call's id. Repeat it in the message with the tool's result.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The arguments: JSON as a string, complete.
    pub arguments: String,
    /// Further members of the call, such as signatures, by their names on the wire, exactly as received; those of its
    /// `function` are named `function.NAME`. Send them back with the call; `Message::assistant` does. Since: 1.3.
    // Boxed, because every event is as large as the largest, and the frequent ones are small.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub extras: Box<BTreeMap<String, Verbatim>>,
}

fn is_empty(extras: &BTreeMap<String, Verbatim>) -> bool {
    extras.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_stays_small() {
        // A piece of text takes 32 bytes, and each event is moved half a dozen times on its way.
        assert!(size_of::<ChatEvent>() <= 88, "{}", size_of::<ChatEvent>());
    }
}
