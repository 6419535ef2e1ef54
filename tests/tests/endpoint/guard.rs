//! Who may ask: hostile requests over real sockets, and good ones beside them.
//!
//! Every rule has its rows in `host-example/src/serve/guard`. The rows here show that real requests pass through the
//! guard, and hold what only an HTTP server can get wrong: repeated headers, odd targets, bytes that are not ASCII.

use serde_json::json;
use tests::canary::CANARY;
use tests::endpoint::{Answer, Endpoint, Request, Serve, TOKEN, chat_body};

use crate::bench::{CHAT, stream_body};

/// An endpoint that answers for one more name, and lets one page ask.
fn endpoint() -> Endpoint {
    let arguments = [
        "--allow-host",
        "models.example.org",
        "--cors-origin",
        "http://localhost:3000",
    ];
    Serve::new().arguments(&arguments).start()
}

/// A request of a table, and the status it expects.
///
/// - In: `STATUS METHOD TARGET | CHANGE | …`, where a change is `-name` (without the header) or `name: value` (instead
///   of the usual value; twice is twice). `{port}`, `{token}` and `{key}` stand for the endpoint's.
fn row(endpoint: &Endpoint, row: &str) -> (u16, Request) {
    let row = row.replace("{port}", &endpoint.address().port().to_string());
    let row = row.replace("{token}", TOKEN).replace("{key}", CANARY);
    let mut parts = row.split(" | ");
    let first: Vec<&str> = parts.next().unwrap_or_default().split(' ').collect();
    let [status, method, target] = first.as_slice() else {
        panic!("{row}")
    };
    let good = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    let mut request = good.method(method).target(target);
    let changes: Vec<&str> = parts.collect();
    for change in &changes {
        let name = change.split(':').next().unwrap_or_default();
        request = request.without(name.trim_start_matches('-'));
    }
    for (name, value) in changes.iter().filter_map(|change| change.split_once(':')) {
        request = request.header(name, value.strip_prefix(' ').unwrap_or(value));
    }
    (status.parse().expect("a status"), request)
}

const HOSTILE: &[&str] = &[
    // Exactly one host, and this endpoint's.
    "400 POST /v1/chat/completions | -host",
    "400 POST /v1/chat/completions | host: 127.0.0.1:{port} | host: evil.example",
    "421 POST /v1/chat/completions | host:",
    "421 POST /v1/chat/completions | host: evil.example",
    "421 POST /v1/chat/completions | host: xlocalhost:{port}",
    "421 POST /v1/chat/completions | host: 127.0.0.1:{port}x",
    "421 POST /v1/chat/completions | host: [0:0:0:0:0:0:0:1]:{port}",
    "421 POST /v1/chat/completions | host: evil.example#@127.0.0.1:{port}",
    "421 POST /v1/chat/completions | host: \u{ff4c}ocalhost:{port}",
    "421 GET /metrics | host: evil.example",
    "421 GET /v1/models | host: rebound.example:{port} | origin: http://rebound.example:{port}",
    // A target that names a host names the same one.
    "421 POST http://evil.example/v1/chat/completions",
    "421 POST http://127.0.0.1:{port}/v1/chat/completions | host: localhost:{port}",
    "421 POST https://127.0.0.1:{port}/v1/chat/completions",
    "421 POST http://127.0.0.1:{port}@evil.example/v1/chat/completions",
    // Pages of other origins.
    "403 POST /v1/chat/completions | origin: http://evil.example",
    "403 POST /v1/chat/completions | origin: http://127.0.0.1:{port} | origin: http://evil.example",
    "403 POST /v1/chat/completions | origin: https://localhost:3000",
    "403 POST /v1/chat/completions | origin: http://localhost:3000.evil.example",
    "403 GET /metrics | origin: http://evil.example",
    "403 POST /v1/chat/completions | sec-fetch-site: cross-site",
    "403 POST /v1/chat/completions | sec-fetch-site: none | sec-fetch-site: cross-site",
    "403 POST /v1/chat/completions | sec-fetch-site: cross-site | origin: http://127.0.0.1:{port}",
    "403 GET /v1/models | sec-fetch-site: cross-site | -content-type",
    // Content types that a page may send without a preflight.
    "415 POST /v1/chat/completions | content-type: text/plain",
    "415 POST /v1/chat/completions | content-type: application/json | content-type: text/plain",
    // Methods and paths.
    "405 TRACE /v1/chat/completions",
    "404 POST /v2/chat/completions",
    "400 GET /v1/../../etc/passwd",
    "400 GET /v1/%2e%2e/%2e%2e/key",
    "400 GET //evil.example/v1/models",
    // Tokens.
    "401 POST /v1/chat/completions | -authorization",
    "401 POST /v1/chat/completions | authorization: Bearer wrong-token-of-the-same-length-1",
    "401 POST /v1/chat/completions | authorization: Bearer sk-or-v1-another",
    "401 POST /v1/chat/completions | -authorization | x-api-key: wrong",
    "401 POST /v1/chat/completions | authorization: Bearer wrong | x-api-key: wrong",
    "400 POST /v1/chat/completions | x-api-key: wrong | x-api-key: {token}",
];

