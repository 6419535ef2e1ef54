//! What is known about an answer beside its content: notices, attempts, how it ended, what it cost.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verbatim::Verbatim;

/// Something that the caller should know about a call.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// A stable word for what happened: `retry`, `fallback`, or a word of the plugin.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// The attempt that led to it, where it tells of a retry or a fallback.
    // In a box, because every event, the hot ones too, is as large as the largest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
    /// How long the call now waits before it goes on, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
}

impl Notice {
    /// A notice with this code and sentence.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }
}

/// One attempt to get an answer: a model that was asked, and what came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attempt {
    /// The model that was asked.
    pub model: String,
    /// The provider that was asked, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The HTTP status of its answer; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the error that it ended with; absent for the attempt that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it failed, in one sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How an answer ended, and what is known about it. Absent means unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Done {
    /// Why the model stopped: `stop`, `length`, `tool_calls`, `content_filter`, or a word of the service.
    pub finish_reason: String,
    /// The same in the provider's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<String>,
    /// The model that was asked for, by the id that went to the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// The model that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider that served.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The service's id of this generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<String>,
    /// Every attempt of the call, oldest first; the last one served. Empty where the first attempt served and the service told
    /// nothing of how it came about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// What was used and billed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What the message has beside its text and its tool calls, by its names on the wire, exactly as it came and in order:
    /// `reasoning_details`, `annotations`, `images`, `audio`. It belongs into the conversation with the message; see
    /// `Message::assistant`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extras: BTreeMap<String, Verbatim>,
    /// From the start of the call to the first piece of text, reasoning or tool call, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_to_first_token_ms: Option<u64>,
    /// From the start of the call to its end, in milliseconds.
    pub duration_ms: u64,
}

/// Tokens used and dollars billed, as the service counted them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Usage {
    /// Tokens of the request.
    pub prompt_tokens: u64,
    /// Tokens of the answer, reasoning included.
    pub completion_tokens: u64,
    /// Both.
    pub total_tokens: u64,
    /// Of the prompt's tokens, those read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Of the prompt's tokens, those written to a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Of the answer's tokens, those spent on reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// What was billed, in US dollars, as a decimal text without an exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
}
