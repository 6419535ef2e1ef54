use std::sync::atomic::AtomicUsize;

use plugin_api::{ErrorKind, Verbatim};
use serde_json::{Value, json};

use super::*;
use crate::kit::{Folder, Service, block_on};
use crate::values::usd::Usd;

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

fn usd(text: &str) -> Usd {
    Usd::parse(text).expect("an amount")
}

#[test]
fn every_field_of_an_entry_is_parsed() {
    // Source: the example of `Model` in OpenRouter's API description.
    let entry = json!({
        "architecture": {"input_modalities": ["text"], "instruct_type": "chatml", "modality": "text->text",
            "output_modalities": ["text"], "tokenizer": "GPT"},
        "canonical_slug": "openai/gpt-4-0314", "context_length": 8192, "created": 1_692_901_234,
        "default_parameters": null, "description": "GPT-4", "expiration_date": "2027-06-01", "id": "openai/gpt-4",
        "links": {"details": "/api/v1/models/openai/gpt-4/endpoints"}, "name": "GPT-4", "per_request_limits": null,
        "pricing": {"completion": "0.00006", "image": "0", "prompt": "0.00003", "request": "0.01"},
        "supported_parameters": ["temperature", "max_tokens"], "supported_voices": null,
        "top_provider": {"context_length": 8192, "is_moderated": true, "max_completion_tokens": 4096},
    });
    let expected = Model {
        id: "openai/gpt-4".to_owned(),
        canonical_slug: "openai/gpt-4-0314".to_owned(),
        name: "GPT-4".to_owned(),
        description: Some("GPT-4".to_owned()),
        created_s: Some(1_692_901_234),
        context_length: Some(8192),
        max_completion_tokens: Some(4096),
        prompt_price: Some(usd("0.00003")),
        completion_price: Some(usd("0.00006")),
        request_price: Some(usd("0.01")),
        supported_parameters: vec!["temperature".to_owned(), "max_tokens".to_owned()],
        input_modalities: vec!["text".to_owned()],
        output_modalities: vec!["text".to_owned()],
        expiration_date: Some("2027-06-01".to_owned()),
        raw: Verbatim::parse(entry.to_string()).expect("JSON"),
        overrides: Vec::new(),
    };
    assert_eq!(catalogue(&[entry]).models(), [expected]);
}

#[test]
fn a_router_has_no_price() {
    let catalogue = catalogue(&[entry("openrouter/auto", "-1", "-1")]);
    let model = catalogue.find("openrouter/auto").expect("it is listed");
    assert_eq!((model.prompt_price, model.completion_price), (None, None));
    assert_eq!(model.greatest_prices(1), None);
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
    assert_eq!((bare.prompt_price, bare.request_price), (None, Some(Usd::ZERO)));
}

#[test]
fn an_answer_that_is_not_a_list_is_an_error() {
    for body in ["", "[]", "{}", r#"{"data": 1}"#, "<html>"] {
        let error = page_from(body.as_bytes()).err().expect("no list");
        assert_eq!(
            (error.kind, error.message.as_str()),
            (
                ErrorKind::PROTOCOL,
                "expected a model list at `/models`, found something else"
            )
        );
    }
}

#[test]
fn a_variant_is_found_by_itself_or_by_its_model() {
    let mut dated = entry("a/dated", "0.3", "0.3");
    dated["canonical_slug"] = json!("a/dated-2026-01-01");
    let mut dated_free = entry("a/dated:free", "0", "0");
    dated_free["canonical_slug"] = json!("a/dated-2026-01-01");
    let catalogue = catalogue(&[
        entry("a/paid", "0.1", "0.1"),
        entry("a/both", "0.2", "0.2"),
        entry("a/both:free", "0", "0"),
        dated,
        dated_free,
    ]);
    let price = |id| {
        catalogue
            .find(id)
            .map(|model| model.prompt_price.expect("a price").to_string())
    };
    assert_eq!(price("a/both:free").as_deref(), Some("0"));
    assert_eq!(price("a/both:nitro").as_deref(), Some("0.2"));
    assert_eq!(price("a/paid:free").as_deref(), Some("0.1"));
    assert_eq!(price("a/paid:batch:online").as_deref(), Some("0.1"));
    assert_eq!(price("a/dated-2026-01-01").as_deref(), Some("0.3"));
    assert_eq!(price("a/dated-2026-01-01:floor").as_deref(), Some("0.3"));
    for unknown in ["a/none", "a/none:free", "", ":", "a/paid@preset/x"] {
        assert_eq!(price(unknown), None, "{unknown}");
    }
}

