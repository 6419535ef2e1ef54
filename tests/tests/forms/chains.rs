//! Several models in one request: which lists reach the service, and in which forms.

use plugin_api::ChatRequest;
use sandbox::Script;
use serde_json::{Value, json};
use tests::{block_on, request, service};

use crate::bench::{
    MODEL, chat_with, codes, good, message_of, plugin, post, raw, requests_to, service_playing, streamed,
};

#[test]
fn a_chain_is_sent_in_the_lists_that_its_form_takes() {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let profile = json!({"model": "down/1", "fallbackModels": [MODEL], "tiers": {"TEXT_EMBEDDING": "down/1"},
        "retry": {"attempts": 1}});
    let rows = json!([
        {"case": "more than four models", "path": "/chat/completions", "options": {},
            "body": {"model": "down/1", "models": ["down/2", "down/3", "down/4", MODEL], "messages": messages},
            "sent": [["down/1", ["down/2", "down/3", "down/4"]], [MODEL, null]], "served": MODEL},
        {"case": "a list without a model", "path": "/chat/completions", "options": {},
            "body": {"model": "", "models": ["up/1", MODEL], "messages": messages},
            "sent": [["up/1", [MODEL]]], "served": "up/1"},
        {"case": "a null model and a tier", "path": "/chat/completions",
            "options": {"model": MODEL, "tiers": {"TEXT_SMALL": "up/1"}},
            "body": {"model": null, "models": [MODEL, "tier/small"], "messages": messages},
            "sent": [[MODEL, ["up/1"]]], "served": MODEL},
        {"case": "the profile's chain", "path": "/chat/completions", "options": profile,
            "body": {"messages": messages}, "sent": [["down/1", [MODEL]]], "served": MODEL},
        {"case": "the profile's chain in messages", "path": "/messages", "options": profile,
            "body": {"max_tokens": 5, "messages": messages},
            "sent": [["down/1", null], [MODEL, null]], "served": MODEL},
        {"case": "the caller's chain in messages", "path": "/messages", "options": {},
            "body": {"model": "down/1", "models": ["down/2", "down/3", "down/4", MODEL], "max_tokens": 5, "messages": messages},
            "sent": [["down/1", ["down/2", "down/3", "down/4"]], [MODEL, null]], "served": MODEL},
        {"case": "models that write make no embeddings", "path": "/embeddings", "options": profile,
            "body": {"input": "x"}, "sent": [["down/1", null]], "served": null},
    ]);
    for row in rows.as_array().expect("a table") {
        let service = service_playing(Script::text("yes"));
        service.script("up/1", Script::text("yes"));
        for id in ["down/1", "down/2", "down/3", "down/4"] {
            service.script(id, Script::status(503));
        }
        let path = row["path"].as_str().expect("a path");
        let answer = raw(&plugin(&service, row["options"].clone()), post(path, &row["body"]));
        let sent = requests_to(&service, path);
        let sent = sent
            .iter()
            .map(|request| json!([request.body["model"], request.body["models"]]));
        assert_eq!(Value::from_iter(sent), row["sent"], "{}", row["case"]);
        let served = answer.ok().and_then(|answer| answer.done.model);
        assert_eq!(json!(served), row["served"], "{}", row["case"]);
    }
}

#[test]
fn a_fallback_of_the_service_says_why_and_past_which_models() {
    let service = service_playing(Script::text("yes"));
    service.script("down/1", Script::status(503));
    service.script("down/2", Script::status(429));
    let plugin = plugin(
        &service,
        json!({"model": "down/1", "fallbackModels": ["down/2", MODEL]}),
    );
    let asked = ChatRequest {
        model: None,
        ..request("", "hello")
    };
    let why = "`down/1` (503: No provider can serve the model now), `down/2` (429: Too many requests for this key, model or \
               provider) could not answer; `acme/model` answers instead";
    let reply = block_on(plugin.chat(&asked)).expect("an answer");
    assert_eq!(message_of(&reply.notices, "fallback"), why);
    assert_eq!(codes(&reply.notices), ["fallback"]);
    // Only the last chunk of a stream has the reasons.
    let reply = streamed(&plugin, &asked).reply();
    let models = "`down/1`, `down/2` could not answer; `acme/model` answers instead";
    assert_eq!(message_of(&reply.notices, "fallback"), models);
    assert_eq!(message_of(&reply.notices, "fallback_reason"), why);
}

#[test]
fn the_auto_router_is_asked_without_a_list() {
    let service = service();
    let plugins = json!([{"id": "auto-router", "allowed_models": ["openai/*"], "cost_quality_tradeoff": 3}]);
    let members = json!({"model": "openrouter/auto", "models": ["openai/gpt-4o"], "plugins": plugins});
    let answer = good(&plugin(&service, json!({})), chat_with(&members));
    let sent = &requests_to(&service, "/chat/completions")[0].body;
    assert_eq!((sent.get("models"), &sent["plugins"]), (None, &plugins));
    assert_eq!(
        message_of(&answer.notices, "fallbacks_left_out"),
        "the auto router chooses its own fallbacks, so the configured ones are ignored"
    );
    assert_eq!(answer.done.requested_model.as_deref(), Some("openrouter/auto"));
    assert!(answer.done.model.is_some_and(|served| !served.is_empty()));
}
