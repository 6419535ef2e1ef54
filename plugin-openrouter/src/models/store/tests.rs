use std::sync::atomic::{AtomicU64, AtomicUsize};

use plugin_api::ErrorKind;
use serde_json::{Value, json};

use super::*;
use crate::kit::{Folder, Service, block_on, rows, usd};

/// An entry with only the fields that the tests need.
fn entry(id: &str, prompt: &str, completion: &str) -> Value {
    json!({"id": id, "canonical_slug": id, "name": id, "context_length": 1000,
        "pricing": {"prompt": prompt, "completion": completion}})
}

fn catalogue(entries: &[Value]) -> Catalogue {
    let body = json!({"data": entries}).to_string();
    let page = page_from(body.as_bytes()).expect("a list");
    Catalogue::new("https://models.example", page.models, Duration::ZERO)
}

fn ids(catalogue: &Catalogue) -> Vec<&str> {
    catalogue.models().iter().map(|model| model.id.as_str()).collect()
}

/// A service that answers the first `n_good` requests with the models `a/1`, `a/2` and so on, and refuses the rest.
fn counting(n_good: usize) -> Service {
    let count = AtomicUsize::new(0);
    Service::start(move |_| {
        let n = count.fetch_add(1, Ordering::Relaxed) + 1;
        let body = json!({"data": [entry(&format!("a/{n}"), "1", "1")]});
        (if n <= n_good { 200 } else { 503 }, String::new(), body.to_string())
    })
}

/// What a new process gets: each store stands for one.
fn fetched(settings: &Settings) -> Result<String, Error> {
    block_on(Store::default().catalogue(settings)).map(|catalogue| ids(&catalogue).join(" "))
}

#[test]
fn a_bad_entry_is_skipped() {
    let body = json!({"data": [
        7, null, {}, {"id": 7}, {"id": "a/wrong", "context_length": "long"},
        entry("a/good", "0.1", "0.2"), {"id": "a/bare", "new": {"field": 1}},
    ]});
    let page = page_from(body.to_string().as_bytes()).expect("a list");
    let ids: Vec<&str> = page.models.iter().map(|model| model.id.as_str()).collect();
    assert_eq!((ids, page.n_unreadable), (vec!["a/good", "a/bare"], 5));
    let bare = &page.models[1];
    assert_eq!((bare.prompt_price, bare.request_price), (None, Some(usd("0"))));
}

#[test]
fn an_answer_that_is_not_a_list_is_an_error() {
    for body in ["", "[]", "{}", r#"{"data": 1}"#, "<html>"] {
        let error = page_from(body.as_bytes()).err().expect("no list");
        let message = "expected a model list at `/models`, found something else";
        assert_eq!((error.kind, &*error.message), (ErrorKind::PROTOCOL, message), "{body}");
    }
}

#[test]
fn a_variant_is_found_by_itself_or_by_its_model() {
    let dated = |id: &str, price: &str| {
        let mut entry = entry(id, price, price);
        entry["canonical_slug"] = json!("a/dated-2026-01-01");
        entry
    };
    let catalogue = catalogue(&[
        entry("a/paid", "0.1", "0.1"),
        entry("a/both", "0.2", "0.2"),
        entry("a/both:free", "0", "0"),
        dated("a/dated", "0.3"),
        dated("a/dated:free", "0"),
    ]);
    let price = |id| catalogue.find(id).map(|model| model.prompt_price.expect("a price"));
    let table = "
        a/both:free | 0
        a/both:nitro | 0.2
        a/paid:free | 0.1
        a/paid:batch:online | 0.1
        a/dated-2026-01-01 | 0.3
        a/dated-2026-01-01:floor | 0.3
        a/paid@preset/x | 0.1
        a/both:free@preset/x | 0
    ";
    for [id, expected] in rows(table) {
        assert_eq!(price(id), Some(usd(expected)), "{id}");
    }
    for unknown in ["a/none", "a/none:free", "", ":", "@preset/x", "a/none@preset/x"] {
        assert_eq!(price(unknown), None, "{unknown}");
    }
}

#[test]
fn the_highest_price_includes_overrides_for_long_prompts() {
    let with = |overrides: Value| {
        let mut entry = entry("a/long", "0.000001", "0.00001");
        entry["pricing"]["overrides"] = overrides;
        catalogue(&[entry])
    };
    let long = with(json!([
        {"min_prompt_tokens": 200_000, "prompt": "0.000002", "completion": "0.000005"},
        {"utc_start": 100, "utc_end": 400, "completion": "0.00003"},
    ]));
    let prices = |tokens| long.models()[0].greatest_prices(tokens);
    assert_eq!(prices(200_000), Some((usd("0.000001"), usd("0.00003"))));
    assert_eq!(prices(200_001), Some((usd("0.000002"), usd("0.00003"))));
    for odd in [
        with(json!([{"prompt": "-1"}])),
        catalogue(&[entry("openrouter/auto", "-1", "-1")]),
    ] {
        assert_eq!(odd.models()[0].greatest_prices(1), None);
    }
}

