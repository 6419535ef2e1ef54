//! The short form of a schema: `name, age int, tags [string], address {street, zip?}`. Pure.
//!
//! A field is a name, a type (text without one), and after a colon what it means. Every field is required and no other
//! is allowed, because strict services take nothing else; one with `?` may be `null`.

use serde_json::{Map, Value, json};

/// The deepest nesting of objects and lists.
const MAX_DEPTH: usize = 16;

/// The JSON Schema for a text in the short form.
///
/// - Errors: what was expected and found, and at which character.
pub fn expanded(text: &str) -> Result<Value, String> {
    let mut parser = Parser {
        letters: text.chars().collect(),
        at: 0,
    };
    let schema = parser.fields(None, 0)?;
    Ok(schema)
}

struct Parser {
    letters: Vec<char>,
    at: usize,
}

impl Parser {
    /// Fields up to the closing letter, or up to the end.
    fn fields(&mut self, closing: Option<char>, depth: usize) -> Result<Value, String> {
        let mut properties = Map::new();
        loop {
            self.skip(char::is_whitespace);
            if !properties.is_empty() && self.takes(',') {
                self.skip(char::is_whitespace);
            }
            if self.peek() == closing && !properties.is_empty() {
                self.at += 1;
                let required: Vec<&String> = properties.keys().collect();
                return Ok(json!({
                    "type": "object", "required": required, "additionalProperties": false, "properties": properties,
                }));
            }
            let begun = self.at;
            let name = self.word(|letter| letter.is_alphanumeric() || letter == '_' || letter == '-');
            if name.is_empty() {
                return Err(self.expected("the name of a field"));
            }
            let may_be_null = self.takes('?');
            self.blanks();
            let mut schema = self.kind(depth)?;
            self.blanks();
            if self.takes(':') {
                let meaning = self.word(|letter| letter != ',' && letter != '\n' && Some(letter) != closing);
                schema["description"] = Value::from(meaning.trim());
            }
            if !self.is_at_end_of_field(closing) {
                return Err(self.expected("`,` or the end of the fields"));
            }
            if may_be_null {
                schema = nullable(schema);
            }
            if properties.insert(name.clone(), schema).is_some() {
                self.at = begun;
                return Err(self.expected(&format!("another name than `{name}`, which is taken")));
            }
        }
    }

    /// The type of a field; without one, text.
    fn kind(&mut self, depth: usize) -> Result<Value, String> {
        if depth >= MAX_DEPTH {
            return Err(self.expected(&format!("at most {MAX_DEPTH} levels")));
        }
        if self.takes('{') {
            return self.fields(Some('}'), depth + 1);
        }
        if self.takes('[') {
            self.blanks();
            let items = self.kind(depth + 1)?;
            self.blanks();
            return match self.takes(']') {
                true => Ok(json!({"type": "array", "items": items})),
                false => Err(self.expected("`]`")),
            };
        }
        let begun = self.at;
        let word = self.word(|letter| letter.is_alphanumeric() || "_-|".contains(letter));
        let name = match word.as_str() {
            "" | "string" | "str" | "text" => "string",
            "int" | "integer" => "integer",
            "number" | "float" => "number",
            "bool" | "boolean" => "boolean",
            choices if choices.contains('|') => {
                let choices: Vec<&str> = choices.split('|').filter(|choice| !choice.is_empty()).collect();
                return Ok(json!({"type": "string", "enum": choices}));
            }
            _ => {
                self.at = begun;
                return Err(self.expected("`string`, `int`, `number`, `bool`, `a|b`, `[…]` or `{…}`"));
            }
        };
        Ok(json!({"type": name}))
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn takes(&mut self, wanted: char) -> bool {
        let is_there = self.peek() == Some(wanted);
        self.at += usize::from(is_there);
        is_there
    }

    fn skip(&mut self, may: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&may) {
            self.at += 1;
        }
    }

    fn word(&mut self, may: impl Fn(char) -> bool) -> String {
        let begun = self.at;
        self.skip(may);
        self.letters[begun..self.at].iter().collect()
    }

    /// Skips blanks within a line, because a line ends a field.
    fn blanks(&mut self) {
        self.skip(|letter| letter.is_whitespace() && letter != '\n');
    }

    fn is_at_end_of_field(&self, closing: Option<char>) -> bool {
        self.peek() == closing || matches!(self.peek(), Some(',' | '\n'))
    }

    fn expected(&self, what: &str) -> String {
        let rest: String = self.letters[self.at..].iter().take(20).collect();
        let found = match rest.as_str() {
            "" => "the end".to_owned(),
            rest => format!("`{rest}`"),
        };
        format!("expected {what} at character {}, found {found}", self.at + 1)
    }
}

/// The same, or `null`.
fn nullable(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    if let Some(choices) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        choices.push(Value::Null);
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_field_becomes_its_schema() {
        let object = |properties: Value| {
            let required: Vec<&String> = properties.as_object().into_iter().flat_map(Map::keys).collect();
            json!({"type": "object", "required": required, "additionalProperties": false, "properties": properties})
        };
        let text = json!({"type": "string"});
        assert_eq!(
            expanded("name, age int, tags [string], address {street, zip?}"),
            Ok(object(json!({
                "name": text,
                "age": {"type": "integer"},
                "tags": {"type": "array", "items": text},
                "address": object(json!({"street": text, "zip": {"type": ["string", "null"]}})),
            })))
        );
        assert_eq!(
            expanded("ok bool: whether it works\nmood? good|bad: now, people [{name, score number}],"),
            Ok(object(json!({
                "ok": {"type": "boolean", "description": "whether it works"},
                "mood": {"type": ["string", "null"], "enum": ["good", "bad", null], "description": "now"},
                "people": {"type": "array", "items": object(json!({"name": text, "score": {"type": "number"}}))},
            })))
        );
        assert_eq!(
            expanded("größe [ ]"),
            Ok(object(json!({"größe": {"type": "array", "items": text}})))
        );
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        let deep = format!("a {}", "[".repeat(50));
        for (text, expected) in [
            ("", "expected the name of a field at character 1, found the end"),
            ("a, 'b'", "expected the name of a field at character 4, found `'b'`"),
            (
                "a integre",
                "expected `string`, `int`, `number`, `bool`, `a|b`, `[…]` or `{…}` at character 3, found `integre`",
            ),
            (
                "a {b",
                "expected `,` or the end of the fields at character 5, found the end",
            ),
            ("a,, b", "expected the name of a field at character 3, found `, b`"),
            (", a", "expected the name of a field at character 1, found `, a`"),
            ("a {}", "expected the name of a field at character 4, found `}`"),
            ("a [int", "expected `]` at character 7, found the end"),
            (
                "a int int",
                "expected `,` or the end of the fields at character 7, found `int`",
            ),
            (
                "a, b, a",
                "expected another name than `a`, which is taken at character 7, found `a`",
            ),
            (deep.as_str(), "expected at most 16 levels"),
        ] {
            let reason = expanded(text).expect_err("a mistake");
            assert!(reason.starts_with(expected), "{text}: {reason}");
        }
    }
}
