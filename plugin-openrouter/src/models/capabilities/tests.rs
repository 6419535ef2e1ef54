//! What requests need, and what models are listed as supporting.

use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::*;
use crate::kit::{block_on, settings};
use crate::models::Store;

fn entry(id: &str, context: u64, parameters: &[&str], inputs: &[&str], outputs: &[&str]) -> Value {
    json!({
        "id": id, "context_length": context, "supported_parameters": parameters,
        "architecture": {"input_modalities": inputs, "output_modalities": outputs},
        "pricing": {"prompt": "0.1", "completion": "0.1"},
    })
}

fn entries() -> Vec<Value> {
    let (text, see): (&[&str], &[&str]) = (&["text"], &["text", "image"]);
    let all = [
        "tools",
        "tool_choice",
        "structured_outputs",
        "response_format",
        "reasoning",
    ];
    vec![
        entry("openrouter/auto", 1000, &["tools"], text, text),
        entry("~acme/plain-latest", 9000, &all, see, see),
        entry("acme/plain", 100, &["temperature"], text, text),
        entry("acme/plain:free", 100, &["temperature"], text, text),
        entry("acme/silent", 0, &[], &[], &[]),
        entry("other/tools", 1000, &["tools", "response_format"], text, text),
        entry(
            "other/all",
            9000,
            &all,
            &["text", "image", "file", "audio", "video"],
            &["text", "image", "audio"],
        ),
        entry("acme/tools", 1000, &["tools"], text, text),
        entry("acme/tools:free", 1000, &["tools"], text, text),
        entry(
            "acme/thinks",
            1000,
            &["tools", "tool_choice", "reasoning_effort"],
            see,
            text,
        ),
        entry("acme/schema", 1000, &["structured_outputs"], text, text),
        entry("third/tools", 1000, &["tools"], text, text),
        entry("third/gift:free", 1000, &["tools"], see, text),
        entry("third/eyes", 1000, &["temperature"], see, text),
    ]
}

fn catalogue(entries: Vec<Value>) -> Arc<Catalogue> {
    let settings = settings(json!({}), &[]);
    let store = Store::with(&settings, &json!(entries));
    block_on(store.catalogue(&settings)).expect("it is there")
}

fn raw(parameters: Value) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(&parameters.to_string()).expect("an object")
}

/// The messages of a user who sends these parts.
fn parts(types: &[&str]) -> String {
    let parts: Vec<Value> = types.iter().map(|name| json!({"type": name, *name: {}})).collect();
    json!([{"role": "user", "content": parts}]).to_string()
}

fn wanted(messages: &str, parameters: Value) -> Vec<&'static str> {
    let wants = wants(messages, &raw(parameters));
    wants.abilities.iter().map(|ability| ability.name()).collect()
}

fn lacks(model: &str, messages: &str, parameters: Value) -> Vec<Lack> {
    // Built once, because its settings include an HTTP client.
    static USUAL: OnceLock<Arc<Catalogue>> = OnceLock::new();
    let catalogue = USUAL.get_or_init(|| catalogue(entries()));
    let model = catalogue.find(model).expect("it is listed");
    lacking(&wants(messages, &raw(parameters)), model, catalogue)
}

fn messages_of(model: &str, messages: &str, parameters: Value) -> Vec<String> {
    lacks(model, messages, parameters)
        .into_iter()
        .map(|lack| lack.message)
        .collect()
}

