//! Structured answers: sends a schema to the service, and checks the answer against it.
//!
//! Services promise nothing and many models ignore a schema, so every answer is checked here. An answer
//! that does not match is still printed, because it may be usable.

use std::collections::btree_map::Entry;
use std::path::Path;

use jsonschema::Validator;
use plugin_api::{ChatReply, ChatRequest, Error, Message};
use serde_json::{Value, json};

use super::parameters::{Parameters, raw};
use super::short_schema::expanded;
use crate::files::{ReadError, read_named};
use crate::terminal::{Exit, Failure, clean_line, shortened};

/// The largest schema, in bytes.
const MAX_SCHEMA_BYTES: u64 = 1 << 20;
/// The longest name of a schema that services take, in characters.
// Source: OpenAI's API reference, `response_format.json_schema.name`: letters, digits, `_` and `-`, at most 64.
const MAX_NAME_CHARS: usize = 64;
/// The longest sentence about one mismatch, in characters: it quotes what was found.
const MAX_SENTENCE_CHARS: usize = 200;

/// A schema that answers must match.
pub struct Schema {
    name: String,
    schema: Value,
    validator: Validator,
    /// Whether a model whose answer does not match is asked once more.
    pub repairs: bool,
}

impl Schema {
    /// Reads a schema: JSON, the name of a file with JSON, or the short form.
    ///
    /// - In: `repairs`, whether a model whose answer does not match is asked once more.
    /// - Errors: the file cannot be read; it is neither a JSON Schema nor the short form of one.
    pub fn read(given: &str, repairs: bool) -> Result<Self, Failure> {
        let file = Path::new(given);
        let (shown, parsed) = if given.trim_start().starts_with('{') {
            ("the schema".to_owned(), Self::parse(given, ""))
        } else if file.is_file() || given.contains(['/', '\\', '.']) && !given.contains([',', '\n']) {
            let failed = |why: String| Failure::usage(format!("cannot read schema `{given}`: {why}"));
            let bytes = read_named(file, MAX_SCHEMA_BYTES).map_err(|error| {
                failed(match error {
                    ReadError::Missing => "no such file".to_owned(),
                    ReadError::Refused(why) => why,
                })
            })?;
            let text = String::from_utf8(bytes).map_err(|_| failed("expected UTF-8, found other bytes".to_owned()))?;
            let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            (
                format!("schema `{given}`"),
                Self::parse(&text, &stem.unwrap_or_default()),
            )
        } else {
            let schema = expanded(given).map_err(|reason| {
                Failure::usage(format!("the short schema is unclear: {reason}"))
                    .with_hint("write it like `name, age int, tags [string], address {street, zip?}`, or name a file")
            })?;
            ("the schema".to_owned(), Self::of(schema, ""))
        };
        let mut schema = parsed.map_err(|reason| Failure::usage(format!("{shown}: {reason}")))?;
        schema.repairs = repairs;
        Ok(schema)
    }

    /// - In: `stem`, the name for a schema without a title.
    pub fn parse(text: &str, stem: &str) -> Result<Self, String> {
        Self::of(
            serde_json::from_str(text).map_err(|cause| format!("expected JSON: {cause}"))?,
            stem,
        )
    }

    fn of(schema: Value, stem: &str) -> Result<Self, String> {
        if !schema.is_object() {
            return Err("expected a JSON object, such as {\"type\": \"object\", …}".to_owned());
        }
        let validator = jsonschema::validator_for(&schema).map_err(|error| {
            let place = place(error.instance_path().as_str());
            format!(
                "not a valid JSON Schema: {place}: {}",
                shortened(&error.to_string(), MAX_SENTENCE_CHARS)
            )
        })?;
        let title = schema["title"].as_str().unwrap_or_default();
        let name = [title, stem].into_iter().map(name_of).find(|name| !name.is_empty());
        Ok(Self {
            name: name.unwrap_or_else(|| "answer".to_owned()),
            schema,
            validator,
            repairs: false,
        })
    }

    /// The request's field.
    pub fn response_format(&self) -> Value {
        json!({
            "type": "json_schema",
            "json_schema": {"name": self.name, "strict": true, "schema": self.schema},
        })
    }

    /// The fields of a request, with the schema unless they have another one.
    pub fn asked_for(&self, parameters: &Parameters) -> Parameters {
        let mut wanted = parameters.clone();
        if let (Entry::Vacant(entry), Some(format)) =
            (wanted.entry("response_format".to_owned()), raw(&self.response_format()))
        {
            entry.insert(format);
        }
        wanted
    }

    /// Every mismatch with its place; empty if the answer matches.
    pub fn mismatches(&self, answer: &str) -> Vec<Mismatch> {
        let value: Value = match serde_json::from_str(answer) {
            Ok(value) => value,
            Err(cause) => {
                let found = if answer.trim().is_empty() {
                    "nothing"
                } else {
                    "other text"
                };
                return vec![Mismatch {
                    pointer: String::new(),
                    message: format!("expected JSON and nothing else, found {found}: {cause}"),
                }];
            }
        };
        self.validator
            .iter_errors(&value)
            .map(|error| Mismatch {
                pointer: error.instance_path().as_str().to_owned(),
                message: shortened(&error.to_string(), MAX_SENTENCE_CHARS),
            })
            .collect()
    }

