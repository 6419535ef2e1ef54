//! Makes a value that satisfies a JSON Schema, always the same one: arguments for a tool, or a structured answer.
//!
//! Covers what schemas of tools and answers use: types, enums, constants, required members, references within the
//! schema, limits of length and size, the usual formats, first alternatives. For anything beyond, such as a pattern,
//! the value is plausible but may not satisfy the schema.

use serde_json::{Map, Number, Value, json};

/// Deepest nesting; null replaces what is deeper.
const MOST_DEPTH: usize = 16;
/// Most items or characters, whatever minimum a schema asks for.
const MOST_REPEATED: usize = 1000;

/// An example of each format.
const FORMATS: [(&str, &str); 9] = [
    ("date-time", "2026-01-01T00:00:00Z"),
    ("date", "2026-01-01"),
    ("time", "00:00:00Z"),
    ("duration", "P1D"),
    ("email", "sandbox@example.com"),
    ("hostname", "example.com"),
    ("ipv4", "127.0.0.1"),
    ("uri", "https://example.com/sandbox"),
    ("uuid", "00000000-0000-4000-8000-000000000000"),
];

/// The value for `schema`; an empty object if there is none.
pub(crate) fn value_from(schema: &Value) -> Value {
    match schema {
        Value::Null => json!({}),
        schema => Sample { root: schema }.value(schema, MOST_DEPTH),
    }
}

/// The whole schema, where references start.
struct Sample<'a> {
    root: &'a Value,
}

impl Sample<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        if depth == 0 {
            return Value::Null;
        }
        if let Some(named) = schema["$ref"].as_str() {
            let found = named.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return found.map_or(Value::Null, |schema| self.value(schema, depth - 1));
        }
        for exact in ["const", "default"] {
            if let Some(value) = schema.get(exact) {
                return value.clone();
            }
        }
        for listed in ["enum", "examples"] {
            if let Some(value) = schema[listed].get(0) {
                return value.clone();
            }
        }
        for alternatives in ["anyOf", "oneOf"] {
            if let Some(first) = schema[alternatives].get(0) {
                return self.value(first, depth - 1);
            }
        }
        if let Some(all) = schema["allOf"].as_array() {
            return self.all_of(schema, all, depth);
        }

        let kind = match schema.get("type") {
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str),
            Some(kind) => kind.as_str(),
            None if schema.get("properties").is_some() => Some("object"),
            None if schema.get("items").is_some() => Some("array"),
            None => None,
        };
        match kind {
            Some("object") => self.object(schema, depth),
            Some("array") => self.array(schema, depth),
            Some("integer") => number(schema, true),
            Some("number") => number(schema, false),
            Some("boolean") => json!(true),
            Some("null") => Value::Null,
            _ => text(schema),
        }
    }

    /// The members of all parts together; the value of the first part that is not an object.
    fn all_of(&self, schema: &Value, parts: &[Value], depth: usize) -> Value {
        let mut members = Map::new();
        for part in parts {
            match self.value(part, depth - 1) {
                Value::Object(more) => members.extend(more),
                other => return other,
            }
        }
        if let Value::Object(more) = self.object(schema, depth) {
            members.extend(more);
        }
        Value::Object(members)
    }

    /// The required members; all members if the schema does not list required ones.
    fn object(&self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema["properties"].as_object() else {
            return json!({});
        };
        let required = schema["required"].as_array();
        let is_wanted = |name: &str| required.is_none_or(|names| names.iter().any(|wanted| wanted == name));
        let wanted = properties.iter().filter(|(name, _)| is_wanted(name));
        wanted
            .map(|(name, schema)| (name.clone(), self.value(schema, depth - 1)))
            .collect()
    }

    /// As few items as the schema allows, but one if possible.
    fn array(&self, schema: &Value, depth: usize) -> Value {
        if let Some(first) = schema["prefixItems"].as_array() {
            return first.iter().map(|schema| self.value(schema, depth - 1)).collect();
        }
        let Some(items) = schema.get("items").filter(|items| items.is_object()) else {
            return json!([]);
        };
        let least = whole(schema, "minItems").unwrap_or(1);
        let n_items = least
            .min(whole(schema, "maxItems").unwrap_or(MOST_REPEATED))
            .min(MOST_REPEATED);
        (0..n_items).map(|_| self.value(items, depth - 1)).collect()
    }
}

