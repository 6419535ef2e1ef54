//! Errors of the service: status, headers and words reach a caller of its own form, exactly once.

use plugin_api::{Error, ErrorKind, ServiceAnswer};
use sandbox::{Failure, Script};
use serde_json::json;
use tests::canary::CANARY;
use tests::faultd::{DONE, Faultd, Script as Bytes, finish_event, text_event};
use tests::request;

use crate::bench::{
    Direct, MODEL, bad, chat, codes, direct, once, plugin, plugin_of, raw_stream, requests_to, service_playing,
    streamed, streaming, twins_playing, writing_forms,
};

#[track_caller]
fn answer_of(error: &Error) -> &ServiceAnswer {
    error.details.answer.as_ref().expect("the service's own answer")
}

/// A service's own answer as a client gets it by hand.
fn as_direct(answer: &ServiceAnswer) -> Direct {
    let content_type = answer.headers.iter().find(|(name, _)| name == "content-type");
    Direct {
        status: answer.status,
        content_type: content_type.map(|(_, value)| value.clone()).unwrap_or_default(),
        body: answer.body.clone().into_bytes(),
    }
}

#[test]
fn an_error_keeps_its_status_and_words_in_every_form() {
    for (status, kind) in [
        (400, ErrorKind::INVALID_REQUEST),
        (401, ErrorKind::AUTH),
        (402, ErrorKind::PAYMENT),
        (403, ErrorKind::FORBIDDEN),
        (404, ErrorKind::NOT_FOUND),
        (429, ErrorKind::RATE_LIMIT),
        (500, ErrorKind::UNAVAILABLE),
        (503, ErrorKind::UNAVAILABLE),
    ] {
        let twins = twins_playing(&Script::status(status));
        let plugin = plugin(&twins.asked, once());
        for asked in writing_forms() {
            let path = asked.path.clone();
            let stream = streaming(&asked);
            for (error, asked) in [
                (raw_stream(&plugin, asked.clone()).error().clone(), stream),
                (bad(&plugin, asked.clone()), asked),
            ] {
                assert_eq!(
                    as_direct(answer_of(&error)),
                    direct(&twins.direct, &asked),
                    "{status} {path}"
                );
                assert_eq!((error.kind, error.details.status), (kind, Some(status)), "{path}");
                assert!(!error.details.is_told, "nothing was streamed");
            }
        }
    }
}

#[test]
fn an_error_keeps_the_headers_about_waiting() {
    let headers = [
        ("retry-after", "7"),
        ("x-ratelimit-limit", "20"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1"),
        ("set-cookie", "a=b"),
    ];
    for status in [429, 503] {
        let body = json!({"error": {"code": status, "message": "slower"}});
        let service = Faultd::playing([Bytes::reply(status, &headers, &body)]);
        let error = bad(&plugin_of(&service, once()), chat(MODEL));
        let kept = answer_of(&error)
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}"));
        let mut kept: Vec<String> = kept.collect();
        kept.sort_unstable();
        assert_eq!(
            kept.join(", "),
            "content-type: application/json, retry-after: 7, x-ratelimit-limit: 20, x-ratelimit-remaining: 0, \
             x-ratelimit-reset: 1",
            "{status}"
        );
        assert_eq!(error.retry_after_ms, Some(7000), "{status}");
    }
}

#[test]
fn a_web_page_is_not_the_services_own_answer() {
    let service = service_playing(Script::fail(Failure {
        body: Some(format!("<html><title>502 {CANARY}</title><body>{CANARY}</body></html>")),
        ..Failure::status(502)
    }));
    let error = bad(&plugin(&service, once()), chat(MODEL));
    assert_eq!((error.details.status, &error.details.answer), (Some(502), &None));
    assert_eq!(error.message, "the service answered 502 with a page titled `502 [key]`");
}

