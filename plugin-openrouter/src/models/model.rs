//! The models that the service lists, with their prices and abilities.
//!
//! A model that is not listed may still be served; only its price is unknown. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use plugin_api::Verbatim;

use crate::values::usd::Usd;

/// A model as the service lists it. What is unknown is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// What requests ask for.
    pub id: String,
    /// The id that never changes.
    pub canonical_slug: String,
    /// The name for people.
    pub name: String,
    /// A few sentences.
    pub description: Option<String>,
    /// When the service began to list it, in seconds since 1970.
    pub created_s: Option<u64>,
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
    /// The service's own entry.
    pub raw: Verbatim,
    pub overrides: Vec<PriceOverride>,
}

/// Other prices that hold under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceOverride {
    /// Holds for longer prompts only.
    pub more_tokens_than: u64,
    /// Where the entry has one: the price, which may be unknown.
    pub prompt: Option<Option<Usd>>,
    pub completion: Option<Option<Usd>>,
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
    /// The service's address.
    pub base_url: String,
    pub models: Vec<Model>,
    /// Places in `models`, by id and by canonical slug.
    places: HashMap<String, usize>,
    /// When this process got it.
    got: Instant,
    /// How old it was by then.
    age_then: Duration,
}

impl Catalogue {
    pub fn new(base_url: &str, models: Vec<Model>, age: Duration) -> Self {
        let mut places = HashMap::with_capacity(models.len() * 2);
        for (place, model) in models.iter().enumerate() {
            places.entry(model.id.clone()).or_insert(place);
        }
        // Several variants share a slug; the id that equals it, or else the first one, is meant.
        for (place, model) in models.iter().enumerate() {
            places.entry(model.canonical_slug.clone()).or_insert(place);
        }
        Self {
            base_url: base_url.to_owned(),
            models,
            places,
            got: Instant::now(),
            age_then: age,
        }
    }

    /// The model of this id. A variant that is not listed, such as `:nitro`, is described by the model without it.
    pub fn find(&self, id: &str) -> Option<&Model> {
        self.models.get(self.place(id)?)
    }

    pub fn place(&self, id: &str) -> Option<usize> {
        let mut name = id;
        loop {
            if let Some(place) = self.places.get(name) {
                return Some(*place);
            }
            name = &name[..name.rfind(':')?];
        }
    }

    /// Every model, in the service's order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// How long ago the service gave it, be it to another process.
    pub fn age(&self) -> Duration {
        self.got.elapsed().saturating_add(self.age_then)
    }
}
