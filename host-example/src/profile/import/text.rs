//! The profile as text, with the source of each member behind it.

use std::fmt::Write;

use serde_json::Value;

use super::super::pointer::join;
use super::Fate;
use crate::terminal;

/// JSON with comments, which is valid as it is.
pub(super) fn commented(document: &Value, file: &str, fates: &[Fate]) -> String {
    let comment = |pointer: &str| -> String {
        let lines = fates.iter().filter(|fate| fate.pointer.as_deref() == Some(pointer));
        let mut lines: Vec<String> = lines.map(|fate| fate.line.to_string()).collect();
        lines.dedup();
        match lines.as_slice() {
            [] => String::new(),
            lines => format!(" // {}, line {}", terminal::clean_line(file), lines.join(", ")),
        }
    };
    let mut text = format!("// Imported from {}.\n", terminal::clean_line(file));
    write(&mut text, document, "", 0, &comment);
    text.push('\n');
    text
}

fn write(text: &mut String, value: &Value, pointer: &str, depth: usize, comment: &dyn Fn(&str) -> String) {
    let Value::Object(members) = value else {
        let elements = value
            .as_array()
            .map(|elements| elements.iter().map(Value::to_string).collect::<Vec<_>>());
        // Lists are short here, and of scalars.
        return text.push_str(&elements.map_or_else(|| value.to_string(), |all| format!("[{}]", all.join(", "))));
    };
    text.push('{');
    if depth > 0 {
        text.push_str(&comment(pointer));
    }
    for (index, (name, member)) in members.iter().enumerate() {
        let pointer = join(pointer, name);
        let indent = "  ".repeat(depth + 1);
        let _ = write!(text, "\n{indent}{}: ", Value::from(name.as_str()));
        write(text, member, &pointer, depth + 1, comment);
        if index + 1 < members.len() {
            text.push(',');
        }
        if !member.is_object() {
            text.push_str(&comment(&pointer));
        }
    }
    let _ = write!(text, "\n{}}}", "  ".repeat(depth));
}