#[test]
fn needs_are_read_from_the_parameters() {
    let rows: [(Value, &[&str]); 24] = [
        (json!({}), &[]),
        (
            json!({"temperature": 1, "tools": null, "modalities": null, "reasoning": null}),
            &[],
        ),
        (json!({"tools": []}), &[]),
        (json!({"tools": "all"}), &[]),
        (json!({"tools": [{}]}), &["tools"]),
        (json!({"functions": [{}]}), &["tools"]),
        (json!({"tools": [{}], "tool_choice": "auto"}), &["tools"]),
        (
            json!({"tools": [{}], "tool_choice": "required"}),
            &["tools", "tool_choice"],
        ),
        (
            json!({"tools": [{}], "tool_choice": {"type": "function"}}),
            &["tools", "tool_choice"],
        ),
        (json!({"tool_choice": "none"}), &[]),
        (json!({"response_format": {"type": "text"}}), &[]),
        (json!({"response_format": {"type": "json_object"}}), &["json_object"]),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {}}}),
            &["json_schema"],
        ),
        (json!({"reasoning": {}}), &[]),
        (json!({"reasoning": {"exclude": true}}), &[]),
        (json!({"reasoning": {"effort": "none"}}), &[]),
        (json!({"reasoning": {"enabled": false, "summary": "auto"}}), &[]),
        (json!({"reasoning": {"effort": null, "max_tokens": 9}}), &["reasoning"]),
        (json!({"reasoning": {"effort": "low", "exclude": true}}), &["reasoning"]),
        (json!({"reasoning_effort": "none"}), &[]),
        (json!({"reasoning_effort": "high"}), &["reasoning"]),
        (json!({"modalities": ["text"]}), &[]),
        (json!({"modalities": ["text", "image"]}), &["image_output"]),
        (
            json!({"modalities": ["audio", "image"]}),
            &["image_output", "audio_output"],
        ),
    ];
    for (parameters, expected) in rows {
        assert_eq!(wanted("[]", parameters.clone()), expected, "{parameters}");
    }
}

