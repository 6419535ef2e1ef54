//! The plugin's options, as a profile gives them.
//!
//! The doc comments here become the descriptions of the JSON Schema that the host validates with and
//! that editors show, so they address a profile author. camelCase is the documented spelling,
//! snake_case is accepted, `null` means "not set". [`check`](crate::profile::check) finds what a schema
//! cannot express. Pure: the options contain no secrets, so `Debug` is safe.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::profile::parameters::Parameters;
use crate::profile::policy::{Budget, Caches, Limits, Retry, Secondary, Timeouts};
use crate::profile::preferences::ProviderPreferences;
use crate::profile::split::Arms;
use crate::profile::tiers;
use crate::values::base_url::DEFAULT_BASE_URL;
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
    /// Default model, such as `anthropic/claude-sonnet-4.5` or `openrouter/auto`. It is the model of the
    /// tier TEXT_LARGE unless `tiers` names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = ["anthropic/claude-sonnet-4.5"]))]
    pub model: Option<String>,
    /// The model of each tier: a model id, or an object with further settings.
    #[serde(deserialize_with = "without_nulls", skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "Option<BTreeMap<String, Option<TierOption>>>", transform = only_known_tiers, extend("examples" = [{
        "TEXT_SMALL": "openai/gpt-4o-mini",
        "TEXT_REASONING_LARGE": {"model": "openai/gpt-5", "parameters": {"reasoning": {"effort": "high"}}},
    }]))]
    pub tiers: BTreeMap<String, TierOption>,
    /// Models to try, in this order, when the first one fails; at most ten.
    #[serde(
        alias = "fallback_models",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<Vec<String>>", length(max = MAX_FALLBACKS), inner(length(min = 1)),
        extend("examples" = [["google/gemini-2.5-flash"]]))]
    pub fallback_models: Vec<String>,
    /// Sampling and output parameters for every request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// Which providers may be used, and which first.
    #[serde(alias = "provider_preferences", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [{"order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true}]))]
    pub provider_preferences: Option<ProviderPreferences>,
    /// OpenRouter's own request plugins, such as `{"id": "context-compression"}`.
    #[serde(deserialize_with = "null_as_default", skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Option<Vec<PluginOption>>")]
    pub plugins: Vec<PluginOption>,
    /// `strict` allows only providers that neither collect nor retain prompts. It overrides the
    /// provider preferences.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// Whether to shorten prompts that do not fit the model's context, by dropping parts of their middle.
    /// Off unless set here. Uses OpenRouter's request plugin `context-compression`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compress: Option<bool>,
    /// Whether to refuse a request that needs something its model is not listed with, such as tools.
    /// Otherwise the caller gets a notice. Default: false.
    #[serde(alias = "strict_capabilities", deserialize_with = "null_as_default")]
    #[schemars(with = "Option<bool>")]
    pub strict_capabilities: bool,
    /// How the application identifies itself to OpenRouter, which shows it in rankings.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Attribution>")]
    pub attribution: Attribution,
    /// Timeouts of a call, in milliseconds.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Timeouts>")]
    pub timeouts: Timeouts,
    /// How often, and after what waits, a call is retried.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Retry>")]
    pub retry: Retry,
    /// How many calls may run at once, and how many requests per minute.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Limits>")]
    pub limits: Limits,
    /// How much may be spent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("examples" = [{"perRequestUsd": "0.5", "perDayUsd": "5"}]))]
    pub budget: Option<Budget>,
    /// A secondary service, used while the primary one is unreachable.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secondary: Option<Secondary>,
    /// How long, and where, the model list and the account are cached.
    #[serde(deserialize_with = "null_as_default")]
    #[schemars(with = "Option<Caches>")]
    pub caches: Caches,
    /// Address of the API: `https://`, or `http://` with a literal loopback address, such as
    /// `http://127.0.0.1:8080/api/v1`, or with a host of `allowPlainHttp`. Default: OpenRouter's own.
    #[serde(alias = "base_url", skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-default" = DEFAULT_BASE_URL))]
    pub base_url: Option<String>,
    /// Hosts of a private network, such as `litellm`, whose addresses may begin with `http://`. The key and the prompts
    /// then cross the network unencrypted. Default: none.
    #[serde(
        alias = "allow_plain_http",
        deserialize_with = "null_as_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    #[schemars(with = "Option<Vec<String>>", inner(length(min = 1)))]
    pub allow_plain_http: Vec<String>,
    /// Whether to accept keys that do not look like OpenRouter's, for proxies with keys of their own.
    /// Default: false.
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
    /// The model and settings that override the profile's.
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

    /// The settings that override the profile's, if the entry is an object.
    pub fn settings(&self) -> Option<&TierOptions> {
        match self {
            Self::Model(_) => None,
            Self::Settings(settings) => Some(settings),
        }
    }
}

/// Settings of one tier. Settings that are absent come from the profile.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct TierOptions {
    /// The tier's model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Divide the tier's calls between models, by weight, instead of naming one `model`. Calls with the same
    /// `sessionId`, else with the same `user`, always get the same model; others are divided at random.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("minProperties" = 2, "examples" = [{"anthropic/claude-sonnet-4.5": 80, "openai/gpt-5": 20}]))]
    pub split: Option<Arms>,
    /// Replace the profile's fallback models; an empty list means none.
    #[serde(alias = "fallback_models", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_FALLBACKS), inner(length(min = 1)))]
    pub fallback_models: Option<Vec<String>>,
    /// Override the profile's parameters, field by field.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameters: Option<Parameters>,
    /// Override the profile's provider preferences, field by field.
    #[serde(alias = "provider_preferences", skip_serializing_if = "Option::is_none")]
    pub provider_preferences: Option<ProviderPreferences>,
    /// Replace the profile's request plugins; an empty list means none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugins: Option<Vec<PluginOption>>,
}

/// One of OpenRouter's request plugins, with its settings as OpenRouter documents them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PluginOption {
    /// Id of the plugin, such as `context-compression`, `response-healing` or `file-parser`.
    #[schemars(length(min = 1))]
    pub id: String,
    /// The plugin's settings, sent unchanged.
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

/// How the application identifies itself to OpenRouter. Affects rankings only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Attribution {
    /// The application's web address. Without it OpenRouter ignores the rest.
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
