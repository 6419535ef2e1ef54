//! The request formats of the service, told apart by the path of a request.
//!
//! The plugin builds chat requests itself. Requests in the other formats are passed on with the model resolved,
//! and with those of the profile's parameters that the format has a name for. Pure.

use serde_json::{Map, Value};

use crate::profile::tiers::Tier;

/// A format of request and answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's chat completions.
    Chat,
    /// OpenAI's older text completions.
    Completions,
    /// OpenAI's responses.
    Responses,
    /// Anthropic's messages.
    Messages,
    /// Embeddings.
    Embeddings,
    /// Anything else: lists, files, audio.
    Other,
}

/// Parameters of responses: the name in chat, and the name there.
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
/// Parameters of messages: the name in chat, and the name there.
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
/// Parameters of embeddings: the name in chat, and the name there.
const EMBEDDINGS_PARAMETERS: [(&str, &str); 1] = [("user", "user")];
/// Parameters of chat that older completions do not know.
const NOT_IN_COMPLETIONS: [&str; 3] = ["reasoning", "parallel_tool_calls", "verbosity"];

/// Groups of parameters with the same meaning: setting one sets the whole group.
const SYNONYMS: [&[&str]; 3] = [
    &["max_tokens", "max_completion_tokens"],
    &["reasoning", "reasoning_effort", "include_reasoning", "thinking"],
    &["stop", "stop_sequences"],
];

impl Dialect {
    /// The format of a request to a path below the service's address. Ignores the query.
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

    /// The tier whose model answers a request that names neither a model nor a tier.
    pub fn default_tier(self) -> Option<Tier> {
        match self {
            Self::Chat | Self::Completions | Self::Responses | Self::Messages => Some(Tier::TextLarge),
            Self::Embeddings => Some(Tier::TextEmbedding),
            Self::Other => None,
        }
    }

    /// The parameters that limit the length of an answer, the usual one last.
    pub fn max_tokens_names(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["max_completion_tokens", "max_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Completions | Self::Messages | Self::Embeddings | Self::Other => &["max_tokens"],
        }
    }

    /// Whether the answer is a text. Only such models have fallbacks.
    pub fn writes_text(self) -> bool {
        matches!(self, Self::Chat | Self::Completions | Self::Responses | Self::Messages)
    }

    /// Whether a request may list fallback models.
    pub fn has_fallbacks(self) -> bool {
        self.writes_text()
    }

    /// Whether a request may list the service's request plugins.
    pub fn has_plugins(self) -> bool {
        self.has_fallbacks()
    }

    /// Whether a request may contain provider preferences.
    pub fn has_provider(self) -> bool {
        self != Self::Other
    }

    /// The profile's parameters, under their names in this format. Drops those that it does not know.
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
                parameters.retain(|name, _| !NOT_IN_COMPLETIONS.contains(&name.as_str()));
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

/// Whether a request already sets `name`, or something with the same meaning, so that it needs no default.
///
/// - In: `has`, whether the request has a parameter of that name.
pub fn is_set(name: &str, has: impl Fn(&str) -> bool) -> bool {
    has(name)
        || SYNONYMS
            .iter()
            .any(|names| names.contains(&name) && names.iter().any(|other| has(other)))
        // With Anthropic's `thinking`, models accept no other sampling parameters.
        || ["temperature", "top_p", "top_k"].contains(&name) && has("thinking")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_format_follows_from_method_and_path() {
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
    fn defaults_have_the_names_of_the_format() {
        let all = json!({"temperature": 0.5, "max_tokens": 7, "stop": "END", "min_p": 0.1, "user": "u",
            "reasoning": {"effort": "low"}});
        let named = |dialect: Dialect| Value::Object(dialect.defaults(all.as_object().cloned().unwrap_or_default()));
        assert_eq!(named(Dialect::Chat), all);
        let responses =
            json!({"temperature": 0.5, "max_output_tokens": 7, "reasoning": {"effort": "low"}, "user": "u"});
        assert_eq!(named(Dialect::Responses), responses);
        let messages = json!({"temperature": 0.5, "max_tokens": 7, "stop_sequences": ["END"]});
        assert_eq!(named(Dialect::Messages), messages);
        assert_eq!(named(Dialect::Embeddings), json!({"user": "u"}));
        assert_eq!(named(Dialect::Other), json!({}));
        assert!(named(Dialect::Completions).get("reasoning").is_none());
    }

    #[test]
    fn a_parameter_counts_as_set_under_any_of_its_names() {
        let has = |name: &str| name == "reasoning_effort" || name == "max_completion_tokens";
        assert!(is_set("reasoning", has) && is_set("max_tokens", has));
        assert!(!is_set("temperature", has) && !is_set("stop", has));
    }
}
