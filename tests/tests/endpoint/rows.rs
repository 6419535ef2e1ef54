//! The rows of the list of features that show at the endpoint, by their numbers: what each promises, as a client sees it.
//!
//! `tests/features.md` has them all, with their other tests.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use sandbox::{Failure, Sandbox, Script};
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::endpoint::{Answer, Client, Endpoint, Serve, TOKEN, chat_body};
use tests::faultd::{self, Faultd};
use tests::{LIMIT, Ran, Service, service, service_from};

use crate::faithful::{Twins, forms, streaming};
use crate::forms::sent;

const CHAT: &str = "/v1/chat/completions";

/// Runs the binary in the endpoint's home, with its key and before its service.
#[track_caller]
fn command(endpoint: &Endpoint, arguments: &[&str]) -> Ran {
    let mut run = endpoint.home.host(arguments);
    if !endpoint.home.profile().exists() {
        run = run.without("AGENT_HOST_CONFIG");
    }
    run.env("OPENROUTER_API_KEY", endpoint.service.key())
        .env("OPENROUTER_BASE_URL", &endpoint.service.base_url())
        .run()
}

/// Asserts that members of a chat request reach the service untouched.
#[track_caller]
fn pass_untouched(endpoint: &Endpoint, members: &Value) -> Answer {
    let (answer, body) = sent(endpoint, members, &[]);
    for (name, value) in members.as_object().expect("members") {
        assert_eq!(&body[name.as_str()], value, "{members}: {}", answer.text());
    }
    assert_eq!(answer.header("x-translated"), None, "{members}");
    answer.expect(200)
}

/// How often the service was asked for a path.
fn n_asked(service: &Service, path: &str) -> usize {
    service.requests().iter().filter(|asked| asked.path == path).count()
}

