//! Parses a page of the service's model list.
//!
//! In: an answer's body. Out: its models, and the link to the next page. Pure.
//! An unreadable entry is skipped and counted.

use plugin_api::{Error, ErrorKind, Verbatim};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::models::model::{Model, PriceOverride};
use crate::values::usd::Usd;

/// A page of the model list.
pub struct Page {
    pub models: Vec<Model>,
    /// Entries that were skipped.
    pub n_unreadable: usize,
    /// The link to the next page, as the service writes it.
    pub next: Option<String>,
}

/// Parses a page.
///
/// - Errors: `protocol` if it is not a model list.
pub fn page_from(body: &[u8]) -> Result<Page, Error> {
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
            "expected a model list at `/models`, found something else",
        )
        .with_hint("check the base URL")
    })?;
    let n_entries = raw.data.len();
    let models: Vec<Model> = raw.data.iter().filter_map(|entry| model_from(entry).ok()).collect();
    Ok(Page {
        n_unreadable: n_entries - models.len(),
        models,
        next: raw.links.and_then(|links| links.next).filter(|next| !next.is_empty()),
    })
}

/// Parses one entry of the list.
pub fn model_from(entry: &RawValue) -> Result<Model, serde_json::Error> {
    #[derive(Deserialize)]
    struct RawModel {
        id: String,
        canonical_slug: Option<String>,
        name: Option<String>,
        description: Option<Value>,
        created: Option<Value>,
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

    let raw: RawModel = serde_json::from_str(entry.get())?;
    let architecture = raw.architecture.unwrap_or_default();
    let pricing = raw.pricing.unwrap_or_default();
    let overrides = pricing
        .overrides
        .unwrap_or_default()
        .into_iter()
        .map(|other| PriceOverride {
            // Without a readable threshold the override always applies: better too high a price than too low.
            more_tokens_than: other.min_prompt_tokens.as_ref().and_then(Value::as_u64).unwrap_or(0),
            prompt: other.prompt.as_ref().map(price),
            completion: other.completion.as_ref().map(price),
        });
    Ok(Model {
        canonical_slug: raw.canonical_slug.unwrap_or_else(|| raw.id.clone()),
        name: raw.name.unwrap_or_else(|| raw.id.clone()),
        // The description is only shown, so a wrong type must not cost the model.
        description: raw.description.and_then(|text| match text {
            Value::String(text) => Some(text).filter(|text| !text.trim().is_empty()),
            _ => None,
        }),
        created_s: raw.created.as_ref().and_then(Value::as_u64),
        id: raw.id,
        context_length: raw.context_length,
        max_completion_tokens: raw.top_provider.and_then(|provider| provider.max_completion_tokens),
        prompt_price: pricing.prompt.as_ref().and_then(price),
        completion_price: pricing.completion.as_ref().and_then(price),
        // Most models charge for tokens only, and some entries then omit the price of a request.
        request_price: pricing.request.as_ref().map_or(Some(Usd::ZERO), price),
        supported_parameters: raw.supported_parameters.unwrap_or_default(),
        input_modalities: architecture.input_modalities.unwrap_or_default(),
        output_modalities: architecture.output_modalities.unwrap_or_default(),
        expiration_date: raw.expiration_date,
        raw: Verbatim::from(entry.to_owned()),
        overrides: overrides.collect(),
    })
}

/// A price, written as a string or a number. The service writes -1 for an unknown one, which is `None` here.
fn price(value: &Value) -> Option<Usd> {
    match value {
        Value::String(text) => Usd::parse(text.trim()),
        Value::Number(number) => Usd::parse(&number.to_string()),
        _ => None,
    }
}