#[test]
fn needs_are_read_from_the_messages() {
    let rows: [(String, &[&str]); 8] = [
        (parts(&["text"]), &[]),
        (parts(&["text", "image_url"]), &["image_input"]),
        (
            parts(&["video_url", "input_audio", "image_url"]),
            &["image_input", "audio_input", "video_input"],
        ),
        (parts(&["input_video"]), &["video_input"]),
        (
            "[{\"content\": [{\"type\" \n:\t\"image_url\"}]}]".to_owned(),
            &["image_input"],
        ),
        // Text that looks like a content part, and text that ends like the key.
        (json!([{"content": r#"{"type":"image_url"}"#}]).to_string(), &[]),
        (json!([{"content": "say \"type", "name": "image_url"}]).to_string(), &[]),
        (
            json!([{"content": "image_url", "type": "file_url", "kind": "input_audio"}]).to_string(),
            &[],
        ),
    ];
    for (messages, expected) in rows {
        assert_eq!(wanted(&messages, json!({})), expected, "{messages}");
    }
    for broken in [
        "",
        "\"type\"",
        "\"type\":",
        "\"type\":\"",
        "\"type\":\"fi",
        "\"type\" : 7",
    ] {
        assert_eq!(wanted(broken, json!({})), [""; 0], "{broken}");
    }
}

#[test]
fn files_need_a_model_that_reads_them_only_if_the_service_does_not() {
    let rows = [
        (json!([]), false),
        (json!([{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}]), false),
        (json!([{"id": "file-parser", "pdf": {"engine": "native"}}]), true),
        (json!([{"id": "web"}, {"id": "file-parser", "enabled": false}]), true),
    ];
    for (plugins, is_wanted) in rows {
        let found = wanted(&parts(&["file"]), json!({"plugins": plugins}));
        assert_eq!(found == ["file_input"], is_wanted, "{plugins}");
    }
}

#[test]
fn each_lack_names_models_that_have_the_ability() {
    let rows = [
        (
            json!({"tools": [{}]}),
            "`acme/plain` is not listed as supporting tools, which this request uses: choose one of `acme/tools`, \
             `acme/thinks`, `other/tools`",
        ),
        (
            json!({"response_format": {"type": "json_schema"}}),
            "`acme/plain` is not listed as supporting output by a JSON schema, which this request asks for: choose \
             one of `acme/schema`, `other/tools`, `other/all`",
        ),
        (
            json!({"response_format": {"type": "json_object"}}),
            "`acme/plain` is not listed as supporting JSON output, which this request asks for: choose one of \
             `other/tools`, `other/all`",
        ),
        (
            json!({"reasoning": {"effort": "low"}}),
            "`acme/plain` is not listed as supporting reasoning, which this request asks for: choose one of \
             `acme/thinks`, `other/all`",
        ),
        (
            json!({"modalities": ["image"]}),
            "`acme/plain` is not listed as supporting image output, which this request asks for: choose `other/all`",
        ),
        (
            json!({"modalities": ["audio"]}),
            "`acme/plain` is not listed as supporting audio output, which this request asks for: choose `other/all`",
        ),
    ];
    for (parameters, expected) in rows {
        assert_eq!(messages_of("acme/plain", "[]", parameters), [expected]);
    }
    let rows = [
        (
            "image_url",
            "`acme/plain` is not listed as supporting image input, which this request has: choose one of \
             `acme/thinks`, `other/all`, `third/eyes`",
        ),
        (
            "input_audio",
            "`acme/plain` is not listed as supporting audio input, which this request has: choose `other/all`",
        ),
        (
            "video_url",
            "`acme/plain` is not listed as supporting video input, which this request has: choose `other/all`",
        ),
        (
            "file",
            "`acme/plain` is not listed as supporting file input, which this request has: choose `other/all`",
        ),
    ];
    for (part, expected) in rows {
        let native = json!({"plugins": [{"id": "file-parser", "pdf": {"engine": "native"}}]});
        assert_eq!(messages_of("acme/plain", &parts(&[part]), native), [expected]);
    }
    assert_eq!(
        messages_of("acme/tools", "[]", json!({"tools": [{}], "tool_choice": "required"})),
        [
            "`acme/tools` is not listed as supporting `tool_choice`, which this request uses: choose one of \
          `acme/thinks`, `other/all`"
        ]
    );
}

#[test]
fn suggested_models_lack_nothing_if_possible() {
    let demanding = json!({"tools": [{}], "tool_choice": "required", "reasoning_effort": "low"});
    let found = lacks("acme/plain", &parts(&["image_url"]), demanding);
    let abilities: Vec<&str> = found.iter().map(|lack| lack.ability).collect();
    // Without tools, `tool_choice` is not reported on its own.
    assert_eq!(abilities, ["tools", "reasoning", "image_input"]);
    for lack in &found {
        assert!(
            lack.message.ends_with(": choose one of `acme/thinks`, `other/all`"),
            "{}",
            lack.message
        );
    }
    // None has both.
    let mut entries = entries();
    entries.retain(|entry| entry["id"] != "other/all");
    let catalogue = catalogue(entries);
    let model = catalogue.find("acme/plain").expect("it is listed");
    let both = wants("[]", &raw(json!({"reasoning_effort": "low", "modalities": ["audio"]})));
    let messages: Vec<String> = lacking(&both, model, &catalogue)
        .into_iter()
        .map(|lack| lack.message)
        .collect();
    assert_eq!(
        messages,
        [
            "`acme/plain` is not listed as supporting reasoning, which this request asks for: choose `acme/thinks`",
            "`acme/plain` is not listed as supporting audio output, which this request asks for",
        ]
    );
}

#[test]
fn only_free_models_are_suggested_for_a_free_one() {
    let expected = "`acme/plain:free` is not listed as supporting tools, which this request uses: choose one of \
                    `acme/tools:free`, `third/gift:free`";
    assert_eq!(messages_of("acme/plain:free", "[]", json!({"tools": [{}]})), [expected]);
}

#[test]
fn unknown_abilities_are_not_lacking() {
    let everything = json!({"tools": [{}], "tool_choice": "none", "response_format": {"type": "json_schema"},
        "reasoning_effort": "low", "modalities": ["image", "audio"]});
    let long = json!([{"role": "user", "content": "word ".repeat(100_000)}]).to_string();
    for model in ["acme/silent", "openrouter/auto", "other/all"] {
        let seeing = parts(&["image_url", "input_audio", "video_url"]);
        assert_eq!(lacks(model, &seeing, everything.clone()), [], "{model}");
    }
    for model in ["acme/silent", "openrouter/auto"] {
        assert_eq!(lacks(model, &long, json!({})), [], "{model}");
    }
}

#[test]
fn a_prompt_that_cannot_fit_is_a_lack() {
    let text = |n_bytes: usize| format!("\"{}\"", "x".repeat(n_bytes - 2));
    assert_eq!(lacks("acme/plain", &text(605), json!({})), []);
    assert_eq!(
        lacks("acme/plain", &text(606), json!({})),
        [Lack {
            ability: "context",
            message: "`acme/plain` accepts at most 100 tokens, and this request has at least about 101: choose one of \
                      `acme/tools`, `acme/thinks`, `acme/schema`"
                .to_owned(),
        }]
    );
    assert_eq!(
        messages_of("acme/plain", &text(9000), json!({})),
        ["`acme/plain` accepts at most 100 tokens, and this request has at least about 1500: choose `other/all`"]
    );
    assert_eq!(
        messages_of("acme/plain", &text(900_000), json!({})),
        ["`acme/plain` accepts at most 100 tokens, and this request has at least about 150000"]
    );
    // Escaped characters count as shorter, images are not text, and compression makes a prompt fit.
    assert_eq!(
        lacks("acme/plain", &format!("\"{}\"", r"\u0416".repeat(200)), json!({})),
        []
    );
    let picture = json!([{"content": [{"type": "image_url", "image_url": {"url": "A".repeat(90_000)}}]}]);
    assert_eq!(lacks("acme/thinks", &picture.to_string(), json!({})), []);
    let compressed = json!({"plugins": [{"id": "context-compression"}]});
    assert_eq!(lacks("acme/plain", &text(9000), compressed), []);
    let not_compressed = json!({"plugins": [{"id": "context-compression", "enabled": false}]});
    assert_eq!(lacks("acme/plain", &text(9000), not_compressed).len(), 1);
}

#[test]
fn a_number_out_of_range_is_reported() {
    let rows = [
        (
            "temperature",
            json!(2.1),
            "expected `temperature` from 0 to 2, found 2.1",
        ),
        ("temperature", json!(-1), "expected `temperature` from 0 to 2, found -1"),
        ("top_p", json!(1.5), "expected `top_p` from 0 to 1, found 1.5"),
        ("top_k", json!(-1), "expected `top_k` of at least 0, found -1"),
        ("min_p", json!(2), "expected `min_p` from 0 to 1, found 2"),
        ("top_a", json!(-0.5), "expected `top_a` from 0 to 1, found -0.5"),
        (
            "frequency_penalty",
            json!(3),
            "expected `frequency_penalty` from -2 to 2, found 3",
        ),
        (
            "presence_penalty",
            json!(-3),
            "expected `presence_penalty` from -2 to 2, found -3",
        ),
        (
            "repetition_penalty",
            json!(9),
            "expected `repetition_penalty` from 0 to 2, found 9",
        ),
        (
            "top_logprobs",
            json!(21),
            "expected `top_logprobs` from 0 to 20, found 21",
        ),
        (
            "logit_bias",
            json!({"1": 100, "2": -101, "3": "x"}),
            "expected each value of `logit_bias` from -100 to 100, found -101",
        ),
    ];
    for (name, value, expected) in rows {
        assert_eq!(out_of_range(&raw(json!({name: value}))), [expected]);
    }
    let huge = BTreeMap::from([(
        "temperature".to_owned(),
        RawValue::from_string("1e999".to_owned()).expect("a number"),
    )]);
    assert_eq!(out_of_range(&huge), ["expected `temperature` from 0 to 2, found inf"]);
}

#[test]
fn a_length_over_its_limit_is_reported_without_the_value() {
    let long = "ü".repeat(600);
    let pairs: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("v"))).collect();
    let rows = [
        (
            json!({"stop": ["a", "b", "c", "d", "e"]}),
            "expected `stop` with at most 4 strings, found 5",
        ),
        (
            json!({"session_id": long}),
            "expected `session_id` with at most 256 characters, found 600",
        ),
        (
            json!({"metadata": pairs}),
            "expected `metadata` with at most 16 pairs, found 17",
        ),
        (
            json!({"metadata": {"k": "v", &long[..140]: "v"}}),
            "expected keys of `metadata` with at most 64 characters, found 70",
        ),
        (
            json!({"metadata": {"k": long, "n": 1}}),
            "expected values of `metadata` with at most 512 characters, found 600",
        ),
        (
            json!({"tools": ["odd", {"type": "openrouter:web_search"}, {"function": {"name": &long[..130]}}]}),
            "expected a name at `tools[2]` with at most 64 characters, found 65",
        ),
        (
            json!({"response_format": {"type": "json_schema", "json_schema": {"name": &long[..130]}}}),
            "expected a name at `response_format.json_schema` with at most 64 characters, found 65",
        ),
    ];
    for (parameters, expected) in rows {
        assert_eq!(out_of_range(&raw(parameters)), [expected]);
    }
}

#[test]
fn values_in_range_or_of_another_type_are_not_reported() {
    let name = "n".repeat(64);
    let good = json!({"temperature": 2, "top_p": 0, "top_k": 1_000_000, "min_p": 1.0, "top_a": 0.0,
        "frequency_penalty": -2, "presence_penalty": 2, "repetition_penalty": 0, "top_logprobs": 20,
        "stop": ["a", "b", "c", "d"], "logit_bias": {"1": 100, "2": -100}, "session_id": "s".repeat(256),
        "metadata": {&name: "v".repeat(512)}, "tools": [{"type": "function", "function": {"name": name}}],
        "max_tokens": 0, "new_field": -1});
    assert_eq!(out_of_range(&raw(good)), [""; 0]);
    let odd = json!({"temperature": "hot", "top_p": null, "top_k": [], "stop": "one", "logit_bias": 7,
        "session_id": 7, "metadata": [], "tools": {}, "response_format": "json"});
    assert_eq!(out_of_range(&raw(odd)), [""; 0]);
    assert_eq!(out_of_range(&BTreeMap::new()), [""; 0]);
}

#[test]
fn badges_have_a_fixed_order() {
    let priced = |id: &str, pricing: Value| {
        let mut entry = entry(id, 1, &["reasoning", "tools"], &["text"], &["text"]);
        entry["pricing"] = pricing;
        entry
    };
    let mut entries = entries();
    entries.extend([
        priced("free/all", json!({"prompt": "0", "completion": "0", "request": "0"})),
        priced(
            "free/request",
            json!({"prompt": "0", "completion": "0", "request": "0.01"}),
        ),
        priced("free/unknown", json!({"prompt": "0"})),
        priced(
            "free/short",
            json!({"prompt": "0", "completion": "0",
            "overrides": [{"min_prompt_tokens": 1000, "prompt": "0.1"}]}),
        ),
    ]);
    let catalogue = catalogue(entries);
    let rows: [(&str, &[&str]); 9] = [
        (
            "other/all",
            &["vision", "audio", "files", "tools", "reasoning", "json", "images"],
        ),
        ("other/tools", &["tools", "json"]),
        ("acme/schema", &["json"]),
        ("acme/plain", &[]),
        ("acme/silent", &[]),
        ("free/all", &["tools", "reasoning", "free"]),
        ("free/request", &["tools", "reasoning"]),
        ("free/unknown", &["tools", "reasoning"]),
        ("free/short", &["tools", "reasoning"]),
    ];
    for (id, expected) in rows {
        assert_eq!(badges(catalogue.find(id).expect("it is listed")), expected, "{id}");
    }
}
