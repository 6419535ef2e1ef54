//! What the service says where it does not answer: its status, its headers and its words reach whoever asked in its own form, once.

use plugin_api::{ChatRequest, Error, ErrorKind, HttpRequest, ServiceAnswer, View};
use sandbox::{Failure, Script};
use serde_json::json;
use tests::canary::CANARY;
use tests::faultd::{Faultd, LAST_CHUNK, Script as Bytes, chunk, sse_head, text_event};
use tests::{block_on, request, service};

use crate::bench::{
    Came, Direct, Twins, chat, codes, direct, good, handed_on, once, plugin, plugin_of, post, raw, raw_stream,
    requests_to, streamed, streaming, twins, writing_forms,
};

const MODEL: &str = "acme/model";

const STATUSES: [(u16, ErrorKind); 8] = [
    (400, ErrorKind::INVALID_REQUEST),
    (401, ErrorKind::AUTH),
    (402, ErrorKind::PAYMENT),
    (403, ErrorKind::FORBIDDEN),
    (404, ErrorKind::NOT_FOUND),
    (429, ErrorKind::RATE_LIMIT),
    (500, ErrorKind::UNAVAILABLE),
    (503, ErrorKind::UNAVAILABLE),
];

/// Twins of which the model plays this script.
fn playing(script: Script) -> Twins {
    twins(|builder| builder.script(MODEL, script.clone()))
}

#[track_caller]
fn answer_of(error: &Error) -> &ServiceAnswer {
    error.details.answer.as_ref().expect("the service's own answer")
}

/// What a service's answer comes to.
fn as_direct(answer: &ServiceAnswer) -> Direct {
    let content_type = answer.headers.iter().find(|(name, _)| name == "content-type");
    Direct {
        status: answer.status,
        content_type: content_type.map(|(_, value)| value.clone()).unwrap_or_default(),
        body: answer.body.clone().into_bytes(),
    }
}

#[test]
fn an_error_keeps_its_status_and_its_words_in_every_form() {
    for (status, kind) in STATUSES {
        let twins = playing(Script::fail(Failure::status(status)));
        let plugin = plugin(&twins.asked, once());
        for asked in writing_forms(MODEL) {
            for (error, asked) in [
                (raw(&plugin, asked.clone()).err(), asked.clone()),
                (raw_stream(&plugin, asked.clone()).error, streaming(&asked)),
            ] {
                let error = error.unwrap_or_else(|| panic!("{status} is no error"));
                assert_eq!(
                    as_direct(answer_of(&error)),
                    direct(&twins.direct, &asked),
                    "{status} {}",
                    asked.path
                );
                assert_eq!(
                    (error.kind, error.details.status),
                    (kind, Some(status)),
                    "{}",
                    asked.path
                );
                assert!(!error.details.is_told, "nothing was streamed");
            }
        }
    }
}

#[test]
fn an_error_keeps_the_headers_that_say_when_to_come_back() {
    for status in [429, 503] {
        let failure = Failure {
            retry_after_s: Some(7),
            headers: [
                ("x-ratelimit-limit".to_owned(), "20".to_owned()),
                ("x-ratelimit-remaining".to_owned(), "0".to_owned()),
                ("x-ratelimit-reset".to_owned(), "1".to_owned()),
                ("set-cookie".to_owned(), "a=b".to_owned()),
            ]
            .into(),
            ..Failure::status(status)
        };
        let twins = playing(Script::fail(failure));
        let error = raw(&plugin(&twins.asked, once()), chat(MODEL)).expect_err("an error");
        let answer = answer_of(&error);
        let mut headers: Vec<(&str, &str)> = answer
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        headers.sort_unstable();
        assert_eq!(
            headers,
            [
                ("content-type", "application/json"),
                ("retry-after", "7"),
                ("x-ratelimit-limit", "20"),
                ("x-ratelimit-remaining", "0"),
                ("x-ratelimit-reset", "1"),
            ],
            "{status}"
        );
        assert_eq!(error.retry_after_ms, Some(7000), "{status}");
    }
}

#[test]
fn a_web_page_in_the_place_of_an_error_is_not_the_services_answer() {
    let failure = Failure {
        body: Some(format!("<html><title>502 {CANARY}</title><body>{CANARY}</body></html>")),
        ..Failure::status(502)
    };
    let twins = playing(Script::fail(failure));
    let error = raw(&plugin(&twins.asked, once()), chat(MODEL)).expect_err("an error");
    assert_eq!((error.details.status, &error.details.answer), (Some(502), &None));
    assert_eq!(error.message, "the service answered 502 with a page titled `502 [key]`");
}

