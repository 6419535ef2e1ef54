//! What services write in their messages, and how providers say that an answer ended: a phrase, and the code it means.
//!
//! Pure.

/// A phrase in lower case, and the codes it means: the first one that is known counts. One word must be all that was
/// written; several may stand anywhere in a sentence.
const PHRASES: &[(&str, &[&str])] = &[
    ("can only afford", &["402", "payment"]),
    ("more credits", &["402", "payment"]),
    ("insufficient credits", &["402", "payment"]),
    ("insufficient_quota", &["402", "payment"]),
    ("key limit exceeded", &["402", "payment"]),
    ("no auth credentials", &["401", "auth"]),
    ("user not found", &["401", "auth"]),
    ("api key", &["401", "auth"]),
    ("data policy", &["privacy_restricted", "not_found"]),
    ("support tool use", &["no_endpoints", "not_found"]),
    ("allowed providers", &["constraint_filtered", "not_found"]),
    ("no endpoints", &["no_endpoints", "not_found"]),
    ("not a valid model", &["model_not_found", "not_found"]),
    ("model not found", &["model_not_found", "not_found"]),
    ("context length", &["context_length_exceeded", "too_large"]),
    ("context window", &["context_length_exceeded", "too_large"]),
    ("free-models-per-day", &["429", "rate_limit"]),
    ("rate limit", &["429", "rate_limit"]),
    ("rate-limited", &["429", "rate_limit"]),
    ("too many requests", &["429", "rate_limit"]),
    ("flagged", &["content_policy_violation", "forbidden"]),
    ("requires moderation", &["403", "forbidden"]),
    ("provider returned error", &["provider_unavailable", "unavailable"]),
    ("overloaded", &["provider_overloaded", "unavailable"]),
    ("no instances available", &["503", "unavailable"]),
    ("timed out", &["timeout"]),
    ("malformed_function_call", &["tool_call"]),
    ("unexpected_tool_call", &["tool_call"]),
    ("too_many_tool_calls", &["tool_call"]),
    ("network_error", &["unavailable"]),
    ("error", &["unavailable"]),
    ("max_tokens", &["length"]),
    ("max_output_tokens", &["length"]),
    ("safety", &["content_filter"]),
    ("recitation", &["content_filter"]),
    ("prohibited_content", &["content_filter"]),
    ("blocklist", &["content_filter"]),
    ("spii", &["content_filter"]),
];

/// The codes that a service's words mean, the best one first.
pub fn codes(words: &str) -> &'static [&'static str] {
    let words = words.trim().to_lowercase();
    let is_said = |phrase: &str| match phrase.contains([' ', '-']) {
        true => words.contains(phrase),
        false => words == phrase || words.contains(phrase) && words.contains(' ') && phrase.len() > 8,
    };
    let found = PHRASES.iter().find(|(phrase, _)| is_said(phrase));
    found.map_or(&[], |(_, codes)| codes)
}
