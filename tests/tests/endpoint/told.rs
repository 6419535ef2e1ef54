//! What headers tell of a request, beside what the service says: its name, what is doubtful about it, what may help, and what a
//! slip in its path meant.

use serde_json::json;
use tests::endpoint::{Serve, chat_body};

#[test]
fn every_answer_names_its_request_and_the_log_has_the_same_name() {
    let endpoint = Serve::new().arguments(&["--request-log"]).start();
    let answers = [
        endpoint.chat("sandbox/hello", "Hello").expect(200),
        endpoint.chat("sandbox/status-404", "Hello").expect(404),
        endpoint
            .answer(&endpoint.get("/v1/models").without("authorization"))
            .expect(401),
    ];
    let names: Vec<&str> = answers
        .iter()
        .map(|answer| answer.header("x-request-id").expect("a name"))
        .collect();
    assert!(names[0] != names[1] && names[1] != names[2], "{names:?}");
    for name in names {
        endpoint.wait_for_stderr(&format!("id={name}"), 1);
    }
}

#[test]
fn the_log_says_which_model_was_asked_and_why_it_failed() {
    let endpoint = Serve::new().arguments(&["--request-log"]).start();
    endpoint.chat("sandbox/status-404", "Hello").expect(404);
    endpoint.wait_for_stderr("model=sandbox/status-404 error=not_found", 1);
}

#[test]
fn what_is_doubtful_about_a_request_is_told_by_its_words() {
    let endpoint = Serve::new().start();
    let mut body = chat_body("sandbox/hello", "Hello");
    body["temperature"] = json!(2.5);
    let answer = endpoint.answer(&endpoint.post("/v1/chat/completions", &body));
    assert_eq!(answer.header("x-notices"), Some("out_of_range"));
    assert_eq!(endpoint.chat("sandbox/hello", "Hello").header("x-notices"), None);
}

#[test]
fn what_may_help_stands_beside_the_services_own_words() {
    let endpoint = Serve::new().start();
    endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    let answer = endpoint.chat("openai/gpt-4o-mimi", "Hello");
    assert!(answer.status == 400 || answer.status == 404, "{}", answer.status);
    assert!(answer.header("x-hint").is_some(), "{}", answer.text());
    assert_eq!(answer.header("x-attempts"), Some("1"));
}

#[test]
fn a_translation_is_named_where_the_request_fails_too() {
    let endpoint = Serve::new().start();
    let mut body = chat_body("sandbox/status-404", "Hello");
    body["route"] = json!("fallback");
    let answer = endpoint
        .answer(&endpoint.post("/v1/chat/completions", &body))
        .expect(404);
    assert_eq!(answer.header("x-translated"), Some("route"));
}

#[test]
fn a_slash_too_many_in_a_path_is_forgiven() {
    let endpoint = Serve::new().start();
    for target in ["/v1//chat/completions", "/v1/chat/completions/"] {
        let body = chat_body("sandbox/hello", "Hello");
        endpoint.answer(&endpoint.post(target, &body)).expect(200);
    }
}

#[test]
fn a_page_in_the_place_of_an_error_becomes_one_that_clients_can_read() {
    let endpoint = Serve::new().start();
    let answer = endpoint.chat("sandbox/html-502", "Hello").expect(502);
    assert_eq!(answer.json()["error"]["code"], 502);
}
