//! The models that the service has, with their prices and abilities.
//!
//! In: the answers of `GET /models`, page by page. Out: a [`Catalogue`], kept by its [`Store`] for a while. It advises: a model
//! that is not in it may still be served, and is only without a known price.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plugin_api::{Error, ErrorKind};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::Mutex;

use crate::fetch;
use crate::settings::Settings;
use crate::spend::money::Usd;

/// How long a catalogue is kept unless somebody says otherwise, in milliseconds.
const DEFAULT_TTL_MS: u64 = 3_600_000;

/// How long the service is left alone after it failed to give a newer catalogue than the one that is there.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// Pages that are read; the service gives all models on one unless asked for less.
const MAX_PAGES: usize = 64;

/// A model as the service lists it. What is unknown is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What requests ask for.
    pub id: String,
    /// The id that never changes.
    pub canonical_slug: String,
    /// The name for people.
    pub name: String,
    /// The most tokens of prompt and answer together.
    pub context_length: Option<u64>,
    /// The most tokens of an answer.
    pub max_completion_tokens: Option<u64>,
    /// The price of one token of the prompt; `None` for routers, whose price is that of the model they choose.
    pub prompt_price: Option<Usd>,
    /// The price of one token of the answer.
    pub completion_price: Option<Usd>,
    /// The price of the request itself.
    pub request_price: Option<Usd>,
    /// The names of the parameters that have an effect.
    pub supported_parameters: Vec<String>,
    /// What it reads, such as `text` and `image`.
    pub input_modalities: Vec<String>,
    /// What it writes.
    pub output_modalities: Vec<String>,
    /// The day after which the model may be gone, as `2026-11-20`.
    pub expiration_date: Option<String>,
    overrides: Vec<PriceOverride>,
}

/// Other prices that hold under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct PriceOverride {
    /// Holds for longer prompts only.
    more_tokens_than: u64,
    /// Where the entry has one: the price, which may be unknown.
    prompt: Option<Option<Usd>>,
    completion: Option<Option<Usd>>,
}

impl Model {
    /// The greatest prices of one token of the prompt and of the answer, for a prompt of so many tokens; `None` if one of
    /// them is unknown. Prices that hold at some times of the day count at all times.
    pub fn greatest_prices(&self, prompt_tokens: u64) -> Option<(Usd, Usd)> {
        let (mut prompt, mut completion) = (self.prompt_price?, self.completion_price?);
        for other in self
            .overrides
            .iter()
            .filter(|other| prompt_tokens > other.more_tokens_than)
        {
            if let Some(price) = other.prompt {
                prompt = prompt.max(price?);
            }
            if let Some(price) = other.completion {
                completion = completion.max(price?);
            }
        }
        Some((prompt, completion))
    }
}

/// Every model that the service listed at one time.
#[derive(Debug)]
pub struct Catalogue {
    models: Vec<Model>,
    /// Places in `models`, by id and by canonical slug.
    places: HashMap<String, usize>,
    fetched: Instant,
}

impl Catalogue {
    fn new(models: Vec<Model>) -> Self {
        let mut places = HashMap::with_capacity(models.len() * 2);
        for (place, model) in models.iter().enumerate() {
            places.entry(model.id.clone()).or_insert(place);
        }
        // Several variants share a slug; the id that equals it, or else the first one, is meant.
        for (place, model) in models.iter().enumerate() {
            places.entry(model.canonical_slug.clone()).or_insert(place);
        }
        Self {
            models,
            places,
            fetched: Instant::now(),
        }
    }

    /// The model of this id. A variant that is not listed, such as `:nitro`, is described by the model without it.
    pub fn find(&self, id: &str) -> Option<&Model> {
        let mut name = id;
        loop {
            if let Some(place) = self.places.get(name) {
                return self.models.get(*place);
            }
            name = &name[..name.rfind(':')?];
        }
    }

    /// Every model, in the service's order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// How long ago the service gave it.
    pub fn age(&self) -> Duration {
        self.fetched.elapsed()
    }
}

