//! The small requests that the checks send, each recorded as any other call.

use plugin_api::{ChatReply, ChatRequest, Error, Message};
use serde_json::json;

use crate::history::{self, Asker, Open};
use crate::setup::{Active, tiers};
use crate::talk::parameters::{Parameters, fields};

/// Room for a short answer; a reasoning model spends part of it on reasoning.
pub const SHORT_TOKENS: u64 = 256;
pub const REASONING_TOKENS: u64 = 1024;

pub fn limited(max_tokens: u64) -> Parameters {
    fields(json!({"max_tokens": max_tokens}))
}

pub fn ping() -> Vec<Message> {
    vec![Message::user("Answer with the one word: pong")]
}

/// The row of a call that begins.
pub fn row_of(active: &Active, request: &ChatRequest) -> Open {
    Asker::of(active).begins(history::client(), request.tier.as_deref(), request.model.as_deref())
}

/// The answer to a request.
pub async fn asked(active: &Active, request: &ChatRequest) -> Result<ChatReply, Error> {
    let mut row = row_of(active, request);
    let outcome = active.plugin.chat(request).await;
    match &outcome {
        Ok(reply) => row.complete(&reply.done),
        Err(error) => row.failed(error),
    }
    outcome
}

/// The tier for requests that would work with any tier.
pub fn usual(active: &Active) -> Option<&str> {
    tiers::find(&active.tiers, "small").map(|tier| tier.tier.as_str())
}
