//! How options are spelled: snake_case in a request, camelCase or snake_case in a profile. Pure.
//!
//! Only the fields that are set are sent; in a profile `null` means "not set".

use schemars::Schema;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

/// Adds `value` to the request at `key`, if it is set.
pub fn set(wire: &mut Map<String, Value>, key: &str, value: Option<impl Serialize>) {
    // Callers pass only strings, numbers, lists and maps with string keys, and those always serialise.
    if let Some(value) = value
        && let Ok(value) = serde_json::to_value(value)
    {
        wire.insert(key.to_owned(), value);
    }
}

/// Appends the fields of `extra`, never replacing one that is already there.
pub fn add_extra(wire: &mut Map<String, Value>, extra: Option<&Map<String, Value>>) {
    for (key, value) in extra.into_iter().flatten() {
        wire.entry(key.as_str()).or_insert_with(|| value.clone());
    }
}

/// A number as JSON, without `.0` for whole numbers: `1` in the profile is sent as `1`.
pub fn number(value: f64) -> Value {
    // 2^53: up to here, an f64 holds every integer exactly.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() <= EXACT {
        return Value::from(value as i64);
    }
    Value::from(value)
}

/// Makes a struct's schema accept snake_case for each camelCase key, as the struct itself does.
///
/// The snake_case keys go into `patternProperties`, so that editors don't offer them for completion.
pub fn accept_snake_case(schema: &mut Schema) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let mut patterns = Map::new();
    for (key, property) in properties {
        if key.contains(|letter: char| letter.is_ascii_uppercase()) {
            patterns.insert(format!("^{}$", snake_case(key)), property.clone());
        }
    }
    if !patterns.is_empty() {
        schema.insert("patternProperties".to_owned(), Value::Object(patterns));
    }
}

fn snake_case(key: &str) -> String {
    let mut snake = String::with_capacity(key.len() + 4);
    for letter in key.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// Reads `null` as the type's default.
pub fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads `null` as `DEFAULT`.
pub fn null_as<'de, D: Deserializer<'de>, const DEFAULT: u64>(deserializer: D) -> Result<u64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(DEFAULT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_whole() {
        let text = |value| number(value).to_string();
        assert_eq!(
            [text(1.0), text(0.7), text(-2.0), text(1e-7)],
            ["1", "0.7", "-2", "1e-7"].map(str::to_owned),
        );
    }
}
