//! Reads token counts and the cost of an answer.
//!
//! In: the `usage` object. Out: [`Usage`]. Pure.
//! Each member is read by itself, so an odd one never costs the others.
//! The cost stays the decimal number that the service wrote, without an exponent, and never becomes a float.

use plugin_api::Usage;

use crate::answer::json::{self, Raw, each_member};
use crate::answer::odd::Odd;
use crate::values::usd::decimal;

/// The usage; `None` if the object has no counts (`{}` occurs on ordinary chunks).
///
/// - Source: OpenRouter's API description. `input_tokens` and `output_tokens` are the names in other APIs.
pub fn read(json: Raw<'_>, odd: &mut Odd) -> Option<Usage> {
    let mut usage = Usage::default();
    let [mut prompt, mut completion, mut total] = [None; 3];
    let is_object = each_member(json, |name, member| match &*name {
        "prompt_tokens" => prompt = count("", &name, member, odd).or(prompt),
        "input_tokens" => prompt = prompt.or(count("", &name, member, odd)),
        "completion_tokens" => completion = count("", &name, member, odd).or(completion),
        "output_tokens" => completion = completion.or(count("", &name, member, odd)),
        "total_tokens" => total = count("", &name, member, odd),
        "cost" => usage.cost_usd = dollars("", &name, member, odd),
        "is_byok" => {
            usage.is_byok = noted(
                json::word(member).and_then(|word| word.parse().ok()),
                "",
                &name,
                member,
                odd,
            )
            .unwrap_or(false)
        }
        "prompt_tokens_details"
        | "input_tokens_details"
        | "completion_tokens_details"
        | "output_tokens_details"
        | "cost_details" => details(&name, member, &mut usage, odd),
        _ => {}
    });
    if !is_object {
        odd.note("usage", json);
    }
    let counts = [prompt, completion, total];
    if counts.iter().all(Option::is_none) && usage.cost_usd.is_none() && usage.upstream_cost_usd.is_none() {
        return None;
    }
    usage.prompt_tokens = prompt.unwrap_or(0);
    usage.completion_tokens = completion.unwrap_or(0);
    usage.total_tokens = total.unwrap_or_else(|| usage.prompt_tokens.saturating_add(usage.completion_tokens));
    Some(usage)
}

fn details(of: &str, json: Raw<'_>, usage: &mut Usage, odd: &mut Odd) {
    let is_object = each_member(json, |name, member| match &*name {
        "cached_tokens" => usage.cached_tokens = count(of, &name, member, odd),
        "cache_write_tokens" => usage.cache_write_tokens = count(of, &name, member, odd),
        "reasoning_tokens" => usage.reasoning_tokens = count(of, &name, member, odd),
        "upstream_inference_cost" => usage.upstream_cost_usd = dollars(of, &name, member, odd),
        _ => {}
    });
    if !is_object {
        odd.note(&format!("usage.{of}"), json);
    }
}

/// A count, also if it is written as `4.0` or as a string.
fn count(of: &str, name: &str, member: Raw<'_>, odd: &mut Odd) -> Option<u64> {
    let count = json::number(member).and_then(|count| u64::try_from(count).ok());
    noted(count, of, name, member, odd)
}

/// An amount of dollars. A negative one would be a refund, which does not exist.
fn dollars(of: &str, name: &str, member: Raw<'_>, odd: &mut Odd) -> Option<String> {
    let amount = decimal(member).filter(|amount| !amount.starts_with('-'));
    noted(amount, of, name, member, odd)
}

fn noted<T>(read: Option<T>, of: &str, name: &str, member: Raw<'_>, odd: &mut Odd) -> Option<T> {
    if read.is_none() {
        let dot = if of.is_empty() { "" } else { "." };
        odd.note(&format!("usage.{of}{dot}{name}"), member);
    }
    read
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use plugin_api::ChatEvent;
    use serde_json::json;

    use super::*;

    #[test]
    fn an_odd_member_costs_itself_and_never_the_cost() {
        let usual = json!({"prompt_tokens": 37, "completion_tokens": 4, "total_tokens": 41, "cost": 0.012});
        let rows = [
            ("completion_tokens", json!(4.0), Some(4), false),
            ("completion_tokens", json!("4"), Some(4), false),
            ("completion_tokens", json!(null), None, false),
            ("completion_tokens", json!(-1), None, true),
            ("completion_tokens", json!(4.5), None, true),
            ("completion_tokens", json!([4]), None, true),
            ("completion_tokens", json!({"text": 4}), None, true),
            ("prompt_tokens_details", json!([]), Some(4), true),
            ("prompt_tokens_details", json!({"cached_tokens": "many"}), Some(4), true),
            ("cost_details", json!(7), Some(4), true),
            ("is_byok", json!("yes"), Some(4), true),
        ];
        for (name, member, completion, is_odd) in rows {
            let mut usage = usual.clone();
            usage[name] = member;
            let (mut odd, mut events) = (Odd::default(), VecDeque::<ChatEvent>::new());
            let read = read(&usage.to_string(), &mut odd).expect("a usage");
            odd.report(&mut events);
            let expected = Usage {
                prompt_tokens: 37,
                completion_tokens: completion.unwrap_or(0),
                total_tokens: 41,
                cost_usd: Some("0.012".to_owned()),
                ..Usage::default()
            };
            assert_eq!((read, events.len()), (expected, usize::from(is_odd)), "{usage}");
        }
        for cost in [json!(-0.5), json!("-1"), json!([0.1]), json!("much"), json!(true)] {
            let usage = json!({"prompt_tokens": 1, "cost": cost}).to_string();
            let read = read(&usage, &mut Odd::default()).expect("a usage");
            assert_eq!((read.prompt_tokens, read.cost_usd), (1, None), "{usage}");
        }
    }

    #[test]
    fn the_cost_of_a_key_at_the_provider_is_read() {
        let usage = r#"{"prompt_tokens":1,"cost":0,"is_byok":true,"cost_details":{"upstream_inference_cost":3.6e-2}}"#;
        let usage = read(usage, &mut Odd::default()).expect("a usage");
        let found = (
            usage.cost_usd.as_deref(),
            usage.is_byok,
            usage.upstream_cost_usd.as_deref(),
        );
        assert_eq!(found, (Some("0"), true, Some("0.036")));
    }
}
