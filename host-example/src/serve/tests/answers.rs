//! Whole answers, and what is refused.

use serde_json::json;

use super::bench::{Bench, TOKEN};
use super::fake::{KEY, Plain};

#[test]
fn a_request_and_its_answer_pass_as_they_are() {
    let bench = Bench::new();
    let body = "{ \"messages\" : [],\"stream\":false, \"x\":1.50 }";
    let answer = bench.ask("POST", "/api/v1/chat/completions?a=%20b", body);
    assert_eq!((answer.status, answer.body.as_str()), (200, body));
    for (name, value) in [
        ("x-path", "/chat/completions?a=%20b"),
        ("x-method", "POST"),
        ("x-names", "content-type"),
        ("content-type", "application/json"),
        ("x-served-model", "acme/small"),
        ("x-served-provider", "Acme"),
        ("x-generation-id", "gen-1"),
        ("x-cost-usd", "0.0041"),
        ("x-attempts", "1"),
        ("x-translated", "max-price"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let path = |method: &str, path: &str| bench.ask(method, path, "").header("x-path").map(str::to_owned);
    assert_eq!(path("GET", "/v1/auth/key"), Some("/key".to_owned()));
    assert_eq!(
        path("GET", "/v1/generation?id=g%2F1"),
        Some("/generation?id=g%2F1".to_owned())
    );
    assert_eq!(
        path("GET", "/v1/models?category=x"),
        Some("/models?category=x".to_owned())
    );
    assert_eq!(
        path("GET", "/v1/models/acme%2Fsmall/endpoints"),
        Some("/models/acme/small/endpoints".to_owned())
    );
    assert_eq!(path("DELETE", "/v1/keys/k1"), Some("/keys/k1".to_owned()));
    assert_eq!(
        bench.ask("POST", "/api/endpoints/fake/chat/completions", "{}").status,
        200
    );
}

#[test]
fn the_services_own_refusal_passes_as_it_is_and_ours_says_what_to_do() {
    let bench = Bench::new();
    let refused = bench.ask("GET", "/v1/responses/refused", "");
    assert_eq!((refused.status, refused.body.as_str()), (429, "{\"error\" : 429}"));
    for (name, value) in [
        ("content-type", "application/problem+json"),
        ("x-ratelimit-remaining", "0"),
        ("retry-after", "2"),
        ("x-attempts", "2"),
    ] {
        assert_eq!(refused.header(name), Some(value), "{name}");
    }
    let unreachable = bench.ask("GET", "/v1/responses/unreachable", "");
    assert_eq!(unreachable.status, 502);
    assert_eq!(
        unreachable.json(),
        json!({"error": {
            "code": 502, "message": "no connection to the service", "type": "connect", "param": null,
            "metadata": {"error_type": "connect", "hint": "look at the network"}
        }})
    );
}

#[test]
fn tiers_are_models() {
    let bench = Bench::new();
    let list = bench.ask("GET", "/v1/models", "");
    assert_eq!(
        list.json(),
        json!({"object": "list", "data": [
            {"id": "TEXT_SMALL", "object": "model", "created": 0, "owned_by": "agent-host", "name": "TEXT_SMALL → acme/small", "tier": true},
            {"id": "tier/small", "object": "model", "created": 0, "owned_by": "agent-host", "name": "TEXT_SMALL → acme/small", "tier": true},
            {"id": "acme/small"}
        ]})
    );
    assert_eq!(list.header("age"), Some("61"));
    assert_eq!(
        list.header("warning"),
        Some("110 agent-host \"the model list is stale: no connection\"")
    );
    assert_eq!(bench.ask("GET", "/v1/models?force=true", "").header("warning"), None);
    assert_eq!(bench.ask("GET", "/api/endpoints/fake/models", "").status, 200);
    assert_eq!(bench.ask("GET", "/v1/models/tier/small", "").json()["id"], "tier/small");
    assert_eq!(
        bench.ask("GET", "/v1/models/acme%2Fsmall", "").body,
        "{\"id\" : \"acme/small\"}"
    );
    let unknown = bench.ask("GET", "/v1/models/small", "");
    assert_eq!(unknown.status, 404);
    assert_eq!(
        unknown.json()["error"]["metadata"]["hint"],
        "did you mean `acme/small`?"
    );
    let credits = bench.ask("GET", "/api/endpoints/fake/credits", "").json();
    assert_eq!(
        (&credits["balance"], &credits["currency"]),
        (&json!(12.5), &json!("USD"))
    );
}

#[test]
fn a_plugin_without_a_raw_form_answers_chat_completions() {
    let bench = Bench::with::<Plain>(8);
    let body = r#"{"model":"tier/small","messages":[{"role":"user","content":"Hi"}]}"#;
    let whole = bench.ask("POST", "/v1/chat/completions", body);
    assert_eq!(whole.header("x-served-model"), Some("plain/small"));
    let completion = whole.json();
    assert_eq!(completion["object"], "chat.completion");
    assert_eq!(
        completion["choices"],
        json!([{
            "index": 0, "message": {"role": "assistant", "content": "Hello TEXT_SMALL"}, "finish_reason": "stop",
            "logprobs": null
        }])
    );
    let streamed = bench.ask(
        "POST",
        "/v1/chat/completions",
        &body.replacen('{', "{\"stream\":true,", 1),
    );
    assert_eq!(streamed.header("content-type"), Some("text/event-stream"));
    let contents: Vec<_> = streamed
        .body
        .split_terminator("\n\n")
        .filter_map(|frame| serde_json::from_str::<serde_json::Value>(frame.strip_prefix("data: ")?).ok())
        .map(|chunk| chunk["choices"][0]["delta"]["content"].clone())
        .collect();
    assert_eq!(json!(contents), json!(["", "Hello ", "TEXT_SMALL", null]));
    assert!(streamed.body.ends_with("data: [DONE]\n\n"), "{}", streamed.body);
    let list = bench.ask("GET", "/v1/models", "").json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
    let other = bench.ask("POST", "/v1/embeddings", "{}");
    assert_eq!(
        (other.status, other.json()["error"]["type"].as_str()),
        (501, Some("unsupported"))
    );
    assert_eq!(bench.ask("GET", "/api/endpoints/plain/credits", "").status, 501);
}

#[test]
fn a_body_that_is_too_large_or_no_json_is_refused() {
    let bench = Bench::new();
    let mut client = bench.client();
    // By what it promises: nothing of it is sent.
    let host = bench.address;
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n"
    );
    client.send(&format!("{head}content-length: 1048577\r\n\r\n"));
    let promised = client.answer();
    assert_eq!((promised.status, promised.header("connection")), (413, Some("close")));
    assert_eq!(
        promised.json()["error"]["message"],
        "expected a body of at most 1 MiB, found a larger one"
    );
    // By what comes.
    let mut client = bench.client();
    client.send(&format!("{head}transfer-encoding: chunked\r\n\r\n100001\r\n"));
    client.send(&"x".repeat(0x10_0001));
    assert_eq!(client.answer().status, 413);
    let exact = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    assert_eq!(bench.ask("POST", "/v1/chat/completions", &exact).status, 200);
    let broken = bench.ask("POST", "/v1/chat/completions", "{\n\"private\": private}");
    assert_eq!(broken.status, 400);
    assert_eq!(
        broken.json()["error"]["message"],
        "the body is not JSON: unexpected character at line 2, column 12"
    );
    assert_eq!(bench.ask("POST", "/v1/responses", "").status, 400);
    assert_eq!(bench.ask("POST", "/v1/keys", "").status, 200);
}

#[test]
fn an_unauthorized_caller_learns_nothing() {
    let bench = Bench::new();
    let host = bench.address;
    let without_token = |path: &str| {
        let mut client = bench.client();
        client.send(&format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n"));
        client.answer()
    };
    assert_eq!(without_token("/health").body, "{\"status\":\"ok\"}");
    let refused = without_token("/v1/models");
    assert_eq!(
        (refused.status, refused.header("www-authenticate")),
        (401, Some("Bearer"))
    );
    assert_eq!(refused.json()["error"]["type"], "missing_api_key");
    assert_eq!(without_token("/metrics").status, 401);
    assert_eq!(without_token("/").status, 401);
    let known = bench.ask("GET", "/health", "").json();
    assert_eq!(
        known["plugin"],
        json!({"id": "fake", "name": "Fake", "version": "1.0.0"})
    );
    assert_eq!(
        (&known["tiers"][0]["wire"], &known["in_flight"]),
        (&json!("acme/small"), &json!(1))
    );
    assert!(bench.ask("GET", "/", "").body.contains("POST /v1/chat/completions"));
    // Two answers on one connection, the second for another host.
    let mut client = bench.client();
    client.ask("GET", "/health", "");
    assert_eq!(client.answer().status, 200);
    client.send(&format!(
        "GET /health HTTP/1.1\r\nhost: evil.com\r\nx-api-key: {TOKEN}\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 421);
    let mut client = bench.client();
    client.send(&format!("GET /health HTTP/1.0\r\nx-api-key: {TOKEN}\r\n\r\n"));
    assert_eq!(client.answer().status, 400);
    for path in ["/", "/health", "/metrics", "/v1/models", "/v1/key", "/nothing"] {
        let answer = bench.ask("GET", path, "");
        let text = format!("{answer:?}");
        assert!(!text.contains(TOKEN) && !text.contains(KEY), "{text}");
    }
}

#[test]
fn a_page_of_an_allowed_origin_may_ask_and_read() {
    let bench = Bench::new();
    let host = bench.address;
    let mut client = bench.client();
    client.send(&format!(
        "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\norigin: http://localhost:3000\r\nsec-fetch-site: same-site\r\n\
         access-control-request-method: POST\r\naccess-control-request-headers: authorization,x-title\r\n\r\n"
    ));
    let preflight = client.answer();
    assert_eq!(preflight.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", "http://localhost:3000"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization,x-title"),
        ("vary", "origin"),
    ] {
        assert_eq!(preflight.header(name), Some(value), "{name}");
    }
    client.send(&format!(
        "GET /v1/models HTTP/1.1\r\nhost: {host}\r\norigin: http://localhost:3000\r\n\r\n"
    ));
    let refused = client.answer();
    assert_eq!(refused.status, 401);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("http://localhost:3000")
    );
    client.ask("GET", "/v1/models", "");
    assert_eq!(client.answer().header("access-control-allow-origin"), None);
}
