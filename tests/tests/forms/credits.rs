//! What is left to spend: of the account or of the key, coloured, less what was billed since.

use plugin_api::{CreditStatus, Credits, CreditsRequest, Plugin};
use sandbox::{Sandbox, Script};
use serde_json::{Map, Value, json};
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script as Bytes};
use tests::{Service, ask, block_on, request, service, service_from};

use crate::bench::{
    chat, codes, good, once, plugin, plugin_at, plugin_of, post, raw_stream, requests_to, streamed, told,
};

const KEPT: CreditsRequest = CreditsRequest { force: false };
const FORCED: CreditsRequest = CreditsRequest { force: true };
const MODEL: &str = "acme/model";

fn credits(plugin: &Plugin, request: CreditsRequest) -> Credits {
    block_on(plugin.credits(request)).expect("the credit")
}

fn amounts(credits: &Credits) -> (Option<&str>, Option<&str>) {
    (credits.balance_usd.as_deref(), credits.usage_usd.as_deref())
}

/// A service whose model bills so many dollars.
fn billing(cost_usd: f64) -> Service {
    let service = service();
    service.script(MODEL, bills(cost_usd));
    service
}

fn bills(cost_usd: f64) -> Script {
    let usage = json!({ "cost": cost_usd });
    Script {
        usage: usage.as_object().cloned().unwrap_or_else(Map::new),
        ..Script::text("yes")
    }
}

/// A service that says this about the key and about the account, and answers everything else.
fn saying(key: (u16, Value), account: (u16, Value)) -> Faultd {
    Faultd::answering(move |request| {
        let (status, body) = match request.path.as_str() {
            "/api/v1/key" => &key,
            "/api/v1/credits" => &account,
            _ => return Bytes::answer("yes"),
        };
        Bytes::reply(*status, &[], body)
    })
}

fn refusal(status: u16) -> (u16, Value) {
    (
        status,
        json!({"error": {"code": status, "message": "Only management keys can fetch credits for an account"}}),
    )
}

fn key(limit: Value, remaining: Value) -> (u16, Value) {
    (
        200,
        json!({"data": {"label": "k", "limit": limit, "limit_remaining": remaining, "usage": 1.5}}),
    )
}

fn account(bought: Value, spent: Value) -> (u16, Value) {
    (200, json!({"data": {"total_credits": bought, "total_usage": spent}}))
}

#[test]
fn a_management_key_is_told_what_the_account_has() {
    let service = service_from(Sandbox::builder().key(CANARY).management_key());
    let credits = credits(&plugin(&service, json!({})), KEPT);
    assert_eq!(amounts(&credits), (Some("25"), Some("0")));
    assert_eq!(
        (credits.status, credits.source.as_deref()),
        (CreditStatus::Green, Some("account"))
    );
    assert!(!credits.is_stale && credits.problem.is_none());
}

#[test]
fn a_key_that_is_not_permitted_to_ask_is_told_what_is_left_of_its_limit() {
    let service = service();
    let credits = credits(&plugin(&service, json!({})), KEPT);
    assert_eq!(requests_to(&service, "/credits")[0].status, 403);
    assert_eq!(amounts(&credits), (Some("10"), Some("0")));
    assert_eq!(
        (credits.status, credits.source.as_deref()),
        (CreditStatus::Green, Some("key"))
    );
    assert!(!credits.is_stale && credits.problem.is_none(), "it is no failure");
}

#[test]
fn a_key_without_a_limit_that_may_not_ask_is_told_that_nobody_knows() {
    let service = saying(key(Value::Null, Value::Null), refusal(403));
    let credits = credits(&plugin_of(&service, once()), KEPT);
    assert_eq!(
        (credits.balance_usd.as_deref(), credits.status),
        (None, CreditStatus::Unknown)
    );
    assert_eq!(
        credits.problem.as_deref(),
        Some("the key has no limit of its own, and the service does not tell it what the account has")
    );
}

