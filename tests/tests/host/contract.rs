//! What goes over the wire, and what the sandbox answers, against the official description of the API.
//!
//! Every test checks what its own sandbox received; these ensure that everything that can be sent was sent.

use std::panic::{AssertUnwindSafe, catch_unwind};

use plugin_api::{ChatRequest, Message, Plugin};
use sandbox::built_in_models;
use serde_json::{Value, json};
use tests::{Service, block_on, description_is_at_hand, openrouter, openrouter_config, request, service};
use tokio::task::JoinSet;

fn plugin(service: &Service, options: Value) -> Plugin {
    openrouter(&openrouter_config(service, options))
}

#[test]
fn every_built_in_model_of_the_sandbox_answers_as_described() {
    let service = service();
    // Long enough for every request to be sent on a busy machine; some of the models never answer.
    let timeouts = json!({"firstTokenMs": 5_000, "idleMs": 5_000, "totalMs": 10_000});
    let plugin = plugin(&service, json!({"retry": {"attempts": 1}, "timeouts": timeouts}));
    let models = built_in_models().into_iter().map(|(id, _)| id);
    // That one answers on purpose with a text where the description has a number, as the service's own pages show.
    let models = models.filter(|id| id != "sandbox/mid-stream-error-text-code");
    block_on(async {
        let mut calls = JoinSet::new();
        for model in models {
            for is_streamed in [false, true] {
                let (plugin, request) = (plugin.clone(), request(&model, "Hello"));
                calls.spawn(async move {
                    match is_streamed {
                        true => plugin.stream(&request).await?.collect().await,
                        false => plugin.chat(&request).await,
                    }
                });
            }
        }
        let n_calls = calls.len();
        // Many of these fail, which is their purpose; what counts is what was said.
        calls.join_all().await;
        assert_eq!(service.requests().len(), n_calls);
    });
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
    let requests = service.requests();
    assert_eq!(requests.len(), 2, "{streamed:?} {whole:?}");
    for request in requests {
        let provider = &request.body["provider"];
        assert_eq!(provider["max_price"]["completion"], "200.50");
        assert_eq!(provider.as_object().map(|members| members.len()), Some(13));
    }
}

#[test]
fn the_check_against_the_description_finds_a_breach() {
    if !description_is_at_hand() {
        return;
    }
    let service = service();
    let plugin = plugin(&service, json!({"parameters": {"extra": {"tools": "none"}}}));
    let _ = block_on(plugin.chat(&request("sandbox/hello", "Hello")));
    let panic = catch_unwind(AssertUnwindSafe(|| drop(service))).expect_err("`tools` is no list");
    let message = panic.downcast::<String>().expect("a message");
    crate::assert_has(&message, "post /chat/completions, the request: at /tools");
}
