//! The plugin's options, as a profile gives them.
//!
//! The doc comments here are the descriptions of the JSON Schema that the host validates with and
//! that editors show, so they speak to a profile author. camelCase is the documented spelling,
//! snake_case is accepted, `null` means "not set". What a schema cannot say,
//! `check` does. Pure: no secrets in here, so `Debug` is safe.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use crate::profile::parameters::Parameters;
use crate::profile::policy::{Budget, Caches, Limits, Retry, Secondary};
use crate::profile::preferences::{DataCollection, ProviderPreferences};
use crate::profile::tiers::{self, Tier};
use crate::values::spelling::accept_snake_case;
use crate::values::spelling::null_as;
use crate::values::spelling::null_as_default;

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

const LONGEST_TIMEOUT_MS: u64 = 3_600_000;

/// How long to wait for what, in milliseconds, each from 1 to 3600000.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Timeouts {
    /// Longest wait for a connection, in milliseconds; default 5000.
    #[serde(alias = "connect_ms", deserialize_with = "null_as::<_, 5_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub connect_ms: u64,
    /// Longest wait for the first piece of the answer, in milliseconds; default 120000.
    #[serde(alias = "first_token_ms", deserialize_with = "null_as::<_, 120_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub first_token_ms: u64,
    /// Longest silence during an answer, in milliseconds: any byte ends it, also one that only says that the
    /// service is alive; default 60000.
    #[serde(alias = "idle_ms", deserialize_with = "null_as::<_, 60_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub idle_ms: u64,
    /// Longest wait between two pieces of the answer, in milliseconds, signs of life or not; default 300000.
    #[serde(alias = "progress_ms", deserialize_with = "null_as::<_, 300_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub progress_ms: u64,
    /// Longest time for the whole call with all its attempts, in milliseconds; default 600000.
    #[serde(alias = "total_ms", deserialize_with = "null_as::<_, 600_000>")]
    #[schemars(with = "Option<u64>", range(min = 1, max = LONGEST_TIMEOUT_MS))]
    pub total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_token_ms: 120_000,
            idle_ms: 60_000,
            progress_ms: 300_000,
            total_ms: 600_000,
        }
    }
}

impl Options {
    /// The profile's entry for `tier` and the key it is written at.
    pub fn tier_entry(&self, tier: Tier) -> Option<(&str, &TierOption)> {
        let canonical = self.tiers.get_key_value(tier.name());
        let entry = canonical.or_else(|| self.tiers.iter().find(|(key, _)| Tier::parse(key) == Some(tier)))?;
        Some((entry.0, entry.1))
    }

    /// The fallback models of a call: the tier's, else the profile's.
    pub fn fallbacks_for(&self, tier: Option<Tier>) -> &[String] {
        let own = self
            .settings_of(tier)
            .and_then(|settings| settings.fallback_models.as_deref());
        own.unwrap_or(&self.fallback_models)
    }

    /// The request plugins of a call: the tier's, else the profile's.
    pub fn plugins_for(&self, tier: Option<Tier>) -> Cow<'_, [PluginOption]> {
        let own = self.settings_of(tier).and_then(|settings| settings.plugins.as_deref());
        if let Some(own) = own {
            return Cow::Borrowed(own);
        }
        let plugins = self.plugins.as_slice();
        let is_there = || plugins.iter().any(|plugin| plugin.id == COMPRESSION);
        let Some(compress) = self.compress.filter(|_| !is_there()) else {
            return Cow::Borrowed(plugins);
        };
        let compression = PluginOption {
            id: COMPRESSION.to_owned(),
            settings: Map::from_iter((!compress).then(|| ("enabled".to_owned(), Value::Bool(false)))),
        };
        Cow::Owned(plugins.iter().cloned().chain([compression]).collect())
    }

    /// The body's parameters of a call: the profile's with the tier's over them.
    pub fn parameters_for(&self, tier: Option<Tier>) -> Map<String, Value> {
        let own = self.settings_of(tier).and_then(|settings| settings.parameters.as_ref());
        match (own, &self.parameters) {
            (Some(own), Some(base)) => own.to_wire_over(base),
            (Some(only), None) | (None, Some(only)) => only.to_wire(),
            (None, None) => Map::new(),
        }
    }

    /// The provider preferences of a call: the profile's, the tier's over them, and over both what
    /// `privacy` demands.
    pub fn preferences_for(&self, tier: Option<Tier>) -> ProviderPreferences {
        let base = self.provider_preferences.clone().unwrap_or_default();
        let own = self
            .settings_of(tier)
            .and_then(|settings| settings.provider_preferences.as_ref());
        let mut preferences = own.map(|own| own.over(&base)).unwrap_or(base);
        if self.privacy == Some(Privacy::Strict) {
            preferences.data_collection = Some(DataCollection::Deny);
            preferences.zdr = Some(true);
        }
        preferences
    }

    /// The tier's own provider preferences, and over them what `privacy` demands.
    pub fn own_preferences_for(&self, tier: Option<Tier>) -> ProviderPreferences {
        let own = Self {
            privacy: self.privacy,
            tiers: self.tiers.clone(),
            ..Self::default()
        };
        own.preferences_for(tier)
    }

    /// The settings that hold for a tier: its own, or those of the tier that it follows. Whoever gets that tier's model
    /// gets what was demanded of it, too.
    fn settings_of(&self, tier: Option<Tier>) -> Option<&TierOptions> {
        let mut tier = tier?;
        loop {
            match self.tier_entry(tier) {
                Some((_, entry)) => return entry.settings(),
                None => tier = tier.parent()?,
            }
        }
    }
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
mod tests {
    use super::*;

