//! Requests from outside, row by row.

use hyper::Request;
use hyper::http::request::Builder;

use super::*;

const TOKEN: &str = "ah-0123456789";
const KEY: &str = "acme-key-0123456789";

fn rules() -> Rules {
    Rules {
        address: [127, 0, 0, 1].into(),
        port: 8484,
        allowed_hosts: vec!["models.example.org".to_owned()],
        cors_origins: vec!["http://localhost:3000".to_owned(), "https://app.example.org".to_owned()],
        token: Some(Secret::new(TOKEN.to_owned())),
    }
}

fn judge(rules: &Rules, request: Builder) -> Verdict {
    let request = request.body(()).expect("a request");
    let keys = [Secret::new(KEY.to_owned()), Secret::new(String::new())];
    let route = Route::of(request.uri().path_and_query(), "acme");
    rules.judge(&keys, request.method(), request.uri(), request.headers(), route)
}

/// The status of the refusal, or 200.
fn status(rules: &Rules, request: Builder) -> u16 {
    match judge(rules, request).outcome {
        Ok(_) => 200,
        Err(problem) => problem.status.as_u16(),
    }
}

/// A request that would pass, with these headers in the place of its own and beside them;
/// a header without a value is left out.
fn request(method: &str, path: &str, changes: &[(&str, &str)]) -> Builder {
    let usual = [
        ("host", "127.0.0.1:8484"),
        ("authorization", "Bearer ah-0123456789"),
        ("content-type", "application/json"),
    ];
    let is_changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
    let kept = usual.iter().filter(|(name, _)| !is_changed(name));
    let added = changes.iter().filter(|(_, value)| *value != LEFT_OUT);
    kept.chain(added)
        .fold(Request::builder().method(method).uri(path), |request, (name, value)| {
            request.header(*name, *value)
        })
}

const LEFT_OUT: &str = "\u{0}";

/// The status that is expected, the method, the path, and the changes to the headers.
type Row<'a> = (u16, &'a str, &'a str, &'a [(&'a str, &'a str)]);

const CHAT: &str = "/v1/chat/completions";

