//! What the counters say when requests have ended.

use std::sync::Arc;

use hyper::Method;
use plugin_api::CacheUse;
use serde_json::json;

use super::fake::of;
use crate::serve::metrics::Now;
use crate::serve::record::{Record, Telemetry};

#[test]
fn an_answer_is_counted_with_its_tokens_its_cost_and_the_model_that_served() {
    let telemetry = Arc::new(Telemetry::new(None));
    let mut record = Record::begin(Arc::clone(&telemetry), "chat", &Method::POST, "/v1/chat/completions");
    assert_eq!(telemetry.metrics.in_flight.get(), 1);
    record.piece();
    record.complete(of(json!({
        "model": "acme/small",
        "attempts": [{"model": "acme/large", "code": "timeout"}, {"model": "acme/large"}, {"model": "acme/small"}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34, "cost_usd": "0.5"}
    })));
    drop(record);
    drop(Record::begin(Arc::clone(&telemetry), "chat", &Method::POST, ""));
    telemetry.metrics.reloaded(false);
    let page = telemetry.metrics.page(&Now {
        plugins: vec![("acme".to_owned(), true)],
        credits_remaining_usd: Some(12.5),
        models_age_seconds: None,
        caches: vec![CacheUse {
            name: "models".to_owned(),
            hits: 2,
            misses: 1,
        }],
    });
    for line in [
        "agent_host_requests_total{route=\"chat\",outcome=\"ok\"} 1",
        "agent_host_requests_total{route=\"chat\",outcome=\"client_left\"} 1",
        "agent_host_request_duration_seconds_count{route=\"chat\"} 2",
        "agent_host_time_to_first_token_seconds_count{route=\"chat\"} 1",
        "agent_host_tokens_total{kind=\"prompt\"} 12",
        "agent_host_tokens_total{kind=\"completion\"} 34",
        "agent_host_answers_total{model=\"acme/small\"} 1",
        "agent_host_cost_usd_total{model=\"acme/small\"} 0.5",
        "agent_host_fallbacks_total{reason=\"unknown\"} 1",
        "agent_host_retries_total{reason=\"timeout\"} 1",
        "agent_host_cache_lookups_total{cache=\"models\",result=\"hit\"} 2",
        "agent_host_profile_reloads_total{result=\"failed\"} 1",
        "agent_host_in_flight 0",
        "agent_host_plugin_up{plugin=\"acme\"} 1",
        "agent_host_credits_remaining_usd 12.5",
        concat!("agent_host_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        "# EOF",
    ] {
        assert!(page.lines().any(|found| found == line), "{line} is not in\n{page}");
    }
    assert!(!page.contains("models_cache_age"), "{page}");
}
