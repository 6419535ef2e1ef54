//! What the endpoint's own headers say of an answer, and what the request log says of a request.

use serde_json::json;
use tests::endpoint::{Endpoint, Serve};

use crate::bench::{CHAT, sent};

#[test]
fn notices_and_hints_stand_beside_the_services_own_words() {
    let endpoint = Endpoint::start();
    let (answer, _) = sent(&endpoint, &json!({"temperature": 2.5}));
    assert_eq!(answer.header("x-notices"), Some("out_of_range"));
    let (answer, _) = sent(&endpoint, &json!({}));
    assert_eq!(answer.header("x-notices"), None);
    endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    let answer = endpoint.chat("openai/gpt-4o-mimi", "Hello");
    assert!([400, 404].contains(&answer.status), "{}", answer.status);
    assert!(answer.header("x-hint").is_some(), "{}", answer.text());
    assert_eq!(answer.header("x-attempts"), Some("1"));
}

#[test]
fn every_request_has_an_id_that_the_log_repeats() {
    let endpoint = Serve::new().arguments(&["--request-log"]).start();
    let answers = [
        endpoint.chat("sandbox/hello", "Hello").expect(200),
        endpoint.chat("sandbox/status-404", "Hello").expect(404),
        endpoint
            .answer(&endpoint.get("/v1/key").without("authorization"))
            .expect(401),
    ];
    let mut ids: Vec<&str> = answers
        .iter()
        .map(|answer| answer.header("x-request-id").expect("an id"))
        .collect();
    for id in &ids {
        endpoint.wait_for_stderr(&format!("id={id}"), 1);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), answers.len());
    endpoint.wait_for_stderr("model=sandbox/status-404 error=not_found", 1);
}

#[test]
fn neither_counters_nor_the_request_log_hold_prompts_or_answers() {
    let mut endpoint = Serve::new()
        .arguments(&["--request-log"])
        .without("RUST_LOG")
        .without("AGENT_HOST_LOG_FILE")
        .start();
    let question = "a-secret-question";
    let answer = endpoint.chat("sandbox/echo", question).expect(200);
    assert!(answer.content().contains(question));
    endpoint.answer(&endpoint.get("/v1/generation?id=a-secret-id"));
    let metrics = endpoint.answer(&endpoint.get("/metrics")).text();
    assert!(!metrics.contains("a-secret"), "{metrics}");
    let ran = endpoint.stop();
    assert!(ran.stderr.contains(CHAT), "{}", ran.stderr);
    assert!(!ran.stderr.contains(question), "{}", ran.stderr);
    // Warnings repeat the service's own words about a failure.
    let mut lines = ran.stderr.lines().filter(|line| !line.contains(" WARN "));
    assert!(lines.all(|line| !line.contains("a-secret")), "{}", ran.stderr);
}
