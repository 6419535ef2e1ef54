//! What the service streams arrives as it was written: the same bytes in pieces of whole events, behind one head.

use plugin_api::{ChatEvent, ErrorKind};
use serde_json::json;
use tests::faultd::{DONE, Faultd, LAST_CHUNK, Script, chunk, delta_event, finish_event, reply, sse_head, text_event};

use crate::bench::{
    MODEL, chat, direct, get, once, plugin, plugin_of, post, raw_stream, requests_to, streaming, twins, writing_forms,
};
use crate::raw::{speech, talkative};

#[test]
fn a_stream_keeps_its_bytes_in_every_form() {
    let twins = twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    for request in writing_forms().map(|request| streaming(&request)) {
        let path = request.path.clone();
        let given = direct(&twins.direct, &request);
        let came = raw_stream(&plugin, request);
        assert_eq!(came.raw(), given.passed_on(&path), "{path}");
        assert_eq!(came.kinds(), ["head", "raw", "done"], "{path}");
        assert_eq!(requests_to(&twins.asked, &path).len(), 1, "{path}");
        let head = came.head();
        assert_eq!(
            (head.status, head.header("content-type")),
            (200, Some("text/event-stream")),
            "{path}"
        );
        assert!(head.header("x-generation-id").is_some(), "{path}: {head:?}");
        let done = came.reply().done;
        assert_eq!(done.model.as_deref(), Some(MODEL), "{path}");
        assert!(done.usage.is_some_and(|usage| usage.cost_usd.is_some()), "{path}");
        assert!(!done.finish_reason.is_empty(), "{path}");
    }
}

#[test]
fn messages_end_with_their_last_event() {
    let events = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"acme/model\"}}\n\n",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    for behind in [
        &[][..],
        &["data: [DONE]\n\n"],
        &[": bye\n\n", "event: data\ndata: [DONE]\n\n"],
    ] {
        let service = Faultd::playing([Script::stream(&[&events[..], behind].concat())]);
        let asked = post("/messages", &json!({"model": MODEL, "max_tokens": 5, "messages": []}));
        let came = raw_stream(&plugin_of(&service, json!({})), asked);
        assert_eq!(came.raw(), events.concat(), "{behind:?}");
        assert_eq!(came.reply().done.finish_reason, "end_turn");
    }
}

#[test]
fn comments_before_the_first_word_are_keep_alives_and_later_ones_raw() {
    let opening = delta_event(&json!({"role": "assistant", "content": ""}));
    let answer = [&text_event("Hi"), ": five\n\n", &finish_event("stop"), DONE].concat();
    let service = Faultd::playing([Script::stream(&[
        ": one\n\n",
        ":two\r\n\r\n",
        "data: : three\n\n",
        &opening,
        ": four\n\n",
        &answer,
    ])]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.keep_alives(), ["one", "two", "three", "four"]);
    assert_eq!(came.raw(), [opening, answer].concat());
    let kinds = came.kinds();
    assert_eq!(
        (kinds[0], &kinds[kinds.len() - 2..]),
        ("keep-alive", &["raw", "done"][..]),
        "{kinds:?}"
    );
}

/// Events as no sandbox writes them: all line ends, ids, names, events without data, unknown members.
fn odd_events() -> Vec<String> {
    vec![
        "event: x\r\nid: 7\r\nretry: 3\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\\u00e9\"}}],  \"n\": 1.0}\r\n\r\n"
            .to_owned(),
        "id: 8\n\n".to_owned(),
        "data:{\"choices\":[],\"kind\":\"unheard-of\",\"big\":123456789012345678901234567890}\n\n".to_owned(),
        "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"\u{1f327}\"}}]}\r\r".to_owned(),
        ": between\n\n".to_owned(),
        finish_event("stop"),
        DONE.to_owned(),
    ]
}

#[test]
fn an_oddly_written_stream_keeps_its_bytes_however_the_network_cuts_it() {
    let mut bytes = sse_head();
    odd_events().iter().for_each(|event| bytes.extend(chunk(event)));
    bytes.extend_from_slice(LAST_CHUNK.as_bytes());
    for n_at_a_time in [1, 2, 3, 7, 64, usize::MAX] {
        let service = Faultd::playing([Script::new().drip(bytes.clone(), n_at_a_time)]);
        let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
        assert_eq!(
            (&came.error, came.raw()),
            (&None, odd_events().concat()),
            "{n_at_a_time} at a time"
        );
        for event in &came.events {
            if let ChatEvent::Raw(piece) = event {
                assert!(
                    piece.ends_with(['\n', '\r']),
                    "a piece is made of whole events: {piece:?}"
                );
            }
        }
    }
}

#[test]
fn one_event_may_hold_a_picture_of_three_megabytes() {
    let url = format!("data:image/png;base64,{}", "iVBO".repeat(3 << 18));
    let large = delta_event(&json!({"images": [{"type": "image_url", "image_url": {"url": url}}]}));
    let events = [large, finish_event("stop"), DONE.to_owned()];
    let service = Faultd::playing([Script::stream(&events)]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.error, None);
    assert!(came.raw() == events.concat(), "some byte changed");
}

#[test]
fn an_answer_that_is_no_stream_comes_as_one_piece() {
    let body = "{\"id\":\"gen-1\", \"model\":\"acme/model\",\n \"choices\":[{\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}";
    let service = Faultd::playing([Script::new().send(reply(200, "application/json", &[], body))]);
    let plugin = plugin_of(&service, json!({}));
    for request in [chat(MODEL), get("/models?category=programming")] {
        let came = raw_stream(&plugin, request);
        assert_eq!((came.raw().as_str(), came.kinds()), (body, vec!["head", "raw", "done"]));
    }
}

#[test]
fn sound_as_a_stream_is_refused_with_a_hint() {
    let twins = twins(talkative);
    let came = raw_stream(&plugin(&twins.asked, once()), speech());
    let error = came.error();
    assert_eq!(
        (error.kind, error.message.as_str(), error.hint()),
        (
            ErrorKind::PROTOCOL,
            "expected UTF-8, found 834 bytes that are not",
            Some("request this answer whole, not as a stream")
        )
    );
}
