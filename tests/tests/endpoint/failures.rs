//! Failures of the service in the middle of an answer.
//!
//! Those before it, and those that the service reports itself, are in `host-example/src/serve/tests` and `tests/forms`.

use sandbox::Script;
use serde_json::{Value, json};
use tests::endpoint::{Answer, Serve};
use tests::faultd::{Faultd, Script as Raw, chunk, delta_event, sse_head, text_event};

use crate::bench::{Twins, forms, streaming};

/// The one event that the endpoint adds to a stream that was cut, without its `prefix` of lines.
#[track_caller]
fn added_event(through: &Answer, direct: &Answer, prefix: &str) -> Value {
    let (text, direct) = (through.text(), direct.text());
    let added = text.strip_prefix(&direct);
    let added = added.unwrap_or_else(|| panic!("{direct}\nis not the beginning of\n{text}"));
    let data = added
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix("data: ")?.strip_suffix("\n\n"));
    let data = data.unwrap_or_else(|| panic!("not one event of this form: {added}"));
    serde_json::from_str(data).expect("one event of JSON")
}

#[test]
fn an_error_in_plain_words_becomes_an_error_object() {
    let once = json!({"retry": {"attempts": 1}});
    let words = "event: error\ndata: the kitchen is closed\n\n";
    let has_words = |error: &Value| {
        let message = error["error"]["message"].as_str();
        assert!(
            message.is_some_and(|message| message.contains("the kitchen is closed")),
            "{error}"
        );
    };
    let begins = [
        text_event("Hi"),
        "data: {\"choices\":[{\"index\":0,\"text\":\"Hi\"}]}\n\n".to_owned(),
        named_event(&json!({"type": "response.output_text.delta", "delta": "Hi", "sequence_number": 4})),
        named_event(&json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hi"}})),
    ];
    for ((target, body), begin) in forms("acme/model").into_iter().zip(begins) {
        let scripts = [&[words][..], &[words], &[begin.as_str(), words]].map(Raw::stream);
        let service = Faultd::playing(scripts);
        let endpoint = Serve::new().asking(&service).profile(&once).start();
        for body in [streaming(body.clone()), body.clone()] {
            let answer = endpoint.answer(&endpoint.post(target, &body)).expect(503);
            assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
            has_words(&answer.json());
        }
        let answer = endpoint.answer(&endpoint.post(target, &streaming(body))).expect(200);
        let events = answer.events();
        assert_eq!(events.len(), 2, "{target}: {}", answer.text());
        has_words(&serde_json::from_str(&events[1]).expect("JSON"));
        let has_name = answer.text().contains("event: error\ndata: {\"");
        assert_eq!(
            has_name,
            ["/v1/responses", "/v1/messages"].contains(&target),
            "{}",
            answer.text()
        );
    }
}

/// An event with its type as its name.
fn named_event(data: &Value) -> String {
    format!("event: {}\ndata: {data}\n\n", data["type"].as_str().unwrap_or_default())
}

#[test]
fn a_large_event_that_is_cut_carries_the_error() {
    let long = "iVBO".repeat(1 << 18);
    let begins = [
        (text_event("Hi"), delta_event(&json!({"content": long}))),
        (
            "data: {\"choices\":[{\"index\":0,\"text\":\"Hi\"}]}\n\n".to_owned(),
            format!("data: {{\"choices\":[{{\"index\":0,\"text\":\"{long}\"}}]}}\n\n"),
        ),
        (
            named_event(&json!({"type": "response.created", "sequence_number": 0})),
            named_event(&json!({"type": "response.image_generation_call.partial_image", "partial_image_b64": long})),
        ),
        (
            named_event(&json!({"type": "ping"})),
            named_event(&json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": long}})),
        ),
    ];
    for ((target, body), (begin, large)) in forms("acme/model").into_iter().zip(begins) {
        let half = &large[..large.len() * 3 / 4];
        let service = Faultd::playing([Raw::new()
            .send([sse_head(), chunk(begin), chunk(half)].concat())
            .close()]);
        let endpoint = Serve::new().asking(&service).start();
        let answer = endpoint.answer(&endpoint.post(target, &streaming(body))).expect(200);
        let events = answer.events();
        assert_eq!(events.len(), 3, "{target}");
        for event in &events[1..] {
            let event: Value = serde_json::from_str(event).unwrap_or_else(|cause| panic!("{target}: {cause}"));
            assert!(event["error"]["message"].is_string(), "{target}");
        }
        let n_named = answer.text().matches("event: error\n").count();
        let is_named = ["/v1/responses", "/v1/messages"].contains(&target);
        assert_eq!(n_named, if is_named { 2 } else { 0 }, "{target}");
    }
}

#[test]
fn a_stream_that_is_cut_ends_with_one_error_in_its_own_form() {
    let cut = Script {
        cut_after_chunks: Some(3),
        ..Script::words(60)
    };
    let broken = Script {
        cut_abruptly: true,
        ..cut.clone()
    };
    let twins = Twins::with(&[("acme/cut", cut), ("acme/broken", broken)]);
    for model in ["acme/cut", "acme/broken"] {
        let [chat, completions, responses, messages] = forms(model).map(|(target, body)| {
            let answers = twins.both(target, &streaming(body));
            assert!(
                answers[0].is_whole,
                "HTTP itself ends well, so that clients read the error"
            );
            for end in ["[DONE]", "response.completed", "message_stop"] {
                assert!(!answers[0].text().contains(end), "{}", answers[0].text());
            }
            answers
        });
        let event = added_event(&chat[0], &chat[1], "");
        let first: Value = serde_json::from_str(&chat[0].events()[0]).expect("JSON");
        assert_eq!(event["id"], first["id"]);
        assert_eq!(event["object"], "chat.completion.chunk");
        assert_eq!(
            event["choices"],
            json!([{"index": 0, "delta": {}, "finish_reason": "error"}])
        );
        assert_eq!(
            (&event["error"]["code"], &event["error"]["type"]),
            (&json!(502), &json!("interrupted"))
        );

        let event = added_event(&completions[0], &completions[1], "");
        assert_eq!(event["choices"][0]["finish_reason"], "error");
        assert_eq!(event["error"]["type"], "interrupted");

        let event = added_event(&responses[0], &responses[1], "event: error\n");
        assert_eq!(event["type"], "error");
        assert!(event["code"].is_string() && event["message"].is_string(), "{event}");
        let events = responses[0].events().into_iter();
        let number = |event: String| serde_json::from_str::<Value>(&event).ok()?["sequence_number"].as_u64();
        assert!(events.filter_map(number).is_sorted(), "{}", responses[0].text());

        let event = added_event(&messages[0], &messages[1], "event: error\n");
        assert_eq!(event["type"], "error");
        let error = &event["error"];
        assert!(error["type"].is_string() && error["message"].is_string(), "{event}");
    }
}
