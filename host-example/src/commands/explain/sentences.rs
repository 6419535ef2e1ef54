//! What services write in their messages, and how providers say that an answer ended: a phrase, and the code it means.
//!
//! Pure.

/// Phrases in lower case that may stand anywhere in a sentence, and the codes they mean: the first code that is known
/// counts. A sentence may have several phrases, so the more specific ones come first.
const PHRASES: &[(&str, &[&str])] = &[
    ("can only afford", &["402", "payment"]),
    ("more credits", &["402", "payment"]),
    ("insufficient credits", &["402", "payment"]),
    ("insufficient_quota", &["402", "payment"]),
    ("key limit exceeded", &["402", "payment"]),
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
    ("requires moderation", &["403", "forbidden"]),
    ("flagged", &["content_policy_violation", "forbidden"]),
    ("overloaded", &["provider_overloaded", "unavailable"]),
    ("no instances available", &["503", "unavailable"]),
    ("timed out", &["timeout"]),
    ("malformed_function_call", &["tool_call"]),
    ("unexpected_tool_call", &["tool_call"]),
    ("too_many_tool_calls", &["tool_call"]),
    ("network_error", &["unavailable"]),
    ("prohibited_content", &["content_filter"]),
    // Any sentence may name the key or wrap another one.
    ("no auth credentials", &["401", "auth"]),
    ("user not found", &["401", "auth"]),
    ("api key", &["401", "auth"]),
    ("provider returned error", &["provider_unavailable", "unavailable"]),
];

/// Words that mean a code only if nothing else was written, because sentences use them for other things.
const WORDS: &[(&str, &[&str])] = &[
    ("error", &["unavailable"]),
    ("max_tokens", &["length"]),
    ("max_output_tokens", &["length"]),
    ("safety", &["content_filter"]),
    ("recitation", &["content_filter"]),
    ("blocklist", &["content_filter"]),
    ("spii", &["content_filter"]),
];

/// The codes that a service's words mean, the best one first.
pub fn codes(words: &str) -> &'static [&'static str] {
    let words = words.trim().to_lowercase();
    let word = WORDS.iter().find(|(word, _)| words == *word);
    let found = word.or_else(|| PHRASES.iter().find(|(phrase, _)| words.contains(phrase)));
    found.map_or(&[], |(_, codes)| codes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_specific_phrase_of_a_sentence_counts() {
        for (words, code) in [
            ("Your message was flagged.", "content_policy_violation"),
            ("Flagged", "content_policy_violation"),
            ("This model requires moderation, and the input was flagged", "403"),
            ("Rate limit exceeded for this API key", "429"),
            ("Provider returned error: rate-limited upstream", "429"),
            ("API key not valid", "401"),
            ("No endpoints found matching your data policy", "privacy_restricted"),
            ("ERROR", "unavailable"),
            ("safety", "content_filter"),
        ] {
            assert_eq!(codes(words).first(), Some(&code), "{words}");
        }
        for words in ["an error occurred", "max_tokens must be at least 16", ""] {
            assert!(codes(words).is_empty(), "{words}");
        }
    }

    #[test]
    fn no_phrase_hides_a_later_one() {
        for (at, (later, _)) in PHRASES.iter().enumerate() {
            let hiding = PHRASES[..at].iter().find(|(phrase, _)| later.contains(phrase));
            assert_eq!(hiding, None, "{later}");
        }
    }
}
