//! Requests from outside, row by row.

use hyper::Request;

use super::*;

fn rules() -> Rules {
    Rules {
        address: [127, 0, 0, 1].into(),
        port: 8484,
        allowed_hosts: vec!["models.example.org".to_owned()],
        cors_origins: vec!["http://localhost:3000".to_owned(), "https://app.example.org".to_owned()],
        token: ArcSwapOption::from_pointee(Secret::new("ah-0123456789".to_owned())),
    }
}

/// Judges a request that would pass but for its changes.
///
/// - In: `METHOD TARGET | CHANGE | …`, where `@` is a chat and a change is `-name` (without the header) or `name: value`
///   (instead of the usual value; twice is twice). A space at the end of a value is `␠`.
fn judge(rules: &Rules, row: &str) -> Verdict {
    let row = match row.strip_prefix('@') {
        Some(changes) => format!("POST /v1/chat/completions{changes}"),
        None => row.to_owned(),
    };
    let mut parts = row.split(" | ");
    let first = parts.next().and_then(|first| first.split_once(' '));
    let (method, target) = first.expect("a method and a target");
    let changes: Vec<&str> = parts.collect();
    let name = |change: &str| {
        change
            .split(':')
            .next()
            .unwrap_or_default()
            .trim_start_matches('-')
            .to_owned()
    };
    let usual = [
        "host: 127.0.0.1:8484",
        "authorization: Bearer ah-0123456789",
        "content-type: application/json",
    ];
    let kept = usual
        .iter()
        .filter(|header| changes.iter().all(|change| name(change) != name(header)));
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in kept.chain(&changes).filter_map(|header| header.split_once(':')) {
        let value = value.strip_prefix(' ').unwrap_or(value);
        request = request.header(name, value.replace('␠', " "));
    }
    let request = request.body(()).expect("a request");
    let keys = ["acme-key-0123456789", ""].map(|key| Arc::new(Secret::new(key.to_owned())));
    let route = Route::of(request.uri().path_and_query(), "acme");
    rules.judge(&keys, request.method(), request.uri(), request.headers(), route)
}

/// Checks rows of a status, 200 for a request that passes, and a request for [`judge`].
#[track_caller]
fn check(rules: &Rules, rows: &str) {
    for row in rows.lines().filter(|row| !row.is_empty() && !row.starts_with('#')) {
        let (expected, request) = row.split_once(' ').expect("a status and a request");
        let refused = judge(rules, request).outcome.err();
        let found = refused.map_or(200, |problem| problem.status.as_u16());
        assert_eq!(found.to_string(), expected, "{row}");
    }
}

#[track_caller]
fn refused(row: &str) -> Problem {
    judge(&rules(), row).outcome.expect_err("it is refused")
}

/// Hosts that are not ours.
const HOSTS: &str = "
evil.com evil.com:8484 127.0.0.1.evil.com:8484 localhost.evil.com:8484 localhost.:8484 127.0.0.1 127.0.0.1:
127.0.0.1:80 127.0.0.1:8485 127.0.0.1:08484 127.0.0.1:+8484 127.0.0.1:8484:8484 127.0.0.1:74020 127.0.0.2:8484
127.1:8484 0.0.0.0:8484 2130706433:8484 0x7f.1:8484 0177.0.0.1:8484 [::ffff:127.0.0.1]:8484 [::1%25lo]:8484
[::1] ::1:8484 user@127.0.0.1:8484 127.0.0.1:8484@evil.com 127.0.0.1:8484/ http://127.0.0.1:8484
models.example.org.evil.com evil-models.example.org
";

/// Pages that may not ask.
const ORIGINS: &str = "
null https://127.0.0.1:8484 http://127.0.0.1 http://127.0.0.1:80 http://127.0.0.1:8484/ http://127.0.0.1:8484/v1
http://127.0.0.1:8484.evil.com http://localhost:8484 http://localhost:3000/ http://localhost:30000
";