#[test]
fn whoever_asks_raw_is_told_that_it_is_not_permitted() {
    let service = service();
    let error = crate::bench::raw(
        &plugin(&service, once()),
        plugin_api::HttpRequest::new("GET", "/credits"),
    )
    .expect_err("it is not permitted");
    assert_eq!(error.kind, plugin_api::ErrorKind::FORBIDDEN);
    let answer = error.details.answer.expect("the service's own answer");
    assert_eq!(answer.status, 403);
    assert!(answer.body.contains("Only management keys"), "{}", answer.body);
}

#[test]
fn the_colours_change_at_five_dollars_and_at_one() {
    for (left, colour) in [
        (json!(5.01), CreditStatus::Green),
        (json!(5.000001), CreditStatus::Green),
        (json!(5.00), CreditStatus::Yellow),
        (json!(5), CreditStatus::Yellow),
        (json!(4.99), CreditStatus::Yellow),
        (json!(1.00), CreditStatus::Yellow),
        (json!(0.99), CreditStatus::Red),
        (json!(0), CreditStatus::Red),
        (json!(-2), CreditStatus::Red),
    ] {
        let of_key = saying(key(json!(100), left.clone()), refusal(403));
        assert_eq!(
            credits(&plugin_of(&of_key, once()), KEPT).status,
            colour,
            "{left} of the key"
        );
        let of_account = saying(key(json!(100), json!(50)), account(left.clone(), json!(0)));
        assert_eq!(
            credits(&plugin_of(&of_account, once()), KEPT).status,
            colour,
            "{left} of the account"
        );
    }
}

#[test]
fn differences_are_exact() {
    let service = saying(key(json!(1), json!(1)), account(json!(0.3), json!(0.1)));
    assert_eq!(
        amounts(&credits(&plugin_of(&service, once()), KEPT)),
        (Some("0.2"), Some("0.1"))
    );
}

#[test]
fn what_was_billed_is_taken_off_until_the_service_is_asked_again() {
    let service = billing(0.25);
    let plugin = plugin(&service, json!({}));
    assert_eq!(amounts(&credits(&plugin, KEPT)), (Some("10"), Some("0")));
    ask(&plugin, MODEL, "typed and whole").expect("an answer");
    streamed(&plugin, &request(MODEL, "typed and streamed"));
    good(&plugin, chat(MODEL));
    raw_stream(&plugin, chat(MODEL));
    assert_eq!(amounts(&credits(&plugin, KEPT)), (Some("9"), Some("1")));
    assert_eq!(requests_to(&service, "/key").len(), 1, "nobody was asked");
    assert_eq!(
        amounts(&credits(&plugin, FORCED)),
        (Some("9"), Some("1")),
        "and the service says the same"
    );
    assert_eq!(requests_to(&service, "/key").len(), 2);
}

#[test]
fn bills_of_the_other_forms_are_taken_off_too() {
    let service = billing(0.25);
    let plugin = plugin(&service, json!({}));
    credits(&plugin, KEPT);
    let message = json!([{"role": "user", "content": "Hello"}]);
    for (path, body) in [
        ("/completions", json!({"model": MODEL, "prompt": "x"})),
        ("/responses", json!({"model": MODEL, "input": "x"})),
        (
            "/messages",
            json!({"model": MODEL, "max_tokens": 5, "messages": message}),
        ),
    ] {
        good(&plugin, post(path, &body));
        raw_stream(&plugin, post(path, &body));
    }
    let known = credits(&plugin, KEPT);
    assert_eq!(amounts(&known), (Some("8.5"), Some("1.5")));
    good(
        &plugin,
        post(
            "/embeddings",
            &json!({"model": "openai/text-embedding-3-small", "input": "x y z"}),
        ),
    );
    let after = credits(&plugin, KEPT);
    assert_ne!(amounts(&after), amounts(&known));
    assert_eq!(
        amounts(&after),
        amounts(&credits(&plugin, FORCED)),
        "and the service says the same"
    );
}

