//! Two turns with a tool between them, against a model that refuses a turn that lacks what it sent with it.

use plugin_api::{ChatReply, ChatRequest, ErrorKind, Message, Plugin};
use sandbox::Script;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use tests::faultd::{DONE, Faultd, Script as Bytes, finish_event, text_event};
use tests::{Service, block_on, service};

use crate::bench::{chat_body, good, json_of, plugin, plugin_of, post, raw, requests_to, strange_service, streamed};

const MODEL: &str = "acme/thinks";

/// A model that calls a tool, thinks in several ways before, and wants its thoughts back.
fn thinking() -> Service {
    let service = service();
    let script = Script {
        reasoning_details: vec![
            json!({"type": "reasoning.summary", "summary": "in short \u{e9}", "index": 0, "format": "unknown"}),
            json!({"type": "reasoning.text", "text": "at length, \"so\"", "signature": "sig/+==", "index": 1}),
            json!({"type": "reasoning.encrypted", "data": "AAEC/+==", "id": "e", "index": 2}),
        ],
        require_reasoning_details: true,
        annotations: vec![json!({"type": "url_citation", "url_citation": {"url": "https://a.example"}})],
        text: Some("It is 21 degrees.".to_owned()),
        ..Script::tool_call("weather", json!({"city": "Paris"}))
    };
    service.script(MODEL, script);
    service
}

fn tools() -> Value {
    json!([{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}])
}

fn request(messages: &[Message]) -> ChatRequest {
    let mut request = ChatRequest::new(messages).expect("messages are JSON");
    request.model = Some(MODEL.to_owned());
    let tools: Box<RawValue> = to_raw_value(&tools()).expect("tools are JSON");
    request.parameters.insert("tools".to_owned(), tools);
    request
}

fn ask_whole(plugin: &Plugin, messages: &[Message]) -> ChatReply {
    block_on(plugin.chat(&request(messages))).expect("an answer")
}

fn ask_stream(plugin: &Plugin, messages: &[Message]) -> ChatReply {
    streamed(plugin, &request(messages)).reply()
}

