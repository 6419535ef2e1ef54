//! What nobody knows yet, and what an answer has beside its text: it passes through the raw form as it is, and into the types byte
//! for byte.

use plugin_api::{ChatReply, Plugin, Verbatim};
use sandbox::Script;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tests::faultd::{DONE, Faultd, Script as Bytes, finish_event, text_event};
use tests::{block_on, request};

use crate::bench::{
    Direct, Twins, chat, chat_body, direct, good, plugin, plugin_of, post, raw_stream, strange_twins, streamed, twins,
};

const MODEL: &str = "acme/model";

fn members(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// An answer with everything beside its text.
fn rich() -> Script {
    Script {
        text: Some("Look at this.".to_owned()),
        reasoning_details: vec![
            json!({"type": "reasoning.summary", "summary": "in short", "id": "r1", "format": "x", "index": 0}),
            json!({"type": "reasoning.text", "text": "at some length", "signature": "sig==", "index": 1}),
            json!({"type": "reasoning.encrypted", "data": "AAEC", "index": 2}),
            json!({"type": "reasoning.unheard-of", "what": {"n": 1.0}, "index": 3}),
        ],
        images: vec![
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}, "index": 0}),
            json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,BB=="}, "index": 1}),
        ],
        audio: Some(members(
            json!({"id": "audio-1", "data": "QUJDREVGR0g=", "transcript": "Look at this.", "expires_at": 7}),
        )),
        annotations: vec![
            json!({"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "\u{e9}", "start_index": 0}}),
            json!({"type": "file", "file": {"hash": "h"}}),
        ],
        extra: members(json!({"x_new": {"n": 1.0}, "system_fingerprint": "fp"})),
        usage: members(json!({"x_tokens": 3, "cost": 0.5})),
        ..Script::default()
    }
}

fn rich_twins() -> Twins<Box<sandbox::Sandbox>> {
    strange_twins(|builder| builder.script(MODEL, rich()))
}

/// The answer in types, streamed and whole.
fn typed(plugin: &Plugin) -> [ChatReply; 2] {
    let asked = request(MODEL, "Hello");
    [
        streamed(plugin, &asked).reply(),
        block_on(plugin.chat(&asked)).expect("an answer"),
    ]
}

fn extra<'a>(reply: &'a ChatReply, name: &str) -> &'a str {
    reply.done.extras.get(name).map_or("", Verbatim::get)
}

/// The value at a JSON pointer, as it is written.
fn written_at(json: &str, path: &[&str]) -> Option<String> {
    let mut value: Box<RawValue> = serde_json::from_str(json).expect("JSON");
    for name in path {
        value = match name.parse::<usize>() {
            Ok(place) => serde_json::from_str::<Vec<Box<RawValue>>>(value.get())
                .ok()?
                .into_iter()
                .nth(place)?,
            Err(_) => serde_json::from_str::<std::collections::BTreeMap<String, Box<RawValue>>>(value.get())
                .ok()?
                .remove(*name)?,
        };
    }
    Some(value.get().to_owned())
}

/// What the events of a stream have at this member of their deltas, element behind element.
fn streamed_elements(stream: &str, name: &str) -> String {
    let mut elements = Vec::new();
    for data in stream.lines().filter_map(|line| line.strip_prefix("data: {")) {
        let Some(list) = written_at(&format!("{{{data}"), &["choices", "0", "delta", name]) else {
            continue;
        };
        let list: Vec<Box<RawValue>> = serde_json::from_str(&list).expect("a list");
        elements.extend(list.iter().map(|element| element.get().to_owned()));
    }
    format!("[{}]", elements.join(","))
}

#[test]
fn a_whole_answer_with_everything_in_it_is_passed_on_as_it_is() {
    let twins = rich_twins();
    let answer = good(&plugin(&twins.asked, json!({})), chat(MODEL));
    assert_eq!(Direct::of(&answer), direct(&twins.direct, &chat(MODEL)));
    assert_eq!(
        answer.done.usage.and_then(|usage| usage.cost_usd).as_deref(),
        Some("0.5")
    );
}

#[test]
fn a_stream_with_everything_in_it_is_passed_on_as_it_is() {
    let twins = rich_twins();
    let mut body = chat_body(MODEL);
    body["stream"] = json!(true);
    let asked = post("/chat/completions", &body);
    let came = raw_stream(&plugin(&twins.asked, json!({})), asked.clone());
    assert_eq!(came.raw(), direct(&twins.direct, &asked).text());
}

