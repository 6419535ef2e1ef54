//! The forms of the API in which a model can be asked: chat, legacy text, Responses, Messages.
//!
//! A request in any form becomes a [`Chat`], so that routing, scripts and costs are the same for all; its reply goes
//! back in the form in which it was asked. One place decides which module does that.

mod chat;
mod completions;
mod messages;
mod responses;
pub(crate) mod stream;

use serde_json::{Map, Value};

use crate::{answer, answer::Turn, failure::Failure, forms::stream::Step, rules, rules::request::Chat};

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

    /// The body of a reply that is not streamed.
    ///
    /// - Errors: what the script wants to fail with in the middle, in a form that cannot say so in a reply.
    pub(crate) fn body_from(self, turn: &Turn<'_>) -> Result<Value, Failure> {
        match self {
            Self::Chat => Ok(answer::body_from(turn)),
            Self::Text => Ok(completions::body_from(turn)),
            Self::Responses => Ok(responses::body_from(turn)),
            Self::Messages => messages::body_from(turn),
        }
    }

    /// The steps of a reply that is streamed.
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