#[test]
fn whoever_asks_in_types_is_not_given_the_services_words_twice() {
    let service = service();
    service.script(MODEL, Script::status(400));
    let plugin = plugin(&service, once());
    let asked = |view| ChatRequest {
        view,
        ..request(MODEL, "Hello")
    };
    let answered = |view| {
        let error = block_on(plugin.chat(&asked(view))).expect_err("an error");
        error.details.answer.is_some()
    };
    assert_eq!([View::Typed, View::Raw, View::Both].map(answered), [false, true, true]);
}

#[test]
fn what_is_refused_for_now_is_tried_again() {
    for status in [429, 500, 502, 503] {
        let script = Script {
            fail: Some(Failure {
                retry_after_s: Some(0),
                ..Failure::status(status)
            }),
            fail_times: Some(1),
            ..Script::text("yes")
        };
        for asked in writing_forms(MODEL) {
            let twins = playing(script.clone());
            let answer = good(&plugin(&twins.asked, json!({})), asked.clone());
            direct(&twins.direct, &asked);
            assert_eq!(
                Direct::of(&answer),
                direct(&twins.direct, &asked),
                "{status} {}",
                asked.path
            );
            assert_eq!(codes(&answer.notices), ["retry"], "{status} {}", asked.path);
            assert_eq!(
                requests_to(&twins.asked, &asked.path).len(),
                2,
                "{status} {}",
                asked.path
            );
            assert_eq!(answer.done.attempts.len(), 2, "{:?}", answer.done.attempts);
        }
    }
}

#[test]
fn what_would_be_refused_again_is_not_tried_again() {
    for status in [400, 401, 402, 403, 404] {
        let twins = playing(Script::status(status));
        raw(&plugin(&twins.asked, json!({})), chat(MODEL)).expect_err("an error");
        assert_eq!(requests_to(&twins.asked, "/chat/completions").len(), 1, "{status}");
    }
}

#[test]
fn a_stream_that_is_refused_for_now_is_tried_again_before_its_head() {
    let script = Script {
        fail_times: Some(1),
        ..Script {
            text: Some("yes".to_owned()),
            ..Script::status(503)
        }
    };
    let twins = playing(script);
    let came = raw_stream(&plugin(&twins.asked, json!({})), chat(MODEL));
    assert_eq!(came.kinds(), ["notice", "head", "raw", "done"]);
    direct(&twins.direct, &streaming(&chat(MODEL)));
    assert_eq!(came.raw(), direct(&twins.direct, &streaming(&chat(MODEL))).text());
}

/// A stream in this form of a model that fails after two pieces.
fn failing_in_the_middle(asked: &HttpRequest) -> (Came, Direct) {
    let script = Script {
        fail_after_chunks: Some(2),
        ..Script::text("one two three four")
    };
    let twins = playing(script);
    let came = raw_stream(&plugin(&twins.asked, json!({})), asked.clone());
    assert_eq!(
        requests_to(&twins.asked, &asked.path).len(),
        1,
        "what was delivered is not asked for again"
    );
    (came, direct(&twins.direct, &streaming(asked)))
}

#[test]
fn an_error_in_the_middle_is_told_once_in_the_services_own_words() {
    for asked in writing_forms(MODEL) {
        let (came, given) = failing_in_the_middle(&asked);
        assert_eq!(came.raw(), handed_on(&asked.path, given.text()), "{}", asked.path);
        assert_eq!(came.raw().matches("Provider disconnected").count(), 1, "{}", asked.path);
        let error = came.error();
        assert!(error.details.is_told, "{}", asked.path);
        assert!(
            error.message.contains("Provider disconnected"),
            "{}: {error}",
            asked.path
        );
        assert_eq!(
            came.kinds()[came.kinds().len() - 2..],
            ["head", "raw"],
            "{}",
            asked.path
        );
    }
}

#[test]
fn an_error_event_in_the_middle_is_told_once_too() {
    let script = Script {
        fail_after_chunks: Some(2),
        error_event: true,
        event_lines: true,
        ..Script::text("one two three four")
    };
    let twins = playing(script);
    let asked = post("/responses", &json!({"model": MODEL, "input": "Hello"}));
    let came = raw_stream(&plugin(&twins.asked, json!({})), asked.clone());
    assert_eq!(came.raw(), direct(&twins.direct, &streaming(&asked)).text());
    assert!(came.error().details.is_told);
}

