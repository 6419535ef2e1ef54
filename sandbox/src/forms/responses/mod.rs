//! The form of OpenAI's Responses API: items in, items out, and a stream of numbered events.
//!
//! Pure. [`request`] turns a request into one of chat; [`items`] makes the output of an answer; [`body`] and
//! [`events`] write it. The service keeps nothing between requests, so each one brings the whole conversation.
// Source: `ResponsesRequest`, `OpenResponsesResult` and `StreamEvents` of the API description, copy of 2026-08-22.

mod request;
mod items;
mod body;
mod events;

pub(super) use self::{body::body_from, events::steps_from, request::chat_from};

#[cfg(test)]
mod tests;
