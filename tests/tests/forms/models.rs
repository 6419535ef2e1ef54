//! The list of models: all of its pages, word for word, kept for a while and asked for by one for all.

use std::sync::Arc;

use plugin_api::{ModelList, ModelsRequest, Plugin, Verbatim, loader};
use sandbox::Sandbox;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tests::canary::CANARY;
use tests::faultd::{Faultd, Script};
use tests::{
    LIMIT, PluginFolder, Service, block_on, openrouter_config, openrouter_plugin, recorder, service, service_from,
};

use crate::bench::{direct, once, plugin, plugin_at, plugin_of, requests_to};

const KEPT: ModelsRequest = ModelsRequest {
    force: false,
    raw: false,
};
const FORCED: ModelsRequest = ModelsRequest {
    force: true,
    raw: false,
};
const RAW: ModelsRequest = ModelsRequest {
    force: false,
    raw: true,
};

fn list(plugin: &Plugin, request: ModelsRequest) -> ModelList {
    block_on(plugin.models(request)).expect("a list")
}

fn ids(list: &ModelList) -> Vec<&str> {
    list.models.iter().map(|model| model.id.as_str()).collect()
}

/// A service that lists these.
fn listing(entries: &[Value]) -> Service {
    let service = service();
    service.models(entries.to_vec());
    service
}

fn entry(id: &str) -> Value {
    crate::bench::entry(id, id)
}

fn five() -> Vec<Value> {
    ["a/one", "a/two", "b/one", "b/two", "c/one"].map(entry).into()
}

/// The entries of the service's list, as it writes them.
fn written(service: &Sandbox) -> Vec<String> {
    #[derive(serde::Deserialize)]
    struct Page {
        data: Vec<Box<RawValue>>,
    }
    let page = direct(service, &plugin_api::HttpRequest::new("GET", "/models?limit=1000"));
    let page: Page = serde_json::from_slice(&page.body).expect("a list");
    page.data.iter().map(|entry| entry.get().to_owned()).collect()
}

#[test]
fn all_pages_are_read_and_every_entry_is_the_services_own() {
    let paged = service_from(Sandbox::builder().key(CANARY).page_size(5));
    let list = list(&plugin(&paged, json!({})), RAW);
    let entries: Vec<&str> = list
        .models
        .iter()
        .filter_map(|model| model.raw.as_ref().map(Verbatim::get))
        .collect();
    assert_eq!(entries, written(&service()));
    assert_eq!(requests_to(&paged, "/models").len(), entries.len().div_ceil(5));
    assert!(!list.is_stale && list.problem.is_none());
}

#[test]
fn entries_that_are_written_oddly_are_kept_as_they_are() {
    let odd =
        r#"{ "id":"a/odd" ,"x":1.0,"big":123456789012345678901234567890,"t":"\u00e9\/", "pricing":{"prompt":"1e-6"}}"#;
    let body = format!("{{\"data\":[ {odd} ,7,{{\"no\":\"id\"}}]}}");
    let length = body.len().to_string();
    let mut reply = tests::faultd::head(
        200,
        &[("content-type", "application/json"), ("content-length", &length)],
    );
    reply.extend_from_slice(body.as_bytes());
    let service = Faultd::playing([Script::new().send(reply)]);
    let list = list(&plugin_of(&service, json!({})), RAW);
    assert_eq!(list.models.len(), 1, "an entry that cannot be read costs itself only");
    assert_eq!(list.models[0].raw.as_ref().map(Verbatim::get), Some(odd));
}

#[test]
fn the_services_own_entries_come_where_they_are_wanted_only() {
    let service = listing(&five());
    let list = list(&plugin(&service, json!({})), KEPT);
    assert!(list.models.iter().all(|model| model.raw.is_none()));
    assert_eq!(ids(&list), ["a/one", "a/two", "b/one", "b/two", "c/one"]);
}

#[test]
fn a_variable_restricts_the_list() {
    for (names, expected) in [
        ("b/two, a/one", &["a/one", "b/two"][..]),
        ("a/*", &["a/one", "a/two"]),
        ("A/ONE", &["a/one"]),
        ("c/one:nitro", &["c/one"]),
        ("none/such", &[]),
        (" , ", &["a/one", "a/two", "b/one", "b/two", "c/one"]),
    ] {
        let service = listing(&five());
        let plugin = plugin_at(&service.base_url(), &[("OPENROUTER_MODELS", names)], json!({}));
        assert_eq!(ids(&list(&plugin, KEPT)), expected, "{names:?}");
    }
}

#[test]
fn a_variable_that_restricts_the_list_restricts_no_call() {
    let service = listing(&five());
    let plugin = plugin_at(&service.base_url(), &[("OPENROUTER_MODELS", "a/*")], json!({}));
    list(&plugin, KEPT);
    let answer = crate::bench::good(&plugin, crate::bench::chat("b/one"));
    assert!(answer.notices.is_empty(), "{:?}", answer.notices);
}

