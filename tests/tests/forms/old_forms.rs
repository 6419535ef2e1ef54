//! Old and foreign forms of a request: each is translated into what the service has, and told by its word.

use plugin_api::{ErrorKind, HttpRequest};
use serde_json::{Map, Value, json};
use tests::faultd::{DONE, Faultd, Script, finish_event, text_event};
use tests::service;

use crate::bench::{chat_body, codes, good, once, plugin, plugin_of, post, raw, raw_stream, with_header, words};

/// What becomes of a request.
#[derive(Debug, PartialEq)]
struct Became {
    words: Vec<String>,
    /// Everything in the body that reaches the service but the messages.
    members: Value,
}

fn became(words: &[&str], members: Value) -> Became {
    Became {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        members,
    }
}

/// Sends these members to the service, with a message and, where it names none, a model.
fn translated(members: Value) -> Became {
    sent(post("/chat/completions", &with_message(members)))
}

fn with_message(members: Value) -> Value {
    let mut body = chat_body("a/first");
    for (name, value) in members.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

fn sent(request: HttpRequest) -> Became {
    let service = Faultd::playing([Script::answer("yes")]);
    let answer = good(&plugin_of(&service, json!({})), request);
    let mut body: Map<String, Value> = serde_json::from_slice(&service.requests()[0].body).expect("an object");
    body.remove("messages").expect("they are sent");
    Became {
        words: words(&answer.notices).into_iter().map(str::to_owned).collect(),
        members: Value::Object(body),
    }
}

#[test]
fn a_request_without_an_old_form_is_told_nothing() {
    assert_eq!(translated(json!({})), became(&[], json!({"model": "a/first"})));
}

#[test]
fn a_list_of_models_in_one_text_becomes_a_list() {
    assert_eq!(
        translated(json!({"model": "a/first, b/second,c/third"})),
        became(
            &["model-list"],
            json!({"model": "a/first", "models": ["b/second", "c/third"]})
        )
    );
}

#[test]
fn a_list_of_ten_models_goes_out_in_parts_of_four() {
    let ids: Vec<String> = (0..10).map(|n| format!("a/{n}")).collect();
    let service = service();
    for id in &ids {
        service.script(id, sandbox::Script::status(503));
    }
    service.script("a/9", sandbox::Script::text("yes"));
    let mut body = chat_body(&ids.join(","));
    body["temperature"] = json!(0);
    good(&plugin(&service, json!({})), post("/chat/completions", &body));
    let requests = crate::bench::requests_to(&service, "/chat/completions");
    let sizes: Vec<usize> = requests
        .iter()
        .map(|request| 1 + request.body["models"].as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(sizes, [4, 4, 2]);
}

#[test]
fn fallback_models_become_a_list() {
    for name in ["fallback_models", "fallbackModels"] {
        assert_eq!(
            translated(json!({name: ["b/second", "a/first"], "models": ["c/third"]})),
            became(
                &["fallback-models"],
                json!({"model": "a/first", "models": ["c/third", "b/second"]})
            ),
            "{name}"
        );
    }
}

#[test]
fn a_header_of_routing_preferences_becomes_a_member() {
    let request = post(
        "/chat/completions",
        &with_message(json!({"provider": {"sort": "price"}})),
    );
    let header = r#"{"order": ["OpenAI"], "allowFallbacks": false, "sort": "latency"}"#;
    assert_eq!(
        sent(with_header(request, "X-Provider", header)),
        became(
            &["x-provider", "provider-keys"],
            json!({"model": "a/first",
                "provider": {"sort": "price", "order": ["openai"], "allow_fallbacks": false}})
        )
    );
}

#[test]
fn a_header_that_is_no_object_is_refused_before_any_request() {
    let service = service();
    let plugin = plugin(&service, once());
    for header in ["{", "[]", "openai", ""] {
        let request = with_header(
            post("/chat/completions", &with_message(json!({}))),
            "x-provider",
            header,
        );
        let error = raw(&plugin, request).expect_err("a refusal");
        assert_eq!(error.kind, ErrorKind::INVALID_REQUEST, "{header:?}");
        assert!(
            error
                .message
                .starts_with("expected the header `X-Provider` to hold a JSON object"),
            "{error}"
        );
    }
    assert_eq!(service.requests(), []);
}

#[test]
fn a_price_for_a_thousand_tokens_becomes_one_for_a_million() {
    for (price, limits) in [
        (json!(0.002), json!({"prompt": "2", "completion": "2"})),
        (
            json!({"prompt": 0.0015, "completion": 1}),
            json!({"prompt": "1.5", "completion": "1000"}),
        ),
        (
            json!({"prompt": 1e-7, "request": 0.01}),
            json!({"prompt": "0.0001", "request": "0.01"}),
        ),
        (json!(0), json!({"prompt": "0", "completion": "0"})),
    ] {
        assert_eq!(
            translated(json!({"max_price": price})),
            became(
                &["max-price"],
                json!({"model": "a/first", "provider": {"max_price": limits}})
            ),
            "{price}"
        );
    }
}

#[test]
fn a_price_that_is_already_in_the_services_form_wins() {
    assert_eq!(
        translated(json!({"max_price": 0.002, "provider": {"max_price": {"prompt": "7"}}})),
        became(
            &["max-price"],
            json!({"model": "a/first", "provider": {"max_price": {"prompt": "7", "completion": "2"}}})
        )
    );
}

#[test]
fn a_price_below_nothing_is_refused_before_any_request() {
    let service = service();
    let plugin = plugin(&service, once());
    for (members, message) in [
        (
            json!({"max_price": -1}),
            "expected `max_price` to be a number of 0 or more, found a negative number",
        ),
        (
            json!({"max_price": {"prompt": -0.1}}),
            "expected `max_price.prompt` to be a number of 0 or more, found a negative number",
        ),
        (
            json!({"provider": {"max_price": {"prompt": -1}}}),
            "expected `provider.max_price.prompt` to be a number of 0 or more, found a negative number",
        ),
        (
            json!({"provider": {"maxPrice": {"prompt": "-1"}}}),
            "expected `provider.max_price.prompt` to be a number of 0 or more, found a negative number",
        ),
        (
            json!({"max_price": "1"}),
            "expected `max_price` to be a number or an object, found a text",
        ),
    ] {
        let error = raw(&plugin, post("/chat/completions", &with_message(members))).expect_err("a refusal");
        assert_eq!(error.message, message);
    }
    assert_eq!(service.requests(), []);
}

#[test]
fn an_old_route_becomes_what_it_meant() {
    assert_eq!(
        translated(json!({"route": "fallback"})),
        became(&["route"], json!({"model": "a/first"}))
    );
    assert_eq!(
        translated(json!({"route": "sort", "provider": {"sort": "price"}})),
        became(
            &["route"],
            json!({"model": "a/first", "provider": {"sort": {"by": "price", "partition": "none"}}})
        )
    );
    assert_eq!(
        translated(json!({"route": null})),
        became(&[], json!({"model": "a/first"}))
    );
}

#[test]
fn an_old_transform_becomes_a_plugin_of_the_request() {
    let on = json!({"id": "context-compression", "engine": "middle-out"});
    let off = json!({"id": "context-compression", "enabled": false});
    for (members, word, plugins) in [
        (json!({"transforms": ["middle-out"]}), "transforms", json!([on])),
        (json!({"transforms": []}), "transforms", json!([off])),
        (
            json!({"transforms": ["middle-out"], "plugins": [{"id": "web"}]}),
            "transforms",
            json!([{"id": "web"}, on]),
        ),
        (json!({"compress": true}), "compress", json!([on])),
    ] {
        assert_eq!(
            translated(members),
            became(&[word], json!({"model": "a/first", "plugins": plugins}))
        );
    }
}

#[test]
fn routing_preferences_in_other_spellings_become_the_services() {
    assert_eq!(
        translated(
            json!({"provider": {"order": ["OpenAI", "Amazon Bedrock"], "requireParameters": true,
            "dataCollection": "deny", "ignore": ["azure"]}})
        ),
        became(
            &["provider-keys"],
            json!({"model": "a/first", "provider": {"order": ["openai", "amazon-bedrock"], "require_parameters": true,
                "data_collection": "deny", "ignore": ["azure"]}})
        )
    );
}

#[test]
fn routing_preferences_under_another_name_become_the_services() {
    for name in ["providerPreferences", "provider_preferences"] {
        assert_eq!(
            translated(json!({name: {"order": ["openai"], "sort": "price"}, "provider": {"sort": "latency"}})),
            became(
                &["provider-preferences"],
                json!({"model": "a/first", "provider": {"sort": "latency", "order": ["openai"]}})
            ),
            "{name}"
        );
    }
}

#[test]
fn a_switch_for_the_auto_router_becomes_its_model() {
    assert_eq!(
        translated(json!({"model": "", "autoRouter": true})),
        became(&["auto-router"], json!({"model": "openrouter/auto"}))
    );
    assert_eq!(
        translated(json!({"auto_router": true})),
        became(&["auto-router"], json!({"model": "a/first"})),
        "a model that is named wins"
    );
    assert_eq!(
        translated(json!({"autoRouter": false})),
        became(&[], json!({"model": "a/first"}))
    );
}

#[test]
fn an_id_as_documents_print_it_becomes_the_services() {
    for (id, wire) in [
        ("anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4.5"),
        ("anthropic/claude-haiku-4:nitro", "anthropic/claude-haiku-4.5:nitro"),
        ("openrouter/acme/model", "acme/model"),
        ("auto", "openrouter/auto"),
    ] {
        assert_eq!(
            translated(json!({"model": id})),
            became(&["model-id"], json!({"model": wire})),
            "{id}"
        );
    }
}

#[test]
fn several_old_forms_at_once_are_each_told() {
    let body = with_message(
        json!({"model": "auto,b/second", "max_price": 0.001, "route": "fallback",
        "transforms": ["middle-out"], "providerPreferences": {"allowFallbacks": true}}),
    );
    let request = with_header(post("/chat/completions", &body), "x-provider", r#"{"zdr": true}"#);
    let became = sent(request);
    assert_eq!(
        became.words,
        [
            "model-list",
            "provider-preferences",
            "x-provider",
            "provider-keys",
            "max-price",
            "route",
            "transforms",
            "model-id"
        ]
    );
    assert_eq!(
        became.members["provider"],
        json!({"allow_fallbacks": true, "zdr": true, "max_price": {"prompt": "1", "completion": "1"}})
    );
}

#[test]
fn old_forms_are_translated_in_the_other_forms_too() {
    let service = Faultd::playing([Script::reply(
        200,
        &[],
        &json!({"id": "x", "status": "completed", "data": []}),
    )]);
    let plugin = plugin_of(&service, json!({}));
    for path in ["/responses", "/messages", "/embeddings", "/completions"] {
        let body = json!({"model": "a/first", "provider": {"dataCollection": "deny"}, "input": "x", "prompt": "x"});
        let answer = good(&plugin, post(path, &body));
        assert_eq!(words(&answer.notices), ["provider-keys"], "{path}");
        let sent = service.requests().pop().expect("one came").json();
        assert_eq!(sent["provider"], json!({"data_collection": "deny"}), "{path}");
    }
}

#[test]
fn a_body_of_an_unknown_form_is_not_translated() {
    let service = Faultd::playing([Script::reply(200, &[], &json!({}))]);
    let body = json!({"model": "a/first,b/second", "max_price": 1, "route": "fallback"});
    let answer = good(&plugin_of(&service, json!({})), post("/videos", &body));
    assert_eq!(codes(&answer.notices), [] as [&str; 0]);
    assert_eq!(service.requests()[0].json(), body);
}

#[test]
fn a_stream_tells_of_old_forms_before_its_head() {
    let service = Faultd::playing([Script::stream(&[
        text_event("Hi"),
        finish_event("stop"),
        DONE.to_owned(),
    ])]);
    let body = with_message(json!({"route": "fallback", "max_price": 1}));
    let came = raw_stream(&plugin_of(&service, json!({})), post("/chat/completions", &body));
    assert_eq!(came.kinds(), ["notice", "head", "raw", "done"]);
    assert_eq!(words(&came.reply().notices), ["max-price", "route"]);
}

#[test]
fn what_is_told_names_members_and_no_values() {
    let body = with_message(
        json!({"model": "a/private,b/private", "max_price": 0.123456, "transforms": ["private"],
        "provider": {"order": ["Private Provider"]}}),
    );
    let service = Faultd::playing([Script::answer("yes")]);
    let answer = good(&plugin_of(&service, json!({})), post("/chat/completions", &body));
    for notice in &answer.notices {
        let said = notice.message.to_lowercase();
        assert!(!said.contains("private") && !said.contains("0.123456"), "{said}");
    }
    assert_eq!(answer.notices.len(), 4, "{:?}", answer.notices);
}
