//! Provider preferences: which of a model's providers OpenRouter may use, and in what order.
//!
//! In: a profile's `providerPreferences`. Out: the request's `provider` object, in snake_case and with
//! provider names as slugs. The API refuses unknown keys there. Pure.
//! Only keys that are set are sent: an `order` or `sort` invented here would cost the caller their prompt cache.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::profile::price::Price;
use crate::values::slug::provider_slug;
use crate::values::spelling::{accept_snake_case, add_extra, number, set};

/// Which providers OpenRouter may use for a model, and which it should prefer. Only the fields you set
/// are sent; without any, OpenRouter balances by price and uptime.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[schemars(transform = accept_snake_case)]
pub struct ProviderPreferences {
    /// Providers to try first, in this order. Names (`AWS Bedrock`) and slugs (`amazon-bedrock`,
    /// `novita/fp8`) both work. Switches off load balancing and sticky routing, so prompt caches may go
    /// cold. An empty list is the same as no list, here and below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<String>>,
    /// Only these providers may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// These providers are never used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignore: Option<Vec<String>>,
    /// Whether other providers may step in when the preferred ones fail. OpenRouter's default: true.
    #[serde(alias = "allow_fallbacks", skip_serializing_if = "Option::is_none")]
    pub allow_fallbacks: Option<bool>,
    /// Whether to use only providers that support every parameter of the request. OpenRouter's default:
    /// false; providers then drop the parameters they do not know.
    #[serde(alias = "require_parameters", skip_serializing_if = "Option::is_none")]
    pub require_parameters: Option<bool>,
    /// Whether to use providers that keep prompts or train on them. OpenRouter's default: allow.
    #[serde(alias = "data_collection", skip_serializing_if = "Option::is_none")]
    pub data_collection: Option<DataCollection>,
    /// Whether to use only endpoints with zero data retention.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zdr: Option<bool>,
    /// Whether to use only models whose author allows distillation of their output.
    #[serde(alias = "enforce_distillable_text", skip_serializing_if = "Option::is_none")]
    pub enforce_distillable_text: Option<bool>,
    /// Acceptable quantisations; endpoints with others are not used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantizations: Option<Vec<Quantization>>,
    /// How to sort providers, instead of load balancing. Has no effect if `order` is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
    /// Preferred throughput, in tokens per second. Slower providers are tried later, but not excluded.
    #[serde(alias = "preferred_min_throughput", skip_serializing_if = "Option::is_none")]
    pub preferred_min_throughput: Option<Threshold>,
    /// Preferred time to the first token, in seconds. Slower providers are tried later, but not excluded.
    #[serde(alias = "preferred_max_latency", skip_serializing_if = "Option::is_none")]
    pub preferred_max_latency: Option<Threshold>,
    /// Highest acceptable prices. More expensive providers are not used; if none is left, the request fails.
    #[serde(alias = "max_price", skip_serializing_if = "Option::is_none")]
    pub max_price: Option<MaxPrice>,
    /// Fields of OpenRouter's `provider` object that are newer than this plugin, written as OpenRouter
    /// documents them. They are sent unchanged and never replace a field above.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<Map<String, Value>>,
}

/// Whether providers may keep prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataCollection {
    /// Providers may store prompts and train on them.
    Allow,
    /// Only providers that do not collect prompts.
    Deny,
}

/// The number format of a model's weights at a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quantization {
    /// Integers of 4 bits.
    Int4,
    /// Integers of 8 bits.
    Int8,
    /// Floating point, 4 bits.
    Fp4,
    /// Floating point, 4 bits, with the scales of the MX standard.
    Mxfp4,
    /// Floating point, 4 bits, with Nvidia's scales.
    Nvfp4,
    /// Floating point, 6 bits.
    Fp6,
    /// Floating point, 8 bits.
    Fp8,
    /// Floating point, 8 bits, with the scales of the MX standard.
    Mxfp8,
    /// Floating point, 16 bits.
    Fp16,
    /// Floating point, 16 bits with the range of 32.
    Bf16,
    /// Floating point, 32 bits.
    Fp32,
    /// The provider does not say.
    Unknown,
}

/// How to sort providers: a word, or an object with `by` and `partition`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected `price`, `throughput`, `latency`, `exacto` or an object"
)]
pub enum Sort {
    /// Only the criterion.
    By(SortBy),
    /// The criterion and a partition.
    Config(SortConfig),
}

/// A criterion to sort providers by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SortBy {
    /// Cheapest first.
    Price,
    /// Most tokens per second first.
    Throughput,
    /// Shortest time to the first token first.
    Latency,
    /// Most reliable tool calls first.
    Exacto,
}

/// A sort criterion and a partition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SortConfig {
    /// What to sort by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<SortBy>,
    /// `model` (OpenRouter's default) sorts the providers of each model separately, so that fallback
    /// models stay fallbacks; `none` sorts the providers of all models together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
}

/// Which providers are sorted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Partition {
    /// Those of each model.
    Model,
    /// Those of all models.
    None,
}

