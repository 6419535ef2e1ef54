//! The forms in which the service can be asked, by the path of a request.
//!
//! Chat is what the plugin speaks itself; the others are passed on as they come, with the model resolved, and with those of the
//! profile's defaults that the form has a name for. Pure.

use serde_json::{Map, Value};

use crate::profile::tiers::Tier;

/// A form of request and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's older completions of a text.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Vectors of texts.
    Embeddings,
    /// Anything else: lists, files, sound.
    Other,
}

/// The profile's parameters that a form of request has, by their names in chat and in that form.
const RESPONSES_PARAMETERS: [(&str, &str); 13] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("frequency_penalty", "frequency_penalty"),
    ("presence_penalty", "presence_penalty"),
    ("top_logprobs", "top_logprobs"),
    ("max_tokens", "max_output_tokens"),
    ("max_completion_tokens", "max_output_tokens"),
    ("reasoning", "reasoning"),
    ("parallel_tool_calls", "parallel_tool_calls"),
    ("user", "user"),
    ("session_id", "session_id"),
    ("service_tier", "service_tier"),
];
const MESSAGES_PARAMETERS: [(&str, &str); 8] = [
    ("temperature", "temperature"),
    ("top_p", "top_p"),
    ("top_k", "top_k"),
    ("max_tokens", "max_tokens"),
    ("max_completion_tokens", "max_tokens"),
    ("stop", "stop_sequences"),
    ("session_id", "session_id"),
    ("service_tier", "service_tier"),
];
const EMBEDDINGS_PARAMETERS: [(&str, &str); 1] = [("user", "user")];
/// Parameters of chat that an older completion has no name for.
const NOT_OF_COMPLETIONS: [&str; 3] = ["reasoning", "parallel_tool_calls", "verbosity"];

/// Parameters that mean the same: who says one of them has said the others too.
const SAME: [&[&str]; 3] = [
    &["max_tokens", "max_completion_tokens"],
    &["reasoning", "reasoning_effort", "include_reasoning", "thinking"],
    &["stop", "stop_sequences"],
];

impl Dialect {
    /// The form of a request to a path below the service's address; a query is no part of it.
    pub fn of(method: &str, path: &str) -> Self {
        if method != "POST" {
            return Self::Other;
        }
        match path.split('?').next().unwrap_or(path).trim_end_matches('/') {
            "/chat/completions" => Self::Chat,
            "/completions" => Self::Completions,
            "/responses" => Self::Responses,
            "/messages" => Self::Messages,
            "/embeddings" => Self::Embeddings,
            _ => Self::Other,
        }
    }

    /// The tier whose model is meant by a request that names none.
    pub fn default_tier(self) -> Option<Tier> {
        match self {
            Self::Chat | Self::Completions | Self::Responses | Self::Messages => Some(Tier::TextLarge),
            Self::Embeddings => Some(Tier::TextEmbedding),
            Self::Other => None,
        }
    }

    /// The names under which it limits the length of an answer, the usual one last.
    pub fn max_tokens_names(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["max_completion_tokens", "max_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Completions | Self::Messages | Self::Embeddings | Self::Other => &["max_tokens"],
        }
    }

    /// Whether it has a list of models that stand behind the first one.
    pub fn has_fallbacks(self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Responses)
    }

    /// Whether it has the service's own request plugins.
    pub fn has_plugins(self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Responses | Self::Messages)
    }

    /// Whether it has an object of provider preferences.
    pub fn has_provider(self) -> bool {
        self != Self::Other
    }

    /// The profile's parameters of chat, by their names in this form; those that it has no name for are left out.
    pub fn defaults(self, parameters: Map<String, Value>) -> Map<String, Value> {
        let renamed = |names: &[(&str, &str)]| {
            let mut parameters = parameters.clone();
            let mut named = Map::new();
            for (name, here) in names {
                if let Some(value) = parameters.shift_remove(*name) {
                    named.insert((*here).to_owned(), value);
                }
            }
            named
        };
        match self {
            Self::Chat => parameters,
            Self::Completions => {
                let mut parameters = parameters;
                parameters.retain(|name, _| !NOT_OF_COMPLETIONS.contains(&name.as_str()));
                parameters
            }
            Self::Responses => renamed(&RESPONSES_PARAMETERS),
            Self::Messages => {
                let mut named = renamed(&MESSAGES_PARAMETERS);
                if let Some(stop) = named.get_mut("stop_sequences")
                    && stop.is_string()
                {
                    *stop = Value::Array(vec![stop.take()]);
                }
                named
            }
            Self::Embeddings => renamed(&EMBEDDINGS_PARAMETERS),
            Self::Other => Map::new(),
        }
    }
}

/// Whether a request that has `said` a parameter needs no default for `name`.
pub fn is_said(name: &str, said: impl Fn(&str) -> bool) -> bool {
    said(name)
        || SAME
            .iter()
            .any(|names| names.contains(&name) && names.iter().any(|other| said(other)))
        // Models that think in Anthropic's form take no other sampling.
        || ["temperature", "top_p", "top_k"].contains(&name) && said("thinking")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_form_follows_from_method_and_path() {
        let rows = [
            ("POST", "/chat/completions", Dialect::Chat),
            ("POST", "/chat/completions?x=/messages", Dialect::Chat),
            ("POST", "/chat/completions/", Dialect::Chat),
            ("GET", "/chat/completions", Dialect::Other),
            ("POST", "/messages", Dialect::Messages),
            ("POST", "/messages/count_tokens", Dialect::Other),
            ("POST", "/responses", Dialect::Responses),
            ("POST", "/completions", Dialect::Completions),
            ("POST", "/embeddings", Dialect::Embeddings),
            ("GET", "/embeddings/models", Dialect::Other),
        ];
        for (method, path, dialect) in rows {
            assert_eq!(Dialect::of(method, path), dialect, "{method} {path}");
        }
    }

    #[test]
    fn defaults_have_the_names_of_the_form() {
        let parameters = || {
            let all = json!({"temperature": 0.5, "max_tokens": 7, "stop": "END", "min_p": 0.1, "reasoning": {"effort": "low"},
                "user": "u"});
            all.as_object().cloned().unwrap_or_default()
        };
        let named = |dialect: Dialect| Value::Object(dialect.defaults(parameters()));
        assert_eq!(named(Dialect::Chat), Value::Object(parameters()));
        assert_eq!(
            named(Dialect::Responses),
            json!({"temperature": 0.5, "max_output_tokens": 7, "reasoning": {"effort": "low"}, "user": "u"})
        );
        assert_eq!(
            named(Dialect::Messages),
            json!({"temperature": 0.5, "max_tokens": 7, "stop_sequences": ["END"]})
        );
        assert_eq!(named(Dialect::Embeddings), json!({"user": "u"}));
        assert_eq!(named(Dialect::Other), json!({}));
        assert!(named(Dialect::Completions).get("reasoning").is_none());
    }

    #[test]
    fn who_says_a_thing_by_another_name_has_said_it() {
        let said = |name: &str| name == "reasoning_effort" || name == "max_completion_tokens";
        assert!(is_said("reasoning", said) && is_said("max_tokens", said));
        assert!(!is_said("temperature", said) && !is_said("stop", said));
    }
}
