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

pub(super) fn check(top: &Fields<'_>, chat: &mut Chat) {
    let found = match top.value("messages") {
        None => Some("nothing"),
        Some(Value::Array(messages)) if messages.is_empty() => Some("an empty one"),
        Some(_) => None,
    };
    if let Some(found) = found {
        let problem = format!("expected an array with at least one message, found {found}");
        return top.say("messages", &problem);
    }
    for message in top.objects("messages") {
        let Some(role) = message.required_one_of("role", &ROLES) else {
            continue;
        };
        let text = content(&message, role);
        chat.prompt_tokens += tokens_of(&text) + TOKENS_AROUND_A_MESSAGE;
        message.text("name");
        match role {
            "user" => {
                chat.last_user_text = text.clone();
                chat.n_answers = 0;
            }
            "assistant" => {
                chat.returned_reasoning = assistant(&message);
                chat.n_answers += 1;
            }
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
fn content(message: &Fields<'_>, role: &str) -> String {
    match message.value("content") {
        Some(Value::String(text)) => return text.clone(),
        Some(Value::Array(_)) => return parts(message, role),
        None | Some(Value::Null) if role == "assistant" => {}
        found => {
            let found = found.map_or("nothing", kind_of);
            message.say("content", &format!("expected text or an array of parts, found {found}"));
        }
    }
    String::new()
}

fn parts(message: &Fields<'_>, role: &str) -> String {
    let mut text = String::new();
    for part in message.objects("content") {
        let Some(kind) = part.required_text("type") else {
            continue;
        };
        let Some((_, member, inner)) = PARTS.iter().find(|(name, ..)| *name == kind) else {
            let names: Vec<&str> = PARTS.iter().map(|(name, ..)| *name).collect();
            part.say("type", &format!("expected one of {}", listed(&names)));
            continue;
        };
        if kind == "text" {
            text.push_str(part.required_text("text").unwrap_or_default());
            continue;
        }
        if matches!(role, "system" | "developer") {
            part.say("type", &format!("expected `text` in a message of the role `{role}`"));
        }
        let Some(object) = part.required_object(member) else {
            continue;
        };
        if kind == "file" {
            let names = ["file_data", "file_id"];
            if names.iter().all(|name| object.text(name).is_none()) {
                object.say("", "expected `file_data` or `file_id`");
            }
            continue;
        }
        object.required_text(inner);
        if kind == "input_audio" {
            object.required_text("format");
        } else {
            object.one_of("detail", &["auto", "low", "high", "original"]);
        }
    }
    text
}

/// Out: the returned reasoning details.
fn assistant(message: &Fields<'_>) -> Option<Vec<Value>> {
    for call in message.objects("tool_calls") {
        call.required_text("id");
        call.required_text("type");
        if let Some(function) = call.required_object("function") {
            function.required_text("name");
            function.required_text("arguments");
        }
    }
    for detail in message.objects("reasoning_details") {
        detail.required_text("type");
    }
    message.value("reasoning_details").and_then(Value::as_array).cloned()
}
