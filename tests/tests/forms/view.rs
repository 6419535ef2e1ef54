//! The three views of one answer: in types, as it was written, and both.

use plugin_api::{ChatEvent, ChatRequest, View};
use sandbox::Script;
use serde_json::json;
use tests::faultd::{DONE, Faultd, Script as Bytes, delta_event, finish_event, text_event};
use tests::{block_on, request};

use crate::bench::{
    chat, direct, plugin, plugin_of, post, raw_stream, requests_to, streamed, twins, with_header, without_times,
};

const MODEL: &str = "acme/model";

fn asked(view: View) -> ChatRequest {
    ChatRequest {
        view,
        ..request(MODEL, "Hello")
    }
}

fn events() -> Vec<String> {
    vec![
        ": early\n\n".to_owned(),
        delta_event(&json!({"reasoning": "hm"})),
        text_event("It "),
        ": late\n\n".to_owned(),
        text_event("rains."),
        delta_event(&json!({"images": [{"type": "image_url", "image_url": {"url": "data:,"}}]})),
        delta_event(&json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}]})),
        finish_event("tool_calls"),
        DONE.to_owned(),
    ]
}

#[test]
fn both_views_at_once_are_the_two_views() {
    let service = Faultd::playing([Bytes::stream(&events())]);
    let plugin = plugin_of(&service, json!({}));
    let [typed, raw, both] = [View::Typed, View::Raw, View::Both].map(|view| streamed(&plugin, &asked(view)));
    assert_eq!(both.typed(), typed.typed());
    assert_eq!(both.raw(), raw.raw());
    assert_eq!(raw.raw(), events()[1..].concat());
    assert_eq!(typed.raw(), "");
    let n_heads = |events: &[ChatEvent]| {
        events
            .iter()
            .filter(|event| matches!(event, ChatEvent::Head(_)))
            .count()
    };
    assert_eq!([&typed, &raw, &both].map(|came| n_heads(&came.events)), [0, 1, 1]);
    assert_eq!(service.requests().len(), 3, "one request for each");
}

#[test]
fn what_nobody_wants_is_not_made() {
    let service = Faultd::playing([Bytes::stream(&events())]);
    let raw = streamed(&plugin_of(&service, json!({})), &asked(View::Raw));
    assert_eq!(raw.kinds(), ["sign of life", "head", "raw", "done"]);
    assert!(raw.done().extras.is_empty());
}

#[test]
fn each_raw_piece_comes_before_what_it_says() {
    let service = Faultd::playing([Bytes::stream(&events())]);
    let both = streamed(&plugin_of(&service, json!({})), &asked(View::Both));
    let (mut read, mut said) = (String::new(), String::new());
    for event in &both.events {
        match event {
            ChatEvent::Raw(piece) => read.push_str(piece),
            ChatEvent::Text(text) => {
                said.push_str(text);
                let quoted = serde_json::to_string(&**text).expect("a text");
                assert!(read.contains(&quoted), "{text} before it was read");
            }
            _ => {}
        }
    }
    assert_eq!(said, "It rains.");
}

#[test]
fn the_raw_view_of_a_stream_is_the_one_that_the_service_gives() {
    let script = Script {
        reasoning: Some("hm, hm".to_owned()),
        ..Script::text("It rains in Paris.")
    };
    let twins = twins(|builder| builder.script(MODEL, script.clone()));
    let plugin = plugin(&twins.asked, json!({}));
    let mut body = crate::bench::chat_body(MODEL);
    body["stream"] = json!(true);
    // Whoever wants types gets to know how the answer came about, so the service is asked to tell.
    let by_hand = post("/chat/completions", &body);
    let with_metadata = with_header(by_hand.clone(), "x-openrouter-metadata", "enabled");
    for (view, by_hand) in [(View::Raw, by_hand), (View::Both, with_metadata)] {
        let came = streamed(&plugin, &asked(view));
        assert_eq!(came.raw(), direct(&twins.direct, &by_hand).text(), "{view:?}");
    }
}

#[test]
fn the_raw_view_of_a_whole_answer_is_its_body() {
    let twins = twins(|builder| builder.script(MODEL, Script::text("It rains.")));
    let plugin = plugin(&twins.asked, json!({}));
    let typed = block_on(plugin.chat(&asked(View::Typed))).expect("an answer");
    assert_eq!(typed.raw, None);
    direct(&twins.direct, &chat(MODEL));

    let both = block_on(plugin.chat(&asked(View::Both))).expect("an answer");
    let by_hand = direct(
        &twins.direct,
        &with_header(chat(MODEL), "x-openrouter-metadata", "enabled"),
    );
    assert_eq!(both.raw.as_deref(), Some(by_hand.text()));
    assert_eq!(
        (&both.text, &both.done.finish_reason),
        (&typed.text, &typed.done.finish_reason)
    );
    assert_eq!(
        without_times(both.done).usage,
        without_times(typed.done).usage,
        "and all that is known of it"
    );

    let raw = block_on(plugin.chat(&asked(View::Raw))).expect("an answer");
    assert_eq!(raw.raw.as_deref(), Some(direct(&twins.direct, &chat(MODEL)).text()));
    assert_eq!(requests_to(&twins.asked, "/chat/completions").len(), 3);
}

#[test]
fn a_raw_stream_and_the_raw_view_of_a_chat_are_the_same() {
    let service = Faultd::playing([Bytes::stream(&events())]);
    let plugin = plugin_of(&service, json!({}));
    let (raw, view) = (raw_stream(&plugin, chat(MODEL)), streamed(&plugin, &asked(View::Raw)));
    assert_eq!(raw.raw(), view.raw());
    assert_eq!(raw.signs(), view.signs());
}
