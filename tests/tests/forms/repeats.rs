//! What is asked twice and what never is: a question may be, an order of unknown fate may not.

use plugin_api::{Error, ErrorKind, HttpAnswer, HttpRequest};
use sandbox::Sandbox;
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script, head, whole_answer};
use tests::service_from;

use crate::bench::{
    MODEL, chat, codes, get, good, json_of, plugin, plugin_of, post, raw, raw_stream, requests_to, with, writing_forms,
};

#[test]
fn only_the_record_of_a_generation_is_asked_for_until_it_exists() {
    for n_late in [2, 100] {
        let service = service_from(Sandbox::builder().key(CANARY).late_generations(n_late));
        let plugin = plugin(&service, json!({}));
        let id = json_of(&good(&plugin, chat("openai/gpt-4o")))["id"].clone();
        let id = id.as_str().expect("an id");
        let record = raw(&plugin, get(&format!("/generation?id={id}")));
        assert_eq!(requests_to(&service, "/generation").len(), 3, "{n_late}");
        match record {
            Ok(answer) => {
                assert_eq!((n_late, &json_of(&answer)["data"]["id"]), (2, &json!(id)));
                assert_eq!(codes(&answer.notices), ["retry"; 2]);
            }
            Err(error) => {
                assert_eq!((n_late, error.kind), (100, ErrorKind::NOT_FOUND));
                let answer = error.details.answer.expect("the service's own answer");
                assert!(answer.status == 404 && answer.body.contains(id), "{}", answer.body);
            }
        }
        raw(&plugin, get("/models/acme/none")).expect_err("there is none");
        assert_eq!(requests_to(&service, "/models/acme/none").len(), 1);
    }
}

/// A request whose first answer is this one; the second is good. Returns how many were asked for.
fn asked(first: &Script, request: HttpRequest, options: Value) -> (Result<HttpAnswer, Error>, usize) {
    let service = Faultd::playing([first.clone(), Script::answer("yes")]);
    let answer = raw(&plugin_of(&service, options), request);
    (answer, service.requests().len())
}

/// Takes a request and ends the connection.
fn close() -> Script {
    Script::new().close()
}

#[test]
fn an_order_of_unknown_fate_is_not_given_twice() {
    let body = json!({"model": MODEL, "input": "x", "prompt": "x"});
    let paths = [
        "/completions",
        "/responses",
        "/messages",
        "/embeddings",
        "/rerank",
        "/audio/speech",
        "/keys",
    ];
    let posts = paths.map(|path| post(path, &body)).into_iter().chain([chat(MODEL)]);
    let others = ["PUT", "PATCH", "DELETE"].map(|method| HttpRequest::new(method, "/keys/1"));
    for order in posts.chain(others) {
        let what = format!("{} {}", order.method, order.path);
        let (answer, n_requests) = asked(&close(), order, json!({}));
        let error = answer.expect_err("nobody knows what became of it");
        assert_eq!((error.kind, n_requests), (ErrorKind::CONNECT, 1), "{what}: {error}");
        assert_eq!(error.details.answer, None, "{what}");
    }
}

#[test]
fn a_question_or_a_repeatable_order_is_asked_twice() {
    let headers = [("content-type", "application/json"), ("content-length", "100")];
    let breaks_off = Script::new().send(head(200, &headers)).send("{\"data\":").close();
    for (name, first, request, options) in [
        ("a question", close(), get("/models"), json!({})),
        (
            "a question whose answer breaks off",
            breaks_off,
            get("/models"),
            json!({}),
        ),
        (
            "a profile that allows it",
            close(),
            chat(MODEL),
            json!({"retry": {"ambiguous": true}}),
        ),
    ] {
        let (answer, n_requests) = asked(&first, request, options);
        assert_eq!((answer.expect(name).head.status, n_requests), (200, 2), "{name}");
    }
}

#[test]
fn a_stream_of_unknown_fate_is_asked_for_once_more() {
    // Closing its connection cancels the first one.
    let service = Faultd::playing([close(), Script::answer("yes")]);
    let came = raw_stream(&plugin_of(&service, json!({})), chat(MODEL));
    assert_eq!(codes(&came.reply().notices), ["retry"]);
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn what_was_refused_for_now_is_retried_in_every_form() {
    let busy = json!({"error": {"code": 429, "message": "slower"}});
    let busy = Script::reply(429, &[("retry-after", "0")], &busy);
    let embeddings = post("/embeddings", &json!({"model": MODEL, "input": "x"}));
    let others = [
        post("/keys", &json!({})),
        post("/audio/speech", &json!({"input": "x"})),
        embeddings,
    ];
    for request in writing_forms().into_iter().chain(others) {
        let path = request.path.clone();
        let ok = with(whole_answer("yes"), &json!({"status": "completed", "data": []}));
        let service = Faultd::playing([busy.clone(), Script::reply(200, &[], &ok)]);
        let answer = good(&plugin_of(&service, json!({})), request);
        assert_eq!(
            (codes(&answer.notices), json_of(&answer)),
            (vec!["retry"], ok),
            "{path}"
        );
        assert_eq!((service.requests().len(), answer.done.attempts.len()), (2, 2), "{path}");
    }
}
