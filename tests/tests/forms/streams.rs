//! What the service streams arrives as it was written: the same bytes in pieces of whole events, with one head before them.

use plugin_api::{ChatEvent, ErrorKind, HttpRequest};
use sandbox::Script;
use serde_json::json;
use tests::faultd::{
    DONE, Faultd, LAST_CHUNK, Script as Bytes, chunk, delta_event, finish_event, head, sse_head, text_event,
};
use tests::{LIMIT, block_on, service};

use crate::bench::{chat, direct, handed_on, once, plugin, plugin_of, post, raw_stream, requests_to, streaming, twins};
use crate::raw::{MODEL, forms, talkative};

#[test]
fn a_stream_in_every_form_is_the_one_that_the_service_gives() {
    let twins = twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    for request in forms().into_iter().take(4) {
        let request = streaming(&request);
        let came = raw_stream(&plugin, request.clone());
        let given = direct(&twins.direct, &request);
        assert_eq!(came.raw(), handed_on(&request.path, given.text()), "{}", request.path);
        assert_eq!(came.kinds(), ["head", "raw", "done"], "{}", request.path);
        let head = came.head();
        assert_eq!(head.status, given.status);
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert!(head.header("x-generation-id").is_some(), "{head:?}");
        let done = came.done();
        assert_eq!(done.model.as_deref(), Some(MODEL), "{}", request.path);
        assert!(
            done.usage.is_some_and(|usage| usage.cost_usd.is_some()),
            "{}",
            request.path
        );
        assert!(!done.finish_reason.is_empty(), "{}", request.path);
    }
}

#[test]
fn each_stream_costs_one_request() {
    let twins = twins(talkative);
    let plugin = plugin(&twins.asked, json!({}));
    for request in forms().into_iter().take(4) {
        raw_stream(&plugin, streaming(&request));
        assert_eq!(requests_to(&twins.asked, &request.path).len(), 1, "{}", request.path);
    }
}

#[test]
fn messages_end_with_their_last_event_and_nothing_behind_it_is_passed_on() {
    let ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    let events = [
        "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",\"model\":\"acme/model\"}}\n\n",
        ping,
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"Hi\"}}\n\n",
        "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"}}\n\n",
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ];
    for behind in [
        vec![],
        vec!["data: [DONE]\n\n"],
        vec![": bye\n\n", "event: data\ndata: [DONE]\n\n"],
    ] {
        let sent = [&events[..], &behind].concat();
        let service = Faultd::playing([Bytes::stream(&sent)]);
        let asked = post("/messages", &json!({"model": MODEL, "max_tokens": 5, "messages": []}));
        let came = raw_stream(&plugin_of(&service, json!({})), asked);
        assert_eq!(came.raw(), events.concat(), "{behind:?}");
        assert_eq!(came.done().finish_reason, "end_turn");
    }
}

#[test]
fn comments_ahead_of_an_answer_come_as_signs_of_life_and_later_ones_as_they_are() {
    let script = Script {
        comments: 3,
        comments_between: 1,
        ..Script::text("one two three")
    };
    let twins = twins(|builder| builder.script(MODEL, script.clone()));
    let came = raw_stream(&plugin(&twins.asked, json!({})), streaming(&chat(MODEL)));
    let given = direct(&twins.direct, &streaming(&chat(MODEL)));
    let ahead = ": OPENROUTER PROCESSING\n\n".repeat(3);
    let expected = given.text().strip_prefix(&ahead).expect("three comments come first");
    assert_eq!(came.raw(), expected);
    assert!(expected.contains(": OPENROUTER PROCESSING\n\n"), "later ones are in it");
    assert_eq!(came.kinds(), ["sign of life", "head", "raw", "done"]);
    assert_eq!(came.signs(), ["OPENROUTER PROCESSING"; 3]);
}

