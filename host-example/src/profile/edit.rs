//! Changes one value in the text of a profile file. Comments and formatting stay. Pure.
//!
//! The text is cut and filled in where the value stands; a parser that writes the file anew would spread objects of one
//! line over several, and drop the comments beside a member that goes.

use std::ops::Range;

use serde_json::{Value, json};

use super::document::Document;
use super::normalise::pointer_in;
use super::pointer::{PROFILES, join, segments};

/// The pointer in the file of an option of a profile.
///
/// - In: `option`, a pointer below the profile, or its names with dots between: `/retry/attempts`, `retry.attempts`.
/// - Out: in the file's own spelling as far as the file has it.
pub fn place_of(document: &Document, profile: &str, option: &str) -> String {
    let option = pointer_of(option);
    let base = join(PROFILES, profile);
    let mut place = pointer_in(document, &base, &option);
    let n_found = segments(&place).count() - segments(&base).count();
    for missing in segments(&option).skip(n_found) {
        place = join(&place, &missing);
    }
    place
}

/// The pointer in the file of a profile.
pub fn profile_pointer(name: &str) -> String {
    join(PROFILES, name)
}

/// The pointer below a profile that an option's name stands for.
pub(super) fn pointer_of(option: &str) -> String {
    match option.starts_with('/') {
        true => option.to_owned(),
        false => option
            .split('.')
            .fold(String::new(), |pointer, name| join(&pointer, name)),
    }
}

/// The text of the document with another value at `pointer`, or without one. Objects around it are made.
///
/// - Errors: something on the way to it is neither an object nor a list that is long enough.
pub fn edited(document: &Document, pointer: &str, value: Option<&Value>) -> Result<String, String> {
    let names: Vec<String> = segments(pointer).collect();
    if names.is_empty() {
        return Err("expected the name of an option, found the whole file".to_owned());
    }
    let place = |n_names: usize| {
        names[..n_names]
            .iter()
            .fold(String::new(), |above, name| join(&above, name))
    };
    let n_found = (0..=names.len())
        .rev()
        .find(|n| document.value.pointer(&place(*n)).is_some());
    let n_found = n_found.unwrap_or_default();
    let here = place(n_found);
    match (names[n_found..].split_first(), value) {
        (None, Some(value)) => Ok(replaced(document, &here, value)),
        (None, None) => Ok(removed(document, &here)),
        (Some((name, below)), value) => {
            let is_next = |list: &Vec<Value>| below.is_empty() && name.parse() == Ok(list.len());
            let name = match document.value.pointer(&here) {
                Some(Value::Object(_)) => Some(name),
                Some(Value::Array(list)) if value.is_some() && is_next(list) => None,
                _ => return Err(format!("there is no {}", join(&here, name))),
            };
            let Some(value) = value else {
                return Ok(document.text.clone());
            };
            let value = below
                .iter()
                .rev()
                .fold(value.clone(), |value, name| json!({name: value}));
            let name = name.map_or_else(String::new, |name| format!("{}: ", Value::from(name.as_str())));
            Ok(inserted(document, &here, &format!("{name}{}", spelled(&value))))
        }
    }
}

/// A value on one line, as people write it.
fn spelled(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Array(elements) => format!("[{}]", joined(elements.iter().map(spelled).collect())),
        Value::Object(members) if !members.is_empty() => {
            let members = members.iter();
            let members = members.map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), spelled(value)));
            format!("{{ {} }}", joined(members.collect()))
        }
        value => value.to_string(),
    }
}

fn replaced(document: &Document, pointer: &str, value: &Value) -> String {
    let mut text = document.text.clone();
    text.replace_range(document.value_range(pointer).unwrap_or_default(), &spelled(value));
    text
}

