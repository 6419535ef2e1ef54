//! A checked chat request.
//!
//! Only [`crate::rules`] makes one, so nothing further on has to look at JSON or check anything twice.

use serde_json::Value;

/// What the rest of the sandbox needs from a chat request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Chat {
    /// `model`, then `models`, without duplicates; empty means the default of the account.
    pub(crate) models: Vec<String>,
    pub(crate) stream: bool,
    pub(crate) routing: Preferences,
    /// `max_tokens` or `max_completion_tokens`.
    pub(crate) max_tokens: Option<u64>,
    pub(crate) stop: Vec<String>,
    pub(crate) prompt_tokens: u64,
    /// Text of the last `user` message.
    pub(crate) last_user_text: String,
    /// Texts of the tool messages at the end of the conversation, in order.
    pub(crate) tool_results: Vec<String>,
    /// How many answers came behind the last message of the user.
    pub(crate) n_answers: usize,
    /// `reasoning_details` of the last assistant message.
    pub(crate) returned_reasoning: Option<Vec<Value>>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) tool_choice: ToolChoice,
    pub(crate) one_call_only: bool,
    pub(crate) format: Format,
    pub(crate) hides_reasoning: bool,
    /// The parameters set, by the names that `supported_parameters` of a model uses.
    pub(crate) parameters: Vec<&'static str>,
    pub(crate) session_id: Option<String>,
    pub(crate) user: Option<String>,
}

/// A function of the request.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    /// JSON Schema of the arguments, or null.
    pub(crate) parameters: Value,
}

/// Which tools the answer may call. A request that requires a call is free too: scripts decide whether there is one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum ToolChoice {
    #[default]
    Free,
    None,
    Named(String),
}

/// The required format of the answer.
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

/// What the providers of a model are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    Price,
    Throughput,
    Latency,
    Exacto,
}

/// The tokens that the sandbox counts for `text`: one for each four characters, rounded up.
pub(crate) fn tokens_of(text: &str) -> u64 {
    text.chars().count().div_ceil(4) as u64
}