const ROWS: &str = "
# The host: exactly one, exactly ours.
200 @
200 @ | host: localhost:8484
200 @ | host: LocalHost:8484
200 @ | host: [::1]:8484
200 @ | host: models.example.org
200 @ | host: Models.Example.Org:443
400 @ | -host
400 @ | host: 127.0.0.1:8484 | host: 127.0.0.1:8484
400 @ | host: 127.0.0.1:8484 | host: evil.com
421 @ | host:
421 @ | host: 127.0.0.1:8484, evil.com
421 @ | host: 127.0.0.1 :8484
421 @ | host:  127.0.0.1:8484
# A target that names a host must name the same one.
200 POST http://127.0.0.1:8484/v1/chat/completions
421 POST http://evil.com/v1/chat/completions
421 POST http://127.0.0.1:8484/v1/chat/completions | host: localhost:8484
421 POST https://127.0.0.1:8484/v1/chat/completions
421 POST http://127.0.0.1:8484@evil.com/v1/chat/completions
# The page that asks.
200 @ | origin: http://127.0.0.1:8484
200 @ | origin: http://localhost:3000 | sec-fetch-site: same-site
200 @ | origin: https://app.example.org | sec-fetch-site: cross-site
200 @ | sec-fetch-site: none
200 @ | sec-fetch-site: same-origin
403 @ | origin:
403 @ | origin: http://localhost:3000 http://evil.com
403 @ | origin: http://evil.com | host: models.example.org
403 @ | origin: http://127.0.0.1:8484 | origin: http://evil.com
403 @ | sec-fetch-site: cross-site
403 @ | sec-fetch-site: same-site
403 @ | sec-fetch-site: Cross-Site
403 @ | sec-fetch-site: none | sec-fetch-site: cross-site
403 GET /health | origin: http://evil.com
# Probes know the address only.
200 GET /health | -authorization | host: 10.0.0.7:8484
200 GET /health | -authorization | -host
200 GET /health | host: evil.com
403 GET /health | host: evil.com | origin: http://evil.com
403 GET /health | -host | sec-fetch-site: cross-site
421 GET /metrics | host: 10.0.0.7:8484
400 GET /v1/models | -host
# What a page may send without a preflight.
200 @ | content-type: application/json;charset=utf-8
200 @ | content-type: Application/JSON ; charset=utf-8
415 @ | -content-type
415 @ | content-type: text/plain
415 @ | content-type: text/plain;application/json
415 @ | content-type: application/jsonx
415 @ | content-type: application/json-patch+json
415 @ | content-type: application/json, text/plain
415 @ | content-type: multipart/form-data; boundary=x
415 @ | content-type: application/x-www-form-urlencoded
415 @ | content-type: application/json | content-type: text/plain
415 PUT /v1/keys/k1 | content-type: text/plain
200 DELETE /v1/keys/k1 | -content-type
# The method.
200 GET /v1/models | -content-type
200 HEAD /health
405 GET /v1/chat/completions
405 POST /v1/models
405 POST /health
405 OPTIONS /v1/chat/completions
405 OPTIONS /v1/chat/completions | origin: http://127.0.0.1:8484
403 OPTIONS /v1/chat/completions | origin: http://evil.com
200 OPTIONS /v1/chat/completions | origin: http://localhost:3000 | -authorization
405 TRACE /v1/chat/completions
405 CONNECT /v1/chat/completions
405 get /v1/models
426 GET /v1/responses | connection: Upgrade | upgrade: websocket
401 GET /v1/responses | -authorization | upgrade: WebSocket
200 GET /v1/models | upgrade: h2c
# The token.
200 @ | authorization: bearer ah-0123456789
200 @ | authorization: Bearer   ah-0123456789␠
200 @ | authorization: Bearer acme-key-0123456789
200 @ | -authorization | x-api-key: ah-0123456789
200 @ | -authorization | api-key: acme-key-0123456789
200 @ | x-api-key: ah-0123456789
401 @ | -authorization
401 @ | authorization: Bearer
401 @ | authorization: Bearer␠
401 @ | authorization: ah-0123456789
401 @ | authorization: Basic ah-0123456789
401 @ | authorization: Bearer ah-012345678
401 @ | authorization: Bearer ah-01234567890
401 @ | authorization: Bearer AH-0123456789
401 @ | authorization: Bearer ah-0123456789, Bearer x
401 @ | -authorization | x-api-key:
401 @ | -authorization | cookie: token=ah-0123456789
401 POST /v1/chat/completions?api_key=ah-0123456789 | -authorization
200 @ | x-api-key: acme-key-0123456789
200 @ | x-api-key: another-login
200 @ | authorization: Bearer another-login | x-api-key: ah-0123456789
200 @ | authorization: Basic dTpw | api-key: ah-0123456789
401 @ | authorization: Bearer another-login | x-api-key: another
400 @ | authorization: Bearer ah-0123456789 | authorization: Bearer ah-0123456789
400 @ | x-api-key: ah-0123456789 | x-api-key: ah-0123456789
401 GET / | -authorization
401 GET /metrics | -authorization
401 GET /v1/key | -authorization
401 GET /nothing | -authorization
200 GET /health | -authorization
# What services show to anybody, on this machine.
200 GET /v1/models?limit=9 | -authorization
200 HEAD /v1/models | -authorization
200 GET /v1/models/a/b | -authorization
401 GET /v1/models | authorization: Bearer another
200 GET /v1/providers | -authorization
401 POST /v1/providers | -authorization
401 GET /v1/models/user | -authorization
401 GET /v1/models | -authorization | host: models.example.org
421 GET /v1/models | -authorization | host: evil.com
403 GET /v1/models | -authorization | origin: http://evil.com
# The path.
404 GET /nothing
400 GET /v1/%2e%2e/health
400 GET /v1/%2e%2e//models
400 GET /v1/models/a%00b
";

