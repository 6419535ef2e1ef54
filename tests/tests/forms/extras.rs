//! What an answer has beside its text reaches the types byte for byte, streamed and whole.

use sandbox::Script;
use serde_json::json;
use tests::faultd::{DONE, Faultd, Script as Bytes, finish_event, reply, text_event};
use tests::{block_on, request};

use crate::bench::{MODEL, plugin, plugin_of, service_playing, streamed};

#[test]
fn odd_spelling_of_what_stands_beside_the_text_is_kept() {
    let element = r#"{ "type" : "reasoning.text","text":"\u00e9\/\ud83c\udf02", "n":1.0e0,"big":123456789012345678901234567890,"signature":"a+b\/c==" }"#;
    let event = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"content\":null,\"reasoning_details\" : [ {element} , {element}]}}}}]}}\n\n"
    );
    let stream = [
        event.clone(),
        text_event("Hi"),
        event,
        finish_event("stop"),
        DONE.to_owned(),
    ];
    let whole = format!(
        "{{\"choices\":[{{\"finish_reason\":\"stop\",\"message\":{{\"content\":\"Hi\",\"reasoning_details\" : [ {element} , {element}]}}}}]}}"
    );
    let whole_reply = Bytes::new().send(reply(200, "application/json", &[], &whole));
    let service = Faultd::playing([Bytes::stream(&stream), whole_reply]);
    let plugin = plugin_of(&service, json!({}));
    let streamed = streamed(&plugin, &request(MODEL, "Hello")).reply();
    let whole = block_on(plugin.chat(&request(MODEL, "Hello"))).expect("an answer");
    for (reply, expected) in [
        (streamed, format!("[{}]", [element; 4].join(","))),
        (whole, format!("[{element},{element}]")),
    ] {
        assert_eq!(reply.done.extras["reasoning_details"].get(), expected);
        assert_eq!(reply.text, "Hi");
    }
}

#[test]
fn an_answer_that_is_nothing_but_a_picture_is_complete() {
    let service = service_playing(Script {
        text: Some(String::new()),
        images: vec![json!({"type": "image_url", "image_url": {"url": "data:,"}})],
        ..Script::default()
    });
    let plugin = plugin(&service, json!({}));
    let asked = request(MODEL, "Hello");
    for reply in [
        streamed(&plugin, &asked).reply(),
        block_on(plugin.chat(&asked)).expect("an answer"),
    ] {
        let images = reply.done.extras["images"].get();
        assert_eq!(
            (reply.text.as_str(), images),
            ("", r#"[{"type":"image_url","image_url":{"url":"data:,"}}]"#)
        );
        assert!(reply.notices.is_empty(), "{:?}", reply.notices);
    }
}
