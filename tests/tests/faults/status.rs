//! Answers that are errors: which of them are tried again, after which wait, and what is told of them.

use std::time::Duration;

use serde_json::{Value, json};
use tests::faultd::{DONE, LAST_CHUNK, Script, chunk, finish_event, head, sse_head, text_event};

use crate::bench::{both, once, plain, streamed};

/// The shortest wait that a service can ask for, so that retries cost no time.
const AT_ONCE: (&str, &str) = ("retry-after-ms", "1");

fn refusal(status: u16) -> Script {
    let body = json!({"error": {"code": status, "message": "not now"}});
    Script::reply(status, &[AT_ONCE], &body)
}

#[test]
fn fault_14_what_is_the_callers_fault_is_asked_once_and_typed() {
    let kinds = [
        (400, "invalid_request"),
        (401, "auth"),
        (402, "payment"),
        (403, "forbidden"),
        (404, "not_found"),
        (413, "too_large"),
        (422, "invalid_request"),
    ];
    for (status, kind) in kinds {
        for outcome in both(&json!({}), &[refusal(status)]) {
            assert_eq!(outcome.told(), (kind, 1), "{status}");
            let error = outcome.error();
            assert_eq!(
                (error.details.status, error.is_retryable()),
                (Some(status), false),
                "{error:?}"
            );
            assert!(error.hint().is_some(), "{error:?}");
        }
    }
}

#[test]
fn fault_17_what_a_service_cannot_do_now_is_asked_for_again() {
    for status in [408, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529] {
        for outcome in both(&json!({}), &[refusal(status), Script::answer("now")]) {
            assert_eq!(outcome.told(), ("ok", 2), "{status}: {:?}", outcome.result.err());
            let attempts = &outcome.result.as_ref().expect("an answer").done.attempts;
            let statuses: Vec<_> = attempts.iter().map(|attempt| attempt.status).collect();
            assert_eq!(statuses.first(), Some(&Some(status)), "{attempts:?}");
            assert_eq!(attempts.len(), 2, "{attempts:?}");
        }
    }
}

#[test]
fn fault_17_a_service_that_stays_unable_is_asked_three_times_and_after_a_500_twice() {
    for (status, kind, n_requests) in [
        (408, "timeout", 3),
        (429, "rate_limit", 3),
        (500, "unavailable", 2),
        (502, "unavailable", 3),
        (503, "unavailable", 3),
        (504, "timeout", 3),
        (520, "unavailable", 3),
        (524, "timeout", 3),
        (529, "unavailable", 3),
    ] {
        for outcome in both(&json!({}), &[refusal(status)]) {
            assert_eq!(outcome.told(), (kind, n_requests), "{status}");
            let error = outcome.error();
            assert_eq!(error.details.attempts.len(), n_requests, "{error:?}");
            assert_eq!(error.details.status, Some(status));
        }
    }
}

#[test]
fn fault_17_the_services_own_word_about_a_retry_outweighs_its_status() {
    let says = |status: u16, retryable: bool| {
        let availability = json!({"retryable": retryable, "retry_after": 0.001});
        let body = json!({"error": {"message": "m", "availability": availability}});
        Script::reply(status, &[], &body)
    };
    let [streamed, plain] = both(&json!({}), &[says(503, false)]);
    assert_eq!(
        (streamed.told(), plain.told()),
        (("unavailable", 1), ("unavailable", 1))
    );
    let [streamed, plain] = both(&json!({}), &[says(404, true), Script::answer("now")]);
    assert_eq!((streamed.told(), plain.told()), (("ok", 2), ("ok", 2)));
}

