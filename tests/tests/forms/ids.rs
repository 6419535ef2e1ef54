//! Model ids: what people write becomes what the service lists, no list stops a request,
//! and abilities that a model lacks are reported.

use plugin_api::{ErrorKind, ModelsRequest, Plugin};
use serde_json::{Value, json};
use tests::faultd::{Faultd, Script};
use tests::{block_on, request, service};

use crate::bench::{
    bad, chat, chat_body, chat_with, codes, entry, good, message_of, once, plugin, plugin_at, plugin_of, post, raw,
    with, words,
};

/// A service that lists these models and answers for every model.
fn listing(entries: Vec<Value>) -> Faultd {
    let list = json!({"data": entries});
    Faultd::answering(move |request| match request.path.as_str() {
        "/api/v1/models" => Script::reply(200, &[], &list),
        _ => Script::answer("yes"),
    })
}

fn usual() -> Faultd {
    listing(
        ["openai/gpt-4o", "openai/gpt-4.1", "x-ai/grok-4", "acme/large"]
            .map(entry)
            .into(),
    )
}

/// A service without a model list, which answers for every model.
fn without_a_list() -> Faultd {
    Faultd::answering(|request| match request.path.as_str() {
        "/api/v1/models" => Script::reply(500, &[], &json!({"error": {"code": 500, "message": "no list"}})),
        _ => Script::answer("yes"),
    })
}

/// Has the plugin fetch the model list.
fn fetch_list(plugin: &Plugin) {
    block_on(plugin.models(ModelsRequest::default())).expect("a list");
}

/// How often the model list was fetched.
fn n_lists(service: &Faultd) -> usize {
    let requests = service.requests();
    requests
        .iter()
        .filter(|request| request.path == "/api/v1/models")
        .count()
}

/// The body of the last request.
fn last(service: &Faultd) -> Value {
    service.requests().pop().expect("one came").json()
}

/// Asserts that each id of the first column arrives as the one in the second.
#[track_caller]
fn assert_sent(service: &Faultd, plugin: &Plugin, rows: &[(&str, &str)]) {
    for (id, wire) in rows {
        let answer = good(plugin, chat(id));
        let expected: &[&str] = if id == wire { &[] } else { &["translated.model-id"] };
        assert_eq!(
            (&last(service)["model"], codes(&answer.notices)),
            (&json!(wire), expected.to_vec()),
            "{id}"
        );
    }
}

#[test]
fn an_ordinary_id_passes_without_the_model_list() {
    let service = usual();
    let plugin = plugin_of(&service, json!({}));
    let ids = [
        "openai/gpt-4o",
        "acme/unheard-of:nitro",
        "meta-llama/llama-3.3-70b-instruct",
        "google/gemma-3-4b-it",
    ];
    assert_sent(&service, &plugin, &ids.map(|id| (id, id)));
    let ids = ["openrouter/auto", "@preset/x", "~acme/large-latest"];
    assert_sent(&service, &plugin, &ids.map(|id| (id, id)));
    assert_sent(&service, &plugin, &[("auto", "openrouter/auto")]);
    assert_eq!(n_lists(&service), 0);
    fetch_list(&plugin);
    let ids = [
        "openai/gpt-4o",
        "openai/gpt-4o:online",
        "openrouter/free",
        "@preset/x",
        "~acme/large-latest",
    ];
    assert_sent(&service, &plugin, &ids.map(|id| (id, id)));
}

#[test]
fn bare_and_dated_ids_cost_one_fetch_of_the_list() {
    let dated = ("openai/gpt-4o-2024-08-06", "openai/gpt-4o");
    let bare = ("gpt-4o", "openai/gpt-4o");
    for rows in [
        &[dated][..],
        &[
            bare,
            dated,
            ("grok-4:nitro", "x-ai/grok-4:nitro"),
            ("GPT-4-1", "openai/gpt-4.1"),
        ],
    ] {
        let service = usual();
        assert_sent(&service, &plugin_of(&service, json!({})), rows);
        assert_eq!(n_lists(&service), 1);
    }
}

#[test]
fn a_bare_name_of_several_models_is_refused_with_their_ids() {
    let service = listing(["acme/huge", "other/huge", "acme/tiny"].map(entry).into());
    let error = bad(&plugin_of(&service, json!({})), chat("huge"));
    assert_eq!(
        (error.kind, error.message.as_str(), error.hint()),
        (
            ErrorKind::INVALID_REQUEST,
            "expected one model, found several named `huge`: `acme/huge`, `other/huge`",
            Some("use one of these ids, with its author")
        )
    );
    assert_eq!(service.requests().len(), n_lists(&service), "only the list was fetched");
}

