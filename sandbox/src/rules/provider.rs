//! Checks the `provider` object, the only place in a request where unknown members are refused.

use super::{
    fields::{Fields, listed},
    request::{Preferences, Sort},
};

// `options` is newer than the description of 2026-08-22, found in an official client of 2026-10-27.
const MEMBERS: [&str; 14] = words!(
    order only ignore allow_fallbacks require_parameters data_collection zdr enforce_distillable_text quantizations
    sort preferred_min_throughput preferred_max_latency max_price options
);
const QUANTIZATIONS: [&str; 12] = words!(int4 int8 fp4 mxfp4 nvfp4 fp6 fp8 mxfp8 fp16 bf16 fp32 unknown);
const SORTS: [&str; 4] = ["price", "throughput", "latency", "exacto"];

pub(super) fn preferences(top: &Fields<'_>) -> Preferences {
    let mut found = Preferences::default();
    let Some(provider) = top.object("provider") else {
        return found;
    };

    for name in provider.names() {
        if !MEMBERS.contains(&name.as_str()) {
            provider.say("", &format!("unrecognized key `{name}`"));
        }
    }
    found.order = provider.texts("order").unwrap_or_default();
    found.only = provider.texts("only").filter(|slugs| !slugs.is_empty());
    found.ignore = provider.texts("ignore").unwrap_or_default();
    found.no_fallbacks = provider.flag("allow_fallbacks") == Some(false);
    found.require_parameters = provider.flag("require_parameters") == Some(true);
    let denies = provider.one_of("data_collection", &["allow", "deny"]) == Some("deny");
    found.zero_retention = provider.flag("zdr") == Some(true) || denies;
    provider.flag("enforce_distillable_text");
    found.quantizations = provider.texts("quantizations").unwrap_or_default();
    for quantization in &found.quantizations {
        if !QUANTIZATIONS.contains(&quantization.as_str()) {
            let problem = format!("expected items of {}", listed(&QUANTIZATIONS));
            provider.say("quantizations", &problem);
        }
    }
    found.sort = sort(&provider);
    for name in ["preferred_min_throughput", "preferred_max_latency"] {
        cutoffs(&provider, name);
    }
    provider.object("options");
    max_price(&provider, &mut found);
    found
}

fn sort(provider: &Fields<'_>) -> Option<Sort> {
    let word = match provider.value("sort") {
        Some(value) if value.is_object() => {
            let sort = provider.object("sort")?;
            sort.one_of("partition", &["model", "none"]);
            sort.one_of("by", &SORTS)
        }
        _ => provider.one_of("sort", &SORTS),
    };
    match word? {
        "price" => Some(Sort::Price),
        "throughput" => Some(Sort::Throughput),
        "latency" => Some(Sort::Latency),
        _ => Some(Sort::Exacto),
    }
}

/// A limit for all requests, or one for each percentile.
fn cutoffs(provider: &Fields<'_>, name: &str) {
    if !provider.value(name).is_some_and(serde_json::Value::is_object) {
        return provider.number(name, 0.0, f64::MAX);
    }
    if let Some(percentiles) = provider.object(name) {
        for percentile in ["p50", "p75", "p90", "p99"] {
            percentiles.number(percentile, 0.0, f64::MAX);
        }
    }
}

fn max_price(provider: &Fields<'_>, found: &mut Preferences) {
    if provider.is_null("max_price") {
        provider.say("max_price", "expected an object, found null");
    }
    let Some(price) = provider.object("max_price") else {
        return;
    };
    // The API description asks for text, although the prose of the documentation shows numbers.
    let read = |name: &str| {
        let text = price.text(name)?;
        let usd = text.parse::<f64>().ok().filter(|usd| *usd >= 0.0);
        if usd.is_none() {
            price.say(name, "expected a decimal number as text");
        }
        usd
    };
    found.max_prompt_usd_per_million = read("prompt");
    found.max_completion_usd_per_million = read("completion");
    for name in ["request", "image", "audio"] {
        read(name);
    }
}