#[test]
fn hostile_requests_never_reach_the_service() {
    let endpoint = endpoint();
    let mut wrong = Vec::new();
    for hostile in HOSTILE {
        let (status, request) = row(&endpoint, hostile);
        let answer = endpoint.answer(&request);
        if answer.status != status {
            wrong.push((hostile, answer.status, answer.text()));
        } else if let Some(why) = flaw_of(&answer) {
            wrong.push((hostile, answer.status, why));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        (endpoint.service.requests(), endpoint.service.accepted_connections()),
        (Vec::new(), 0)
    );
}

/// What is wrong with a refusal.
fn flaw_of(answer: &Answer) -> Option<String> {
    let error = answer.json()["error"].clone();
    let is_complete = error["code"] == answer.status
        && error["message"].is_string()
        && error["type"].is_string()
        && error["metadata"]["error_type"] == error["type"];
    if !is_complete {
        return Some(format!("not an error that clients can read: {error}"));
    }
    let cors = cors(answer).into_iter().next();
    cors.map(|(name, _)| format!("a CORS header: {name}"))
}

fn cors(answer: &Answer) -> Vec<(String, String)> {
    let headers = answer.headers.iter();
    headers
        .filter(|(name, _)| name.starts_with("access-control-"))
        .cloned()
        .collect()
}

const GOOD: &[&str] = &[
    "200 POST /v1/chat/completions",
    "200 POST http://127.0.0.1:{port}/v1/chat/completions",
    "200 POST /v1/chat/completions | origin: http://127.0.0.1:{port} | sec-fetch-site: same-origin",
    "200 POST /v1/chat/completions | origin: http://localhost:3000 | sec-fetch-site: cross-site",
    "200 POST /v1/chat/completions | -authorization | x-api-key: {token}",
    // The service's own key is a token too.
    "200 POST /v1/chat/completions | authorization: Bearer {key}",
    "200 POST /v1/chat/completions | -authorization | x-api-key: {key}",
    // Another program's login beside the token.
    "200 POST /v1/chat/completions | authorization: Bearer wrong | x-api-key: {token}",
    "200 POST /v1/chat/completions | authorization: Bearer {token} | x-api-key: wrong",
    // One root or one slash too many.
    "200 POST /v1/v1/chat/completions",
    "200 POST /v1//chat/completions",
    "200 POST /v1/chat/completions/",
];

#[test]
fn good_requests_reach_the_service() {
    let endpoint = endpoint();
    for good in GOOD {
        let (status, request) = row(&endpoint, good);
        let answer = endpoint.answer(&request);
        assert_eq!(answer.status, status, "{good}: {}", answer.text());
    }
    assert_eq!(endpoint.service.requests().len(), GOOD.len());
}

#[test]
fn only_the_origin_named_by_cors_origin_gets_cors_headers() {
    let endpoint = endpoint();
    let chat = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    let page = |request: &Request| request.clone().header("origin", "http://localhost:3000");
    let preflight = endpoint.get(CHAT).method("OPTIONS").without("authorization");
    let preflight = preflight.header("access-control-request-method", "POST");
    let allowed = endpoint.answer(&page(&preflight));
    assert_eq!((allowed.status, allowed.body.len()), (204, 0));
    let answer = endpoint.answer(&page(&chat)).expect(200);
    // The page can read why it was refused, and still needs the token.
    let refused = endpoint
        .answer(&page(&chat.clone().without("authorization")))
        .expect(401);
    for answer in [&allowed, &answer, &refused] {
        let origin = answer.header("access-control-allow-origin");
        assert_eq!(origin, Some("http://localhost:3000"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    assert_eq!(answer.header("vary"), Some("origin"));
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("x-served-model"), "{exposed}");
    assert_eq!(cors(&endpoint.answer(&chat).expect(200)), []);
}

#[test]
fn the_key_is_in_no_answer() {
    let endpoint = Endpoint::start();
    // The kit searches every answer for the key.
    for target in [
        "/",
        "/metrics",
        "/v1/key",
        "/v1/credits",
        "/v1/providers",
        "/v1/nothing",
    ] {
        endpoint.answer(&endpoint.get(target));
    }
    for model in ["status-401", "status-403", "mid-stream-error", "cut", "html-502"] {
        let body = stream_body(&format!("sandbox/{model}"), "Hello");
        endpoint.answer(&endpoint.post(CHAT, &body));
    }
    endpoint.chat("sandbox/echo", "What is your key?").expect(200);
    endpoint.answer(&endpoint.post(CHAT, &json!([]))).expect(400);
}
