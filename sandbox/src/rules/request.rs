//! A chat request that was found to be in order.
//!
//! Made by [`crate::rules`] only, so that nobody further on has to look at JSON or check anything twice.

use serde_json::Value;

/// What the rest of the sandbox needs to know of a chat request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Chat {
    /// `model` and then `models`, each once; empty means the default of the account.
    pub(crate) models: Vec<String>,
    pub(crate) stream: bool,
    pub(crate) routing: Preferences,
    /// `max_tokens` or `max_completion_tokens`.
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) prompt_tokens: u64,
    /// Text of the last message whose role is `user`.
    pub(crate) last_user_text: String,
    /// Texts of the tool messages which end the conversation, in order.
    pub(crate) tool_results: Vec<String>,
    /// `reasoning_details` of the last assistant message.
    pub(crate) returned_reasoning: Option<Vec<Value>>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) one_call_only: bool,
    pub(crate) format: Format,
    pub(crate) hides_reasoning: bool,
    /// The names that `supported_parameters` of a model may list, among those set.
    pub(crate) parameters: Vec<&'static str>,
    pub(crate) session_id: Option<String>,
    pub(crate) user: Option<String>,
}

/// A function of the request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// JSON Schema of the arguments; null if there is none.
    pub(crate) parameters: Value,
}

/// Whether the answer may, must or must not call tools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Free,
    None,
    Required,
    Named(String),
}

/// What the text of the answer has to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
    Schema(Value),
}

/// The `provider` object. Lists name providers by slug or display name.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Preferences {
    pub(crate) order: Vec<String>,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) ignore: Vec<String>,
    pub(crate) no_fallbacks: bool,
    pub(crate) require_parameters: bool,
    pub(crate) zero_retention: bool,
    pub(crate) quantizations: Vec<String>,
    pub(crate) sort: Option<Sort>,
    /// US dollars for a million tokens of the prompt.
    pub(crate) max_prompt_usd_per_million: Option<f64>,
    /// US dollars for a million tokens of the answer.
    pub(crate) max_completion_usd_per_million: Option<f64>,
}

/// By what the providers of a model are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Price,
    Throughput,
    Latency,
    Exacto,
}