/// Keeps the catalogue, and asks for it when it is missing or old.
#[derive(Default)]
pub struct Store {
    /// Is locked while the service is asked, so that all who want the catalogue wait for one answer.
    known: Mutex<Known>,
    has_warned: AtomicBool,
}

#[derive(Default)]
struct Known {
    /// The service that all of this is about.
    base_url: String,
    catalogue: Option<Arc<Catalogue>>,
    failure: Option<Failure>,
}

struct Failure {
    error: Error,
    at: Instant,
}

impl Store {
    /// The catalogue. An old one is given where the service fails to give a newer one; see [`Catalogue::age`].
    ///
    /// - Errors: those of the request, where there is none at all; `protocol` for an answer that is no catalogue.
    pub async fn catalogue(&self, settings: &Settings) -> Result<Arc<Catalogue>, Error> {
        let asked = Instant::now();
        let ttl = self.time_to_live(settings);
        let mut known = self.known.lock().await;
        if known.base_url != settings.service.base_url {
            *known = Known {
                base_url: settings.service.base_url.clone(),
                ..Known::default()
            };
        }
        let old = known.catalogue.clone();
        // What arrived while this one waited its turn is as new as anything it could ask for.
        if let Some(catalogue) = &old
            && (catalogue.age() < ttl || catalogue.fetched >= asked)
        {
            tracing::debug!("models from cache");
            return Ok(Arc::clone(catalogue));
        }
        if let Some(failure) = &known.failure {
            let is_paused = old.is_some() && failure.at.elapsed() < PAUSE_AFTER_FAILURE;
            if is_paused || failure.at >= asked {
                return old.ok_or_else(|| failure.error.clone());
            }
        }
        tracing::info!("fetching models");
        match fetch_all(settings).await {
            Ok(models) => {
                let catalogue = Arc::new(Catalogue::new(models));
                known.catalogue = Some(Arc::clone(&catalogue));
                known.failure = None;
                Ok(catalogue)
            }
            Err(error) => {
                known.failure = Some(Failure {
                    error: error.clone(),
                    at: Instant::now(),
                });
                let Some(catalogue) = old else {
                    return Err(error);
                };
                let age_ms = u64::try_from(catalogue.age().as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(age_ms, "no newer list of models: {error}");
                Ok(catalogue)
            }
        }
    }

    fn time_to_live(&self, settings: &Settings) -> Duration {
        let variable = "OPENROUTER_CACHE_TTL_MODELS";
        let value = settings.environment.get(variable).map(String::as_str);
        let (ttl, wrong) = ttl(settings.options.caches.models_ms, value, DEFAULT_TTL_MS);
        if let Some(wrong) = wrong
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(variable, "{wrong}");
        }
        ttl
    }

    /// A store that has these entries of `GET /models` already.
    #[cfg(test)]
    pub fn with(settings: &Settings, entries: &Value) -> Self {
        let entries = entries.as_array().expect("a list");
        let models = entries.iter().filter_map(|entry| model_from(&entry.to_string()).ok());
        Self {
            known: Mutex::new(Known {
                base_url: settings.service.base_url.clone(),
                catalogue: Some(Arc::new(Catalogue::new(models.collect()))),
                failure: None,
            }),
            has_warned: AtomicBool::new(false),
        }
    }
}

/// How long something is kept: the option's word, else the variable's, else the default.
///
/// - In: milliseconds; a variable that is blank is not set.
/// - Out: the time, and what is wrong with the variable where it cannot be read. Its value is not repeated.
pub fn ttl(option: Option<u64>, variable: Option<&str>, default_ms: u64) -> (Duration, Option<String>) {
    if let Some(option_ms) = option {
        return (Duration::from_millis(option_ms), None);
    }
    let Some(text) = variable.map(str::trim).filter(|text| !text.is_empty()) else {
        return (Duration::from_millis(default_ms), None);
    };
    match text.parse() {
        Ok(variable_ms) => (Duration::from_millis(variable_ms), None),
        Err(_) => (
            Duration::from_millis(default_ms),
            Some(format!(
                "expected a whole number of milliseconds, found something else; {default_ms} is used"
            )),
        ),
    }
}