    fn parsed(value: Value) -> Options {
        serde_json::from_value(value).expect("these options are valid")
    }

    fn documented() -> Value {
        json!({
            "model": "anthropic/claude-sonnet-4.5",
            "tiers": {
                "TEXT_SMALL": "openai/gpt-4o-mini",
                "TEXT_MEGA": {
                    "model": "anthropic/claude-opus-4",
                    "fallbackModels": ["openai/gpt-4o"],
                    "parameters": {"temperature": 0.2},
                    "providerPreferences": {"only": ["anthropic"]},
                    "plugins": [],
                },
            },
            "fallbackModels": ["a/b", "c/d"],
            "parameters": {"maxTokens": 500, "temperature": 1},
            "providerPreferences": {"order": ["Anthropic", "AWS Bedrock"], "allowFallbacks": true},
            "plugins": [{"id": "context-compression", "engine": "middle-out"}],
            "privacy": "strict",
            "attribution": {
                "siteUrl": "https://example.org", "appName": "Example", "categories": ["cli-agent"],
            },
            "timeouts": {
                "connectMs": 1000, "firstTokenMs": 30000, "idleMs": 20000, "progressMs": 40000, "totalMs": 90000,
            },
            "retry": {"attempts": 2, "maxWaitMs": 1000, "ambiguous": true, "reduceTokens": true},
            "limits": {"requestsPerMinute": 20, "concurrency": 8, "queue": 100},
            "budget": {
                "perRequestUsd": "0.5", "perSessionUsd": 2, "perDayUsd": 10.5, "onExceed": {"stepDownTo": "TEXT_SMALL"},
                "ledger": "/tmp/ledger",
            },
            "secondary": {"baseUrl": "https://api.example.com/v1", "models": {"a/b": "b"}},
            "caches": {"modelsMs": 1000, "creditsMs": 1000, "disk": false, "folder": "/tmp/cache"},
            "baseUrl": "http://127.0.0.1:8080/api/v1",
            "compress": true,
            "strictCapabilities": true,
            "allowAnyKey": true,
        })
    }

    #[test]
    fn documented_options_survive_a_round_trip_and_have_no_problems() {
        let options = parsed(documented());
        assert_eq!(
            serde_json::to_value(&options).expect("plain JSON")["tiers"],
            documented()["tiers"]
        );
        assert_eq!(parsed(serde_json::to_value(&options).expect("plain JSON")), options);
        assert_eq!(options.problems(), []);
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let options = parsed(json!({}));
        assert_eq!(options, Options::default());
        assert_eq!(
            options.timeouts,
            Timeouts {
                connect_ms: 5_000,
                first_token_ms: 120_000,
                idle_ms: 60_000,
                progress_ms: 300_000,
                total_ms: 600_000
            },
        );
        assert!(!options.allow_any_key);
        assert_eq!(options.problems(), []);
        assert_eq!(options.preferences_for(None).to_wire(), Map::new());
    }

