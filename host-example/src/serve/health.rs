//! `GET /health`, `GET /metrics` and `GET /`: how the endpoint is, and what it is.

use std::time::Duration;

use hyper::{Response, StatusCode};
use plugin_api::{CacheUse, CreditsRequest, method};
use serde_json::json;

use super::course::Phase;
use super::metrics::Now;
use super::reply::{Body, json_response, response};
use super::shared::{Serving, Shared};

/// How long a page waits for what the plugin knows.
const PLUGIN_WAIT: Duration = Duration::from_secs(1);

/// - In: `is_known`, whether the caller may see more than the status.
pub async fn health(shared: &Shared, serving: &Serving, is_known: bool) -> Response<Body> {
    let (code, status) = if *shared.phase.borrow() > Phase::Serving {
        (StatusCode::SERVICE_UNAVAILABLE, "draining")
    } else if serving.off.is_some() {
        (StatusCode::SERVICE_UNAVAILABLE, "no plugin")
    } else {
        (StatusCode::OK, "ok")
    };
    if !is_known {
        return json_response(code, &json!({"status": status}));
    }
    let manifest = serving.plugin.manifest();
    let [retries, fallbacks] = shared.telemetry.metrics.by_reason();
    let page = json!({
        "status": status,
        "plugin": {"id": manifest.id, "name": manifest.name, "version": manifest.version},
        "version": env!("CARGO_PKG_VERSION"),
        "tiers": serving.tiers,
        "uptime_s": shared.started.elapsed().as_secs(),
        "in_flight": shared.telemetry.metrics.in_flight.get(),
        "plugins": serving.plugins,
        "models_cache_age_s": models_age(serving).map(|age| age.as_secs()),
        "caches": caches(serving).await,
        "retries": retries,
        "fallbacks": fallbacks,
    });
    json_response(code, &page)
}

/// How often caches had what was wanted: the plugin's, if it counts, and the one of answers.
async fn caches(serving: &Serving) -> Vec<CacheUse> {
    let own = serving.caching.iter().map(|caching| caching.cache.counted());
    if !serving.has(method::CACHES) || serving.off.is_some() {
        return own.collect();
    }
    let counted = tokio::time::timeout(PLUGIN_WAIT, serving.plugin.caches()).await;
    let counted = counted.ok().and_then(Result::ok).unwrap_or_default();
    counted.into_iter().chain(own).collect()
}

fn models_age(serving: &Serving) -> Option<Duration> {
    Some(serving.models_page.load_full()?.age())
}

pub async fn metrics(shared: &Shared, serving: &Serving) -> Response<Body> {
    let mut now = Now {
        plugins: serving
            .plugins
            .iter()
            .map(|row| (row.id.clone(), row.is_active))
            .collect(),
        models_age_seconds: models_age(serving).map(|age| age.as_secs_f64()),
        caches: caches(serving).await,
        ..Now::default()
    };
    if serving.has(method::CREDITS) {
        let asked = serving.asked(|| serving.plugin.credits(CreditsRequest { force: false }));
        // A service that does not answer must not block the counters.
        let credits = tokio::time::timeout(PLUGIN_WAIT, asked).await;
        now.credits_remaining_usd = credits
            .ok()
            .and_then(Result::ok)
            .and_then(|credits| credits.balance_usd?.parse().ok());
    }
    let page = shared.telemetry.metrics.page(&now);
    response(
        StatusCode::OK,
        "application/openmetrics-text; version=1.0.0; charset=utf-8",
        page,
    )
}

pub fn home(serving: &Serving) -> Response<Body> {
    let manifest = serving.plugin.manifest();
    let page = format!(
        "agent-host {version}: {name} through an OpenAI-compatible API.\n\n\
         base URL       /v1\n\
         models         GET /v1/models (tiers such as TEXT_SMALL are models too)\n\
         chat           POST /v1/chat/completions\n\
         health         GET /health\n\
         metrics        GET /metrics\n\
         what it cost   GET /v1/usage?by=model&since=7d\n\
         key            the token that `agent-host serve` printed on its first start\n",
        version = env!("CARGO_PKG_VERSION"),
        name = manifest.name,
    );
    response(StatusCode::OK, "text/plain; charset=utf-8", page)
}
