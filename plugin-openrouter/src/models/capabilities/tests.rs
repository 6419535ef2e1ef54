//! What requests need, and what models are listed as supporting.

use std::sync::{Arc, OnceLock};

use serde_json::json;

use super::*;
use crate::kit::{catalogue, raw, rows};

const ALL: &str = "tools tool_choice structured_outputs response_format reasoning";

/// Each row: an id, its longest context, the parameters, inputs and outputs it supports.
fn entries() -> Vec<Value> {
    let models = "
        openrouter/auto | 1000 | tools | text | text
        ~acme/plain-latest | 9000 | ALL | text image | text image
        acme/plain | 100 | temperature | text | text
        acme/plain:free | 100 | temperature | text | text
        acme/silent | 0 | | |
        other/tools | 1000 | tools response_format | text | text
        other/all | 9000 | ALL | text image file audio video | text image audio
        acme/tools | 1000 | tools | text | text
        acme/tools:free | 1000 | tools | text | text
        acme/thinks | 1000 | tools tool_choice reasoning_effort | text image | text
        acme/schema | 1000 | structured_outputs | text | text
        third/tools | 1000 | tools | text | text
        third/gift:free | 1000 | tools | text image | text
        third/eyes | 1000 | temperature | text image | text
    ";
    let words = |words: &str| -> Vec<String> {
        words
            .replace("ALL", ALL)
            .split_whitespace()
            .map(str::to_owned)
            .collect()
    };
    let entry = |[id, context, parameters, inputs, outputs]: [&str; 5]| {
        json!({"id": id, "context_length": context.parse::<u64>().expect("a number"),
            "supported_parameters": words(parameters), "pricing": {"prompt": "0.1", "completion": "0.1"},
            "architecture": {"input_modalities": words(inputs), "output_modalities": words(outputs)}})
    };
    rows(models).into_iter().map(entry).collect()
}

fn usual() -> &'static Catalogue {
    // Built once, because its settings include an HTTP client.
    static USUAL: OnceLock<Arc<Catalogue>> = OnceLock::new();
    USUAL.get_or_init(|| catalogue(&json!(entries())))
}

fn members(parameters: &str) -> BTreeMap<String, Box<RawValue>> {
    serde_json::from_str(parameters).expect("an object")
}

/// The messages of a user who sends these parts.
fn parts(types: &[&str]) -> String {
    let parts: Vec<Value> = types.iter().map(|name| json!({"type": name, *name: {}})).collect();
    json!([{"role": "user", "content": parts}]).to_string()
}

fn wanted(messages: &str, parameters: &str) -> String {
    let wants = wants(messages, &members(parameters));
    let names: Vec<&str> = wants.abilities.iter().map(|ability| ability.name()).collect();
    names.join(" ")
}

fn lacks_in(catalogue: &Catalogue, model: &str, messages: &str, parameters: &str) -> Vec<Lack> {
    let model = catalogue.find(model).expect("it is listed");
    lacking(&wants(messages, &members(parameters)), model, catalogue)
}

fn lacks(model: &str, messages: &str, parameters: &str) -> Vec<Lack> {
    lacks_in(usual(), model, messages, parameters)
}

fn messages_of(lacks: Vec<Lack>) -> Vec<String> {
    lacks.into_iter().map(|lack| lack.message).collect()
}

#[test]
fn needs_are_read_from_the_parameters() {
    let table = r#"
        {} |
        {"temperature": 1, "tools": null, "modalities": null, "reasoning": null} |
        {"tools": []} |
        {"tools": "all"} |
        {"tools": [{}]} | tools
        {"functions": [{}]} | tools
        {"tools": [{}], "tool_choice": "auto"} | tools
        {"tools": [{}], "tool_choice": "required"} | tools tool_choice
        {"tools": [{}], "tool_choice": {"type": "function"}} | tools tool_choice
        {"tool_choice": "none"} |
        {"response_format": {"type": "text"}} |
        {"response_format": {"type": "json_object"}} | json_object
        {"response_format": {"type": "json_schema", "json_schema": {}}} | json_schema
        {"reasoning": {}} |
        {"reasoning": {"exclude": true}} |
        {"reasoning": {"effort": "none"}} |
        {"reasoning": {"enabled": false, "summary": "auto"}} |
        {"reasoning": {"effort": null, "max_tokens": 9}} | reasoning
        {"reasoning": {"effort": "low", "exclude": true}} | reasoning
        {"reasoning_effort": "none"} |
        {"reasoning_effort": "high"} | reasoning
        {"modalities": ["text"]} |
        {"modalities": ["text", "image"]} | image_output
        {"modalities": ["audio", "image"]} | image_output audio_output
    "#;
    for [parameters, expected] in rows(table) {
        assert_eq!(wanted("[]", parameters), expected, "{parameters}");
    }
}

