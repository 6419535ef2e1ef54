//! The model list and the credit, at the endpoint and in the commands that show them.
//!
//! `row_…` tests are named after the rows of `tests/features.md`.

use sandbox::Sandbox;
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::endpoint::{Client, Endpoint, Serve};
use tests::faultd::{Faultd, Script};
use tests::service_from;

use crate::bench::command;

#[test]
fn row_61_models_are_listed_as_the_service_wrote_them() {
    let endpoint = Endpoint::start();
    let request = endpoint.get("/v1/models");
    let list = endpoint.answer(&request).expect(200).text();
    let direct = Client::connect(endpoint.service.address()).ask(&request.to_service(&endpoint.service));
    let direct = direct.whole().expect(200).json();
    let entries = direct["data"].as_array().expect("entries");
    assert!(entries.len() > 20, "{}", entries.len());
    for entry in entries {
        let text = entry.to_string();
        assert!(list.contains(&text), "missing or changed: {text}");
    }
    let one = endpoint.get(&format!("/v1/models/{}", entries[0]["id"].as_str().expect("an id")));
    assert_eq!(endpoint.answer(&one).expect(200).text(), entries[0].to_string());
}

/// The members that the service's description requires of a model.
const REQUIRED: [&str; 13] = [
    "id",
    "canonical_slug",
    "name",
    "created",
    "pricing",
    "context_length",
    "architecture",
    "top_provider",
    "per_request_limits",
    "supported_parameters",
    "default_parameters",
    "supported_voices",
    "links",
];

#[test]
fn row_61_each_tier_is_one_whole_model_behind_the_services_own() {
    // The sandbox has no model that makes pictures. It lists none for embeddings, but knows one.
    let tiers = json!({"tiers": {"TEXT_SMALL": "openai/gpt-4o", "IMAGE": "openai/gpt-4o"}});
    let endpoint = Serve::new().profile(&tiers).start();
    let list = endpoint.answer(&endpoint.get("/v1/models")).expect(200).json();
    let entries = list["data"].as_array().expect("entries");
    for entry in entries {
        let id = &entry["id"];
        assert!(REQUIRED.iter().all(|name| entry.get(name).is_some()), "{entry}");
        assert!(
            entry["pricing"]["prompt"].is_string() && entry["context_length"].is_u64(),
            "{entry}"
        );
        assert_eq!(entries.iter().filter(|entry| entry["id"] == *id).count(), 1, "{id}");
    }
    let first_tier = entries.iter().position(|entry| entry["tier"] == true).expect("tiers");
    assert!(
        entries[first_tier..].iter().all(|entry| entry["tier"] == true),
        "{list}"
    );
    let of = |id: &str| {
        entries
            .iter()
            .find(|entry| entry["id"] == id)
            .expect("an entry")
            .clone()
    };
    let (mut tier, mut model) = (of("TEXT_SMALL"), of("openai/gpt-4o"));
    assert_eq!(tier["name"], "TEXT_SMALL → openai/gpt-4o");
    for entry in [&mut tier, &mut model] {
        for own in ["id", "name", "tier", "object", "owned_by"] {
            entry.as_object_mut().expect("an entry").shift_remove(own);
        }
    }
    assert_eq!(tier, model);
    endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    let asked = endpoint.service.requests();
    let n_single = asked.iter().filter(|asked| asked.path.contains("/model/")).count();
    assert_eq!(n_single, 1, "an unlisted model is asked for once");
}

#[test]
fn a_total_that_cannot_grow_stays_as_it_is() {
    let list = json!({"data": [{"id": "acme/model"}], "total_count": u64::MAX});
    let service = Faultd::playing([Script::reply(200, &[], &list)]);
    let endpoint = Serve::new().asking(&service).start();
    let list = endpoint.answer(&endpoint.get("/v1/models?q=acme")).expect(200).json();
    assert_eq!(list["total_count"], u64::MAX);
}

