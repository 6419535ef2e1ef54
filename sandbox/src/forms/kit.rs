//! Plays scripts for the tests of the forms.

use serde_json::{Value, json};

use super::stream::{Step, json_from};
use crate::{
    answer::{Served, Turn, answer_from, usage::usage},
    catalogue::find,
    rules::request::Chat,
    script::Script,
};

/// Lets a script, written as JSON, answer `hi` to a request with this body, and gives its turn to `play`.
pub(super) fn turn<T>(script: &str, asked: &Value, play: impl FnOnce(&Turn<'_>) -> T) -> T {
    let script: Script = serde_json::from_str(script).expect("the script of a test is valid");
    let served = Served {
        id: "gen-sandbox-000001".to_owned(),
        model_id: "openai/gpt-4o".to_owned(),
        provider: "Sandbox".to_owned(),
        model: find("openai/gpt-4o").expect("in the catalogue"),
        metadata: None,
    };
    let chat = Chat {
        last_user_text: "hi".to_owned(),
        prompt_tokens: 10,
        ..Chat::default()
    };
    let answer = answer_from(&script, &chat, &served.model);
    let usage = usage(&script, &chat, &answer, &served.model);
    play(&Turn {
        script: &script,
        asked: asked.as_object().expect("a body is an object"),
        answer: &answer,
        usage: &usage,
        served: &served,
    })
}

/// What a script makes of an empty body.
pub(super) fn played<T>(script: &str, play: impl FnOnce(&Turn<'_>) -> T) -> T {
    turn(script, &json!({}), play)
}

/// The data frames of a stream, and the text that ends it.
pub(super) fn streamed(script: &str, play: impl FnOnce(&Turn<'_>) -> Vec<Step>) -> (Vec<Value>, Option<String>) {
    let steps = played(script, play);
    let data = |step: &Step| match step {
        Step::Data(frame) => Some(json_from(frame)),
        _ => None,
    };
    let last = match steps.last() {
        Some(Step::Text(text)) => Some(String::from_utf8_lossy(text).into_owned()),
        _ => None,
    };
    (steps.iter().filter_map(data).collect(), last)
}

/// What each frame has at this place; null where it has nothing.
pub(super) fn each(frames: &[Value], pointer: &str) -> Value {
    let found = frames.iter().map(|frame| frame.pointer(pointer).cloned());
    found.map(Option::unwrap_or_default).collect()
}

/// The texts at this place, joined.
pub(super) fn joined(frames: &[Value], pointer: &str) -> String {
    let found = frames.iter().filter_map(|frame| frame.pointer(pointer)?.as_str());
    found.collect()
}

/// The `type` of each event.
pub(super) fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().filter_map(|event| event["type"].as_str()).collect()
}
