//! The built-in tools: their descriptions for the model, and their results.
//!
//! A bad call does not fail: its result says what is wrong, so that the model can try again.

use std::time::SystemTime;

use serde_json::{Value, json};

use super::calc;
use crate::terminal::time;

/// A built-in tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// The time now.
    Clock,
    /// Exact arithmetic.
    Calc,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The text for the model.
    pub result: String,
    pub is_error: bool,
}

impl Outcome {
    pub fn error(reason: &str) -> Self {
        Self {
            result: json!({"error": reason}).to_string(),
            is_error: true,
        }
    }
}

impl Tool {
    pub const ALL: [Self; 2] = [Self::Clock, Self::Calc];

    pub fn name(self) -> &'static str {
        match self {
            Self::Clock => "clock",
            Self::Calc => "calc",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.name() == name)
    }

    /// As an item of a request's `tools`.
    pub fn description(self) -> Value {
        let (description, parameters) = match self {
            Self::Clock => (
                "Returns the current date and time in UTC, as RFC 3339.",
                json!({"type": "object", "properties": {}, "additionalProperties": false}),
            ),
            Self::Calc => (
                "Calculates an arithmetic expression exactly. Use it for every calculation.",
                json!({
                    "type": "object",
                    "properties": {
                        "expression": {
                            "type": "string",
                            "description": "Decimal numbers, + - * / ^ and parentheses, such as (1.5 + 2) * 3^2",
                        },
                    },
                    "required": ["expression"],
                    "additionalProperties": false,
                }),
            ),
        };
        json!({
            "type": "function",
            "function": {"name": self.name(), "description": description, "parameters": parameters},
        })
    }
}

/// Runs a call.
///
/// - In: `tools`, those that may be used; `arguments`, JSON as the model wrote it.
pub fn run(tools: &[Tool], name: &str, arguments: &str, now: SystemTime) -> Outcome {
    let Some(tool) = tools.iter().find(|tool| tool.name() == name) else {
        let names: Vec<&str> = tools.iter().map(|tool| tool.name()).collect();
        return Outcome::error(&format!("unknown tool `{name}`; available: {}", names.join(", ")));
    };
    // Some models send no arguments at all instead of `{}`.
    let text = if arguments.trim().is_empty() { "{}" } else { arguments };
    let Ok(arguments) = serde_json::from_str::<Value>(text) else {
        return Outcome::error("the arguments are not JSON");
    };
    if !arguments.is_object() {
        return Outcome::error("expected the arguments to be a JSON object");
    }
    let result = match tool {
        Tool::Clock => Ok(time::rfc_3339(now)),
        Tool::Calc => match arguments["expression"].as_str() {
            Some(expression) => calc::calculate(expression),
            None => Err("expected the argument `expression`, a string".to_owned()),
        },
    };
    match result {
        Ok(result) => Outcome {
            result,
            is_error: false,
        },
        Err(reason) => Outcome::error(&reason),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn ran(name: &str, arguments: &str) -> Outcome {
        run(&Tool::ALL, name, arguments, UNIX_EPOCH)
    }

    #[test]
    fn a_bad_call_has_its_error_as_result() {
        assert_eq!(ran("calc", r#"{"expression": "2+2"}"#).result, "4");
        // Some models send no arguments at all instead of `{}`.
        assert_eq!(ran("clock", "").result, "1970-01-01T00:00:00Z");
        let no_expression = "expected the argument `expression`, a string";
        for (name, arguments, error) in [
            ("calc", "{\"expression\": \"2+", "the arguments are not JSON"),
            ("calc", "[1]", "expected the arguments to be a JSON object"),
            ("calc", "{}", no_expression),
            ("calc", r#"{"expression": 4}"#, no_expression),
            ("calc", r#"{"expression": "1/0"}"#, "division by zero"),
            ("rm", "{}", "unknown tool `rm`; available: clock, calc"),
        ] {
            let outcome = ran(name, arguments);
            assert_eq!(
                (outcome.result, outcome.is_error),
                (format!(r#"{{"error":"{error}"}}"#), true)
            );
        }
        let only_clock = run(&[Tool::Clock], "calc", "{}", UNIX_EPOCH).result;
        assert_eq!(only_clock, r#"{"error":"unknown tool `calc`; available: clock"}"#);
    }

    #[test]
    fn each_tool_is_described_by_a_schema() {
        for tool in Tool::ALL {
            let description = tool.description();
            assert_eq!(description["function"]["name"], tool.name());
            assert!(jsonschema::validator_for(&description["function"]["parameters"]).is_ok());
            assert_eq!(Tool::named(tool.name()), Some(tool));
        }
    }
}
