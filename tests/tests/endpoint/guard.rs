//! Who may ask: hostile requests over real sockets, and the good ones beside them.

use serde_json::json;
use tests::canary::CANARY;
use tests::endpoint::{Answer, Endpoint, Request, Serve, TOKEN, chat_body};

const CHAT: &str = "/v1/chat/completions";

/// Leaves a header out.
const LEFT_OUT: &str = "\u{0}";

/// The status that is expected, the method, the target, and headers in the place of the usual ones or beside them. `{port}` stands for
/// the endpoint's.
type Row = (u16, &'static str, &'static str, &'static [(&'static str, &'static str)]);

/// An endpoint that may be reached under one more name, and asked by one page.
fn endpoint() -> Endpoint {
    let arguments = [
        "--allow-host",
        "models.example.org",
        "--cors-origin",
        "http://localhost:3000",
    ];
    Serve::new().arguments(&arguments).start()
}

fn request(endpoint: &Endpoint, (_, method, target, changes): &Row) -> Request {
    let port = endpoint.address().port().to_string();
    let good = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    let good = good.method(method).target(&target.replace("{port}", &port));
    let good = changes.iter().fold(good, |request, (name, _)| request.without(name));
    let sent = changes.iter().filter(|(_, value)| *value != LEFT_OUT);
    sent.fold(good, |request, (name, value)| {
        request.header(name, &value.replace("{port}", &port))
    })
}

const HOSTILE: [Row; 108] = [
    // The host: exactly one, exactly this endpoint's.
    (400, "POST", CHAT, &[("host", LEFT_OUT)]),
    (
        400,
        "POST",
        CHAT,
        &[("host", "127.0.0.1:{port}"), ("host", "127.0.0.1:{port}")],
    ),
    (
        400,
        "POST",
        CHAT,
        &[("host", "127.0.0.1:{port}"), ("host", "evil.example")],
    ),
    (421, "POST", CHAT, &[("host", "")]),
    (421, "POST", CHAT, &[("host", "evil.example")]),
    (421, "POST", CHAT, &[("host", "evil.example:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1.evil.example:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1.nip.io:{port}")]),
    (421, "POST", CHAT, &[("host", "localhost.evil.example:{port}")]),
    (421, "POST", CHAT, &[("host", "localhost.:{port}")]),
    (421, "POST", CHAT, &[("host", "xlocalhost:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1")]),
    (421, "POST", CHAT, &[("host", "localhost")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:80")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:1")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:0{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:+{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:{port}:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:{port}x")]),
    (421, "POST", CHAT, &[("host", "127.0.0.2:{port}")]),
    (421, "POST", CHAT, &[("host", "127.1:{port}")]),
    (421, "POST", CHAT, &[("host", "0.0.0.0:{port}")]),
    (421, "POST", CHAT, &[("host", "0:{port}")]),
    (421, "POST", CHAT, &[("host", "2130706433:{port}")]),
    (421, "POST", CHAT, &[("host", "0x7f.0.0.1:{port}")]),
    (421, "POST", CHAT, &[("host", "0x7f000001:{port}")]),
    (421, "POST", CHAT, &[("host", "0177.0.0.1:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.01:{port}")]),
    (421, "POST", CHAT, &[("host", "[::ffff:127.0.0.1]:{port}")]),
    (421, "POST", CHAT, &[("host", "[::ffff:7f00:1]:{port}")]),
    (421, "POST", CHAT, &[("host", "[0:0:0:0:0:0:0:1]:{port}")]),
    (421, "POST", CHAT, &[("host", "[::1%25lo]:{port}")]),
    (421, "POST", CHAT, &[("host", "::1:{port}")]),
    (421, "POST", CHAT, &[("host", "[::]:{port}")]),
    (421, "POST", CHAT, &[("host", "user@127.0.0.1:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:{port}@evil.example")]),
    (421, "POST", CHAT, &[("host", "evil.example#@127.0.0.1:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:{port}, evil.example")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:{port}/")]),
    (421, "POST", CHAT, &[("host", "http://127.0.0.1:{port}")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1 :{port}")]),
    (421, "POST", CHAT, &[("host", "\u{ff4c}ocalhost:{port}")]),
    (421, "POST", CHAT, &[("host", "models.example.org.evil.example")]),
    (421, "POST", CHAT, &[("host", "evil-models.example.org")]),
    (421, "GET", "/health", &[("host", "evil.example")]),
    (
        421,
        "GET",
        "/v1/models",
        &[
            ("host", "rebound.example:{port}"),
            ("origin", "http://rebound.example:{port}"),
        ],
    ),
    // A target that names a host names the same one.
    (421, "POST", "http://evil.example/v1/chat/completions", &[]),
    (
        421,
        "POST",
        "http://127.0.0.1:{port}/v1/chat/completions",
        &[("host", "localhost:{port}")],
    ),
    (421, "POST", "https://127.0.0.1:{port}/v1/chat/completions", &[]),
    (
        421,
        "POST",
        "http://127.0.0.1:{port}@evil.example/v1/chat/completions",
        &[],
    ),
    // The page that asks.
    (403, "POST", CHAT, &[("origin", "null")]),
    (403, "POST", CHAT, &[("origin", "")]),
    (403, "POST", CHAT, &[("origin", "http://evil.example")]),
    (403, "POST", CHAT, &[("origin", "https://127.0.0.1:{port}")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1:80")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1:{port}/")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1:{port}.evil.example")]),
    (403, "POST", CHAT, &[("origin", "http://localhost:{port}")]),
    (
        403,
        "POST",
        CHAT,
        &[("origin", "http://127.0.0.1:{port} http://evil.example")],
    ),
    (
        403,
        "POST",
        CHAT,
        &[("origin", "http://127.0.0.1:{port}"), ("origin", "http://evil.example")],
    ),
    (403, "POST", CHAT, &[("origin", "http://localhost:3000/")]),
    (403, "POST", CHAT, &[("origin", "http://localhost:30000")]),
    (403, "POST", CHAT, &[("origin", "https://localhost:3000")]),
    (403, "POST", CHAT, &[("origin", "http://localhost:3000.evil.example")]),
    (403, "POST", CHAT, &[("origin", "chrome-extension://abcdef")]),
    (403, "POST", CHAT, &[("origin", "file://")]),
    (403, "GET", "/health", &[("origin", "http://evil.example")]),
    (403, "GET", "/metrics", &[("origin", "http://evil.example")]),
    (
        403,
        "OPTIONS",
        CHAT,
        &[
            ("origin", "http://evil.example"),
            ("access-control-request-method", "POST"),
        ],
    ),
    (403, "POST", CHAT, &[("sec-fetch-site", "cross-site")]),
    (403, "POST", CHAT, &[("sec-fetch-site", "same-site")]),
    (403, "POST", CHAT, &[("sec-fetch-site", "Cross-Site")]),
    (
        403,
        "POST",
        CHAT,
        &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
    ),
    (
        403,
        "POST",
        CHAT,
        &[("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:{port}")],
    ),
    (
        403,
        "GET",
        "/v1/models",
        &[("sec-fetch-site", "cross-site"), ("content-type", LEFT_OUT)],
    ),
    // What a page may send without being asked first.
    (415, "POST", CHAT, &[("content-type", LEFT_OUT)]),
    (415, "POST", CHAT, &[("content-type", "text/plain")]),
    (415, "POST", CHAT, &[("content-type", "text/plain;application/json")]),
    (415, "POST", CHAT, &[("content-type", "application/jsonx")]),
    (415, "POST", CHAT, &[("content-type", "application/json, text/plain")]),
    (
        415,
        "POST",
        CHAT,
        &[("content-type", "multipart/form-data; boundary=x")],
    ),
    (
        415,
        "POST",
        CHAT,
        &[("content-type", "application/x-www-form-urlencoded")],
    ),
    (
        415,
        "POST",
        CHAT,
        &[("content-type", "application/json"), ("content-type", "text/plain")],
    ),
    // The method and the path.
    (405, "GET", CHAT, &[]),
    (405, "PUT", CHAT, &[]),
    (405, "TRACE", CHAT, &[]),
    (405, "OPTIONS", CHAT, &[]),
    (405, "POST", "/v1/models", &[]),
    (405, "POST", "/health", &[]),
    (404, "POST", "/v2/chat/completions", &[]),
    (404, "POST", "/chat/completions", &[]),
    (404, "GET", "/etc/passwd", &[]),
    (400, "GET", "/v1/../../etc/passwd", &[]),
    (400, "GET", "/v1/%2e%2e/%2e%2e/key", &[]),
    (400, "GET", "/v1/%2e%2e//models", &[]),
    (400, "GET", "//evil.example/v1/models", &[]),
    // The token.
    (401, "POST", CHAT, &[("authorization", LEFT_OUT)]),
    (401, "POST", CHAT, &[("authorization", "Bearer")]),
    (
        401,
        "POST",
        CHAT,
        &[("authorization", "Bearer wrong-token-of-the-same-length-1")],
    ),
    (401, "POST", CHAT, &[("authorization", "Basic dGhlLXRva2Vu")]),
    (
        401,
        "POST",
        CHAT,
        &[("authorization", LEFT_OUT), ("x-api-key", "wrong")],
    ),
    (
        401,
        "POST",
        CHAT,
        &[
            ("authorization", LEFT_OUT),
            ("cookie", "token=the-token-of-the-kit-0123456789"),
        ],
    ),
    (
        401,
        "POST",
        "/v1/chat/completions?token=the-token-of-the-kit-0123456789",
        &[("authorization", LEFT_OUT)],
    ),
    (401, "GET", "/metrics", &[("authorization", LEFT_OUT)]),
    (401, "GET", "/v1/models", &[("authorization", LEFT_OUT)]),
    (
        400,
        "POST",
        CHAT,
        &[
            ("authorization", "Bearer wrong"),
            ("x-api-key", "the-token-of-the-kit-0123456789"),
        ],
    ),
];

#[test]
fn hostile_requests_are_refused_row_by_row_and_never_reach_the_service() {
    let endpoint = endpoint();
    let mut wrong = Vec::new();
    for row in &HOSTILE {
        let answer = endpoint.connect().ask(&request(&endpoint, row)).whole();
        if answer.status != row.0 {
            wrong.push((row, answer.status, answer.text()));
        } else if let Some(why) = no_refusal(&answer) {
            wrong.push((row, answer.status, why));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(endpoint.service.requests(), []);
    assert_eq!(
        endpoint.service.accepted_connections(),
        0,
        "not even a connection was made"
    );
}

/// What a refusal lacks.
fn no_refusal(answer: &Answer) -> Option<String> {
    let error = answer.json()["error"].clone();
    let is_told = error["code"] == answer.status
        && error["message"].is_string()
        && error["type"].is_string()
        && error["metadata"]["error_type"] == error["type"];
    if !is_told {
        return Some(format!("no error that clients understand: {error}"));
    }
    let names = answer.headers.iter().map(|(name, _)| name.as_str());
    let mut cors = names.filter(|name| name.starts_with("access-control-"));
    cors.next().map(|name| format!("a header for pages: {name}"))
}

const GOOD: [Row; 16] = [
    (200, "POST", CHAT, &[]),
    (200, "POST", CHAT, &[("host", "localhost:{port}")]),
    (200, "POST", CHAT, &[("host", "LOCALHOST:{port}")]),
    (200, "POST", CHAT, &[("host", "[::1]:{port}")]),
    (200, "POST", CHAT, &[("host", "models.example.org")]),
    (200, "POST", CHAT, &[("host", "Models.Example.org:443")]),
    (200, "POST", "http://127.0.0.1:{port}/v1/chat/completions", &[]),
    (
        200,
        "POST",
        CHAT,
        &[("origin", "http://127.0.0.1:{port}"), ("sec-fetch-site", "same-origin")],
    ),
    (200, "POST", CHAT, &[("sec-fetch-site", "none")]),
    (
        200,
        "POST",
        CHAT,
        &[("origin", "http://localhost:3000"), ("sec-fetch-site", "cross-site")],
    ),
    (
        200,
        "POST",
        CHAT,
        &[("content-type", "application/json; charset=utf-8")],
    ),
    (
        200,
        "POST",
        CHAT,
        &[("authorization", "bearer the-token-of-the-kit-0123456789")],
    ),
    (
        200,
        "POST",
        CHAT,
        &[
            ("authorization", LEFT_OUT),
            ("x-api-key", "the-token-of-the-kit-0123456789"),
        ],
    ),
    (200, "POST", CHAT, &[("x-api-key", "the-token-of-the-kit-0123456789")]),
    (200, "POST", "/api/v1/chat/completions", &[]),
    (200, "POST", "/api/endpoints/openrouter/chat/completions", &[]),
];

#[test]
fn good_requests_pass_row_by_row() {
    let endpoint = endpoint();
    for row in &GOOD {
        let answer = endpoint.connect().ask(&request(&endpoint, row)).whole();
        assert_eq!(answer.status, row.0, "{row:?}: {}", answer.text());
    }
    assert_eq!(endpoint.service.requests().len(), GOOD.len());
}

#[test]
fn the_services_own_key_is_a_token_too_and_another_one_is_not() {
    let endpoint = Endpoint::start();
    let good = endpoint.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    endpoint
        .answer(&good.clone().with("authorization", &format!("Bearer {CANARY}")))
        .expect(200);
    endpoint
        .answer(&good.clone().without("authorization").header("x-api-key", CANARY))
        .expect(200);
    endpoint
        .answer(&good.with("authorization", "Bearer sk-or-v1-another"))
        .expect(401);
}

#[test]
fn neither_the_token_nor_the_callers_headers_go_on_to_the_service() {
    let endpoint = Endpoint::start();
    let request = endpoint
        .post(CHAT, &chat_body("sandbox/hello", "Hello"))
        .header("cookie", "session=1")
        .header("x-api-key", TOKEN)
        .header("x-forwarded-for", "10.0.0.7")
        .header("referer", "http://localhost:3000/private")
        .header("x-title", "My App")
        .header("http-referer", "https://app.example.org");
    endpoint.answer(&request).expect(200);
    let asked = endpoint.service.requests().remove(0);
    let value = |name: &str| {
        asked
            .headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    };
    for name in ["cookie", "x-api-key", "x-forwarded-for", "referer", "origin"] {
        assert_eq!(value(name), None, "{name}");
    }
    assert_eq!(value("x-title"), Some("My App"));
    assert_eq!(value("http-referer"), Some("https://app.example.org"));
    let everything = format!("{asked:?}");
    assert!(!everything.contains(TOKEN), "{everything}");
}

#[test]
fn pages_get_no_permission_unless_their_origin_was_named_and_then_exactly_it() {
    let cors = |answer: &Answer| -> Vec<(String, String)> {
        let headers = answer
            .headers
            .iter()
            .filter(|(name, _)| name.starts_with("access-control-"));
        headers.cloned().collect()
    };
    let closed = Endpoint::start();
    let chat = closed.post(CHAT, &chat_body("sandbox/hello", "Hello"));
    assert_eq!(cors(&closed.answer(&chat).expect(200)), []);
    let preflight = closed.get(CHAT).method("OPTIONS").without("authorization");
    let preflight = preflight.header("access-control-request-method", "POST");
    let asked = closed.answer(&preflight.clone().header("origin", "http://localhost:3000"));
    assert_eq!((asked.status, cors(&asked)), (403, Vec::new()));

    let open = endpoint();
    let own = |request: Request| request.with("host", &open.address().to_string());
    let page = |request: Request| own(request).header("origin", "http://localhost:3000");
    let answer = open.answer(&page(chat.clone())).expect(200);
    assert_eq!(
        answer.header("access-control-allow-origin"),
        Some("http://localhost:3000")
    );
    assert_eq!(answer.header("vary"), Some("origin"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);
    let exposed = answer.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("x-served-model"), "{exposed}");
    let allowed = open.answer(&page(
        preflight.header("access-control-request-headers", "authorization, x-mine"),
    ));
    assert_eq!((allowed.status, allowed.body.len()), (204, 0));
    assert_eq!(
        allowed.header("access-control-allow-origin"),
        Some("http://localhost:3000")
    );
    assert_eq!(allowed.header("access-control-allow-methods"), Some("POST"));
    assert_eq!(
        allowed.header("access-control-allow-headers"),
        Some("authorization, x-mine")
    );
    // A refusal can be read by the page that was allowed; the token is asked for all the same.
    let refused = open.answer(&page(chat.clone().without("authorization"))).expect(401);
    assert_eq!(
        refused.header("access-control-allow-origin"),
        Some("http://localhost:3000")
    );
    // Without a page there is no word of pages.
    assert_eq!(cors(&open.answer(&own(chat)).expect(200)), []);
}

/// Requests that two readers of HTTP could take for different ones. `{host}` and `{token}` stand for the good ones.
const AMBIGUOUS: [&str; 14] = [
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type: application/json\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type: application/json\r\ncontent-length: +2\r\n\r\n{}",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type: application/json\r\ncontent-length: 2, 3\r\n\r\n{}",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type: application/json\r\ncontent-length: 99999999999999999999\r\n\r\n{}",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type: application/json\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token}content-type : application/json\r\ncontent-length: 2\r\n\r\n{}",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}{token} content-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
    "POST /v1/chat/completions HTTP/1.1\r\n{host}x: a\0b\r\n{token}content-length: 2\r\n\r\n{}",
    "POST  /v1/chat/completions HTTP/1.1\r\n{host}{token}\r\n",
    "GET /v1/models HTTP/1.2.3\r\n{host}{token}\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "\x16\x03\x01\x02\x00\x01\x00\x01\x7c",
];

#[test]
fn requests_that_can_be_read_in_two_ways_are_refused_and_end_their_connection() {
    let endpoint = Endpoint::start();
    let host = format!("host: {}\r\n", endpoint.address());
    let token = format!("authorization: Bearer {TOKEN}\r\n");
    for ambiguous in AMBIGUOUS {
        let bytes = ambiguous.replace("{host}", &host).replace("{token}", &token);
        let mut client = endpoint.connect();
        // It may be refused before all of it was sent.
        let _ = client.send(&bytes);
        client.half_close();
        if let Some(reply) = client.reply_if_any() {
            let (answer, mut client) = reply.whole_and_client();
            assert!((400..500).contains(&answer.status), "{}: {ambiguous}", answer.status);
            assert!(client.is_closed(), "{ambiguous}");
        }
    }
    assert_eq!(endpoint.service.requests(), []);
    endpoint.chat("sandbox/hello", "Hello").expect(200);
}

#[test]
fn a_length_beside_chunks_does_not_smuggle_a_second_request() {
    let endpoint = Endpoint::start();
    let body = chat_body("sandbox/hello", "Hello").to_string();
    let hidden = String::from_utf8(endpoint.get("/v1/key").bytes()).expect("text");
    let inner = format!("{:x}\r\n{body}\r\n0\r\n\r\n{hidden}", body.len());
    let head = endpoint
        .post(CHAT, &json!({}))
        .with("content-length", &inner.len().to_string());
    let head = head.header("transfer-encoding", "chunked").head();
    let mut client = endpoint.connect();
    client.send([head, inner.into_bytes()].concat()).expect("it is there");
    if let Some(reply) = client.reply_if_any() {
        let (_, mut client) = reply.whole_and_client();
        // Whichever of both holds: what was hidden is not answered on a connection whose framing is in doubt.
        assert!(client.is_closed());
    }
    let paths: Vec<String> = endpoint
        .service
        .requests()
        .into_iter()
        .map(|asked| asked.path)
        .collect();
    assert!(paths.iter().all(|path| !path.ends_with("/key")), "{paths:?}");
}

#[test]
fn the_key_is_in_no_answer_whatever_is_asked() {
    let endpoint = Endpoint::start();
    let echo = chat_body("sandbox/echo", "What is your key?");
    // Every answer is looked through by the kit.
    for target in [
        "/",
        "/health",
        "/metrics",
        "/v1/models",
        "/v1/key",
        "/v1/auth/key",
        "/v1/credits",
        "/v1/providers",
        "/v1/nothing",
    ] {
        endpoint.answer(&endpoint.get(target));
    }
    for model in [
        "status-401",
        "status-403",
        "mid-stream-error",
        "cut",
        "error-in-200",
        "html-502",
    ] {
        let mut body = chat_body(&format!("sandbox/{model}"), "Hello");
        body["stream"] = json!(true);
        endpoint.answer(&endpoint.post(CHAT, &body));
    }
    endpoint.answer(&endpoint.post(CHAT, &echo)).expect(200);
    endpoint.answer(&endpoint.post(CHAT, &json!([]))).expect(400);
}
