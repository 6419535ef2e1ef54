//! The form of Anthropic's Messages API: blocks in, blocks out, and errors with a shape of their own.
//!
//! Pure. [`request`] turns a request into one of chat; [`blocks`] makes the content of an answer; [`body`] and
//! [`events`] write it. This form has no images or audio in answers, so they are dropped.
// Source: `MessagesRequest`, `MessagesResult`, `MessagesStreamEvents` and `AnthropicMessagesErrorResponse` of the API
// description, copy of 2026-08-22. That `[DONE]` comes as an event named `data` is a field report.

mod request;
mod blocks;
mod body;
mod events;
mod error;

pub(super) use self::{body::body_from, error::error_value, events::steps_from, request::chat_from};

#[cfg(test)]
mod tests;
