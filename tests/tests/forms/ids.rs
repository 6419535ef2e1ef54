//! Model ids: what people write becomes what the service lists, nobody is stopped by a list, and what a model is not said to be
//! able to is told.

use plugin_api::{ErrorKind, ModelsRequest, Plugin};
use sandbox::{Failure, Script};
use serde_json::{Value, json};
use tests::faultd::{Faultd, Script as Bytes};
use tests::{Service, block_on, request, service};

use crate::bench::{
    chat, chat_body, codes, entry, good, once, plugin, plugin_at, plugin_of, post, raw, requests_to, told, words,
};

/// A service that lists these models and nothing else; each of them answers.
fn listing(ids: &[(&str, &str)]) -> Service {
    let service = service();
    service.models(ids.iter().map(|(id, slug)| entry(id, slug)).collect());
    service
}

/// Lets the plugin ask for the list.
fn know_the_list(plugin: &Plugin) {
    block_on(plugin.models(ModelsRequest::default())).expect("a list");
}

/// The model that reaches the service for this one, and what was told.
fn sent(service: &Service, plugin: &Plugin, model: &str) -> (String, Vec<String>) {
    let answer = good(plugin, chat(model));
    let requests = requests_to(service, "/chat/completions");
    let sent = requests.last().expect("one came").body["model"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (sent, codes(&answer.notices).into_iter().map(str::to_owned).collect())
}

#[test]
fn a_bare_name_becomes_the_only_model_of_this_name() {
    let service = service();
    let answer = good(&plugin(&service, json!({})), chat("gpt-4o"));
    assert_eq!(
        requests_to(&service, "/chat/completions")[0].body["model"],
        "openai/gpt-4o"
    );
    assert_eq!(
        told(&answer.notices, "translated.model-id"),
        "the service does not list `gpt-4o`; `openai/gpt-4o` is sent, the only model of this name"
    );
}

#[test]
fn a_bare_name_that_several_models_have_is_refused_with_their_ids() {
    let service = listing(&[
        ("acme/huge", "acme/huge"),
        ("other/huge", "other/huge"),
        ("acme/tiny", "acme/tiny"),
    ]);
    let error = raw(&plugin(&service, json!({})), chat("huge")).expect_err("a refusal");
    assert_eq!(
        (error.kind, error.message.as_str(), error.hint()),
        (
            ErrorKind::INVALID_REQUEST,
            "expected one model, found several that are called `huge`: `acme/huge`, `other/huge`",
            Some("name one of them with its author")
        )
    );
    assert_eq!(requests_to(&service, "/chat/completions"), []);
}

#[test]
fn an_id_in_another_spelling_becomes_the_listed_one() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    know_the_list(&plugin);
    for (id, wire) in [
        ("openai/gpt-4-1", "openai/gpt-4.1"),
        ("gpt-4-1", "openai/gpt-4.1"),
        ("OpenAI/GPT-4o", "openai/gpt-4o"),
        ("openai/gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("claude-opus-4-1-20250805", "anthropic/claude-opus-4.1"),
        ("grok-4-0709", "x-ai/grok-4"),
        ("deepseek-r1:nitro", "deepseek/deepseek-r1:nitro"),
        ("gpt-4o:floor", "openai/gpt-4o:floor"),
        ("llama-3.3-70b-instruct:free", "meta-llama/llama-3.3-70b-instruct:free"),
    ] {
        let (wire, codes) = (wire.to_owned(), vec!["translated.model-id".to_owned()]);
        assert_eq!(sent(&service, &plugin, id), (wire, codes), "{id}");
    }
}

#[test]
fn an_id_that_the_service_knows_passes_untouched() {
    let service = service();
    service.script("@preset/mine", Script::text("yes"));
    let plugin = plugin(&service, json!({}));
    know_the_list(&plugin);
    for id in [
        "openai/gpt-4o",
        "openai/gpt-4o:nitro",
        "openai/gpt-4o:floor",
        "openai/gpt-4o:online",
        "anthropic/claude-opus-4:thinking",
        "meta-llama/llama-3.3-70b-instruct:free",
        "openrouter/auto",
        "openrouter/free",
        "~anthropic/claude-sonnet-latest",
        "@preset/mine",
    ] {
        assert_eq!(sent(&service, &plugin, id), (id.to_owned(), Vec::new()), "{id}");
    }
}

#[test]
fn auto_is_the_auto_router_and_who_served_is_told() {
    let service = service();
    let answer = good(&plugin(&service, json!({})), chat("auto"));
    assert_eq!(
        requests_to(&service, "/chat/completions")[0].body["model"],
        "openrouter/auto"
    );
    assert_eq!(words(&answer.notices), ["model-id"]);
    assert_eq!(answer.done.requested_model.as_deref(), Some("openrouter/auto"));
    let body = crate::bench::json_of(&answer);
    assert_eq!(answer.done.model.as_deref(), body["model"].as_str());
}

#[test]
fn an_unknown_id_is_sent_as_it_is() {
    let service = listing(&[("acme/large", "acme/large")]);
    service.script("acme/larg", Script::text("yes"));
    let plugin = plugin(&service, json!({}));
    assert_eq!(
        sent(&service, &plugin, "acme/larg"),
        ("acme/larg".to_owned(), Vec::new())
    );
    assert_eq!(
        requests_to(&service, "/models"),
        [],
        "nobody asks for a list because of it"
    );
}

#[test]
fn an_unknown_id_is_sent_with_a_suggestion_once_the_list_is_known() {
    let service = listing(&[("acme/large", "acme/large"), ("other/model", "other/model")]);
    service.script("acme/larg", Script::text("yes"));
    let plugin = plugin(&service, json!({}));
    know_the_list(&plugin);
    let answer = good(&plugin, chat("acme/larg"));
    assert_eq!(requests_to(&service, "/chat/completions")[0].body["model"], "acme/larg");
    assert_eq!(
        told(&answer.notices, "unknown_model"),
        "`acme/larg` is not in the list of models; it is sent as it is; did you mean `acme/large`?"
    );
}

#[test]
fn a_model_that_there_is_not_is_an_error_that_says_what_may_be_meant() {
    let service = service();
    for (id, hint) in [
        ("openai/gpt-4oo", "did you mean `openai/gpt-4o`"),
        ("antropic/claude-opus-4", "did you mean `anthropic/claude-opus-4`"),
    ] {
        let plugin = plugin(&service, json!({}));
        know_the_list(&plugin);
        let error = raw(&plugin, chat(id)).expect_err("there is none");
        assert_eq!(
            (error.kind, error.details.status),
            (ErrorKind::NOT_FOUND, Some(400)),
            "{id}"
        );
        let said = error.hint().unwrap_or_default();
        assert!(said.starts_with(hint), "{id}: {said}");
        let answer = error.details.answer.expect("the service's own answer");
        assert_eq!(answer.status, 400);
        assert!(answer.body.contains("is not a valid model ID"), "{}", answer.body);
    }
}

#[test]
fn an_error_about_a_model_costs_no_request_for_the_list() {
    let service = service();
    let error = raw(&plugin(&service, json!({})), chat("openai/gpt-4oo")).expect_err("there is none");
    assert_eq!(error.hint(), Some("look the id up at https://openrouter.ai/models"));
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_typed_call_is_told_the_same() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    let reply = block_on(plugin.chat(&request("gpt-4o", "Hello"))).expect("an answer");
    assert_eq!(words(&reply.notices), ["model-id"]);
    assert_eq!(reply.done.requested_model.as_deref(), Some("openai/gpt-4o"));
    let error = block_on(plugin.chat(&request("openai/gpt-4oo", "Hello"))).expect_err("there is none");
    assert!(
        error
            .hint()
            .is_some_and(|hint| hint.starts_with("did you mean `openai/gpt-4o`")),
        "{error:?}"
    );
}

#[test]
fn bare_names_in_a_chain_are_completed_too() {
    let service = service();
    service.script("openai/gpt-4o", Script::fail(Failure::status(503)));
    let mut body = chat_body("gpt-4o");
    body["models"] = json!(["grok-4", "openai/gpt-5"]);
    let answer = good(&plugin(&service, json!({})), post("/chat/completions", &body));
    let sent = &requests_to(&service, "/chat/completions")[0].body;
    assert_eq!(
        (&sent["model"], &sent["models"]),
        (&json!("openai/gpt-4o"), &json!(["x-ai/grok-4", "openai/gpt-5"]))
    );
    assert_eq!(words(&answer.notices), ["model-id", "model-id"]);
}

#[test]
fn a_list_is_asked_for_once_for_many_bare_names() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    for id in ["gpt-4o", "grok-4", "gpt-5"] {
        good(&plugin, chat(id));
    }
    assert_eq!(requests_to(&service, "/models").len(), 1);
}

