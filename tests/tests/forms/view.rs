//! The three views of one answer: typed, raw, and both.

use plugin_api::{ChatEvent, ChatRequest, View};
use sandbox::Script;
use serde_json::json;
use tests::faultd::{DONE, Faultd, Script as Bytes, delta_event, finish_event, text_event};
use tests::{block_on, request};

use crate::bench::{
    MODEL, chat, direct, plugin, plugin_of, requests_to, streamed, twins_playing, with_header, without_times,
};

fn asked(view: View) -> ChatRequest {
    ChatRequest {
        view,
        ..request(MODEL, "Hello")
    }
}

#[test]
fn a_stream_in_both_views_is_the_two_views() {
    let events = [
        ": early\n\n".to_owned(),
        delta_event(&json!({"reasoning": "hm"})),
        text_event("It "),
        ": late\n\n".to_owned(),
        text_event("rains."),
        delta_event(&json!({"images": [{"type": "image_url", "image_url": {"url": "data:,"}}]})),
        delta_event(&json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look", "arguments": "{}"}}]})),
        finish_event("tool_calls"),
        DONE.to_owned(),
    ];
    let service = Faultd::playing([Bytes::stream(&events)]);
    let plugin = plugin_of(&service, json!({}));
    let [typed, raw, both] = [View::Typed, View::Raw, View::Both].map(|view| streamed(&plugin, &asked(view)));
    assert_eq!(both.typed(), typed.typed());
    assert_eq!((both.raw(), typed.raw()), (raw.raw(), String::new()));
    assert_eq!(raw.raw(), events[1..].concat());
    assert_eq!(raw.kinds(), ["keep-alive", "head", "raw", "done"]);
    assert!(raw.reply().done.extras.is_empty(), "what nobody wants is not collected");
    assert!(!typed.kinds().contains(&"head"));
    both.head();
    assert_eq!(service.requests().len(), 3, "one request each");

    let mut read = String::new();
    for event in &both.events {
        match event {
            ChatEvent::Raw(piece) => read.push_str(piece),
            ChatEvent::Text(text) => assert!(read.contains(&**text), "{text} before its raw form"),
            _ => {}
        }
    }
}

#[test]
fn the_raw_view_of_a_whole_answer_is_its_body() {
    let twins = twins_playing(&Script::text("It rains."));
    let plugin = plugin(&twins.asked, json!({}));
    let by_hand = chat(MODEL);
    // A caller who wants types gets the attempts too, so the service is asked for its metadata.
    let with_metadata = with_header(by_hand.clone(), "x-openrouter-metadata", "enabled");
    let [typed, both, raw] = [
        (View::Typed, &with_metadata),
        (View::Both, &with_metadata),
        (View::Raw, &by_hand),
    ]
    .map(|(view, by_hand)| {
        let reply = block_on(plugin.chat(&asked(view))).expect("an answer");
        let given = direct(&twins.direct, by_hand);
        let expected = (view != View::Typed).then(|| given.text().to_owned());
        assert_eq!(reply.raw.as_deref(), expected.as_deref(), "{view:?}");
        reply
    });
    assert_eq!(both.text, typed.text);
    assert_eq!(raw.text, "");
    let reported = |reply: plugin_api::ChatReply| {
        let done = without_times(reply.done);
        (done.finish_reason, done.usage)
    };
    assert_eq!(reported(both), reported(typed));
    assert_eq!(requests_to(&twins.asked, "/chat/completions").len(), 3);
}

#[test]
fn only_the_raw_views_get_the_services_words_of_an_error() {
    let twins = twins_playing(&Script::status(400));
    let plugin = plugin(&twins.asked, json!({}));
    let has_answer = |view| {
        let error = block_on(plugin.chat(&asked(view))).expect_err("an error");
        error.details.answer.is_some()
    };
    assert_eq!(
        [View::Typed, View::Raw, View::Both].map(has_answer),
        [false, true, true]
    );
}
