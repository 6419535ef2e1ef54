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