async fn fetch_all(settings: &Settings) -> Result<Vec<Model>, Error> {
    let mut models = Vec::new();
    let mut links = HashSet::new();
    let mut n_unreadable = 0_usize;
    let mut fetched = fetch::get(settings, "/models").await?;
    loop {
        let page = page_from(&fetched.body)?;
        n_unreadable += page.n_unreadable;
        models.extend(page.models);
        let Some(next) = page.next else { break };
        // A service that leads in a circle would be asked for ever.
        if links.len() + 1 >= MAX_PAGES || !links.insert(next.clone()) {
            tracing::warn!(
                pages = links.len() + 1,
                "the list of models has no end; the rest is left out"
            );
            break;
        }
        fetched = fetch::get_next(settings, &next).await?;
    }
    if n_unreadable > 0 {
        tracing::warn!(
            entries = n_unreadable,
            "some models of the list are unreadable and were left out"
        );
    }
    Ok(models)
}

struct Page {
    models: Vec<Model>,
    n_unreadable: usize,
    next: Option<String>,
}

fn page_from(body: &[u8]) -> Result<Page, Error> {
    #[derive(Deserialize)]
    struct RawPage<'a> {
        #[serde(borrow)]
        data: Vec<&'a RawValue>,
        links: Option<RawLinks>,
    }

    #[derive(Deserialize)]
    struct RawLinks {
        next: Option<String>,
    }

    let raw: RawPage<'_> = serde_json::from_slice(body).map_err(|_| {
        Error::new(
            ErrorKind::PROTOCOL,
            "expected a list of models at `/models`, found something else",
        )
        .with_hint("check the base URL")
    })?;
    let n_entries = raw.data.len();
    let models: Vec<Model> = raw
        .data
        .iter()
        .filter_map(|entry| model_from(entry.get()).ok())
        .collect();
    Ok(Page {
        n_unreadable: n_entries - models.len(),
        models,
        next: raw.links.and_then(|links| links.next).filter(|next| !next.is_empty()),
    })
}

/// Reads one entry of the list.
fn model_from(entry: &str) -> Result<Model, serde_json::Error> {
    #[derive(Deserialize)]
    struct RawModel {
        id: String,
        canonical_slug: Option<String>,
        name: Option<String>,
        context_length: Option<u64>,
        architecture: Option<RawArchitecture>,
        pricing: Option<RawPricing>,
        top_provider: Option<RawTopProvider>,
        supported_parameters: Option<Vec<String>>,
        expiration_date: Option<String>,
    }

    #[derive(Deserialize, Default)]
    struct RawArchitecture {
        input_modalities: Option<Vec<String>>,
        output_modalities: Option<Vec<String>>,
    }

    #[derive(Deserialize, Default)]
    struct RawPricing {
        prompt: Option<Value>,
        completion: Option<Value>,
        request: Option<Value>,
        overrides: Option<Vec<RawOverride>>,
    }

    #[derive(Deserialize)]
    struct RawOverride {
        prompt: Option<Value>,
        completion: Option<Value>,
        min_prompt_tokens: Option<Value>,
    }

    #[derive(Deserialize)]
    struct RawTopProvider {
        max_completion_tokens: Option<u64>,
    }

    let raw: RawModel = serde_json::from_str(entry)?;
    let architecture = raw.architecture.unwrap_or_default();
    let pricing = raw.pricing.unwrap_or_default();
    let overrides = pricing
        .overrides
        .unwrap_or_default()
        .into_iter()
        .map(|other| PriceOverride {
            // A threshold that is no whole number is taken for none: the higher price then counts too often, never too seldom.
            more_tokens_than: other.min_prompt_tokens.as_ref().and_then(Value::as_u64).unwrap_or(0),
            prompt: other.prompt.as_ref().map(price),
            completion: other.completion.as_ref().map(price),
        });
    Ok(Model {
        canonical_slug: raw.canonical_slug.unwrap_or_else(|| raw.id.clone()),
        name: raw.name.unwrap_or_else(|| raw.id.clone()),
        id: raw.id,
        context_length: raw.context_length,
        max_completion_tokens: raw.top_provider.and_then(|provider| provider.max_completion_tokens),
        prompt_price: pricing.prompt.as_ref().and_then(price),
        completion_price: pricing.completion.as_ref().and_then(price),
        // Most models charge for tokens only, and some say so by leaving it out.
        request_price: pricing.request.as_ref().map_or(Some(Usd::ZERO), price),
        supported_parameters: raw.supported_parameters.unwrap_or_default(),
        input_modalities: architecture.input_modalities.unwrap_or_default(),
        output_modalities: architecture.output_modalities.unwrap_or_default(),
        expiration_date: raw.expiration_date,
        overrides: overrides.collect(),
    })
}

