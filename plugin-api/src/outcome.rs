//! What is known about a call beside its content: notices on the way, attempts, how it ended, what it cost.
//!
//! Whole answers of every kind (chat, embeddings, raw HTTP) carry these, and so do errors. Pure data.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verbatim::Verbatim;

/// Something that the caller should know about a call, such as a retry or a fallback to another model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// A stable code for programs: `retry`, `fallback`, or one that the plugin defines.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// The failed attempt that led to a retry or a fallback. Absent for other notices.
    // Boxed, because every event is as large as the largest, and the frequent ones are small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Box<Attempt>>,
    /// How long the call now waits before it goes on, in milliseconds. Absent: it does not wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// What it is about, for programs. Since: 1.3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<Box<About>>,
}

/// What a notice is about, for programs that do not read its sentence. Absent means not known.
///
/// Since: 1.3.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[non_exhaustive]
pub struct About {
    /// What the model is not listed as supporting: `tools`, `image_input`, `json_schema` and the like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ability: Option<String>,
    /// The models that another one replaces, in their order, each with what is known of why.
    /// A model that was not asked has a code and no status.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<Attempt>,
    /// The number of the attempt that follows, among those with the same models; the first one is 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_attempt: Option<u64>,
    /// How many attempts with the same models are allowed at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_attempts: Option<u64>,
}

impl About {
    /// About what the model is not listed as supporting.
    pub fn ability(ability: impl Into<String>) -> Self {
        Self {
            ability: Some(ability.into()),
            ..Self::default()
        }
    }

    /// About a retry: the number of the attempt that follows, and how many are allowed.
    pub fn attempts(next: u64, max: u64) -> Self {
        Self {
            next_attempt: Some(next),
            max_attempts: Some(max),
            ..Self::default()
        }
    }

    /// About the models that another one replaces.
    pub fn passed_over(models: impl IntoIterator<Item = Attempt>) -> Self {
        Self {
            passed_over: models.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl Notice {
    /// A notice without an attempt or a wait.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            ..Self::default()
        }
    }

    /// Adds what it is about.
    pub fn with_about(mut self, about: About) -> Self {
        self.about = Some(Box::new(about));
        self
    }
}

/// One attempt to get an answer: the model that was asked, and how it went. Absent means unknown.
///
/// Since: 1.1.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Attempt {
    /// The model that was asked.
    pub model: String,
    /// The provider that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The HTTP status of the answer. Absent: there was no answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The code of the error that ended the attempt. Absent: the attempt succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why it failed, in one sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How an answer ended, who gave it and what it cost. Absent means unknown, never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Done {
    /// Why the model stopped: `stop`, `length`, `tool_calls`, `content_filter`, or another word of the service.
    pub finish_reason: String,
    /// The finish reason in the provider's own words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub native_finish_reason: Option<String>,
    /// The id of the requested model, as it was sent to the service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requested_model: Option<String>,
    /// The model of the tier's split that the call was given to, as configured. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arm: Option<String>,
    /// The model that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The provider that answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The service's id of this generation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_id: Option<String>,
    /// Every attempt of the call, oldest first; the last one succeeded.
    /// Empty if the first attempt succeeded and the service reported no details.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub attempts: Vec<Attempt>,
    /// The tokens used and the cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// Further fields of the assistant's message, by their names on the wire, exactly as received:
    /// `reasoning_details`, `annotations`, `images`, `audio`. Send them back with the message; `Message::assistant`
    /// does. Since: 1.2.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub extras: BTreeMap<String, Verbatim>,
    /// The content of the assistant's message, if it is parts with reasoning among them. Send it back instead of the
    /// text; `Message::assistant` does. Since: 1.3.
    // Not among the extras: older hosts write those beside a `content` of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Verbatim>,
    /// From the start of the call to the first text, reasoning or tool call, in milliseconds.
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
    /// Tokens of request and answer together.
    pub total_tokens: u64,
    /// Prompt tokens that were read from a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cached_tokens: Option<u64>,
    /// Prompt tokens that were written to a cache.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache_write_tokens: Option<u64>,
    /// Completion tokens that were spent on reasoning.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_tokens: Option<u64>,
    /// The cost in US dollars, as a decimal string without an exponent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<String>,
    /// Whether the provider billed a key of the caller's own (BYOK), and the service only its fee. Since: 1.3.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_byok: bool,
    /// What the provider itself charged, in US dollars, as a decimal string without an exponent. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream_cost_usd: Option<String>,
}
