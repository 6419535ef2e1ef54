use std::sync::Arc;

use plugin_api::{CreditStatus, ErrorKind};
use serde_json::{Value, json};

use super::*;
use crate::kit::{KEY, Service, block_on};

/// A service that answers `/key` and `/credits` with these statuses and bodies.
fn service(key: (u16, Value), credits: (u16, Value)) -> Service {
    Service::start(move |path| {
        let (status, body) = if path.ends_with("/key") { &key } else { &credits };
        (*status, String::new(), body.to_string())
    })
}

fn asked(key: (u16, Value), credits: (u16, Value)) -> Result<Account, Error> {
    block_on(Store::default().account(&service(key, credits).settings(json!({}), &[])))
}

fn refusal(status: u16) -> (u16, Value) {
    (status, json!({"error": {"code": status, "message": "no"}}))
}

#[test]
fn every_field_that_the_service_reports_is_returned() {
    // Source: OpenRouter's API description, the examples of `/key` and `/credits`.
    let key = json!({"data": {
        "label": "sk-or-v1-au7...890", "limit": 100, "limit_remaining": 74.5, "limit_reset": "monthly",
        "usage": 25.5, "usage_daily": 1.5e-5, "usage_weekly": 25.5, "is_free_tier": false,
        "is_management_key": false, "is_provisioning_key": false, "expires_at": "2027-12-31T23:59:59Z",
    }});
    let credits = json!({"data": {"total_credits": 100.5, "total_usage": 25.75}});
    assert_eq!(
        asked((200, key), (200, credits)).expect("an account"),
        Account {
            label: some("[key]"),
            limit_usd: some("100"),
            remaining_usd: some("74.5"),
            limit_reset: some("monthly"),
            usage_usd: some("25.5"),
            usage_today_usd: some("0.000015"),
            balance_usd: some("74.75"),
            is_free_tier: Some(false),
            expires_at: some("2027-12-31T23:59:59Z"),
        }
    );
}

#[test]
fn absent_and_null_fields_stay_unknown() {
    let key = json!({"data": {"label": format!("mine: {KEY}"), "limit": null, "limit_remaining": null}});
    for credits in [
        refusal(401),
        refusal(403),
        refusal(500),
        (200, json!({"data": {"total_credits": 1}})),
        (200, json!("soon")),
    ] {
        let expected = Account {
            label: Some("mine: [key]".to_owned()),
            ..Account::default()
        };
        assert_eq!(asked((200, key.clone()), credits).expect("an account"), expected);
    }
}

#[test]
fn amounts_are_kept_to_the_last_digit() {
    let body = r#"{"data": {"usage": 0.12345678901234567890123, "limit": 1e1}}"#;
    let service = Service::start(move |_| (200, String::new(), body.to_owned()));
    let settings = service.settings(json!({}), &[]);
    let account = block_on(Store::default().account(&settings)).expect("an account");
    assert_eq!(account.usage_usd.as_deref(), Some("0.12345678901234567890123"));
    assert_eq!(account.limit_usd.as_deref(), Some("10"));
}

#[test]
fn a_refused_key_is_an_auth_error() {
    let error = asked(refusal(401), refusal(401)).expect_err("a refusal");
    assert_eq!((error.kind, error.details.status), (ErrorKind::AUTH, Some(401)));
}

#[test]
fn a_service_without_the_key_path_is_unsupported() {
    for status in [404, 405, 501] {
        let error = asked(refusal(status), refusal(status)).expect_err("nothing to ask");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (
                ErrorKind::UNSUPPORTED,
                "the service does not report keys or credit: it has no `/key`"
            )
        );
    }
}

#[test]
fn an_unreadable_reply_is_not_quoted() {
    for body in [
        json!("hello, secret"),
        json!({"data": {"label": {"secret": 1}}}),
        json!({}),
    ] {
        let error = asked((200, body), refusal(403)).expect_err("nothing to read");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (
                ErrorKind::PROTOCOL,
                "could not read the reply of `/key`: expected JSON with the key in `data`"
            )
        );
    }
}

/// How often a service was asked about the key.
fn n_asked(service: &Service) -> usize {
    let heads = service.requests();
    heads.iter().filter(|head| head.starts_with("GET /api/v1/key ")).count()
}