#[test]
fn a_list_is_kept_until_it_is_forced() {
    let service = listing(&five()[..1]);
    let plugin = plugin(&service, json!({}));
    assert_eq!(ids(&list(&plugin, KEPT)), ["a/one"]);
    service.models(five());
    assert_eq!(ids(&list(&plugin, KEPT)), ["a/one"]);
    assert_eq!(requests_to(&service, "/models").len(), 1);
    assert_eq!(list(&plugin, FORCED).models.len(), 5);
    assert_eq!(list(&plugin, KEPT).models.len(), 5);
    assert_eq!(requests_to(&service, "/models").len(), 2);
}

#[test]
fn a_variable_says_how_long_a_list_is_kept() {
    let service = listing(&five());
    let plugin = plugin_at(&service.base_url(), &[("OPENROUTER_CACHE_TTL_MODELS", "0")], json!({}));
    list(&plugin, KEPT);
    list(&plugin, KEPT);
    assert_eq!(requests_to(&service, "/models").len(), 2);
}

#[test]
fn a_time_that_is_no_number_is_warned_of_and_the_usual_one_holds() {
    let service = listing(&five());
    let services = recorder().shared();
    // A plugin's log goes to the first host that it meets in a process, so this one gets a file of its own.
    let folder = PluginFolder::new();
    let module = loader::load(&folder.copy(&openrouter_plugin())).expect("it fits");
    let mut config = openrouter_config(&service, json!({}));
    let variable = "OPENROUTER_CACHE_TTL_MODELS";
    config.environment.insert(variable.to_owned(), "an hour".to_owned());
    let plugin = module.create(Arc::clone(&services) as _, &config).expect("it starts");
    list(&plugin, KEPT);
    list(&plugin, KEPT);
    assert_eq!(requests_to(&service, "/models").len(), 1);
    block_on(plugin.shutdown(LIMIT)).expect("it ends");
    let records = services.records();
    let warned: Vec<&str> = records
        .iter()
        .filter(|record| record.fields_json.contains(variable))
        .map(|record| record.message.as_str())
        .collect();
    assert_eq!(
        warned,
        ["expected a whole number of milliseconds, found something else; 3600000 is used"]
    );
}

#[test]
fn fifty_who_ask_at_once_cost_one_request() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    let n_models = list_for_all(&plugin, KEPT);
    assert!(n_models.iter().all(|n| *n == n_models[0] && *n > 10));
    assert_eq!(requests_to(&service, "/models").len(), 1);
}

#[test]
fn fifty_who_want_a_new_list_at_once_share_it() {
    let service = service();
    let plugin = plugin(&service, json!({}));
    list(&plugin, KEPT);
    list_for_all(&plugin, FORCED);
    // Whoever asks while an answer is on its way may want one that is newer than that.
    let n_requests = requests_to(&service, "/models").len();
    assert!((2..25).contains(&n_requests), "{n_requests}");
}

/// Asks fifty times at once; says how many models each got.
fn list_for_all(plugin: &Plugin, request: ModelsRequest) -> Vec<usize> {
    block_on(async {
        let calls: Vec<_> = (0..50)
            .map(|_| {
                let plugin = plugin.clone();
                tokio::spawn(async move { plugin.models(request).await.expect("a list").models.len() })
            })
            .collect();
        let mut found = Vec::new();
        for call in calls {
            found.push(call.await.expect("no panic"));
        }
        found
    })
}

/// A service that lists one model, and fails from the second time on.
fn failing_later() -> Faultd {
    Faultd::answering(|request| match request.number {
        0 => Script::reply(200, &[], &json!({"data": [entry("a/one")]})),
        _ => Script::reply(400, &[], &json!({"error": {"code": 400, "message": "no list today"}})),
    })
}

#[test]
fn an_old_list_is_given_with_its_age_where_there_is_no_new_one() {
    let service = failing_later();
    let plugin = plugin_of(&service, once());
    let fresh = list(&plugin, KEPT);
    assert!(!fresh.is_stale);
    let stale = list(&plugin, FORCED);
    assert_eq!(ids(&stale), ["a/one"]);
    assert!(stale.is_stale);
    assert!(stale.age_ms >= fresh.age_ms);
    assert_eq!(
        stale.problem.as_deref(),
        Some("the service answered 400: no list today")
    );
}

#[test]
fn without_any_list_the_services_error_is_told() {
    let service = Faultd::playing([Script::reply(
        400,
        &[],
        &json!({"error": {"code": 400, "message": "no list"}}),
    )]);
    let error = block_on(plugin_of(&service, once()).models(KEPT)).expect_err("there is none");
    assert_eq!(error.message, "the service answered 400: no list");
}

