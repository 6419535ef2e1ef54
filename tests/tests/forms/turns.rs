//! Two turns with a tool between them, against a model that refuses a turn without the reasoning that it sent with it.

use plugin_api::{ChatReply, ChatRequest, Message, Plugin};
use sandbox::Script;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};
use tests::block_on;
use tests::faultd::{DONE, Faultd, Script as Bytes, finish_event, text_event};

use crate::bench::{MODEL, plugin, plugin_of, requests_to, service_playing, streamed};

/// A script that reasons in several ways, calls a tool, and wants its reasoning back.
fn thinking() -> Script {
    Script {
        reasoning_details: vec![
            json!({"type": "reasoning.summary", "summary": "in short \u{e9}", "index": 0, "format": "unknown"}),
            json!({"type": "reasoning.text", "text": "at length, \"so\"", "signature": "sig/+==", "index": 1}),
            json!({"type": "reasoning.encrypted", "data": "AAEC/+==", "id": "e", "index": 2}),
        ],
        require_reasoning_details: true,
        annotations: vec![json!({"type": "url_citation", "url_citation": {"url": "https://a.example"}})],
        text: Some("It is 21 degrees.".to_owned()),
        ..Script::tool_call("weather", json!({"city": "Paris"}))
    }
}

fn request(messages: &[Message]) -> ChatRequest {
    let mut request = ChatRequest::new(messages).expect("messages are JSON");
    request.model = Some(MODEL.to_owned());
    let tools = json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]);
    let tools = to_raw_value(&tools).expect("tools are JSON");
    request.parameters.insert("tools".to_owned(), tools);
    request
}

/// Asks for a whole answer or for a stream.
type Ask = fn(&Plugin, &[Message]) -> ChatReply;

fn whole(plugin: &Plugin, messages: &[Message]) -> ChatReply {
    block_on(plugin.chat(&request(messages))).expect("an answer")
}

fn stream(plugin: &Plugin, messages: &[Message]) -> ChatReply {
    streamed(plugin, &request(messages)).reply()
}

/// Written down as a host does between two turns, and read again.
fn saved(messages: &[Message]) -> Vec<Message> {
    let written = serde_json::to_string(messages).expect("messages are JSON");
    serde_json::from_str(&written).expect("messages")
}

#[test]
fn what_came_with_a_turn_goes_back_with_it() {
    let rows: [(&str, Ask, Ask); 4] = [
        ("whole, whole", whole, whole),
        ("stream, stream", stream, stream),
        ("whole, stream", whole, stream),
        ("stream, whole", stream, whole),
    ];
    for (name, ask_first, ask_second) in rows {
        let service = service_playing(thinking());
        let plugin = plugin(&service, json!({}));
        let mut messages = vec![Message::user("How warm is it?")];
        let first = ask_first(&plugin, &messages);
        assert_eq!(first.done.finish_reason, "tool_calls", "{name}");
        let [call] = first.tool_calls.as_slice() else {
            panic!("{name}: {:?}", first.tool_calls);
        };
        assert_eq!(
            (&*call.name, &*call.arguments),
            ("weather", r#"{"city":"Paris"}"#),
            "{name}"
        );
        messages.extend([Message::assistant(&first), Message::tool(&call.id, "21")]);
        let second = ask_second(&plugin, &saved(&messages));
        assert_eq!(second.text, "It is 21 degrees.", "{name}");

        let details = first.done.extras["reasoning_details"].get();
        assert!(
            details.contains("sig/+==") && details.contains("AAEC/+=="),
            "{name}: {details}"
        );
        let sent = requests_to(&service, "/chat/completions").remove(1).body_text;
        for (extra, value) in &first.done.extras {
            assert!(
                sent.contains(&format!("\"{extra}\":{}", value.get())),
                "{name}: {extra} in {sent}"
            );
        }
    }
}

#[test]
fn odd_spelling_and_every_kind_of_extra_go_back_as_they_came() {
    let details = r#"{ "type":"reasoning.text" ,"text":"\u00e9\/", "signature":"a\/b+c==","n":1.0,"big":123456789012345678901234567890}"#;
    let image = r#"{"type":"image_url", "image_url":{"url":"data:image/png;base64,AA=="}}"#;
    let source = r#"{"type":"url_citation","url_citation":{"url":"https://a.example" ,"title":"\u00e9"}}"#;
    let audio = r#"{"id":"audio-1", "data":"QUJD","transcript":"Look."}"#;
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"reasoning_details\":[{details}],\"images\":[{image}],\
         \"annotations\":[{source}],\"audio\":{audio}}}}}]}}\n\n"
    );
    let call = r#"data: {"choices":[{"delta":{"tool_calls":[{"index":0,"id":"c","function":{"name":"weather","arguments":"{}"}}]}}]}"#;
    let service = Faultd::playing([
        Bytes::stream(&[
            event,
            format!("{call}\n\n"),
            finish_event("tool_calls"),
            DONE.to_owned(),
        ]),
        Bytes::stream(&[text_event("21"), finish_event("stop"), DONE.to_owned()]),
    ]);
    let plugin = plugin_of(&service, json!({}));
    let mut messages = vec![Message::user("?")];
    let reply = stream(&plugin, &messages);
    messages.extend([Message::assistant(&reply), Message::tool("c", "21")]);
    stream(&plugin, &messages);
    let sent = String::from_utf8(service.requests()[1].body.clone()).expect("text");
    for (name, value) in [
        ("reasoning_details", format!("[{details}]")),
        ("images", format!("[{image}]")),
        ("annotations", format!("[{source}]")),
        ("audio", audio.to_owned()),
    ] {
        assert!(sent.contains(&format!("\"{name}\":{value}")), "{name} in {sent}");
    }
}