#[test]
fn an_error_in_the_middle_is_not_told_where_nobody_reads_the_raw_form() {
    let script = Script {
        fail_after_chunks: Some(2),
        ..Script::text("one two three")
    };
    let twins = playing(script);
    let came = streamed(&plugin(&twins.asked, json!({})), &request(MODEL, "Hello"));
    assert!(!came.error().details.is_told);
    assert_eq!(came.error().details.partial_text.as_deref(), Some("one two"));
}

#[test]
fn an_error_ahead_of_everything_takes_the_place_of_an_answer() {
    for asked in writing_forms(MODEL) {
        let script = Script {
            fail_after_chunks: Some(0),
            ..Script::text("one two")
        };
        let twins = playing(script);
        let came = raw_stream(&plugin(&twins.asked, once()), asked.clone());
        let given = direct(&twins.direct, &streaming(&asked));
        let mut frames = given.text().lines().filter_map(|line| line.strip_prefix("data: "));
        let last = frames.rfind(|data| *data != "[DONE]").expect("an error");
        let error = came.error();
        if ["/responses", "/messages"].contains(&asked.path.as_str()) {
            // Their opening goes on at once, so an error behind it is one in the middle.
            assert!(error.details.is_told && came.raw().contains(last), "{}", asked.path);
            continue;
        }
        assert_eq!(came.raw(), "", "{}", asked.path);
        assert!(!error.details.is_told, "{}", asked.path);
        assert_eq!(answer_of(error).body, last, "{}", asked.path);
        assert_eq!(answer_of(error).status, 502, "{}", asked.path);
    }
}

#[test]
fn an_error_ahead_of_everything_is_tried_again() {
    let error = "data: {\"error\":{\"code\":503,\"message\":\"busy\"},\"choices\":[]}\n\n".to_owned();
    let service = Faultd::answering(move |request| match request.number {
        0 => Bytes::stream(&[&error]),
        _ => Bytes::answer("yes"),
    });
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.error, None);
    assert_eq!(came.kinds(), ["notice", "head", "raw", "done"]);
    assert!(!came.raw().contains("busy"), "{}", came.raw());
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn an_error_with_status_200_is_an_error() {
    for status in [400, 402, 502] {
        let script = Script {
            error_in_200_body: true,
            ..Script::status(status)
        };
        for asked in writing_forms(MODEL) {
            let twins = playing(script.clone());
            let error = raw(&plugin(&twins.asked, once()), asked.clone()).expect_err("an error");
            let given = direct(&twins.direct, &asked);
            assert_eq!(given.status, 200);
            assert_eq!(answer_of(&error).body, given.text(), "{status} {}", asked.path);
            if asked.path != "/messages" {
                // Messages name their errors by words alone.
                assert_eq!(answer_of(&error).status, status, "{}", asked.path);
            }
        }
    }
}

#[test]
fn a_stream_that_is_cut_is_an_error_that_has_to_be_told() {
    for asked in writing_forms(MODEL) {
        for cut_abruptly in [false, true] {
            let script = Script {
                cut_after_chunks: Some(2),
                cut_abruptly,
                ..Script::text("one two three four")
            };
            let twins = playing(script.clone());
            let came = raw_stream(&plugin(&twins.asked, json!({})), asked.clone());
            let error = came.error();
            assert_eq!(error.kind, ErrorKind::INTERRUPTED, "{} {error}", asked.path);
            assert!(!error.details.is_told, "{}", asked.path);
            assert_eq!(error.details.answer, None, "{}", asked.path);
            assert_eq!(
                came.kinds()[came.kinds().len() - 2..],
                ["head", "raw"],
                "{}",
                asked.path
            );
            if !cut_abruptly {
                let given = direct(&twins.direct, &streaming(&asked));
                assert_eq!(came.raw(), handed_on(&asked.path, given.text()), "{}", asked.path);
            }
        }
    }
}

#[test]
fn an_answer_without_its_end_is_cut_in_every_form() {
    for asked in writing_forms(MODEL) {
        let script = Script {
            omit_finish_reason: true,
            omit_done: true,
            ..Script::text("one two")
        };
        let twins = playing(script);
        let came = raw_stream(&plugin(&twins.asked, once()), asked.clone());
        assert_eq!(came.error().kind, ErrorKind::INTERRUPTED, "{}", asked.path);
    }
}

