//! What the endpoint's own headers say of an answer, and what the request log says of a request.

use sandbox::{Sandbox, Script};
use serde_json::json;
use tests::canary::CANARY;
use tests::endpoint::{Endpoint, Serve};
use tests::faultd::{DONE, Faultd, Script as Raw};
use tests::service_from;

use crate::bench::{CHAT, sent, streaming};

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
fn row_22_a_header_names_the_models_that_were_passed_over_and_why() {
    let models = ["down/1", "down/2", "down/3", "down/4", "sandbox/hello"];
    let serve = |chain: &[&str]| {
        let options = json!({"model": chain[0], "fallbackModels": chain[1..], "retry": {"attempts": 1}});
        let down = |builder: sandbox::Builder, n: usize| builder.script(format!("down/{n}"), Script::status(503));
        let builder = (1..=4).fold(Sandbox::builder().key(CANARY), down);
        Serve::before(service_from(builder)).profile(&options).start()
    };
    let body = json!({"messages": [{"role": "user", "content": "Hello"}]});
    // The service itself goes on to the next model of one request, and says why only to those who ask.
    let endpoint = serve(&models[2..]);
    let (known, unknown) = ("down/3 (503 unavailable), down/4 (503 unavailable)", "down/3, down/4");
    for (body, metadata, expected) in [
        (body.clone(), "enabled", known),
        (body.clone(), "disabled", unknown),
        // A stream has its reasons only at the end.
        (streaming(body.clone()), "enabled", unknown),
    ] {
        let request = endpoint.post(CHAT, &body).header("x-openrouter-metadata", metadata);
        let answer = endpoint.answer(&request).expect(200);
        assert_eq!(answer.header("x-fallback"), Some(expected), "{body}");
    }
    // A second request is sent after the first four models.
    let endpoint = serve(&models);
    for body in [body.clone(), streaming(body)] {
        let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
        let named = answer.header("x-fallback").unwrap_or_default();
        assert!(named.starts_with("down/1 (503 unavailable), down/2"), "{named}");
        assert!(models[..4].iter().all(|model| named.contains(model)), "{named}");
    }
    assert_eq!(endpoint.chat("sandbox/hello", "Hello").header("x-fallback"), None);
}

#[test]
fn a_missing_ability_is_named_each_time_whichever_list_is_at_hand() {
    let tools = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}});
    let picture = json!([{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]);
    let lacking = |endpoint: &Endpoint| {
        let asked = [
            (
                "tools, json_schema",
                json!({"model": "google/gemma-3-4b-it", "tools": tools, "response_format": schema}),
            ),
            ("image_input", json!({"model": "openai/gpt-4", "messages": picture})),
        ];
        for (expected, members) in asked.iter().flat_map(|asked| [asked, asked]) {
            let (answer, _) = sent(endpoint, members);
            assert_eq!(answer.header("x-lacks"), Some(*expected), "{}", answer.text());
            assert_eq!(answer.header("x-notices"), Some("capability"));
        }
        assert_eq!(sent(endpoint, &json!({})).0.header("x-lacks"), None);
    };
    let serve = Serve::new();
    let folder = serve.home().path().join("lists");
    let mut first = serve.profile(&json!({"caches": {"folder": folder}})).start();
    first.answer(&first.get("/v1/models")).expect(200);
    lacking(&first);
    first.stop();
    // Another process finds the list on the disk.
    lacking(&Serve::again(&first).start());
}

#[test]
fn a_key_that_the_service_repeats_reaches_no_client() {
    let chunk = json!({"id": CANARY, "model": CANARY, "provider": CANARY,
        "choices": [{"index": 0, "delta": {"content": "yes"}, "finish_reason": "stop"}]});
    let event = format!(": {CANARY}\n\nid: {CANARY}\nevent: {CANARY}\ndata: {chunk}\n\n");
    let service = Faultd::playing([Raw::stream(&[event.as_str(), DONE])]);
    let endpoint = Serve::new().asking(&service).start();
    let body = json!({"model": "acme/model", "messages": [{"role": "user", "content": "Hello"}]});
    let answer = endpoint.answer(&endpoint.post(CHAT, &streaming(body))).expect(200);
    for name in ["x-served-model", "x-served-provider", "x-generation-id"] {
        assert_eq!(answer.header(name), Some("[key]"), "{name}");
    }
    let text = answer.text();
    assert!(!text.contains(CANARY), "{text}");
    assert!(text.contains("id: [key]\nevent: [key]\n"), "{text}");
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
