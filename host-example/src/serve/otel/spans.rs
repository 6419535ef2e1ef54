//! Spans, one of each request, by the conventions for GenAI clients or for HTTP servers.

use std::time::SystemTime;

use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, Tracer, TracerProvider};
use opentelemetry::{Array, InstrumentationScope, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use plugin_api::Attempt;

use super::reported::{Reported, Traced, short};
use crate::serve::ended::{Ended, Outcome};

pub struct Spans {
    pub provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Spans {
    pub fn new(provider: SdkTracerProvider, scope: InstrumentationScope) -> Self {
        let tracer = provider.tracer_with_scope(scope);
        Self { provider, tracer }
    }

    pub fn take(&self, ended: &Ended, traced: &Traced, reported: &Reported) {
        let now = SystemTime::now();
        let begun = now.checked_sub(ended.elapsed).unwrap_or(now);
        let builder = match traced.operation {
            Some(operation) => {
                let name = match &reported.requested_model {
                    Some(model) => format!("{operation} {model}"),
                    None => operation.to_owned(),
                };
                let mut attributes = reported.attributes(operation, traced);
                attributes.extend(of_answer(ended, traced));
                SpanBuilder::from_name(name)
                    .with_kind(SpanKind::Client)
                    .with_attributes(attributes)
            }
            None => {
                let mut attributes = vec![KeyValue::new("http.request.method", short(ended.method.as_str()))];
                attributes.extend(of_status(ended));
                attributes.extend(
                    reported
                        .error_type
                        .clone()
                        .map(|word| KeyValue::new("error.type", word)),
                );
                SpanBuilder::from_name(ended.route)
                    .with_kind(SpanKind::Server)
                    .with_attributes(attributes)
            }
        };
        let builder = builder.with_start_time(begun);
        let mut span = self.tracer.build_with_context(builder, &traced.parent);
        // The time of each attempt is unknown; the answer only lists them.
        for attempt in ended.attempts().iter().filter(|attempt| attempt.code.is_some()) {
            span.add_event_with_timestamp("attempt", now, of_attempt(attempt));
        }
        // For an HTTP server, a bad request or a client that left is not the server's error.
        let is_error = match ended.outcome {
            Outcome::Failed | Outcome::Interrupted => true,
            Outcome::Refused => traced.operation.is_some(),
            Outcome::Ok | Outcome::Left => false,
        };
        if let (true, Some(error_type)) = (is_error, &reported.error_type) {
            span.set_status(Status::error(error_type.clone()));
        }
        span.end_with_timestamp(now);
    }
}

/// What is known of an answer.
fn of_answer(ended: &Ended, traced: &Traced) -> Vec<KeyValue> {
    let mut attributes: Vec<KeyValue> = of_status(ended).into_iter().collect();
    let wants_stream = traced
        .wants_stream
        .map(|wanted| KeyValue::new("gen_ai.request.stream", wanted));
    attributes.extend(wants_stream);
    let first_s = ended.first_token.map(|first_token| first_token.as_secs_f64());
    attributes.extend(first_s.map(|seconds| KeyValue::new("gen_ai.response.time_to_first_chunk", seconds)));
    let done = ended.done.as_deref();
    let failed = traced.failed.as_ref();
    let id = done
        .and_then(|done| done.generation_id.as_deref())
        .or(failed.and_then(|failed| failed.generation_id.as_deref()));
    attributes.extend(id.map(|id| KeyValue::new("gen_ai.response.id", short(id))));
    let Some(done) = done else { return attributes };
    if !done.finish_reason.is_empty() {
        let reasons = vec![StringValue::from(short(&done.finish_reason))];
        attributes.push(KeyValue::new(
            "gen_ai.response.finish_reasons",
            Value::Array(Array::String(reasons)),
        ));
    }
    let Some(usage) = &done.usage else { return attributes };
    attributes.push(KeyValue::new("gen_ai.usage.input_tokens", whole(usage.prompt_tokens)));
    attributes.push(KeyValue::new(
        "gen_ai.usage.output_tokens",
        whole(usage.completion_tokens),
    ));
    let cost = usage.cost_usd.as_deref().and_then(|cost| cost.parse::<f64>().ok());
    if let Some(cost) = cost.filter(|cost| cost.is_finite()) {
        // The conventions have no name for it; this one is what several programs read.
        attributes.push(KeyValue::new("gen_ai.usage.cost", cost));
    }
    attributes
}

fn of_status(ended: &Ended) -> Option<KeyValue> {
    let status = ended.status?.as_u16();
    Some(KeyValue::new("http.response.status_code", i64::from(status)))
}

/// Without the reason, which is free text and may quote.
fn of_attempt(attempt: &Attempt) -> Vec<KeyValue> {
    let text = |name, text: Option<&str>| text.map(|text| KeyValue::new(name, short(text)));
    let known = [
        text("model", Some(&attempt.model)),
        text("provider", attempt.provider.as_deref()),
        attempt.status.map(|status| KeyValue::new("status", i64::from(status))),
        text("code", attempt.code.as_deref()),
    ];
    known.into_iter().flatten().collect()
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
