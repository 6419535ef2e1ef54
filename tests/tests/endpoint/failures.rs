//! Failures of the service: before the answer in its own words, in the middle of it exactly once.

use std::net::TcpListener;

use sandbox::Script;
use serde_json::{Value, json};
use tests::endpoint::{Answer, Serve, chat_body};
use tests::faultd::{self, Faultd};

use crate::bench::{CHAT, Twins, forms, stream_body, streaming};

#[test]
fn an_error_before_the_answer_keeps_status_words_and_wait() {
    let twins = Twins::new();
    for status in [402, 413, 429, 500, 529] {
        for (target, body) in forms(&format!("sandbox/status-{status}")) {
            for body in [body.clone(), streaming(body)] {
                let [through, direct] = twins.both(target, &body);
                assert_eq!(through.status, status, "{target}");
                assert_eq!(
                    (through.status, through.text()),
                    (direct.status, direct.text()),
                    "{target}"
                );
                for name in [
                    "content-type",
                    "retry-after",
                    "x-ratelimit-remaining",
                    "x-ratelimit-reset",
                ] {
                    assert_eq!(through.header(name), direct.header(name), "{target} {status}: {name}");
                }
            }
        }
    }
}

#[test]
fn a_web_page_becomes_an_error_that_clients_can_read() {
    let endpoint = Serve::new().profile(&json!({"retry": {"attempts": 1}})).start();
    let answer = endpoint.chat("sandbox/html-502", "Hello").expect(502);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    let error = &answer.json()["error"];
    assert_eq!(error["code"], 502);
    assert_eq!(
        error["message"],
        "the service answered 502 with a page titled `502 Bad Gateway`"
    );
}

#[test]
fn no_answer_from_the_service_is_a_502_that_says_so() {
    let closed = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let closed = format!("http://{}/api/v1", closed.expect("a port"));
    let resets = Faultd::playing([faultd::Script::new().reset()]);
    for (base_url, kind) in [(closed, Some("connect")), (resets.base_url(), None)] {
        let endpoint = Serve::new()
            .env("OPENROUTER_BASE_URL", &base_url)
            .profile(&json!({"retry": {"attempts": 1}}))
            .start();
        for body in [chat_body("acme/model", "Hello"), stream_body("acme/model", "Hello")] {
            let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(502);
            let error = &answer.json()["error"];
            assert_eq!((&error["code"], &error["param"]), (&json!(502), &Value::Null));
            assert_eq!(error["metadata"]["error_type"], error["type"]);
            assert!(error["message"].is_string(), "{error}");
            if let Some(kind) = kind {
                assert_eq!(error["type"], kind);
                assert!(error["metadata"]["hint"].is_string(), "{error}");
            }
        }
    }
}

#[test]
fn an_error_in_a_stream_appears_exactly_once_in_the_services_words() {
    let twins = Twins::new();
    for model in ["sandbox/mid-stream-error", "sandbox/mid-stream-error-text-code"] {
        for (target, body) in forms(model) {
            let answer = twins.same(target, &streaming(body)).expect(200);
            let errors = answer.events().into_iter().filter(|event| {
                let event: Value = serde_json::from_str(event).unwrap_or_default();
                let is_error = |value: &Value| value["error"].is_object();
                is_error(&event) || is_error(&event["response"]) || event["type"] == "error"
            });
            assert_eq!(errors.count(), 1, "{target}: {}", answer.text());
        }
    }
}

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