#[test]
fn without_a_list_bare_names_are_sent_as_they_are() {
    let service = Faultd::answering(|request| match request.path.as_str() {
        "/api/v1/models" => Bytes::reply(500, &[], &json!({"error": {"code": 500, "message": "no list"}})),
        _ => Bytes::answer("yes"),
    });
    let answer = good(&plugin_of(&service, json!({})), chat("gpt-4o"));
    assert!(
        told(&answer.notices, "models_unknown")
            .starts_with("the list of models cannot be had, so ids are sent as they are:"),
        "{:?}",
        answer.notices
    );
    let sent = service.requests().pop().expect("one came").json();
    assert_eq!(sent["model"], "gpt-4o");
}

#[test]
fn models_that_make_vectors_are_not_called_unknown() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    know_the_list(&plugin);
    let body = json!({"model": "openai/text-embedding-3-small", "input": "x"});
    assert_eq!(
        codes(&good(&plugin, post("/embeddings", &body)).notices),
        [] as [&str; 0]
    );
}

#[test]
fn ids_of_a_tier_are_completed_too() {
    let service = service();
    let options = json!({"tiers": {"TEXT_SMALL": "gpt-4o-mini"}});
    let answer = good(&plugin(&service, options), chat("tier/small"));
    assert_eq!(
        requests_to(&service, "/chat/completions")[0].body["model"],
        "openai/gpt-4o-mini"
    );
    assert_eq!(words(&answer.notices), ["model-id"]);
}