#[test]
fn a_model_is_told_with_what_it_can_and_what_it_costs() {
    let mut able = entry("a/able");
    able["name"] = json!("Able");
    able["description"] = json!("It can.");
    able["created"] = json!(1_700_000_000);
    able["top_provider"]["max_completion_tokens"] = json!(500);
    able["expiration_date"] = json!("2027-01-01");
    able["architecture"]["input_modalities"] = json!(["text", "image", "audio", "file"]);
    able["architecture"]["output_modalities"] = json!(["text", "image"]);
    able["supported_parameters"] = json!(["tools", "reasoning", "response_format", "structured_outputs"]);
    let mut gift = entry("a/able:free");
    gift["pricing"] = json!({"prompt": "0", "completion": "0", "request": "0"});
    let service = listing(&[able, gift, entry("a/plain")]);
    let list = list(&plugin(&service, json!({})), KEPT);
    let [able, gift, plain] = list.models.as_slice() else {
        panic!("three models")
    };
    assert_eq!(
        able.abilities,
        ["vision", "audio", "files", "tools", "reasoning", "json", "images"]
    );
    assert_eq!(gift.abilities, ["free"]);
    assert_eq!(plain.abilities, [] as [&str; 0]);
    assert_eq!(
        (
            able.prompt_usd_per_million.as_deref(),
            able.completion_usd_per_million.as_deref()
        ),
        (Some("1"), Some("2"))
    );
    assert_eq!(
        (able.context_length, able.max_completion_tokens),
        (Some(1000), Some(500))
    );
    assert_eq!(
        (able.name.as_str(), able.description.as_deref()),
        ("Able", Some("It can."))
    );
    assert_eq!(
        (able.created_s, able.expiration_date.as_deref()),
        (Some(1_700_000_000), Some("2027-01-01"))
    );
    assert_eq!(able.supported_parameters.len(), 4);
}

#[test]
fn free_models_are_known_by_their_price() {
    let list = list(&plugin(&service(), json!({})), KEPT);
    let free: Vec<&str> = list
        .models
        .iter()
        .filter(|model| model.abilities.iter().any(|ability| ability == "free"))
        .map(|model| model.id.as_str())
        .collect();
    assert!(free.contains(&"meta-llama/llama-3.3-70b-instruct:free"), "{free:?}");
    assert!(!free.contains(&"openrouter/auto"), "{free:?}");
}

#[test]
fn a_list_is_asked_for_again_in_the_background_where_a_variable_says_so() {
    let service = listing(&five());
    let variables = [("OPENROUTER_BACKGROUND_REFRESH", "1000")];
    let plugin = plugin_at(&service.base_url(), &variables, json!({}));
    list(&plugin, KEPT);
    // The list, then one more of it with the credit.
    service.wait_for_requests(4, LIMIT).expect("the second round");
    assert!(requests_to(&service, "/models").len() >= 2);
    let key_and_credits = requests_to(&service, "/key")
        .len()
        .min(requests_to(&service, "/credits").len());
    assert!(key_and_credits >= 1);
}

#[test]
fn nothing_is_asked_for_in_the_background_unless_a_variable_says_so() {
    let (busy, quiet) = (listing(&five()), listing(&five()));
    let of = |service: &Service, value: &str| {
        let variables = [("OPENROUTER_BACKGROUND_REFRESH", value)];
        plugin_at(&service.base_url(), &variables, json!({}))
    };
    let plugins = [of(&quiet, "false"), of(&busy, "1000")];
    plugins.iter().for_each(|plugin| drop(list(plugin, KEPT)));
    // The busy one asks a second time after a second; by then the quiet one had as long.
    busy.wait_for_requests(4, LIMIT).expect("the second round");
    assert_eq!(quiet.requests().len(), 1);
}

#[test]
fn a_list_in_the_services_own_form_is_asked_for_each_time() {
    let service = listing(&five());
    let plugin = plugin(&service, json!({}));
    for _ in 0..2 {
        crate::bench::good(&plugin, plugin_api::HttpRequest::new("GET", "/models"));
    }
    assert_eq!(requests_to(&service, "/models").len(), 2);
}

#[test]
fn a_list_of_another_service_is_not_taken_for_this_ones() {
    let (one, other) = (listing(&five()[..1]), listing(&five()[1..3]));
    let plugin = plugin(&one, json!({}));
    assert_eq!(ids(&list(&plugin, KEPT)), ["a/one"]);
    block_on(plugin.configure(&openrouter_config(&other, json!({})))).expect("the options are right");
    assert_eq!(ids(&list(&plugin, KEPT)), ["a/two", "b/one"]);
}
