//! The measures of what was asked of models.

use opentelemetry::metrics::{Histogram, MeterProvider};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use prometheus_client::metrics::histogram::exponential_buckets;

use super::reported::{Reported, Traced};
use crate::serve::ended::Ended;

pub struct Measures {
    pub provider: SdkMeterProvider,
    duration_s: Histogram<f64>,
    first_chunk_s: Histogram<f64>,
    tokens: Histogram<u64>,
}

impl Measures {
    pub fn new(provider: SdkMeterProvider, scope: InstrumentationScope) -> Self {
        let meter = provider.meter_with_scope(scope);
        // Source of the boundaries: semantic-conventions-genai, `docs/gen-ai/gen-ai-metrics.md`.
        let seconds = |name: &'static str, description: &'static str| {
            meter
                .f64_histogram(name)
                .with_unit("s")
                .with_description(description)
                .with_boundaries(exponential_buckets(0.01, 2.0, 14).collect())
                .build()
        };
        Self {
            duration_s: seconds(
                "gen_ai.client.operation.duration",
                "Time from a request's headers to the end of its answer",
            ),
            first_chunk_s: seconds(
                "gen_ai.client.operation.time_to_first_chunk",
                "Time from a request's headers to the first chunk of its answer",
            ),
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_unit("{token}")
                .with_description("Tokens, as counted by the service")
                .with_boundaries(exponential_buckets(1.0, 4.0, 14).collect())
                .build(),
            provider,
        }
    }

    pub fn take(&self, ended: &Ended, operation: &'static str, traced: &Traced, reported: &Reported) {
        let mut attributes = reported.attributes(operation, traced);
        self.duration_s.record(ended.elapsed.as_secs_f64(), &attributes);
        if let Some(first_token) = ended.first_token {
            self.first_chunk_s.record(first_token.as_secs_f64(), &attributes);
        }
        let usage = ended.done.as_deref().and_then(|done| done.usage.as_ref());
        let Some(usage) = usage else { return };
        for (kind, count) in [("input", usage.prompt_tokens), ("output", usage.completion_tokens)] {
            attributes.push(KeyValue::new("gen_ai.token.type", kind));
            self.tokens.record(count, &attributes);
            attributes.pop();
        }
    }
}