#[test]
fn row_13_a_bare_name_becomes_the_models_id_and_one_of_several_models_lists_them() {
    let endpoint = Endpoint::start();
    let (answer, body) = sent(&endpoint, &json!({"model": "gpt-4o"}), &[]);
    let answer = answer.expect(200);
    assert_eq!(
        (&body["model"], answer.header("x-served-model")),
        (&json!("openai/gpt-4o"), Some("openai/gpt-4o"))
    );
    assert_eq!(answer.header("x-translated"), Some("model-id"));
    let mut entry = endpoint
        .answer(&endpoint.get("/v1/models/openai/gpt-4o"))
        .expect(200)
        .json();
    let service = service();
    for id in ["acme/twin", "other/twin"] {
        entry["id"] = json!(id);
        entry["canonical_slug"] = json!(id);
        service.model(entry.clone());
    }
    let endpoint = Serve::before(service).start();
    let refused = endpoint.chat("twin", "Hello").expect(400);
    let message = refused.json()["error"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    assert!(
        message.contains("`acme/twin`") && message.contains("`other/twin`"),
        "{message}"
    );
    assert_eq!(n_asked(&endpoint.service, "/api/v1/chat/completions"), 0);
}

#[test]
fn row_14_the_auto_router_is_a_default_and_an_alias_and_the_answer_says_who_served() {
    let endpoint = Serve::new().profile(&json!({"model": "openrouter/auto"})).start();
    for members in [
        json!({"model": ""}),
        json!({"model": "auto"}),
        json!({"model": "openrouter/auto"}),
        json!({"autoRouter": true, "model": ""}),
    ] {
        let (answer, body) = sent(&endpoint, &members, &[]);
        let answer = answer.expect(200);
        assert_eq!(body["model"], "openrouter/auto", "{members}");
        assert_eq!(answer.header("x-served-model"), Some("openai/gpt-4o-mini"), "{members}");
        assert_eq!(answer.json()["model"], "openai/gpt-4o-mini");
    }
}

#[test]
fn row_16_the_options_of_the_auto_router_pass_untouched() {
    let router = json!({"id": "auto-router", "allowed_models": ["openai/*"], "cost_quality_tradeoff": 3});
    let endpoint = Endpoint::start();
    pass_untouched(&endpoint, &json!({"model": "openrouter/auto", "plugins": [router]}));
}

#[test]
fn row_22_a_fallback_is_told_in_headers_and_in_the_services_metadata() {
    let endpoint = Serve::new()
        .profile(&json!({"model": "sandbox/status-503", "fallbackModels": ["sandbox/hello"], "retry": {"attempts": 1}}))
        .start();
    for is_stream in [false, true] {
        let mut body = json!({"messages": [{"role": "user", "content": "Hello"}]});
        body["stream"] = json!(is_stream);
        let request = endpoint.post(CHAT, &body).header("x-openrouter-metadata", "enabled");
        let answer = endpoint.answer(&request).expect(200);
        assert_eq!(answer.header("x-served-model"), Some("sandbox/hello"));
        assert!(answer.text().contains("\"openrouter_metadata\""), "{}", answer.text());
    }
    let asked = endpoint.service.requests();
    let header = asked[0]
        .headers
        .iter()
        .find(|(name, _)| name == "x-openrouter-metadata");
    assert_eq!(header.map(|(_, value)| value.as_str()), Some("enabled"));
    assert_eq!(asked[0].body["models"], json!(["sandbox/hello"]));
}

#[test]
fn row_22_a_chain_that_is_longer_than_one_request_counts_its_attempts() {
    let models: Vec<String> = (0..5).map(|n| format!("acme/down-{n}")).collect();
    let service = service();
    for model in &models {
        service.script(model.as_str(), Script::fail(Failure::status(503)));
    }
    let chain: Vec<&str> = models[1..]
        .iter()
        .map(String::as_str)
        .chain(["sandbox/hello"])
        .collect();
    let options = json!({"model": models[0], "fallbackModels": chain, "retry": {"attempts": 1}});
    let endpoint = Serve::before(service).profile(&options).start();
    let answer = endpoint.answer(&endpoint.post(CHAT, &json!({"messages": [{"role": "user", "content": "Hello"}]})));
    let answer = answer.expect(200);
    assert_eq!(answer.header("x-served-model"), Some("sandbox/hello"));
    assert_eq!(answer.header("x-attempts"), Some("2"), "two requests for six models");
    assert_eq!(endpoint.metric("agent_host_fallbacks_total"), 1.0);
}

#[test]
fn row_25_falling_back_to_other_providers_is_left_to_the_service_and_can_be_forbidden() {
    let endpoint = Endpoint::start();
    let (_, body) = sent(&endpoint, &json!({}), &[]);
    assert_eq!(body["provider"], Value::Null, "the service's default holds");
    for allowed in [true, false] {
        pass_untouched(
            &endpoint,
            &json!({"model": "openai/gpt-4o", "provider": {"allow_fallbacks": allowed}}),
        );
    }
}

#[test]
fn row_29_the_header_x_provider_is_read_as_json_into_the_body() {
    let endpoint = Endpoint::start();
    let header = [("x-provider", r#"{"sort": "price"}"#)];
    let (answer, body) = sent(
        &endpoint,
        &json!({"provider": {"allow_fallbacks": false}, "model": "openai/gpt-4o"}),
        &header,
    );
    assert_eq!(answer.expect(200).header("x-translated"), Some("x-provider"));
    assert_eq!(body["provider"], json!({"sort": "price", "allow_fallbacks": false}));
    let (refused, _) = sent(&endpoint, &json!({}), &[("x-provider", "{sort: price}")]);
    refused.expect(400);
}

#[test]
fn row_31_the_highest_price_of_a_request_is_kept_and_its_old_form_is_per_thousand() {
    let endpoint = Endpoint::start();
    let (answer, body) = sent(
        &endpoint,
        &json!({"model": "openai/gpt-4o", "max_price": {"prompt": 0.5}}),
        &[],
    );
    assert_eq!(answer.expect(200).header("x-translated"), Some("max-price"));
    assert_eq!(body["provider"]["max_price"], json!({"prompt": "500"}));
    let (too_dear, _) = sent(
        &endpoint,
        &json!({"model": "openai/gpt-4o", "provider": {"max_price": {"prompt": 0.001}}}),
        &[],
    );
    assert_eq!(
        too_dear.status,
        404,
        "the service knows its prices: {}",
        too_dear.text()
    );
    let (negative, _) = sent(&endpoint, &json!({"max_price": {"prompt": -1}}), &[]);
    negative.expect(400);
}

#[test]
fn row_34_the_cheapest_provider_is_asked_for_by_sort_and_by_floor() {
    let endpoint = Endpoint::start();
    pass_untouched(
        &endpoint,
        &json!({"model": "openai/gpt-4o", "provider": {"sort": "price"}}),
    );
    pass_untouched(&endpoint, &json!({"model": "openai/gpt-4o:floor"}));
}

#[test]
fn row_35_latency_and_throughput_are_asked_for_by_sort() {
    let endpoint = Endpoint::start();
    for by in ["latency", "throughput"] {
        pass_untouched(&endpoint, &json!({"model": "openai/gpt-4o", "provider": {"sort": by}}));
        command(&endpoint, &["chat", "-m", "openai/gpt-4o", "--sort", by, "Hello"]).expect_success();
        let asked = endpoint.service.requests();
        assert_eq!(asked.last().expect("a request").body["provider"]["sort"], by);
    }
    pass_untouched(&endpoint, &json!({"model": "openai/gpt-4o:nitro"}));
}

#[test]
fn row_40_the_web_plugin_and_unknown_plugins_and_server_tools_pass_untouched() {
    let endpoint = Endpoint::start();
    pass_untouched(
        &endpoint,
        &json!({"plugins": [{"id": "web", "max_results": 3, "search_prompt": "Look:"}]}),
    );
    pass_untouched(
        &endpoint,
        &json!({"tools": [{"type": "openrouter:web_search", "parameters": {"max_results": 2}}]}),
    );
    // One that nobody has heard of is the service's matter.
    let faultd = Faultd::playing([faultd::Script::answer("Hello")]);
    let endpoint = Serve::new().asking(&faultd).start();
    let mut body = chat_body("acme/model", "Hello");
    body["plugins"] = json!([{"id": "unheard-of", "x": [1]}]);
    endpoint.answer(&endpoint.post(CHAT, &body)).expect(200);
    assert_eq!(faultd.requests()[0].json()["plugins"], body["plugins"]);
}

#[test]
fn row_41_prompts_are_compressed_only_where_somebody_says_so() {
    let plain = Endpoint::start();
    let (_, body) = sent(&plain, &json!({}), &[]);
    assert_eq!(body, chat_body("sandbox/hello", "Hello"), "never forced on");
    let (answer, body) = sent(&plain, &json!({"transforms": ["middle-out"]}), &[]);
    assert_eq!(answer.expect(200).header("x-translated"), Some("transforms"));
    assert_eq!(body["plugins"][0]["id"], "context-compression");
    let endpoint = Serve::new().profile(&json!({"compress": true})).start();
    let (_, body) = sent(&endpoint, &json!({}), &[]);
    assert_eq!(body["plugins"][0]["id"], "context-compression", "{body}");
}

/// A tool as chat has it.
fn tool() -> Value {
    json!({"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}})
}

#[test]
fn row_45_tools_pass_and_their_calls_come_back_whole_and_in_pieces() {
    let service = || {
        let call = Script::tool_call("get_weather", json!({"city": "Paris"}));
        service_from(Sandbox::builder().key(CANARY).script("acme/tools", call))
    };
    let endpoint = Serve::before(service()).start();
    let members = json!({
        "model": "acme/tools", "tools": [tool()], "parallel_tool_calls": false,
        "tool_choice": {"type": "function", "function": {"name": "get_weather"}},
    });
    let answer = pass_untouched(&endpoint, &members).json();
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(
        (&call["name"], &call["arguments"]),
        (&json!("get_weather"), &json!("{\"city\":\"Paris\"}"))
    );
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let mut body = chat_body("acme/tools", "Weather?");
    body["tools"] = json!([tool()]);
    let streamed = endpoint
        .answer(&endpoint.post(CHAT, &streaming(body.clone())))
        .expect(200);
    let arguments: String = streamed
        .events()
        .iter()
        .filter_map(|event| serde_json::from_str::<Value>(event).ok())
        .filter_map(|event| {
            Some(
                event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"]
                    .as_str()?
                    .to_owned(),
            )
        })
        .collect();
    assert_eq!(arguments, "{\"city\":\"Paris\"}");
    // The second turn, with the result.
    let message = &answer["choices"][0]["message"];
    let id = &message["tool_calls"][0]["id"];
    body["messages"] = json!([
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": null, "tool_calls": message["tool_calls"]},
        {"role": "tool", "tool_call_id": id, "content": "sunny"},
    ]);
    assert!(
        endpoint
            .answer(&endpoint.post(CHAT, &body))
            .expect(200)
            .content()
            .contains("sunny")
    );
    // The older form of the same.
    pass_untouched(
        &endpoint,
        &json!({"functions": [tool()["function"]], "function_call": "auto"}),
    );
}

#[test]
fn row_46_reasoning_comes_through_whole_and_can_be_sent_back_with_the_next_turn() {
    let endpoint = Endpoint::start();
    let mut body = chat_body("sandbox/reasoning-tools", "Think.");
    body["tools"] = json!([tool()]);
    body["reasoning"] = json!({"effort": "high"});
    let answer = endpoint.answer(&endpoint.post(CHAT, &body)).expect(200).json();
    let message = answer["choices"][0]["message"].clone();
    assert!(
        message["reasoning"].is_string() && message["reasoning_details"].is_array(),
        "{message}"
    );
    let id = message["tool_calls"][0]["id"].clone();
    let turn = |message: &Value| {
        let mut next = body.clone();
        next["messages"] = json!([
            {"role": "user", "content": "Think."}, message,
            {"role": "tool", "tool_call_id": id, "content": "42"},
        ]);
        endpoint.answer(&endpoint.post(CHAT, &next))
    };
    turn(&message).expect(200);
    let mut forgetful = message.clone();
    forgetful
        .as_object_mut()
        .expect("a message")
        .remove("reasoning_details");
    assert_eq!(
        turn(&forgetful).status,
        400,
        "the model wants it back, so it was not made up on the way"
    );
    let sent = &endpoint.service.requests()[1].body;
    assert_eq!(sent["messages"][1]["reasoning_details"], message["reasoning_details"]);
    assert_eq!(sent["reasoning"], json!({"effort": "high"}));
}

#[test]
fn row_47_a_schema_for_the_answer_passes_untouched() {
    let endpoint = Endpoint::start();
    let schema = json!({"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": false});
    let format = json!({"type": "json_schema", "json_schema": {"name": "place", "strict": true, "schema": schema}});
    let members = json!({"model": "openai/gpt-4o", "response_format": format});
    let answer = pass_untouched(&endpoint, &members);
    let place: Value = serde_json::from_str(&answer.content()).expect("the answer is JSON");
    assert!(place["city"].is_string(), "{place}");
    pass_untouched(
        &endpoint,
        &json!({"model": "openai/gpt-4o", "response_format": {"type": "json_object"}}),
    );
}

#[test]
fn row_48_pictures_sound_and_files_in_a_message_pass_untouched() {
    let endpoint = Endpoint::start();
    let pixel = "data:image/gif;base64,R0lGODlhAQABAAAAADs=";
    let content = json!([
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": pixel, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/never-fetched.png"}},
        {"type": "input_audio", "input_audio": {"data": "c2FuZGJveA==", "format": "wav"}},
        {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}},
    ]);
    pass_untouched(&endpoint, &json!({"messages": [{"role": "user", "content": content}]}));
}

#[test]
fn row_49_sampling_parameters_pass_as_written_and_the_profile_fills_in_what_is_missing() {
    let endpoint = Serve::new()
        .profile(&json!({"parameters": {"temperature": 0.25, "max_tokens": 77}}))
        .start();
    let members = json!({
        "temperature": 0.7, "top_p": 0.9, "top_k": 40, "min_p": 0.1, "top_a": 0.2, "frequency_penalty": 0.5,
        "presence_penalty": -0.5, "repetition_penalty": 1.1, "seed": 7, "stop": ["END"], "logit_bias": {"50256": -100},
        "logprobs": true, "top_logprobs": 2, "verbosity": "low", "unheard_of": {"a": [1, null]},
    });
    pass_untouched(&endpoint, &members);
    let (_, body) = sent(&endpoint, &json!({"temperature": 0.7}), &[]);
    assert_eq!((&body["temperature"], &body["max_tokens"]), (&json!(0.7), &json!(77)));
    let (_, body) = sent(&endpoint, &json!({"max_completion_tokens": 5}), &[]);
    assert_eq!(
        (&body["temperature"], &body["max_completion_tokens"]),
        (&json!(0.25), &json!(5))
    );
    assert_eq!(
        body["max_tokens"],
        Value::Null,
        "the request has said it by another name"
    );
    // Numbers stay as they were written.
    let text =
        r#"{"model":"sandbox/hello","temperature":1.50,"top_p":1e-1,"messages":[{"role":"user","content":"\u00fc"}]}"#;
    endpoint.answer(&endpoint.post(CHAT, &json!({})).body(text)).expect(200);
    let asked = endpoint.service.requests();
    let sent = &asked.last().expect("a request").body_text;
    for piece in [
        "\"temperature\":1.50",
        "\"top_p\":1e-1",
        r#"[{"role":"user","content":"\u00fc"}]"#,
    ] {
        assert!(sent.contains(piece), "{piece}: {sent}");
    }
}

#[test]
fn row_50_who_is_asking_and_keys_for_caches_pass_untouched() {
    let endpoint = Endpoint::start();
    pass_untouched(
        &endpoint,
        &json!({"user": "u-1", "session_id": "s-1", "prompt_cache_key": "k-1", "safety_identifier": "i-1"}),
    );
}

#[test]
fn row_52_every_route_of_openais_api_is_there_under_both_roots() {
    let endpoint = Serve::before(service_from(Sandbox::builder().key(CANARY))).start();
    for root in ["/v1", "/api/v1"] {
        let mut ids = Vec::new();
        for (path, body) in forms("sandbox/hello") {
            let path = path.strip_prefix("/v1").expect("the root");
            let answer = endpoint
                .answer(&endpoint.post(&format!("{root}{path}"), &body))
                .expect(200);
            ids.extend(answer.header("x-generation-id").map(str::to_owned));
        }
        let embeddings = json!({"model": "openai/text-embedding-3-small", "input": "one"});
        endpoint
            .answer(&endpoint.post(&format!("{root}/embeddings"), &embeddings))
            .expect(200);
        for path in [
            "/models",
            "/models?force=true",
            "/models/TEXT_SMALL",
            "/models/openai/gpt-4o",
            "/models/openai%2Fgpt-4o",
            "/models/user",
            "/models/count",
            "/key",
            "/auth/key",
            "/providers",
            &format!("/generation?id={}", ids[0]),
        ] {
            endpoint.answer(&endpoint.get(&format!("{root}{path}"))).expect(200);
        }
        // An ordinary key may not look at the account; that is the service's answer.
        endpoint.answer(&endpoint.get(&format!("{root}/credits"))).expect(403);
        endpoint
            .answer(&endpoint.get(&format!("{root}/models/acme/no-such-model")))
            .expect(404);
    }
    let paths: Vec<String> = endpoint
        .service
        .requests()
        .into_iter()
        .map(|asked| asked.path)
        .collect();
    assert!(
        !paths.iter().any(|path| path.ends_with("/auth/key")),
        "the service has no such path any more"
    );
    assert!(paths.iter().all(|path| path.starts_with("/api/v1/")), "{paths:?}");
}

#[test]
fn row_52_the_providers_of_a_model_are_asked_for_by_its_id_in_either_writing() {
    let faultd = Faultd::playing([faultd::Script::reply(200, &[], &json!({"data": {"endpoints": []}}))]);
    let endpoint = Serve::new().asking(&faultd).start();
    for path in ["openai/gpt-4o/endpoints", "openai%2Fgpt-4o/endpoints"] {
        for root in ["/v1", "/api/v1"] {
            let answer = endpoint
                .answer(&endpoint.get(&format!("{root}/models/{path}")))
                .expect(200);
            assert_eq!(answer.json(), json!({"data": {"endpoints": []}}));
        }
    }
    let asked = faultd.requests();
    let is_right = |path: &str| path == "/api/v1/models/openai/gpt-4o/endpoints";
    assert!(asked.iter().all(|asked| is_right(&asked.path)), "{asked:?}");
}

#[test]
fn row_52_the_credits_of_an_account_are_the_services_own_answer() {
    let management = || service_from(Sandbox::builder().key(CANARY).management_key());
    let (endpoint, other) = (Serve::before(management()).start(), management());
    let request = endpoint.get("/v1/credits");
    let direct = Client::connect(other.address())
        .ask(&request.to_service(&other))
        .whole()
        .expect(200);
    assert_eq!(endpoint.answer(&request).expect(200).text(), direct.text());
}

#[test]
fn row_53_the_habits_of_other_clients_are_understood() {
    let endpoint = Endpoint::start();
    // OpenAI's clients say a lot about themselves, and ask for packed bytes.
    let mut request = endpoint
        .post(CHAT, &chat_body("tier/small", "Hello"))
        .header("accept-encoding", "gzip, deflate");
    for name in [
        "user-agent",
        "x-stainless-lang",
        "x-stainless-retry-count",
        "openai-organization",
        "idempotency-key",
    ] {
        request = request.header(name, "1");
    }
    endpoint.answer(&request).expect(200);
    let asked = endpoint.service.requests().remove(0);
    let is_foreign = |name: &str| name.starts_with("x-stainless-") || name.starts_with("openai-");
    assert!(
        !asked.headers.iter().any(|(name, _)| is_foreign(name)),
        "{:?}",
        asked.headers
    );
    // Anthropic's send their key in a header of their own, and a query.
    let (_, body) = forms("sandbox/hello")[3].clone();
    let request = endpoint.post("/v1/messages?beta=true", &body).without("authorization");
    let request = request
        .header("x-api-key", TOKEN)
        .header("anthropic-version", "2023-06-01");
    let message = endpoint
        .answer(&request.header("anthropic-beta", "tools-2024"))
        .expect(200)
        .json();
    assert_eq!(
        (&message["type"], &message["role"]),
        (&json!("message"), &json!("assistant"))
    );
    // Lists are lists, and errors are errors.
    let list = endpoint.answer(&endpoint.get("/v1/models")).expect(200).json();
    assert_eq!(list["object"], "list");
    let entries = list["data"].as_array().expect("a list");
    assert!(entries.iter().all(|entry| entry["id"].is_string()), "{list}");
    let refused = endpoint
        .answer(&endpoint.get("/v1/models").without("authorization"))
        .expect(401)
        .json();
    assert!(
        refused["error"]["message"].is_string() && refused["error"]["type"] == "missing_api_key",
        "{refused}"
    );
}

#[test]
fn row_56_an_editor_on_this_machine_needs_no_key_where_none_is_asked_for() {
    let endpoint = Serve::new().without_token().arguments(&["--no-auth"]).start();
    let list = endpoint
        .answer(&endpoint.get("/v1/models").without("authorization"))
        .expect(200)
        .json();
    let ids: Vec<&str> = list["data"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|entry| entry["id"].as_str())
        .collect();
    assert!(
        ids.contains(&"TEXT_SMALL") && ids.contains(&"tier/small") && ids.contains(&"openai/gpt-4o"),
        "{ids:?}"
    );
    for id in ["TEXT_SMALL", "tier/small", "openai/gpt-4o"] {
        let request = endpoint
            .post(CHAT, &streaming(chat_body(id, "Hello")))
            .without("authorization");
        endpoint.answer(&request).expect(200);
        // Some send whatever stands in a field for a key.
        endpoint
            .answer(&request.header("authorization", "Bearer anything"))
            .expect(200);
    }
}

#[test]
fn row_60_trace_and_session_pass_untouched_and_can_be_named_on_the_command_line() {
    let endpoint = Endpoint::start();
    let trace =
        json!({"trace_id": "t-1", "trace_name": "nightly", "span_name": "s", "generation_name": "g", "mine": 7});
    pass_untouched(
        &endpoint,
        &json!({"trace": trace, "session_id": "s-1", "user": "u-1", "metadata": {"a": "b"}}),
    );
    let arguments = [
        "chat",
        "-m",
        "sandbox/hello",
        "--trace-name",
        "nightly",
        "--session",
        "s-2",
        "Hello",
    ];
    command(&endpoint, &arguments).expect_success();
    let asked = endpoint.service.requests();
    let body = &asked.last().expect("a request").body;
    assert_eq!(
        (&body["trace"]["trace_name"], &body["session_id"]),
        (&json!("nightly"), &json!("s-2"))
    );
}

#[test]
fn row_61_models_are_listed_with_name_price_and_context_as_the_service_wrote_them() {
    let twins = Twins::with(&[]);
    let endpoint = &twins.endpoint;
    let list = endpoint.answer(&endpoint.get("/v1/models")).expect(200).text();
    let direct = endpoint.get("/v1/models").to_service(&endpoint.service);
    let direct = Client::connect(endpoint.service.address())
        .ask(&direct)
        .whole()
        .expect(200)
        .json();
    let entries = direct["data"].as_array().expect("entries");
    assert!(entries.len() > 20, "{}", entries.len());
    for entry in entries {
        assert!(
            entry["name"].is_string() && entry["pricing"]["prompt"].is_string(),
            "{entry}"
        );
        let text = entry.to_string();
        assert!(list.contains(&text), "an entry is missing or was changed: {text}");
        let id = entry["id"].as_str().expect("an id");
        assert_eq!(
            endpoint
                .answer(&endpoint.get(&format!("/v1/models/{id}")))
                .expect(200)
                .text(),
            text
        );
    }
    let near = endpoint
        .answer(&endpoint.get("/v1/models/openai/gpt-4oo"))
        .expect(404)
        .json();
    assert!(
        near["error"]["metadata"]["hint"]
            .as_str()
            .unwrap_or_default()
            .contains("`openai/gpt-4o`"),
        "{near}"
    );
    let told = command(endpoint, &["models", "gpt-4o", "--json"])
        .expect_success()
        .stdout;
    assert!(told.contains("openai/gpt-4o"), "{told}");
}

#[test]
fn row_62_the_list_of_models_is_kept_and_asked_for_again_where_somebody_insists() {
    let endpoint = Endpoint::start();
    let models = || n_asked(&endpoint.service, "/api/v1/models");
    for _ in 0..3 {
        let answer = endpoint.answer(&endpoint.get("/v1/models")).expect(200);
        assert!(
            answer.header("age").is_some_and(|age| age.parse::<u64>().is_ok()),
            "{:?}",
            answer.headers
        );
    }
    assert_eq!(models(), 1);
    endpoint.answer(&endpoint.get("/v1/models?force=true")).expect(200);
    assert_eq!(models(), 2);
    endpoint.answer(&endpoint.get("/v1/models?force=false")).expect(200);
    assert_eq!(models(), 2);
}

#[test]
fn row_62_an_old_list_is_better_than_an_error_and_says_that_it_is_old() {
    let n_lists = AtomicUsize::new(0);
    let faultd = Faultd::answering(move |request| {
        if !request.path.starts_with("/api/v1/models") {
            return faultd::Script::reply(404, &[], &json!({"error": {"code": 404, "message": "no"}}));
        }
        match n_lists.fetch_add(1, Ordering::SeqCst) {
            0 => faultd::Script::reply(200, &[], &json!({"data": [{"id": "acme/model", "name": "Model"}]})),
            _ => faultd::Script::reply(400, &[], &json!({"error": {"code": 400, "message": "not now"}})),
        }
    });
    let endpoint = Serve::new().asking(&faultd).start();
    let first = endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    assert_eq!(first.header("warning"), None);
    let second = endpoint.answer(&endpoint.get("/v1/models?force=true")).expect(200);
    assert_eq!(second.text(), first.text());
    let warning = second.header("warning").unwrap_or_default();
    assert!(warning.starts_with("110 agent-host \"the list is stale"), "{warning}");
}

#[test]
fn row_62_a_time_to_live_that_is_no_number_is_told_and_the_default_holds() {
    let endpoint = Serve::new().env("OPENROUTER_CACHE_TTL_MODELS", "an hour").start();
    for _ in 0..2 {
        endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    }
    assert_eq!(n_asked(&endpoint.service, "/api/v1/models"), 1);
    assert!(
        endpoint.stderr().contains("OPENROUTER_CACHE_TTL_MODELS"),
        "{}",
        endpoint.stderr()
    );
}

#[test]
fn row_63_the_list_can_be_limited_to_some_models() {
    let endpoint = Serve::new()
        .env("OPENROUTER_MODELS", "openai/gpt-4o, anthropic/*")
        .start();
    let list = endpoint.answer(&endpoint.get("/v1/models")).expect(200).json();
    let entries = list["data"].as_array().into_iter().flatten();
    let ids: Vec<&str> = entries
        .filter(|entry| entry["tier"] != true)
        .filter_map(|entry| entry["id"].as_str())
        .collect();
    assert!(
        ids.contains(&"openai/gpt-4o") && ids.iter().any(|id| id.starts_with("anthropic/")),
        "{ids:?}"
    );
    assert!(
        ids.iter()
            .all(|id| *id == "openai/gpt-4o" || id.starts_with("anthropic/")),
        "{ids:?}"
    );
}

#[test]
fn row_64_what_a_model_can_do_is_told_by_its_entry_and_in_badges() {
    let endpoint = Endpoint::start();
    let model = endpoint
        .answer(&endpoint.get("/v1/models/openai/gpt-4o"))
        .expect(200)
        .json();
    assert!(
        model["supported_parameters"].is_array() && model["architecture"]["input_modalities"].is_array(),
        "{model}"
    );
    assert!(model["context_length"].is_u64(), "{model}");
    let ids = |flag: &str| command(&endpoint, &["models", flag, "--ids"]).expect_success().stdout;
    for flag in ["--tools", "--vision", "--reasoning", "--structured", "--free"] {
        let (all, some) = (
            command(&endpoint, &["models", "--ids"]).expect_success().stdout,
            ids(flag),
        );
        let n_some = some.lines().count();
        assert!(n_some > 0 && n_some < all.lines().count(), "{flag}: {some}");
    }
    let shown = command(&endpoint, &["models", "show", "openai/gpt-4o"])
        .expect_success()
        .stdout;
    assert!(shown.contains("tools") && shown.contains("vision"), "{shown}");
}

/// A service whose key has so much left.
fn with_left(usd: f64) -> Faultd {
    Faultd::answering(move |request| {
        if request.path.ends_with("/key") {
            let key = json!({"label": "k", "limit": 100.0, "limit_remaining": usd, "usage": 100.0 - usd, "is_free_tier": false});
            return faultd::Script::reply(200, &[], &json!({"data": key}));
        }
        if request.path.ends_with("/chat/completions") {
            return faultd::Script::answer("Hello");
        }
        faultd::Script::reply(
            403,
            &[],
            &json!({"error": {"code": 403, "message": "Only management keys"}}),
        )
    })
}

#[test]
fn row_67_the_credit_is_told_in_numbers_at_the_endpoint_and_on_the_command_line() {
    let management = service_from(Sandbox::builder().key(CANARY).management_key());
    let endpoint = Serve::before(management).start();
    let credits = endpoint
        .answer(&endpoint.get("/api/endpoints/openrouter/credits"))
        .expect(200)
        .json();
    assert_eq!(
        (&credits["balance"], &credits["currency"]),
        (&json!(25.0), &json!("USD"))
    );
    assert_eq!(
        (&credits["usage"], &credits["source"]),
        (&json!(0.0), &json!("account"))
    );
    let told = command(&endpoint, &["credits", "--json"]).expect_success().stdout;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert!(
        told["balance_usd"]
            .as_str()
            .is_some_and(|balance| balance.starts_with("25")),
        "{told}"
    );
}

#[test]
fn row_68_the_credit_is_kept_for_a_while_and_each_answer_is_taken_off_it() {
    let endpoint = Endpoint::start();
    let credits = |query: &str| {
        let path = format!("/api/endpoints/openrouter/credits{query}");
        endpoint.answer(&endpoint.get(&path)).expect(200).json()
    };
    let n_looks = || n_asked(&endpoint.service, "/api/v1/key");
    let first = credits("");
    assert_eq!(n_looks(), 1);
    assert_eq!(credits("")["balance"], first["balance"]);
    assert_eq!(n_looks(), 1, "it is kept");
    let answer = endpoint.chat("openai/gpt-4o", "Hello").expect(200);
    let cost: f64 = answer
        .header("x-cost-usd")
        .and_then(|cost| cost.parse().ok())
        .expect("a cost");
    let number = |value: &Value| value.as_f64().expect("a number");
    let (before, after) = (number(&first["balance"]), number(&credits("")["balance"]));
    assert!((before - cost - after).abs() < 1e-9, "{before} - {cost} is not {after}");
    assert_eq!(n_looks(), 1, "nobody was asked for that");
    let insisted = credits("?force=true");
    assert_eq!(n_looks(), 2);
    assert!(
        (number(&insisted["balance"]) - after).abs() < 1e-9,
        "the service says the same: {insisted}"
    );
    // Many at once are one question.
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| credits("?force=true"));
        }
    });
    assert!(n_looks() <= 2 + 8, "{}", n_looks());
}