/// The text with one more member, or element, at the end of an object or a list.
fn inserted(document: &Document, container: &str, member: &str) -> String {
    let mut text = document.text.clone();
    let range = document.value_range(container).unwrap_or_default();
    let close = range.end.saturating_sub(1);
    let members = members(document, container);
    let last = members.last().map(|last| last.end);
    let comma = last.and_then(|end| comma_after(&text, end));
    let trailing = comma.map_or("", |_| ",");
    let line = line_start(&text, close);
    let (at, new) = if line > range.start && text[line..close].trim().is_empty() {
        let first = |member: &&Range<usize>| text[line_start(&text, member.start)..member.start].trim().is_empty();
        let indent = match members.iter().rev().find(first) {
            Some(member) => text[line_start(&text, member.start)..member.start].to_owned(),
            None => format!("{}  ", &text[line..close]),
        };
        let end = text[..line].trim_end_matches(['\r', '\n']).len();
        let newline = if text[..line].ends_with("\r\n") { "\r\n" } else { "\n" };
        (end, format!("{newline}{indent}{member}{trailing}"))
    } else if last.is_some() {
        (text[..close].trim_end().len(), format!(" {member}{trailing}"))
    } else {
        let around = if text[close..].starts_with('}') { " " } else { "" };
        (
            close,
            format!(
                "{}{member}{around}",
                if text[..close].ends_with(' ') { "" } else { around }
            ),
        )
    };
    text.insert_str(at, &new);
    if let (Some(last), None) = (last, comma) {
        text.insert(last, ',');
    }
    text
}

/// The text without a member or an element. Comments beside it stay.
fn removed(document: &Document, pointer: &str) -> String {
    let mut text = document.text.clone();
    let container = &pointer[..pointer.rfind('/').unwrap_or_default()];
    let members = members(document, container);
    let value = document.value_range(pointer).unwrap_or_default();
    let start = document.key_range(pointer).map_or(value.start, |key| key.start);
    let comma = comma_after(&text, value.end).or_else(|| {
        let previous = members.iter().rev().find(|member| member.end <= start)?;
        comma_after(&text, previous.end)
    });
    let behind = comma
        .filter(|comma| *comma == value.end)
        .map_or(value.end, |comma| comma + 1);
    let line = line_start(&text, start);
    let before = &text[line..start];
    let rest = text[behind..].split_inclusive('\n').next().unwrap_or_default();
    let (cut, blanks) = if before.trim().is_empty() && rest.trim().is_empty() {
        (line..value.end, behind..behind + rest.len())
    } else if !before.trim().is_empty() && comma.is_none_or(|comma| comma < start) {
        (start..value.end, line + before.trim_end().len()..start)
    } else {
        let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
        (start..value.end, behind..behind + blank)
    };
    let mut cuts: Vec<_> = comma
        .map(|comma| comma..comma + 1)
        .into_iter()
        .chain([cut, blanks])
        .collect();
    cuts.sort_by_key(|cut| cut.start);
    for cut in cuts.into_iter().rev() {
        text.replace_range(cut, "");
    }
    text
}

/// The places of a container's members or elements, in order.
fn members(document: &Document, container: &str) -> Vec<Range<usize>> {
    let names: Vec<String> = match document.value.pointer(container) {
        Some(Value::Object(members)) => members.keys().cloned().collect(),
        Some(Value::Array(list)) => (0..list.len()).map(|index| index.to_string()).collect(),
        _ => Vec::new(),
    };
    let places = names.iter().filter_map(|name| {
        let pointer = join(container, name);
        let value = document.value_range(&pointer)?;
        let start = document.key_range(&pointer).map_or(value.start, |key| key.start);
        Some(start..value.end)
    });
    let mut places: Vec<Range<usize>> = places.collect();
    places.sort_by_key(|place| place.start);
    places
}