#[test]
fn bare_names_of_models_that_write_no_text_are_found_in_the_list_of_all_models() {
    let ids = [
        "openai/embeds",
        "cohere/ranks",
        "openai/speaks",
        "acme/draws",
        "other/draws",
    ];
    let list = json!({"data": ids.map(entry)});
    let service = Faultd::answering(move |request| match request.path.as_str() {
        "/api/v1/models?output_modalities=all" => Script::reply(200, &[], &list),
        _ => Script::reply(200, &[], &json!({"model": "m", "data": []})),
    });
    let plugin = plugin_of(&service, once());
    for (path, name, wire, notices) in [
        ("/embeddings", "embeds", "openai/embeds", &["translated.model-id"][..]),
        ("/rerank", "ranks", "cohere/ranks", &["translated.model-id"]),
        ("/audio/speech", "Speaks", "openai/speaks", &["translated.model-id"]),
        ("/rerank", "cohere/ranks", "cohere/ranks", &[]),
        ("/audio/speech", "speakz", "speakz", &["unknown_model"]),
    ] {
        let answer = good(&plugin, post(path, &json!({"model": name, "input": "x"})));
        assert_eq!(
            (&last(&service)["model"], codes(&answer.notices)),
            (&json!(wire), notices.to_vec()),
            "{name}"
        );
    }
    let error = bad(&plugin, post("/images", &json!({"model": "draws", "prompt": "x"})));
    let message = "expected one model, found several named `draws`: `acme/draws`, `other/draws`";
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::INVALID_REQUEST, message)
    );
    let lists = service
        .requests()
        .iter()
        .filter(|request| request.path.contains("/models"))
        .count();
    assert_eq!(lists, 1);
}

#[test]
fn bare_names_are_completed_wherever_they_stand() {
    let service = usual();
    let in_a_list = chat_with(&json!({"model": "gpt-4o", "models": ["grok-4", "openai/gpt-4.1"]}));
    let answer = good(&plugin_of(&service, json!({})), in_a_list);
    let sent = last(&service);
    assert_eq!(
        (&sent["model"], &sent["models"], words(&answer.notices)),
        (
            &json!("openai/gpt-4o"),
            &json!(["x-ai/grok-4", "openai/gpt-4.1"]),
            vec!["model-id"; 2]
        )
    );

    let in_a_tier = plugin_of(&service, json!({"tiers": {"TEXT_SMALL": "gpt-4o"}}));
    assert_eq!(words(&good(&in_a_tier, chat("tier/small")).notices), ["model-id"]);
    assert_eq!(last(&service)["model"], "openai/gpt-4o");

    let in_a_variable = plugin_at(&service.base_url(), &[("OPENROUTER_LARGE_MODEL", "grok-4")], once());
    good(&in_a_variable, chat(""));
    assert_eq!(last(&service)["model"], "x-ai/grok-4");

    let typed = block_on(plugin_of(&service, json!({})).chat(&request("gpt-4o", "Hello"))).expect("an answer");
    assert_eq!(words(&typed.notices), ["model-id"]);
    assert_eq!(typed.done.requested_model.as_deref(), Some("openai/gpt-4o"));
}

#[test]
fn an_unlisted_id_is_sent_with_a_suggestion() {
    let service = usual();
    let plugin = plugin_of(&service, json!({}));
    fetch_list(&plugin);
    let answer = good(&plugin, chat("acme/larg"));
    assert_eq!(last(&service)["model"], "acme/larg");
    assert_eq!(
        message_of(&answer.notices, "unknown_model"),
        "`acme/larg` is not in the model list and is sent unchanged; did you mean `acme/large`?"
    );
}

#[test]
fn an_unknown_model_error_suggests_ids_once_the_list_is_known() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    let error = bad(&plugin, chat("openai/gpt-4oo"));
    assert_eq!(error.hint(), Some("look the id up at https://openrouter.ai/models"));
    assert_eq!(service.requests().len(), 1, "the error costs no request for the list");
    fetch_list(&plugin);
    let typed = block_on(plugin.chat(&request("openai/gpt-4oo", "Hello"))).expect_err("there is none");
    for error in [bad(&plugin, chat("openai/gpt-4oo")), typed] {
        assert_eq!((error.kind, error.details.status), (ErrorKind::NOT_FOUND, Some(400)));
        let hint = error.hint().unwrap_or_default();
        assert!(hint.starts_with("did you mean `openai/gpt-4o`"), "{hint}");
    }
}

#[test]
fn without_a_list_bare_names_are_sent_unchanged() {
    let service = without_a_list();
    let answer = good(&plugin_of(&service, json!({})), chat("gpt-4o"));
    let message = message_of(&answer.notices, "models_unknown");
    assert!(
        message.starts_with("the model list is unavailable, so model ids are sent unchanged:"),
        "{message}"
    );
    assert_eq!(last(&service)["model"], "gpt-4o");
}

