//! The tools that touch nothing: a clock and a calculator.

use std::time::SystemTime;

use plugin_api::Tool as Function;
use serde_json::json;

use super::tool::{Answering, Arguments, Tool, object, text};
use crate::talk::calc;
use crate::terminal::time;

/// The time now.
pub struct Clock;

impl Tool for Clock {
    fn function(&self) -> Function {
        let description = "Returns the current date and time in UTC, as RFC 3339.";
        Function::new("clock", description, object(json!({}), &[]))
    }

    fn call<'a>(&'a self, _arguments: &'a Arguments) -> Answering<'a> {
        Box::pin(async { Ok(time::rfc_3339(SystemTime::now())) })
    }
}

/// Exact arithmetic.
pub struct Calc;

impl Tool for Calc {
    fn function(&self) -> Function {
        let expression = json!({
            "type": "string",
            "description": "Decimal numbers, + - * / ^ and parentheses, such as (1.5 + 2) * 3^2",
        });
        Function::new(
            "calc",
            "Calculates an arithmetic expression exactly. Use it for every calculation.",
            object(json!({"expression": expression}), &["expression"]),
        )
    }

    fn call<'a>(&'a self, arguments: &'a Arguments) -> Answering<'a> {
        Box::pin(async { calc::calculate(text(arguments, "expression")?) })
    }
}
