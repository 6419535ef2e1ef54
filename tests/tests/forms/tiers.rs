//! A tier in the place of a model, in every form; without either, the large one.

use plugin_api::ErrorKind;
use sandbox::Script;
use serde_json::json;
use tests::service;

use crate::bench::{chat, codes, good, plugin, plugin_at, post, raw, requests_to};
use crate::requests::{MODEL, read, sent, with_model};

#[test]
fn a_tier_is_a_model() {
    let options = json!({"tiers": {"TEXT_SMALL": "acme/small", "TEXT_LARGE": "acme/large",
        "IMAGE": {"model": "acme/image"}, "TEXT_REASONING_LARGE": "acme/thinks"}});
    for (name, model) in [
        ("TEXT_SMALL", "acme/small"),
        ("text_small", "acme/small"),
        ("tier/small", "acme/small"),
        ("tier/TEXT_SMALL", "acme/small"),
        ("Tier/Small", "acme/small"),
        ("small", "acme/small"),
        ("Large", "acme/large"),
        ("TEXT_NANO", "acme/small"),
        ("tier/mega", "acme/large"),
        ("REASONING_LARGE", "acme/thinks"),
        ("IMAGE", "acme/image"),
        ("", "acme/large"),
        (" ", "acme/large"),
    ] {
        let service = service();
        for id in ["acme/small", "acme/large", "acme/image", "acme/thinks"] {
            service.script(id, Script::text("yes"));
        }
        let answer = good(&plugin(&service, options.clone()), chat(name));
        assert_eq!(
            requests_to(&service, "/chat/completions")[0].body["model"],
            model,
            "{name:?}"
        );
        assert_eq!(answer.done.requested_model.as_deref(), Some(model), "{name:?}");
    }
}

#[test]
fn a_tier_is_a_model_in_every_form() {
    let options = json!({"tiers": {"TEXT_SMALL": "acme/small", "TEXT_EMBEDDING": "acme/embeds"}});
    let message = json!([{"role": "user", "content": "Hello"}]);
    for (path, body, model) in [
        (
            "/completions",
            json!({"model": "TEXT_SMALL", "prompt": "x"}),
            "acme/small",
        ),
        ("/responses", json!({"model": "tier/small", "input": "x"}), "acme/small"),
        (
            "/messages",
            json!({"model": "tier/small", "max_tokens": 5, "messages": message}),
            "acme/small",
        ),
        (
            "/embeddings",
            json!({"model": "TEXT_EMBEDDING", "input": "x"}),
            "acme/embeds",
        ),
        ("/embeddings", json!({"input": "x"}), "acme/embeds"),
        (
            "/rerank",
            json!({"model": "tier/small", "query": "x", "documents": ["x"]}),
            "acme/small",
        ),
        (
            "/audio/speech",
            json!({"model": "tier/small", "input": "x"}),
            "acme/small",
        ),
    ] {
        let service = service();
        service.script("acme/small", Script::default());
        service.script("acme/embeds", Script::default());
        good(&plugin(&service, options.clone()), post(path, &body));
        assert_eq!(requests_to(&service, path)[0].body["model"], model, "{path}");
    }
}

#[test]
fn a_tier_that_there_is_not_is_refused_before_any_request() {
    let service = with_model();
    let plugin = plugin(&service, json!({}));
    for (model, name) in [("tier/nope", "nope"), ("TEXT_NOPE", "TEXT_NOPE"), ("tier/", "")] {
        let error = raw(&plugin, chat(model)).expect_err("a refusal");
        assert_eq!(
            (error.kind, error.message),
            (ErrorKind::INVALID_REQUEST, format!("there is no tier `{name}`"))
        );
        let hint = error.details.hint.unwrap_or_default();
        assert!(hint.contains("TEXT_SMALL") && hint.contains("small"), "{hint}");
    }
    assert_eq!(service.requests(), []);
}

#[test]
fn a_request_without_a_model_asks_for_the_large_one() {
    let service = service();
    let message = json!([{"role": "user", "content": "Hello"}]);
    let plugin = plugin(&service, json!({}));
    for (path, body) in [
        ("/chat/completions", json!({"messages": message})),
        ("/completions", json!({"prompt": "x"})),
        ("/responses", json!({"input": "x"})),
        ("/messages", json!({"max_tokens": 5, "messages": message})),
    ] {
        let answer = good(&plugin, post(path, &body));
        assert_eq!(
            requests_to(&service, path)[0].body["model"],
            "anthropic/claude-sonnet-4.5",
            "{path}"
        );
        assert_eq!(codes(&answer.notices), [] as [&str; 0], "nobody asked for another one");
    }
}

#[test]
fn the_variable_of_a_tier_names_its_model() {
    let service = with_model();
    let plugin = plugin_at(&service.base_url(), &[("OPENROUTER_SMALL_MODEL", MODEL)], json!({}));
    good(&plugin, chat("TEXT_SMALL"));
    assert_eq!(requests_to(&service, "/chat/completions")[0].body["model"], MODEL);
}

#[test]
fn the_defaults_of_a_tier_come_with_its_model() {
    let options = json!({"parameters": {"temperature": 0.1},
        "tiers": {"TEXT_SMALL": {"model": MODEL, "parameters": {"temperature": 0.9, "maxTokens": 9}}}});
    let sent = read(&sent(options, chat("tier/small")));
    assert_eq!((&sent["temperature"], &sent["max_tokens"]), (&json!(0.9), &json!(9)));
}
