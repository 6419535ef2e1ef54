//! Several models in one request: in which lists they go to the service, and where no list may go.

use sandbox::{Failure, Sandbox, Script};
use serde_json::{Value, json};

use crate::bench::{chat_body, codes, good, plugin, post, raw, requests_to, told};
use crate::requests::{MODEL, with_model};

#[test]
fn a_chain_goes_to_the_service_in_lists_of_four() {
    let service = with_model();
    for id in ["a/1", "a/2", "a/3", "a/4"] {
        service.script(id, Script::status(503));
    }
    let mut body = chat_body("a/1");
    body["models"] = json!(["a/2", "a/3", "a/4", MODEL]);
    let answer = good(&plugin(&service, json!({})), post("/chat/completions", &body));
    let sent: Vec<(Value, Value)> = requests_to(&service, "/chat/completions")
        .into_iter()
        .map(|request| (request.body["model"].clone(), request.body["models"].clone()))
        .collect();
    assert_eq!(
        sent,
        [
            (json!("a/1"), json!(["a/2", "a/3", "a/4"])),
            (json!(MODEL), Value::Null)
        ]
    );
    assert_eq!(answer.done.model.as_deref(), Some(MODEL));
    assert_eq!(answer.head.status, 200);
    assert!(codes(&answer.notices).contains(&"fallback"), "{:?}", answer.notices);
}

#[test]
fn a_list_without_a_model_begins_with_its_first() {
    let service = with_model();
    service.script("a/1", Script::text("first"));
    let mut body = chat_body("");
    body["models"] = json!(["a/1", MODEL]);
    good(&plugin(&service, json!({})), post("/chat/completions", &body));
    let sent = &requests_to(&service, "/chat/completions")[0].body;
    assert_eq!((&sent["model"], &sent["models"]), (&json!("a/1"), &json!([MODEL])));
}

#[test]
fn a_model_of_null_is_none_and_tiers_may_stand_in_a_list() {
    let service = with_model();
    service.script("acme/small", Script::text("yes"));
    let options = json!({"model": MODEL, "tiers": {"TEXT_SMALL": "acme/small"}});
    let mut body = chat_body(MODEL);
    body["model"] = Value::Null;
    body["models"] = json!([MODEL, "tier/small"]);
    good(&plugin(&service, options), post("/chat/completions", &body));
    let sent = &requests_to(&service, "/chat/completions")[0].body;
    assert_eq!(
        (&sent["model"], &sent["models"]),
        (&json!(MODEL), &json!(["acme/small"]))
    );
}

#[test]
fn more_than_ten_models_are_refused_before_any_request() {
    let service = with_model();
    let mut body = chat_body(MODEL);
    let models: Vec<String> = (0..11).map(|n| format!("a/{n}")).collect();
    body["models"] = json!(models);
    let error = raw(&plugin(&service, json!({})), post("/chat/completions", &body)).expect_err("a refusal");
    assert_eq!(error.message, "expected at most 10 `models`, found 11");
    assert_eq!(service.requests(), []);
}

#[test]
fn the_auto_router_is_asked_without_a_list() {
    let service = with_model();
    let mut body = chat_body("openrouter/auto");
    body["models"] = json!([MODEL]);
    body["plugins"] = json!([{"id": "auto-router", "allowed_models": ["openai/*"], "cost_quality_tradeoff": 3}]);
    let answer = good(&plugin(&service, json!({})), post("/chat/completions", &body));
    let sent = &requests_to(&service, "/chat/completions")[0].body;
    assert_eq!(sent.get("models"), None);
    assert_eq!(sent["plugins"], body["plugins"]);
    assert_eq!(
        told(&answer.notices, "fallbacks_left_out"),
        "the auto router chooses its own fallbacks, so those that were named were left out"
    );
    assert_eq!(answer.done.requested_model.as_deref(), Some("openrouter/auto"));
    assert!(answer.done.model.is_some_and(|served| !served.is_empty()));
}

/// Asks a chain of the profile, of which the first model is away, in one form; says the models of each request.
fn walked(path: &str, body: &Value) -> Vec<(Value, Value)> {
    let service: &Sandbox = &with_model();
    service.script("a/away", Script::fail(Failure::status(503)));
    let options = json!({"model": "a/away", "fallbackModels": [MODEL],
        "tiers": {"TEXT_EMBEDDING": "a/away"}, "retry": {"attempts": 1}});
    let _ = raw(&plugin(service, options), post(path, body));
    requests_to(service, path)
        .into_iter()
        .map(|request| (request.body["model"].clone(), request.body["models"].clone()))
        .collect()
}

#[test]
fn messages_walk_a_chain_one_model_a_request() {
    let body = json!({"max_tokens": 5, "messages": [{"role": "user", "content": "Hello"}]});
    assert_eq!(
        walked("/messages", &body),
        [(json!("a/away"), Value::Null), (json!(MODEL), Value::Null)]
    );
    let chat = json!({"messages": [{"role": "user", "content": "Hello"}]});
    assert_eq!(walked("/chat/completions", &chat), [(json!("a/away"), json!([MODEL]))]);
}

#[test]
fn what_stands_behind_models_that_write_makes_no_vectors() {
    assert_eq!(
        walked("/embeddings", &json!({"input": "x"})),
        [(json!("a/away"), Value::Null)]
    );
}