/// The events of a turn that ends with a call of the tool.
fn turn_with(deltas: &[Value]) -> Bytes {
    let call = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "weather", "arguments": "{}"},
        "extra_content": {"acme": {"signature": "QUJD"}}}]});
    let deltas = deltas.iter().chain([&call]);
    let mut events: Vec<String> = deltas
        .map(|delta| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]})))
        .collect();
    events.extend([finish_event("tool_calls"), DONE.to_owned()]);
    Bytes::stream(&events)
}

#[test]
fn pieces_of_reasoning_go_back_as_blocks_on_every_later_turn() {
    let piece = |piece: Value| {
        let mut block = json!({"type": "reasoning.text", "index": 0, "format": "acme-v1"});
        let members = piece.as_object().expect("an object").clone();
        block.as_object_mut().expect("an object").extend(members);
        json!({"reasoning_details": [block]})
    };
    let pieces = [
        json!({"text": "Let me"}),
        json!({"text": " look."}),
        json!({"signature": "U0lH"}),
    ]
    .map(piece);
    let text = [json!({"reasoning": "I will "}), json!({"reasoning": "look."})];
    let other = [json!({"reasoning_content": "I will look."})];
    let block = json!([{"type": "reasoning.text", "index": 0, "format": "acme-v1", "text": "Let me look.",
        "signature": "U0lH"}]);
    let thinking = |part: Value| json!({"content": [part]});
    let parts = [
        thinking(json!({"type": "thinking", "thinking": "Let me"})),
        thinking(json!({"type": "thinking", "thinking": " look."})),
        thinking(json!({"type": "thinking", "signature": "U0lH"})),
        thinking(json!({"type": "redacted_thinking", "data": "QUJD"})),
        json!({"content": "Wait"}),
        json!({"content": "."}),
    ];
    let content = json!([{"type": "thinking", "thinking": "Let me look.", "signature": "U0lH"},
        {"type": "redacted_thinking", "data": "QUJD"}, {"type": "text", "text": "Wait."}]);
    let rows: [(&[Value], &str, Value); 4] = [
        (&pieces, "reasoning_details", block),
        (&text, "reasoning", json!("I will look.")),
        (&other, "reasoning_content", json!("I will look.")),
        (&parts, "content", content),
    ];
    for (deltas, name, expected) in rows {
        let last = || Bytes::stream(&[text_event("21"), finish_event("stop"), DONE.to_owned()]);
        let service = Faultd::playing([turn_with(deltas), turn_with(deltas), last()]);
        let plugin = plugin_of(&service, json!({}));
        let mut messages = vec![Message::user("?")];
        for _ in 0..2 {
            let reply = stream(&plugin, &messages);
            messages.extend([Message::assistant(&reply), Message::tool("c", "21")]);
            messages = saved(&messages);
        }
        stream(&plugin, &messages);
        let sent = service.requests()[2].json();
        for turn in [1, 3] {
            let message = &sent["messages"][turn];
            assert_eq!(message[name], expected, "{message}");
            let call = json!({"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"},
                "extra_content": {"acme": {"signature": "QUJD"}}});
            assert_eq!(message["tool_calls"], json!([call]));
        }
    }
}

#[test]
fn a_host_of_an_earlier_version_sends_one_content() {
    let thinking = json!({"content": [{"type": "thinking", "thinking": "Let me look.", "signature": "U0lH"}]});
    let last = Bytes::stream(&[text_event("21"), finish_event("stop"), DONE.to_owned()]);
    let service = Faultd::playing([turn_with(&[thinking]), last]);
    let plugin = plugin_of(&service, json!({}));
    let first = stream(&plugin, &[Message::user("?")]);
    // All that it knows of an answer: text, calls and extras.
    let mut old = first.clone();
    old.done.content = None;
    stream(
        &plugin,
        &[Message::user("?"), Message::assistant(&old), Message::tool("c", "21")],
    );
    let sent = service.requests()[1].json();
    assert_eq!(sent["messages"][1]["content"], json!(null));
    let body = service.requests()[1].body.clone();
    let body = String::from_utf8(body).expect("text");
    assert_eq!(body.matches("\"content\":").count(), 3, "{body}");
    assert!(first.done.content.is_some());
}
