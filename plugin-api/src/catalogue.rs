//! What a service has to offer: its models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verbatim::Verbatim;

/// What is wanted of a list of models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelsRequest {
    /// Whether to ask the service although a list is at hand.
    pub force: bool,
    /// Whether each model comes with the service's own entry for it.
    pub raw: bool,
}

/// The models of a service.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelList {
    /// In the service's order.
    pub models: Vec<Model>,
    /// How long ago the service gave the list, in milliseconds.
    pub age_ms: u64,
    /// Whether a newer list was wanted and could not be had; `problem` then says why.
    pub is_stale: bool,
    /// Why there is no newer list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// A model as a service lists it. What is unknown is absent or empty, never zero.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Model {
    /// What requests ask for.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// A few sentences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When the service began to list it, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_s: Option<u64>,
    /// The most tokens of prompt and answer together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// The most tokens of an answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// The price of a million tokens of the prompt, in US dollars, as a decimal text. Absent for routers, whose price is that of the
    /// model they choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_usd_per_million: Option<String>,
    /// The price of a million tokens of the answer, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_usd_per_million: Option<String>,
    /// The price of a request by itself, in US dollars, as a decimal text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_usd: Option<String>,
    /// What it reads, such as `text` and `image`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_modalities: Vec<String>,
    /// What it writes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_modalities: Vec<String>,
    /// The names of the parameters that have an effect, as they stand in a request.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_parameters: Vec<String>,
    /// What it can do beyond text, in words for people: `vision`, `audio`, `files`, `tools`, `reasoning`, `json`, `images`, `free`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub abilities: Vec<String>,
    /// The day after which it may be gone, as `2026-11-20`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<String>,
    /// The service's own entry, where it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Verbatim>,
}