#[test]
fn tiers_are_in_the_list_whatever_the_query_and_in_both_forms() {
    let endpoint = Endpoint::start();
    let ids = |list: &Value| -> Vec<String> {
        let entries = list["data"].as_array().expect("entries").iter();
        entries
            .map(|entry| entry["id"].as_str().expect("an id").to_owned())
            .collect()
    };
    let whole = endpoint.answer(&endpoint.get("/v1/models")).expect(200).json();
    let n_tiers = |list: &Value| ids(list).iter().filter(|id| id.starts_with("TEXT_")).count();
    assert!(n_tiers(&whole) > 3, "{whole}");
    let requests = ["?limit=1000", "?force=true", "?q=gpt-4o", "?supported_parameters=tools"]
        .map(|query| endpoint.get(&format!("/v1/models{query}")));
    for request in requests {
        let list = endpoint.answer(&request).expect(200).json();
        assert_eq!(n_tiers(&list), n_tiers(&whole), "{request:?}");
        let anthropic = endpoint
            .answer(&request.header("anthropic-version", "2023-06-01"))
            .expect(200)
            .json();
        assert_eq!(ids(&anthropic), ids(&list));
        assert_eq!(
            (&anthropic["has_more"], &anthropic["first_id"]),
            (&json!(false), &list["data"][0]["id"])
        );
        for entry in anthropic["data"].as_array().expect("entries") {
            assert_eq!(
                (&entry["type"], &entry["display_name"]),
                (&json!("model"), &entry["name"])
            );
            assert!(entry["created_at"].is_string(), "{entry}");
        }
    }
    let filtered = endpoint.answer(&endpoint.get("/v1/models?q=gpt-4o")).json();
    assert!(ids(&filtered).len() < ids(&whole).len(), "the service filters");
}

#[test]
fn pages_hold_each_model_once_and_the_tiers_at_the_end() {
    let endpoint = Endpoint::start();
    let whole = endpoint.answer(&endpoint.get("/v1/models")).expect(200).json();
    let mut entries: Vec<Value> = Vec::new();
    let mut next = Some("/v1/models?limit=10".to_owned());
    while let Some(path) = next {
        let page = endpoint.answer(&endpoint.get(&path)).expect(200).json();
        entries.extend(page["data"].as_array().expect("entries").iter().cloned());
        assert_eq!(page["total_count"], whole["total_count"], "{path}");
        next = page["links"]["next"].as_str().map(str::to_owned);
        let has_tiers = page["data"].to_string().contains("\"tier\":true");
        assert_eq!(has_tiers, next.is_none(), "{path}");
    }
    let key = |entry: &Value| entry["id"].to_string();
    let all = whole["data"].as_array().expect("entries");
    let (mut found, mut expected): (Vec<_>, Vec<_>) =
        (entries.iter().map(key).collect(), all.iter().map(key).collect());
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let behind = endpoint.get(&format!("/v1/models?limit=10&offset={}", all.len()));
    assert_eq!(endpoint.answer(&behind).expect(200).json()["data"], json!([]));
}

#[test]
fn a_page_never_links_past_the_endpoint() {
    let faultd = Faultd::answering(|request| {
        let next = "https://elsewhere.example/api/v1/models?cursor=2";
        let links = json!({"next": request.path.contains("limit=1").then_some(next)});
        Script::reply(200, &[], &json!({"data": [{"id": "acme/model"}], "links": links}))
    });
    let endpoint = Serve::new().asking(&faultd).start();
    let page = endpoint.answer(&endpoint.get("/v1/models?limit=1")).expect(200).json();
    assert_eq!(page["links"], json!({"next": "/v1/models?cursor=2"}));
    assert_eq!(page["data"].as_array().map(Vec::len), Some(1), "{page}");
}

#[test]
fn a_path_of_a_model_goes_on_encoded_as_it_came() {
    let faultd = Faultd::playing([Script::reply(200, &[], &json!({"data": []}))]);
    let endpoint = Serve::new().asking(&faultd).start();
    let asked = endpoint.get("/v1/models/acme%2Fa%3Fb%23c/endpoints?x=%2F");
    endpoint.answer(&asked).expect(200);
    let paths: Vec<String> = faultd.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/api/v1/models/acme/a%3Fb%23c/endpoints?x=%2F"]);
}

#[test]
fn without_the_token_no_query_reaches_the_service() {
    let endpoint = Endpoint::start();
    let stranger = |path: &str| {
        let request = endpoint.get(path).without("authorization");
        endpoint.answer(&request).expect(200)
    };
    let n_asked = || {
        let asked = endpoint.service.requests().into_iter();
        let is_list = |path: &str| path.contains("/models") || path.contains("/providers");
        asked.filter(|asked| is_list(&asked.path)).count()
    };
    let whole = stranger("/v1/models");
    stranger("/v1/providers");
    let n_before = n_asked();
    for n in 0..5 {
        let filtered = stranger(&format!("/v1/models?x={n}&q=gpt-4o"));
        assert_eq!(filtered.text(), whole.text());
        assert_eq!(filtered.header("x-notices"), Some("unfiltered"));
        stranger(&format!("/v1/providers?x={n}"));
    }
    assert_eq!(n_asked(), n_before);
    let known = endpoint.answer(&endpoint.get("/v1/models?x=1&q=gpt-4o")).expect(200);
    assert!(known.text().len() < whole.text().len(), "{}", known.text());
    assert_eq!(known.header("x-notices"), None);
}