    #[test]
    fn null_means_not_set_everywhere() {
        let Value::Object(all) = documented() else {
            unreachable!("it is an object")
        };
        let nulls: Map<String, Value> = all.into_iter().map(|(key, _)| (key, Value::Null)).collect();
        assert_eq!(parsed(Value::Object(nulls)), Options::default());
        let inner = json!({
            "tiers": {"TEXT_SMALL": null, "TEXT_LARGE": {"model": null, "plugins": null}},
            "attribution": {"siteUrl": null, "appName": null, "categories": null},
            "timeouts": {"connectMs": null, "firstTokenMs": null, "idleMs": null, "progressMs": null, "totalMs": null},
            "retry": {"attempts": null, "maxWaitMs": null, "ambiguous": null, "reduceTokens": null},
            "limits": {"requestsPerMinute": null, "concurrency": null, "queue": null},
            "budget": {"perRequestUsd": null, "perSessionUsd": null, "perDayUsd": null, "onExceed": null, "ledger": null},
            "caches": {"modelsMs": null, "creditsMs": null, "disk": null, "folder": null},
        });
        let options = parsed(inner);
        assert_eq!(options.tiers.len(), 1);
        assert_eq!(options.attribution, Attribution::default());
        assert_eq!(options.timeouts, Timeouts::default());
        assert_eq!((options.retry, options.limits, options.caches), Default::default());
        assert_eq!(options.budget, Some(Budget::default()));
    }

    /// The same JSON with the struct keys in snake_case; names of tiers stay.
    fn in_snake_case(value: Value) -> Value {
        match value {
            Value::Object(map) => map
                .into_iter()
                .map(|(key, value)| {
                    let is_tier = Tier::parse(&key).is_some();
                    let snake: String = key
                        .chars()
                        .flat_map(|letter| {
                            let mark = letter.is_ascii_uppercase().then_some('_');
                            mark.into_iter().chain([letter.to_ascii_lowercase()])
                        })
                        .collect();
                    (if is_tier { key } else { snake }, in_snake_case(value))
                })
                .collect(),
            Value::Array(values) => values.into_iter().map(in_snake_case).collect(),
            other => other,
        }
    }

    #[test]
    fn snake_case_is_accepted_for_every_key() {
        let snake = in_snake_case(documented());
        assert!(snake.get("provider_preferences").is_some());
        assert_eq!(parsed(snake), parsed(documented()));
    }

