//! What goes wrong at the service: before the answer with the service's own words, in the middle of it exactly once.

use sandbox::{Failure, Script};
use serde_json::{Value, json};
use tests::endpoint::{Serve, chat_body};
use tests::faultd::{Faultd, text_event};

use crate::faithful::{Twins, added, forms, streaming};

#[test]
fn an_error_before_the_answer_keeps_its_status_its_words_and_its_wait() {
    let twins = Twins::with(&[]);
    for status in [400, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 524, 529] {
        for is_stream in [false, true] {
            let mut body = chat_body(&format!("sandbox/status-{status}"), "Hello");
            body["stream"] = json!(is_stream);
            let [through, direct] = twins.both("/v1/chat/completions", &body);
            assert_eq!(through.text(), direct.text(), "{status}");
            assert_eq!((through.status, direct.status), (status, status));
            for header in [
                "content-type",
                "retry-after",
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
            ] {
                assert_eq!(through.header(header), direct.header(header), "{status}: {header}");
            }
        }
    }
}

#[test]
fn an_error_before_the_answer_is_the_services_in_every_form() {
    let twins = Twins::with(&[]);
    for status in [402, 429, 500] {
        for (target, body) in forms(&format!("sandbox/status-{status}")) {
            for body in [body.clone(), streaming(body)] {
                let [through, direct] = twins.both(target, &body);
                assert_eq!(
                    (through.status, through.text()),
                    (direct.status, direct.text()),
                    "{target}"
                );
                assert_eq!(through.header("retry-after"), direct.header("retry-after"), "{target}");
            }
        }
    }
}

#[test]
fn a_page_of_somebody_in_between_keeps_its_status_and_becomes_an_error_that_clients_read() {
    let twins = Twins::with(&[]);
    let [through, direct] = twins.both("/v1/chat/completions", &chat_body("sandbox/html-502", "Hello"));
    assert_eq!((through.status, direct.status), (502, 502));
    assert_eq!(through.header("content-type"), Some("application/json"));
    let message = &through.json()["error"]["message"];
    assert_eq!(message, "the service answered 502 with a page titled `502 Bad Gateway`");
}

#[test]
fn a_key_that_the_service_refuses_is_its_401_and_shows_no_key() {
    let endpoint = Serve::new().env("OPENROUTER_API_KEY", "sk-or-v1-wrong").start();
    let answer = endpoint.chat("sandbox/hello", "Hello").expect(401);
    assert_eq!(answer.json()["error"]["message"], "User not found.");
    assert!(!answer.text().contains("sk-or-v1"), "{}", answer.text());
}

#[test]
fn an_answer_that_the_service_gives_late_comes_after_its_retries() {
    let fails_twice = Script {
        fail: Some(Failure {
            retry_after_s: Some(0),
            ..Failure::status(503)
        }),
        fail_times: Some(2),
        ..Script::text("At last.")
    };
    let service = tests::service();
    service.script("acme/model", fails_twice);
    let endpoint = Serve::before(service).start();
    let answer = endpoint.chat("acme/model", "Hello").expect(200);
    assert_eq!(
        (answer.content().as_str(), answer.header("x-attempts")),
        ("At last.", Some("3"))
    );
}

#[test]
fn an_error_in_a_stream_is_there_exactly_once_and_as_the_service_wrote_it() {
    let twins = Twins::with(&[]);
    for model in ["sandbox/mid-stream-error", "sandbox/mid-stream-error-text-code"] {
        for (target, body) in forms(model) {
            let answer = twins.same(target, &streaming(body)).expect(200);
            let errors = answer.events().into_iter().filter(|event| {
                let event: Value = serde_json::from_str(event).unwrap_or_default();
                let is_told = |value: &Value| value["error"].is_object();
                is_told(&event) || is_told(&event["response"]) || event["type"] == "error"
            });
            assert_eq!(errors.count(), 1, "{target}: {}", answer.text());
        }
    }
}

/// Streams that break off, with what every form adds to each of them.
fn broken_off() -> Twins {
    let cut = Script {
        cut_after_chunks: Some(3),
        ..Script::words(60)
    };
    let broken = Script {
        cut_abruptly: true,
        ..cut.clone()
    };
    Twins::with(&[("acme/cut", cut), ("acme/broken", broken)])
}

#[test]
fn a_stream_of_chat_that_is_cut_ends_with_an_error_and_without_done() {
    let twins = broken_off();
    for model in ["acme/cut", "acme/broken"] {
        let [through, direct] = twins.both("/v1/chat/completions", &streaming(chat_body(model, "Hello")));
        let last = added(&through, &direct);
        let data = last
            .strip_prefix("data: ")
            .and_then(|last| last.strip_suffix("\n\n"))
            .expect("one event");
        let chunk: Value = serde_json::from_str(data).expect("one event of JSON");
        let first: Value = serde_json::from_str(&through.events()[0]).expect("JSON");
        assert_eq!(chunk["id"], first["id"]);
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!(
            chunk["choices"],
            json!([{"index": 0, "delta": {}, "finish_reason": "error"}])
        );
        assert_eq!(
            (&chunk["error"]["code"], &chunk["error"]["type"]),
            (&json!(502), &json!("interrupted"))
        );
        assert!(!through.text().contains("[DONE]"), "{}", through.text());
        assert!(through.is_whole, "HTTP itself ends well, so that the error is read");
    }
}

