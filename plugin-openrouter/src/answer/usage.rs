//! Reads token counts and the cost of an answer.
//!
//! In: the `usage` object. Out: [`Usage`]. Pure.
//! The cost stays the decimal number that the service wrote, without an exponent, and never becomes a float.

use plugin_api::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::values::usd::decimal;

/// The `usage` object on the wire. Every field may be missing.
#[derive(Deserialize)]
pub struct RawUsage<'a> {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    /// The names of the token counts in other APIs.
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(borrow)]
    cost: Option<&'a RawValue>,
    prompt_tokens_details: Option<PromptDetails>,
    completion_tokens_details: Option<CompletionDetails>,
}

#[derive(Deserialize)]
struct PromptDetails {
    cached_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct CompletionDetails {
    reasoning_tokens: Option<u64>,
}

/// The usage; `None` if the object has no counts (`{}` occurs on ordinary chunks).
pub fn from_raw(raw: RawUsage<'_>) -> Option<Usage> {
    let (prompt, completion) = (
        raw.prompt_tokens.or(raw.input_tokens),
        raw.completion_tokens.or(raw.output_tokens),
    );
    if prompt.is_none() && completion.is_none() && raw.cost.is_none() {
        return None;
    }
    let (prompt_tokens, completion_tokens) = (prompt.unwrap_or(0), completion.unwrap_or(0));
    Some(Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: raw
            .total_tokens
            .unwrap_or_else(|| prompt_tokens.saturating_add(completion_tokens)),
        cached_tokens: raw
            .prompt_tokens_details
            .as_ref()
            .and_then(|details| details.cached_tokens),
        cache_write_tokens: raw
            .prompt_tokens_details
            .as_ref()
            .and_then(|details| details.cache_write_tokens),
        reasoning_tokens: raw
            .completion_tokens_details
            .and_then(|details| details.reasoning_tokens),
        cost_usd: raw.cost.and_then(|cost| decimal(cost.get())),
    })
}
