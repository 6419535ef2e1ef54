//! The line below an answer: model, provider, times, tokens, cost. Unknown values are marked as unknown. Pure.

use plugin_api::{Done, Notice, Usage};

use super::clean::clean_line;
use super::failure::outcome_of;
use super::time::seconds;

/// Below this time no speed is shown: it would say more about buffers than about the model.
const MIN_WRITING_MS: u64 = 100;

/// `acme/small via Acme`, as the service wrote it.
pub fn served(done: &Done) -> String {
    let model = done.model.as_deref().or(done.requested_model.as_deref());
    let model = model.unwrap_or("unknown model");
    match &done.provider {
        Some(provider) => format!("{model} via {provider}"),
        None => model.to_owned(),
    }
}

/// `$0.01`; with a key of the caller's own at the provider, also what the provider charged for it.
pub fn cost(usage: &Usage) -> String {
    let cost = usage.cost_usd.as_ref();
    let cost = cost.map_or_else(|| "cost unknown".to_owned(), |cost| format!("${cost}"));
    match &usage.upstream_cost_usd {
        Some(upstream) if usage.is_byok => format!("{cost} + ${upstream} on your own key"),
        None if usage.is_byok => format!("{cost}, the rest on your own key"),
        _ => cost,
    }
}

/// Why another model answered than the first one asked, and through which:
/// `acme/large via Acme: 503 unavailable, no capacity → acme/small`.
///
/// - In: the notices that were printed.
/// - Out: `None` if no other model was asked, or if notices already said all of it.
pub fn fallback(done: &Done, printed: &[Notice]) -> Option<String> {
    let failed: Vec<_> = done.attempts.iter().filter(|attempt| attempt.code.is_some()).collect();
    let served = done.model.as_deref()?;
    let is_new = |attempt| !printed.iter().any(|notice| notice.attempt.as_deref() == Some(attempt));
    let has_others = failed.iter().any(|attempt| is_another(&attempt.model, served));
    if !has_others || !failed.iter().any(|attempt| is_new(*attempt)) {
        return None;
    }
    let steps: Vec<String> = failed.into_iter().map(outcome_of).collect();
    Some(clean_line(&format!("{} → {served} answered", steps.join(" → "))))
}

/// The line below an answer.
pub fn footer(done: &Done) -> String {
    let mut parts = vec![clean_line(&served(done))];
    if let (Some(asked), Some(served)) = (&done.requested_model, &done.model)
        && is_another(asked, served)
    {
        parts.push(format!("requested {}", clean_line(asked)));
    }
    if done.attempts.len() > 1 {
        parts.push(format!("{} attempts", done.attempts.len()));
    }
    match done.time_to_first_token_ms {
        Some(first_ms) => parts.push(format!("first token {}", seconds(first_ms))),
        None => parts.push(format!("took {}", seconds(done.duration_ms))),
    }
    match &done.usage {
        Some(usage) => {
            parts.extend(speed(usage, done));
            parts.push(tokens(usage));
            parts.push(clean_line(&cost(usage)));
        }
        None => parts.push("tokens and cost unknown".to_owned()),
    }
    if done.finish_reason != "stop" {
        parts.push(format!("finish reason {}", clean_line(&done.finish_reason)));
    }
    parts.join(" · ")
}

/// Whether another model served than the requested one. A variant such as `:nitro` or a date suffix does not make it
/// another model.
fn is_another(asked: &str, served: &str) -> bool {
    let base = asked.split(':').next().unwrap_or(asked);
    !served.starts_with(base)
}

/// Tokens per second from the first token on; `None` for an answer in one piece.
fn speed(usage: &Usage, done: &Done) -> Option<String> {
    let writing_ms = done.duration_ms.checked_sub(done.time_to_first_token_ms?)?;
    if writing_ms < MIN_WRITING_MS || usage.completion_tokens == 0 {
        return None;
    }
    let per_second = (usage.completion_tokens * 1000).div_ceil(writing_ms);
    Some(format!("{per_second} tok/s"))
}

fn tokens(usage: &Usage) -> String {
    let mut text = format!("{}→{} tokens", usage.prompt_tokens, usage.completion_tokens);
    let cached = usage
        .cached_tokens
        .filter(|count| *count > 0)
        .map(|count| format!("{count} cached"));
    let reasoning = usage
        .reasoning_tokens
        .filter(|count| *count > 0)
        .map(|count| format!("{count} reasoning"));
    let asides: Vec<String> = cached.into_iter().chain(reasoning).collect();
    if !asides.is_empty() {
        text.push_str(&format!(" ({})", asides.join(", ")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_footer_says_what_is_known_and_what_is_not() {
        let mut done: Done = serde_json::from_value(serde_json::json!({
            "finish_reason": "stop", "requested_model": "acme/large:nitro", "model": "acme/large-2025",
            "provider": "Acme", "time_to_first_token_ms": 820, "duration_ms": 2820,
            "usage": {"prompt_tokens": 1200, "completion_tokens": 340, "cached_tokens": 900, "reasoning_tokens": 0,
                "cost_usd": "0.0041"}
        }))
        .expect("a Done");
        assert_eq!(
            footer(&done),
            "acme/large-2025 via Acme · first token 820 ms · 170 tok/s · 1200→340 tokens (900 cached) · $0.0041"
        );
        (done.model, done.provider, done.usage) = (Some("other/model".to_owned()), None, None);
        done.attempts = vec![Default::default(); 2];
        done.finish_reason = "length".to_owned();
        assert_eq!(
            footer(&done),
            "other/model · requested acme/large:nitro · 2 attempts · first token 820 ms · tokens and cost unknown · finish reason length"
        );
    }
    #[test]
    fn with_an_own_key_both_costs_are_shown() {
        let usage = |upstream: Option<&str>| Usage {
            cost_usd: Some("0.0005".to_owned()),
            is_byok: true,
            upstream_cost_usd: upstream.map(str::to_owned),
            ..Usage::default()
        };
        assert_eq!(cost(&usage(Some("0.01"))), "$0.0005 + $0.01 on your own key");
        assert_eq!(cost(&usage(None)), "$0.0005, the rest on your own key");
    }

    #[test]
    fn a_fallback_names_its_reasons_unless_notices_did() {
        let done: Done = serde_json::from_value(serde_json::json!({
            "finish_reason": "stop", "model": "acme/small-2025", "attempts": [
                {"model": "acme/large", "provider": "Acme", "status": 503, "code": "unavailable", "reason": "no\nroom"},
                {"model": "other/model", "status": 429, "code": "rate_limit"},
                {"model": "acme/small", "status": 200},
            ]
        }))
        .expect("a Done");
        let expected =
            "acme/large via Acme: 503 unavailable, no room → other/model: 429 rate_limit → acme/small-2025 answered";
        assert_eq!(fallback(&done, &[]).as_deref(), Some(expected));
        let notices = done.attempts.iter().map(|attempt| Notice {
            attempt: Some(Box::new(attempt.clone())),
            ..Notice::default()
        });
        assert_eq!(fallback(&done, &notices.collect::<Vec<_>>()), None);
        let mut retried = done;
        retried.attempts.retain(|attempt| attempt.model == "acme/small");
        retried.attempts[0].code = Some("unavailable".to_owned());
        assert_eq!(fallback(&retried, &[]), None);
    }
}
