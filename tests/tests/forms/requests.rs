//! What is asked for in the service's own form goes to the service in the same words.

use std::collections::BTreeMap;

use plugin_api::{ErrorKind, HttpRequest};
use sandbox::Script;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::faultd::{Faultd, Script as Bytes};
use tests::service;

use crate::bench::{
    chat, chat_body, good, once, plugin, plugin_of, post, raw, raw_stream, requests_to, sent_to, strange_service,
    with_header,
};
use crate::defaults::profile;

/// A model that answers.
pub const MODEL: &str = "acme/model";

/// A service with a model of our own.
pub fn with_model() -> tests::Service {
    let service = service();
    service.script(MODEL, Script::text("yes"));
    service
}

/// The body that goes to the service for this one, under these options.
pub fn sent(options: Value, request: HttpRequest) -> String {
    let service = with_model();
    let path = request.path.clone();
    good(&plugin(&service, options), request);
    sent_to(&service, &path)
}

/// A body as JSON.
pub fn read(body: &str) -> Value {
    serde_json::from_str(body).expect("JSON")
}

/// The members of a body, each as it is written.
fn members(body: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(body).expect("an object")
}

#[test]
fn every_member_of_a_request_arrives_as_it_is_written() {
    let body = r#"{
        "model":"acme/model",
        "messages":[ {"content": "Caf\u00e9 \/ \ud83c\udf02", "role":"user" , "x":1.0} ],
        "temperature":1.0, "top_p":1e0, "seed":0, "max_tokens": 10,
        "x_big":123456789012345678901234567890, "x_small":1.50e-300, "x_negative":-0.0, "x_empty":{}, "x_null":null,
        "x_text":"\u0041\t", "x_nested":{"b":[1 ,2.0],"a":{"b":"\u00e9"}}
    }"#;
    let sent = sent(json!({}), HttpRequest::post("/chat/completions", body));
    let (given, sent) = (members(body), members(&sent));
    for (name, value) in &given {
        assert_eq!(sent[name].get(), value.get(), "{name}");
    }
    assert_eq!(given.len(), sent.len(), "and nothing more");
}

#[test]
fn what_the_service_or_its_providers_understand_goes_through() {
    let tool =
        json!({"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": true}});
    let schema = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}});
    let parts = json!([{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]);
    let body = json!({
        "model": "acme/model:nitro",
        "messages": [{"role": "user", "content": parts}],
        "tools": [tool, {"type": "openrouter:web_search", "parameters": {"max_results": 2}}],
        "tool_choice": "auto", "parallel_tool_calls": false, "response_format": schema,
        "plugins": [{"id": "web", "max_results": 3, "search_prompt": "look"}],
        "user": "u", "session_id": "s", "prompt_cache_key": "k", "safety_identifier": "i", "metadata": {"a": "b"},
        "trace": {"trace_name": "t", "trace_id": "1"}, "service_tier": "flex", "usage": {"include": true},
        "reasoning": {"effort": "high"}, "verbosity": "low", "logit_bias": {"7": -1}, "logprobs": true,
        "top_logprobs": 2, "min_p": 0.1, "top_a": 0.2, "top_k": 3, "repetition_penalty": 1.1, "stop": ["a", "b"],
        "modalities": ["text"], "image_config": {"aspect_ratio": "1:1"}, "debug": {"echo_upstream_body": true},
        "stream_options": {"include_usage": true}, "cache_control": {"type": "ephemeral"},
    });
    let sent = sent(json!({}), post("/chat/completions", &body));
    assert_eq!(read(&sent), body);
}

#[test]
fn functions_in_the_old_form_go_through_too() {
    let mut body = chat_body(MODEL);
    body["functions"] = json!([{"name": "look", "parameters": {}}]);
    body["function_call"] = json!({"name": "look"});
    assert_eq!(read(&sent(json!({}), post("/chat/completions", &body))), body);
}

#[test]
fn routing_preferences_go_through_with_those_that_nobody_knows() {
    let preferences = json!({
        "order": ["novita/fp8", "openai"], "allow_fallbacks": true, "require_parameters": false,
        "data_collection": "deny", "only": ["sandbox"], "ignore": ["azure"], "quantizations": ["unknown"],
        "sort": {"by": "latency", "partition": "none"}, "max_price": {"prompt": "1000"}, "zdr": true,
        "enforce_distillable_text": false, "preferred_max_latency": {"p90": 3}, "preferred_min_throughput": 0.5,
        "unheard_of": {"x": 1},
    });
    let mut body = chat_body(MODEL);
    body["provider"] = preferences.clone();
    let service = Faultd::playing([Bytes::answer("yes")]);
    good(&plugin_of(&service, json!({})), post("/chat/completions", &body));
    assert_eq!(service.requests()[0].json()["provider"], preferences);
}

#[test]
fn the_members_of_provider_arrive_as_they_are_written() {
    let body = r#"{"model":"acme/model","messages":[],"provider":{"options":{"x":1.50,"big":123456789012345678901234567890},"sort":"price"}}"#;
    let service = Faultd::playing([Bytes::answer("yes")]);
    good(
        &plugin_of(&service, json!({})),
        HttpRequest::post("/chat/completions", body),
    );
    let sent = String::from_utf8(service.requests()[0].body.clone()).expect("text");
    assert_eq!(members(&sent)["provider"].get(), members(body)["provider"].get());
}

