//! Answers that are errors, or that look like the wrong kind of answer: what is retried, after which wait, and what the
//! error says. The whole tables of statuses and waits are tested in `plugin-openrouter`; here is one row of each kind.

use std::time::Duration;

use serde_json::{Value, json};
use tests::faultd::{DONE, LAST_CHUNK, Script, chunk, finish_event, head, reply, text_event, whole_answer};

use crate::call::{both, once, streamed};

/// The shortest wait that a service can ask for, so that retries take no time.
const AT_ONCE: (&str, &str) = ("retry-after-ms", "1");

fn refusal(status: u16) -> Script {
    let body = json!({"error": {"code": status, "message": "not now"}});
    Script::reply(status, &[AT_ONCE], &body)
}

fn refusal_with(header: (&str, &str)) -> Script {
    let body = json!({"error": {"code": 429, "message": "slow down"}});
    Script::reply(429, &[header], &body)
}

#[test]
fn fault_14_a_mistake_of_the_caller_is_not_retried() {
    for outcome in both(&json!({}), &[refusal(400)]) {
        let error = outcome.expect("invalid_request", 1).error();
        assert_eq!((error.details.status, error.is_retryable()), (Some(400), false));
        assert!(error.hint().is_some(), "{error:?}");
    }
}

#[test]
fn fault_17_a_refusal_for_now_is_retried_unless_the_service_forbids_it() {
    let says = |status: u16, retryable: bool| {
        let availability = json!({"retryable": retryable, "retry_after": 0.001});
        let body = json!({"error": {"message": "m", "availability": availability}});
        Script::reply(status, &[], &body)
    };
    let answer = || Script::answer("now");
    for (scripts, code, n_requests) in [
        (vec![refusal(429), answer()], "ok", 2),
        (vec![refusal(524), answer()], "ok", 2),
        (vec![refusal(503)], "unavailable", 3),
        (vec![refusal(500)], "unavailable", 2),
        (vec![says(503, false)], "unavailable", 1),
        (vec![says(404, true), answer()], "ok", 2),
    ] {
        for outcome in both(&json!({}), &scripts) {
            outcome.expect(code, n_requests);
            let attempts = match &outcome.result {
                Ok(reply) => &reply.done.attempts,
                Err(error) => &error.details.attempts,
            };
            // A call with one attempt lists none.
            let n_attempts = if n_requests > 1 { n_requests } else { 0 };
            assert_eq!(attempts.len(), n_attempts, "{attempts:?}");
        }
    }
}

#[test]
fn fault_15_a_short_wait_is_kept_and_a_long_one_is_returned() {
    let scripts = [refusal_with(("retry-after-ms", "300")), Script::answer("now")];
    for outcome in both(&json!({}), &scripts) {
        outcome.expect("ok", 2);
        let waited = outcome.requests[1].at - outcome.requests[0].at;
        assert!(waited >= Duration::from_millis(300), "{waited:?}");
    }
    // If nonsense were read as a wait of more than a second, the call would end with it.
    let at_most_a_second = json!({"retry": {"maxWaitMs": 1_000}});
    let nonsense = [refusal_with(("retry-after", "-5")), Script::answer("now")];
    streamed(at_most_a_second, &nonsense).expect("ok", 2);
    let outcome = streamed(json!({}), &[refusal_with(("retry-after", "86400"))]);
    assert_eq!(outcome.expect("rate_limit", 1).error().retry_after_ms, Some(86_400_000));
}

#[test]
fn the_end_of_a_limit_is_known_in_every_form() {
    let error = |metadata: Value| json!({"error": {"code": 429, "message": "later", "metadata": metadata}});
    let inside = json!({"headers": {"X-RateLimit-Reset": "4102444800000"}});
    let event = format!("data: {}\n\n", error(inside.clone()));
    for (what, script) in [
        (
            "seconds",
            Script::reply(429, &[("x-ratelimit-reset", "4102444800")], &error(json!({}))),
        ),
        ("metadata", Script::reply(429, &[], &error(inside.clone()))),
        ("a 200", Script::reply(200, &[], &error(inside))),
        ("an event", Script::stream(&[event])),
        (
            "a number",
            Script::reply(200, &[], &error(json!({"retry_after_seconds": 86_400}))),
        ),
    ] {
        for outcome in both(&json!({}), &[script]) {
            let error = outcome.expect("rate_limit", 1).error();
            assert_eq!(error.retry_after_ms, Some(86_400_000), "{what}");
        }
    }
}

#[test]
fn credit_set_aside_for_other_requests_is_waited_for() {
    let metadata = json!({"reason": "in_flight_budget_exhausted", "limit_source": "openrouter_in_flight_budget"});
    let body = json!({"error": {"code": 402, "message": "too many at once", "metadata": metadata}});
    for outcome in both(
        &json!({}),
        &[Script::reply(402, &[AT_ONCE], &body), Script::answer("now")],
    ) {
        outcome.expect("ok", 2);
    }
}

#[test]
fn fault_18_a_page_from_a_proxy_is_reported_by_status_title_and_ray() {
    let filler = "x".repeat(200 << 10);
    let page = format!("<!DOCTYPE html><html><head><title>502: Bad gateway</title></head><body>{filler}</body></html>");
    let reply = reply(502, "text/html; charset=UTF-8", &[("cf-ray", "8f00ba4-FRA")], &page);
    for outcome in both(&once(), &[Script::new().send(reply)]) {
        let error = outcome.expect("unavailable", 1).error();
        assert!(error.message.contains("502: Bad gateway"), "{error}");
        assert!(error.message.contains("8f00ba4-FRA"), "{error}");
        assert_eq!(error.details.status, Some(502));
        let printed_bytes = format!("{error:?}").len();
        assert!(printed_bytes < 4 << 10, "{printed_bytes} bytes");
    }
}

#[test]
fn fault_20_a_stream_and_a_document_are_told_apart_by_their_first_bytes() {
    let document = whole_answer("in one piece").to_string();
    let events = text_event("in ") + &text_event("pieces") + &finish_event("stop") + DONE;
    for (body, text) in [(&document, "in one piece"), (&events, "in pieces")] {
        // No type, a wrong one, and the opposite of what was asked for.
        for kind in [
            None,
            Some("text/plain"),
            Some("application/json"),
            Some("text/event-stream"),
        ] {
            let kind: Vec<(&str, &str)> = kind.map(|kind| ("content-type", kind)).into_iter().collect();
            let headers = [&kind[..], &[("transfer-encoding", "chunked")]].concat();
            let reply = [head(200, &headers), chunk(body), LAST_CHUNK.into()].concat();
            for outcome in both(&once(), &[Script::new().send(reply)]) {
                assert_eq!(outcome.expect("ok", 1).text(), text, "{kind:?}");
            }
        }
    }
}

#[test]
fn fault_20_an_answer_that_is_neither_is_a_protocol_error() {
    for body in [
        "<html><title>Welcome to the hotel's network</title></html>",
        "ok",
        "null",
        "",
    ] {
        for outcome in both(&once(), &[Script::new().send(reply(200, "text/html", &[], body))]) {
            outcome.expect_one_of(&["protocol", "interrupted"]);
            // Nothing at all may count as an empty answer, which is asked for once more.
            assert!(outcome.requests.len() <= 2, "`{body}`");
        }
    }
}
