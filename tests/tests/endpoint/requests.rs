//! Requests on their way to the service: which model they ask, what is translated, what the profile adds.
//!
//! What passes untouched is in `tests/forms/requests.rs`.
//!
//! `row_…` tests are named after the rows of `tests/features.md`.

use sandbox::{Failure, Script};
use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Serve, chat_body};
use tests::service;

use crate::bench::{CHAT, Twins, chat_with, n_asked, sent, streaming};

/// A tool in the form of chat.
fn tool() -> Value {
    json!({"type": "function", "function": {
        "name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    }})
}

#[test]
fn row_13_an_ambiguous_name_is_refused_with_every_candidate() {
    let endpoint = Endpoint::start();
    let entry = endpoint.answer(&endpoint.get("/v1/models/openai/gpt-4o"));
    let mut entry = entry.expect(200).json();
    for id in ["acme/twin", "other/twin"] {
        entry["id"] = json!(id);
        entry["canonical_slug"] = json!(id);
        endpoint.service.model(entry.clone());
    }
    endpoint.answer(&endpoint.get("/v1/models?force=true")).expect(200);
    let refused = endpoint.chat("twin", "Hello").expect(400).text();
    for id in ["`acme/twin`", "`other/twin`"] {
        assert!(refused.contains(id), "{id} is missing: {refused}");
    }
    assert_eq!(n_asked(&endpoint.service, "/api/v1/chat/completions"), 0);
}

#[test]
fn row_14_auto_means_the_auto_router_and_the_answer_names_the_model() {
    let endpoint = Serve::new().profile(&json!({"model": "openrouter/auto"})).start();
    for model in ["", "auto", "openrouter/auto"] {
        let (answer, body) = sent(&endpoint, &json!({"model": model}));
        let answer = answer.expect(200);
        assert_eq!(body["model"], "openrouter/auto", "{model}");
        assert_eq!(answer.header("x-served-model"), Some("openai/gpt-4o-mini"), "{model}");
        assert_eq!(answer.json()["model"], "openai/gpt-4o-mini", "{model}");
    }
}

#[test]
fn row_22_a_fallback_shows_in_headers_and_in_the_services_metadata() {
    let options = json!({"model": "sandbox/status-503", "fallbackModels": ["sandbox/hello"], "retry": {"attempts": 1}});
    let endpoint = Serve::new().profile(&options).start();
    for stream in [false, true] {
        let body = json!({"messages": [{"role": "user", "content": "Hello"}], "stream": stream});
        let request = endpoint.post(CHAT, &body).header("x-openrouter-metadata", "enabled");
        let answer = endpoint.answer(&request).expect(200);
        assert_eq!(answer.header("x-served-model"), Some("sandbox/hello"));
        assert!(answer.text().contains("\"openrouter_metadata\""), "{}", answer.text());
    }
    let asked = &endpoint.service.requests()[0];
    let header = ("x-openrouter-metadata".to_owned(), "enabled".to_owned());
    assert!(asked.headers.contains(&header), "{:?}", asked.headers);
    assert_eq!(asked.body["models"], json!(["sandbox/hello"]));
}

#[test]
fn row_22_a_chain_longer_than_one_request_counts_its_attempts() {
    let down: Vec<String> = (0..5).map(|n| format!("acme/down-{n}")).collect();
    let service = service();
    for model in &down {
        service.script(model.as_str(), Script::fail(Failure::status(503)));
    }
    let mut chain = down[1..].to_vec();
    chain.push("sandbox/hello".to_owned());
    let options = json!({"model": down[0], "fallbackModels": chain, "retry": {"attempts": 1}});
    let endpoint = Serve::before(service).profile(&options).start();
    let body = json!({"messages": [{"role": "user", "content": "Hello"}]});
    let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    assert_eq!(answer.header("x-served-model"), Some("sandbox/hello"));
    assert_eq!(answer.header("x-attempts"), Some("2"), "two requests for six models");
    assert_eq!(endpoint.metric("agent_host_fallbacks_total"), 1.0);
}

#[test]
fn row_29_x_provider_becomes_part_of_the_body_and_must_be_json() {
    let endpoint = Endpoint::start();
    let members = json!({"model": "openai/gpt-4o", "provider": {"allow_fallbacks": false}});
    let request = endpoint.post(CHAT, &chat_with(&members));
    let good = request.clone().header("x-provider", r#"{"sort": "price"}"#);
    let answer = endpoint.answer(&good).expect(200);
    assert_eq!(answer.header("x-translated"), Some("x-provider"));
    let asked = endpoint.service.requests();
    let provider = json!({"sort": "price", "allow_fallbacks": false});
    assert_eq!(asked[0].body["provider"], provider);
    assert!(asked[0].headers.iter().all(|(name, _)| name != "x-provider"));
    for bad in ["{sort: price}", "[]", "order=openai"] {
        let answer = endpoint.answer(&request.clone().header("x-provider", bad));
        let error = answer.expect(400).json()["error"].clone();
        assert_eq!(error["type"], "invalid_request");
        assert!(error["message"].to_string().contains("X-Provider"), "{error}");
    }
    assert_eq!(endpoint.service.requests().len(), asked.len());
}

/// A tool call, streamed and whole, and the turn that sends its result back, all exactly as from the service itself.
///
/// - Out: the message with the tool call.
#[track_caller]
fn both_turns(model: &str) -> Value {
    let twins = Twins::new();
    let mut body = chat_body(model, "Weather?");
    body["tools"] = json!([tool()]);
    twins.same(CHAT, &streaming(body.clone())).expect(200);
    let first = twins.same(CHAT, &body).expect(200).json();
    let choice = &first["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    let call = &choice["message"]["tool_calls"][0];
    body["messages"] = json!([
        body["messages"][0], choice["message"],
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"},
    ]);
    let second = twins.same(CHAT, &body).expect(200).content();
    assert!(second.contains("sunny"), "{second}");
    choice["message"].clone()
}

#[test]
fn row_45_tool_calls_and_their_results_pass_unchanged() {
    both_turns("sandbox/tools");
}

#[test]
fn row_46_reasoning_arrives_whole_and_goes_back_with_the_next_turn() {
    // The model refuses the second turn unless its reasoning comes back.
    let message = both_turns("sandbox/reasoning-tools");
    assert!(message["reasoning"].is_string(), "{message}");
    assert!(message["reasoning_details"].is_array(), "{message}");
}

#[test]
fn row_49_the_profile_fills_in_what_a_request_leaves_open() {
    let endpoint = Serve::new()
        .profile(&json!({"parameters": {"temperature": 0.25, "max_tokens": 77}}))
        .start();
    let (_, body) = sent(&endpoint, &json!({"temperature": 0.7}));
    assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0.7), &json!(77)));
    // What the request does say keeps its spelling.
    let text =
        r#"{"model":"sandbox/hello","temperature":1.50,"top_p":1e-1,"messages":[{"role":"user","content":"\u00fc"}]}"#;
    endpoint.answer(&endpoint.post(CHAT, &json!({})).body(text)).expect(200);
    let asked = endpoint.service.requests();
    let sent = &asked.last().expect("a request").body_text;
    for piece in [
        "\"temperature\":1.50",
        "\"top_p\":1e-1",
        r#"[{"role":"user","content":"\u00fc"}]"#,
    ] {
        assert!(sent.contains(piece), "{piece}: {sent}");
    }
}
