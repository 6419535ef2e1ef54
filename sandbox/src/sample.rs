//! A value that satisfies a JSON Schema, always the same one: arguments for a tool, or a structured answer.
//!
//! Covers what schemas of tools use (types, enums, constants, required members, first alternatives); a schema
//! beyond that gets a plausible value, not a proven one.

use serde_json::{Map, Value, json};

/// How deep a schema may nest before null stands for the rest.
const MOST_DEPTH: usize = 16;

/// The value for `schema`; an empty object if there is none.
pub(crate) fn value_from(schema: &Value) -> Value {
    match schema {
        Value::Null => json!({}),
        schema => nested(schema, MOST_DEPTH),
    }
}

fn nested(schema: &Value, depth: usize) -> Value {
    if depth == 0 {
        return Value::Null;
    }
    for exact in ["const", "default"] {
        if let Some(value) = schema.get(exact) {
            return value.clone();
        }
    }
    for listed in ["enum", "examples"] {
        if let Some(value) = schema.get(listed).and_then(|items| items.get(0)) {
            return value.clone();
        }
    }
    for alternatives in ["anyOf", "oneOf", "allOf"] {
        if let Some(first) = schema.get(alternatives).and_then(|items| items.get(0)) {
            return nested(first, depth - 1);
        }
    }

    let kind = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
        Some(kind) => kind.as_str(),
        None if schema.get("properties").is_some() => Some("object"),
        None => None,
    };
    let least = schema.get("minimum").and_then(Value::as_i64);
    match kind {
        Some("object") => object(schema, depth),
        Some("array") => schema
            .get("items")
            .map_or_else(|| json!([]), |items| json!([nested(items, depth - 1)])),
        Some("integer" | "number") => json!(least.unwrap_or(1)),
        Some("boolean") => json!(true),
        Some("null") => Value::Null,
        _ => json!("sandbox"),
    }
}

/// The required members; all of them if none is named so.
fn object(schema: &Value, depth: usize) -> Value {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return json!({});
    };
    let required: Option<Vec<&str>> = schema
        .get("required")
        .and_then(Value::as_array)
        .map(|names| names.iter().filter_map(Value::as_str).collect());
    let wanted = |name: &str| required.as_ref().is_none_or(|names| names.contains(&name));
    let members: Map<String, Value> = properties
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, schema)| (name.clone(), nested(schema, depth - 1)))
        .collect();
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn required_members_get_values_of_their_types() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string"}, "unit": {"enum": ["c", "f"]}, "days": {"type": "integer", "minimum": 3},
                "notes": {"type": "string"},
            },
            "required": ["city", "unit", "days"],
        });
        assert_eq!(value_from(&schema), json!({"city": "sandbox", "unit": "c", "days": 3}));
    }

    #[test]
    fn no_schema_gives_an_empty_object() {
        assert_eq!(value_from(&Value::Null), json!({}));
    }
}
