//! Sampling and output parameters of a profile.
//!
//! In: `parameters` of a profile or of one of its tiers. Out: fields of the request's body, in snake_case. Pure.
//! Only the fields that are set are sent, so that each provider uses its own default for the others.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::values::spelling::{accept_snake_case, add_extra, number, set};

/// How the model samples and how much it writes. Only the fields you set are sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Parameters {
    /// Randomness, 0 to 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub temperature: Option<f64>,
    /// Sample only from the likeliest tokens whose probabilities add up to this, 0 to 1.
    #[serde(alias = "top_p", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub top_p: Option<f64>,
    /// Sample only from this many of the likeliest tokens; 0 means all.
    #[serde(alias = "top_k", skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u64>,
    /// Lowest probability of a token, relative to the likeliest one, 0 to 1.
    #[serde(alias = "min_p", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub min_p: Option<f64>,
    /// Like `minP`, relative to the square of the likeliest token's probability, 0 to 1.
    #[serde(alias = "top_a", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub top_a: Option<f64>,
    /// Penalty on tokens in proportion to how often they have occurred, -2 to 2.
    #[serde(alias = "frequency_penalty", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -2, max = 2))]
    pub frequency_penalty: Option<f64>,
    /// Penalty on tokens that have occurred at all, -2 to 2.
    #[serde(alias = "presence_penalty", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = -2, max = 2))]
    pub presence_penalty: Option<f64>,
    /// Penalty on tokens of the input, 0 to 2; 1 changes nothing.
    #[serde(alias = "repetition_penalty", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2))]
    pub repetition_penalty: Option<f64>,
    /// Seed for sampling: repeated requests get the same answer, as far as the provider can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    /// Text at which the answer stops: a string, or a list of up to four.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
    /// Longest answer, in tokens. Providers that cannot write that much are not used. Without it,
    /// OpenRouter checks the balance against the longest answer that the model can give.
    #[serde(alias = "max_tokens", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// The newer name of `maxTokens`. Fewer providers know it.
    #[serde(alias = "max_completion_tokens", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_completion_tokens: Option<u64>,
    /// Bias per token id, -100 to 100.
    #[serde(alias = "logit_bias", skip_serializing_if = "Option::is_none")]
    #[schemars(transform = limit_biases)]
    pub logit_bias: Option<BTreeMap<String, f64>>,
    /// Whether to return the log probabilities of the tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub logprobs: Option<bool>,
    /// How many alternatives to return per token, 0 to 20. Needs `logprobs`.
    #[serde(alias = "top_logprobs", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 20))]
    pub top_logprobs: Option<u8>,
    /// How much the model thinks before it answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning: Option<Reasoning>,
    /// How much the model says. OpenRouter's default: medium.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verbosity: Option<Verbosity>,
    /// Whether the model may call several tools at once. OpenRouter's default: true.
    #[serde(alias = "parallel_tool_calls", skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    /// A stable id of the end user, with which OpenRouter detects abuse. No personal data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Groups requests that belong together, up to 256 characters. They stay with one provider, which
    /// keeps prompt caches warm.
    #[serde(alias = "session_id", skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub session_id: Option<String>,
    /// The provider's service tier, such as `auto`, `default`, `flex` or `priority`.
    #[serde(alias = "service_tier", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1))]
    pub service_tier: Option<String>,
    /// More fields of the request's body, written as OpenRouter documents them. They are sent unchanged
    /// and never replace a field that is set elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
}

/// Text at which the answer stops: a string, or a list of up to four.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a string or a list of up to four strings")]
pub enum Stop {
    /// One text.
    One(String),
    /// Several texts; the first that occurs counts.
    Several(#[schemars(length(max = 4))] Vec<String>),
}

/// How much the model thinks. Set `effort` or `maxTokens`, not both.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct Reasoning {
    /// The share of the answer's tokens that may go into thinking.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub effort: Option<Effort>,
    /// Most tokens to spend on thinking. The limit of the answer must be higher.
    #[serde(alias = "max_tokens", skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<u64>,
    /// Whether to leave the thoughts out of the answer. OpenRouter's default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<bool>,
    /// Whether to think at all, with the model's default effort.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// How detailed a summary of the thoughts to return, for models that summarise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<Summary>,
}

