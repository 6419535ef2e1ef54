//! The events of an answer.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::abi::Text;
use crate::http::Head;
use crate::outcome::{Done, Notice};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_no_larger_than_what_travels_most() {
        // A piece of text is 32 bytes; each event is moved half a dozen times on its way.
        assert!(size_of::<ChatEvent>() <= 80, "{}", size_of::<ChatEvent>());
    }
}
