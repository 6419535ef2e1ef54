//! A service's model list: what each model is called, costs, reads and writes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::verbatim::Verbatim;

/// How fresh and how detailed a model list must be, and which models of it are wanted.
///
/// Since: 1.2.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelsRequest {
    /// Whether to ask the service even if a cached list is fresh enough.
    pub force: bool,
    /// Whether to add the service's own entry to each model.
    pub raw: bool,
    /// Whether to answer from the cache alone, however old it is, and never ask the service. Since: 1.3.
    pub offline: bool,
    /// Only models that some provider serves without keeping prompts and answers. Since: 1.3.
    pub zero_retention: bool,
    /// Only models that this provider serves, by its name or its slug. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// The order, if it is one that the service has to measure. Since: 1.3.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<MeasuredOrder>,
}

/// An order of models by what their service measures.
///
/// Since: 1.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MeasuredOrder {
    /// The most tokens per second first.
    Throughput,
    /// The shortest wait for the first token first.
    Latency,
}

/// A service's model list.
///
/// Since: 1.2.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ModelList {
    /// The models, in the service's order.
    pub models: Vec<Model>,
    /// How long ago the service gave the list, in milliseconds.
    pub age_ms: u64,
    /// Whether a newer list was wanted but unavailable; `problem` says why.
    pub is_stale: bool,
    /// Why there is no newer list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Whether the list has only the models that the request selects, in the order that it names. False from plugins
    /// that know neither, and if the request asks for neither. Since: 1.3.
    pub is_selected: bool,
}

/// One model of a service. What is unknown is absent or empty, never zero.
///
/// Since: 1.2.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Model {
    /// The id that requests use.
    pub id: String,
    /// The name for people.
    pub name: String,
    /// A few sentences for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When the service started to list it, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_s: Option<u64>,
    /// The most tokens that prompt and answer may have together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context_length: Option<u64>,
    /// The most tokens that an answer may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_completion_tokens: Option<u64>,
    /// The price of a million prompt tokens, in US dollars, as a decimal string.
    /// Absent for routers, which charge the price of the model they choose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt_usd_per_million: Option<String>,
    /// The price of a million completion tokens, in US dollars, as a decimal string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion_usd_per_million: Option<String>,
    /// The fixed price of each request, in US dollars, as a decimal string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_usd: Option<String>,
    /// What it reads, such as `text` and `image`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub input_modalities: Vec<String>,
    /// What it writes, such as `text`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output_modalities: Vec<String>,
    /// The request parameters that it honours, by their names on the wire.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub supported_parameters: Vec<String>,
    /// What it offers beyond text: `vision`, `audio`, `files`, `tools`, `reasoning`, `json`, `images`, `free`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub abilities: Vec<String>,
    /// The day after which the service may drop it, such as `2026-11-20`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration_date: Option<String>,
    /// The service's own entry, if the request asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Verbatim>,
}