/// The share of the answer's tokens that may go into thinking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effort {
    /// 95 %.
    Max,
    /// 95 %, for models that do not know `max`.
    Xhigh,
    /// 80 %.
    High,
    /// 50 %.
    Medium,
    /// 20 %.
    Low,
    /// 10 %.
    Minimal,
    /// No thinking.
    None,
}

/// How detailed a summary of the thoughts to return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Summary {
    /// The model decides.
    Auto,
    /// Short.
    Concise,
    /// Long.
    Detailed,
}

/// How much the model says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verbosity {
    /// Short answers.
    Low,
    /// The usual.
    Medium,
    /// Long answers.
    High,
    /// Longer answers, for models that know `xhigh`.
    Xhigh,
    /// The longest answers, for models that know `max`.
    Max,
}

impl Parameters {
    /// Builds fields of the request's body.
    ///
    /// - Out: only the fields that are set, in snake_case and a fixed order, `extra` last. They must not
    ///   replace fields of the request itself, such as `model` and `messages`; the caller sees to that.
    /// - Source: OpenRouter docs, `api_reference/parameters`.
    pub fn to_wire(&self) -> Map<String, Value> {
        self.to_wire_over(&Self::default())
    }

    /// Like [`to_wire`](Self::to_wire), with every field that is not set here taken from `base`.
    pub fn to_wire_over(&self, base: &Self) -> Map<String, Value> {
        let mut wire = base.typed_fields();
        wire.extend(self.typed_fields());
        add_extra(&mut wire, self.extra.as_ref());
        add_extra(&mut wire, base.extra.as_ref());
        wire
    }

    fn typed_fields(&self) -> Map<String, Value> {
        let mut wire = Map::new();
        set(&mut wire, "temperature", self.temperature.map(number));
        set(&mut wire, "top_p", self.top_p.map(number));
        set(&mut wire, "top_k", self.top_k);
        set(&mut wire, "min_p", self.min_p.map(number));
        set(&mut wire, "top_a", self.top_a.map(number));
        set(&mut wire, "frequency_penalty", self.frequency_penalty.map(number));
        set(&mut wire, "presence_penalty", self.presence_penalty.map(number));
        set(&mut wire, "repetition_penalty", self.repetition_penalty.map(number));
        set(&mut wire, "seed", self.seed);
        set(&mut wire, "stop", self.stop.as_ref());
        set(&mut wire, "max_tokens", self.max_tokens);
        set(&mut wire, "max_completion_tokens", self.max_completion_tokens);
        let logit_bias = self.logit_bias.as_ref().map(|biases| {
            biases
                .iter()
                .map(|(token, bias)| (token.clone(), number(*bias)))
                .collect::<Value>()
        });
        set(&mut wire, "logit_bias", logit_bias);
        set(&mut wire, "logprobs", self.logprobs);
        set(&mut wire, "top_logprobs", self.top_logprobs);
        set(
            &mut wire,
            "reasoning",
            self.reasoning.as_ref().and_then(Reasoning::to_wire),
        );
        set(&mut wire, "verbosity", self.verbosity);
        set(&mut wire, "parallel_tool_calls", self.parallel_tool_calls);
        set(&mut wire, "user", self.user.as_ref());
        set(&mut wire, "session_id", self.session_id.as_ref());
        set(&mut wire, "service_tier", self.service_tier.as_ref());
        wire
    }
}

impl Reasoning {
    fn to_wire(&self) -> Option<Value> {
        let mut wire = Map::new();
        set(&mut wire, "effort", self.effort);
        set(&mut wire, "max_tokens", self.max_tokens);
        set(&mut wire, "exclude", self.exclude);
        set(&mut wire, "enabled", self.enabled);
        set(&mut wire, "summary", self.summary);
        (!wire.is_empty()).then_some(Value::Object(wire))
    }
}