#[test]
fn row_69_the_list_and_the_credit_are_asked_for_ahead_where_that_is_wanted() {
    let endpoint = Serve::new().env("OPENROUTER_BACKGROUND_REFRESH", "50").start();
    endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    let wanted = Instant::now() + LIMIT;
    let mut n_requests = 1;
    while n_asked(&endpoint.service, "/api/v1/models") < 3 {
        n_requests += 1;
        endpoint
            .service
            .wait_for_requests(n_requests, LIMIT)
            .expect("it is asked for again");
        assert!(Instant::now() < wanted);
    }
    let off = Serve::new().env("OPENROUTER_BACKGROUND_REFRESH", "false").start();
    for _ in 0..2 {
        off.answer(&off.get("/v1/models")).expect(200);
    }
    assert_eq!(n_asked(&off.service, "/api/v1/models"), 1);
}

#[test]
fn row_70_more_than_five_dollars_is_green_less_than_one_is_red() {
    for (usd, status) in [
        (5.01, "green"),
        (5.0, "yellow"),
        (1.0, "yellow"),
        (0.99, "red"),
        (0.0, "red"),
        (-1.0, "red"),
    ] {
        let faultd = with_left(usd);
        let endpoint = Serve::new().asking(&faultd).start();
        let credits = endpoint
            .answer(&endpoint.get("/api/endpoints/openrouter/credits"))
            .expect(200)
            .json();
        assert_eq!(
            (&credits["status"], &credits["balance"]),
            (&json!(status), &json!(usd)),
            "{usd}"
        );
        assert_eq!(endpoint.metric("agent_host_credits_remaining_usd"), usd);
    }
}