#[test]
fn the_account_is_cached_for_its_time_to_live() {
    let service = service((200, json!({"data": {"usage": 1}})), refusal(403));
    let store = Store::default();
    let ask = |options: Value, variables: &[(&str, &str)]| {
        let settings = service.settings(options, variables);
        let account = block_on(store.account(&settings)).expect("an account");
        assert_eq!(account.usage_usd.as_deref(), Some("1"));
        n_asked(&service)
    };
    let variable = "OPENROUTER_CACHE_TTL_CREDITS";
    assert_eq!(ask(json!({}), &[]), 1);
    assert_eq!(ask(json!({}), &[]), 1);
    assert_eq!(ask(json!({}), &[(variable, "0")]), 2);
    assert_eq!(ask(json!({"caches": {"creditsMs": 900_000}}), &[(variable, "0")]), 2);
    assert_eq!(ask(json!({"caches": {"creditsMs": 0}}), &[(variable, "9000")]), 3);
    assert_eq!(ask(json!({}), &[(variable, "soon")]), 3);
}

#[test]
fn each_key_and_service_has_its_own_account() {
    let first = service((200, json!({"data": {"usage": 1}})), refusal(403));
    let second = service((200, json!({"data": {"usage": 2}})), refusal(403));
    let store = Store::default();
    let usage = |service: &Service, key: &str| {
        let settings = service.settings(json!({}), &[("OPENROUTER_API_KEY", key)]);
        block_on(store.account(&settings)).expect("an account").usage_usd
    };
    assert_eq!(usage(&first, KEY).as_deref(), Some("1"));
    assert_eq!(usage(&second, KEY).as_deref(), Some("2"));
    assert_eq!(n_asked(&second), 1);
    usage(&second, &format!("{KEY}2"));
    assert_eq!(n_asked(&second), 2);
}

