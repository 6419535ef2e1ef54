//! The models that the service lists, with their prices and abilities.
//!
//! A model that is not listed may still be served; its price is then unknown. Pure.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use plugin_api::Verbatim;

use crate::values::usd::Usd;

/// A model as the service lists it. Unknown fields are `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    /// The id that requests use.
    pub id: String,
    /// The id that never changes.
    pub canonical_slug: String,
    /// The name for people.
    pub name: String,
    /// A few sentences.
    pub description: Option<String>,
    /// When the service first listed it, in seconds since 1970.
    pub created_s: Option<u64>,
    /// The most tokens of prompt and answer together.
    pub context_length: Option<u64>,
    /// The most tokens of an answer.
    pub max_completion_tokens: Option<u64>,
    /// The price of one token of the prompt; `None` for routers, which charge the price of the model they choose.
    pub prompt_price: Option<Usd>,
    /// The price of one token of the answer.
    pub completion_price: Option<Usd>,
    /// The price of the request itself.
    pub request_price: Option<Usd>,
    /// The names of the parameters that it supports.
    pub supported_parameters: Vec<String>,
    /// Its input, such as `text` and `image`.
    pub input_modalities: Vec<String>,
    /// Its output, such as `text`.
    pub output_modalities: Vec<String>,
    /// The day after which the model may be gone, as `2026-11-20`.
    pub expiration_date: Option<String>,
    /// The entry as the service wrote it.
    pub raw: Verbatim,
    pub overrides: Vec<PriceOverride>,
}

/// Prices that hold under a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceOverride {
    /// They hold for prompts with more tokens than this.
    pub more_tokens_than: u64,
    /// The price, which may be unknown; the outer `None` if this does not change it.
    pub prompt: Option<Option<Usd>>,
    pub completion: Option<Option<Usd>>,
}

impl Model {
    /// The highest price of one token of the prompt and of the answer, for a prompt of so many tokens; `None` if one of
    /// them is unknown. Prices for a time of day count at all times.
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

/// The model list of a service at one time.
#[derive(Debug)]
pub struct Catalogue {
    /// The base URL of the service.
    pub base_url: String,
    pub models: Vec<Model>,
    /// Places in `models`, by id and by canonical slug.
    places: HashMap<String, usize>,
    /// When this process got the list.
    got: Instant,
    /// How old the list was at that time.
    age_then: Duration,
}

impl Catalogue {
    pub fn new(base_url: &str, models: Vec<Model>, age: Duration) -> Self {
        let mut places = HashMap::with_capacity(models.len() * 2);
        for (place, model) in models.iter().enumerate() {
            places.entry(model.id.clone()).or_insert(place);
        }
        // Several variants share a slug. It means the model whose id equals it, else the first one.
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

    /// The model with this id. For a variant that is not listed, such as `:nitro`, or with a preset, the model without
    /// it.
    pub fn find(&self, id: &str) -> Option<&Model> {
        self.models.get(self.place(id)?)
    }

    /// The place of [`Self::find`]'s model in the list.
    pub fn place(&self, id: &str) -> Option<usize> {
        let mut name = id;
        loop {
            if let Some(place) = self.places.get(name) {
                return Some(*place);
            }
            name = &name[..name.rfind([':', '@'])?];
        }
    }

    /// Every model, in the service's order.
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// How long ago the list was fetched, even if by another process.
    pub fn age(&self) -> Duration {
        self.got.elapsed().saturating_add(self.age_then)
    }
}