#[test]
fn row_84_the_routes_of_librechat_are_there_with_a_token_of_their_own() {
    let endpoint = Endpoint::start();
    let root = "/api/endpoints/openrouter";
    let chat = endpoint.post(
        &format!("{root}/chat/completions"),
        &chat_body("sandbox/hello", "Hello"),
    );
    assert_eq!(
        endpoint.answer(&chat).expect(200).content(),
        "Hello from the sandbox, a local stand-in."
    );
    let streamed = endpoint.post(
        &format!("{root}/chat/completions"),
        &streaming(chat_body("sandbox/hello", "Hello")),
    );
    assert_eq!(
        endpoint.answer(&streamed).expect(200).streamed(),
        "Hello from the sandbox, a local stand-in."
    );
    let credits = endpoint
        .answer(&endpoint.get(&format!("{root}/credits")))
        .expect(200)
        .json();
    assert!(
        credits["balance"].is_f64() && credits["currency"] == "USD" && credits["usage"].is_f64(),
        "{credits}"
    );
    let models = endpoint
        .answer(&endpoint.get(&format!("{root}/models?force=true")))
        .expect(200)
        .json();
    assert_eq!(models["object"], "list");
    for path in ["chat/completions", "credits", "models"] {
        let request = if path.starts_with("chat") {
            chat.clone()
        } else {
            endpoint.get(&format!("{root}/{path}"))
        };
        endpoint.answer(&request.without("authorization")).expect(401);
    }
    endpoint
        .answer(&endpoint.get("/api/endpoints/other/models"))
        .expect(404);
}

