//! Judges whether a model supports what is configured for it. Pure.

use plugin_api::Finding;
use serde_json::{Map, Value};

use super::{Chain, is_chat};
use crate::diagnose::{failed, ok, warning};
use crate::models::{Catalogue, Model};
use crate::profile::tiers::Tier;
use crate::service::Settings;

/// The parameters that the service lists per model in `supported_parameters`.
// Source: OpenRouter's API description, schema `Parameter`.
const LISTED_PARAMETERS: [&str; 26] = [
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "top_a",
    "frequency_penalty",
    "presence_penalty",
    "repetition_penalty",
    "max_tokens",
    "max_completion_tokens",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "prediction",
    "seed",
    "response_format",
    "structured_outputs",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "include_reasoning",
    "reasoning",
    "reasoning_effort",
    "web_search_options",
    "verbosity",
];

/// Two names for the longest answer. Every model supports one of them.
const ANSWER_LIMITS: [&str; 2] = ["max_completion_tokens", "max_tokens"];

/// Whether the models of a tier support its configuration; `None` if nothing is configured or nothing is known.
pub fn judge_abilities(chain: &Chain, settings: &Settings, catalogue: &Catalogue) -> Option<Finding> {
    let tier = chain.tier();
    let parameters = match is_chat(tier) {
        true => settings.profile.options.parameters_for(Some(tier)),
        false => Map::new(),
    };
    let models: Vec<&Model> = chain.models.iter().filter_map(|id| catalogue.find(id)).collect();
    let needs_modality = matches!(tier, Tier::Image | Tier::ImageDescription);
    if models.is_empty() || (parameters.is_empty() && !needs_modality) {
        return None;
    }
    let id = format!("model_able:{tier}");
    let lacks: Vec<String> = models
        .iter()
        .flat_map(|model| lacks(tier, &parameters, model))
        .collect();
    if lacks.is_empty() {
        return Some(ok(id, format!("{tier} supports everything configured for it")));
    }
    let summary = lacks.join("; ");
    let remedy = format!("choose another model for {tier}, or remove what it lacks from the tier's `parameters`");
    let requires = settings.profile.options.preferences_for(Some(tier)).require_parameters == Some(true);
    if requires
        && models
            .iter()
            .all(|model| !unknown_parameters(&parameters, model).is_empty())
    {
        return Some(failed(
            id,
            format!("{summary}; with `requireParameters` no provider is left"),
            remedy,
        ));
    }
    Some(warning(id, summary, remedy))
}

/// What a model does not support, one clause each.
fn lacks(tier: Tier, parameters: &Map<String, Value>, model: &Model) -> Vec<String> {
    let mut lacks = Vec::new();
    let unknown = unknown_parameters(parameters, model);
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("`{name}`")).collect();
        lacks.push(format!("`{}` does not support {}", model.id, names.join(", ")));
    }
    let wanted = ANSWER_LIMITS.iter().find_map(|name| parameters.get(*name)?.as_u64());
    if let (Some(wanted), Some(most)) = (wanted, model.max_completion_tokens)
        && wanted > most
    {
        lacks.push(format!(
            "`{}` writes at most {most} tokens, but {wanted} are configured",
            model.id
        ));
    }
    let is_without = |modalities: &[String]| !modalities.is_empty() && !modalities.iter().any(|one| one == "image");
    if tier == Tier::ImageDescription && is_without(&model.input_modalities) {
        lacks.push(format!("`{}` does not accept images", model.id));
    }
    if tier == Tier::Image && is_without(&model.output_modalities) {
        lacks.push(format!("`{}` does not generate images", model.id));
    }
    lacks
}

/// The configured parameters that a model does not support, as far as the service lists them.
fn unknown_parameters<'a>(parameters: &'a Map<String, Value>, model: &Model) -> Vec<&'a str> {
    let supported = &model.supported_parameters;
    if supported.is_empty() {
        return Vec::new();
    }
    let knows = |name: &str| supported.iter().any(|known| known == name);
    let is_unknown = |name: &&str| match ANSWER_LIMITS.contains(name) {
        true => !ANSWER_LIMITS.into_iter().any(knows),
        false => LISTED_PARAMETERS.contains(name) && !knows(name),
    };
    parameters.keys().map(String::as_str).filter(is_unknown).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::diagnose::models::tests::seen;

    /// The findings for tiers, each shortened where it says the same as the others.
    fn able(tiers: &Value) -> Vec<String> {
        let lines = seen(json!({ "tiers": tiers })).into_iter();
        let short = |line: String| {
            let tier = line
                .split(": ")
                .next()
                .and_then(|id| id.split(':').nth(1))
                .unwrap_or_default();
            let remedy =
                format!("choose another model for {tier}, or remove what it lacks from the tier's `parameters`");
            let ok = format!("{tier} supports everything configured for it");
            line.replace(&remedy, "REMEDY").replace(&ok, "SUPPORTED")
        };
        lines.filter(|line| line.contains("model_able")).map(short).collect()
    }

    #[test]
    fn everything_a_model_lacks_is_named() {
        let demanding = json!({"temperature": 1, "maxCompletionTokens": 500, "reasoning": {"effort": "low"},
            "user": "u", "extra": {"tools": [], "new_field": 1}});
        let large = json!({"temperature": 1, "reasoning": {"effort": "low"}});
        let rows = [
            json!({"TEXT_SMALL": {"model": "acme/small", "parameters": demanding},
                "TEXT_LARGE": {"model": "acme/large", "parameters": large}}),
            json!({"TEXT_LARGE": {"model": "acme/large", "parameters": {"maxTokens": 1001}}}),
            json!({"IMAGE_DESCRIPTION": "acme/large", "IMAGE": "acme/large"}),
            json!({"IMAGE_DESCRIPTION": "acme/small", "IMAGE": "acme/painter"}),
        ];
        let expected = [
            "warning model_able:TEXT_SMALL: `acme/small` does not support `temperature`, `reasoning`, `tools` | REMEDY",
            "ok model_able:TEXT_LARGE: SUPPORTED",
            "warning model_able:TEXT_LARGE: `acme/large` writes at most 1000 tokens, but 1001 are configured | REMEDY",
            "warning model_able:IMAGE_DESCRIPTION: `acme/large` does not accept images | REMEDY",
            "warning model_able:IMAGE: `acme/large` does not generate images | REMEDY",
            "ok model_able:IMAGE_DESCRIPTION: SUPPORTED",
            "ok model_able:IMAGE: SUPPORTED",
        ];
        assert_eq!(rows.iter().flat_map(able).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn required_parameters_that_no_model_supports_leave_no_provider() {
        let tier = |fallbacks: &[&str]| {
            able(&json!({"TEXT_SMALL": {
                "model": "acme/small", "fallbackModels": fallbacks, "parameters": {"temperature": 1},
                "providerPreferences": {"requireParameters": true},
            }}))
        };
        let failed = "failed model_able:TEXT_SMALL: `acme/small` does not support `temperature`; with \
                      `requireParameters` no provider is left | REMEDY";
        assert_eq!(tier(&[]), [failed]);
        assert!(tier(&["acme/large"])[0].starts_with("warning "));
    }
}