#[test]
fn a_stream_of_completions_that_is_cut_ends_with_an_error_and_without_done() {
    let twins = broken_off();
    for model in ["acme/cut", "acme/broken"] {
        let body = json!({"model": model, "prompt": "Hello", "stream": true});
        let [through, direct] = twins.both("/v1/completions", &body);
        let last = added(&through, &direct);
        let data = last
            .strip_prefix("data: ")
            .and_then(|last| last.strip_suffix("\n\n"))
            .expect("one event");
        let chunk: Value = serde_json::from_str(data).expect("one event of JSON");
        assert_eq!(chunk["choices"][0]["finish_reason"], "error");
        assert_eq!(chunk["error"]["type"], "interrupted");
        assert!(!through.text().contains("[DONE]"), "{}", through.text());
    }
}

#[test]
fn a_stream_of_messages_that_is_cut_ends_with_an_error_event() {
    let twins = broken_off();
    for model in ["acme/cut", "acme/broken"] {
        let (target, body) = forms(model)[3].clone();
        let [through, direct] = twins.both(target, &streaming(body));
        let last = added(&through, &direct);
        let data = last
            .strip_prefix("event: error\ndata: ")
            .and_then(|last| last.strip_suffix("\n\n"));
        let event: Value = serde_json::from_str(data.expect("one event")).expect("one event of JSON");
        assert_eq!(event["type"], "error");
        assert!(
            event["error"]["type"].is_string() && event["error"]["message"].is_string(),
            "{event}"
        );
        assert!(!through.text().contains("message_stop"), "{}", through.text());
    }
}

#[test]
fn a_stream_of_responses_that_is_cut_ends_with_an_error_event() {
    let twins = broken_off();
    for model in ["acme/cut", "acme/broken"] {
        let (target, body) = forms(model)[2].clone();
        let [through, direct] = twins.both(target, &streaming(body));
        let last = added(&through, &direct);
        let data = last
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .collect::<Vec<_>>();
        let [data] = data.as_slice() else { panic!("{last}") };
        let event: Value = serde_json::from_str(data).expect("JSON");
        assert_eq!(event["type"], "error");
        assert!(event["code"].is_string() && event["message"].is_string(), "{event}");
        assert!(!through.text().contains("response.completed"), "{}", through.text());
        let numbers: Vec<u64> = through
            .events()
            .iter()
            .filter_map(|event| serde_json::from_str::<Value>(event).ok()?["sequence_number"].as_u64())
            .collect();
        assert!(numbers.is_sorted(), "the numbers of the events go up: {numbers:?}");
    }
}

#[test]
fn a_service_that_falls_silent_is_given_up_in_its_time_and_the_stream_says_so() {
    let silent = Script {
        stall_after_chunks: Some(2),
        ..Script::words(10)
    };
    let service = tests::service();
    service.script("acme/silent", silent);
    let options = json!({"timeouts": {"idleMs": 300}, "retry": {"attempts": 1}});
    let endpoint = Serve::before(service).profile(&options).start();
    let body = streaming(chat_body("acme/silent", "Hello"));
    let answer = endpoint
        .answer(&endpoint.post("/v1/chat/completions", &body))
        .expect(200);
    let last: Value = serde_json::from_str(answer.events().last().expect("an event")).expect("JSON");
    assert_eq!(
        (&last["error"]["type"], &last["choices"][0]["finish_reason"]),
        (&json!("timeout"), &json!("error"))
    );
}

#[test]
fn a_connection_that_breaks_before_any_answer_is_a_502() {
    let faultd = Faultd::playing([tests::faultd::Script::new().reset()]);
    let once = json!({"retry": {"attempts": 1}});
    let endpoint = Serve::new().asking(&faultd).profile(&once).start();
    for body in [
        chat_body("acme/model", "Hello"),
        streaming(chat_body("acme/model", "Hello")),
    ] {
        let answer = endpoint
            .answer(&endpoint.post("/v1/chat/completions", &body))
            .expect(502);
        assert_eq!(answer.json()["error"]["code"], 502);
    }
}

#[test]
fn what_an_unfinished_event_held_is_not_passed_on() {
    let whole = text_event("whole");
    let half = &text_event("half")[..40];
    let head = tests::faultd::sse_head();
    let script = tests::faultd::Script::new()
        .send([head, tests::faultd::chunk(whole.clone() + half)].concat())
        .close();
    let faultd = Faultd::playing([script]);
    let endpoint = Serve::new().asking(&faultd).start();
    let body = streaming(chat_body("acme/model", "Hello"));
    let answer = endpoint
        .answer(&endpoint.post("/v1/chat/completions", &body))
        .expect(200);
    let rest = answer.text();
    let rest = rest.strip_prefix(&whole).expect("the whole event");
    assert!(
        rest.starts_with("data: {\"") && rest.contains("\"finish_reason\":\"error\""),
        "{rest}"
    );
}