#[test]
fn half_an_event_at_the_end_is_not_passed_on() {
    let mut bytes = sse_head();
    bytes.extend(chunk(text_event("Hel")));
    bytes.extend(chunk("data: {\"choices\":[{\"del"));
    bytes.extend_from_slice(LAST_CHUNK.as_bytes());
    let service = Faultd::playing([Bytes::new().send(bytes)]);
    let came = raw_stream(&plugin_of(&service, once()), chat(MODEL));
    assert_eq!(came.raw(), text_event("Hel"));
    assert_eq!(came.error().kind, ErrorKind::INTERRUPTED);
}

#[test]
fn an_error_names_what_was_tried() {
    let twins = playing(Script::status(503));
    let options = json!({"retry": {"attempts": 2}});
    let error = raw(&plugin(&twins.asked, options), chat(MODEL)).expect_err("an error");
    let tried: Vec<_> = error
        .details
        .attempts
        .iter()
        .map(|attempt| (attempt.model.as_str(), attempt.status))
        .collect();
    assert_eq!(tried, [(MODEL, Some(503)); 2]);
    assert_eq!(answer_of(&error).status, 503);
}

#[test]
fn a_wrong_key_is_told_as_the_service_tells_it() {
    let service = service();
    let twin = tests::service_from(sandbox::Sandbox::builder().key("another"));
    let error = raw(&plugin(&twin, once()), HttpRequest::new("GET", "/key")).expect_err("it is wrong");
    assert_eq!((error.kind, answer_of(&error).status), (ErrorKind::AUTH, 401));
    good(&plugin(&service, once()), HttpRequest::new("GET", "/key"));
}

#[test]
fn a_long_explanation_is_passed_on_whole() {
    let body = json!({"error": {"code": 400, "message": "x".repeat(20_000)}});
    let written = body.to_string();
    let service = Faultd::playing([Bytes::reply(400, &[], &body)]);
    let error = raw(&plugin_of(&service, once()), chat(MODEL)).expect_err("an error");
    assert!(
        answer_of(&error).body == written,
        "{} bytes",
        answer_of(&error).body.len()
    );
    assert!(error.message.len() < 4096, "what is told in types is for people");
}

#[test]
fn a_long_explanation_inside_an_answer_is_passed_on_whole() {
    let body = json!({"error": {"code": 400, "message": "x".repeat(20_000)}});
    let written = body.to_string();
    let service = Faultd::playing([Bytes::reply(200, &[], &body)]);
    let error = raw(&plugin_of(&service, once()), chat(MODEL)).expect_err("an error");
    assert!(
        answer_of(&error).body == written,
        "{} bytes",
        answer_of(&error).body.len()
    );
}

#[test]
fn an_explanation_that_is_cut_is_not_the_services_answer() {
    let message = "x".repeat(100_000);
    let service = Faultd::playing([Bytes::reply(
        400,
        &[],
        &json!({"error": {"code": 400, "message": message}}),
    )]);
    let error = raw(&plugin_of(&service, once()), chat(MODEL)).expect_err("an error");
    assert_eq!(
        (error.kind, error.details.status),
        (ErrorKind::INVALID_REQUEST, Some(400))
    );
    assert_eq!(error.details.answer, None, "half of its JSON is none");
}

#[test]
fn an_event_that_cannot_be_read_is_passed_on_and_told_of() {
    let service = Faultd::playing([Bytes::stream(&[
        text_event("Hel"),
        "data: {\"choices\":[{\"del\n\n".to_owned(),
        text_event("lo"),
        tests::faultd::finish_event("stop"),
        tests::faultd::DONE.to_owned(),
    ])]);
    let came = raw_stream(&plugin_of(&service, once()), chat(MODEL));
    assert_eq!(codes(&came.reply().notices), ["bad_frames"]);
    assert!(came.raw().contains("data: {\"choices\":[{\"del\n\n"), "{}", came.raw());
}

#[test]
fn nothing_at_all_is_an_error_and_no_empty_answer() {
    for body in ["", "\n", ": only a comment\n\n"] {
        let service = Faultd::playing([Bytes::stream(&[body])]);
        let came = raw_stream(&plugin_of(&service, once()), chat(MODEL));
        assert_eq!(came.error().kind, ErrorKind::INTERRUPTED, "{body:?}");
        assert_eq!(came.raw(), "", "{body:?}");
    }
}
