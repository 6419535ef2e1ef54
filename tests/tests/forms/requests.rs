//! A request in the service's own form reaches the service in the same bytes, or is refused before anything is sent.

use std::collections::BTreeMap;

use plugin_api::{ErrorKind, HttpRequest};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::faultd::{Faultd, Script};
use tests::service;

use crate::bench::{
    MODEL, arrived, bad, chat, chat_body, chat_with, good, once, plugin, plugin_of, raw_stream, with, with_header,
};
use crate::defaults::profile;

/// The members of a body, each as it is written.
fn members(body: &[u8]) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_slice(body).expect("an object")
}

#[test]
fn every_member_arrives_as_it_was_written() {
    let odd = r#"{
        "model":"acme/model",
        "messages":[ {"content": "Caf\u00e9 \/ \ud83c\udf02", "role":"user" , "x":1.0} ],
        "temperature":1.0, "top_p":1e0, "seed":0, "max_tokens": 10,
        "provider":{"options":{"x":1.50,"big":123456789012345678901234567890},"sort":"price"},
        "x_big":123456789012345678901234567890, "x_small":1.50e-300, "x_negative":-0.0, "x_empty":{}, "x_null":null,
        "x_text":"\u0041\t", "x_nested":{"b":[1 ,2.0],"a":{"b":"\u00e9"}}
    }"#;
    // It is for the service to refuse this one.
    let wrong_kind = r#"{"model":"acme/model","messages":[],"provider":"openai"}"#;
    for body in [odd, wrong_kind] {
        let sent = members(&arrived(json!({}), HttpRequest::post("/chat/completions", body)).body);
        let given = members(body.as_bytes());
        for (name, value) in &given {
            assert_eq!(sent[name].get(), value.get(), "{name}");
        }
        assert_eq!(given.len(), sent.len(), "nothing is added");
    }
}

#[test]
fn known_and_unknown_members_pass_unchanged() {
    let members = json!({
        "model": "acme/model:nitro",
        "messages": [{"role": "user", "content": [
            {"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/never-fetched.png"}},
            {"type": "input_audio", "input_audio": {"data": "c2FuZGJveA==", "format": "wav"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}}]}],
        "tools": [
            {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}, "strict": true}},
            {"type": "openrouter:web_search", "parameters": {"max_results": 2}}],
        "tool_choice": "auto", "parallel_tool_calls": false,
        "functions": [{"name": "look", "parameters": {}}], "function_call": {"name": "look"},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
        "plugins": [{"id": "web", "max_results": 3, "search_prompt": "look"}, {"id": "unheard-of", "x": {"y": 1}},
            {"id": "auto-router", "allowed_models": ["openai/*"], "cost_quality_tradeoff": 3}],
        "provider": {
            "order": ["novita/fp8", "openai"], "allow_fallbacks": true, "require_parameters": false,
            "data_collection": "deny", "only": ["sandbox"], "ignore": ["azure"], "quantizations": ["unknown"],
            "sort": {"by": "latency", "partition": "none"}, "max_price": {"prompt": "1000"}, "zdr": true,
            "enforce_distillable_text": false, "preferred_max_latency": {"p90": 3}, "preferred_min_throughput": 0.5,
            "unheard_of": {"x": 1}},
        "user": "u", "session_id": "s", "prompt_cache_key": "k", "safety_identifier": "i", "metadata": {"a": "b"},
        "trace": {"trace_name": "t", "trace_id": "1", "span_name": "s", "mine": 7}, "temperature": 0.7, "top_p": 0.9,
        "frequency_penalty": 0.5, "presence_penalty": -0.5, "seed": 7, "unheard_of": {"a": [1, null]}, "service_tier": "flex", "usage": {"include": true},
        "reasoning": {"effort": "high"}, "verbosity": "low", "logit_bias": {"7": -1}, "logprobs": true,
        "top_logprobs": 2, "min_p": 0.1, "top_a": 0.2, "top_k": 3, "repetition_penalty": 1.1, "stop": ["a", "b"],
        "modalities": ["text"], "image_config": {"aspect_ratio": "1:1"}, "debug": {"echo_upstream_body": true},
        "stream_options": {"include_usage": true}, "cache_control": {"type": "ephemeral"},
    });
    let expected = with(chat_body(MODEL), &members);
    assert_eq!(arrived(json!({}), chat_with(&members)).json(), expected);
}

#[test]
fn the_function_called_decides_whether_the_answer_streams() {
    let service = Faultd::playing([Script::answer("yes")]);
    let plugin = plugin_of(&service, json!({}));
    good(&plugin, chat_with(&json!({"stream": true})));
    raw_stream(&plugin, chat_with(&json!({"stream": false})));
    let sent = service
        .requests()
        .into_iter()
        .map(|request| request.json()["stream"].clone());
    assert_eq!(sent.collect::<Vec<_>>(), [Value::Null, json!(true)]);
}

