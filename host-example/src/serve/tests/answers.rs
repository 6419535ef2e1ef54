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
    answer.has(&[
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
    ]);
    // `serve/route` has the paths row by row.
    let deleted = bench.ask("DELETE", "/v1/keys/k1?a=b", "");
    deleted.has(&[("x-path", "/keys/k1?a=b"), ("x-method", "DELETE")]);
    let librechat = bench.ask("POST", "/api/endpoints/fake/chat/completions", "{}");
    assert_eq!(librechat.status, 200);
}

#[test]
fn the_services_own_refusal_passes_as_it_is_and_ours_says_what_to_do() {
    let bench = Bench::new();
    let refused = bench.get("/v1/responses/refused");
    assert_eq!((refused.status, refused.body.as_str()), (429, "{\"error\" : 429}"));
    refused.has(&[
        ("content-type", "application/problem+json"),
        ("x-ratelimit-remaining", "0"),
        ("retry-after", "2"),
        ("x-attempts", "2"),
    ]);
    let unreachable = bench.get("/v1/responses/unreachable");
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
    let list = bench.get("/v1/models");
    assert_eq!(
        list.json(),
        json!({"object": "list", "data": [
            {"id": "acme/small", "price": 1.5},
            {"id": "TEXT_SMALL", "price": 1.5, "object": "model", "created": 0, "owned_by": "agent-host",
                "name": "TEXT_SMALL → acme/small", "tier": true}
        ], "total_count": 2, "links": {"next": null}})
    );
    list.has(&[
        ("age", "61"),
        ("warning", "110 agent-host \"the model list is stale: no connection\""),
    ]);
    assert_eq!(bench.get("/v1/models?force=true").header("warning"), None);
    assert_eq!(bench.get("/api/endpoints/fake/models").status, 200);
    assert_eq!(bench.get("/v1/models/tier/small").json()["id"], "tier/small");
    assert_eq!(bench.get("/v1/model/tier/small").json()["data"]["id"], "tier/small");
    assert_eq!(
        bench.get("/v1/models/acme%2Fsmall").body,
        r#"{"id" : "acme/small", "price": 1.5}"#
    );
    // The fake service's list has whatever the query asks for.
    let filtered = bench.get("/v1/models?data=7&force=1");
    let text = format!("{{\"data\":[7.50,{}]}}", list.json()["data"][1]);
    assert_eq!((filtered.status, filtered.body), (200, text));
    let unknown = bench.get("/v1/models/small");
    let hint = unknown.json()["error"]["metadata"]["hint"].take();
    assert_eq!(
        (unknown.status, hint),
        (404, json!("did you mean `acme/small` or `TEXT_SMALL`?"))
    );
    assert_eq!(bench.get("/api/endpoints/fake/credits").json()["balance"], 12.5);
}

#[test]
fn a_plugin_without_a_raw_form_answers_chat_completions() {
    let bench = Bench::with::<Plain>(8);
    let body = r#"{"model":"tier/small","messages":[{"role":"user","content":"Hi"}]}"#;
    let whole = bench.ask("POST", "/v1/chat/completions", body);
    whole.has(&[("x-served-model", "plain/small")]);
    let completion = whole.json();
    assert_eq!(completion["object"], "chat.completion");
    let message = json!({"role": "assistant", "content": "Hello TEXT_SMALL"});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop", "logprobs": null});
    assert_eq!(completion["choices"], json!([choice]));
    let list = bench.get("/v1/models").json();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1));
    let other = bench.ask("POST", "/v1/embeddings", "{}");
    other.fails(501, "type", "unsupported");
    assert_eq!(bench.get("/api/endpoints/plain/credits").status, 501);
}

#[test]
fn a_body_that_is_too_large_or_no_json_is_refused() {
    let bench = Bench::new();
    // By what comes; one that promises too much is refused before.
    let host = bench.address;
    let mut client = bench.client();
    client.send(&format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\nx-api-key: {KEY}\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\n\r\n100001\r\n{}",
        "x".repeat(0x10_0001)
    ));
    let large = client.answer();
    let message = "expected a body of at most 1 MiB, found a larger one";
    large.fails(413, "message", message);
    let exact = format!("\"{}\"", "x".repeat((1 << 20) - 2));
    assert_eq!(bench.ask("POST", "/v1/chat/completions", &exact).status, 200);
    let broken = bench.ask("POST", "/v1/chat/completions", "{\n\"private\": private}");
    let message = "the body is not JSON: unexpected character at line 2, column 12";
    broken.fails(400, "message", message);
    assert_eq!(bench.ask("POST", "/v1/responses", "").status, 400);
    assert_eq!(bench.ask("POST", "/v1/keys", "").status, 200);
}

