//! The paths of the endpoint, for the programs that know them.
//!
//! `row_…` tests are named after the rows of `tests/features.md`.

use serde_json::{Value, json};
use tests::endpoint::{Endpoint, Serve, profile_text};
use tests::eventually;

use crate::bench::{CHAT, Twins, command, forms};

#[test]
fn row_52_every_route_of_openais_api_exists_under_both_roots() {
    let endpoint = Endpoint::start();
    let embeddings = json!({"model": "openai/text-embedding-3-small", "input": "one"});
    for root in ["/v1", "/api/v1"] {
        let mut id = None;
        for (path, body) in forms("sandbox/hello")
            .into_iter()
            .chain([("/v1/embeddings", embeddings.clone())])
        {
            let path = path.strip_prefix("/v1").expect("the root");
            let answer = endpoint.answer(&endpoint.post(&format!("{root}{path}"), &body));
            let answer = answer.expect(200);
            id = id.or(answer.header("x-generation-id").map(str::to_owned));
        }
        for (status, path) in [
            (200, "/models"),
            (200, "/models?force=true"),
            (200, "/models/TEXT_SMALL"),
            (200, "/models/openai/gpt-4o"),
            (200, "/models/openai%2Fgpt-4o"),
            (404, "/models/acme/no-such-model"),
            (200, "/models/openai/gpt-4o/endpoints"),
            (200, "/models/openai%2Fgpt-4o/endpoints"),
            (200, "/models/user"),
            (200, "/models/count"),
            (200, "/key"),
            (200, "/auth/key"),
            (200, "/providers"),
            (200, &format!("/generation?id={}", id.expect("the id of a generation"))),
            // The service shows the account to management keys only.
            (403, "/credits"),
        ] {
            let answer = endpoint.answer(&endpoint.get(&format!("{root}{path}")));
            assert_eq!(answer.status, status, "{path}: {}", answer.text());
        }
    }
    for asked in endpoint.service.requests() {
        assert!(asked.path.starts_with("/api/v1/"), "{}", asked.path);
        assert!(!asked.path.ends_with("/auth/key"), "the service dropped this path");
    }
}

#[test]
fn row_97_health_is_open_and_says_more_to_the_token() {
    let tiers = json!({"tiers": {"TEXT_SMALL": "sandbox/hello"}});
    let endpoint = Serve::new().profile(&tiers).start();
    let health = endpoint.get("/health");
    let stranger = endpoint.answer(&health.clone().without("authorization"));
    assert_eq!(stranger.expect(200).json(), json!({"status": "ok"}));
    // Probes know the address, not the name.
    for host in ["10.0.0.7:8484", "evil.example"] {
        for probe in [health.clone(), health.clone().without("authorization")] {
            let status = endpoint.answer(&probe.with("host", host)).expect(200).json();
            assert_eq!(status, json!({"status": "ok"}), "{host}");
        }
    }
    let mut probe = endpoint.connect();
    probe.send("GET /health HTTP/1.0\r\n\r\n").expect("it is there");
    assert_eq!(probe.read(12), b"HTTP/1.0 200");
    let known = endpoint.answer(&health).expect(200).json();
    assert_eq!(known["status"], "ok");
    assert_eq!(known["plugin"]["id"], "openrouter");
    assert!(known["version"].is_string() && known["uptime_s"].is_u64(), "{known}");
    assert_eq!(known["in_flight"], 1, "this request");
    let tiers = known["tiers"].as_array().expect("tiers");
    let small = tiers.iter().find(|tier| tier["tier"] == "TEXT_SMALL");
    assert_eq!(small.expect("the tier")["wire"], "sandbox/hello");
    assert_eq!(known["plugins"].as_array().map(Vec::len), Some(1), "{known}");
    assert_eq!(endpoint.service.requests(), [], "the service is not asked for it");
}

#[test]
fn row_72_health_counts_caches_retries_and_fallbacks() {
    let retry = json!({"retry": {"attempts": 2, "maxWaitMs": 5000}});
    let endpoint = Serve::new().profile(&retry).start();
    let names = |page: &Value, of: &str| page[of].as_array().expect("a list").len();
    let page = endpoint.answer(&endpoint.get("/health")).expect(200).json();
    assert_eq!((&page["retries"], &page["fallbacks"]), (&json!({}), &json!({})));
    assert_eq!(names(&page, "caches"), 3, "{page}");
    for _ in 0..3 {
        endpoint.answer(&endpoint.get("/metrics")).expect(200);
    }
    endpoint.chat("sandbox/status-503", "Hello").expect(503);
    let page = endpoint.answer(&endpoint.get("/health")).expect(200).json();
    let caches = page["caches"].as_array().expect("a list");
    let credits = caches.iter().find(|cache| cache["name"] == "credits").expect("a cache");
    let lookups = ["hits", "misses"].map(|result| credits[result].as_u64().expect("a count"));
    // The first one may have met a refresh in the background.
    assert!(lookups[0] >= 2 && lookups[0] + lookups[1] == 3, "{page}");
    assert_eq!(page["retries"], json!({"unavailable": 1}));
}

