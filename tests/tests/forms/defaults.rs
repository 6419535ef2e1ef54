//! The profile fills in what a request leaves open, by the names of each form; what the request says wins.

use sandbox::Script;
use serde_json::{Value, json};

use crate::bench::{MODEL, chat, good, plugin, plugin_at, post, requests_to, sent, service_playing, with, with_header};

/// Defaults for everything that a profile can say about a request.
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
fn each_form_gets_the_defaults_that_it_has_a_name_for() {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let provider = json!({"sort": "price", "allow_fallbacks": true});
    let plugins = json!([{"id": "web", "max_results": 2}]);
    let rows = json!([
        ["/chat/completions", {"model": MODEL, "messages": messages},
            {"temperature": 0.5, "max_tokens": 77, "stop": "END", "min_p": 0.1, "top_k": 4,
                "reasoning": {"effort": "low"}, "user": "u", "session_id": "s", "verbosity": "low",
                "parallel_tool_calls": false, "x_own": 1, "provider": provider, "plugins": plugins}],
        ["/responses", {"model": MODEL, "input": "x"},
            {"temperature": 0.5, "max_output_tokens": 77, "top_k": 4, "reasoning": {"effort": "low"}, "user": "u",
                "session_id": "s", "parallel_tool_calls": false, "provider": provider, "plugins": plugins}],
        ["/messages", {"model": MODEL, "messages": messages},
            {"temperature": 0.5, "max_tokens": 77, "stop_sequences": ["END"], "top_k": 4, "session_id": "s",
                "provider": provider, "plugins": plugins}],
        ["/embeddings", {"model": "openai/text-embedding-3-small", "input": "x"}, {"user": "u"}],
        ["/rerank", {"model": "cohere/rerank-v3.5", "query": "x", "documents": ["x"]}, {}],
    ]);
    for row in rows.as_array().expect("a table") {
        let path = row[0].as_str().expect("a path");
        assert_eq!(
            sent(profile(), post(path, &row[1])),
            with(row[1].clone(), &row[2]),
            "{path}"
        );
    }
}

#[test]
fn the_request_wins_over_the_profile_under_any_name() {
    let messages = json!([{"role": "user", "content": "Hello"}]);
    let rows = json!([
        ["/chat/completions", {"temperature": 1.0, "max_tokens": 5, "stop": ["X"], "min_p": null, "top_k": 0,
            "reasoning": {"effort": "high"}, "user": "me", "session_id": "mine", "verbosity": "high",
            "parallel_tool_calls": true, "x_own": 2, "plugins": []}, ""],
        ["/chat/completions", {"max_completion_tokens": 5}, "max_tokens"],
        ["/chat/completions", {"reasoning_effort": "high"}, "reasoning"],
        ["/chat/completions", {"include_reasoning": false}, "reasoning"],
        ["/responses", {"input": "x", "max_output_tokens": 20}, "max_tokens"],
        ["/messages", {"max_tokens": 6, "stop_sequences": ["Y"]}, "stop"],
        ["/completions", {"prompt": "x", "max_completion_tokens": 5}, "max_tokens"],
    ]);
    for row in rows.as_array().expect("a table") {
        let path = row[0].as_str().expect("a path");
        let mut body = with(json!({"model": MODEL}), &row[1]);
        if ["/chat/completions", "/messages"].contains(&path) {
            body["messages"] = messages.clone();
        }
        let sent = sent(profile(), post(path, &body));
        assert_eq!(with(sent.clone(), &body), sent, "{row}");
        assert_eq!(sent.get(row[2].as_str().expect("a name")), None, "{row}");
    }
}

#[test]
fn a_session_in_a_header_replaces_the_one_of_the_profile() {
    let service = service_playing(Script::text("yes"));
    good(
        &plugin(&service, profile()),
        with_header(chat(MODEL), "X-Session-Id", "mine"),
    );
    let request = &requests_to(&service, "/chat/completions")[0];
    let header = ("x-session-id".to_owned(), "mine".to_owned());
    assert!(request.headers.contains(&header), "{:?}", request.headers);
    assert_eq!(request.body.get("session_id"), None);
}

#[test]
fn attribution_headers_of_the_caller_win_over_profile_and_environment() {
    let names = [
        "http-referer",
        "x-title",
        "x-openrouter-title",
        "x-openrouter-categories",
    ];
    for (headers, expected) in [
        (&[][..], ["https://env.example", "Profile", "Profile", "cli-agent"]),
        (
            &[("HTTP-Referer", "https://me.example"), ("X-Title", "Mine")],
            ["https://me.example", "Mine", "Mine", "cli-agent"],
        ),
        (
            &[("X-OpenRouter-Title", "Mine"), ("X-OpenRouter-Categories", "ide")],
            ["https://env.example", "Mine", "Mine", "ide"],
        ),
    ] {
        let service = service_playing(Script::text("yes"));
        let variables = [
            ("OPENROUTER_SITE_URL", "https://env.example"),
            ("OPENROUTER_SITE_NAME", "Env"),
        ];
        let options = json!({"attribution": {"appName": "Profile", "categories": ["cli-agent"]}});
        let request = headers
            .iter()
            .fold(chat(MODEL), |request, (name, value)| with_header(request, name, value));
        good(&plugin_at(&service.base_url(), &variables, options), request);
        let arrived = requests_to(&service, "/chat/completions").remove(0);
        let value = |name| {
            let header = arrived.headers.iter().find(|(known, _)| known == name);
            header.map_or("", |(_, value)| value.as_str())
        };
        assert_eq!(names.map(value), expected, "{headers:?}");
    }
}