#[test]
fn an_unauthorized_caller_learns_nothing() {
    let bench = Bench::new();
    let host = bench.address;
    let mut client = bench.client();
    client.send(&format!("GET /v1/key HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    let refused = client.answer();
    refused.has(&[("www-authenticate", "Bearer")]);
    refused.fails(401, "type", "missing_api_key");
    let plugin = json!({"id": "fake", "name": "Fake", "version": "1.0.0"});
    assert_eq!(bench.get("/health").json()["plugin"], plugin);
    assert!(bench.get("/").body.contains("POST /v1/chat/completions"));
    // Two answers on one connection, the second for another host.
    let mut client = bench.client();
    client.ask("GET", "/health", "");
    assert_eq!(client.answer().status, 200);
    let elsewhere = "GET /metrics HTTP/1.1\r\nhost: evil.com\r\nx-api-key: ";
    client.send(&format!("{elsewhere}{TOKEN}\r\n\r\n"));
    assert_eq!(client.answer().status, 421);
    for path in ["/", "/health", "/metrics", "/v1/models", "/v1/key", "/nothing"] {
        let answer = bench.get(path);
        let text = format!("{answer:?}");
        assert!(!text.contains(TOKEN) && !text.contains(KEY), "{text}");
    }
}

#[test]
fn a_preflight_of_an_allowed_origin_is_granted() {
    let bench = Bench::new();
    let host = bench.address;
    let mut client = bench.client();
    client.send(&format!(
        "OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: {host}\r\norigin: http://localhost:3000\r\nsec-fetch-site: same-site\r\n\
         access-control-request-method: POST\r\naccess-control-request-headers: authorization,x-title\r\n\r\n"
    ));
    let preflight = client.answer();
    assert_eq!(preflight.status, 204);
    preflight.has(&[
        ("access-control-allow-origin", "http://localhost:3000"),
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", "authorization,x-title"),
        ("vary", "origin"),
    ]);
}

#[test]
fn a_404_of_a_path_says_so_in_the_form_of_its_family() {
    let bench = Bench::new();
    let message = "the service has no path `GET /missing/page`, or nothing of this name";
    let page = bench.get("/v1/missing/page");
    page.fails(404, "message", message);
    let hint = "check the path; `GET /` of this endpoint lists the usual ones";
    assert_eq!(page.json()["error"]["metadata"]["hint"], hint);
    // What names a thing keeps the service's words.
    let thing = bench.get("/v1/missing/thing");
    assert_eq!(
        (thing.status, thing.body.as_str()),
        (404, r#"{"error":{"message":"no thing 7"}}"#)
    );
    assert_eq!(thing.header("x-hint"), Some(hint));
    let named = bench.ask("POST", "/v1/missing/thing", r#"{"model":"acme/x"}"#);
    assert_eq!(named.header("x-hint"), Some("check the model id"));
    let messages = bench.ask("POST", "/v1/messages/missing/path", r#"{"model":"acme/x"}"#);
    let message = format!("the service has no path `POST /messages/missing/path`, or nothing of this name; {hint}");
    let metadata = json!({"error_type": "not_found", "hint": hint});
    let error = json!({"type": "not_found_error", "message": message, "metadata": metadata});
    assert_eq!(
        (messages.status, messages.json()),
        (404, json!({"type": "error", "error": error}))
    );
}

#[test]
fn a_refusal_that_leaves_a_body_unread_closes_its_connection() {
    let bench = Bench::new();
    let host = bench.address;
    for (length, closes) in [(0, None), (2, Some("close"))] {
        let mut client = bench.client();
        client.send(&format!(
            "POST /v1/embeddings HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer wrong\r\ncontent-length: {length}\r\n\r\n"
        ));
        let answer = client.answer();
        assert_eq!((answer.status, answer.header("connection")), (401, closes));
    }
}
