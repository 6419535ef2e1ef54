//! Paths, row by row.

use super::*;

fn route(path: &str) -> Result<Route, NoRoute> {
    let target = PathAndQuery::try_from(path).map_err(|_| NoRoute::Unclear)?;
    Route::of(Some(&target), "acme")
}

fn raw(path: &str, dialect: Dialect) -> Result<Route, NoRoute> {
    Ok(Route::Raw {
        path: path.to_owned(),
        dialect,
    })
}

fn model(id: &str) -> Result<Route, NoRoute> {
    Ok(Route::Model { id: id.to_owned() })
}

#[test]
fn every_path_has_its_route() {
    assert_eq!(route("/"), Ok(Route::Home));
    assert_eq!(route("/health"), Ok(Route::Health));
    assert_eq!(route("/metrics?x=1"), Ok(Route::Metrics));
    for root in ["/v1", "/api/v1"] {
        let at = |rest: &str| route(&format!("{root}{rest}"));
        assert_eq!(at("/chat/completions"), raw("/chat/completions", Dialect::Chat));
        assert_eq!(at("/completions"), raw("/completions", Dialect::Completions));
        assert_eq!(at("/responses"), raw("/responses", Dialect::Responses));
        assert_eq!(
            at("/responses/r1/cancel"),
            raw("/responses/r1/cancel", Dialect::Responses)
        );
        assert_eq!(at("/messages"), raw("/messages", Dialect::Messages));
        assert_eq!(
            at("/messages/count_tokens"),
            raw("/messages/count_tokens", Dialect::Other)
        );
        assert_eq!(at("/embeddings"), raw("/embeddings", Dialect::Other));
        assert_eq!(at("/key"), raw("/key", Dialect::Other));
        assert_eq!(at("/auth/key"), raw("/key", Dialect::Other));
        assert_eq!(at("/generation?id=a%2Fb"), raw("/generation?id=a%2Fb", Dialect::Other));
        assert_eq!(at("/models"), Ok(Route::Models { force: false }));
        assert_eq!(at("/models?"), Ok(Route::Models { force: false }));
        assert_eq!(at("/models?force=true"), Ok(Route::Models { force: true }));
        assert_eq!(at("/models?force=false"), Ok(Route::Models { force: false }));
        assert_eq!(
            at("/models?category=x&force=true"),
            raw("/models?category=x&force=true", Dialect::Other)
        );
        assert_eq!(at("/models/acme/large:free"), model("acme/large:free"));
        assert_eq!(at("/models/acme%2Flarge"), model("acme/large"));
        assert_eq!(at("/models/TEXT_SMALL"), model("TEXT_SMALL"));
        assert_eq!(
            at("/models/acme%2Flarge/endpoints"),
            raw("/models/acme/large/endpoints", Dialect::Other)
        );
        assert_eq!(at("/models/user"), raw("/models/user", Dialect::Other));
        assert_eq!(at("/models/count?x=y"), raw("/models/count?x=y", Dialect::Other));
        assert_eq!(at("/audio/a%20b"), raw("/audio/a%20b", Dialect::Other));
    }
    assert_eq!(
        route("/api/endpoints/acme/chat/completions"),
        raw("/chat/completions", Dialect::Chat)
    );
    assert_eq!(route("/api/endpoints/acme/models"), Ok(Route::Models { force: false }));
    assert_eq!(
        route("/api/endpoints/acme/credits?force=true"),
        Ok(Route::Credits { force: true })
    );
    for unknown in [
        "/v1",
        "/v2/models",
        "/models",
        "/api",
        "/api/endpoints/other/credits",
        "/api/endpoints/acme/key",
        "/x",
    ] {
        assert_eq!(route(unknown), Err(NoRoute::Unknown), "{unknown}");
    }
}

#[test]
fn a_path_that_can_be_read_in_two_ways_is_refused() {
    for unclear in [
        "*",
        "//",
        "//evil.com/v1/models",
        "/v1/./models",
        "/v1/../health",
        "/v1/models/%2e%2e/key",
        "/v1/models/%2E./key",
        "/v1/models/..%2fkey",
        "/v1/models/a%2F%2Fb",
        "/v1/%252e%252e/key",
        "/v1/a%00b",
        "/v1/a%2500b",
        "/v1/a%0d%0ab",
        "/v1/a%5cb",
        "/v1/a%ff",
        "/v1/a%",
        "/v1/a%2",
        "/v1/a%zz",
    ] {
        assert_eq!(route(unclear), Err(NoRoute::Unclear), "{unclear}");
    }
    // A doubled slash is unambiguous.
    for mended in ["/v1//models", "/v1/models/", "/v1//models//"] {
        assert_eq!(route(mended), Ok(Route::Models { force: false }), "{mended}");
    }
    assert_eq!(route("/v1/a%25b"), raw("/a%25b", Dialect::Other));
    assert_eq!(Route::of(None, "acme"), Err(NoRoute::Unclear));
}

#[test]
fn read_only_paths_refuse_writes() {
    let methods = |path: &str| route(path).expect("a route").methods();
    assert_eq!(methods("/v1/chat/completions"), [Method::POST]);
    assert_eq!(methods("/v1/responses"), [Method::POST]);
    assert_eq!(methods("/v1/embeddings"), [Method::POST]);
    assert_eq!(methods("/v1/models"), [Method::GET, Method::HEAD]);
    assert_eq!(methods("/v1/models?category=x"), [Method::GET]);
    assert_eq!(methods("/v1/key"), [Method::GET]);
    assert!(methods("/v1/responses/r1").contains(&Method::DELETE));
    assert!(methods("/v1/keys/k1").contains(&Method::PATCH));
    assert!(!methods("/v1/keys/k1").contains(&Method::TRACE));
}
