//! Counters for Prometheus. Nothing in them says who asked, or what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use plugin_api::{Attempt, CacheUse, Done};
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Metric, Registry};

use super::ended::{Ended, Outcome};

/// What every name begins with.
const PREFIX: &str = "agent_host";
/// The limit of models with their own counters: a service with ever new model names must not fill the memory.
const MAX_MODELS: usize = 500;

/// Labels and their values.
type Labels<V, const N: usize> = [(&'static str, V); N];

/// The counters of this process.
pub struct Metrics {
    registry: Registry,
    pub in_flight: Gauge,
    requests: Family<Labels<&'static str, 2>, Counter>,
    duration_seconds: Family<Labels<&'static str, 1>, Histogram>,
    first_token_seconds: Family<Labels<&'static str, 1>, Histogram>,
    tokens: Family<Labels<&'static str, 1>, Counter>,
    answers: Family<Labels<String, 1>, Counter>,
    n_models: AtomicUsize,
    cost_usd: Family<Labels<String, 1>, Counter<f64, AtomicU64>>,
    fallbacks: Family<Labels<String, 1>, Counter>,
    retries: Family<Labels<String, 1>, Counter>,
    /// The reasons of both, because a family does not name what it counts.
    reasons: Mutex<BTreeSet<String>>,
    reloads: Family<Labels<&'static str, 1>, Counter>,
}

/// Values that are read when the page is requested.
#[derive(Default)]
pub struct Now {
    /// Each plugin of the folder, and whether it is active.
    pub plugins: Vec<(String, bool)>,
    pub credits_remaining_usd: Option<f64>,
    pub models_age_seconds: Option<f64>,
    pub caches: Vec<CacheUse>,
}

impl Metrics {
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let of = &mut registry;
        let histogram: fn() -> Histogram = || Histogram::new(exponential_buckets(0.01, 2.0, 14));
        let histograms = || Family::new_with_constructor(histogram);
        let duration = "Time from a request's headers to the end of its answer";
        let first_token = "Time from a request's headers to the first chunk of its answer";
        // The page has them in this order.
        let metrics = Self {
            requests: registered(of, "requests", "Finished requests", Family::default()),
            duration_seconds: registered(of, "request_duration_seconds", duration, histograms()),
            first_token_seconds: registered(of, "time_to_first_token_seconds", first_token, histograms()),
            tokens: registered(of, "tokens", "Tokens, as counted by the service", Family::default()),
            answers: registered(
                of,
                "answers",
                "Complete answers, by the model that gave them",
                Family::default(),
            ),
            cost_usd: registered(
                of,
                "cost_usd",
                "Cost in US dollars, as reported by the service",
                Family::default(),
            ),
            fallbacks: registered(
                of,
                "fallbacks",
                "Fallbacks to another model, by reason",
                Family::default(),
            ),
            retries: registered(
                of,
                "retries",
                "Retries with the same model, by reason",
                Family::default(),
            ),
            reloads: registered(of, "profile_reloads", "Reloads of the profile", Family::default()),
            in_flight: registered(of, "in_flight", "Requests in flight", Gauge::default()),
            n_models: AtomicUsize::new(0),
            reasons: Mutex::default(),
            registry: Registry::default(),
        };
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Version of this program", build);
        Self { registry, ..metrics }
    }

    /// Counts a request that has ended.
    pub fn count(&self, ended: &Ended) {
        let by_outcome = [("route", ended.route), ("outcome", ended.outcome.word())];
        self.requests.get_or_create(&by_outcome).inc();
        let by_route = [("route", ended.route)];
        let seconds = ended.elapsed.as_secs_f64();
        self.duration_seconds.get_or_create(&by_route).observe(seconds);
        if let Some(first_token) = ended.first_token {
            let seconds = first_token.as_secs_f64();
            self.first_token_seconds.get_or_create(&by_route).observe(seconds);
        }
        self.count_attempts(ended.attempts());
        if let (Some(done), Outcome::Ok) = (&ended.done, ended.outcome) {
            self.count_answer(done);
        }
    }

    fn count_attempts(&self, attempts: &[Attempt]) {
        for pair in attempts.windows(2) {
            let counter = if pair[0].model == pair[1].model {
                &self.retries
            } else {
                &self.fallbacks
            };
            // A plugin has few codes.
            let reason = pair[0].code.clone().unwrap_or_else(|| "unknown".to_owned());
            let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
            if !reasons.contains(&reason) {
                reasons.insert(reason.clone());
            }
            counter.get_or_create(&[("reason", reason)]).inc();
        }
    }

    /// How often calls were tried again and fell back, by reason.
    pub fn by_reason(&self) -> [BTreeMap<String, u64>; 2] {
        let reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        [&self.retries, &self.fallbacks].map(|family| {
            let counted = reasons.iter().filter_map(|reason| {
                let counter = family.get(&[("reason", reason.clone())])?;
                Some((reason.clone(), counter.get()))
            });
            counted.collect()
        })
    }

    fn count_answer(&self, done: &Done) {
        let Some(model) = &done.model else { return };
        let mut by_model = [("model", model.clone())];
        if self.answers.get(&by_model).is_none() && self.n_models.fetch_add(1, Ordering::Relaxed) >= MAX_MODELS {
            by_model = [("model", "other".to_owned())];
        }
        self.answers.get_or_create(&by_model).inc();
        let Some(usage) = &done.usage else { return };
        let kinds = [
            ("prompt", Some(usage.prompt_tokens)),
            ("completion", Some(usage.completion_tokens)),
            ("cached", usage.cached_tokens),
            ("cache_write", usage.cache_write_tokens),
            ("reasoning", usage.reasoning_tokens),
        ];
        for (kind, count) in kinds {
            if let Some(count) = count {
                self.tokens.get_or_create(&[("kind", kind)]).inc_by(count);
            }
        }
        let cost = usage.cost_usd.as_deref().and_then(|cost| cost.parse().ok());
        if let Some(cost) = cost.filter(|cost: &f64| cost.is_finite() && *cost >= 0.0) {
            self.cost_usd.get_or_create(&by_model).inc_by(cost);
        }
    }

    /// Counts a reload of the profile.
    pub fn reloaded(&self, is_ok: bool) {
        let result = if is_ok { "ok" } else { "failed" };
        self.reloads.get_or_create(&[("result", result)]).inc();
    }

    /// The page for Prometheus.
    pub fn page(&self, now: &Now) -> String {
        let mut momentary = Registry::with_prefix(PREFIX);
        let plugins = Family::<Labels<String, 1>, Gauge>::default();
        for (plugin, is_up) in &now.plugins {
            let by_plugin = [("plugin", plugin.clone())];
            plugins.get_or_create(&by_plugin).set(i64::from(*is_up));
        }
        momentary.register("plugin_up", "Whether the plugin is active", plugins);
        let amounts = [
            (
                "credits_remaining_usd",
                "Remaining credit in US dollars",
                now.credits_remaining_usd,
            ),
            (
                "models_cache_age_seconds",
                "Age of the cached model list",
                now.models_age_seconds,
            ),
        ];
        for (name, help, amount) in amounts {
            if let Some(amount) = amount {
                let gauge = Gauge::<f64, AtomicU64>::default();
                gauge.set(amount);
                momentary.register(name, help, gauge);
            }
        }
        let caches = Family::<Labels<String, 2>, Counter>::default();
        for cache in &now.caches {
            for (result, count) in [("hit", cache.hits), ("miss", cache.misses)] {
                let labels = [("cache", cache.name.clone()), ("result", result.to_owned())];
                caches.get_or_create(&labels).inc_by(count);
            }
        }
        momentary.register("cache_lookups", "Lookups in a cache, by what it had", caches);
        let mut page = String::new();
        // Writing to a text cannot fail.
        let _ = text::encode_registry(&mut page, &self.registry)
            .and_then(|()| text::encode_registry(&mut page, &momentary))
            .and_then(|()| text::encode_eof(&mut page));
        page
    }
}

/// Registers a metric and returns a handle to it.
fn registered<M: Metric + Clone>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}
