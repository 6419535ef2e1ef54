use std::sync::{Arc, Mutex};

use plugin_api::{Allowance, CreditStatus, ErrorKind};
use serde_json::{Value, json};

use super::*;
use crate::kit::{KEY, Service, block_on};

/// A status and a body.
type Reply = (u16, Value);

/// A service that answers `/key` and `/credits` with these replies.
fn service(key: Reply, credits: Reply) -> Service {
    changing(&Arc::new(Mutex::new([key, credits])))
}

/// A service whose replies to `/key` and `/credits` may change.
fn changing(replies: &Arc<Mutex<[Reply; 2]>>) -> Service {
    let replies = Arc::clone(replies);
    Service::start(move |path| {
        let replies = replies.lock().expect("no panic");
        let (status, body) = &replies[usize::from(!path.ends_with("/key"))];
        (*status, String::new(), body.to_string())
    })
}

fn refusal(status: u16) -> Reply {
    (status, json!({"error": {"code": status, "message": "no"}}))
}

fn account_of(key: Reply, credits: Reply) -> Result<Account, Error> {
    block_on(Store::default().account(&service(key, credits).settings(json!({}), &[])))
}

fn balance_of(key: Reply, credits: Reply) -> Result<Credits, Error> {
    let settings = service(key, credits).settings(json!({}), &[]);
    let credits = block_on(Store::default().balance(&settings, Refresh::IfExpired))?;
    Ok(Credits { age_ms: 0, ..credits })
}

