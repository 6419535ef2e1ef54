//! Checks the messages of a chat request and reads what the answer needs from them.

use serde_json::Value;

use super::{
    fields::{Fields, kind_of, listed},
    request::{Chat, tokens_of},
};

const ROLES: [&str; 5] = ["system", "developer", "user", "assistant", "tool"];

/// The parts of a message: `type`, the required member, and the required text in it (empty for text and files).
const PARTS: [(&str, &str, &str); 6] = [
    ("text", "text", ""),
    ("image_url", "image_url", "url"),
    ("input_audio", "input_audio", "data"),
    ("video_url", "video_url", "url"),
    ("input_video", "video_url", "url"),
    ("file", "file", ""),
];

/// Tokens that each message adds to its text.
const TOKENS_AROUND_A_MESSAGE: u64 = 3;

pub(super) fn check(top: &mut Fields<'_>, chat: &mut Chat) {
    match top.value("messages") {
        None => return top.say("messages", "expected an array with at least one message, found nothing"),
        Some(Value::Array(messages)) if messages.is_empty() => {
            return top.say(
                "messages",
                "expected an array with at least one message, found an empty one",
            );
        }
        Some(_) => {}
    }
    let mut messages = top.objects("messages");
    while let Some(mut message) = messages.next() {
        if message.required_text("role").is_none() {
            continue;
        }
        let Some(role) = message.one_of("role", &ROLES) else {
            continue;
        };
        let role = role.to_owned();
        let text = content(&mut message, &role);
        chat.prompt_tokens += tokens_of(&text) + TOKENS_AROUND_A_MESSAGE;
        message.text("name");
        match role.as_str() {
            "user" => chat.last_user_text = text.clone(),
            "assistant" => chat.returned_reasoning = assistant(&mut message),
            "tool" => {
                message.required_text("tool_call_id");
            }
            _ => {}
        }
        if role == "tool" {
            chat.tool_results.push(text);
        } else {
            chat.tool_results.clear();
        }
    }
}

/// Out: the text of the content, with its parts joined.
fn content(message: &mut Fields<'_>, role: &str) -> String {
    match message.value("content") {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(_)) => parts(message, role),
        None | Some(Value::Null) if role == "assistant" => String::new(),
        None => {
            message.say("content", "expected text or an array of parts, found nothing");
            String::new()
        }
        Some(other) => {
            let found = kind_of(other);
            message.say("content", &format!("expected text or an array of parts, found {found}"));
            String::new()
        }
    }
}

fn parts(message: &mut Fields<'_>, role: &str) -> String {
    let mut text = String::new();
    let mut objects = message.objects("content");
    while let Some(mut part) = objects.next() {
        let Some(kind) = part.required_text("type").map(str::to_owned) else {
            continue;
        };
        let Some((_, member, inner)) = PARTS.iter().find(|(name, ..)| *name == kind) else {
            let names: Vec<&str> = PARTS.iter().map(|(name, ..)| *name).collect();
            part.say("type", &format!("expected one of {}", listed(&names)));
            continue;
        };
        if kind != "text" && matches!(role, "system" | "developer") {
            part.say("type", &format!("expected `text` in a message of the role `{role}`"));
        }
        if kind == "text" {
            text.push_str(part.required_text("text").unwrap_or_default());
            continue;
        }
        let Some(mut object) = part.required_object(member) else {
            continue;
        };
        match (kind.as_str(), *inner) {
            ("file", _) => {
                let names = ["file_data", "file_id"];
                if names.iter().all(|name| object.text(name).is_none()) {
                    object.say("", "expected `file_data` or `file_id`");
                }
            }
            ("input_audio", inner) => {
                object.required_text(inner);
                object.required_text("format");
            }
            (_, inner) => {
                object.required_text(inner);
                object.one_of("detail", &["auto", "low", "high", "original"]);
            }
        }
    }
    text
}

/// Out: the returned reasoning details.
fn assistant(message: &mut Fields<'_>) -> Option<Vec<Value>> {
    let mut calls = message.objects("tool_calls");
    while let Some(mut call) = calls.next() {
        call.required_text("id");
        call.required_text("type");
        let Some(mut function) = call.required_object("function") else {
            continue;
        };
        function.required_text("name");
        function.required_text("arguments");
    }
    let mut details = message.objects("reasoning_details");
    while let Some(mut detail) = details.next() {
        detail.required_text("type");
    }
    message.value("reasoning_details").and_then(Value::as_array).cloned()
}