/// A price: decimal text, or a number. The service writes -1 where nobody can know it, which is `None` here.
fn price(value: &Value) -> Option<Usd> {
    match value {
        Value::String(text) => Usd::parse(text.trim()),
        Value::Number(number) => Usd::parse(&number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use serde_json::json;

    use super::*;
    use crate::fetch::stand_in::{Service, block_on};

    /// An entry with only what the tests need.
    fn entry(id: &str, prompt: &str, completion: &str) -> Value {
        json!({"id": id, "canonical_slug": id, "name": id, "context_length": 1000,
            "pricing": {"prompt": prompt, "completion": completion}})
    }

    fn catalogue(entries: &[Value]) -> Catalogue {
        let body = json!({"data": entries}).to_string();
        Catalogue::new(page_from(body.as_bytes()).expect("a list").models)
    }

    fn usd(text: &str) -> Usd {
        Usd::parse(text).expect("an amount")
    }

    #[test]
    fn an_entry_is_read_with_everything_it_says() {
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
            context_length: Some(8192),
            max_completion_tokens: Some(4096),
            prompt_price: Some(usd("0.00003")),
            completion_price: Some(usd("0.00006")),
            request_price: Some(usd("0.01")),
            supported_parameters: vec!["temperature".to_owned(), "max_tokens".to_owned()],
            input_modalities: vec!["text".to_owned()],
            output_modalities: vec!["text".to_owned()],
            expiration_date: Some("2027-06-01".to_owned()),
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
    fn a_bad_entry_costs_itself_only() {
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
    fn an_answer_that_is_no_list_is_an_error() {
        for body in ["", "[]", "{}", r#"{"data": 1}"#, "<html>"] {
            let error = page_from(body.as_bytes()).err().expect("no list");
            assert_eq!(
                (error.kind, error.message.as_str()),
                (
                    ErrorKind::PROTOCOL,
                    "expected a list of models at `/models`, found something else"
                )
            );
        }
    }

    #[test]
    fn a_variant_is_described_by_itself_or_by_its_model() {
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
    fn the_greatest_price_counts_what_holds_for_long_prompts() {
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
            Some("expected a whole number of milliseconds, found something else; 9 is used")
        );
    }

    #[test]
    fn the_service_is_asked_once_and_again_when_the_time_is_over() {
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
    fn many_askers_at_once_make_one_request() {
        for (status, is_well) in [(200, true), (500, false)] {
            let service = Service::start(move |_| {
                (
                    status,
                    String::new(),
                    json!({"data": [entry("a/b", "1", "1")]}).to_string(),
                )
            });
            // Even where nothing is kept.
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
    fn an_old_catalogue_is_better_than_an_error() {
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
            // After the failure the service is left alone for a while.
            store.catalogue(&settings).await.expect("the old one");
        });
        assert_eq!(service.requests().len(), 2);
    }

    #[test]
    fn without_a_catalogue_every_asker_tries_again() {
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
    fn pages_are_followed_to_the_last() {
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
    fn a_list_without_an_end_is_cut() {
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
    fn another_service_has_another_catalogue() {
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
}