#[test]
fn row_97_the_selftest_passes() {
    let endpoint = Endpoint::start();
    command(&endpoint, &["selftest", "--json"]).expect_success();
}

#[test]
fn row_98_every_other_path_of_the_service_passes_through() {
    let twins = Twins::new();
    for (status, path, body) in [
        (
            200,
            "/v1/rerank",
            json!({"model": "cohere/rerank-v3.5", "query": "red", "documents": ["a red car", "a blue sky"]}),
        ),
        (
            200,
            "/v1/embeddings",
            json!({"model": "openai/text-embedding-3-small", "input": ["one", "two ü"], "encoding_format": "base64"}),
        ),
        (
            200,
            "/v1/audio/speech",
            json!({"model": "openai/gpt-4o-mini-tts", "input": "Hello", "voice": "alloy"}),
        ),
        (
            404,
            "/v1/images/generations",
            json!({"model": "acme/pictures", "prompt": "a cat"}),
        ),
    ] {
        assert_eq!(twins.same(path, &body).status, status, "{path}");
    }
    let providers = command(&twins.endpoint, &["api", "GET", "/providers"]).expect_success();
    assert!(providers.stdout.starts_with("{\"data\":"), "{}", providers.stdout);
}

#[test]
fn row_99_the_same_request_gets_the_same_answer_from_the_cache() {
    let tiers = json!({"tiers": {"TEXT_SMALL": "sandbox/hello"}});
    let endpoint = Serve::new().profile(&tiers).arguments(&["--cache"]).start();
    let body = |more: Value| {
        let mut body = json!({"model": "TEXT_SMALL", "messages": [{"role": "user", "content": "Hello"}]});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    };
    let ask = |body: &Value, said: Option<&str>| {
        let request = endpoint.post(CHAT, body);
        let request = match said {
            Some(said) => request.with("x-agent-host-cache", said),
            None => request,
        };
        let answer = endpoint.answer(&request).expect(200);
        let cache = answer.header("x-agent-host-cache").map(str::to_owned);
        (cache, answer.text())
    };
    let n_asked = || {
        endpoint
            .service
            .requests()
            .iter()
            .filter(|request| request.method == "POST")
            .count()
    };
    for more in [json!({"temperature": 0}), json!({"temperature": 0.0, "stream": true})] {
        let body = body(more);
        let n_before = n_asked();
        let (first, text) = ask(&body, None);
        assert_eq!(first.as_deref(), Some("miss"));
        // Kept behind the answer.
        let hit = eventually(|| match ask(&body, None) {
            (Some(cache), text) if cache == "hit" => Ok(text),
            (cache, _) => Err(cache),
        });
        let data = |text: &str| {
            text.lines()
                .filter(|line| !line.starts_with(':') && !line.is_empty())
                .collect::<Vec<_>>()
                .join("\n")
        };
        assert_eq!(data(&hit).trim(), data(&text).trim());
        let n_misses = n_asked() - n_before;
        ask(&body, None);
        assert_eq!(n_asked() - n_before, n_misses, "a hit asks nobody");
        assert_eq!(ask(&body, Some("off")).0, None);
    }
    assert_eq!(ask(&body(json!({})), None).0, None, "temperature is not 0");
    assert_eq!(ask(&body(json!({})), Some("on")).0.as_deref(), Some("miss"));
    let page = endpoint.answer(&endpoint.get("/health")).expect(200).json();
    let answers = page["caches"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|cache| cache["name"] == "answers");
    let hits = answers.expect("the cache")["hits"].as_u64();
    assert!(hits >= Some(4), "{page}");
    let requests = endpoint.service.requests();
    assert!(
        requests
            .iter()
            .all(|request| !request.headers.iter().any(|(name, _)| name == "x-agent-host-cache"))
    );
    // Another model behind the tier is another request.
    endpoint
        .home
        .write_profile(&profile_text(&json!({"tiers": {"TEXT_SMALL": "openai/gpt-4o"}})));
    endpoint.wait_for_stderr("from the next request on", 1);
    assert_eq!(ask(&body(json!({"temperature": 0})), None).0.as_deref(), Some("miss"));
}