/// A threshold: a number for the median, or an object with one number per percentile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a number or an object with `p50`, `p75`, `p90`, `p99`"
)]
pub enum Threshold {
    /// For the median.
    Median(#[schemars(range(min = 0))] f64),
    /// For several percentiles, all of which must be met.
    Percentiles(Percentiles),
}

/// One threshold per percentile of the last 30 minutes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Percentiles {
    /// For the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub p50: Option<f64>,
    /// For three requests in four.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub p75: Option<f64>,
    /// For nine requests in ten.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub p90: Option<f64>,
    /// For 99 requests in a hundred.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub p99: Option<f64>,
}

/// Highest acceptable prices, in US dollars, as decimal strings or numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaxPrice {
    /// Per million tokens of the prompt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Price>,
    /// Per million tokens of the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completion: Option<Price>,
    /// Per request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Price>,
    /// Per image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Price>,
    /// Per unit of audio.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audio: Option<Price>,
}

impl ProviderPreferences {
    /// Builds the request's `provider` object.
    ///
    /// - Out: only the fields that are set, in snake_case and a fixed order, provider names as slugs,
    ///   prices as decimal strings. If it is empty, the request gets no `provider` key.
    /// - Source: OpenRouter docs, `guides/routing/provider-selection`. For `max_price` the API description
    ///   says strings and the docs show numbers; the API accepts strings.
    pub fn to_wire(&self) -> Map<String, Value> {
        let mut wire = Map::new();
        set(&mut wire, "order", slugs(self.order.as_deref()));
        set(&mut wire, "only", slugs(self.only.as_deref()));
        set(&mut wire, "ignore", slugs(self.ignore.as_deref()));
        set(&mut wire, "allow_fallbacks", self.allow_fallbacks);
        set(&mut wire, "require_parameters", self.require_parameters);
        set(&mut wire, "data_collection", self.data_collection);
        set(&mut wire, "zdr", self.zdr);
        set(&mut wire, "enforce_distillable_text", self.enforce_distillable_text);
        let quantizations = self.quantizations.as_ref().filter(|list| !list.is_empty());
        set(&mut wire, "quantizations", quantizations);
        let sort = self
            .sort
            .as_ref()
            .filter(|sort| **sort != Sort::Config(SortConfig::default()));
        set(&mut wire, "sort", sort);
        let throughput = self.preferred_min_throughput.as_ref().and_then(Threshold::to_wire);
        set(&mut wire, "preferred_min_throughput", throughput);
        let latency = self.preferred_max_latency.as_ref().and_then(Threshold::to_wire);
        set(&mut wire, "preferred_max_latency", latency);
        let max_price = self.max_price.as_ref().filter(|prices| **prices != MaxPrice::default());
        set(&mut wire, "max_price", max_price);
        add_extra(&mut wire, self.extra.as_ref());
        wire
    }

    /// These preferences, with every field that is not set taken from `base`.
    pub fn over(&self, base: &Self) -> Self {
        let (own, base) = (self.clone(), base.clone());
        let extra = match (own.extra, base.extra) {
            (Some(own), Some(mut base)) => {
                base.extend(own);
                Some(base)
            }
            (own, base) => own.or(base),
        };
        Self {
            order: own.order.or(base.order),
            only: own.only.or(base.only),
            ignore: own.ignore.or(base.ignore),
            allow_fallbacks: own.allow_fallbacks.or(base.allow_fallbacks),
            require_parameters: own.require_parameters.or(base.require_parameters),
            data_collection: own.data_collection.or(base.data_collection),
            zdr: own.zdr.or(base.zdr),
            enforce_distillable_text: own.enforce_distillable_text.or(base.enforce_distillable_text),
            quantizations: own.quantizations.or(base.quantizations),
            sort: own.sort.or(base.sort),
            preferred_min_throughput: own.preferred_min_throughput.or(base.preferred_min_throughput),
            preferred_max_latency: own.preferred_max_latency.or(base.preferred_max_latency),
            max_price: own.max_price.or(base.max_price),
            extra,
        }
    }
}

impl Threshold {
    fn to_wire(&self) -> Option<Value> {
        let percentiles = match self {
            Self::Median(value) => return Some(number(*value)),
            Self::Percentiles(percentiles) => percentiles,
        };
        let mut wire = Map::new();
        set(&mut wire, "p50", percentiles.p50.map(number));
        set(&mut wire, "p75", percentiles.p75.map(number));
        set(&mut wire, "p90", percentiles.p90.map(number));
        set(&mut wire, "p99", percentiles.p99.map(number));
        (!wire.is_empty()).then_some(Value::Object(wire))
    }
}

fn slugs(names: Option<&[String]>) -> Option<Vec<Cow<'_, str>>> {
    let names = names.filter(|names| !names.is_empty())?;
    Some(names.iter().map(|name| provider_slug(name)).collect())
}

#[cfg(test)]
mod tests;