#[test]
fn without_the_token_a_failing_service_is_not_asked_at_will() {
    let error = json!({"error": {"code": 403, "message": "no"}});
    let faultd = Faultd::playing([Script::reply(403, &[], &error)]);
    let endpoint = Serve::new().asking(&faultd).start();
    const N_ASKS: usize = 40;
    for path in ["/v1/models", "/v1/models?x=1", "/v1/providers"] {
        for _ in 0..N_ASKS {
            endpoint
                .answer(&endpoint.get(path).without("authorization"))
                .expect(403);
        }
    }
    // A failure is reused for a moment only.
    assert!(faultd.requests().len() < N_ASKS, "{} requests", faultd.requests().len());
}

#[test]
fn lists_need_no_token_on_this_machine() {
    let endpoint = Endpoint::start();
    for path in [
        "/v1/models",
        "/v1/models?limit=1000",
        "/v1/models/openai/gpt-4o",
        "/v1/providers",
    ] {
        let request = endpoint.get(path).without("authorization");
        endpoint.answer(&request).expect(200);
        endpoint
            .answer(&request.clone().with("host", "evil.example"))
            .expect(421);
        endpoint
            .answer(&request.header("origin", "http://evil.example"))
            .expect(403);
    }
}

#[test]
fn row_64_commands_find_models_by_what_they_can_do() {
    let endpoint = Endpoint::start();
    let shown = |arguments: &[&str]| command(&endpoint, arguments).expect_success().stdout;
    let n_all = shown(&["models", "--ids"]).lines().count();
    for flag in ["--tools", "--vision", "--reasoning", "--structured", "--free"] {
        let some = shown(&["models", flag, "--ids"]);
        let n_some = some.lines().count();
        assert!(0 < n_some && n_some < n_all, "{flag}: {some}");
    }
    let model = shown(&["models", "show", "openai/gpt-4o"]);
    assert!(model.contains("tools") && model.contains("vision"), "{model}");
    let found = shown(&["models", "gpt-4o", "--json"]);
    assert!(found.contains("openai/gpt-4o"), "{found}");
}

#[test]
fn row_67_an_unknown_balance_has_a_reason() {
    let account = json!({"data": {"label": "a key", "usage": 7.25, "limit": null, "limit_remaining": null}});
    let refusal = json!({"error": {"code": 403, "message": "Only management keys can fetch credits"}});
    let faultd = Faultd::answering(move |request| {
        if request.path.ends_with("/key") {
            Script::reply(200, &[], &account)
        } else {
            Script::reply(403, &[], &refusal)
        }
    });
    let endpoint = Serve::new().asking(&faultd).start();
    let credits = endpoint.get("/api/endpoints/openrouter/credits");
    let credits = endpoint.answer(&credits).expect(200).json();
    let reason = "the key has no limit of its own, and the service does not show it the account's balance";
    assert_eq!(
        (&credits["balance"], &credits["reason"]),
        (&Value::Null, &json!(reason))
    );
    assert_eq!(credits["usage"], json!({"total": 7.25}));
}

#[test]
fn row_67_the_credit_is_a_number_at_the_endpoint_and_in_the_command() {
    let management = service_from(Sandbox::builder().key(CANARY).management_key());
    let endpoint = Serve::before(management).start();
    let credits = endpoint.get("/api/endpoints/openrouter/credits");
    let mut credits = endpoint.answer(&credits).expect(200).json();
    assert!(credits["age_ms"].take().is_u64());
    assert_eq!(
        credits,
        json!({
            "balance": 25.0, "currency": "USD", "usage": {"total": 0.0}, "status": "green", "source": "account",
            "age_ms": null, "is_stale": false, "reason": null,
        })
    );
    let shown = command(&endpoint, &["credits", "--json"]).expect_success().stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    let balance = shown["balance_usd"].as_str().unwrap_or_default();
    assert!(balance.starts_with("25"), "{shown}");
    assert_eq!(endpoint.metric("agent_host_credits_remaining_usd"), 25.0);
}