#[test]
fn row_91_streams_say_to_proxies_that_nothing_is_to_be_held_back_or_packed() {
    let endpoint = Serve::new().arguments(&["--allow-host", "models.example.org"]).start();
    for (target, body) in forms("sandbox/hello") {
        let request = endpoint
            .post(target, &streaming(body))
            .with("host", "models.example.org");
        let request = request
            .header("accept-encoding", "gzip, br, zstd")
            .header("x-forwarded-proto", "https");
        let answer = endpoint.answer(&request).expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-cache"), "{target}");
        assert_eq!(answer.header("x-accel-buffering"), Some("no"), "{target}");
        assert_eq!(answer.header("content-type"), Some("text/event-stream"), "{target}");
        assert_eq!(answer.header("content-encoding"), None, "{target}");
        assert_eq!(answer.header("content-length"), None, "{target}");
        assert_eq!(answer.header("transfer-encoding"), Some("chunked"), "{target}");
    }
}

#[test]
fn row_95_the_way_through_the_endpoint_costs_little_time() {
    let endpoint = Endpoint::start();
    let request = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    let median = |address, request: &tests::endpoint::Request| {
        let mut client = Client::connect(address);
        let mut times = Vec::new();
        for _ in 0..101 {
            let begun = Instant::now();
            let (answer, again) = client.ask(request).whole_and_client();
            times.push(begun.elapsed());
            answer.expect(200);
            client = again;
        }
        times.sort_unstable();
        times[times.len() / 2]
    };
    let through = median(endpoint.address(), &request);
    let direct = median(endpoint.service.address(), &request.to_service(&endpoint.service));
    println!("a whole answer: {direct:?} from the service itself, {through:?} through the endpoint");
    // Generous: this is a build for tests beside other tests. The bench `way` has the numbers.
    assert!(
        through < direct + Duration::from_millis(50),
        "{through:?}, {direct:?} without"
    );
}

