//! What `--jsonl` prints: an object in a line of its own for each thing that happens, for programs.
//!
//! `schemas/events.schema.json` is derived from these types. They may only grow: programs skip types and members that
//! they do not know.

use plugin_api::{ChatReply, Done, Notice, ToolCall, Usage};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::structured::Mismatch;
use crate::terminal::{self, Failure};

/// One line of `--jsonl`.
#[derive(Serialize, JsonSchema)]
#[schemars(title = "A line of `agent-host chat --jsonl`")]
pub struct Line<'a> {
    /// The version of this form; it stays 1 as long as types and members are only added.
    #[schemars(extend("const" = 1))]
    v: u8,
    #[serde(flatten)]
    event: Event<'a>,
}

/// What happened.
#[derive(Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A request is sent. The pieces of text behind it, up to the next `start`, are one answer.
    Start(Start),
    /// The next piece of the model's reasoning.
    Reasoning(Piece<'a>),
    /// The next piece of the answer's text.
    Text(Piece<'a>),
    /// A tool call, complete. `agent` prints it again with its result when the tool has run.
    Tool(Tool<'a>),
    /// An attempt failed, and another one follows.
    Retry(&'a Notice),
    /// Another model is asked.
    Fallback(&'a Notice),
    /// Something else that the caller should know.
    Notice(&'a Notice),
    /// The tokens and the cost of a request.
    Usage(&'a Usage),
    /// Why it failed. `end` follows.
    Error(Problem),
    /// The last line, always.
    End(End<'a>),
}

/// The request that is sent.
#[derive(Clone, Default, Serialize, JsonSchema)]
pub struct Start {
    /// The tier that was named; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The model that was named; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// A piece of text.
#[derive(Serialize, JsonSchema)]
pub struct Piece<'a> {
    pub text: &'a str,
}

/// A tool call, and what came of it.
#[derive(Serialize, JsonSchema)]
pub struct Tool<'a> {
    #[serde(flatten)]
    pub call: &'a ToolCall,
    /// What the tool answered; absent: it has not run.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
}

/// What a tool answered.
#[derive(Serialize, JsonSchema)]
pub struct Outcome {
    pub result: String,
    /// Whether the tool failed or was not allowed to run.
    pub is_error: bool,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// Why it failed, with the same members as the `error` of `--json`.
#[derive(Serialize, JsonSchema)]
pub struct Problem {
    /// The stable code, which `agent-host explain` knows.
    code: String,
    /// One sentence for people.
    message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Further members, such as `status`, `request_id`, `attempts` and `problems`.
    #[serde(flatten)]
    details: Map<String, Value>,
}

/// How it ended.
#[derive(Default, Serialize, JsonSchema)]
pub struct End<'a> {
    /// The exit code.
    pub exit: u8,
    /// The text of the last answer, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<&'a str>,
    /// How the last answer ended, and who gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub done: Option<&'a Done>,
    /// How many answers `agent` took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<u32>,
    /// The tokens and the cost of all steps of `agent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<&'a Usage>,
    /// Where the answer does not match its schema; absent without a schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatches: Option<&'a [Mismatch]>,
}

impl<'a> Event<'a> {
    pub fn of(notice: &'a Notice) -> Self {
        match notice.code.as_str() {
            "retry" => Self::Retry(notice),
            "fallback" => Self::Fallback(notice),
            _ => Self::Notice(notice),
        }
    }

    /// The line, with its end.
    pub fn line(self) -> String {
        let line = serde_json::to_string(&Line { v: 1, event: self }).unwrap_or_default();
        terminal::safe_json(&line) + "\n"
    }

    pub fn print(self) {
        terminal::print(&self.line());
    }
}

/// The last lines: the failure, if there is one, and the end.
pub fn print_end(reply: Option<&ChatReply>, failure: Option<&Failure>, end: End) {
    if let Some(failure) = failure {
        let mut details = failure.details.as_object().cloned().unwrap_or_default();
        let mut text = |name: &str| details.shift_remove(name)?.as_str().map(str::to_owned);
        let [code, message, hint] = ["code", "message", "hint"].map(&mut text);
        let (code, message) = (code.unwrap_or_default(), message.unwrap_or_default());
        Event::Error(Problem {
            code,
            message,
            hint,
            details,
        })
        .print();
    }
    Event::End(End {
        exit: failure.map_or(0, |failure| failure.exit as u8),
        text: reply.map(|reply| reply.text.as_str()),
        done: reply.map(|reply| &reply.done),
        ..end
    })
    .print();
}

/// The JSON Schema of a line.
pub fn schema() -> Value {
    schemars::schema_for!(Line).to_value()
}

#[cfg(test)]
mod tests {
    use std::{env, fs};

    use serde_json::json;

    use super::*;
    use crate::profile::leaves_of;

    #[test]
    fn the_published_schema_of_events_matches_the_types() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../schemas/events.schema.json");
        let expected = format!("{:#}\n", schema());
        let published: Value = serde_json::from_str(&fs::read_to_string(file).unwrap_or_default()).unwrap_or_default();
        let types = |schema: &Value| -> Vec<String> {
            let all = schema["oneOf"].as_array().into_iter().flatten();
            all.map(|kind| kind["properties"]["type"]["const"].to_string())
                .collect()
        };
        let members = leaves_of("", &published["$defs"]).into_keys();
        let mut gone: Vec<String> = members
            .filter(|place| schema()["$defs"].pointer(place).is_none())
            .collect();
        let known = types(&schema());
        gone.extend(types(&published).into_iter().filter(|name| !known.contains(name)));
        assert_eq!(gone, Vec::<String>::new(), "the events may only grow");
        if env::var_os("UPDATE_EXPECTED").is_some() {
            fs::write(file, &expected).expect("the schema file is writable");
        }
        assert!(
            fs::read_to_string(file).unwrap_or_default() == expected,
            "to rewrite it: UPDATE_EXPECTED=1 cargo test -p host-example the_published_schema"
        );
    }

    #[test]
    fn lines_of_every_type_fit_the_schema() {
        let validator = jsonschema::validator_for(&schema()).expect("it is a schema");
        let call: ToolCall = serde_json::from_value(json!({
            "id": "1", "name": "calc", "arguments": "{}", "extras": {"signature": "s"}
        }))
        .expect("a call");
        let done: Done = serde_json::from_value(json!({
            "finish_reason": "stop", "duration_ms": 1, "extras": {"reasoning_details": [{"x": 1.0}]}
        }))
        .expect("a Done");
        let (notice, usage) = (Notice::new("retry", "again"), Usage::default());
        let outcome = Outcome {
            result: "4".to_owned(),
            is_error: false,
            duration_ms: 1,
        };
        let failure = json!({"status": 402});
        let details = failure.as_object().expect("an object").clone();
        let events = [
            Event::Start(Start {
                tier: Some("small".to_owned()),
                model: None,
            }),
            Event::Reasoning(Piece { text: "Hm." }),
            Event::Text(Piece { text: "\u{1b}[2J" }),
            Event::Tool(Tool {
                call: &call,
                outcome: None,
            }),
            Event::Tool(Tool {
                call: &call,
                outcome: Some(outcome),
            }),
            Event::of(&notice),
            Event::Fallback(&notice),
            Event::Notice(&notice),
            Event::Usage(&usage),
            Event::Error(Problem {
                code: "payment".to_owned(),
                message: "m".to_owned(),
                hint: None,
                details,
            }),
            Event::End(End {
                done: Some(&done),
                text: Some("Hi"),
                ..End::default()
            }),
        ];
        for event in events {
            let line = event.line();
            let value: Value = serde_json::from_str(&line).unwrap_or_else(|cause| panic!("{line}: {cause}"));
            assert!(
                line.ends_with("}\n") && !line.trim_end().contains(char::is_control),
                "{line:?}"
            );
            let problems: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert_eq!(problems, Vec::<String>::new(), "{line}");
        }
        assert!(!validator.is_valid(&json!({"v": 1, "type": "text"})));
    }
}
