//! Filters and sorts the entries of the catalogue as the query of `GET /models` asks.

use serde_json::Value;

use super::model::Provider;

/// One entry of the catalogue: what is sent, and what only filters need.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) value: Value,
    /// Empty for an entry that a test wrote.
    pub(crate) providers: Vec<&'static Provider>,
}

/// The words that `sort` accepts. Those that need rankings the sandbox lacks keep the order.
pub(super) const SORTS: [&str; 12] = [
    "most-popular",
    "newest",
    "top-weekly",
    "pricing-low-to-high",
    "pricing-high-to-low",
    "context-high-to-low",
    "throughput-high-to-low",
    "latency-low-to-high",
    "intelligence-high-to-low",
    "coding-high-to-low",
    "agentic-high-to-low",
    "design-arena-elo-high-to-low",
];

impl Entry {
    pub(crate) fn id(&self) -> &str {
        self.value["id"].as_str().unwrap_or_default()
    }

    fn author(&self) -> &str {
        self.id().split('/').next().unwrap_or_default()
    }

    /// US dollars per million tokens; `which` is `prompt` or `completion`.
    fn usd_per_million(&self, which: &str) -> f64 {
        let price = &self.value["pricing"][which];
        let usd = price.as_str().and_then(|price| price.parse::<f64>().ok());
        usd.unwrap_or(0.0) * 1e6
    }

    fn context_tokens(&self) -> u64 {
        self.value["context_length"].as_u64().unwrap_or(0)
    }

    /// The texts in the list at `pointer`, if there is one.
    fn texts(&self, pointer: &str) -> Vec<&str> {
        let items = self.value.pointer(pointer).and_then(Value::as_array);
        items.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

pub(super) fn put_in_order(entries: &mut [Entry], sort: &str) {
    // The sorts below are stable, so equal entries keep their order.
    let price = |entry: &Entry| entry.usd_per_million("prompt");
    let created = |entry: &Entry| entry.value["created"].as_u64().unwrap_or(0);
    let speed = |entry: &Entry| {
        let speeds = entry.providers.iter().map(|provider| provider.tokens_per_s);
        speeds.fold(0.0, f64::max)
    };
    let latency = |entry: &Entry| {
        let latencies = entry.providers.iter().map(|provider| provider.latency_s);
        latencies.fold(f64::MAX, f64::min)
    };
    match sort {
        "pricing-low-to-high" => entries.sort_by(|a, b| price(a).total_cmp(&price(b))),
        "pricing-high-to-low" => entries.sort_by(|a, b| price(b).total_cmp(&price(a))),
        "context-high-to-low" => entries.sort_by_key(|entry| u64::MAX - entry.context_tokens()),
        "newest" => entries.sort_by_key(|entry| u64::MAX - created(entry)),
        "throughput-high-to-low" => entries.sort_by(|a, b| speed(b).total_cmp(&speed(a))),
        "latency-low-to-high" => entries.sort_by(|a, b| latency(a).total_cmp(&latency(b))),
        _ => {}
    }
}

/// Whether the query keeps `entry`; `asked` looks up a parameter.
pub(super) fn passes<'a>(entry: &Entry, asked: &impl Fn(&str) -> Option<&'a str>) -> bool {
    let all_in =
        |name: &str, list: &[&str]| asked(name).is_none_or(|wanted| wanted.split(',').all(|item| list.contains(&item)));
    let any_in =
        |name: &str, list: &[&str]| asked(name).is_none_or(|wanted| wanted.split(',').any(|item| list.contains(&item)));
    let number = |name: &str| asked(name).and_then(|text| text.parse::<f64>().ok());
    // A millionth of a dollar of slack, since the product is not exact.
    let within = |least: &str, most: &str, found: f64| {
        number(least).is_none_or(|least| found >= least - 1e-6) && number(most).is_none_or(|most| found <= most + 1e-6)
    };
    let outputs = entry.texts("/architecture/output_modalities");
    let wanted_outputs = asked("output_modalities").unwrap_or("text");
    let least_context = asked("context").and_then(|tokens| tokens.parse().ok()).unwrap_or(0);
    let slugs: Vec<&str> = entry.providers.iter().map(|provider| provider.slug).collect();
    let tokenizer = entry.value["architecture"]["tokenizer"].as_str().unwrap_or_default();
    let keeps_nothing = entry.providers.iter().any(|provider| provider.zero_retention);
    let text = asked("q").unwrap_or_default().to_lowercase();
    let name = entry.value["name"].as_str().unwrap_or_default().to_lowercase();

    (wanted_outputs == "all" || wanted_outputs.split(',').any(|wanted| outputs.contains(&wanted)))
        && all_in("supported_parameters", &entry.texts("/supported_parameters"))
        && all_in("input_modalities", &entry.texts("/architecture/input_modalities"))
        && any_in("providers", &slugs)
        && any_in("model_authors", &[entry.author()])
        && any_in("arch", &[tokenizer])
        && (asked("zdr") != Some("true") || keeps_nothing)
        && entry.context_tokens() >= least_context
        && within("min_price", "max_price", entry.usd_per_million("prompt"))
        && within(
            "min_output_price",
            "max_output_price",
            entry.usd_per_million("completion"),
        )
        && (entry.id().to_lowercase().contains(&text) || name.contains(&text))
}
