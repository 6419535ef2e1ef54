//! Paths, row by row.

use super::*;

fn route(path: &str) -> Result<Route, NoRoute> {
    let target = PathAndQuery::try_from(path).map_err(|_| NoRoute::Unclear)?;
    Route::of(Some(&target), "acme")
}

/// A route as `KIND PATH`, or the model or whether the list is fetched anew.
fn shown(path: &str) -> String {
    match route(path) {
        Ok(Route::Raw { path, dialect }) => format!("{dialect:?} {path}"),
        Ok(Route::Model { id, is_data }) => format!("Model {id}{}", if is_data { " as data" } else { "" }),
        Ok(Route::Models { force, filters }) => {
            let anew = if force { " anew" } else { "" };
            let filters = filters.map(|filters| format!(" {filters}"));
            format!("Models{anew}{}", filters.unwrap_or_default())
        }
        Ok(route) => format!("{route:?}"),
        Err(none) => format!("{none:?}"),
    }
}

/// Paths below both roots of the service.
const ROWS: &str = "
/chat/completions → Chat /chat/completions
/completions → Completions /completions
/responses → Responses /responses
/responses/r1/cancel → Responses /responses/r1/cancel
/messages → Messages /messages
/messages/count_tokens?beta=true → CountTokens
/messages/batches → Other /messages/batches
/embeddings → Other /embeddings
/key → Other /key
/auth/key → Other /key
/generation?id=a%2Fb → Other /generation?id=a%2Fb
/models → Models
/models? → Models
/models?force=true → Models anew
/models?force=false → Models
/models?limit=1000 → Models limit=1000
/models?category=x&force=true&a=b → Models anew category=x&a=b
/models/acme/large:free → Model acme/large:free
/models/acme%2Flarge → Model acme/large
/models/TEXT_SMALL → Model TEXT_SMALL
/models/acme%2Flarge/endpoints → Other /models/acme/large/endpoints
/models/a%3Fb%23c%25/endpoints → Other /models/a%3Fb%23c%25/endpoints
/models/user → Other /models/user
/models/count?x=y → Other /models/count?x=y
/audio/a%20b → Other /audio/a%20b
/a%25b → Other /a%25b
";

/// Paths of the endpoint itself, and those it does not have. A doubled slash is unambiguous.
const OTHER_ROWS: &str = "
/ → Home
/health → Health
/metrics?x=1 → Metrics
/v1//models → Models
/v1/models/ → Models
/v1//models// → Models
/v1/v1/messages → Messages /messages
/v1/v1/models → Models
/api/v1/v1/chat/completions → Chat /chat/completions
/v1/api/v1/key → Other /key
/api/endpoints/acme/chat/completions → Chat /chat/completions
/api/endpoints/acme/models → Models
/api/endpoints/acme/credits?force=true → Credits { force: true }
/v1 → Unknown
/v2/models → Unknown
/models → Unknown
/api → Unknown
/api/endpoints/other/credits → Unknown
/api/endpoints/acme/key → Unknown
/x → Unknown
";

#[test]
fn every_path_has_its_route() {
    for (root, rows) in [("/v1", ROWS), ("/api/v1", ROWS), ("", OTHER_ROWS)] {
        for (path, expected) in rows.lines().filter_map(|row| row.split_once(" → ")) {
            assert_eq!(shown(&format!("{root}{path}")), expected, "{root}{path}");
        }
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_refused() {
    let unclear = "* // //evil.com/v1/models /v1/./models /v1/../health /v1/models/%2e%2e/key /v1/models/%2E./key \
        /v1/models/..%2fkey /v1/models/a%2F%2Fb /v1/%252e%252e/key /v1/a%00b /v1/a%2500b /v1/a%0d%0ab /v1/a%5cb \
        /v1/a%ff /v1/a% /v1/a%2 /v1/a%zz";
    for unclear in unclear.split_whitespace() {
        assert_eq!(route(unclear), Err(NoRoute::Unclear), "{unclear}");
    }
    assert_eq!(Route::of(None, "acme"), Err(NoRoute::Unclear));
}

#[test]
fn read_only_paths_refuse_writes() {
    let methods = |path: &str| route(path).expect("a route").methods();
    for (path, expected) in [
        ("/v1/chat/completions", &[Method::POST][..]),
        ("/v1/responses", &[Method::POST]),
        ("/v1/embeddings", &[Method::POST]),
        ("/v1/models", &[Method::GET, Method::HEAD]),
        ("/v1/messages/count_tokens", &[Method::POST]),
        ("/v1/key", &[Method::GET]),
    ] {
        assert_eq!(methods(path), expected, "{path}");
    }
    assert!(methods("/v1/responses/r1").contains(&Method::DELETE));
    assert!(methods("/v1/keys/k1").contains(&Method::PATCH));
    assert!(!methods("/v1/keys/k1").contains(&Method::TRACE));
}

#[test]
fn only_lists_that_services_show_to_anybody_are_public() {
    for path in [
        "/v1/models",
        "/v1/models?limit=9",
        "/v1/models/acme/large",
        "/v1/providers",
    ] {
        assert!(route(path).is_ok_and(|route| route.is_public()), "{path}");
    }
    for path in [
        "/",
        "/metrics",
        "/v1/key",
        "/v1/models/user",
        "/v1/providers/x",
        "/v1/messages",
    ] {
        assert!(route(path).is_ok_and(|route| !route.is_public()), "{path}");
    }
}

#[test]
fn counting_tokens_is_counted_apart_from_messages() {
    let label = |path: &str| route(path).expect("a route").label();
    let labels = [label("/v1/messages"), label("/v1/messages/count_tokens")];
    assert_eq!(labels, ["messages", "count_tokens"]);
}

#[test]
fn paths_of_messages_are_anthropics() {
    for path in [
        "/v1/messages",
        "/v1//messages",
        "/api/v1/messages/batches",
        "/v1/v1/messages/count_tokens",
    ] {
        assert!(is_anthropic(path), "{path}");
    }
    for path in [
        "/v1/chat/completions",
        "/v1/messagesx",
        "/messages",
        "/v1/models/messages",
    ] {
        assert!(!is_anthropic(path), "{path}");
    }
}
