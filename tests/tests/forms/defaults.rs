//! What the profile says where a request says nothing, by the names of each form; what the request says wins.

use sandbox::Recorded;
use serde_json::{Value, json};

use crate::bench::{chat, chat_body, good, header, plugin, plugin_at, post, requests_to, with_header};
use crate::requests::{MODEL, read, sent, with_model};

/// Defaults of everything that a profile can say about a request.
pub fn profile() -> Value {
    json!({
        "parameters": {"temperature": 0.5, "maxTokens": 77, "stop": "END", "minP": 0.1, "topK": 4,
            "reasoning": {"effort": "low"}, "user": "u", "sessionId": "s", "verbosity": "low",
            "parallelToolCalls": false, "extra": {"x_own": 1}},
        "providerPreferences": {"sort": "price", "allowFallbacks": true},
        "plugins": [{"id": "web", "max_results": 2}],
    })
}

#[test]
fn the_profile_fills_what_a_request_leaves_open() {
    let body = read(&sent(profile(), chat(MODEL)));
    let mut expected = chat_body(MODEL);
    for (name, value) in [
        ("temperature", json!(0.5)),
        ("max_tokens", json!(77)),
        ("stop", json!("END")),
        ("min_p", json!(0.1)),
        ("top_k", json!(4)),
        ("reasoning", json!({"effort": "low"})),
        ("user", json!("u")),
        ("session_id", json!("s")),
        ("verbosity", json!("low")),
        ("parallel_tool_calls", json!(false)),
        ("x_own", json!(1)),
        ("provider", json!({"sort": "price", "allow_fallbacks": true})),
        ("plugins", json!([{"id": "web", "max_results": 2}])),
    ] {
        expected[name] = value;
    }
    assert_eq!(body, expected);
}

#[test]
fn the_request_wins_over_the_profile() {
    let mut body = chat_body(MODEL);
    let own = json!({"temperature": 1.0, "max_tokens": 5, "stop": ["X"], "min_p": null, "top_k": 0, "reasoning": {"effort": "high"},
        "user": "me", "session_id": "mine", "verbosity": "high", "parallel_tool_calls": true, "x_own": 2,
        "plugins": []});
    for (name, value) in own.as_object().expect("an object") {
        body[name] = value.clone();
    }
    let sent = read(&sent(profile(), post("/chat/completions", &body)));
    body["provider"] = json!({"sort": "price", "allow_fallbacks": true});
    assert_eq!(sent, body);
}

#[test]
fn a_thing_that_is_said_by_another_name_is_said() {
    for (name, value, silent) in [
        ("max_completion_tokens", json!(5), "max_tokens"),
        ("reasoning_effort", json!("high"), "reasoning"),
        ("include_reasoning", json!(false), "reasoning"),
    ] {
        let mut body = chat_body(MODEL);
        body[name] = value.clone();
        let sent = read(&sent(profile(), post("/chat/completions", &body)));
        assert_eq!(sent[name], value);
        assert_eq!(sent.get(silent), None, "{silent} beside {name}");
    }
}

#[test]
fn routing_preferences_are_laid_over_those_of_the_profile_field_by_field() {
    let mut body = chat_body(MODEL);
    body["provider"] = json!({"sort": "latency", "zdr": true});
    let sent = read(&sent(profile(), post("/chat/completions", &body)));
    assert_eq!(
        sent["provider"],
        json!({"sort": "latency", "allow_fallbacks": true, "zdr": true})
    );
}

#[test]
fn what_privacy_demands_no_request_takes_back() {
    let mut body = chat_body(MODEL);
    body["provider"] = json!({"data_collection": "allow", "zdr": false});
    let sent = read(&sent(json!({"privacy": "strict"}), post("/chat/completions", &body)));
    assert_eq!(sent["provider"], json!({"data_collection": "deny", "zdr": true}));
}

#[test]
fn a_session_in_a_header_keeps_that_of_the_profile_away() {
    let service = with_model();
    let request = with_header(chat(MODEL), "X-Session-Id", "mine");
    good(&plugin(&service, profile()), request);
    let request = &requests_to(&service, "/chat/completions")[0];
    assert_eq!(header(request, "x-session-id"), Some("mine"));
    assert_eq!(request.body.get("session_id"), None);
}