#[test]
fn the_highest_price_includes_overrides_for_long_prompts() {
    let mut entry = entry("a/long", "0.000001", "0.00001");
    entry["pricing"]["overrides"] = json!([
        {"min_prompt_tokens": 200_000, "prompt": "0.000002", "completion": "0.000005"},
        {"utc_start": 100, "utc_end": 400, "completion": "0.00003"},
    ]);
    let mut odd = entry.clone();
    odd["id"] = json!("a/odd");
    odd["pricing"]["overrides"] = json!([{"prompt": "-1"}]);
    let catalogue = catalogue(&[entry, odd]);
    let prices = |id, tokens| catalogue.find(id).expect("it is listed").greatest_prices(tokens);
    assert_eq!(prices("a/long", 200_000), Some((usd("0.000001"), usd("0.00003"))));
    assert_eq!(prices("a/long", 200_001), Some((usd("0.000002"), usd("0.00003"))));
    assert_eq!(prices("a/odd", 1), None);
}

#[test]
fn the_time_to_live_comes_from_the_option_then_the_variable() {
    let rows = [
        (Some(5), Some("7"), 5, false),
        (Some(5), Some("soon"), 5, false),
        (Some(0), None, 0, false),
        (None, Some(" 7 "), 7, false),
        (None, Some(""), 9, false),
        (None, None, 9, false),
        (None, Some("soon"), 9, true),
        (None, Some("-1"), 9, true),
        (None, Some("1.5"), 9, true),
    ];
    for (option, variable, expected_ms, is_wrong) in rows {
        let (time, wrong) = ttl(option, variable, 9);
        assert_eq!(
            (time.as_millis(), wrong.is_some()),
            (expected_ms, is_wrong),
            "{variable:?}"
        );
    }
    assert_eq!(
        ttl(None, Some("sk-or-v1-mistake"), 9).1.as_deref(),
        Some("expected a whole number of milliseconds, found something else; using 9")
    );
}

