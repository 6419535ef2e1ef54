//! Reads content in parts: text, reasoning, a refusal, images and sound.
//!
//! In: a member that is usually a string, in any other form. Out: what it contains, in order. Pure.

use std::borrow::Cow;

use crate::answer::json::{self, Kind, Raw, Text, each_element};
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

fn read<'a>(name: &str, content: Raw<'a>, part: Part, depth: u8, found: &mut Vec<Found<'a>>, odd: &mut Odd) {
    match Kind::of(content) {
        Kind::Nothing => {}
        Kind::Text | Kind::Number | Kind::Flag => {
            let text = json::text(content).unwrap_or_else(|| Text::plain(content));
            add(found, part, text);
        }
        Kind::List | Kind::Object if depth == 0 || found.len() >= MAX_PARTS => odd.note(name, content),
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
    ];
    let Some(
        [
            kind,
            text,
            thinking,
            reasoning,
            summary,
            content,
            refusal,
            audio,
            input_audio,
        ],
    ) = json::members(json, &names)
    else {
        return;
    };
    let kind = json::word(kind).unwrap_or_default();
    let first = |members: &[Raw<'a>]| members.iter().copied().find(|member| !member.is_empty());
    let is = |words: &[&str]| words.iter().any(|word| kind.contains(word));
    if is(&["image"]) {
        found.push(Found::Extra("images", format!("[{json}]").into()));
    } else if let Some(sound) = first(&[audio, input_audio]) {
        found.push(Found::Extra("audio", sound.into()));
    } else if let Some(refusal) = first(&[refusal]).and_then(json::text) {
        found.push(Found::Refusal(refusal));
    } else if let Some(reasoning) = first(&[thinking, reasoning]) {
        read(name, reasoning, Part::Reasoning(""), depth, found, odd);
    } else if let Some(text) = first(&[text, summary, content]) {
        let is_reasoning = is(&["think", "reason", "summary"]);
        let part = if is_reasoning { Part::Reasoning("") } else { part };
        read(name, text, part, depth, found, odd);
    } else if !json.trim_start_matches('{').trim().starts_with('}') {
        odd.note(&format!("{name}[]"), json);
    }
}

/// Appends a text to the one before it, if both are the same.
fn add<'a>(found: &mut Vec<Found<'a>>, part: Part, text: Text<'a>) {
    match found.last_mut() {
        Some(Found::Text(last, before)) if *last == part && before.has_placeholders == text.has_placeholders => {
            before.text.to_mut().push_str(&text.text);
        }
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