fn line_start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The place of the comma that follows, with nothing but blanks and comments before it.
fn comma_after(text: &str, mut at: usize) -> Option<usize> {
    loop {
        let rest = text[at..].trim_start();
        at = text.len() - rest.len();
        at += match rest.get(..2) {
            Some("//") => rest.find('\n')?,
            Some("/*") => rest.find("*/")? + 2,
            _ => return rest.starts_with(',').then_some(at),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FILE: &str = r#"{
  // Ours.
  "auth": { "profiles": { "default": {
    "provider": "acme", // the plugin
    "fallback_models": ["a/b", "a/c"],
    "tiers": {
      "small": "a/small", // cheap
    },
  } } },
}
"#;

    fn with(option: &str, value: Option<Value>) -> Result<String, String> {
        let document = Document::parse("p.json", FILE.to_owned()).expect("it is valid");
        edited(&document, &place_of(&document, "default", option), value.as_ref())
    }

    #[test]
    fn one_value_changes_and_nothing_else() {
        let changed = |from: &str, to: &str| Ok(FILE.replace(from, to));
        assert_eq!(with("tiers.small", Some(json!("a/tiny"))), changed("a/small", "a/tiny"));
        assert_eq!(
            with("/fallbackModels/1", Some(json!("a/d"))),
            changed("a/c", "a/d"),
            "in the file's spelling"
        );
        assert_eq!(
            with("tiers.large", Some(json!("a/large"))),
            changed("// cheap\n", "// cheap\n      \"large\": \"a/large\",\n")
        );
        assert_eq!(with("nothing.here", None), Ok(FILE.to_owned()));
    }

    #[test]
    fn missing_objects_are_made_and_values_removed() {
        let made = with("retry.attempts", Some(json!(2))).expect("it can be made");
        let value = Document::parse("p.json", made).expect("it is valid").value;
        assert_eq!(
            value.pointer("/auth/profiles/default/retry"),
            Some(&json!({"attempts": 2}))
        );
        let removed = with("fallbackModels", None).expect("it can be removed");
        assert!(
            !removed.contains("fallback_models") && removed.contains("// the plugin"),
            "{removed}"
        );
        assert_eq!(
            with("provider.name", Some(json!(1))),
            Err("there is no /auth/profiles/default/provider/name".to_owned())
        );
    }

    /// The text after a change of this one.
    fn change(text: &str, pointer: &str, value: Option<Value>) -> String {
        let document = Document::parse("p.json", text.to_owned()).expect("it is valid");
        let changed = edited(&document, pointer, value.as_ref()).expect("it can be changed");
        let mut expected = document.value.clone();
        if let (Some(place), Some(value)) = (expected.pointer_mut(pointer), &value) {
            *place = value.clone();
            let value = Document::parse("p.json", changed.clone())
                .expect("it stays valid")
                .value;
            assert_eq!(value, expected);
        }
        changed
    }

    #[test]
    fn an_object_of_one_line_stays_one() {
        for (before, after) in [
            (r#"{ "a": 1 }"#, r#"{ "a": 1, "b": { "c": [1, "x"] } }"#),
            (r#"{ "a": 1, }"#, r#"{ "a": 1, "b": { "c": [1, "x"] }, }"#),
            (r#"{"a": 1 /* one */}"#, r#"{"a": 1, /* one */ "b": { "c": [1, "x"] }}"#),
            ("{}", r#"{ "b": { "c": [1, "x"] } }"#),
            (
                "{\r\n\t\"a\": 1 // one\r\n}",
                "{\r\n\t\"a\": 1, // one\r\n\t\"b\": { \"c\": [1, \"x\"] }\r\n}",
            ),
            (
                "{\n  // none yet\n}\n",
                "{\n  // none yet\n  \"b\": { \"c\": [1, \"x\"] }\n}\n",
            ),
        ] {
            assert_eq!(change(before, "/b/c", Some(json!([1, "x"]))), after);
        }
        assert_eq!(change(r#"{"a": []}"#, "/a/0", Some(json!(1))), r#"{"a": [1]}"#);
        assert_eq!(change(r#"{"a": [1]}"#, "/a/1", Some(json!(2))), r#"{"a": [1, 2]}"#);
    }

    #[test]
    fn comments_beside_a_member_that_goes_stay() {
        for (before, after) in [
            (r#"{ "a": 1, "b": 2 }"#, r#"{ "a": 1 }"#),
            (r#"{ "b": 2, "a": 1 }"#, r#"{ "a": 1 }"#),
            (r#"{ "b": 2 }"#, "{ }"),
            (
                r#"{ "a": 1, "b": 2, /* two */ "c": 3 }"#,
                r#"{ "a": 1, /* two */ "c": 3 }"#,
            ),
            (r#"{ "a": 1, "b": 2 /* two */ }"#, r#"{ "a": 1 /* two */ }"#),
            ("{\n  \"a\": 1, // one\n  \"b\": 2\n}\n", "{\n  \"a\": 1 // one\n}\n"),
            (
                "{\n  \"b\": {\n    \"x\": 1\n  }, // two\n  \"c\": 3\n}\n",
                "{\n  // two\n  \"c\": 3\n}\n",
            ),
            (
                "{\n  // two\n  \"b\": 2,\n  \"c\": 3,\n}\n",
                "{\n  // two\n  \"c\": 3,\n}\n",
            ),
        ] {
            assert_eq!(change(before, "/b", None), after, "{before}");
        }
        assert_eq!(change(r#"{"b": [1, 2, 3]}"#, "/b/1", None), r#"{"b": [1, 3]}"#);
    }
}