#[test]
fn comments_between_the_opening_and_the_first_word_are_signs_of_life_too() {
    let opening = delta_event(&json!({"role": "assistant", "content": ""}));
    let service = Faultd::playing([Bytes::stream(&[
        ": one\n\n".to_owned(),
        opening.clone(),
        ": two\n\n".to_owned(),
        ":three\r\n\r\n".to_owned(),
        text_event("Hi"),
        finish_event("stop"),
        DONE.to_owned(),
    ])]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.signs(), ["one", "two", "three"]);
    assert_eq!(
        came.raw(),
        [&opening, &text_event("Hi"), &finish_event("stop"), DONE].concat()
    );
}

#[test]
fn signs_of_life_keep_their_words_and_their_order() {
    let service = Faultd::playing([Bytes::stream(&[
        ": one\n\n",
        ":two\r\n\r\n",
        "data: : three\n\n",
        &text_event("Hello"),
        ": four\n\n",
        &finish_event("stop"),
        DONE,
    ])]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.signs(), ["one", "two", "three"]);
    assert_eq!(
        came.raw(),
        [&text_event("Hello"), ": four\n\n", &finish_event("stop"), DONE].concat()
    );
}

/// Events that no stand-in writes: line ends of all kinds, ids, names, events without data, members that nobody knows.
fn odd_events() -> Vec<String> {
    vec![
        "event: x\r\nid: 7\r\nretry: 3\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"a\\u00e9\"}}],  \"n\": 1.0}\r\n\r\n".to_owned(),
        "id: 8\n\n".to_owned(),
        "data:{\"choices\":[],\"kind\":\"unheard-of\",\"big\":123456789012345678901234567890}\n\n".to_owned(),
        "data: {\"choices\":[{\"delta\":\ndata: {\"content\":\"\u{1f327}\"}}]}\r\r".to_owned(),
        ": between\n\n".to_owned(),
        finish_event("stop"),
        DONE.to_owned(),
    ]
}

#[test]
fn a_stream_is_passed_on_byte_for_byte_however_it_is_written() {
    let service = Faultd::playing([Bytes::stream(&odd_events())]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.error, None);
    assert_eq!(came.raw(), odd_events().concat());
}

#[test]
fn where_the_network_cuts_a_stream_makes_no_difference() {
    let mut bytes = sse_head();
    odd_events().iter().for_each(|event| bytes.extend(chunk(event)));
    bytes.extend_from_slice(LAST_CHUNK.as_bytes());
    for n_at_a_time in [1, 2, 7, 64] {
        let service = Faultd::playing([Bytes::new().drip(bytes.clone(), n_at_a_time)]);
        let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
        assert_eq!(came.error, None);
        assert_eq!(came.raw(), odd_events().concat(), "{n_at_a_time} at a time");
    }
}

