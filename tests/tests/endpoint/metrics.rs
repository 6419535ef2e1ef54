//! `/metrics`: its form, and what it counts.

use std::collections::BTreeMap;

use serde_json::json;
use tests::endpoint::Serve;

use crate::bench::{CHAT, stream_body, wait_for_metric};

/// Whether Prometheus accepts this name of a metric or label.
fn is_name(name: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    name.bytes().all(is_letter) && !name.starts_with(|first: char| first.is_ascii_digit()) && !name.is_empty()
}

/// Every sample of a page by its name with its labels.
///
/// - Panics: Prometheus would not accept the page.
#[track_caller]
fn samples(page: &str) -> BTreeMap<String, f64> {
    const SUFFIXES: [&str; 6] = ["", "_total", "_sum", "_count", "_bucket", "_info"];
    let body = page.strip_suffix("# EOF\n").expect("the end");
    let (mut families, mut samples) = (Vec::new(), BTreeMap::new());
    for line in body.lines() {
        if let Some(comment) = line.strip_prefix("# ") {
            let words: Vec<&str> = comment.splitn(3, ' ').collect();
            let [kind, family, rest] = words.as_slice() else {
                panic!("{line}")
            };
            assert!(is_name(family) && ["TYPE", "HELP", "UNIT"].contains(kind), "{line}");
            if *kind == "TYPE" {
                assert!(["counter", "gauge", "histogram", "info"].contains(rest), "{line}");
                assert!(!families.contains(family), "twice: {line}");
                families.push(*family);
            }
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        let name = sample.split('{').next().unwrap_or_default();
        let is_of = |family: &&str| name.strip_prefix(*family).is_some_and(|rest| SUFFIXES.contains(&rest));
        assert!(is_name(name) && families.iter().any(is_of), "of no type: {line}");
        if let Some(labels) = sample.strip_prefix(name).filter(|labels| !labels.is_empty()) {
            let labels = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix("\"}"));
            for label in labels.unwrap_or_else(|| panic!("{line}")).split("\",") {
                let (name, value) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                assert!(is_name(name) && !value.contains('"'), "{line}");
            }
        }
        assert!(samples.insert(sample.to_owned(), value).is_none(), "twice: {line}");
    }
    samples
}

#[test]
fn metrics_are_in_prometheus_form_and_count_what_happened() {
    let options = json!({"retry": {"attempts": 2, "maxWaitMs": 5000}});
    let endpoint = Serve::new().profile(&options).start();
    let (mut cost, mut n_tokens) = (0.0, 0.0);
    for _ in 0..3 {
        let usage = endpoint.chat("sandbox/hello", "Hello").expect(200).json()["usage"].clone();
        cost += usage["cost"].as_f64().expect("a cost");
        n_tokens += usage["completion_tokens"].as_f64().expect("tokens");
    }
    let cut = endpoint.post(CHAT, &stream_body("sandbox/cut", "Hello"));
    endpoint.answer(&cut).expect(200);
    endpoint.chat("sandbox/status-404", "Hello").expect(404);
    endpoint.chat("sandbox/status-503", "Hello").expect(503);
    endpoint.answer(&endpoint.get("/v1/models")).expect(200);
    endpoint.answer(&endpoint.get(CHAT)).expect(405);
    let interrupted = "agent_host_requests_total{route=\"chat\",outcome=\"interrupted\"}";
    wait_for_metric(&endpoint, interrupted, 1.0);

    let page = endpoint.answer(&endpoint.get("/metrics")).expect(200);
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(page.header("content-type"), Some(content_type));
    let samples = samples(&page.text());
    let sample = |name: &str| samples.get(&format!("agent_host_{name}")).copied().unwrap_or_default();
    for (name, expected) in [
        ("requests_total{route=\"chat\",outcome=\"ok\"}", 3.0),
        ("requests_total{route=\"chat\",outcome=\"interrupted\"}", 1.0),
        ("requests_total{route=\"chat\",outcome=\"refused\"}", 2.0),
        ("requests_total{route=\"chat\",outcome=\"failed\"}", 1.0),
        ("requests_total{route=\"models\",outcome=\"ok\"}", 1.0),
        ("request_duration_seconds_count{route=\"chat\"}", 7.0),
        ("request_duration_seconds_bucket{le=\"+Inf\",route=\"chat\"}", 7.0),
        ("time_to_first_token_seconds_count{route=\"chat\"}", 1.0),
        ("answers_total{model=\"sandbox/hello\"}", 3.0),
        ("tokens_total{kind=\"completion\"}", n_tokens),
        ("retries_total{reason=\"unavailable\"}", 1.0),
        ("in_flight", 1.0),
        ("plugin_up{plugin=\"openrouter\"}", 1.0),
    ] {
        assert_eq!(sample(name), expected, "{name}");
    }
    let credits = ["hit", "miss"].map(|result| format!("cache_lookups_total{{cache=\"credits\",result=\"{result}\"}}"));
    assert_eq!(
        credits.iter().map(|name| sample(name)).sum::<f64>(),
        1.0,
        "this page asks for it"
    );
    let counted = sample("cost_usd_total{model=\"sandbox/hello\"}");
    assert!((counted - cost).abs() < 1e-9, "{counted} is not {cost}");
    assert!(sample("credits_remaining_usd") > 5.0);
    let build = "agent_host_build_info{version=";
    assert!(samples.keys().any(|name| name.starts_with(build)));
}