/// A request for tools and an image of a model that is listed with neither.
fn demanding(model: &str) -> Value {
    let mut body = chat_body(model);
    body["tools"] = json!([{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]);
    body["messages"] = json!([{"role": "user", "content": [
        {"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}]);
    body
}

#[test]
fn what_a_model_is_not_said_to_be_able_to_is_told_and_asked_for_all_the_same() {
    let service = listing(&[("acme/plain", "acme/plain")]);
    let mut able = entry("acme/able", "acme/able");
    able["supported_parameters"] = json!(["tools"]);
    able["architecture"]["input_modalities"] = json!(["text", "image"]);
    service.model(able);
    let plugin = plugin(&service, json!({}));
    know_the_list(&plugin);
    let answer = good(&plugin, post("/chat/completions", &demanding("acme/plain")));
    let lacks: Vec<&str> = answer.notices.iter().map(|notice| notice.message.as_str()).collect();
    assert_eq!(
        lacks,
        [
            "`acme/plain` is not listed with tools, which this request has: choose `acme/able`",
            "`acme/plain` is not listed with images as input, which this request has: choose `acme/able`",
        ]
    );
    assert_eq!(codes(&answer.notices), ["capability"; 2]);
    assert_eq!(
        codes(&good(&plugin, post("/chat/completions", &demanding("acme/able"))).notices),
        [] as [&str; 0]
    );
}

#[test]
fn a_strict_profile_refuses_what_a_model_is_not_said_to_be_able_to() {
    let service = listing(&[("acme/plain", "acme/plain")]);
    let plugin = plugin(&service, json!({"strictCapabilities": true}));
    let error = raw(&plugin, post("/chat/completions", &demanding("acme/plain"))).expect_err("a refusal");
    assert_eq!(
        (error.kind, error.message.as_str()),
        (
            ErrorKind::INVALID_REQUEST,
            "`acme/plain` is not listed with tools, which this request has; `acme/plain` is not listed with images as \
             input, which this request has"
        )
    );
    assert_eq!(
        error.hint(),
        Some("choose another model, or take `strictCapabilities` out of the profile")
    );
    assert_eq!(requests_to(&service, "/chat/completions"), []);
    good(&plugin, chat("acme/plain"));
}

#[test]
fn a_strict_profile_needs_the_list() {
    let service = Faultd::answering(|request| match request.path.as_str() {
        "/api/v1/models" => Bytes::reply(500, &[], &json!({})),
        _ => Bytes::answer("yes"),
    });
    let options = json!({"strictCapabilities": true, "retry": {"attempts": 1}});
    assert!(raw(&plugin_of(&service, options), chat("acme/plain")).is_err());
    assert!(service.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn a_prompt_that_is_too_long_is_told() {
    let service = listing(&[("acme/plain", "acme/plain")]);
    let plugin = plugin(&service, json!({}));
    know_the_list(&plugin);
    let mut body = chat_body("acme/plain");
    body["messages"][0]["content"] = json!("word ".repeat(4000));
    let answer = good(&plugin, post("/chat/completions", &body));
    assert!(
        told(&answer.notices, "capability")
            .starts_with("`acme/plain` takes at most 1000 tokens, and this request has about"),
        "{:?}",
        answer.notices
    );
}

#[test]
fn numbers_out_of_their_range_are_told_and_sent_as_they_are() {
    let service = Faultd::playing([Bytes::answer("yes")]);
    let mut body = chat_body("acme/model");
    body["temperature"] = json!(2.5);
    body["top_p"] = json!(-0.5);
    body["logit_bias"] = json!({"7": 200});
    let answer = good(&plugin_of(&service, json!({})), post("/chat/completions", &body));
    let said: Vec<&str> = answer.notices.iter().map(|notice| notice.message.as_str()).collect();
    assert_eq!(
        said,
        [
            "expected `temperature` from 0 to 2, found 2.5",
            "expected `top_p` from 0 to 1, found -0.5",
            "expected each value of `logit_bias` from -100 to 100, found 200",
        ]
    );
    assert_eq!(codes(&answer.notices), ["out_of_range"; 3]);
    assert_eq!(service.requests()[0].json()["temperature"], 2.5);
}

#[test]
fn models_that_only_a_variable_names_are_completed_too() {
    let service = service();
    let variables = [("OPENROUTER_LARGE_MODEL", "gpt-5")];
    let plugin = plugin_at(&service.base_url(), &variables, once());
    good(&plugin, chat(""));
    assert_eq!(
        requests_to(&service, "/chat/completions")[0].body["model"],
        "openai/gpt-5"
    );
}

#[test]
fn an_id_that_looks_as_if_the_service_wrote_it_otherwise_is_looked_up() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    let (wire, codes) = sent(&service, &plugin, "openai/gpt-4o-2024-08-06");
    assert_eq!(
        (wire.as_str(), codes),
        ("openai/gpt-4o", vec!["translated.model-id".to_owned()])
    );
    assert_eq!(requests_to(&service, "/models").len(), 1);
}

#[test]
fn an_ordinary_id_waits_for_no_list() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    for id in [
        "openai/gpt-4o",
        "anthropic/claude-opus-4.1:nitro",
        "meta-llama/llama-3.3-70b-instruct",
        "google/gemma-3-4b-it",
        "openrouter/auto",
        "@preset/x",
    ] {
        let _ = raw(&plugin, chat(id));
    }
    assert_eq!(requests_to(&service, "/models"), []);
}