fn limit_biases(schema: &mut schemars::Schema) {
    if let Some(bias) = schema.get_mut("additionalProperties").and_then(Value::as_object_mut) {
        bias.insert("minimum".to_owned(), Value::from(-100));
        bias.insert("maximum".to_owned(), Value::from(100));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kit::{parsed, refused};

    fn everything() -> Value {
        json!({
            "temperature": 0.7, "topP": 1, "topK": 40, "minP": 0.05, "topA": 0.1,
            "frequencyPenalty": -0.5, "presencePenalty": 0.5, "repetitionPenalty": 1.1,
            "seed": -7, "stop": ["END", "\n"], "maxTokens": 1000, "maxCompletionTokens": 900,
            "logitBias": {"50256": -100, "7": 0.5}, "logprobs": true, "topLogprobs": 5,
            "reasoning": {"effort": "xhigh", "maxTokens": 500, "exclude": false, "enabled": true, "summary": "auto"},
            "verbosity": "low", "parallelToolCalls": false, "user": "u-1", "sessionId": "s-1", "serviceTier": "flex",
            "extra": {"prediction": {"type": "content"}, "seed": 8},
        })
    }

    #[test]
    fn every_parameter_is_sent_in_snake_case_and_in_a_fixed_order() {
        assert_eq!(
            Value::Object(parsed::<Parameters>(everything()).to_wire()).to_string(),
            concat!(
                r#"{"temperature":0.7,"top_p":1,"top_k":40,"min_p":0.05,"top_a":0.1,"#,
                r#""frequency_penalty":-0.5,"presence_penalty":0.5,"repetition_penalty":1.1,"#,
                r#""seed":-7,"stop":["END","\n"],"max_tokens":1000,"max_completion_tokens":900,"#,
                r#""logit_bias":{"50256":-100,"7":0.5},"logprobs":true,"top_logprobs":5,"#,
                r#""reasoning":{"effort":"xhigh","max_tokens":500,"exclude":false,"#,
                r#""enabled":true,"summary":"auto"},"verbosity":"low","#,
                r#""parallel_tool_calls":false,"user":"u-1","session_id":"s-1","#,
                r#""service_tier":"flex","prediction":{"type":"content"}}"#,
            ),
        );
    }

    #[test]
    fn null_and_absent_parameters_are_not_sent() {
        assert_eq!(Parameters::default().to_wire(), Map::new());
        let Value::Object(all) = everything() else {
            unreachable!("it is an object")
        };
        let nulls: Map<String, Value> = all.into_iter().map(|(key, _)| (key, Value::Null)).collect();
        assert_eq!(parsed::<Parameters>(Value::Object(nulls)), Parameters::default());
        assert_eq!(parsed::<Parameters>(json!({"reasoning": {}})).to_wire(), Map::new());
    }

    #[test]
    fn extra_fields_never_replace_a_parameter() {
        let own: Parameters = parsed(json!({"maxTokens": 5, "extra": {"max_tokens": 9, "z": [1], "a": null}}));
        let wire = Value::Object(own.to_wire()).to_string();
        assert_eq!(wire, r#"{"max_tokens":5,"z":[1],"a":null}"#);
    }

    #[test]
    fn parameters_of_a_tier_override_the_profiles() {
        let base = parsed(json!({"seed": 1, "maxTokens": 5, "extra": {"a": 1, "b": 1, "top_k": 2}}));
        let own: Parameters = parsed(json!({"topK": 3, "seed": 2, "extra": {"b": 2, "max_tokens": 9}}));
        let wire = Value::Object(own.to_wire_over(&base)).to_string();
        assert_eq!(wire, r#"{"seed":2,"max_tokens":5,"top_k":3,"b":2,"a":1}"#);
    }

    #[test]
    fn one_stop_text_stays_a_string() {
        let stop: Parameters = parsed(json!({"stop": "END"}));
        assert_eq!(Value::Object(stop.to_wire()), json!({"stop": "END"}));
    }

    #[test]
    fn unknown_and_malformed_parameters_are_refused() {
        assert!(refused::<Parameters>(json!({"temprature": 1})).starts_with("unknown field `temprature`"));
        let effort = refused::<Parameters>(json!({"reasoning": {"effort": "huge"}}));
        assert!(effort.contains("unknown variant `huge`"), "{effort}");
        let stop = refused::<Parameters>(json!({"stop": 1}));
        assert_eq!(stop, "expected a string or a list of up to four strings");
    }
}
