//! What an answer costs: tokens counted by the sandbox, priced by the catalogue.

use serde_json::{Map, Value, json};

use super::Answer;
use crate::{
    catalogue::Model,
    rules::request::{Chat, tokens_of},
    script::Script,
};

/// `usage` of chat, priced by the catalogue.
pub(crate) fn usage(script: &Script, chat: &Chat, answer: &Answer, model: &Model) -> Map<String, Value> {
    let calls: u64 = answer
        .calls
        .iter()
        .map(|call| tokens_of(&call.name) + tokens_of(&call.arguments))
        .sum();
    let reasoning_tokens = answer.reasoning.as_deref().map_or(0, tokens_of);
    let completion_tokens = reasoning_tokens + tokens_of(&answer.text) + calls;
    let (prompt_price_usd, completion_price_usd) = model.prices_usd();
    let prompt_usd = cost_usd(chat.prompt_tokens, prompt_price_usd);
    let completion_usd = cost_usd(completion_tokens, completion_price_usd);

    let mut usage = members(json!({
        "prompt_tokens": chat.prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": chat.prompt_tokens + completion_tokens,
        "cost": rounded(prompt_usd + completion_usd),
        "is_byok": false,
        "prompt_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0, "audio_tokens": 0, "video_tokens": 0},
        "cost_details": {
            "upstream_inference_cost": null,
            "upstream_inference_prompt_cost": prompt_usd,
            "upstream_inference_completions_cost": completion_usd,
        },
        "completion_tokens_details": {"reasoning_tokens": reasoning_tokens, "audio_tokens": 0},
    }));
    usage.extend(script.usage.clone());
    usage
}

/// US dollars for `tokens`, at a price for each.
pub(crate) fn cost_usd(tokens: u64, price_usd: &str) -> f64 {
    // Token counts are far below 2^52, so the conversion is exact.
    rounded(tokens as f64 * price_usd.parse::<f64>().unwrap_or(0.0))
}

/// Removes what binary fractions add to a decimal price.
fn rounded(usd: f64) -> f64 {
    (usd * 1e12).round() / 1e12
}

fn members(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}