#[test]
fn an_error_with_status_200_is_an_error_in_every_form() {
    for status in [400, 402, 502] {
        let twins = twins_playing(&Script {
            error_in_200_body: true,
            ..Script::status(status)
        });
        let plugin = plugin(&twins.asked, once());
        for asked in writing_forms() {
            let given = direct(&twins.direct, &asked);
            let path = asked.path.clone();
            let error = bad(&plugin, asked);
            assert_eq!(
                (given.status, given.text()),
                (200, answer_of(&error).body.as_str()),
                "{status} {path}"
            );
            // Messages name their errors by words alone.
            if path != "/messages" {
                assert_eq!(answer_of(&error).status, status, "{path}");
            }
        }
    }
}

#[test]
fn a_long_explanation_is_passed_on_whole_or_not_at_all() {
    for (status, n_bytes, is_whole) in [(400, 20_000, true), (200, 20_000, true), (400, 100_000, false)] {
        let body = json!({"error": {"code": 400, "message": "x".repeat(n_bytes)}});
        let service = Faultd::playing([Bytes::reply(status, &[], &body)]);
        let error = bad(&plugin_of(&service, once()), chat(MODEL));
        assert!(
            !format!("{:?}", error.details.answer).contains("xxx"),
            "its words are not printed"
        );
        let kept = error.details.answer.map(|answer| answer.body);
        assert!(kept == is_whole.then(|| body.to_string()), "{status}, {n_bytes} bytes");
        assert_eq!(error.kind, ErrorKind::INVALID_REQUEST, "{status}, {n_bytes} bytes");
        assert!(error.message.len() < 4096, "the message is for people");
    }
}

#[test]
fn a_refused_stream_is_retried_before_its_head() {
    let refused = Bytes::reply(
        429,
        &[("retry-after", "0")],
        &json!({"error": {"code": 429, "message": "busy"}}),
    );
    let error_first = "data: {\"error\":{\"code\":503,\"message\":\"busy\"},\"choices\":[]}\n\n";
    for first in [refused, Bytes::stream(&[error_first])] {
        let service = Faultd::playing([first, Bytes::answer("yes")]);
        let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
        assert_eq!(came.error, None);
        assert_eq!(came.kinds(), ["notice", "head", "raw", "done"]);
        assert!(!came.raw().contains("busy"), "{}", came.raw());
        assert_eq!(service.requests().len(), 2);
    }
}

#[test]
fn an_error_before_the_first_word_takes_the_place_of_an_answer() {
    for asked in writing_forms() {
        let twins = twins_playing(&Script {
            fail_after_chunks: Some(0),
            ..Script::text("one two")
        });
        let path = asked.path.clone();
        let given = direct(&twins.direct, &streaming(&asked));
        let mut frames = given.text().lines().filter_map(|line| line.strip_prefix("data: "));
        let last = frames.rfind(|data| *data != "[DONE]").expect("an error");
        let came = raw_stream(&plugin(&twins.asked, once()), asked);
        let error = came.error();
        if ["/responses", "/messages"].contains(&&*path) {
            // Their opening goes on at once, so an error behind it is one in the middle.
            assert!(error.details.is_told && came.raw().contains(last), "{path}");
            continue;
        }
        assert_eq!((came.raw().as_str(), error.details.is_told), ("", false), "{path}");
        assert_eq!(
            (answer_of(error).status, answer_of(error).body.as_str()),
            (502, last),
            "{path}"
        );
    }
}