/// The first request under this attribution with these headers.
fn attributed(headers: &[(&str, &str)]) -> Recorded {
    let service = with_model();
    let variables = [
        ("OPENROUTER_SITE_URL", "https://env.example"),
        ("OPENROUTER_SITE_NAME", "Env"),
    ];
    let options = json!({"attribution": {"appName": "Profile", "categories": ["cli-agent"]}});
    let plugin = plugin_at(&service.base_url(), &variables, options);
    let request = headers
        .iter()
        .fold(chat(MODEL), |request, (name, value)| with_header(request, name, value));
    good(&plugin, request);
    requests_to(&service, "/chat/completions").remove(0)
}

#[test]
fn who_asks_is_said_in_headers_and_the_callers_win() {
    let names = [
        "http-referer",
        "x-title",
        "x-openrouter-title",
        "x-openrouter-categories",
    ];
    let said = |headers: &[(&str, &str)]| {
        let request = attributed(headers);
        names.map(|name| header(&request, name).map(str::to_owned))
    };
    let some = |values: [&str; 4]| values.map(|value| Some(value.to_owned()));
    assert_eq!(
        said(&[]),
        some(["https://env.example", "Profile", "Profile", "cli-agent"])
    );
    assert_eq!(
        said(&[("HTTP-Referer", "https://me.example"), ("X-Title", "Mine")]),
        some(["https://me.example", "Mine", "Mine", "cli-agent"])
    );
}

#[test]
fn both_names_of_a_title_say_the_same() {
    let request = attributed(&[("X-OpenRouter-Title", "Mine"), ("X-OpenRouter-Categories", "ide")]);
    assert_eq!(header(&request, "x-openrouter-title"), Some("Mine"));
    assert_eq!(header(&request, "x-title"), Some("Mine"));
    assert_eq!(header(&request, "x-openrouter-categories"), Some("ide"));
}

#[test]
fn other_forms_get_the_defaults_that_they_have_a_name_for() {
    let message = json!([{"role": "user", "content": "Hello"}]);
    let provider = json!({"sort": "price", "allow_fallbacks": true});
    let plugins = json!([{"id": "web", "max_results": 2}]);
    let rows = [
        (
            post("/responses", &json!({"model": MODEL, "input": "x"})),
            json!({"temperature": 0.5, "max_output_tokens": 77, "top_k": 4, "reasoning": {"effort": "low"}, "user": "u",
                "session_id": "s", "parallel_tool_calls": false, "provider": provider, "plugins": plugins}),
        ),
        (
            post("/messages", &json!({"model": MODEL, "messages": message})),
            json!({"temperature": 0.5, "max_tokens": 77, "stop_sequences": ["END"], "top_k": 4, "session_id": "s",
                "provider": provider, "plugins": plugins}),
        ),
        (
            post(
                "/embeddings",
                &json!({"model": "openai/text-embedding-3-small", "input": "x"}),
            ),
            json!({"user": "u"}),
        ),
    ];
    for (request, filled) in rows {
        let mut expected: Value = serde_json::from_slice(request.body.as_deref().expect("a body")).expect("JSON");
        for (name, value) in filled.as_object().expect("an object") {
            expected[name] = value.clone();
        }
        let path = request.path.clone();
        assert_eq!(read(&sent(profile(), request)), expected, "{path}");
    }
}

#[test]
fn in_other_forms_the_request_wins_too() {
    let message = json!([{"role": "user", "content": "Hello"}]);
    for (path, body, silent) in [
        (
            "/responses",
            json!({"model": MODEL, "input": "x", "max_output_tokens": 20}),
            "max_tokens",
        ),
        (
            "/messages",
            json!({"model": MODEL, "messages": message, "max_tokens": 6, "stop_sequences": ["Y"]}),
            "stop",
        ),
        (
            "/completions",
            json!({"model": MODEL, "prompt": "x", "max_completion_tokens": 5}),
            "max_tokens",
        ),
    ] {
        let sent = read(&sent(profile(), post(path, &body)));
        for (name, value) in body.as_object().expect("an object") {
            assert_eq!(&sent[name], value, "{path}");
        }
        assert_eq!(sent.get(silent), None, "{path}");
    }
}

#[test]
fn what_a_form_has_no_place_for_is_not_put_there() {
    let sent = sent(
        profile(),
        post(
            "/rerank",
            &json!({"model": "cohere/rerank-v3.5", "query": "x", "documents": ["x"]}),
        ),
    );
    assert_eq!(
        read(&sent),
        json!({"model": "cohere/rerank-v3.5", "query": "x", "documents": ["x"]})
    );
}
