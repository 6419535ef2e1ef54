//! What is asked twice, and what never is: a question may be, an order of unknown fate may not.

use plugin_api::{Error, ErrorKind, HttpAnswer, HttpRequest};
use sandbox::Sandbox;
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script};
use tests::{Service, service_from};

use crate::bench::{chat, codes, good, json_of, plugin, plugin_of, post, raw, raw_stream, requests_to};

const MODEL: &str = "acme/model";

/// A service whose records of generations come late, by so many asks; with the id of one.
fn late(n_asks: u32) -> (Service, String) {
    let service = service_from(Sandbox::builder().key(CANARY).late_generations(n_asks));
    service.script(MODEL, sandbox::Script::text("yes"));
    let answer = good(&plugin(&service, json!({})), chat(MODEL));
    let id = json_of(&answer)["id"].as_str().expect("an id").to_owned();
    (service, id)
}

#[test]
fn the_record_of_a_generation_is_asked_for_until_it_is_there() {
    let (service, id) = late(2);
    let answer = good(
        &plugin(&service, json!({})),
        HttpRequest::new("GET", format!("/generation?id={id}")),
    );
    assert_eq!(json_of(&answer)["data"]["id"], id);
    assert_eq!(requests_to(&service, "/generation").len(), 3);
    assert_eq!(codes(&answer.notices), ["retry"; 2]);
}

#[test]
fn a_record_that_does_not_come_is_not_found() {
    let (service, id) = late(100);
    let error = raw(
        &plugin(&service, json!({})),
        HttpRequest::new("GET", format!("/generation?id={id}")),
    )
    .expect_err("it does not come");
    assert_eq!(error.kind, ErrorKind::NOT_FOUND);
    let answer = error.details.answer.expect("the service's own answer");
    assert_eq!(answer.status, 404);
    assert!(answer.body.contains(&id), "{}", answer.body);
    assert_eq!(
        requests_to(&service, "/generation").len(),
        3,
        "as often as the profile allows"
    );
}

#[test]
fn what_else_is_not_found_is_asked_for_once() {
    let (service, _) = late(0);
    raw(
        &plugin(&service, json!({})),
        HttpRequest::new("GET", "/models/acme/none"),
    )
    .expect_err("there is none");
    assert_eq!(requests_to(&service, "/models/acme/none").len(), 1);
}

/// A service that takes the first request, and ends the connection instead of an answer; the second one it answers.
fn leaving() -> Faultd {
    Faultd::answering(|request| match request.number {
        0 => Script::new().close(),
        _ => Script::answer("yes"),
    })
}

fn asked(request: HttpRequest, options: Value) -> (Result<HttpAnswer, Error>, usize) {
    let service = leaving();
    let answer = raw(&plugin_of(&service, options), request);
    (answer, service.requests().len())
}

#[test]
fn an_order_of_unknown_fate_is_not_given_twice() {
    let json = json!({"model": MODEL, "input": "x", "prompt": "x"});
    let mut orders: Vec<HttpRequest> = [
        "/completions",
        "/responses",
        "/messages",
        "/embeddings",
        "/rerank",
        "/audio/speech",
        "/keys",
    ]
    .map(|path| post(path, &json))
    .into();
    orders.push(chat(MODEL));
    orders.extend(["PUT", "PATCH", "DELETE"].map(|method| HttpRequest::new(method, "/keys/1")));
    for order in orders {
        let what = format!("{} {}", order.method, order.path);
        let (answer, n_requests) = asked(order, json!({}));
        let error = answer.expect_err("nobody knows what became of it");
        assert_eq!(n_requests, 1, "{what}");
        assert_eq!(error.kind, ErrorKind::CONNECT, "{what}: {error}");
        assert_eq!(error.details.answer, None, "{what}");
    }
}

#[test]
fn a_question_of_unknown_fate_is_asked_again() {
    let (answer, n_requests) = asked(HttpRequest::new("GET", "/models"), json!({}));
    assert_eq!((answer.expect("an answer").head.status, n_requests), (200, 2));
}

#[test]
fn a_question_whose_answer_breaks_off_is_asked_again() {
    let service = Faultd::answering(|request| match request.number {
        0 => Script::new()
            .send(tests::faultd::head(
                200,
                &[("content-type", "application/json"), ("content-length", "100")],
            ))
            .send("{\"data\":")
            .close(),
        _ => Script::reply(200, &[], &json!({"data": []})),
    });
    let answer = good(&plugin_of(&service, json!({})), HttpRequest::new("GET", "/models"));
    assert_eq!(json_of(&answer), json!({"data": []}));
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn an_order_is_given_twice_where_the_profile_says_so() {
    let (answer, n_requests) = asked(chat(MODEL), json!({"retry": {"ambiguous": true}}));
    assert_eq!((answer.expect("an answer").head.status, n_requests), (200, 2));
}

#[test]
fn a_stream_of_unknown_fate_is_asked_for_once_more_because_the_first_is_cancelled() {
    let service = leaving();
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(came.error, None);
    assert_eq!(service.requests().len(), 2);
    assert_eq!(codes(&came.reply().notices), ["retry"]);
}

#[test]
fn an_order_that_was_refused_for_now_is_given_again_in_every_form() {
    for request in [
        post("/keys", &json!({})),
        post("/audio/speech", &json!({"input": "x"})),
        chat(MODEL),
    ] {
        let service = Faultd::answering(|request| match request.number {
            0 => Script::reply(
                429,
                &[("retry-after", "0")],
                &json!({"error": {"code": 429, "message": "slower"}}),
            ),
            _ => Script::answer("yes"),
        });
        good(&plugin_of(&service, json!({})), request);
        assert_eq!(service.requests().len(), 2);
    }
}