#[test]
fn row_97_health_is_there_and_the_selftest_passes() {
    let endpoint = Endpoint::start();
    let health = endpoint
        .answer(&endpoint.get("/health").without("authorization"))
        .expect(200);
    assert_eq!(health.json()["status"], "ok");
    let ran = command(&endpoint, &["selftest", "--json"]);
    assert_eq!(ran.code, Some(0), "{}\n{}", ran.stdout, ran.stderr);
}

#[test]
fn row_98_whatever_else_the_service_has_is_passed_on() {
    let twins = Twins::with(&[]);
    let request = json!({"model": "cohere/rerank-v3.5", "query": "red", "documents": ["a red car", "a blue sky"]});
    twins.same("/v1/rerank", &request);
    twins
        .same(
            "/v1/embeddings",
            &json!({"model": "openai/text-embedding-3-small", "input": ["a"]}),
        )
        .expect(200);
    let [through, direct] = {
        let body = json!({"model": "openai/gpt-4o-mini-tts", "input": "Hello", "voice": "alloy"});
        twins.both("/v1/audio/speech", &body)
    };
    assert_eq!(
        (through.status, through.header("content-type")),
        (direct.status, direct.header("content-type"))
    );
    assert!(through.body == direct.body);
    twins
        .same(
            "/v1/images/generations",
            &json!({"model": "acme/pictures", "prompt": "a cat"}),
        )
        .expect(404);
    let told = command(&twins.endpoint, &["api", "GET", "/providers"])
        .expect_success()
        .stdout;
    assert!(told.starts_with("{\"data\":"), "{told}");
}