#[test]
fn an_error_in_the_middle_is_passed_on_once_in_the_services_words() {
    let script = Script {
        fail_after_chunks: Some(2),
        ..Script::text("one two three four")
    };
    let event = Script {
        error_event: true,
        event_lines: true,
        ..script.clone()
    };
    let [chat, completions, responses, messages] = writing_forms();
    for (asked, script) in [
        (chat, &script),
        (completions, &script),
        (responses.clone(), &script),
        (responses, &event),
        (messages, &script),
    ] {
        let path = asked.path.clone();
        let twins = twins_playing(script);
        let given = direct(&twins.direct, &streaming(&asked));
        let came = raw_stream(&plugin(&twins.asked, json!({})), asked);
        assert_eq!(came.raw(), given.passed_on(&path), "{path}");
        assert_eq!(came.raw().matches("Provider disconnected").count(), 1, "{path}");
        let error = came.error();
        assert!(error.details.is_told, "{path}");
        assert!(error.message.contains("Provider disconnected"), "{path}: {error}");
        assert!(came.kinds().ends_with(&["head", "raw"]), "{path}: {:?}", came.kinds());
        assert_eq!(
            requests_to(&twins.asked, &path).len(),
            1,
            "what was delivered is not asked for again"
        );
    }
}

#[test]
fn a_typed_stream_has_not_shown_the_error_to_anybody() {
    let service = service_playing(Script {
        fail_after_chunks: Some(2),
        ..Script::text("one two three")
    });
    let came = streamed(&plugin(&service, json!({})), &request(MODEL, "Hello"));
    let details = &came.error().details;
    assert_eq!(
        (details.is_told, details.partial_text.as_deref()),
        (false, Some("one two"))
    );
}

#[test]
fn a_cut_stream_is_an_error_in_every_form() {
    let text = Script::text("one two three four");
    let in_good_order = Script {
        cut_after_chunks: Some(2),
        ..text.clone()
    };
    let abruptly = Script {
        cut_abruptly: true,
        ..in_good_order.clone()
    };
    let without_its_end = Script {
        omit_finish_reason: true,
        omit_done: true,
        ..text
    };
    for (cut, script) in [
        ("in good order", in_good_order),
        ("abruptly", abruptly),
        ("without its end", without_its_end),
    ] {
        for asked in writing_forms() {
            let what = format!("{} {cut}", asked.path);
            let twins = twins_playing(&script);
            let came = raw_stream(&plugin(&twins.asked, json!({})), asked.clone());
            let error = came.error();
            assert_eq!(
                (error.kind, error.details.is_told),
                (ErrorKind::INTERRUPTED, false),
                "{what}: {error}"
            );
            assert_eq!(error.details.answer, None, "{what}");
            assert!(came.kinds().ends_with(&["head", "raw"]), "{what}: {:?}", came.kinds());
            if cut == "in good order" {
                let given = direct(&twins.direct, &streaming(&asked));
                assert_eq!(came.raw(), given.passed_on(&asked.path), "{what}");
            }
        }
    }
}

#[test]
fn a_chat_stream_without_its_end_passes_on_no_end() {
    let text = text_event("Hel");
    for (name, events, passed_on) in [
        ("no finish reason", &[&*text, DONE][..], &*text),
        ("half an event", &[&text, "data: {\"choices\":[{\"del"], &text),
        ("nothing", &[""], ""),
        ("an empty line", &["\n"], ""),
        ("a comment", &[": only a comment\n\n"], ""),
    ] {
        let events: Vec<&&str> = events.iter().filter(|event| !event.is_empty()).collect();
        let service = Faultd::playing([Bytes::stream(&events)]);
        let came = raw_stream(&plugin_of(&service, once()), chat(MODEL));
        let error = came.error();
        assert_eq!(
            (error.kind, error.details.is_told),
            (ErrorKind::INTERRUPTED, false),
            "{name}"
        );
        assert_eq!(came.raw(), passed_on, "{name}");
    }
}

#[test]
fn an_unreadable_event_is_passed_on_with_a_notice() {
    let unreadable = "data: {\"choices\":[{\"del\n\n";
    let events = [
        &text_event("Hel"),
        unreadable,
        &text_event("lo"),
        &finish_event("stop"),
        DONE,
    ];
    let service = Faultd::playing([Bytes::stream(&events)]);
    let came = raw_stream(&plugin_of(&service, once()), chat(MODEL));
    assert_eq!(codes(&came.reply().notices), ["bad_frames"]);
    assert_eq!(came.raw(), events.concat());
}