#[test]
fn concurrent_callers_share_one_fetch() {
    for status in [200, 500] {
        let service = service((status, json!({"data": {"usage": 1}})), refusal(403));
        // Even if nothing is cached.
        let settings = service.settings(json!({"caches": {"creditsMs": 0}}), &[]);
        let store = Arc::new(Store::default());
        block_on(async {
            let callers: Vec<_> = (0..20)
                .map(|n| {
                    let (store, settings) = (Arc::clone(&store), Arc::clone(&settings));
                    tokio::spawn(async move {
                        match n % 2 {
                            0 => store.account(&settings).await.is_ok(),
                            _ => store.balance(&settings, Refresh::Now).await.is_ok(),
                        }
                    })
                })
                .collect();
            for caller in callers {
                assert_eq!(caller.await.expect("no panic"), status == 200);
            }
        });
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

/// A service whose answers change: `answers` holds the next ones for `/key` and `/credits`.
fn changing(answers: &Arc<std::sync::Mutex<[(u16, Value); 2]>>) -> Service {
    let answers = Arc::clone(answers);
    Service::start(move |path| {
        let answers = answers.lock().expect("no panic");
        let (status, body) = &answers[usize::from(!path.ends_with("/key"))];
        (*status, String::new(), body.to_string())
    })
}

fn balance_of(key: (u16, Value), credits: (u16, Value)) -> Result<Credits, Error> {
    let settings = service(key, credits).settings(json!({}), &[]);
    let credits = block_on(Store::default().balance(&settings, Refresh::IfExpired))?;
    Ok(Credits { age_ms: 0, ..credits })
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[test]
fn the_balance_is_the_accounts_if_the_key_may_read_it() {
    let credits = json!({"data": {"total_credits": 100.5, "total_usage": 25.75}});
    let expected = Credits {
        balance_usd: some("74.75"),
        usage_usd: some("25.75"),
        status: CreditStatus::Green,
        source: some("account"),
        ..Credits::default()
    };
    let key = json!({"data": {"limit": 10, "limit_remaining": 0.5}});
    assert_eq!(
        balance_of((200, key), (200, credits.clone())).expect("a balance"),
        expected
    );
    // The reply of `/key` is not needed then.
    assert_eq!(balance_of(refusal(404), (200, credits)).expect("a balance"), expected);
}

#[test]
fn the_balance_is_the_keys_if_the_accounts_is_hidden() {
    let key = json!({"data": {"limit": 10, "limit_remaining": 0.5, "usage": 9.5}});
    let unreadable = (200, json!("<html>"));
    for credits in [refusal(401), refusal(403), refusal(404), refusal(500), unreadable] {
        let expected = Credits {
            balance_usd: some("0.5"),
            usage_usd: some("9.5"),
            status: CreditStatus::Red,
            source: some("key"),
            ..Credits::default()
        };
        assert_eq!(balance_of((200, key.clone()), credits).expect("a balance"), expected);
    }
}

#[test]
fn a_key_without_a_limit_has_no_balance_and_says_so() {
    let key = json!({"data": {"limit": null, "limit_remaining": null, "usage": 3}});
    let expected = Credits {
        usage_usd: some("3"),
        problem: some("the key has no limit of its own, and the service does not show it the account's balance"),
        ..Credits::default()
    };
    assert_eq!(balance_of((200, key), refusal(403)).expect("an answer"), expected);
}

#[test]
fn without_any_answer_the_balance_is_an_error() {
    for (status, kind) in [(401, ErrorKind::AUTH), (404, ErrorKind::UNSUPPORTED)] {
        let error = balance_of(refusal(status), refusal(status)).expect_err("nothing is known");
        assert_eq!(error.kind, kind, "{status}");
    }
    let error = balance_of(refusal(500), refusal(500)).expect_err("nothing is known");
    assert_eq!(error.details.status, Some(500));
    let service = Service::saying(&json!({}));
    let settings = service.settings(json!({}), &[("OPENROUTER_API_KEY", "")]);
    let error = block_on(Store::default().balance(&settings, Refresh::Now)).expect_err("no key");
    assert_eq!((error.kind, service.requests().len()), (ErrorKind::AUTH, 0));
}

#[test]
fn account_and_balance_share_one_cache() {
    let service = service(
        (200, json!({"data": {"limit": 10, "limit_remaining": 7}})),
        refusal(403),
    );
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
        (credits.balance_usd.expect("it is known"), credits.status)
    };
    store.credits().billed("1");
    assert_eq!(balance(Refresh::IfExpired), ("6".to_owned(), CreditStatus::Green));
    store.credits().billed("5.5");
    assert_eq!(balance(Refresh::IfExpired), ("0.5".to_owned(), CreditStatus::Red));
    assert_eq!(n_asked(&service), 1);
    let notice = store.credits().low_balance().expect("it fell");
    assert_eq!(notice.code, "low_balance");
    assert_eq!(balance(Refresh::Now), ("6".to_owned(), CreditStatus::Green));
    assert_eq!(store.credits().low_balance(), None);
}

#[test]
fn a_stale_balance_is_better_than_an_error_and_says_so() {
    let credits = (200, json!({"data": {"total_credits": 10, "total_usage": 4}}));
    let key = (200, json!({"data": {"limit": 10, "limit_remaining": 1}}));
    let answers = Arc::new(std::sync::Mutex::new([key, credits]));
    let service = changing(&answers);
    let settings = service.settings(json!({"caches": {"creditsMs": 0}}), &[]);
    let store = Store::default();
    let balance = |refresh| block_on(store.balance(&settings, refresh)).expect("a balance");
    assert!(!balance(Refresh::IfExpired).is_stale);
    answers.lock().expect("no panic")[1] = refusal(500);
    // A temporary failure does not replace the account's balance by the key's limit.
    let old = balance(Refresh::IfExpired);
    assert_eq!(
        (old.balance_usd.as_deref(), old.is_stale, old.problem.as_deref()),
        (Some("6"), true, Some("the service answered 500: no"))
    );
    assert_eq!(n_asked(&service), 2);
    // The next fetch is then paused for a while, unless it is forced.
    assert!(balance(Refresh::IfExpired).is_stale);
    assert_eq!(n_asked(&service), 2);
    assert!(balance(Refresh::Now).is_stale);
    assert_eq!(n_asked(&service), 3);
    // A key that may no longer read the account has only its own limit.
    answers.lock().expect("no panic")[1] = refusal(403);
    let of_key = balance(Refresh::Now);
    assert_eq!((of_key.balance_usd.as_deref(), of_key.is_stale), (Some("1"), false));
    // Another key starts without a balance.
    *answers.lock().expect("no panic") = [refusal(500), refusal(500)];
    let other = format!("{KEY}2");
    let settings = service.settings(json!({}), &[("OPENROUTER_API_KEY", &other)]);
    assert!(block_on(store.balance(&settings, Refresh::IfExpired)).is_err());
}