#[test]
fn a_raw_piece_is_made_of_whole_events() {
    let mut bytes = sse_head();
    odd_events().iter().for_each(|event| bytes.extend(chunk(event)));
    bytes.extend_from_slice(LAST_CHUNK.as_bytes());
    let service = Faultd::playing([Bytes::new().drip(bytes, 3)]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    for event in &came.events {
        if let ChatEvent::Raw(piece) = event {
            assert!(piece.ends_with(['\n', '\r']), "{piece:?}");
        }
    }
}

#[test]
fn a_mark_at_the_beginning_of_a_stream_does_no_harm() {
    let service = Faultd::playing([Bytes::stream(&[
        format!("\u{feff}{}", text_event("Hi")),
        finish_event("stop"),
        DONE.to_owned(),
    ])]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.error, None);
    assert!(
        came.raw()
            .ends_with(&[&text_event("Hi"), &finish_event("stop"), DONE].concat())
    );
}

#[test]
fn one_event_may_hold_a_picture_of_three_megabytes() {
    let url = format!("data:image/png;base64,{}", "iVBO".repeat(3 << 18));
    let picture = json!({"images": [{"type": "image_url", "image_url": {"url": url}}]});
    let large = delta_event(&picture);
    let service = Faultd::playing([Bytes::stream(&[large.clone(), finish_event("stop"), DONE.to_owned()])]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.error, None);
    assert!(
        came.raw() == [&large, &finish_event("stop"), DONE].concat(),
        "some byte is another one"
    );
}

#[test]
fn a_done_behind_an_answer_without_a_finish_reason_is_kept_back() {
    let service = Faultd::playing([Bytes::stream(&[&text_event("Hel"), DONE])]);
    let came = raw_stream(&plugin_of(&service, once()), chat(MODEL));
    assert_eq!(came.raw(), text_event("Hel"));
    let error = came.error();
    assert_eq!(error.kind, ErrorKind::INTERRUPTED);
    assert!(!error.details.is_told, "whoever asked has to be told");
}

#[test]
fn a_stream_that_comes_in_one_piece_is_passed_on_as_it_is() {
    let body = "{\"id\":\"gen-1\", \"model\":\"acme/model\",\n \"choices\":[{\"message\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}";
    let length = body.len().to_string();
    let mut reply = head(
        200,
        &[("content-type", "application/json"), ("content-length", &length)],
    );
    reply.extend_from_slice(body.as_bytes());
    let service = Faultd::playing([Bytes::new().send(reply)]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.raw(), body);
    assert_eq!(came.kinds(), ["head", "raw", "done"]);
}

#[test]
fn what_is_no_stream_comes_as_a_stream_of_one_piece() {
    let twins = twins(talkative);
    let request = HttpRequest::new("GET", "/models?category=programming");
    let came = raw_stream(&plugin(&twins.asked, json!({})), request.clone());
    assert_eq!(came.raw().as_bytes(), direct(&twins.direct, &request).body);
    assert_eq!(came.kinds(), ["head", "raw", "done"]);
}

#[test]
fn sound_as_a_stream_is_refused_with_advice() {
    let twins = twins(talkative);
    let came = raw_stream(&plugin(&twins.asked, once()), forms().pop().expect("the last one"));
    let error = came.error();
    assert_eq!(
        (error.kind, error.message.as_str(), error.hint()),
        (
            ErrorKind::PROTOCOL,
            "expected text, found 834 bytes that are none",
            Some("ask for it whole, not as a stream")
        )
    );
}

#[test]
fn many_raw_streams_at_once_are_each_their_own() {
    let twins = twins(|builder| {
        builder.script(
            "sandbox/echo",
            Script {
                echo: true,
                ..Script::default()
            },
        )
    });
    let plugin = plugin(&twins.asked, json!({}));
    let texts = block_on(async {
        let calls: Vec<_> = (0..40)
            .map(|n| {
                let plugin = plugin.clone();
                let messages = json!([{"role": "user", "content": format!("call-{n}")}]);
                let asked = post(
                    "/chat/completions",
                    &json!({"model": "sandbox/echo", "messages": messages}),
                );
                tokio::spawn(async move { plugin.raw_stream(asked).await?.collect().await })
            })
            .collect();
        let mut texts = Vec::new();
        for call in calls {
            let reply = call.await.expect("no panic").expect("an answer");
            texts.push(reply.raw.unwrap_or_default());
        }
        texts
    });
    for (n, text) in texts.iter().enumerate() {
        let said: String = text
            .split("\"content\":\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert_eq!(said, format!("The sandbox heard: call-{n}"));
        assert_eq!(text.matches("[DONE]").count(), 1, "{n}");
    }
}

#[test]
fn dropping_a_raw_stream_ends_the_request_at_the_service() {
    let service = service();
    let script = Script {
        comments_forever: true,
        chunk_delay_ms: 10,
        stall_after_chunks: Some(1),
        ..Script::words(5)
    };
    service.script(MODEL, script);
    let plugin = plugin(&service, json!({}));
    block_on(async {
        let mut stream = plugin.raw_stream(chat(MODEL)).await.expect("it opens");
        stream.next().await.expect("an event").expect("no error");
    });
    service.wait_until_idle(LIMIT).expect("the request ends");
}
