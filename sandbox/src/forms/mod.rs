//! The forms of the API in which a model answers: chat, legacy text, Responses, Messages.
//!
//! A request in any form becomes a [`Chat`], so routing, scripts and costs are the same for all. The reply goes back
//! in the form of the request. [`Form`] picks the module that does both.

mod chat;
mod completions;
mod responses;
mod messages;
pub(crate) mod stream;
#[cfg(test)]
mod kit;

use serde_json::{Map, Value, json};

use self::stream::Step;
use crate::{
    answer::Turn,
    failure::Failure,
    rules::{self, request::Chat},
};

/// The form of one request and its reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `POST /chat/completions`.
    Chat,
    /// `POST /completions`.
    Text,
    /// `POST /responses`.
    Responses,
    /// `POST /messages`.
    Messages,
}

impl Form {
    /// Checks the body of a request.
    pub(crate) fn chat_from(self, body: &Map<String, Value>) -> Result<Chat, Failure> {
        match self {
            Self::Chat => rules::check_chat(body),
            Self::Text => completions::chat_from(body),
            Self::Responses => responses::chat_from(body),
            Self::Messages => messages::chat_from(body),
        }
    }

    /// The body of a whole reply.
    ///
    /// - Errors: the failure in the middle of a script, in a form whose replies cannot hold one.
    pub(crate) fn body_from(self, turn: &Turn<'_>) -> Result<Value, Failure> {
        match self {
            Self::Chat => Ok(chat::body_from(turn)),
            Self::Text => Ok(completions::body_from(turn)),
            Self::Responses => Ok(responses::body_from(turn)),
            Self::Messages => messages::body_from(turn),
        }
    }

    /// The steps of a streamed reply.
    pub(crate) fn steps_from(self, turn: &Turn<'_>) -> Vec<Step> {
        match self {
            Self::Chat => chat::steps_from(turn),
            Self::Text => completions::steps_from(turn),
            Self::Responses => responses::steps_from(turn),
            Self::Messages => messages::steps_from(turn),
        }
    }

    /// The body of a refusal; `user_id` is known once the key was accepted.
    pub(crate) fn error_value(self, failure: &Failure, user_id: Option<&str>) -> Value {
        match self {
            Self::Messages => messages::error_value(failure),
            _ => failure.body_value(user_id),
        }
    }
}

/// A message of the assistant, as chat has it.
fn assistant_message(content: Option<Value>, details: Vec<Value>, calls: Vec<Value>) -> Value {
    let mut message = json!({"role": "assistant", "content": content});
    if !details.is_empty() {
        message["reasoning_details"] = Value::Array(details);
    }
    if !calls.is_empty() {
        message["tool_calls"] = Value::Array(calls);
    }
    message
}
