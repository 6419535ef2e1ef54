//! Reads content in parts: text, reasoning, a refusal, images and sound.
//!
//! In: a member that is usually a string, in any other form. Out: what it contains, in order. Pure.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::answer::json::{self, Kind, Raw, Text, each_element, each_member};
use crate::answer::odd::Odd;
use crate::answer::template::Part;

/// Most parts of one member that are read.
const MAX_PARTS: usize = 1 << 16;

/// How deeply parts may be nested. Reasoning in parts has two levels.
const MAX_DEPTH: u8 = 4;

/// What a part is.
pub enum Found<'a> {
    Text(Part, Text<'a>),
    Refusal(Text<'a>),
    /// An element of a member that is kept as it was written.
    Extra(&'static str, Cow<'a, str>),
}

/// Reads a member that is not a string.
///
/// - In: its name, for notices, and what a text in it is.
pub fn of_content<'a>(name: &str, content: Raw<'a>, part: Part, found: &mut Vec<Found<'a>>, odd: &mut Odd) {
    read(name, content, part, MAX_DEPTH, found, odd);
}

/// Writes cited addresses as the annotations that they are elsewhere.
///
/// - In: an array of addresses, or of objects with an address. Anything else in it is left out.
pub fn annotations_of(citations: Raw<'_>) -> String {
    let Value::Array(citations) = json::value(citations) else {
        return "[]".to_owned();
    };
    let of = |citation: Value| match citation {
        Value::String(url) => Some(json!({"type": "url_citation", "url_citation": {"url": url}})),
        page if page["url"].is_string() => Some(json!({"type": "url_citation", "url_citation": page})),
        _ => None,
    };
    citations.into_iter().filter_map(of).collect::<Value>().to_string()
}

fn read<'a>(name: &str, content: Raw<'a>, part: Part, depth: u8, found: &mut Vec<Found<'a>>, odd: &mut Odd) {
    match Kind::of(content) {
        // A flag says at most that there is nothing.
        Kind::Nothing => {}
        Kind::Flag if content == "false" => {}
        Kind::Flag => odd.note(name, content),
        _ if found.len() >= MAX_PARTS => odd.note(name, content),
        Kind::Text | Kind::Number => {
            let text = json::text(content).unwrap_or_else(|| Text::plain(content));
            add(found, part, text);
        }
        Kind::List | Kind::Object if depth == 0 => odd.note(name, content),
        Kind::List => drop(each_element(content, |element| {
            read(name, element, part, depth - 1, found, odd)
        })),
        Kind::Object => read_part(name, content, part, depth - 1, found, odd),
    }
}

fn read_part<'a>(name: &str, json: Raw<'a>, part: Part, depth: u8, found: &mut Vec<Found<'a>>, odd: &mut Odd) {
    let names = [
        "type",
        "text",
        "thinking",
        "reasoning",
        "summary",
        "content",
        "refusal",
        "audio",
        "input_audio",
        "annotations",
    ];
    let Some(members) = json::members(json, &names) else {
        return;
    };
    let [kind, rest @ ..] = members;
    let kind = json::word(kind).unwrap_or_default();
    let is = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    // An empty member stands for none.
    let [
        text,
        thinking,
        reasoning,
        summary,
        content,
        refusal,
        audio,
        input_audio,
        annotations,
    ] = rest.map(|member| if json::is_blank(member) { "" } else { member });
    let n_found = found.len();
    if is(&["image"]) {
        found.push(Found::Extra("images", format!("[{json}]").into()));
    }
    for (name, extra) in [("audio", audio), ("audio", input_audio), ("annotations", annotations)] {
        if !extra.is_empty() {
            found.push(Found::Extra(name, extra.into()));
        }
    }
    let is_thinking = is(&["think", "reason", "summary"]);
    let mut says_something = false;
    each_member(json, |name, member| {
        says_something |= name != "type" && !json::is_blank(member)
    });
    let is_for_the_next_turn = is_thinking || !thinking.is_empty() || !reasoning.is_empty();
    if part == Part::Content && is_for_the_next_turn && says_something {
        found.push(Found::Extra("content", json.into()));
    }
    for member in [thinking, reasoning] {
        read(name, member, Part::Reasoning(""), depth, found, odd);
    }
    found.extend(json::text(refusal).map(Found::Refusal));
    let part = if is_thinking { Part::Reasoning("") } else { part };
    let texts = [text, summary, content];
    if let Some(text) = texts.into_iter().find(|member| !member.is_empty()) {
        read(name, text, part, depth, found, odd);
    }
    let has_text = texts.iter().any(|member| !member.is_empty());
    if found.len() == n_found
        && !has_text
        && !json::is_blank(json)
        && members[1..].iter().all(|member| member.is_empty())
    {
        odd.note(name, json);
    }
}

/// Appends a text to the one before it, if both are of the same kind, so that the pieces of a text take no more memory
/// than the text.
fn add<'a>(found: &mut Vec<Found<'a>>, part: Part, text: Text<'a>) {
    let is_crowded = found.len() >= MAX_PARTS;
    match found.last_mut() {
        Some(Found::Text(last, before)) if *last == part && is_crowded => before.push_whole(text),
        Some(Found::Text(last, before)) if *last == part && before.can_take(&text) => before.push(&text),
        _ => found.push(Found::Text(part, text)),
    }
}

/// The texts of reasoning in typed parts.
pub fn of_details<'a>(details: Raw<'a>, found: &mut Vec<Found<'a>>) {
    let mut take = |part: Raw<'a>| {
        let [text, summary] = json::members(part, &["text", "summary"]).unwrap_or_default();
        if let Some(text) = json::text(text).or_else(|| json::text(summary)) {
            add(found, Part::Reasoning(""), text);
        }
    };
    match Kind::of(details) {
        Kind::List => drop(each_element(details, take)),
        _ => take(details),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read_to_four_levels() {
        for (content, is_read) in [
            (r#"[[[["x"]]]]"#, true),
            (r#"[[[[["x"]]]]]"#, false),
            (r#"{"content":{"content":{"content":{"text":"x"}}}}"#, true),
            (r#"{"content":{"content":{"content":{"content":{"text":"x"}}}}}"#, false),
        ] {
            let (mut found, mut odd) = (Vec::new(), Odd::default());
            of_content("content", content, Part::Content, &mut found, &mut odd);
            let texts = found
                .iter()
                .filter(|part| matches!(part, Found::Text(_, text) if text.text == "x"));
            assert_eq!(
                (texts.count(), odd.n_noted()),
                if is_read { (1, 0) } else { (0, 1) },
                "{content}"
            );
        }
    }
}
