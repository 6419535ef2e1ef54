//! Says in plain words what a schema expects.
//!
//! `{"type": "integer", "minimum": 1}` becomes "a whole number of at least 1". A description replaces
//! a pattern, which is hard to read.

use serde_json::Value;

use super::normalise::referenced;
use crate::terminal::joined;

/// Longest description that is used inside a sentence.
const MAX_PHRASE_CHARS: usize = 120;
/// How far a schema is followed through references and unions.
const MAX_DEPTH: usize = 8;

/// What the schema wants, as the rest of a sentence that begins with "expected".
pub(super) fn expectation(schema: &Value, root: &Value) -> String {
    let mut kinds = Vec::new();
    let mut choices = Vec::new();
    alternatives(schema, root, MAX_DEPTH, &mut choices, &mut kinds);
    if !choices.is_empty() {
        let all = joined(choices.iter().map(|choice| format!("`{choice}`")).collect(), "or");
        let one_of = if choices.len() == 1 { "" } else { "one of " };
        kinds.insert(0, format!("{one_of}{all}"));
    }
    kinds.dedup();
    if kinds.is_empty() {
        "another value".to_owned()
    } else {
        joined(kinds, "or")
    }
}

fn alternatives(schema: &Value, root: &Value, left: usize, choices: &mut Vec<String>, kinds: &mut Vec<String>) {
    if left == 0 {
        return;
    }
    if let Some(constant) = schema.get("const") {
        choices.push(constant.to_string());
        return;
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        choices.extend(options.iter().filter(|option| !option.is_null()).map(Value::to_string));
        return;
    }
    for keyword in ["anyOf", "oneOf"] {
        if let Some(branches) = schema.get(keyword).and_then(Value::as_array) {
            for branch in branches {
                alternatives(branch, root, left - 1, choices, kinds);
            }
            return;
        }
    }
    if schema.get("type").is_none() {
        if let Some(target) = referenced(schema, root) {
            return alternatives(target, root, left - 1, choices, kinds);
        }
        if let Some(first) = schema.pointer("/allOf/0") {
            return alternatives(first, root, left - 1, choices, kinds);
        }
    }
    let types = match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(one)) => vec![one.as_str()],
        _ => Vec::new(),
    };
    // A pattern for one of several types: the description covers them all.
    if types.len() > 1
        && schema.get("pattern").is_some()
        && let Some(phrase) = schema.get("description").and_then(Value::as_str).and_then(phrase)
    {
        return kinds.push(phrase);
    }
    // `null` only marks an optional value, so it is named only if nothing else is allowed.
    let is_whole = left == MAX_DEPTH && types.len() == 1;
    for kind in types.iter().filter(|kind| **kind != "null" || is_whole) {
        kinds.push(kind_in_words(kind, schema, root));
    }
    if types.is_empty()
        && let Some(phrase) = schema.get("description").and_then(Value::as_str).and_then(phrase)
    {
        kinds.push(phrase);
    }
}

fn kind_in_words(kind: &str, schema: &Value, root: &Value) -> String {
    match kind {
        "integer" => format!("a whole number{}", range_in_words(schema)),
        "number" => format!("a number{}", range_in_words(schema)),
        "boolean" => "`true` or `false`".to_owned(),
        "object" => "an object".to_owned(),
        "null" => "`null`".to_owned(),
        "array" => match schema.pointer("/items/type").and_then(Value::as_str) {
            Some("string") => "an array of strings".to_owned(),
            Some("integer" | "number") => "an array of numbers".to_owned(),
            Some("object") => "an array of objects".to_owned(),
            _ => match schema.get("items").and_then(|items| referenced(items, root)) {
                Some(items) if items.get("type").is_some_and(|kind| kind == "string") => {
                    "an array of strings".to_owned()
                }
                _ => "an array".to_owned(),
            },
        },
        _ => string_in_words(schema),
    }
}

fn string_in_words(schema: &Value) -> String {
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str) {
        let texts = ["title", "description"]
            .into_iter()
            .filter_map(|key| schema.get(key)?.as_str());
        return texts
            .filter_map(phrase)
            .next()
            .unwrap_or_else(|| format!("a string that matches `{pattern}`"));
    }
    let length = |key| schema.get(key).and_then(Value::as_u64);
    match (length("minLength"), length("maxLength")) {
        (Some(1), None) => "a non-empty string".to_owned(),
        (Some(least), Some(most)) => format!("a string of {least} to {most} characters"),
        (Some(least), None) => format!("a string of at least {least} characters"),
        (None, Some(most)) => format!("a string of at most {most} characters"),
        (None, None) => "a string".to_owned(),
    }
}

fn range_in_words(schema: &Value) -> String {
    let limit = |key| schema.get(key).filter(|limit| limit.is_number()).map(number_in_words);
    let range = match (
        limit("minimum"),
        limit("maximum"),
        limit("exclusiveMinimum"),
        limit("exclusiveMaximum"),
    ) {
        (Some(least), Some(most), _, _) => format!(" from {least} to {most}"),
        (Some(least), None, _, Some(below)) => format!(" of at least {least} and less than {below}"),
        (None, Some(most), Some(above), _) => format!(" greater than {above} and at most {most}"),
        (None, None, Some(above), Some(below)) => format!(" between {above} and {below}"),
        (Some(least), None, _, None) => format!(" of at least {least}"),
        (None, Some(most), None, _) => format!(" of at most {most}"),
        (None, None, Some(above), None) => format!(" greater than {above}"),
        (None, None, None, Some(below)) => format!(" less than {below}"),
        (None, None, None, None) => String::new(),
    };
    match limit("multipleOf") {
        Some(step) => format!("{range}, a multiple of {step}"),
        None => range,
    }
}

/// `2.0` as `2`: derived schemas write limits of fractional numbers so.
fn number_in_words(number: &Value) -> String {
    let text = number.to_string();
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// The first sentence of a description, to be used inside another one; none if it is long.
pub(super) fn phrase(description: &str) -> Option<String> {
    let words = description.split_whitespace().collect::<Vec<_>>().join(" ");
    let end = words.find(". ").unwrap_or(words.len());
    let sentence = words[..end].trim_end_matches('.');
    let mut characters = sentence.chars();
    let first = characters.next()?;
    let rest = characters.as_str();
    let is_acronym = rest.chars().next().is_some_and(char::is_uppercase);
    let first = if is_acronym {
        first.to_string()
    } else {
        first.to_lowercase().to_string()
    };
    (sentence.chars().count() <= MAX_PHRASE_CHARS).then(|| format!("{first}{rest}"))
}
