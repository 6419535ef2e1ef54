//! The legacy form: a text in, a text out.
//!
//! Pure. The API description lacks this form; the documentation describes it as chat with `prompt` in place of
//! `messages` and `text` in place of `message`.

use serde_json::{Map, Value, json};

use crate::{
    answer::{Turn, pieces::pieces, reasoning, text_before_failure},
    catalogue::CREATED_S,
    failure::Failure,
    forms::{
        chat::choices,
        stream::{DONE, Frames, Part, Step, add_extra, event_frame, steps_from as steps},
    },
    rules::{check_chat, request::Chat},
    script::Empty,
};

/// Members that chat lacks or uses differently.
const NOT_OF_CHAT: [&str; 6] = ["prompt", "logprobs", "echo", "suffix", "best_of", "n"];

/// Checks the body of a request.
pub(crate) fn chat_from(body: &Map<String, Value>) -> Result<Chat, Failure> {
    let prompt = match body.get("prompt") {
        Some(Value::String(text)) => text.as_str(),
        Some(Value::Array(texts)) if texts.len() == 1 && texts[0].is_string() => texts[0].as_str().unwrap_or_default(),
        _ => return Err(Failure::status(400).message("prompt: expected text, or an array of one text")),
    };
    let mut chat = body.clone();
    chat.retain(|name, _| !NOT_OF_CHAT.contains(&name.as_str()));
    chat.insert("messages".to_owned(), json!([{"role": "user", "content": prompt}]));
    check_chat(&chat)
}

/// The body of a whole reply.
pub(crate) fn body_from(turn: &Turn<'_>) -> Value {
    let Turn { script, answer, .. } = turn;
    let finish_reason = Some(answer.finish_reason.as_str()).filter(|_| !script.omit_finish_reason);
    let mut choice = choice(&text_before_failure(script, answer), finish_reason, turn);
    choice["reasoning"] = json!(answer.reasoning);
    let mut body = object(turn, choices(script, choice));
    body["usage"] = json!(turn.usage);
    turn.served.add_metadata(&mut body);
    add_extra(&mut body, &script.extra);
    body
}

/// The steps that stream the answer.
pub(crate) fn steps_from(turn: &Turn<'_>) -> Vec<Step> {
    let Turn { script, answer, .. } = turn;
    let frame = |value: Value| event_frame(None, value, &script.extra);
    let chunk = |text: &str, finish_reason: Option<&str>| object(turn, json!([choice(text, finish_reason, turn)]));
    let reasoning = reasoning::pieces_of(script, &answer.details)
        .into_iter()
        .filter_map(|(text, _)| text)
        .map(|text| {
            let mut value = chunk("", None);
            value["choices"][0]["reasoning"] = json!(text);
            value
        });
    let text = pieces(&answer.text, script.chunk_chars).map(|piece| chunk(piece, None));

    let mut closing = Vec::new();
    if !script.omit_finish_reason && script.empty != Some(Empty::Choices) {
        closing.push(frame(chunk("", Some(&answer.finish_reason))));
    }
    let mut last = object(turn, json!([]));
    last["usage"] = json!(turn.usage);
    turn.served.add_metadata(&mut last);
    closing.push(frame(last));
    let mut failing = chunk("", Some("error"));
    failing["error"] = script.late_failure().error_object();

    let frames = Frames {
        opening: Vec::new(),
        body: reasoning.chain(text).map(|value| Part::Piece(frame(value))),
        closing,
        failing: vec![frame(failing)],
        done: Some(DONE),
    };
    steps(script, frames)
}

fn object(turn: &Turn<'_>, choices: Value) -> Value {
    let served = turn.served;
    json!({
        "id": served.id,
        "provider": served.provider,
        "model": served.model_id,
        "object": "text_completion",
        "created": CREATED_S,
        "choices": choices,
    })
}

fn choice(text: &str, finish_reason: Option<&str>, turn: &Turn<'_>) -> Value {
    let native = match finish_reason {
        Some("error") => Some("error"),
        Some(_) => Some(turn.answer.native_finish_reason.as_str()),
        None => None,
    };
    json!({
        "index": 0,
        "text": text,
        "finish_reason": finish_reason,
        "native_finish_reason": native,
        "logprobs": null,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forms::kit::{each, played, streamed};

    #[test]
    fn a_prompt_is_a_text_or_a_list_of_one() {
        let asked = |body: Value| chat_from(body.as_object().expect("an object")).map(|chat| chat.last_user_text);
        for body in [
            json!({"prompt": "hi", "logprobs": 3, "stop": null}),
            json!({"prompt": ["hi"]}),
        ] {
            assert_eq!(asked(body), Ok("hi".to_owned()));
        }
        let refused = asked(json!({"prompt": [1, 2]})).expect_err("no text");
        let expected = Some("prompt: expected text, or an array of one text");
        assert_eq!(refused.message.as_deref(), expected);
    }

    #[test]
    fn a_whole_reply_holds_its_text_in_the_choice() {
        let body = played(r#"{"text": "one two", "extra": {"a": 1}}"#, body_from);
        let expected = json!({
            "id": "gen-sandbox-000001", "provider": "Sandbox", "model": "openai/gpt-4o",
            "object": "text_completion", "created": CREATED_S, "usage": body["usage"], "a": 1,
            "choices": [{
                "index": 0, "text": "one two", "finish_reason": "stop", "native_finish_reason": "stop",
                "logprobs": null, "reasoning": null,
            }],
        });
        assert_eq!(body, expected);
        assert_eq!(body["usage"]["completion_tokens"], json!(2));
    }

    #[test]
    fn a_stream_is_text_finish_reason_usage_and_done() {
        let (chunks, done) = streamed(r#"{"text": "one two"}"#, steps_from);
        assert_eq!(each(&chunks, "/choices/0/text"), json!(["one", " two", "", null]));
        assert_eq!(chunks[2]["choices"][0]["finish_reason"], "stop");
        assert_eq!(chunks[3]["usage"]["completion_tokens"], 2);
        assert_eq!(done.as_deref(), Some(DONE));
    }

    #[test]
    fn a_failure_in_the_middle_ends_the_stream() {
        let (chunks, done) = streamed(r#"{"text": "one two", "fail_after_chunks": 1}"#, steps_from);
        assert_eq!((chunks.len(), done), (2, None));
        assert_eq!(chunks[1]["error"]["code"], 502);
        assert_eq!(chunks[1]["choices"][0]["finish_reason"], "error");
    }
}