#[test]
fn a_body_of_an_unknown_form_keeps_every_byte_but_its_tier() {
    let service = Faultd::playing([Script::reply(200, &[], &json!({}))]);
    let plugin = plugin_of(&service, profile());
    let send = |body: &[u8]| {
        good(&plugin, HttpRequest::post("/audio/speech", body.to_vec()));
        service.requests().pop().expect("one came").body
    };
    let large: Vec<u8> = (0..8_u32 << 20).map(|n| (n ^ (n >> 8)) as u8).collect();
    for (name, body) in [
        (
            "odd spelling",
            &br#"{ "x":1.0,"model":"acme/voice" , "b":"\u00e9"}"#[..],
        ),
        ("no model", br#"{"no":"model"}"#),
        ("no text", b"--boundary\r\n\xff\xfe\r\n--boundary--"),
        ("no object", b"[1]"),
        ("8 MiB", &large),
    ] {
        assert!(send(body) == body, "{name}: some byte changed");
    }
    let changed = members(&send(br#"{"z":1.0,"model":"tier/image","b":"\u00e9", "a":[ ]}"#));
    let changed: Vec<(&str, &str)> = changed
        .iter()
        .map(|(name, value)| (name.as_str(), value.get()))
        .collect();
    let model = r#""google/gemini-2.5-flash-image""#;
    assert_eq!(
        changed,
        [("a", "[ ]"), ("b", r#""\u00e9""#), ("model", model), ("z", "1.0")]
    );
}

#[test]
fn only_an_unknown_form_keeps_the_callers_content_type() {
    let mut files = HttpRequest::new("POST", "/files");
    files.body = Some(b"--b--".to_vec().into());
    let form_data = "multipart/form-data; boundary=b";
    for (request, given, expected) in [
        (files, form_data, form_data),
        (chat(MODEL), "text/plain", "application/json"),
    ] {
        let arrived = arrived(json!({}), with_header(request, "Content-Type", given));
        assert_eq!(arrived.header("content-type"), Some(expected));
    }
}

#[test]
fn malformed_requests_are_refused_before_anything_is_sent() {
    let service = service();
    let plugin = plugin(&service, once());
    let mut rows: Vec<(HttpRequest, &str)> = vec![
        (
            chat_with(&json!({"model": 7})),
            "expected `model` to be a string, found something else",
        ),
        (
            with_header(chat(MODEL), "X-Title", "a\r\nx-evil: 1"),
            "the header `x-title` has a value that HTTP does not allow",
        ),
    ];
    for method in ["CONNECT", "TRACE", "OPTIONS", "HEAD", "get", "", "GET / HTTP/1.1\r\nx"] {
        let message = "expected the method GET, POST, PUT, PATCH or DELETE, found another one";
        rows.push((HttpRequest::new(method, "/models"), message));
    }
    for body in ["", "[]", "nonsense", "{\"model\":", "\"text\""] {
        rows.push((HttpRequest::post("/chat/completions", body), "expected "));
    }
    for (request, message) in rows {
        let what = format!("{request:?} {:?}", request.body);
        let error = bad(&plugin, request);
        assert_eq!(error.kind, ErrorKind::INVALID_REQUEST, "{what}");
        assert!(error.message.starts_with(message), "{what}: {error}");
    }
    assert_eq!(service.requests(), []);
}

#[test]
fn every_method_and_path_arrives_as_written() {
    let service = Faultd::playing([Script::answer("yes")]);
    let plugin = plugin_of(&service, once());
    let rows = [
        ("GET", "/models/acme/model:free/endpoints"),
        ("GET", "/generation?id=gen%20x&y=a+b&z=%2e%2E/"),
        ("GET", "/keys/"),
        ("GET", "/a//b?"),
        ("POST", "/keys/1?x=a%2Fb"),
        ("PUT", "/keys/1?x=a%2Fb"),
        ("PATCH", "/keys/1?x=a%2Fb"),
        ("DELETE", "/keys/1?x=a%2Fb"),
        ("POST", "/chat/completions?beta=true"),
    ];
    for (method, path) in rows {
        let mut request = HttpRequest::new(method, path);
        request.body = chat(MODEL).body.filter(|_| path.starts_with("/chat"));
        good(&plugin, request);
        let arrived = service.requests().pop().expect("one came");
        assert_eq!(
            (arrived.method, arrived.path),
            (method.to_owned(), format!("/api/v1{path}"))
        );
    }
}
