//! The model list: cached for a while, refreshed, and limited by a variable.

use plugin_api::{ModelList, ModelsRequest, Plugin};
use serde_json::json;
use tests::faultd::{Faultd, Script};
use tests::{LIMIT, Service, block_on, service};

use crate::bench::{chat, entry, get, good, once, plugin, plugin_at, plugin_of, requests_to};

fn kept() -> ModelsRequest {
    ModelsRequest::default()
}

fn forced() -> ModelsRequest {
    ModelsRequest { force: true, ..kept() }
}

fn list(plugin: &Plugin, request: ModelsRequest) -> ModelList {
    block_on(plugin.models(request)).expect("a list")
}

fn ids(list: &ModelList) -> Vec<&str> {
    list.models.iter().map(|model| model.id.as_str()).collect()
}

/// A service that lists these models.
fn listing(ids: &[&str]) -> Service {
    let service = service();
    service.models(ids.iter().map(|id| entry(id)).collect());
    service
}

#[test]
fn the_variable_that_limits_the_list_limits_no_call() {
    let service = listing(&["a/one", "a/two", "b/one"]);
    let plugin = plugin_at(&service.base_url(), &[("OPENROUTER_MODELS", "a/*")], json!({}));
    assert_eq!(ids(&list(&plugin, kept())), ["a/one", "a/two"]);
    let answer = good(&plugin, chat("b/one"));
    assert!(answer.notices.is_empty(), "{:?}", answer.notices);
}

#[test]
fn the_list_is_cached_until_it_is_forced() {
    let service = listing(&["a/one"]);
    let n_requests = || requests_to(&service, "/models").len();
    let cached = plugin(&service, json!({}));
    assert_eq!(ids(&list(&cached, kept())), ["a/one"]);
    service.models(vec![entry("a/one"), entry("a/two")]);
    assert_eq!((ids(&list(&cached, kept())), n_requests()), (vec!["a/one"], 1));
    assert_eq!(ids(&list(&cached, forced())), ["a/one", "a/two"]);
    assert_eq!((ids(&list(&cached, kept())), n_requests()), (vec!["a/one", "a/two"], 2));
    for _ in 0..2 {
        good(&cached, get("/models"));
    }
    assert_eq!(n_requests(), 4, "in the service's own form it is fetched each time");

    let uncached = plugin_at(&service.base_url(), &[("OPENROUTER_CACHE_TTL_MODELS", "0")], json!({}));
    for _ in 0..2 {
        list(&uncached, kept());
    }
    assert_eq!(n_requests(), 6);
}

#[test]
fn an_old_list_with_its_age_is_better_than_none() {
    let service = Faultd::playing([
        Script::reply(200, &[], &json!({"data": [entry("a/one")]})),
        Script::reply(400, &[], &json!({"error": {"code": 400, "message": "no list today"}})),
    ]);
    let plugin = plugin_of(&service, once());
    let fresh = list(&plugin, kept());
    let stale = list(&plugin, forced());
    assert_eq!(
        (ids(&stale), fresh.is_stale, stale.is_stale),
        (vec!["a/one"], false, true)
    );
    assert!(stale.age_ms >= fresh.age_ms);
    assert_eq!(
        stale.problem.as_deref(),
        Some("the service answered 400: no list today")
    );
}

#[test]
fn list_and_credit_are_refreshed_only_if_the_variable_says_so() {
    let (busy, quiet) = (listing(&["a/one"]), listing(&["a/one"]));
    let of = |service: &Service, value: &str| {
        let variables = [("OPENROUTER_BACKGROUND_REFRESH", value)];
        plugin_at(&service.base_url(), &variables, json!({}))
    };
    let plugins = [of(&quiet, "false"), of(&busy, "1000")];
    plugins.iter().for_each(|plugin| drop(list(plugin, kept())));
    // The list, then a round of list, key and credit. By then the quiet plugin has had as long as the busy one.
    busy.wait_for_requests(4, LIMIT).expect("a round");
    for (path, at_least) in [("/models", 2), ("/key", 1), ("/credits", 1)] {
        assert!(requests_to(&busy, path).len() >= at_least, "{path}");
    }
    assert_eq!(quiet.requests().len(), 1);
}