#[test]
fn embedding_models_are_not_reported_as_unknown() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    fetch_list(&plugin);
    let body = json!({"model": "openai/text-embedding-3-small", "input": "x"});
    assert_eq!(codes(&good(&plugin, post("/embeddings", &body)).notices), [""; 0]);
}

/// The members of a request with tools, an image and a temperature that is too high.
fn demanding(model: &str) -> Value {
    let members = json!({
        "tools": [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]}],
        "temperature": 2.5,
    });
    with(chat_body(model), &members)
}

#[test]
fn what_a_model_lacks_is_reported_and_the_request_sent() {
    let architecture = with(
        entry("")["architecture"].clone(),
        &json!({"input_modalities": ["text", "image"]}),
    );
    let able = json!({"supported_parameters": ["tools"], "architecture": architecture});
    let service = listing(vec![entry("acme/plain"), with(entry("acme/able"), &able)]);
    let plugin = plugin_of(&service, json!({}));
    fetch_list(&plugin);
    let notices = good(&plugin, post("/chat/completions", &demanding("acme/plain"))).notices;
    let mut notices: Vec<(&str, &str)> = notices
        .iter()
        .map(|notice| (notice.code.as_str(), notice.message.as_str()))
        .collect();
    notices.sort_unstable();
    assert_eq!(
        notices,
        [
            (
                "capability",
                "`acme/plain` is not listed as supporting image input, which this request has: choose `acme/able`"
            ),
            (
                "capability",
                "`acme/plain` is not listed as supporting tools, which this request uses: choose `acme/able`"
            ),
            ("out_of_range", "expected `temperature` from 0 to 2, found 2.5"),
        ]
    );
    assert_eq!(last(&service), demanding("acme/plain"));
    let answer = good(&plugin, post("/chat/completions", &demanding("acme/able")));
    assert_eq!(codes(&answer.notices), ["out_of_range"]);
}

#[test]
fn what_a_model_lacks_is_reported_by_a_list_on_disk_too() {
    let service = listing(vec![entry("acme/plain")]);
    let folder = tempfile::tempdir().expect("the temporary folder is writable");
    let options = json!({"caches": {"folder": folder.path()}});
    let ask = || {
        let answer = good(
            &plugin_of(&service, options.clone()),
            post("/chat/completions", &demanding("acme/plain")),
        );
        codes(&answer.notices)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(ask(), ["out_of_range"], "there is no list yet");
    fetch_list(&plugin_of(&service, options.clone()));
    let n_before = n_lists(&service);
    for _ in 0..2 {
        assert_eq!(ask(), ["out_of_range", "capability", "capability"]);
    }
    assert_eq!(n_lists(&service), n_before, "no call fetches the list");
}

#[test]
fn a_preset_keeps_the_model_before_it() {
    let service = usual();
    let plugin = plugin_of(&service, json!({}));
    assert_sent(
        &service,
        &plugin,
        &[
            ("openrouter/@preset/mine", "@preset/mine"),
            ("@preset/mine", "@preset/mine"),
            ("openai/gpt-4o@preset/mine", "openai/gpt-4o@preset/mine"),
            ("openrouter/openai/gpt-4o@preset/mine", "openai/gpt-4o@preset/mine"),
            ("gpt-4o@preset/mine", "openai/gpt-4o@preset/mine"),
        ],
    );
    let budget = json!({"budget": {"perRequestUsd": 1}, "caches": {"disk": false}});
    let plugin = plugin_of(&service, budget);
    good(&plugin, chat("openai/gpt-4o@preset/mine"));
    assert_eq!(bad(&plugin, chat("@preset/mine")).kind, ErrorKind::SPEND_LIMIT);
}

#[test]
fn strict_capabilities_refuse_what_a_model_lacks() {
    let service = listing(vec![entry("acme/plain")]);
    let plugin = plugin_of(&service, json!({"strictCapabilities": true}));
    let error = bad(&plugin, post("/chat/completions", &demanding("acme/plain")));
    assert_eq!(
        (error.kind, error.message.as_str(), error.hint()),
        (
            ErrorKind::INVALID_REQUEST,
            "`acme/plain` is not listed as supporting tools, which this request uses; `acme/plain` is not listed as \
             supporting image input, which this request has",
            Some("choose another model, or remove `strictCapabilities` from the profile")
        )
    );
    assert_eq!(service.requests().len(), n_lists(&service), "only the list was fetched");
    good(&plugin, chat("acme/plain"));
}

#[test]
fn strict_capabilities_need_the_model_list() {
    let service = without_a_list();
    let options = json!({"strictCapabilities": true, "retry": {"attempts": 1}});
    assert!(raw(&plugin_of(&service, options), chat("acme/plain")).is_err());
    assert_eq!(
        service.requests().len(),
        n_lists(&service),
        "only the list was asked for"
    );
}