#[test]
fn the_list_is_fetched_once_and_again_when_it_expires() {
    let service = Service::saying(&json!({"data": [entry("a/b", "0.1", "0.1")]}));
    let settings = service.settings(json!({}), &[]);
    let store = Store::default();
    block_on(async {
        for _ in 0..3 {
            let catalogue = store.catalogue(&settings).await.expect("a catalogue");
            assert!(catalogue.find("a/b").is_some());
        }
        assert_eq!(service.requests().len(), 1);
        let impatient = service.settings(json!({"caches": {"modelsMs": 0}}), &[]);
        store.catalogue(&impatient).await.expect("a catalogue");
    });
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn many_callers_at_once_cause_one_request() {
    for (status, is_well) in [(200, true), (500, false)] {
        let service = Service::start(move |_| {
            (
                status,
                String::new(),
                json!({"data": [entry("a/b", "1", "1")]}).to_string(),
            )
        });
        // Even if nothing is cached.
        let settings = service.settings(json!({"caches": {"modelsMs": 0}}), &[]);
        let store = Arc::new(Store::default());
        block_on(async {
            let askers: Vec<_> = (0..50)
                .map(|_| {
                    let (store, settings) = (Arc::clone(&store), Arc::clone(&settings));
                    tokio::spawn(async move { store.catalogue(&settings).await.is_ok() })
                })
                .collect();
            for asker in askers {
                assert_eq!(asker.await.expect("no panic"), is_well);
            }
        });
        assert_eq!(service.requests().len(), 1, "{status}");
    }
}

#[test]
fn an_expired_list_is_used_if_the_service_fails() {
    let count = Arc::new(AtomicUsize::new(0));
    let service = Service::start(move |_| {
        let status = if count.fetch_add(1, Ordering::Relaxed) == 0 {
            200
        } else {
            503
        };
        (
            status,
            String::new(),
            json!({"data": [entry("a/b", "1", "1")]}).to_string(),
        )
    });
    let settings = service.settings(json!({"caches": {"modelsMs": 0}}), &[]);
    let store = Store::default();
    block_on(async {
        let first = store.catalogue(&settings).await.expect("a catalogue");
        let second = store.catalogue(&settings).await.expect("the old one");
        assert!(Arc::ptr_eq(&first, &second));
        assert!(second.age() > Duration::ZERO);
        // After a failure there is a pause before the next request.
        store.catalogue(&settings).await.expect("the old one");
    });
    assert_eq!(service.requests().len(), 2);
}

#[test]
fn without_a_list_every_call_asks_again() {
    let service = Service::start(|_| (401, String::new(), String::new()));
    let settings = service.settings(json!({}), &[]);
    let store = Store::default();
    block_on(async {
        for _ in 0..2 {
            let error = store.catalogue(&settings).await.expect_err("no catalogue");
            assert_eq!(error.kind, ErrorKind::AUTH);
        }
    });
    assert_eq!(service.requests().len(), 2);
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
    let settings = service.settings(json!({}), &[]);
    let catalogue = block_on(Store::default().catalogue(&settings)).expect("a catalogue");
    let ids: Vec<&str> = catalogue.models().iter().map(|model| model.id.as_str()).collect();
    assert_eq!((ids, service.requests().len()), (vec!["a/1", "a/2", "a/3"], 3));
}

#[test]
fn an_endless_list_is_cut() {
    let in_a_circle = Service::saying(&json!({"data": [], "links": {"next": "/api/v1/models"}}));
    let settings = in_a_circle.settings(json!({}), &[]);
    block_on(Store::default().catalogue(&settings)).expect("a catalogue");
    assert_eq!(in_a_circle.requests().len(), 2);

    let count = AtomicUsize::new(0);
    let for_ever = Service::start(move |_| {
        let next = format!("/api/v1/models?offset={}", count.fetch_add(1, Ordering::Relaxed));
        (
            200,
            String::new(),
            json!({"data": [], "links": {"next": next}}).to_string(),
        )
    });
    let settings = for_ever.settings(json!({}), &[]);
    block_on(Store::default().catalogue(&settings)).expect("a catalogue");
    assert_eq!(for_ever.requests().len(), MAX_PAGES);
}

#[test]
fn the_next_page_is_not_fetched_from_another_origin() {
    let elsewhere = Service::saying(&json!({"data": []}));
    let next = format!("{}/models?offset=1", elsewhere.base_url);
    let service = Service::saying(&json!({"data": [], "links": {"next": next}}));
    let settings = service.settings(json!({}), &[]);
    let error = block_on(Store::default().catalogue(&settings)).expect_err("another origin");
    assert_eq!(error.kind, ErrorKind::PROTOCOL);
    assert!(elsewhere.requests().is_empty());
}

#[test]
fn each_service_has_its_own_catalogue() {
    let first = Service::saying(&json!({"data": [entry("a/first", "1", "1")]}));
    let second = Service::saying(&json!({"data": [entry("a/second", "1", "1")]}));
    let store = Store::default();
    block_on(async {
        let settings = first.settings(json!({}), &[]);
        store.catalogue(&settings).await.expect("a catalogue");
        let settings = second.settings(json!({}), &[]);
        let catalogue = store.catalogue(&settings).await.expect("a catalogue");
        assert!(catalogue.find("a/first").is_none() && catalogue.find("a/second").is_some());
    });
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
fn many_forced_refreshes_at_once_cause_one_request() {
    for n_good in [1, 0] {
        let service = counting(n_good);
        let settings = service.settings(json!({}), &[]);
        let store = Arc::new(Store::default());
        block_on(async {
            let askers: Vec<_> = (0..50)
                .map(|_| {
                    let (store, settings) = (Arc::clone(&store), Arc::clone(&settings));
                    tokio::spawn(async move { store.listed(&settings, Refresh::Now).await.is_ok() })
                })
                .collect();
            for asker in askers {
                assert_eq!(asker.await.expect("no panic"), n_good == 1);
            }
        });
        assert_eq!(service.requests().len(), 1);
    }
}

#[test]
fn the_cached_list_is_for_its_own_service_and_costs_no_request() {
    let service = counting(1);
    let settings = service.settings(json!({"caches": {"modelsMs": 0}}), &[]);
    let store = Store::default();
    assert!(store.known(&settings).is_none());
    block_on(store.catalogue(&settings)).expect("a catalogue");
    assert_eq!(ids(&store.known(&settings).expect("it is there")), ["a/1"]);
    assert!(store.known(&counting(1).settings(json!({}), &[])).is_none());
    assert_eq!(service.requests().len(), 1);
}

#[test]
fn a_new_process_reads_the_cached_file() {
    let service = counting(1);
    let folder = Folder::new();
    let settings = service.settings(json!({"caches": {"folder": folder.path}}), &[]);
    for _ in 0..3 {
        // Each store stands for a process.
        let listed = block_on(Store::default().listed(&settings, Refresh::IfExpired)).expect("a catalogue");
        assert_eq!((ids(&listed.catalogue), listed.problem), (vec!["a/1"], None));
    }
    assert_eq!(service.requests().len(), 1);
    // A forced refresh asks the service, and falls back to the file if that fails.
    let listed = block_on(Store::default().listed(&settings, Refresh::Now)).expect("the old one");
    let status = listed.problem.and_then(|problem| problem.details.status);
    assert_eq!((ids(&listed.catalogue), status), (vec!["a/1"], Some(503)));
    assert_eq!(service.requests().len(), 2);
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
        let settings = service.settings(json!({"caches": caches}), &[]);
        block_on(Store::default().catalogue(&settings)).map(|catalogue| ids(&catalogue).join(" "))
    };
    assert_eq!(asked(0).expect("a catalogue"), "a/1");
    assert!(!folder.path.exists());
    assert_eq!(asked(9_000_000).expect("a catalogue"), "a/2");
    assert!(folder.path.exists());
    assert_eq!(asked(0).expect_err("the service is away").details.status, Some(503));
    assert_eq!(asked(9_000_000).expect("the cached list"), "a/2");
    assert_eq!(service.requests().len(), 3);
}

#[test]
fn a_damaged_file_is_ignored() {
    let service = counting(2);
    let folder = Folder::new();
    let settings = service.settings(json!({"caches": {"folder": folder.path}}), &[]);
    let asked = || {
        let catalogue = block_on(Store::default().catalogue(&settings)).expect("a catalogue");
        (ids(&catalogue).join(" "), service.requests().len())
    };
    assert_eq!(asked(), ("a/1".to_owned(), 1));
    let file = std::fs::read_dir(&folder.path).expect("it is there").next();
    let path = file.expect("a file").expect("it is readable").path();
    std::fs::write(path, "{").expect("it is writable");
    assert_eq!(asked(), ("a/2".to_owned(), 2));
    assert_eq!(asked(), ("a/2".to_owned(), 2));
}

#[test]
fn an_unusable_folder_does_not_prevent_the_fetch() {
    let service = counting(1);
    let settings = service.settings(json!({"caches": {"folder": "relative"}}), &[]);
    let catalogue = block_on(Store::default().catalogue(&settings)).expect("a catalogue");
    assert_eq!(ids(&catalogue), ["a/1"]);
}
