//! The plugin's options, as a profile gives them.
//!
//! The doc comments here are the descriptions of the JSON Schema that the host validates with and
//! that editors show, so they speak to a profile author. camelCase is the documented spelling,
//! snake_case is accepted, `null` means "not set". What a schema cannot say,
//! `check` does. Pure: no secrets in here, so `Debug` is safe.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::profile::parameters::Parameters;
use crate::profile::policy::{Budget, Caches, Limits, Retry, Secondary, Timeouts};
use crate::profile::preferences::ProviderPreferences;
use crate::profile::tiers;
use crate::values::spelling::{accept_snake_case, null_as_default};

/// The most fallback models that a profile or a tier may name.
pub const MAX_FALLBACKS: usize = 10;

/// OpenRouter's request plugin that shortens prompts.
pub const COMPRESSION: &str = "context-compression";

/// Options of the OpenRouter plugin. All of them are optional.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Options {
    /// Default model, such as `anthropic/claude-sonnet-4.5` or `openrouter/auto`. Stands for the
    /// tier TEXT_LARGE where `tiers` does not name one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The model of each tier: a model id, or an object with further settings.
    #[serde(deserialize_with = "without_nulls", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "Option<BTreeMap<String, Option<TierOption>>>", transform = only_known_tiers)]
    pub tiers: BTreeMap<String, TierOption>,
    /// Models that are tried in this order when the first one fails; at most ten.
    #[serde(
        alias = "fallback_models",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<Vec<String>>", length(max = MAX_FALLBACKS), inner(length(min = 1)))]
    pub fallback_models: Vec<String>,
    /// Sampling and output parameters of every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// Which providers may be used, and which first.
    #[serde(alias = "provider_preferences", skip_serializing_if = "Option::is_none")]
    pub provider_preferences: Option<ProviderPreferences>,
    /// OpenRouter's own request plugins, such as `{"id": "context-compression"}`.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<Vec<PluginOption>>")]
    pub plugins: Vec<PluginOption>,
    /// `strict` allows only providers that neither collect nor retain prompts, whatever the
    /// provider preferences say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Whether long prompts are compressed so that they fit a model's context: parts of their middle are left out. Never done
    /// unless it is said here. OpenRouter's request plugin `context-compression`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compress: Option<bool>,
    /// Whether a request is refused that asks for what its model is not listed with, such as tools; otherwise the caller is told.
    /// Default: false.
    #[serde(alias = "strict_capabilities", deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub strict_capabilities: bool,
    /// How the application presents itself to OpenRouter, which shows it in rankings.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Attribution>")]
    pub attribution: Attribution,
    /// How long to wait for what, in milliseconds.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Timeouts>")]
    pub timeouts: Timeouts,
    /// How often and how long a call is tried again.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Retry>")]
    pub retry: Retry,
    /// How much may go on at once.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Limits>")]
    pub limits: Limits,
    /// What may be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
    /// A second service, for when the first one cannot be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<Secondary>,
    /// How long lists that the service gives are kept.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Caches>")]
    pub caches: Caches,
    /// Address of the API; OpenRouter's own if absent. `https://`, or `http://` at a literal
    /// loopback address such as `http://127.0.0.1:8080/api/v1`.
    #[serde(alias = "base_url", skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Whether keys are accepted that do not look like OpenRouter's, for proxies with keys of
    /// their own. Default: false.
    #[serde(alias = "allow_any_key", deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub allow_any_key: bool,
}

/// A tier: a model id, or an object with further settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a model id or an object with the tier's settings")]
pub enum TierOption {
    /// Only the model.
    Model(String),
    /// The model and what differs from the profile.
    Settings(Box<TierOptions>),
}

impl TierOption {
    /// The tier's model, if the entry names one.
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Model(model) => Some(model),
            Self::Settings(settings) => settings.model.as_deref(),
        }
    }

    /// What differs from the profile, if the entry is an object.
    pub fn settings(&self) -> Option<&TierOptions> {
        match self {
            Self::Model(_) => None,
            Self::Settings(settings) => Some(settings),
        }
    }
}

/// Settings of one tier. What is not set is as in the profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct TierOptions {
    /// The tier's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Replaces the profile's fallback models; an empty list means none.
    #[serde(alias = "fallback_models", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_FALLBACKS), inner(length(min = 1)))]
    pub fallback_models: Option<Vec<String>>,
    /// Laid over the profile's parameters, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// Laid over the profile's provider preferences, field by field.
    #[serde(alias = "provider_preferences", skip_serializing_if = "Option::is_none")]
    pub provider_preferences: Option<ProviderPreferences>,
    /// Replaces the profile's request plugins; an empty list means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugins: Option<Vec<PluginOption>>,
}

/// One of OpenRouter's request plugins, with its settings as OpenRouter documents them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginOption {
    /// Which plugin, such as `context-compression`, `response-healing` or `file-parser`.
    #[schemars(length(min = 1))]
    pub id: String,
    /// Its settings, sent as they are.
    #[serde(flatten)]
    pub settings: Map<String, Value>,
}

/// How strictly prompts are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// Only providers that neither collect nor retain prompts: `dataCollection` is `deny` and
    /// `zdr` is true.
    Strict,
}

/// How the application presents itself to OpenRouter. Affects rankings only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Attribution {
    /// The application's web address; needed for the rest to count.
    #[serde(alias = "site_url", skip_serializing_if = "Option::is_none")]
    pub site_url: Option<String>,
    /// The application's name.
    #[serde(alias = "app_name", skip_serializing_if = "Option::is_none")]
    pub app_name: Option<String>,
    /// At most two categories of up to 30 characters, such as `cli-agent` or `personal-agent`.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<Vec<String>>", length(max = 2), inner(length(min = 1, max = 30)))]
    pub categories: Vec<String>,
}

fn only_known_tiers(schema: &mut Schema) {
    schema.insert("propertyNames".to_owned(), json!({"enum": tiers::accepted_names()}));
}

fn without_nulls<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, TierOption>, D::Error> {
    let entries = Option::<BTreeMap<String, Option<TierOption>>>::deserialize(deserializer)?;
    let entries = entries.unwrap_or_default();
    Ok(entries
        .into_iter()
        .filter_map(|(key, entry)| Some((key, entry?)))
        .collect())
}

#[cfg(test)]
mod tests;