#[test]
fn what_a_whole_message_has_beside_its_text_is_kept_as_it_is_written() {
    let twins = rich_twins();
    let given = direct(&twins.direct, &chat(MODEL));
    let [_, reply] = typed(&plugin(&twins.asked, json!({})));
    let names: Vec<&str> = reply.done.extras.keys().map(String::as_str).collect();
    assert_eq!(names, ["annotations", "audio", "images", "reasoning_details"]);
    for name in names {
        let written = written_at(given.text(), &["choices", "0", "message", name]).expect("it is there");
        assert_eq!(extra(&reply, name), written, "{name}");
    }
}

#[test]
fn what_a_stream_has_beside_its_text_is_kept_element_by_element_and_in_order() {
    let twins = rich_twins();
    let mut body = chat_body(MODEL);
    body["stream"] = json!(true);
    let given = direct(&twins.direct, &post("/chat/completions", &body));
    let [reply, _] = typed(&plugin(&twins.asked, json!({})));
    for name in ["annotations", "images", "reasoning_details"] {
        assert_eq!(extra(&reply, name), streamed_elements(given.text(), name), "{name}");
    }
    let audio: Value = serde_json::from_str(extra(&reply, "audio")).expect("JSON");
    assert_eq!(
        audio,
        json!({"id": "audio-1", "data": "QUJDREVGR0g=", "transcript": "Look at this.", "expires_at": 7}),
        "sound comes in pieces and is one thing"
    );
}

#[test]
fn text_and_reasoning_are_the_same_with_everything_beside_them() {
    let [streamed, whole] = typed(&plugin(&rich_twins().asked, json!({})));
    assert_eq!((&streamed.text, &streamed.reasoning), (&whole.text, &whole.reasoning));
    assert_eq!(streamed.text, "Look at this.");
    assert_eq!(streamed.reasoning, "in shortat some length");
}

#[test]
fn odd_spelling_of_what_stands_beside_the_text_is_kept() {
    let element = r#"{ "type" : "reasoning.text","text":"\u00e9\/\ud83c\udf02", "n":1.0e0,"big":123456789012345678901234567890,"signature":"a+b\/c==" }"#;
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":null,\"reasoning_details\" : [ {element} , {element}]}}}}]}}\n\n"
    );
    let service = Faultd::playing([Bytes::stream(&[
        event.clone(),
        text_event("Hi"),
        event,
        finish_event("stop"),
        DONE.to_owned(),
    ])]);
    let reply = streamed(&plugin_of(&service, json!({})), &request(MODEL, "Hello")).reply();
    assert_eq!(
        extra(&reply, "reasoning_details"),
        format!("[{}]", [element; 4].join(","))
    );
    assert_eq!(reply.text, "Hi");
}

#[test]
fn an_answer_that_is_nothing_but_a_picture_is_one() {
    let twins = twins(|builder| {
        let script = Script {
            text: Some(String::new()),
            images: vec![json!({"type": "image_url", "image_url": {"url": "data:,"}})],
            ..Script::default()
        };
        builder.script(MODEL, script)
    });
    for reply in typed(&plugin(&twins.asked, json!({}))) {
        assert_eq!(reply.text, "");
        assert_eq!(
            extra(&reply, "images"),
            r#"[{"type":"image_url","image_url":{"url":"data:,"}}]"#
        );
        assert!(reply.notices.is_empty(), "{:?}", reply.notices);
    }
}

#[test]
fn chunks_of_unknown_kinds_change_nothing_in_types() {
    let service = Faultd::playing([Bytes::stream(&[
        "data: {\"type\":\"unheard-of\",\"x\":[1]}\n\n".to_owned(),
        "event: other\ndata: {\"object\":\"odd\",\"choices\":[]}\n\n".to_owned(),
        text_event("Hi"),
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"unheard_of\":{\"a\":1}}}]}\n\n".to_owned(),
        "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"another answer\"}}]}\n\n".to_owned(),
        finish_event("stop"),
        DONE.to_owned(),
    ])]);
    let reply = streamed(&plugin_of(&service, json!({})), &request(MODEL, "Hello")).reply();
    assert_eq!((reply.text.as_str(), reply.done.finish_reason.as_str()), ("Hi", "stop"));
    assert!(reply.notices.is_empty(), "{:?}", reply.notices);
}

#[test]
fn whoever_wants_the_raw_form_alone_gets_nothing_beside_it() {
    let twins = rich_twins();
    let answer = good(&plugin(&twins.asked, json!({})), chat(MODEL));
    assert!(answer.done.extras.is_empty());
}