fn whole(schema: &Value, name: &str) -> Option<usize> {
    schema[name].as_u64().and_then(|n| usize::try_from(n).ok())
}

fn text(schema: &Value) -> Value {
    let format = schema["format"].as_str();
    if let Some((_, example)) = FORMATS.iter().find(|(name, _)| Some(*name) == format) {
        return json!(example);
    }
    let least = whole(schema, "minLength").unwrap_or(0).min(MOST_REPEATED);
    let most = whole(schema, "maxLength").unwrap_or(usize::MAX);
    let mut text = "sandbox".to_owned();
    while text.chars().count() < least {
        text.push_str(" sandbox");
    }
    let longest = if least > "sandbox".len() { least } else { most };
    json!(text.chars().take(longest.min(most)).collect::<String>())
}

/// The allowed number nearest to one.
fn number(schema: &Value, is_whole: bool) -> Value {
    let limit = |name: &str| schema[name].as_f64();
    let step = limit("multipleOf").filter(|step| *step > 0.0);
    // How far to stay from an exclusive limit.
    let apart = step.unwrap_or(if is_whole { 1.0 } else { 0.5 });
    let least = limit("minimum").or_else(|| limit("exclusiveMinimum").map(|least| least + apart));
    let most = limit("maximum").or_else(|| limit("exclusiveMaximum").map(|most| most - apart));
    let mut number = 1.0_f64.max(least.unwrap_or(f64::MIN));
    number = number.min(most.unwrap_or(f64::MAX));
    if let Some(step) = step {
        number = (number / step).ceil() * step;
        if most.is_some_and(|most| number > most) {
            number -= step;
        }
    }
    if is_whole || number.fract() == 0.0 {
        // Limits of schemas are far below 2^53, so the conversion is exact.
        return json!(number as i64);
    }
    Number::from_f64(number).map_or(json!(1), Value::Number)
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
    fn references_are_followed_and_circles_end() {
        let schema = json!({
            "$defs": {
                "Step": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
                "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}, "required": ["next"]},
            },
            "type": "object",
            "properties": {"steps": {"type": "array", "items": {"$ref": "#/$defs/Step"}}, "done": {"type": "boolean"}},
            "required": ["steps", "done"],
        });
        let expected = json!({"steps": [{"text": "sandbox"}], "done": true});
        assert_eq!(value_from(&schema), expected);
        let circle = json!({"$defs": schema["$defs"], "$ref": "#/$defs/Node"});
        assert!(value_from(&circle)["next"]["next"].is_object());
    }

    #[test]
    fn limits_and_formats_are_kept() {
        let nulls = json!([null, null]);
        let cases = [
            (Value::Null, json!({})),
            (json!({"type": "string", "maxLength": 3}), json!("san")),
            (json!({"type": "string", "minLength": 9}), json!("sandbox s")),
            (json!({"type": "string", "format": "date"}), json!("2026-01-01")),
            (json!({"type": "integer", "maximum": 0}), json!(0)),
            (json!({"type": "integer", "exclusiveMinimum": 4}), json!(5)),
            (json!({"type": "integer", "minimum": 7, "multipleOf": 5}), json!(10)),
            (json!({"type": "number", "minimum": 0, "maximum": 0.5}), json!(0.5)),
            (
                json!({"type": "array", "items": {"type": "null"}, "minItems": 2}),
                nulls,
            ),
            (json!({"type": ["string", "null"]}), json!("sandbox")),
            (json!({"anyOf": [{"type": "null"}, {"type": "string"}]}), Value::Null),
        ];
        for (schema, value) in cases {
            assert_eq!(value_from(&schema), value, "{schema}");
        }
    }

    #[test]
    fn all_of_joins_the_members_of_its_parts() {
        let part = |name: &str| json!({"type": "object", "properties": {name: {"const": name}}, "required": [name]});
        let schema = json!({"allOf": [part("a"), part("b")], "properties": {"c": {"const": "c"}}});
        assert_eq!(value_from(&schema), json!({"a": "a", "b": "b", "c": "c"}));
    }
}