    /// The failure for an answer that does not match.
    pub fn failure(&self, mismatches: &[Mismatch]) -> Failure {
        let mut text = format!("the answer does not match the schema `{}`", self.name);
        for mismatch in mismatches {
            let Mismatch { pointer, message } = mismatch;
            text.push_str(&format!("\n  {}: {}", place(&clean_line(pointer)), clean_line(message)));
        }
        let mut failure = Failure::new(Exit::Mismatch, text);
        failure.details["mismatches"] = json!(mismatches);
        failure.with_hint("not every model follows a schema; `agent-host models --structured` lists those that can")
    }

    /// The request once more, with the answer that does not match and what is wrong with it.
    pub fn again(
        &self,
        request: &ChatRequest,
        reply: &ChatReply,
        mismatches: &[Mismatch],
    ) -> Result<ChatRequest, Error> {
        let mut asked = String::from("Your answer does not match the JSON Schema:\n");
        for Mismatch { pointer, message } in mismatches {
            asked.push_str(&format!("- {}: {message}\n", place(pointer)));
        }
        asked.push_str("Answer again with the corrected JSON and nothing else.");
        let mut messages = request.read_messages()?;
        messages.extend([Message::assistant(reply), Message::user(asked)]);
        let mut again = request.clone();
        again.messages = ChatRequest::new(&messages)?.messages;
        Ok(again)
    }
}

/// One place where an answer does not match its schema.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Mismatch {
    /// Where, as a JSON pointer into the answer; empty for the whole.
    pub pointer: String,
    pub message: String,
}

fn place(pointer: &str) -> String {
    match pointer {
        "" => "at the root".to_owned(),
        pointer => format!("at {pointer}"),
    }
}

/// `A person's name` as `A_person_s_name`.
fn name_of(title: &str) -> String {
    let name: String = title
        .chars()
        .map(|letter| match letter {
            letter if letter.is_ascii_alphanumeric() || letter == '-' => letter,
            _ => '_',
        })
        .take(MAX_NAME_CHARS)
        .collect();
    name.trim_matches('_').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERSON: &str = r#"{
        "title": "A person's name & age",
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}, "tags": {"items": {"type": "string"}}},
        "required": ["name", "age"],
        "additionalProperties": false
    }"#;

    fn schema(text: &str) -> Schema {
        Schema::parse(text, "the file").unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn found(answer: &str) -> Vec<String> {
        let found = schema(PERSON).mismatches(answer).into_iter();
        let found = found.map(|mismatch| format!("{}: {}", mismatch.pointer, mismatch.message));
        let mut found: Vec<_> = found.collect();
        found.sort();
        found
    }

    #[test]
    fn the_request_has_the_schema_and_a_name_that_services_take() {
        let format = schema(PERSON).response_format();
        let schema_sent: Value = serde_json::from_str(PERSON).expect("it is JSON");
        let wrapped = json!({"name": "A_person_s_name___age", "strict": true, "schema": schema_sent});
        assert_eq!(format, json!({"type": "json_schema", "json_schema": wrapped}));
        assert_eq!(schema(r#"{"title": "Ω"}"#).name, "the_file");
        assert_eq!(
            Schema::parse("{}", "").map(|schema| schema.name).as_deref(),
            Ok("answer")
        );
        assert_eq!(name_of(&"a".repeat(100)).len(), 64);
    }

    #[test]
    fn every_mismatch_is_listed_with_its_place() {
        assert_eq!(found(r#"{"name": "Ada", "age": 36, "tags": ["x"]}"#), [""; 0]);
        let expected = [
            "/age: -1 is less than the minimum of 0",
            r#"/name: 1 is not of type "string""#,
            r#"/tags/0: true is not of type "string""#,
        ];
        assert_eq!(found(r#"{"name": 1, "age": -1, "tags": [true]}"#), expected);
        let outer = found(r#"{"name": "Ada", "size": 3}"#);
        let is_at_the_top = |mismatch: &String| mismatch.starts_with(": ");
        assert!(outer.len() == 2 && outer.iter().all(is_at_the_top), "{outer:?}");
        assert_eq!(found("  ").len(), 1);
        let fenced = found("```json\n{}\n```");
        let other = ": expected JSON and nothing else, found other text: ";
        assert!(fenced[0].starts_with(other), "{fenced:?}");
    }

    #[test]
    fn the_failure_names_every_place_without_control_characters() {
        let schema = schema(r#"{"title": "t", "items": {"type": "string"}}"#);
        let failure = schema.failure(&schema.mismatches("[\"\\u001b[2J\", {\"a\": \"\\u009b\"}, 3]"));
        assert_eq!(failure.exit, Exit::Mismatch);
        let text = failure.to_string();
        assert!(
            text.starts_with("error: the answer does not match the schema `t`\n  at /1: {\"a\":\"")
                && text.contains("\n  at /2: 3 is not of type \"string\"\nhint: "),
            "{text:?}"
        );
        assert!(
            !text.contains(|letter: char| letter.is_control() && letter != '\n'),
            "{text:?}"
        );
    }

    #[test]
    fn an_invalid_schema_is_refused() {
        let nested = r#"{"properties": {"a": {"type": "strin"}}}"#;
        let reason = |text: &str| Schema::parse(text, "x").err().unwrap_or_default();
        for (text, expected) in [
            ("{", "expected JSON: "),
            ("true", "expected a JSON object"),
            (nested, "not a valid JSON Schema: at /properties/a/type: "),
        ] {
            assert!(reason(text).starts_with(expected), "{text}: {}", reason(text));
        }
    }
}
