//! Reads the service's count of tokens and its bill.
//!
//! The bill is a decimal number and stays one: it is carried as the text that the service wrote, without an exponent,
//! never as a binary fraction.

use plugin_api::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The `usage` object as it is on the wire. Every field may be missing.
#[derive(Deserialize)]
pub struct RawUsage<'a> {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    /// The same under its names in other forms of the API.
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

/// The usage, or `None` where the object says nothing (`{}` is seen on ordinary chunks).
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

/// A JSON number, or a text that holds one, as a decimal without an exponent; `None` for anything else.
pub fn decimal(json: &str) -> Option<String> {
    let number = json.trim_matches('"');
    let (sign, unsigned) = number.strip_prefix('-').map_or(("", number), |rest| ("-", rest));
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, fraction].concat();
    // The limit keeps a hostile exponent from making megabytes of zeros.
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) || exponent.unsigned_abs() > 40 {
        return None;
    }
    let point = i32::try_from(whole.len()).ok()? + exponent;
    let (whole, fraction) = match usize::try_from(point) {
        Ok(point) if point >= digits.len() => (format!("{digits:0<point$}"), String::new()),
        Ok(point) => (digits[..point].to_owned(), digits[point..].to_owned()),
        Err(_) => (
            String::new(),
            format!("{}{digits}", "0".repeat(point.unsigned_abs() as usize)),
        ),
    };
    let whole = whole.trim_start_matches('0');
    let fraction = fraction.trim_end_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bill_is_kept_to_the_last_digit() {
        let rows = [
            ("0", "0"),
            ("0.0", "0"),
            ("0.00014", "0.00014"),
            ("1.4e-4", "0.00014"),
            ("1.5E-05", "0.000015"),
            ("12", "12"),
            ("1.20", "1.2"),
            ("3e2", "300"),
            ("1.234e1", "12.34"),
            ("0.1234567890123456789", "0.1234567890123456789"),
            ("-0.5", "-0.5"),
            ("\"0.25\"", "0.25"),
        ];
        for (json, text) in rows {
            assert_eq!(decimal(json).as_deref(), Some(text), "{json}");
        }
        for nonsense in ["null", "\"\"", "{}", "1e999999999", "1e-2147483648", "\"free\"", "true"] {
            assert_eq!(decimal(nonsense), None, "{nonsense}");
        }
    }
}