const ROWS: &[Row<'static>] = &[
    // The host: exactly one, exactly ours.
    (200, "POST", CHAT, &[]),
    (200, "POST", CHAT, &[("host", "localhost:8484")]),
    (200, "POST", CHAT, &[("host", "LocalHost:8484")]),
    (200, "POST", CHAT, &[("host", "[::1]:8484")]),
    (200, "POST", CHAT, &[("host", "models.example.org")]),
    (200, "POST", CHAT, &[("host", "Models.Example.Org:443")]),
    (400, "POST", CHAT, &[("host", LEFT_OUT)]),
    (
        400,
        "POST",
        CHAT,
        &[("host", "127.0.0.1:8484"), ("host", "127.0.0.1:8484")],
    ),
    (400, "POST", CHAT, &[("host", "127.0.0.1:8484"), ("host", "evil.com")]),
    (421, "POST", CHAT, &[("host", "")]),
    (421, "POST", CHAT, &[("host", "evil.com")]),
    (421, "POST", CHAT, &[("host", "evil.com:8484")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1.evil.com:8484")]),
    (421, "POST", CHAT, &[("host", "localhost.evil.com:8484")]),
    (421, "POST", CHAT, &[("host", "localhost.:8484")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:80")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:8485")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:08484")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:+8484")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:8484:8484")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:74020")]),
    (421, "POST", CHAT, &[("host", "127.0.0.2:8484")]),
    (421, "POST", CHAT, &[("host", "127.1:8484")]),
    (421, "POST", CHAT, &[("host", "0.0.0.0:8484")]),
    (421, "POST", CHAT, &[("host", "2130706433:8484")]),
    (421, "POST", CHAT, &[("host", "0x7f.1:8484")]),
    (421, "POST", CHAT, &[("host", "0177.0.0.1:8484")]),
    (421, "POST", CHAT, &[("host", "[::ffff:127.0.0.1]:8484")]),
    (421, "POST", CHAT, &[("host", "[::1%25lo]:8484")]),
    (421, "POST", CHAT, &[("host", "[::1]")]),
    (421, "POST", CHAT, &[("host", "::1:8484")]),
    (421, "POST", CHAT, &[("host", "user@127.0.0.1:8484")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:8484@evil.com")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:8484, evil.com")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1 :8484")]),
    (421, "POST", CHAT, &[("host", " 127.0.0.1:8484")]),
    (421, "POST", CHAT, &[("host", "127.0.0.1:8484/")]),
    (421, "POST", CHAT, &[("host", "http://127.0.0.1:8484")]),
    (421, "POST", CHAT, &[("host", "models.example.org.evil.com")]),
    (421, "POST", CHAT, &[("host", "evil-models.example.org")]),
    // A target that names a host must name the same one.
    (200, "POST", "http://127.0.0.1:8484/v1/chat/completions", &[]),
    (421, "POST", "http://evil.com/v1/chat/completions", &[]),
    (
        421,
        "POST",
        "http://127.0.0.1:8484/v1/chat/completions",
        &[("host", "localhost:8484")],
    ),
    (421, "POST", "https://127.0.0.1:8484/v1/chat/completions", &[]),
    (421, "POST", "http://127.0.0.1:8484@evil.com/v1/chat/completions", &[]),
    // The page that asks.
    (200, "POST", CHAT, &[("origin", "http://127.0.0.1:8484")]),
    (
        200,
        "POST",
        CHAT,
        &[("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")],
    ),
    (
        200,
        "POST",
        CHAT,
        &[("origin", "https://app.example.org"), ("sec-fetch-site", "cross-site")],
    ),
    (200, "POST", CHAT, &[("sec-fetch-site", "none")]),
    (200, "POST", CHAT, &[("sec-fetch-site", "same-origin")]),
    (403, "POST", CHAT, &[("origin", "null")]),
    (403, "POST", CHAT, &[("origin", "")]),
    (403, "POST", CHAT, &[("origin", "https://127.0.0.1:8484")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1:80")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1:8484/")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1:8484/v1")]),
    (403, "POST", CHAT, &[("origin", "http://127.0.0.1:8484.evil.com")]),
    (403, "POST", CHAT, &[("origin", "http://localhost:8484")]),
    (403, "POST", CHAT, &[("origin", "http://localhost:3000/")]),
    (403, "POST", CHAT, &[("origin", "http://localhost:30000")]),
    (
        403,
        "POST",
        CHAT,
        &[("origin", "http://localhost:3000 http://evil.com")],
    ),
    (
        403,
        "POST",
        CHAT,
        &[("origin", "http://evil.com"), ("host", "models.example.org")],
    ),
    (
        403,
        "POST",
        CHAT,
        &[("origin", "http://127.0.0.1:8484"), ("origin", "http://evil.com")],
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
    (403, "GET", "/health", &[("origin", "http://evil.com")]),
    // What a page may send without a preflight.
    (200, "POST", CHAT, &[("content-type", "application/json;charset=utf-8")]),
    (
        200,
        "POST",
        CHAT,
        &[("content-type", "Application/JSON ; charset=utf-8")],
    ),
    (415, "POST", CHAT, &[("content-type", LEFT_OUT)]),
    (415, "POST", CHAT, &[("content-type", "text/plain")]),
    (415, "POST", CHAT, &[("content-type", "text/plain;application/json")]),
    (415, "POST", CHAT, &[("content-type", "application/jsonx")]),
    (415, "POST", CHAT, &[("content-type", "application/json-patch+json")]),
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
    (415, "PUT", "/v1/keys/k1", &[("content-type", "text/plain")]),
    (200, "DELETE", "/v1/keys/k1", &[("content-type", LEFT_OUT)]),
    // The method.
    (200, "GET", "/v1/models", &[("content-type", LEFT_OUT)]),
    (200, "HEAD", "/health", &[]),
    (405, "GET", CHAT, &[]),
    (405, "POST", "/v1/models", &[]),
    (405, "POST", "/health", &[]),
    (405, "OPTIONS", CHAT, &[]),
    (405, "OPTIONS", CHAT, &[("origin", "http://127.0.0.1:8484")]),
    (403, "OPTIONS", CHAT, &[("origin", "http://evil.com")]),
    (
        200,
        "OPTIONS",
        CHAT,
        &[("origin", "http://localhost:3000"), ("authorization", LEFT_OUT)],
    ),
    (405, "TRACE", CHAT, &[]),
    (405, "CONNECT", CHAT, &[]),
    (405, "get", "/v1/models", &[]),
    // The token.
    (200, "POST", CHAT, &[("authorization", "bearer ah-0123456789")]),
    (200, "POST", CHAT, &[("authorization", "Bearer   ah-0123456789 ")]),
    (200, "POST", CHAT, &[("authorization", "Bearer acme-key-0123456789")]),
    (200, "POST", CHAT, &[("authorization", LEFT_OUT), ("x-api-key", TOKEN)]),
    (200, "POST", CHAT, &[("authorization", LEFT_OUT), ("api-key", KEY)]),
    (200, "POST", CHAT, &[("x-api-key", TOKEN)]),
    (401, "POST", CHAT, &[("authorization", LEFT_OUT)]),
    (401, "POST", CHAT, &[("authorization", "Bearer")]),
    (401, "POST", CHAT, &[("authorization", "Bearer ")]),
    (401, "POST", CHAT, &[("authorization", "ah-0123456789")]),
    (401, "POST", CHAT, &[("authorization", "Basic ah-0123456789")]),
    (401, "POST", CHAT, &[("authorization", "Bearer ah-012345678")]),
    (401, "POST", CHAT, &[("authorization", "Bearer ah-01234567890")]),
    (401, "POST", CHAT, &[("authorization", "Bearer AH-0123456789")]),
    (
        401,
        "POST",
        CHAT,
        &[("authorization", "Bearer ah-0123456789, Bearer x")],
    ),
    (401, "POST", CHAT, &[("authorization", LEFT_OUT), ("x-api-key", "")]),
    (
        401,
        "POST",
        CHAT,
        &[("authorization", LEFT_OUT), ("cookie", "token=ah-0123456789")],
    ),
    (
        401,
        "POST",
        "/v1/chat/completions?api_key=ah-0123456789",
        &[("authorization", LEFT_OUT)],
    ),
    (400, "POST", CHAT, &[("x-api-key", KEY)]),
    (
        400,
        "POST",
        CHAT,
        &[
            ("authorization", "Bearer ah-0123456789"),
            ("authorization", "Bearer ah-0123456789"),
        ],
    ),
    (400, "POST", CHAT, &[("x-api-key", TOKEN), ("x-api-key", TOKEN)]),
    (401, "GET", "/", &[("authorization", LEFT_OUT)]),
    (401, "GET", "/metrics", &[("authorization", LEFT_OUT)]),
    (401, "GET", "/v1/models", &[("authorization", LEFT_OUT)]),
    (401, "GET", "/nothing", &[("authorization", LEFT_OUT)]),
    (200, "GET", "/health", &[("authorization", LEFT_OUT)]),
    // The path.
    (404, "GET", "/nothing", &[]),
    (400, "GET", "/v1/%2e%2e/health", &[]),
    (400, "GET", "/v1/%2e%2e//models", &[]),
    (400, "GET", "/v1/models/a%00b", &[]),
];

#[test]
fn hostile_requests_are_refused_row_by_row() {
    let rules = rules();
    for (expected, method, path, changes) in ROWS {
        let found = status(&rules, request(method, path, changes));
        assert_eq!(found, *expected, "{method} {path} {changes:?}");
    }
    assert!(ROWS.len() >= 100);
}

#[test]
fn a_port_may_be_absent_only_where_it_is_the_protocols_own() {
    let on_80 = Rules { port: 80, ..rules() };
    assert_eq!(
        status(&on_80, request("GET", "/v1/models", &[("host", "localhost")])),
        200
    );
    assert_eq!(
        status(&on_80, request("GET", "/v1/models", &[("host", "localhost:80")])),
        200
    );
    assert_eq!(
        status(&on_80, request("GET", "/v1/models", &[("host", "localhost:8484")])),
        421
    );
}

#[test]
fn another_address_is_known_by_its_own_name() {
    let elsewhere = Rules {
        address: "fd00::7".parse().expect("an address"),
        ..rules()
    };
    assert_eq!(
        status(&elsewhere, request("GET", "/v1/models", &[("host", "[FD00::7]:8484")])),
        200
    );
    assert_eq!(
        status(&elsewhere, request("GET", "/v1/models", &[("host", "[fd00::8]:8484")])),
        421
    );
    let everywhere = Rules {
        address: [0, 0, 0, 0].into(),
        ..rules()
    };
    assert_eq!(
        status(&everywhere, request("GET", "/v1/models", &[("host", "0.0.0.0:8484")])),
        421
    );
}

#[test]
fn no_auth_skips_only_the_token() {
    let open = Rules { token: None, ..rules() };
    let without = ("authorization", LEFT_OUT);
    assert_eq!(status(&open, request("GET", "/v1/models", &[without])), 200);
    assert_eq!(
        status(
            &open,
            request(
                "GET",
                "/v1/models",
                &[("authorization", "Bearer dummy"), ("x-api-key", "x")]
            )
        ),
        200
    );
    assert_eq!(
        status(
            &open,
            request("GET", "/v1/models", &[without, ("host", "evil.com:8484")])
        ),
        421
    );
    assert_eq!(
        status(
            &open,
            request("GET", "/v1/models", &[without, ("sec-fetch-site", "cross-site")])
        ),
        403
    );
    assert_eq!(
        status(
            &open,
            request("POST", "/v1/embeddings", &[without, ("content-type", "text/plain")])
        ),
        415
    );
}

#[test]
fn a_refusal_says_what_to_send_and_never_what_was_sent() {
    let refused = |changes: &[(&str, &str)]| {
        judge(&rules(), request("GET", "/v1/models", changes))
            .outcome
            .expect_err("it is refused")
    };
    let problem = refused(&[("authorization", "Bearer private")]);
    assert_eq!(
        problem.headers,
        [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))]
    );
    assert_eq!((problem.status, problem.word), (StatusCode::UNAUTHORIZED, "auth"));
    assert_eq!(refused(&[("authorization", LEFT_OUT)]).word, "missing_api_key");
    for changes in [
        [("authorization", "Bearer private")],
        [("host", "private")],
        [("origin", "private")],
    ] {
        let printed = format!("{:?}", refused(&changes));
        assert!(!printed.contains("private"), "{printed}");
    }
    let wrong_method = judge(&rules(), request("DELETE", "/v1/models", &[]))
        .outcome
        .expect_err("it is refused");
    assert_eq!(
        wrong_method.headers,
        [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))]
    );
}

#[test]
fn an_allowed_origin_gets_cors_headers_even_on_a_refusal() {
    let verdict = judge(
        &rules(),
        request(
            "GET",
            "/v1/models",
            &[("origin", "http://localhost:3000"), ("authorization", LEFT_OUT)],
        ),
    );
    assert_eq!(
        verdict.cors_origin,
        Some(HeaderValue::from_static("http://localhost:3000"))
    );
    assert!(verdict.outcome.is_err());
    let own = judge(
        &rules(),
        request("GET", "/v1/models", &[("origin", "http://127.0.0.1:8484")]),
    );
    assert_eq!(own.cors_origin, None);
    assert_eq!(
        own.outcome,
        Ok(Passed::Request {
            route: Route::Models { force: false },
            is_known: true
        })
    );
}