/// How often a service was asked about the key.
fn n_asked(service: &Service) -> usize {
    let heads = service.requests();
    heads.iter().filter(|head| head.starts_with("GET /api/v1/key ")).count()
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn every_field_that_the_service_reports_is_returned() {
    // Source: OpenRouter's API description, the examples of `/key` and `/credits`.
    let key = json!({"data": {
        "label": "sk-or-v1-au7...890", "limit": 100, "limit_remaining": 74.5, "limit_reset": "monthly",
        "usage": 25.5, "usage_daily": 1.5e-5, "usage_weekly": 25.5, "is_free_tier": false,
        "is_management_key": false, "is_provisioning_key": false, "expires_at": "2027-12-31T23:59:59Z",
        // Source: an official SDK, later than the description.
        "free_model_daily_requests": {"limit": 1000, "used": 12, "remaining": 988},
    }});
    let credits = json!({"data": {"total_credits": 100.5, "total_usage": 25.75}});
    let expected = Account {
        label: some("[key]"),
        limit_usd: some("100"),
        remaining_usd: some("74.5"),
        limit_reset: some("monthly"),
        usage_usd: some("25.5"),
        usage_today_usd: some("0.000015"),
        balance_usd: some("74.75"),
        is_free_tier: Some(false),
        free_requests_today: Some(Allowance {
            limit: Some(1000),
            used: Some(12),
            remaining: Some(988),
        }),
        expires_at: some("2027-12-31T23:59:59Z"),
    };
    assert_eq!(account_of((200, key), (200, credits)).expect("an account"), expected);
}

#[test]
fn absent_and_null_fields_stay_unknown() {
    let key = json!({"data": {"label": format!("mine: {KEY}"), "limit": null, "limit_remaining": null}});
    let expected = Account {
        label: some("mine: [key]"),
        ..Account::default()
    };
    let no_usage = (200, json!({"data": {"total_credits": 1}}));
    for credits in [refusal(401), refusal(403), refusal(500), no_usage, (200, json!("soon"))] {
        let seen = account_of((200, key.clone()), credits.clone());
        assert_eq!(seen.expect("an account"), expected, "{credits:?}");
    }
}

#[test]
fn amounts_are_kept_to_the_last_digit() {
    let body = r#"{"data": {"usage": 0.12345678901234567890123, "limit": 1e1}}"#;
    let service = Service::start(move |_| (200, String::new(), body.to_owned()));
    let account = block_on(Store::default().account(&service.settings(json!({}), &[]))).expect("an account");
    assert_eq!(account.usage_usd.as_deref(), Some("0.12345678901234567890123"));
    assert_eq!(account.limit_usd.as_deref(), Some("10"));
}

#[test]
fn without_a_readable_reply_account_and_balance_are_errors() {
    let refused = "the service answered 401: no";
    let no_path = "the service does not report keys or credit: it has no `/key`";
    let unreadable = "could not read the reply of `/key`: expected JSON with the key in `data`";
    let rows = [
        (refusal(401), ErrorKind::AUTH, Some(401), refused),
        (refusal(404), ErrorKind::UNSUPPORTED, None, no_path),
        (refusal(405), ErrorKind::UNSUPPORTED, None, no_path),
        (refusal(501), ErrorKind::UNSUPPORTED, None, no_path),
        (
            refusal(500),
            ErrorKind::UNAVAILABLE,
            Some(500),
            "the service answered 500: no",
        ),
        // None of these is quoted.
        ((200, json!("hello, secret")), ErrorKind::PROTOCOL, None, unreadable),
        (
            (200, json!({"data": {"label": {"secret": 1}}})),
            ErrorKind::PROTOCOL,
            None,
            unreadable,
        ),
        ((200, json!({})), ErrorKind::PROTOCOL, None, unreadable),
    ];
    for (key, kind, status, message) in rows {
        // The balance needs one of the two replies.
        let credits = if key.0 == 200 { refusal(403) } else { key.clone() };
        let of_account = account_of(key.clone(), credits.clone()).expect_err("nothing to read");
        let seen = (of_account.kind, of_account.message.as_str());
        assert_eq!(seen, (kind, message), "{key:?}");
        let of_balance = balance_of(key.clone(), credits).expect_err("nothing is known");
        for error in [of_account, of_balance] {
            assert_eq!((error.kind, error.details.status), (kind, status), "{key:?}");
        }
    }
    let service = Service::saying(&json!({}));
    let settings = service.settings(json!({}), &[("OPENROUTER_API_KEY", "")]);
    let error = block_on(Store::default().balance(&settings, Refresh::Now)).expect_err("no key");
    assert_eq!((error.kind, service.requests().len()), (ErrorKind::AUTH, 0));
}

#[test]
fn the_account_is_cached_for_its_time_to_live() {
    let service = service((200, json!({"data": {"usage": 1}})), refusal(403));
    let store = Store::default();
    let ask = |options: Value, variable: &str| {
        let settings = service.settings(options, &[("OPENROUTER_CACHE_TTL_CREDITS", variable)]);
        let account = block_on(store.account(&settings)).expect("an account");
        (account.usage_usd, n_asked(&service))
    };
    let rows = [
        (json!({}), "", 1),
        (json!({}), "", 1),
        (json!({}), "0", 2),
        (json!({"caches": {"creditsMs": 900_000}}), "0", 2),
        (json!({"caches": {"creditsMs": 0}}), "9000", 3),
        (json!({}), "soon", 3),
    ];
    for (options, variable, n) in rows {
        assert_eq!(ask(options.clone(), variable), (some("1"), n), "{options} {variable}");
    }
}

#[test]
fn each_key_and_service_has_its_own_account() {
    let services = [1, 2].map(|usage| service((200, json!({"data": {"usage": usage}})), refusal(403)));
    let store = Store::default();
    let other = format!("{KEY}2");
    for (n, key, usage, n_fetched) in [(0, KEY, "1", 1), (1, KEY, "2", 1), (1, &other, "2", 2)] {
        let settings = services[n].settings(json!({}), &[("OPENROUTER_API_KEY", key)]);
        let account = block_on(store.account(&settings)).expect("an account");
        assert_eq!((account.usage_usd, n_asked(&services[n])), (some(usage), n_fetched));
    }
}

#[test]
fn concurrent_callers_share_one_fetch() {
    for status in [200, 500] {
        let service = service((status, json!({"data": {"usage": 1}})), refusal(403));
        // Even if nothing is cached.
        let settings = service.settings(json!({"caches": {"creditsMs": 0}}), &[]);
        let store = Store::default();
        let (account, balance) = (|| store.account(&settings), || store.balance(&settings, Refresh::Now));
        let (a, b, c, d) = block_on(async { tokio::join!(account(), balance(), account(), balance()) });
        assert_eq!([a.is_ok(), b.is_ok(), c.is_ok(), d.is_ok()], [status == 200; 4]);
        assert_eq!(n_asked(&service), 1, "{status}");
    }
}

#[test]
fn errors_are_not_cached() {
    let service = service(refusal(500), refusal(500));
    let settings = service.settings(json!({}), &[]);
    let store = Store::default();
    for n in 1..3 {
        assert!(block_on(store.account(&settings)).is_err());
        assert_eq!(n_asked(&service), n);
    }
}

#[test]
fn the_balance_falls_back_from_the_account_to_the_key() {
    let credits = (200, json!({"data": {"total_credits": 100.5, "total_usage": 25.75}}));
    let known = |balance_usd, usage_usd, status, source| Credits {
        balance_usd: some(balance_usd),
        usage_usd: some(usage_usd),
        status,
        source: some(source),
        ..Credits::default()
    };
    let of_account = known("74.75", "25.75", CreditStatus::Green, "account");
    let key = (
        200,
        json!({"data": {"limit": 10, "limit_remaining": 0.5, "usage": 9.5}}),
    );
    let of_key = known("0.5", "9.5", CreditStatus::Red, "key");
    let no_limit = (
        200,
        json!({"data": {"limit": null, "limit_remaining": null, "usage": 3}}),
    );
    let unknown = Credits {
        usage_usd: some("3"),
        problem: some("the key has no limit of its own, and the service does not show it the account's balance"),
        ..Credits::default()
    };
    let rows = [
        (key.clone(), credits.clone(), of_account.clone()),
        // The reply of `/key` is not needed then.
        (refusal(404), credits, of_account),
        (key.clone(), refusal(401), of_key.clone()),
        (key.clone(), refusal(403), of_key.clone()),
        (key.clone(), refusal(404), of_key.clone()),
        (key.clone(), refusal(500), of_key.clone()),
        (key, (200, json!("<html>")), of_key),
        (no_limit, refusal(403), unknown),
    ];
    for (key, credits, expected) in rows {
        let row = format!("{key:?} {credits:?}");
        assert_eq!(balance_of(key, credits).expect("a balance"), expected, "{row}");
    }
}

#[test]
fn account_and_balance_share_one_cache() {
    let key = json!({"data": {"limit": 10, "limit_remaining": 7}});
    let service = service((200, key), refusal(403));
    let settings = service.settings(json!({}), &[]);
    let store = Store::default();
    let n_after = |work: &str| {
        match work {
            "account" => drop(block_on(store.account(&settings)).expect("an account")),
            "kept" => drop(block_on(store.balance(&settings, Refresh::IfExpired)).expect("a balance")),
            _ => drop(block_on(store.balance(&settings, Refresh::Now)).expect("a balance")),
        }
        n_asked(&service)
    };
    let seen = ["account", "kept", "account", "new", "account", "kept", "new"].map(n_after);
    assert_eq!(seen, [1, 1, 1, 2, 2, 2, 3]);
}

#[test]
fn costs_are_deducted_until_the_next_fetch() {
    let credits = json!({"data": {"total_credits": 10, "total_usage": 4}});
    let service = service(refusal(404), (200, credits));
    let settings = service.settings(json!({}), &[]);
    let store = Store::default();
    let balance = |refresh| {
        let credits = block_on(store.balance(&settings, refresh)).expect("a balance");
        (credits.balance_usd, credits.status)
    };
    store.credits().billed("1");
    assert_eq!(balance(Refresh::IfExpired), (some("6"), CreditStatus::Green));
    store.credits().billed("5.5");
    assert_eq!(balance(Refresh::IfExpired), (some("0.5"), CreditStatus::Red));
    assert_eq!(n_asked(&service), 1);
    assert_eq!(store.credits().low_balance().expect("it fell").code, "low_balance");
    assert_eq!(balance(Refresh::Now), (some("6"), CreditStatus::Green));
    assert_eq!(store.credits().low_balance(), None);
}

#[test]
fn a_stale_balance_is_better_than_an_error_and_says_so() {
    let credits = (200, json!({"data": {"total_credits": 10, "total_usage": 4}}));
    let key = (200, json!({"data": {"limit": 10, "limit_remaining": 1}}));
    let replies = Arc::new(Mutex::new([key, credits]));
    let service = changing(&replies);
    let settings = service.settings(json!({"caches": {"creditsMs": 0}}), &[]);
    let store = Store::default();
    // The balance, whether it is stale and why, and how often the service was asked.
    let balance = |refresh| {
        let credits = block_on(store.balance(&settings, refresh)).expect("a balance");
        (
            credits.balance_usd,
            credits.is_stale,
            credits.problem,
            n_asked(&service),
        )
    };
    assert_eq!(balance(Refresh::IfExpired), (some("6"), false, None, 1));
    replies.lock().expect("no panic")[1] = refusal(500);
    // A temporary failure does not replace the account's balance by the key's limit.
    let failed = some("the service answered 500: no");
    assert_eq!(balance(Refresh::IfExpired), (some("6"), true, failed.clone(), 2));
    // The next fetch is then paused for a while, unless it is forced.
    assert_eq!(balance(Refresh::IfExpired), (some("6"), true, failed.clone(), 2));
    assert_eq!(balance(Refresh::Now), (some("6"), true, failed, 3));
    // A key that may no longer read the account has only its own limit.
    replies.lock().expect("no panic")[1] = refusal(403);
    assert_eq!(balance(Refresh::Now), (some("1"), false, None, 4));
    // Another key starts without a balance.
    *replies.lock().expect("no panic") = [refusal(500), refusal(500)];
    let settings = service.settings(json!({}), &[("OPENROUTER_API_KEY", &format!("{KEY}2"))]);
    assert!(block_on(store.balance(&settings, Refresh::IfExpired)).is_err());
}
