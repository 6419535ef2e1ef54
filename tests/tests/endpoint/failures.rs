//! Failures of the service in the middle of an answer.
//!
//! Those before it, and those that the service reports itself, are in `host-example/src/serve/tests` and `tests/forms`.

use sandbox::Script;
use serde_json::{Value, json};
use tests::endpoint::{Answer, Serve, chat_body};
use tests::faultd::{Faultd, Script as Raw};

use crate::bench::{CHAT, Twins, forms, streaming};

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
    let service = Faultd::playing([Raw::stream(&["event: error\ndata: the kitchen is closed\n\n"])]);
    let once = json!({"retry": {"attempts": 1}});
    let endpoint = Serve::new().asking(&service).profile(&once).start();
    let body = chat_body("acme/model", "Hello");
    for body in [streaming(body.clone()), body] {
        let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(503);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let message = answer.json()["error"]["message"].as_str().map(str::to_owned);
        let has_words = message.is_some_and(|words| words.contains("the kitchen is closed"));
        assert!(has_words, "{}", answer.text());
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