    #[test]
    fn the_schema_names_both_spellings_of_every_key_that_the_structs_read() {
        let schema = schemars::schema_for!(Options).to_value();
        let mut structs = vec![("Options", &schema)];
        let definitions = schema["$defs"].as_object().expect("the schema has definitions");
        structs.extend(definitions.iter().map(|(name, schema)| (name.as_str(), schema)));
        let mut n_pairs = 0;
        for (name, schema) in structs {
            let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
                continue;
            };
            for key in properties.keys().filter(|key| key.contains(char::is_uppercase)) {
                let Value::Object(pair) = in_snake_case(json!({key: null})) else {
                    unreachable!("an object stays one");
                };
                let snake = pair.keys().next().expect("it has one key").clone();
                assert!(
                    schema["patternProperties"].get(format!("^{snake}$")).is_some(),
                    "{name} lacks {snake}",
                );
                let value = json!({snake.as_str(): null});
                let read = match name {
                    "Options" => serde_json::from_value::<Options>(value).map(drop),
                    "TierOptions" => serde_json::from_value::<TierOptions>(value).map(drop),
                    "Attribution" => serde_json::from_value::<Attribution>(value).map(drop),
                    "Timeouts" => serde_json::from_value::<Timeouts>(value).map(drop),
                    "Retry" => serde_json::from_value::<Retry>(value).map(drop),
                    "Limits" => serde_json::from_value::<Limits>(value).map(drop),
                    "Budget" => serde_json::from_value::<Budget>(value).map(drop),
                    "Caches" => serde_json::from_value::<Caches>(value).map(drop),
                    "Secondary" => {
                        let value = json!({snake.as_str(): "https://api.example.com"});
                        serde_json::from_value::<Secondary>(value).map(drop)
                    }
                    "Parameters" => serde_json::from_value::<Parameters>(value).map(drop),
                    "Reasoning" => serde_json::from_value::<crate::profile::parameters::Reasoning>(value).map(drop),
                    "ProviderPreferences" => serde_json::from_value::<ProviderPreferences>(value).map(drop),
                    other => panic!("the test does not know `{other}`"),
                };
                assert!(read.is_ok(), "{name} does not read {snake}");
                n_pairs += 1;
            }
        }
        assert_eq!(n_pairs, 46);
    }

    #[test]
    fn the_schema_has_the_limits_of_the_options() {
        let schema = schemars::schema_for!(Options).to_value();
        let fallbacks = &schema["properties"]["fallbackModels"];
        assert_eq!(
            (&fallbacks["maxItems"], &fallbacks["items"]["minLength"]),
            (&json!(10), &json!(1))
        );
        let names = &schema["properties"]["tiers"]["propertyNames"]["enum"];
        assert_eq!(names, &json!(tiers::accepted_names()));
        let connect = &schema["$defs"]["Timeouts"]["properties"]["connectMs"];
        assert_eq!(
            (&connect["minimum"], &connect["maximum"]),
            (&json!(1), &json!(3_600_000))
        );
        assert_eq!(connect["default"], json!(5_000));
        let categories = &schema["$defs"]["Attribution"]["properties"]["categories"];
        assert_eq!(
            (&categories["maxItems"], &categories["items"]["maxLength"]),
            (&json!(2), &json!(30))
        );
        let parameters = &schema["$defs"]["Parameters"]["properties"];
        assert_eq!(parameters["temperature"]["maximum"], json!(2));
        assert_eq!(parameters["frequencyPenalty"]["minimum"], json!(-2));
        assert_eq!(parameters["logitBias"]["additionalProperties"]["maximum"], json!(100));
        assert_eq!(parameters["sessionId"]["maxLength"], json!(256));
        assert_eq!(schema["$defs"]["Stop"]["anyOf"][1]["maxItems"], json!(4));
        assert_eq!(schema["additionalProperties"], json!(false));
    }

    #[test]
    fn unknown_options_are_refused_by_name() {
        let refused = serde_json::from_value::<Options>(json!({"modle": "a/b"}));
        let message = refused.expect_err("not an option").to_string();
        assert!(message.starts_with("unknown field `modle`"), "{message}");
        let refused = serde_json::from_value::<Options>(json!({"tiers": {"TEXT_SMALL": 1}}));
        assert_eq!(
            refused.expect_err("not a tier").to_string(),
            "expected a model id or an object with the tier's settings",
        );
    }

    #[test]
    fn request_plugins_keep_their_settings_verbatim() {
        let plugin = json!({"id": "web", "max_results": 3, "nested": {"keepCase": [1, null]}});
        let options = parsed(json!({"plugins": [plugin]}));
        let sent = serde_json::to_string(&options.plugins_for(None)).expect("plain JSON");
        assert_eq!(sent, r#"[{"id":"web","max_results":3,"nested":{"keepCase":[1,null]}}]"#);
    }

    #[test]
    fn a_tiers_settings_lie_over_the_profiles() {
        let options = parsed(documented());
        let mega = Some(Tier::TextMega);
        assert_eq!(options.fallbacks_for(mega), ["openai/gpt-4o"]);
        assert_eq!(options.fallbacks_for(Some(Tier::TextSmall)), ["a/b", "c/d"]);
        assert_eq!(options.fallbacks_for(None), ["a/b", "c/d"]);
        assert_eq!(*options.plugins_for(mega), []);
        assert_eq!(options.plugins_for(None).len(), 1);
        assert_eq!(
            Value::Object(options.parameters_for(mega)),
            json!({"temperature": 0.2, "max_tokens": 500}),
        );
        assert_eq!(
            Value::Object(options.preferences_for(mega).to_wire()),
            json!({
                "order": ["anthropic", "amazon-bedrock"], "only": ["anthropic"],
                "allow_fallbacks": true, "data_collection": "deny", "zdr": true,
            }),
        );
    }

    #[test]
    fn a_tier_that_follows_another_follows_its_demands_too() {
        let options = parsed(json!({
            "tiers": {
                "TEXT_LARGE": {"model": "a/b", "providerPreferences": {"zdr": true}},
                "RESPONSE_HANDLER": "c/d",
            },
        }));
        let zdr = |tier| options.preferences_for(Some(tier)).to_wire().get("zdr").cloned();
        assert_eq!(zdr(Tier::TextMega), Some(json!(true)));
        assert_eq!((zdr(Tier::ResponseHandler), zdr(Tier::TextSmall)), (None, None));
    }
}