/// What was said up to the tool's result, and the turn that asked for it.
fn first_turn(plugin: &Plugin, ask: impl Fn(&Plugin, &[Message]) -> ChatReply) -> (Vec<Message>, ChatReply) {
    let mut messages = vec![Message::user("How warm is it?")];
    let reply = ask(plugin, &messages);
    assert_eq!(reply.done.finish_reason, "tool_calls");
    messages.push(Message::assistant(&reply));
    for call in &reply.tool_calls {
        assert_eq!(
            (call.name.as_str(), call.arguments.as_str()),
            ("weather", r#"{"city":"Paris"}"#)
        );
        messages.push(Message::tool(&call.id, "21"));
    }
    assert_eq!(messages.len(), 3, "one call");
    (messages, reply)
}

/// Plays both turns; says whether the service saw in the second what came with the first, byte for byte.
fn two_turns(ask: impl Fn(&Plugin, &[Message]) -> ChatReply) {
    let service = thinking();
    let plugin = plugin(&service, json!({}));
    let (messages, first) = first_turn(&plugin, &ask);
    let second = ask(&plugin, &messages);
    assert_eq!(second.text, "It is 21 degrees.");

    let sent = requests_to(&service, "/chat/completions").remove(1).body_text;
    let details = first.done.extras["reasoning_details"].get();
    assert!(details.contains("sig/+==") && details.contains("AAEC/+=="), "{details}");
    assert!(sent.contains(&format!("\"reasoning_details\":{details}")), "{sent}");
    for (name, extra) in &first.done.extras {
        assert!(sent.contains(&format!("\"{name}\":{}", extra.get())), "{name}");
    }
}

#[test]
fn what_came_with_a_whole_turn_goes_back_with_it() {
    two_turns(ask_whole);
}

#[test]
fn what_came_with_a_streamed_turn_goes_back_with_it() {
    two_turns(ask_stream);
}

#[test]
fn a_streamed_turn_can_be_followed_by_a_whole_one_and_the_reverse() {
    let service = thinking();
    let plugin = plugin(&service, json!({}));
    let (messages, _) = first_turn(&plugin, ask_stream);
    assert_eq!(ask_whole(&plugin, &messages).text, "It is 21 degrees.");
    let (messages, _) = first_turn(&plugin, ask_whole);
    assert_eq!(ask_stream(&plugin, &messages).text, "It is 21 degrees.");
}

#[test]
fn a_turn_that_lacks_what_came_with_it_is_refused() {
    let service = thinking();
    let plugin = plugin(&service, json!({}));
    let (mut messages, _) = first_turn(&plugin, ask_whole);
    messages[1].extras.clear();
    let error = block_on(plugin.chat(&request(&messages))).expect_err("the model wants its thoughts");
    assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
    assert!(error.message.contains("reasoning details to be preserved"), "{error}");
}

#[test]
fn a_turn_that_was_written_down_and_read_again_is_accepted() {
    let service = thinking();
    let plugin = plugin(&service, json!({}));
    let (messages, _) = first_turn(&plugin, ask_stream);
    let written = serde_json::to_string(&messages).expect("messages are JSON");
    let read: Vec<Message> = serde_json::from_str(&written).expect("messages");
    assert_eq!(ask_whole(&plugin, &read).text, "It is 21 degrees.");
}

#[test]
fn odd_spelling_of_what_came_with_a_turn_goes_back_as_it_was() {
    let details = r#"{ "type":"reasoning.text" ,"text":"\u00e9\/", "signature":"a\/b+c==","n":1.0,"big":123456789012345678901234567890}"#;
    let event = format!("data: {{\"choices\":[{{\"delta\":{{\"reasoning_details\":[{details}]}}}}]}}\n\n");
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
    let reply = ask_stream(&plugin, &messages);
    messages.extend([Message::assistant(&reply), Message::tool("c", "21")]);
    ask_stream(&plugin, &messages);
    let sent = String::from_utf8(service.requests()[1].body.clone()).expect("text");
    assert!(sent.contains(&format!("\"reasoning_details\":[{details}]")), "{sent}");
}

#[test]
fn in_the_services_own_form_a_turn_goes_back_as_it_came() {
    let service = thinking();
    let plugin = plugin(&service, json!({}));
    let mut body = chat_body(MODEL);
    body["tools"] = tools();
    let first = good(&plugin, post("/chat/completions", &body));
    let message = json_of(&first)["choices"][0]["message"].clone();
    let result = json!({"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "21"});
    let asked = body["messages"][0].clone();

    let mut forgetful = message.clone();
    forgetful
        .as_object_mut()
        .and_then(|members| members.remove("reasoning_details"));
    body["messages"] = json!([asked, forgetful, result]);
    raw(&plugin, post("/chat/completions", &body)).expect_err("the model wants its thoughts");

    body["messages"] = json!([asked, message, result]);
    let second = json_of(&good(&plugin, post("/chat/completions", &body)));
    assert_eq!(second["choices"][0]["message"]["content"], "It is 21 degrees.");
    let sent = requests_to(&service, "/chat/completions").remove(2).body_text;
    assert!(sent.contains(&body["messages"].to_string()), "{sent}");
}

#[test]
fn pictures_sound_and_sources_of_a_turn_go_back_with_it() {
    let script = Script {
        images: vec![json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}})],
        audio: Some(
            json!({"id": "audio-1", "data": "QUJD", "transcript": "Look."})
                .as_object()
                .cloned()
                .unwrap_or_default(),
        ),
        annotations: vec![
            json!({"type": "url_citation", "url_citation": {"url": "https://a.example", "title": "\u{e9}"}}),
        ],
        ..Script::text("Look.")
    };
    for ask in [ask_whole, ask_stream] {
        let service = strange_service(|builder| builder.script(MODEL, script.clone()));
        let plugin = plugin(&service, json!({}));
        let mut messages = vec![Message::user("?")];
        let reply = ask(&plugin, &messages);
        assert_eq!(reply.done.extras.len(), 3);
        messages.extend([Message::assistant(&reply), Message::user("And then?")]);
        ask(&plugin, &messages);
        let sent = requests_to(&service, "/chat/completions").remove(1).body_text;
        for (name, extra) in &reply.done.extras {
            assert!(
                sent.contains(&format!("\"{name}\":{}", extra.get())),
                "{name} in {sent}"
            );
        }
    }
}