#[test]
fn a_provider_that_is_no_object_is_for_the_service_to_refuse() {
    let service = strange_service(|builder| builder);
    let mut body = chat_body(MODEL);
    body["provider"] = json!("openai");
    let error = raw(&plugin(&service, json!({})), post("/chat/completions", &body)).expect_err("a refusal");
    assert_eq!(error.kind, ErrorKind::INVALID_REQUEST);
    assert_eq!(error.details.status, Some(400), "{error}");
}

#[test]
fn how_the_answer_comes_is_said_by_what_is_called() {
    let service = with_model();
    let plugin = plugin(&service, json!({}));
    let mut body = chat_body(MODEL);
    body["stream"] = json!(true);
    good(&plugin, post("/chat/completions", &body));
    body["stream"] = json!(false);
    raw_stream(&plugin, post("/chat/completions", &body));
    let sent: Vec<Value> = requests_to(&service, "/chat/completions")
        .into_iter()
        .map(|request| request.body["stream"].clone())
        .collect();
    assert_eq!(sent, [Value::Null, json!(true)]);
}

#[test]
fn a_body_of_an_unknown_form_is_passed_on_byte_for_byte_but_for_the_model() {
    let service = Faultd::playing([Bytes::reply(200, &[], &json!({}))]);
    let plugin = plugin_of(&service, profile());
    let same = [
        &br#"{ "x":1.0,"model":"acme/voice" , "b":"\u00e9"}"#[..],
        br#"{"no":"model"}"#,
        b"--boundary\r\n\xff\xfe\r\n--boundary--",
        b"[1]",
    ];
    for body in same {
        good(&plugin, HttpRequest::post("/audio/speech", body.to_vec()));
    }
    good(
        &plugin,
        HttpRequest::post(
            "/audio/speech",
            r#"{"z":1.0,"model":"tier/image","b":"\u00e9", "a":[ ]}"#,
        ),
    );
    let sent: Vec<Vec<u8>> = service.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(sent[..4], same.map(<[u8]>::to_vec));
    let changed = String::from_utf8_lossy(&sent[4]).into_owned();
    let given = members(&changed);
    assert_eq!(given["model"].get(), r#""google/gemini-2.5-flash-image""#);
    assert_eq!(
        [given["z"].get(), given["b"].get(), given["a"].get()],
        ["1.0", r#""\u00e9""#, "[ ]"]
    );
    assert_eq!(given.keys().len(), 4);
}

#[test]
fn the_content_type_of_an_unknown_form_is_the_callers() {
    let service = Faultd::playing([Bytes::answer("yes")]);
    let plugin = plugin_of(&service, json!({}));
    let mut request = HttpRequest::new("POST", "/files");
    request.body = Some(b"--b--".to_vec().into());
    good(
        &plugin,
        with_header(request, "Content-Type", "multipart/form-data; boundary=b"),
    );
    good(&plugin, with_header(chat(MODEL), "Content-Type", "text/plain"));
    let arrived = service.requests();
    assert_eq!(
        arrived[0].header("content-type"),
        Some("multipart/form-data; boundary=b")
    );
    assert_eq!(
        arrived[1].header("content-type"),
        Some("application/json"),
        "its body is JSON by now"
    );
}

#[test]
fn a_request_that_is_no_object_is_refused_before_any_request() {
    let service = with_model();
    let plugin = plugin(&service, once());
    for body in ["", "[]", "nonsense", "{\"model\":", "\"text\""] {
        let error = raw(&plugin, HttpRequest::post("/chat/completions", body)).expect_err("a refusal");
        assert_eq!(error.kind, ErrorKind::INVALID_REQUEST, "{body}");
    }
    let mut body = chat_body(MODEL);
    body["model"] = json!(7);
    let error = raw(&plugin, post("/chat/completions", &body)).expect_err("a refusal");
    assert_eq!(error.message, "expected `model` to be a text, found something else");
    assert_eq!(service.requests(), []);
}

#[test]
fn the_query_of_a_request_goes_with_it_in_every_form() {
    let service = Faultd::playing([Bytes::answer("yes")]);
    let plugin = plugin_of(&service, once());
    for path in ["/responses", "/chat/completions"] {
        let _ = raw(&plugin, post(&format!("{path}?beta=true"), &chat_body(MODEL)));
        let arrived = service.requests().pop().expect("one came");
        assert_eq!(arrived.path, format!("/api/v1{path}?beta=true"));
    }
}

#[test]
fn plugins_of_a_request_that_nobody_knows_go_through() {
    let mut body = chat_body(MODEL);
    body["plugins"] = json!([{"id": "unheard-of", "x": {"y": 1}}]);
    let service = Faultd::playing([Bytes::answer("yes")]);
    good(&plugin_of(&service, json!({})), post("/chat/completions", &body));
    assert_eq!(service.requests()[0].json()["plugins"], body["plugins"]);
}