#[test]
fn needs_are_read_from_the_messages() {
    let table = r#"
        [{"role": "user", "content": [{"type": "text"}]}] |
        [{"content": [{"type": "text"}, {"type": "image_url", "image_url": {}}]}] | image_input
        [{"content": [{"type":"video_url"}, {"type":"input_audio"}, {"type":"image_url"}]}]
            | image_input audio_input video_input
        [{"content": [{"type": "input_video"}]}] | video_input
        [{"content": "{\"type\":\"image_url\"}"}] |
        [{"content": "say \"type", "name": "image_url"}] |
        [{"content": "image_url", "type": "file_url", "kind": "input_audio"}] |
        "type" |
        "type": |
        "type":" |
        "type":"fi |
        "type" : 7 |
    "#;
    for [messages, expected] in rows(table) {
        assert_eq!(wanted(messages, "{}"), expected, "{messages}");
    }
    let found = wanted("[{\"content\": [{\"type\" \n:\t\"image_url\"}]}]", "{}");
    assert_eq!(found, "image_input");
    assert_eq!(wanted("", "{}"), "");
}

#[test]
fn files_need_a_model_that_reads_them_only_if_the_service_does_not() {
    let table = r#"
        [] |
        [{"id": "file-parser", "pdf": {"engine": "mistral-ocr"}}] |
        [{"id": "file-parser", "pdf": {"engine": "native"}}] | file_input
        [{"id": "web"}, {"id": "file-parser", "enabled": false}] | file_input
    "#;
    for [plugins, expected] in rows(table) {
        let found = wanted(&parts(&["file"]), &format!(r#"{{"plugins": {plugins}}}"#));
        assert_eq!(found, expected, "{plugins}");
    }
}

#[test]
fn each_lack_names_models_that_have_the_ability() {
    let table = r#"
        {"tools": [{}]} | tools, which this request uses: choose one of `acme/tools`, `acme/thinks`, `other/tools`
        {"response_format": {"type": "json_schema"}} | output by a JSON schema, which this request asks for: choose one of `acme/schema`, `other/tools`, `other/all`
        {"response_format": {"type": "json_object"}} | JSON output, which this request asks for: choose one of `other/tools`, `other/all`
        {"reasoning": {"effort": "low"}} | reasoning, which this request asks for: choose one of `acme/thinks`, `other/all`
        {"modalities": ["image"]} | image output, which this request asks for: choose `other/all`
        {"modalities": ["audio"]} | audio output, which this request asks for: choose `other/all`
        image_url | image input, which this request has: choose one of `acme/thinks`, `other/all`, `third/eyes`
        input_audio | audio input, which this request has: choose `other/all`
        video_url | video input, which this request has: choose `other/all`
        file | file input, which this request has: choose `other/all`
    "#;
    for [need, expected] in rows(table) {
        let native = r#"{"plugins": [{"id": "file-parser", "pdf": {"engine": "native"}}]}"#;
        let lacks = match need.starts_with('{') {
            true => lacks("acme/plain", "[]", need),
            false => lacks("acme/plain", &parts(&[need]), native),
        };
        let expected = format!("`acme/plain` is not listed as supporting {expected}");
        assert_eq!(messages_of(lacks), [expected]);
    }
    let required = lacks("acme/tools", "[]", r#"{"tools": [{}], "tool_choice": "required"}"#);
    let expected = "`acme/tools` is not listed as supporting `tool_choice`, which this request uses: choose one of \
                    `acme/thinks`, `other/all`";
    assert_eq!(messages_of(required), [expected]);
}

#[test]
fn suggested_models_lack_nothing_if_possible() {
    let demanding = r#"{"tools": [{}], "tool_choice": "required", "reasoning_effort": "low"}"#;
    let found = lacks("acme/plain", &parts(&["image_url"]), demanding);
    let abilities: Vec<&str> = found.iter().map(|lack| lack.ability).collect();
    // Without tools, `tool_choice` is not reported on its own.
    assert_eq!(abilities, ["tools", "reasoning", "image_input"]);
    for message in messages_of(found) {
        let expected = ": choose one of `acme/thinks`, `other/all`";
        assert!(message.ends_with(expected), "{message}");
    }
    // None has both.
    let mut entries = entries();
    entries.retain(|entry| entry["id"] != "other/all");
    let both = r#"{"reasoning_effort": "low", "modalities": ["audio"]}"#;
    assert_eq!(
        messages_of(lacks_in(&catalogue(&json!(entries)), "acme/plain", "[]", both)),
        [
            "`acme/plain` is not listed as supporting reasoning, which this request asks for: choose `acme/thinks`",
            "`acme/plain` is not listed as supporting audio output, which this request asks for",
        ]
    );
    // Only free models are suggested for a free one.
    let expected = "`acme/plain:free` is not listed as supporting tools, which this request uses: choose one of \
                    `acme/tools:free`, `third/gift:free`";
    assert_eq!(
        messages_of(lacks("acme/plain:free", "[]", r#"{"tools": [{}]}"#)),
        [expected]
    );
}

#[test]
fn unknown_abilities_are_not_lacking() {
    let everything = r#"{"tools": [{}], "tool_choice": "none", "response_format": {"type": "json_schema"},
        "reasoning_effort": "low", "modalities": ["image", "audio"]}"#;
    let long = json!([{"role": "user", "content": "word ".repeat(100_000)}]).to_string();
    let seeing = parts(&["image_url", "input_audio", "video_url"]);
    assert_eq!(lacks("other/all", &seeing, everything), []);
    for model in ["acme/silent", "openrouter/auto"] {
        assert_eq!(lacks(model, &seeing, everything), [], "{model}");
        assert_eq!(lacks(model, &long, "{}"), [], "{model}");
    }
}

#[test]
fn a_prompt_that_cannot_fit_is_a_lack() {
    let found = |text: &str, parameters| {
        let lacks = lacks("acme/plain", &format!("\"{text}\""), parameters);
        assert!(lacks.iter().all(|lack| lack.ability == "context"));
        messages_of(lacks).concat()
    };
    for (n_bytes, expected) in [
        (604, "101: choose one of `acme/tools`, `acme/thinks`, `acme/schema`"),
        (8_998, "1500: choose `other/all`"),
        (899_998, "150000"),
    ] {
        let limit = "`acme/plain` accepts at most 100 tokens, and this request has at least about";
        assert_eq!(found(&"x".repeat(n_bytes), "{}"), format!("{limit} {expected}"));
    }
    // Escaped characters count as shorter, images are not text, and compression makes a prompt fit.
    assert_eq!(found(&"x".repeat(603), "{}"), "");
    assert_eq!(found(&r"\u0416".repeat(200), "{}"), "");
    let picture = json!([{"content": [{"type": "image_url", "image_url": {"url": "A".repeat(90_000)}}]}]);
    assert_eq!(lacks("acme/thinks", &picture.to_string(), "{}"), []);
    assert_eq!(
        found(&"x".repeat(9000), r#"{"plugins": [{"id": "context-compression"}]}"#),
        ""
    );
    let not_compressed = r#"{"plugins": [{"id": "context-compression", "enabled": false}]}"#;
    assert_ne!(found(&"x".repeat(9000), not_compressed), "");
}

#[test]
fn a_number_out_of_range_is_reported() {
    let table = r#"
        temperature | 2.1 | `temperature` from 0 to 2, found 2.1
        temperature | -1 | `temperature` from 0 to 2, found -1
        temperature | 1e999 | `temperature` from 0 to 2, found inf
        top_p | 1.5 | `top_p` from 0 to 1, found 1.5
        top_k | -1 | `top_k` of at least 0, found -1
        min_p | 2 | `min_p` from 0 to 1, found 2
        top_a | -0.5 | `top_a` from 0 to 1, found -0.5
        frequency_penalty | 3 | `frequency_penalty` from -2 to 2, found 3
        presence_penalty | -3 | `presence_penalty` from -2 to 2, found -3
        repetition_penalty | 9 | `repetition_penalty` from 0 to 2, found 9
        top_logprobs | 21 | `top_logprobs` from 0 to 20, found 21
        logit_bias | {"1": 100, "2": -101, "3": "x"} | each value of `logit_bias` from -100 to 100, found -101
    "#;
    for [name, value, expected] in rows(table) {
        let parameters = BTreeMap::from([(name.to_owned(), raw(value))]);
        assert_eq!(out_of_range(&parameters), [format!("expected {expected}")]);
    }
}

#[test]
fn a_length_over_its_limit_is_reported_without_the_value() {
    let pairs: Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("v"))).collect();
    let table = r#"
        {"stop": ["a", "b", "c", "d", "e"]} | `stop` with at most 4 strings, found 5
        {"session_id": "LONG"} | `session_id` with at most 256 characters, found 600
        {"metadata": PAIRS} | `metadata` with at most 16 pairs, found 17
        {"metadata": {"k": "v", "MIDDLE": "v"}} | keys of `metadata` with at most 64 characters, found 65
        {"metadata": {"k": "LONG", "n": 1}} | values of `metadata` with at most 512 characters, found 600
        {"tools": ["odd", {"type": "openrouter:web_search"}, {"function": {"name": "MIDDLE"}}]}
            | a name at `tools[2]` with at most 64 characters, found 65
        {"response_format": {"type": "json_schema", "json_schema": {"name": "MIDDLE"}}}
            | a name at `response_format.json_schema` with at most 64 characters, found 65
    "#;
    for [parameters, expected] in rows(table) {
        let parameters = parameters
            .replace("LONG", &"ü".repeat(600))
            .replace("MIDDLE", &"ü".repeat(65));
        let parameters = parameters.replace("PAIRS", &json!(pairs).to_string());
        assert_eq!(out_of_range(&members(&parameters)), [format!("expected {expected}")]);
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
    assert_eq!(out_of_range(&members(&good.to_string())), [""; 0]);
    let odd = json!({"temperature": "hot", "top_p": null, "top_k": [], "stop": "one", "logit_bias": 7,
        "session_id": 7, "metadata": [], "tools": {}, "response_format": "json"});
    assert_eq!(out_of_range(&members(&odd.to_string())), [""; 0]);
    assert_eq!(out_of_range(&BTreeMap::new()), [""; 0]);
}

#[test]
fn badges_have_a_fixed_order() {
    let prices = r#"
        free/all | {"prompt": "0", "completion": "0", "request": "0"}
        free/request | {"prompt": "0", "completion": "0", "request": "0.01"}
        free/unknown | {"prompt": "0"}
        free/short
            | {"prompt": "0", "completion": "0", "overrides": [{"min_prompt_tokens": 1000, "prompt": "0.1"}]}
    "#;
    let mut entries = entries();
    entries.extend(rows(prices).into_iter().map(
        |[id, pricing]| json!({"id": id, "supported_parameters": ["reasoning", "tools"], "pricing": raw(pricing)}),
    ));
    let catalogue = catalogue(&json!(entries));
    let table = "
        other/all | vision audio files tools reasoning json images
        other/tools | tools json
        acme/schema | json
        acme/plain |
        acme/silent |
        free/all | tools reasoning free
        free/request | tools reasoning
        free/unknown | tools reasoning
        free/short | tools reasoning
    ";
    for [id, expected] in rows(table) {
        let found = badges(catalogue.find(id).expect("it is listed")).join(" ");
        assert_eq!(found, expected, "{id}");
    }
}