#[test]
fn the_time_to_live_comes_from_the_option_then_the_variable() {
    let wrong = Some("expected a whole number of milliseconds, found something else; using 9");
    let rows = [
        (Some(5), Some("7"), 5, None),
        (Some(5), Some("soon"), 5, None),
        (Some(0), None, 0, None),
        (None, Some(" 7 "), 7, None),
        (None, Some(""), 9, None),
        (None, None, 9, None),
        (None, Some("sk-or-v1-mistake"), 9, wrong),
        (None, Some("-1"), 9, wrong),
        (None, Some("1.5"), 9, wrong),
    ];
    for (option, variable, expected_ms, problem) in rows {
        let (time, found) = ttl(option, variable, 9);
        let found = (time.as_millis(), found.as_deref());
        assert_eq!(found, (expected_ms, problem), "{variable:?}");
    }
}

#[test]
fn the_list_is_fetched_once_and_again_when_it_expires() {
    let service = counting(2);
    let store = Store::default();
    let asked = |caches: Value| {
        let settings = service.settings(json!({"caches": caches}), &[]);
        let catalogue = block_on(store.catalogue(&settings)).expect("a catalogue");
        ids(&catalogue).join(" ")
    };
    assert_eq!([(); 3].map(|()| asked(json!({}))), ["a/1"; 3]);
    assert_eq!(asked(json!({"modelsMs": 0})), "a/2");
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn many_callers_at_once_cause_one_request() {
    use Refresh::{IfExpired, Now};
    for (refresh, n_good) in [(IfExpired, 1), (IfExpired, 0), (Now, 1), (Now, 0)] {
        let service = counting(n_good);
        // Even if nothing is cached.
        let settings = service.settings(json!({"caches": {"modelsMs": 0}}), &[]);
        let store = Arc::new(Store::default());
        block_on(async {
            let ask = |_| {
                let (store, settings) = (Arc::clone(&store), Arc::clone(&settings));
                tokio::spawn(async move { store.listed(&settings, refresh).await.is_ok() })
            };
            for asker in (0..50).map(ask).collect::<Vec<_>>() {
                assert_eq!(asker.await.expect("no panic"), n_good == 1);
            }
        });
        assert_eq!(service.requests().len(), 1, "{refresh:?} {n_good}");
    }
}

#[test]
fn an_expired_list_is_used_if_the_service_fails() {
    let service = counting(1);
    let settings = service.settings(json!({"caches": {"modelsMs": 0}}), &[]);
    let store = Store::default();
    // After the first failure there is a pause before the next request.
    for n_requests in [1, 2, 2] {
        let catalogue = block_on(store.catalogue(&settings)).expect("a catalogue");
        assert_eq!((ids(&catalogue), service.requests().len()), (vec!["a/1"], n_requests));
    }
}

#[test]
fn without_a_list_every_call_asks_again() {
    let service = Service::start(|_| (401, String::new(), String::new()));
    let settings = service.settings(json!({}), &[]);
    let store = Store::default();
    for n_requests in [1, 2] {
        let error = block_on(store.catalogue(&settings)).expect_err("no catalogue");
        assert_eq!((error.kind, service.requests().len()), (ErrorKind::AUTH, n_requests));
    }
}

#[test]
fn every_page_of_the_list_is_fetched() {
    let service = Service::start(|path| {
        let (id, next) = match path {
            "/api/v1/models" => ("a/1", json!("/api/v1/models?offset=1")),
            "/api/v1/models?offset=1" => ("a/2", json!("models?offset=2")),
            _ => ("a/3", json!(null)),
        };
        let body = json!({"data": [entry(id, "1", "1")], "total_count": 3, "links": {"next": next}});
        (200, String::new(), body.to_string())
    });
    assert_eq!(fetched(&service.settings(json!({}), &[])), Ok("a/1 a/2 a/3".to_owned()));
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn an_endless_list_is_cut() {
    for (is_circle, n_requests) in [(true, 2), (false, MAX_PAGES)] {
        let count = AtomicU64::new(0);
        let service = Service::start(move |_| {
            let page = count.fetch_add(u64::from(!is_circle), Ordering::Relaxed);
            let body = json!({"data": [], "links": {"next": format!("/api/v1/models?offset={page}")}});
            (200, String::new(), body.to_string())
        });
        assert_eq!(fetched(&service.settings(json!({}), &[])), Ok(String::new()));
        assert_eq!(service.requests().len(), n_requests);
    }
}

#[test]
fn the_next_page_is_not_fetched_from_another_origin() {
    let elsewhere = Service::saying(&json!({"data": []}));
    let next = format!("{}/models?offset=1", elsewhere.base_url);
    let service = Service::saying(&json!({"data": [], "links": {"next": next}}));
    let error = fetched(&service.settings(json!({}), &[])).expect_err("another origin");
    assert_eq!((error.kind, elsewhere.requests().len()), (ErrorKind::PROTOCOL, 0));
}

#[test]
fn a_forced_refresh_returns_a_new_list_or_the_old_one_with_the_reason() {
    let service = counting(2);
    let settings = service.settings(json!({}), &[]);
    let store = Store::default();
    let asked = |refresh| {
        let listed = block_on(store.listed(&settings, refresh)).expect("a catalogue");
        let status = listed.problem.and_then(|problem| problem.details.status);
        (ids(&listed.catalogue).join(" "), status, service.requests().len())
    };
    assert_eq!(asked(Refresh::Now), ("a/1".to_owned(), None, 1));
    assert_eq!(asked(Refresh::IfExpired), ("a/1".to_owned(), None, 1));
    assert_eq!(asked(Refresh::Now), ("a/2".to_owned(), None, 2));
    assert_eq!(asked(Refresh::Now), ("a/2".to_owned(), Some(503), 3));
    assert_eq!(asked(Refresh::InBackground), ("a/2".to_owned(), Some(503), 4));
    // It has not expired, so it is used without a problem.
    assert_eq!(asked(Refresh::IfExpired), ("a/2".to_owned(), None, 4));
}

#[test]
fn the_cached_list_is_for_its_own_service_and_costs_no_request() {
    let service = counting(1);
    let settings = service.settings(json!({"caches": {"modelsMs": 0}}), &[]);
    let store = Store::default();
    assert!(store.known(&settings).is_none());
    block_on(store.catalogue(&settings)).expect("a catalogue");
    assert_eq!(ids(&store.known(&settings).expect("it is there")), ["a/1"]);
    assert_eq!(service.requests().len(), 1);
    let other = Service::saying(&json!({"data": [entry("a/other", "1", "1")]})).settings(json!({}), &[]);
    assert!(store.known(&other).is_none());
    let catalogue = block_on(store.catalogue(&other)).expect("a catalogue");
    assert_eq!(ids(&catalogue), ["a/other"]);
}

#[test]
fn a_new_process_reads_the_cached_file() {
    let service = counting(1);
    let folder = Folder::new();
    let settings = service.settings(json!({"caches": {"folder": folder.path}}), &[]);
    // A forced refresh asks the service, and falls back to the file if that fails.
    for (refresh, status, n_requests) in [
        (Refresh::IfExpired, None, 1),
        (Refresh::IfExpired, None, 1),
        (Refresh::Now, Some(503), 2),
    ] {
        let listed = block_on(Store::default().listed(&settings, refresh)).expect("a catalogue");
        let found = listed.problem.and_then(|problem| problem.details.status);
        assert_eq!((ids(&listed.catalogue), found), (vec!["a/1"], status), "{refresh:?}");
        assert_eq!(service.requests().len(), n_requests, "{refresh:?}");
    }
}

#[test]
fn a_newer_file_of_another_process_replaces_an_expired_list() {
    let service = counting(1);
    let folder = Folder::new();
    let settings = service.settings(json!({"caches": {"folder": folder.path}}), &[]);
    let store = Store::default();
    let models = page_from(br#"{"data":[{"id":"a/old"}]}"#).expect("a list").models;
    let old = Catalogue::new(&settings.service.base_url, models, Duration::from_secs(7200));
    store.latest.store(Some(Arc::new(old)));
    block_on(Store::default().catalogue(&settings)).expect("a catalogue");
    let catalogue = block_on(store.catalogue(&settings)).expect("a catalogue");
    assert_eq!((ids(&catalogue), service.requests().len()), (vec!["a/1"], 1));
}

#[test]
fn a_cache_time_of_zero_neither_reads_nor_writes_the_file() {
    let service = counting(2);
    let folder = Folder::new();
    let asked = |models_ms: u64| {
        let caches = json!({"folder": folder.path, "modelsMs": models_ms});
        let found = fetched(&service.settings(json!({"caches": caches}), &[]));
        (found.map_err(|error| error.details.status), folder.path.exists())
    };
    assert_eq!(asked(0), (Ok("a/1".to_owned()), false));
    assert_eq!(asked(9_000_000), (Ok("a/2".to_owned()), true));
    assert_eq!(asked(0), (Err(Some(503)), true));
    assert_eq!(asked(9_000_000), (Ok("a/2".to_owned()), true));
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn a_damaged_file_is_ignored() {
    let service = counting(2);
    let folder = Folder::new();
    let settings = service.settings(json!({"caches": {"folder": folder.path}}), &[]);
    assert_eq!(fetched(&settings), Ok("a/1".to_owned()));
    let file = std::fs::read_dir(&folder.path).expect("it is there").next();
    let path = file.expect("a file").expect("it is readable").path();
    std::fs::write(path, "{").expect("it is writable");
    assert_eq!(fetched(&settings), Ok("a/2".to_owned()));
    assert_eq!(fetched(&settings), Ok("a/2".to_owned()));
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn an_unusable_folder_does_not_prevent_the_fetch() {
    let settings = counting(1).settings(json!({"caches": {"folder": "relative"}}), &[]);
    assert_eq!(fetched(&settings), Ok("a/1".to_owned()));
}