#[test]
fn hostile_requests_are_refused_row_by_row() {
    check(&rules(), ROWS);
    for host in HOSTS.split_whitespace() {
        check(&rules(), &format!("421 @ | host: {host}"));
    }
    for origin in ORIGINS.split_whitespace() {
        check(&rules(), &format!("403 @ | origin: {origin}"));
    }
}

#[test]
fn a_port_may_be_absent_only_where_it_is_the_protocols_own() {
    let on_80 = "
200 GET /v1/models | host: localhost
200 GET /v1/models | host: localhost:80
421 GET /v1/models | host: localhost:8484
";
    check(&Rules { port: 80, ..rules() }, on_80);
}

#[test]
fn another_address_is_known_by_its_own_name() {
    for (address, rows) in [
        (
            "fd00::7",
            "200 GET /v1/models | host: [FD00::7]:8484\n421 GET /v1/models | host: [fd00::8]:8484",
        ),
        ("0.0.0.0", "421 GET /v1/models | host: 0.0.0.0:8484"),
    ] {
        let address = address.parse().expect("an address");
        check(&Rules { address, ..rules() }, rows);
    }
}

#[test]
fn lists_need_the_token_where_others_can_ask() {
    let address = [10, 0, 0, 7].into();
    let row = "401 GET /v1/models | -authorization | host: 10.0.0.7:8484";
    check(&Rules { address, ..rules() }, row);
}

#[test]
fn no_auth_skips_only_the_token() {
    let without_token = "
200 GET /v1/models | -authorization
200 GET /v1/models | authorization: Bearer dummy | x-api-key: x
421 GET /v1/models | -authorization | host: evil.com:8484
403 GET /v1/models | -authorization | sec-fetch-site: cross-site
415 POST /v1/embeddings | -authorization | content-type: text/plain
";
    let token = ArcSwapOption::empty();
    check(&Rules { token, ..rules() }, without_token);
}

#[test]
fn a_refusal_says_what_to_send_and_never_what_was_sent() {
    let bearer = [(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))];
    for (row, word) in [
        ("authorization: Bearer private", "auth"),
        ("-authorization", "missing_api_key"),
    ] {
        let problem = refused(&format!("GET /v1/key | {row}"));
        let text = format!("{problem:?}");
        assert!(!text.contains("x-api-key"), "{text}");
        assert_eq!(
            (problem.status, problem.word, &problem.headers[..]),
            (StatusCode::UNAUTHORIZED, word, &bearer[..])
        );
    }
    for change in ["authorization: Bearer private", "host: private", "origin: private"] {
        let printed = format!("{:?}", refused(&format!("GET /v1/key | {change}")));
        assert!(!printed.contains("private"), "{printed}");
    }
    let wrong_method = refused("DELETE /v1/models");
    assert_eq!(
        wrong_method.headers,
        [(header::ALLOW, HeaderValue::from_static("GET, HEAD"))]
    );
}

#[test]
fn an_allowed_origin_gets_cors_headers_even_on_a_refusal() {
    let allowed = judge(&rules(), "GET /v1/key | origin: http://localhost:3000 | -authorization");
    assert_eq!(
        allowed.cors_origin,
        Some(HeaderValue::from_static("http://localhost:3000"))
    );
    assert!(allowed.outcome.is_err());
    let own = judge(&rules(), "GET /v1/models | origin: http://127.0.0.1:8484");
    let (force, filters, is_known) = (false, None, true);
    let route = Route::Models { force, filters };
    assert_eq!(
        (own.cors_origin, own.outcome),
        (None, Ok(Passed::Request { route, is_known }))
    );
}

#[test]
fn details_of_health_need_our_name_and_the_token() {
    let is_known = |rules: &Rules, row: &str| match judge(rules, row).outcome {
        Ok(Passed::Request { is_known, .. }) => is_known,
        other => panic!("{row}: {other:?}"),
    };
    let open = Rules {
        token: None.into(),
        ..rules()
    };
    for (row, with_token, without_auth) in [
        ("GET /health", true, true),
        ("GET /health | -authorization", false, true),
        ("GET /health | host: evil.com", false, false),
        ("GET /health | -host", false, false),
        ("GET /health | host: evil.com | -authorization", false, false),
    ] {
        assert_eq!(
            (is_known(&rules(), row), is_known(&open, row)),
            (with_token, without_auth),
            "{row}"
        );
    }
}
