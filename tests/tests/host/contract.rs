//! What goes over the wire, and what the stand-in answers, against the official description of the API.
//!
//! Every test checks what its own service saw; these here see to it that everything that can be sent was.

use plugin_api::{ChatRequest, Config, LogOnly, Message, Plugin, loader};
use sandbox::built_in_models;
use serde_json::{Value, json};
use std::sync::Arc;
use tests::{Service, block_on, openrouter_config, openrouter_plugin, service};

fn plugin(service: &Service, options: Value) -> Plugin {
    let module = loader::load(&openrouter_plugin()).expect("the plugin loads");
    let config: Config = openrouter_config(service, options);
    module
        .create(Arc::new(LogOnly::new("openrouter")), &config)
        .expect("the plugin starts")
}

#[test]
fn every_built_in_model_of_the_stand_in_answers_as_described() {
    let service = service();
    let plugin = plugin(
        &service,
        json!({"retry": {"attempts": 1}, "timeouts": {"firstTokenMs": 300, "idleMs": 300, "totalMs": 3000}}),
    );
    let mut asked = 0;
    for (id, _) in built_in_models() {
        // That one answers on purpose with a text where the description has a number, as the service's own pages show.
        if id == "sandbox/mid-stream-error-text-code" {
            continue;
        }
        let mut request = ChatRequest::new(&[Message::user("Hello")]).expect("a request");
        request.model = Some(id);
        // Many of these fail, which is their purpose; what counts is what was said.
        let _ = block_on(plugin.chat(&request));
        let _ = block_on(async { plugin.stream(&request).await?.collect().await });
        asked += 2;
    }
    assert_eq!(service.requests().len(), asked);
}

#[test]
fn every_option_goes_over_the_wire_as_described() {
    let service = service();
    let everything = json!({
        "model": "anthropic/claude-sonnet-4.5",
        "fallbackModels": ["openai/gpt-4o", "google/gemini-2.5-flash"],
        "parameters": {
            "temperature": 0.5, "topP": 0.9, "topK": 40, "minP": 0.1, "topA": 0.2, "frequencyPenalty": 0.1,
            "presencePenalty": -0.1, "repetitionPenalty": 1.1, "seed": 7, "stop": ["END", "STOP"], "maxTokens": 100,
            "logitBias": {"50256": -100}, "logprobs": true, "topLogprobs": 3,
            "reasoning": {"effort": "low", "summary": "auto"}, "verbosity": "low", "parallelToolCalls": false,
            "user": "somebody", "sessionId": "a-session", "serviceTier": "default", "extra": {"metadata": {"a": "b"}}
        },
        "providerPreferences": {
            "order": ["Anthropic", "AWS Bedrock"], "only": ["Anthropic", "Amazon Bedrock", "Google Vertex"],
            "ignore": ["Azure"], "allowFallbacks": true, "requireParameters": false, "dataCollection": "deny",
            "zdr": false, "enforceDistillableText": false, "quantizations": ["fp8", "bf16", "unknown"],
            "sort": {"by": "price", "partition": "none"}, "preferredMinThroughput": {"p50": 10, "p90": 5},
            "preferredMaxLatency": 3.5,
            "maxPrice": {"prompt": 100, "completion": "200.50", "request": 1, "image": 0.5, "audio": "0.1"}
        },
        "plugins": [{"id": "context-compression", "enabled": false}],
    });
    let plugin = plugin(&service, everything);
    let request = ChatRequest::new(&[Message::text("system", "Be brief."), Message::user("Hello")]).expect("a request");
    let streamed = block_on(async { plugin.stream(&request).await?.collect().await });
    let whole = block_on(plugin.chat(&request));
    let bodies: Vec<Value> = service.requests().into_iter().map(|request| request.body).collect();
    for body in &bodies {
        assert_eq!(body["provider"]["max_price"]["completion"], "200.50");
        assert_eq!(body["provider"].as_object().map(|members| members.len()), Some(13));
    }
    assert_eq!(bodies.len(), 2, "{streamed:?} {whole:?}");
}

#[test]
fn the_check_against_the_description_finds_a_breach() {
    if !tests::description_is_at_hand() {
        return;
    }
    let service = service();
    let plugin = plugin(&service, json!({"parameters": {"extra": {"tools": "none"}}}));
    let request = ChatRequest::new(&[Message::user("Hello")]).expect("a request");
    let _ = block_on(plugin.chat(&request));
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(service)));
    let said = *ended
        .expect_err("the body is no good")
        .downcast::<String>()
        .expect("a message");
    assert!(
        said.contains("post /chat/completions, the request: at /tools"),
        "{said}"
    );
}