#[test]
fn fault_15_odd_waits_are_survived_and_a_long_one_is_returned_instead_of_waited_for() {
    let says = |name: &str, value: &str| {
        let body = json!({"error": {"code": 429, "message": "slow down"}});
        [Script::reply(429, &[(name, value)], &body), Script::answer("now")]
    };
    // What is no wait is as if nothing was said: the plugin's own wait, of a second at most.
    let short = [
        "0",
        "0.001",
        "-1",
        "NaN",
        "1e309",
        "soon",
        "",
        "-0",
        "Thu, 01 Jan 1970 00:00:00 GMT",
    ];
    for value in short {
        let outcome = streamed(json!({}), &says("retry-after", value));
        assert_eq!(outcome.told(), ("ok", 2), "`{value}`: {:?}", outcome.result.err());
        outcome.assert_within(Duration::from_secs(1));
    }
    for (value, wait_ms) in [
        ("86400", Some(86_400_000)),
        ("60.5", Some(60_500)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", None),
    ] {
        let outcome = streamed(json!({}), &says("retry-after", value));
        assert_eq!(outcome.told(), ("rate_limit", 1), "`{value}`");
        let told = outcome.error().retry_after_ms;
        assert!(
            told.is_some_and(|told| wait_ms.is_none_or(|wait| wait == told)),
            "`{value}`: {told:?}"
        );
        assert!(told > Some(60_000), "`{value}`: {told:?}");
    }
    for value in ["1", "0.5"] {
        assert_eq!(
            plain(json!({}), &says("retry-after-ms", value)).told(),
            ("ok", 2),
            "{value} ms"
        );
    }
    let body = json!({"error": {"message": "m", "availability": {"retryable": true, "retry_after": 3600}}});
    let outcome = plain(json!({}), &[Script::reply(503, &[], &body)]);
    assert_eq!(
        (outcome.told(), outcome.error().retry_after_ms),
        (("unavailable", 1), Some(3_600_000))
    );
}

#[test]
fn fault_15_two_waits_in_one_answer_are_survived() {
    for waits in [["0", "86400"], ["86400", "0"], ["0", "0"]] {
        let headers = waits.map(|wait| ("retry-after", wait));
        let body = json!({"error": {"code": 429, "message": "slow down"}});
        let outcome = streamed(json!({}), &[Script::reply(429, &headers, &body), Script::answer("now")]);
        let (code, n_requests) = outcome.told();
        assert!(
            ["ok", "rate_limit"].contains(&code) && n_requests <= 2,
            "{waits:?}: {code} after {n_requests}"
        );
    }
}

#[test]
fn fault_15_a_wait_is_kept_to_and_no_request_comes_before_its_end() {
    let body = json!({"error": {"code": 429, "message": "slow down"}});
    let scripts = [
        Script::reply(429, &[("retry-after-ms", "300")], &body),
        Script::answer("now"),
    ];
    for outcome in both(&json!({}), &scripts) {
        assert_eq!(outcome.told(), ("ok", 2));
        let waited = outcome.requests[1].at - outcome.requests[0].at;
        assert!(waited >= Duration::from_millis(300), "{waited:?}");
    }
}

#[test]
fn fault_13_a_wait_until_a_time_that_has_passed_is_none_and_one_until_a_far_time_is_returned() {
    let until = |date: &str| {
        let body = json!({"error": {"code": 503, "message": "later"}});
        [
            Script::reply(503, &[("retry-after", date)], &body),
            Script::answer("now"),
        ]
    };
    let past = plain(json!({}), &until("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(past.told(), ("ok", 2));
    let far = plain(json!({}), &until("Tue, 01 Jan 2999 00:00:00 GMT"));
    assert_eq!(far.told(), ("unavailable", 1));
    assert!(far.error().retry_after_ms > Some(60_000), "{:?}", far.error());
}

#[test]
fn fault_18_a_page_of_somebody_in_between_is_told_by_status_title_and_ray() {
    let filler = "x".repeat(200 << 10);
    let page = format!("<!DOCTYPE html><html><head><title>502: Bad gateway</title></head><body>{filler}</body></html>");
    let reply = |status: u16, kind: &str, body: &str| {
        let length = body.len().to_string();
        let headers = [
            ("content-type", kind),
            ("content-length", &length),
            ("cf-ray", "8f00ba4-FRA"),
        ];
        Script::new().send([head(status, &headers), body.as_bytes().to_vec()].concat())
    };
    for (status, kind) in [(502, "unavailable"), (403, "forbidden"), (530, "unavailable")] {
        for outcome in both(&once(), &[reply(status, "text/html; charset=UTF-8", &page)]) {
            assert_eq!(outcome.told(), (kind, 1));
            let error = outcome.error();
            assert!(error.message.contains("502: Bad gateway"), "{error}");
            assert!(error.message.contains("8f00ba4-FRA"), "{error}");
            assert_eq!(error.details.status, Some(status));
            assert!(
                format!("{error:?}").len() < 4 << 10,
                "{} bytes",
                format!("{error:?}").len()
            );
        }
    }
    for (kind, body) in [
        ("text/plain", "upstream connect error"),
        ("text/html", ""),
        ("application/json", "{"),
    ] {
        let outcome = plain(once(), &[reply(503, kind, body)]);
        assert_eq!(
            (outcome.told(), outcome.error().details.status),
            (("unavailable", 1), Some(503))
        );
    }
}

#[test]
fn fault_19_an_error_with_status_200_is_an_error() {
    let with_code = |code: Value| json!({"error": {"code": code, "message": "no"}});
    for (code, kind) in [
        (json!(401), "auth"),
        (json!("402"), "payment"),
        (json!(404), "not_found"),
    ] {
        let outcome = plain(json!({}), &[Script::reply(200, &[], &with_code(code.clone()))]);
        assert_eq!(outcome.told(), (kind, 1), "{code}");
        let event = format!("data: {}\n\n", with_code(code.clone()));
        let outcome = streamed(json!({}), &[Script::stream(&[event.as_str(), DONE])]);
        assert_eq!(outcome.told(), (kind, 1), "{code}");
    }
}

#[test]
fn fault_19_an_error_that_may_pass_is_tried_again_also_with_status_200() {
    let error = json!({"error": {"code": 503, "message": "no", "availability": {"retry_after": 0.001}}});
    let outcome = plain(json!({}), &[Script::reply(200, &[], &error), Script::answer("now")]);
    assert_eq!(outcome.told(), ("ok", 2), "{:?}", outcome.result.err());
    let event = format!("data: {error}\n\n");
    let first = Script::stream(&[": OPENROUTER PROCESSING\n\n", event.as_str(), DONE]);
    let outcome = streamed(json!({}), &[first, Script::answer("now")]);
    assert_eq!(outcome.told(), ("ok", 2), "{:?}", outcome.result.err());
}

#[test]
fn fault_20_an_answer_of_the_other_kind_is_read_all_the_same() {
    let whole = Script::reply(200, &[], &tests::faultd::whole_answer("in one piece"));
    let outcome = streamed(json!({}), &[whole]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "in one piece"));
    let events = [
        text_event("in "),
        text_event("pieces"),
        finish_event("stop"),
        DONE.to_owned(),
    ];
    let outcome = plain(json!({}), &[Script::stream(&events)]);
    assert_eq!((outcome.told(), outcome.text()), (("ok", 1), "in pieces"));
}

#[test]
fn fault_20_an_answer_without_or_with_a_wrong_content_type_is_told_by_how_it_begins() {
    let whole = tests::faultd::whole_answer("in one piece").to_string();
    let events = text_event("in ") + &text_event("pieces") + &finish_event("stop") + DONE;
    for kind in [None, Some("text/plain"), Some("application/octet-stream")] {
        let kind: Vec<(&str, &str)> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
        for (body, text) in [(&whole, "in one piece"), (&events, "in pieces")] {
            let headers = [&kind[..], &[("transfer-encoding", "chunked")]].concat();
            let reply = [head(200, &headers), chunk(body), LAST_CHUNK.into()].concat();
            for outcome in both(&json!({}), &[Script::new().send(reply)]) {
                assert_eq!(outcome.told(), ("ok", 1), "{kind:?} {text}: {:?}", outcome.result.err());
                assert_eq!(outcome.text(), text);
            }
        }
    }
    // Even where the type says the opposite of what comes.
    let reply = [sse_head(), chunk(&whole), LAST_CHUNK.into()].concat();
    let outcome = streamed(json!({}), &[Script::new().send(reply)]);
    assert_eq!(outcome.told().1, 1);
}

#[test]
fn fault_20_an_answer_that_is_neither_is_a_breach_of_the_protocol() {
    for body in [
        "<html><title>Welcome to the hotel's network</title></html>",
        "ok",
        "[]",
        "null",
        "",
    ] {
        let length = body.len().to_string();
        let headers = [("content-type", "text/html"), ("content-length", &length)];
        let reply = [head(200, &headers), body.as_bytes().to_vec()].concat();
        for outcome in both(&once(), &[Script::new().send(reply)]) {
            let (code, n_requests) = outcome.told();
            assert!(
                ["protocol", "interrupted"].contains(&code),
                "`{body}`: {:?}",
                outcome.result.err()
            );
            // Nothing at all may count as an answer of nothing, which is asked for once more.
            assert!(n_requests <= 2, "`{body}`: {n_requests}");
        }
    }
}

#[test]
fn fault_21_a_redirect_to_the_service_itself_is_not_followed() {
    for status in [301, 302, 303, 307, 308] {
        let reply = head(
            status,
            &[("location", "/api/v1/chat/completions"), ("content-length", "0")],
        );
        for outcome in both(&json!({}), &[Script::new().send(reply)]) {
            assert_eq!(outcome.told(), ("protocol", 1), "{status}");
        }
    }
}
