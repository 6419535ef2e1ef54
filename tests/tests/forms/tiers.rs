//! A tier in place of a model, in every form; without either, the large one.

use plugin_api::ErrorKind;
use sandbox::Script;
use serde_json::{Value, json};
use tests::{Service, service};

use crate::bench::{MODEL, bad, chat, codes, good, plugin, post, requests_to, sent};

/// A sandbox with the models of [`tiers`].
fn service_with_tiers() -> Service {
    let service = service();
    for id in ["acme/small", "acme/large", "acme/embeds"] {
        service.script(id, Script::default());
    }
    service
}

fn tiers() -> Value {
    json!({"tiers": {"TEXT_SMALL": {"model": "acme/small"}, "TEXT_LARGE": "acme/large", "TEXT_EMBEDDING": "acme/embeds"}})
}

#[test]
fn a_tier_can_stand_in_place_of_a_model() {
    let service = service_with_tiers();
    let plugin = plugin(&service, tiers());
    for (name, model) in [
        ("TEXT_SMALL", "acme/small"),
        ("tier/small", "acme/small"),
        ("Tier/Small", "acme/small"),
        ("small", "acme/small"),
        ("TEXT_NANO", "acme/small"),
        ("tier/mega", "acme/large"),
        ("", "acme/large"),
        (" ", "acme/large"),
    ] {
        let answer = good(&plugin, chat(name));
        let sent = requests_to(&service, "/chat/completions").pop().expect("one came").body;
        assert_eq!(sent["model"], model, "{name:?}");
        assert_eq!(answer.done.requested_model.as_deref(), Some(model), "{name:?}");
    }
}

#[test]
fn every_form_takes_a_tier() {
    let service = service_with_tiers();
    let plugin = plugin(&service, tiers());
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let rows = json!([
        ["/completions", {"model": "TEXT_SMALL", "prompt": "x"}, "acme/small"],
        ["/completions", {"prompt": "x"}, "acme/large"],
        ["/responses", {"input": "x"}, "acme/large"],
        ["/messages", {"max_tokens": 5, "messages": messages}, "acme/large"],
        ["/responses", {"model": "tier/small", "input": "x"}, "acme/small"],
        ["/messages", {"model": "tier/small", "max_tokens": 5, "messages": messages}, "acme/small"],
        ["/embeddings", {"model": "TEXT_EMBEDDING", "input": "x"}, "acme/embeds"],
        ["/embeddings", {"input": "x"}, "acme/embeds"],
        ["/rerank", {"model": "tier/small", "query": "x", "documents": ["x"]}, "acme/small"],
        ["/audio/speech", {"model": "tier/small", "input": "x"}, "acme/small"],
    ]);
    for row in rows.as_array().expect("a table") {
        let path = row[0].as_str().expect("a path");
        let answer = good(&plugin, post(path, &row[1]));
        assert_eq!(codes(&answer.notices), [""; 0], "nobody asked for another model");
        let sent = requests_to(&service, path).pop().expect("one came").body;
        assert_eq!(sent["model"], row[2], "{row}");
    }
}

#[test]
fn an_unknown_tier_is_refused_before_anything_is_sent() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    for (model, name) in [("tier/nope", "nope"), ("TEXT_NOPE", "TEXT_NOPE"), ("tier/", "")] {
        let error = bad(&plugin, chat(model));
        let message = format!("unknown tier `{name}`");
        assert_eq!((error.kind, &error.message), (ErrorKind::INVALID_REQUEST, &message));
    }
    assert_eq!(service.requests(), []);
}

#[test]
fn a_tier_brings_its_own_defaults() {
    let options = json!({"parameters": {"temperature": 0.1},
        "tiers": {"TEXT_SMALL": {"model": MODEL, "parameters": {"temperature": 0.9, "maxTokens": 9}}}});
    let sent = sent(options, chat("tier/small"));
    assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(0.9), &json!(9)));
}