#[test]
fn a_balance_that_falls_low_is_told_once() {
    let service = billing(9.25);
    let plugin = plugin(&service, json!({}));
    credits(&plugin, KEPT);
    assert_eq!(
        codes(&good(&plugin, chat(MODEL)).notices),
        [] as [&str; 0],
        "it was enough before"
    );
    service.script(MODEL, bills(0.01));
    let answer = good(&plugin, chat(MODEL));
    assert_eq!(
        told(&answer.notices, "low_balance"),
        "only $0.75 is left of the key's limit; raise it at https://openrouter.ai/settings/keys"
    );
    assert_eq!(codes(&good(&plugin, chat(MODEL)).notices), [] as [&str; 0]);
    assert_eq!(credits(&plugin, KEPT).status, CreditStatus::Red);
}

#[test]
fn a_stream_is_told_of_a_low_balance_too() {
    let service = saying(key(json!(10), json!(0.5)), refusal(403));
    let plugin = plugin_of(&service, once());
    credits(&plugin, KEPT);
    let came = raw_stream(&plugin, chat(MODEL));
    assert_eq!(codes(&came.reply().notices), ["low_balance"]);
    assert_eq!(came.kinds(), ["notice", "head", "raw", "done"]);
}

#[test]
fn the_credit_is_kept_until_it_is_forced() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    credits(&plugin, KEPT);
    credits(&plugin, KEPT);
    assert_eq!(requests_to(&service, "/key").len(), 1);
    credits(&plugin, FORCED);
    assert_eq!(
        (
            requests_to(&service, "/key").len(),
            requests_to(&service, "/credits").len()
        ),
        (2, 2)
    );
}

#[test]
fn a_variable_says_how_long_the_credit_is_kept() {
    let service = service();
    let plugin = plugin_at(&service.base_url(), &[("OPENROUTER_CACHE_TTL_CREDITS", "0")], json!({}));
    credits(&plugin, KEPT);
    credits(&plugin, KEPT);
    assert_eq!(requests_to(&service, "/key").len(), 2);
}

#[test]
fn fifty_who_ask_for_the_credit_at_once_cost_one_request() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    block_on(async {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let plugin = plugin.clone();
                tokio::spawn(async move { plugin.credits(KEPT).await.expect("the credit").balance_usd })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.expect("no panic").as_deref(), Some("10"));
        }
    });
    assert_eq!(
        (
            requests_to(&service, "/key").len(),
            requests_to(&service, "/credits").len()
        ),
        (1, 1)
    );
}

/// A service that tells of an account once, and then fails.
fn failing_later() -> Faultd {
    Faultd::answering(|request| {
        let (status, body) = match (request.path.as_str(), request.number) {
            ("/api/v1/key", 0..2) => key(json!(10), json!(9)),
            ("/api/v1/credits", 0..2) => account(json!(20), json!(5)),
            _ => (500, json!({"error": {"code": 500, "message": "not today"}})),
        };
        Bytes::reply(status, &[], &body)
    })
}

#[test]
fn an_old_balance_is_given_with_its_age_where_there_is_no_new_one() {
    let service = failing_later();
    let plugin = plugin_of(&service, once());
    let fresh = credits(&plugin, KEPT);
    assert_eq!((amounts(&fresh), fresh.is_stale), ((Some("15"), Some("5")), false));
    let stale = credits(&plugin, FORCED);
    assert_eq!((amounts(&stale), stale.is_stale), ((Some("15"), Some("5")), true));
    assert!(stale.age_ms >= fresh.age_ms);
    assert!(stale.problem.is_some_and(|problem| problem.contains("not today")));
}

#[test]
fn without_any_answer_the_services_error_is_told() {
    let service = saying(refusal(401), refusal(401));
    let error = block_on(plugin_of(&service, once()).credits(KEPT)).expect_err("nobody knows");
    assert_eq!(error.kind, plugin_api::ErrorKind::AUTH);
}

#[test]
fn a_service_without_keys_is_told_as_one() {
    let service = saying(refusal(404), refusal(404));
    let error = block_on(plugin_of(&service, once()).credits(KEPT)).expect_err("nobody knows");
    assert_eq!(error.kind, plugin_api::ErrorKind::UNSUPPORTED);
}
