//! The small requests that the checks send.

use plugin_api::Message;
use serde_json::json;

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

/// The tier for requests that would work with any tier.
pub fn usual(active: &Active) -> Option<&str> {
    tiers::find(&active.tiers, "small").map(|tier| tier.tier.as_str())
}
