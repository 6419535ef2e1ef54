//! Traces and metrics of the requests, by the GenAI conventions of OpenTelemetry, sent to a collector over OTLP/HTTP.
//!
//! In: [`Record`]s that have ended. Out: a span of each, and for those that asked a model the measures that dashboards know. Both are
//! sent from threads of the SDK; a request only puts its span into a queue, and a full queue drops it. No prompt, no answer, no header and
//! no query is ever in them.

// In the order in which data travels.
mod targets;
mod spans;
mod measures;
mod collector;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use hyper::header::HeaderMap;
use hyper::{Method, Uri};
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use plugin_api::Error;
use tokio::sync::mpsc;

use self::collector::Collector;
use self::measures::Measures;
use self::spans::Spans;
use self::targets::Targets;
use super::record::{Outcome, Record};
use crate::terminal;
use crate::terminal::exit::{Exit, Failure};

/// The name of this service where nobody gave it another, and of what measures.
const NAME: &str = "agent-host";
/// The longest wait for the last of it, when the program ends.
const END_LIMIT: Duration = Duration::from_secs(2);
/// The longest text of an attribute, in bytes. Names come from clients and services, who may send anything.
const MAX_TEXT_BYTES: usize = 256;

/// What is sent, and where it is made.
pub struct Otel {
    spans: Option<Spans>,
    measures: Option<Measures>,
}

/// What a request has beyond its record.
pub struct Traced {
    /// The plugin that answers.
    plugin: String,
    /// What the request asks a model to do, in the words of the conventions; `None` where it asks none.
    operation: Option<&'static str>,
    /// The caller's span, if it named one.
    parent: Context,
    /// `None` while nobody has looked.
    pub wants_stream: Option<bool>,
    failed: Option<Failed>,
}

/// What is told of an error: nothing in anybody's own words.
struct Failed {
    code: &'static str,
    model: Option<String>,
    generation_id: Option<String>,
}

impl Otel {
    /// Starts what the environment asks for; without an address of a collector that is nothing.
    ///
    /// - In: `variable`, the value of a variable that is set.
    /// - Errors: an address to which nothing can be sent.
    pub fn start(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Failure> {
        let targets = Targets::find(&variable)?;
        let Some(line) = targets.line() else { return Ok(None) };
        let resource = resource(&variable);
        let scope = InstrumentationScope::builder(NAME)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build();
        // One warning for both where they have the same way.
        let is_lost = Arc::new(AtomicBool::new(false));
        let metrics_lost = if targets.have_one_collector() {
            Arc::clone(&is_lost)
        } else {
            Arc::default()
        };
        let spans = targets.traces.map(|target| -> Result<_, Failure> {
            let exporter = SpanExporter::builder()
                .with_http()
                .with_http_client(Collector::new("traces", &target, is_lost))
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(target.to_string())
                .build()
                .map_err(not_started)?;
            let provider = SdkTracerProvider::builder()
                .with_resource(resource.clone())
                .with_batch_exporter(exporter)
                .build();
            Ok(Spans::new(provider, scope.clone()))
        });
        let measures = targets.metrics.map(|target| -> Result<_, Failure> {
            let exporter = MetricExporter::builder()
                .with_http()
                .with_http_client(Collector::new("metrics", &target, metrics_lost))
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(target.to_string())
                .build()
                .map_err(not_started)?;
            let provider = SdkMeterProvider::builder()
                .with_resource(resource.clone())
                .with_periodic_exporter(exporter)
                .build();
            Ok(Measures::new(provider, scope.clone()))
        });
        let otel = Self {
            spans: spans.transpose()?,
            measures: measures.transpose()?,
        };
        terminal::say(&line);
        Ok(Some(otel))
    }

    /// Takes a request that has ended.
    pub fn take(&self, record: &Record, traced: &Traced) {
        let told = Told::of(record, traced);
        if let Some(spans) = &self.spans {
            spans.take(record, traced, &told);
        }
        if let (Some(measures), Some(operation)) = (&self.measures, traced.operation) {
            measures.take(record, operation, traced, &told);
        }
    }

    /// Sends what is left, for at most [`END_LIMIT`], and sends nothing from then on.
    pub async fn end(&self) {
        let (at_work, mut ended) = mpsc::channel::<()>(1);
        // The SDK waits while it sends, and longer than anybody should for the end.
        let end = |work: Box<dyn FnOnce() + Send>| {
            let at_work = at_work.clone();
            // Without a thread for it, the rest is lost.
            let _ = thread::Builder::new().name("otel-end".to_owned()).spawn(move || {
                work();
                drop(at_work);
            });
        };
        if let Some(Spans { provider, .. }) = &self.spans {
            let provider = provider.clone();
            // A collector that cannot be reached was told of by its client.
            end(Box::new(move || drop(provider.shutdown())));
        }
        if let Some(Measures { provider, .. }) = &self.measures {
            let provider = provider.clone();
            end(Box::new(move || drop(provider.shutdown())));
        }
        drop(at_work);
        // Nothing is sent: the channel is closed when the threads have ended.
        if tokio::time::timeout(END_LIMIT, ended.recv()).await.is_err() {
            let limit_s = END_LIMIT.as_secs();
            tracing::warn!("the last traces and metrics could not be sent within {limit_s} s");
        }
    }
}

fn not_started(cause: opentelemetry_otlp::ExporterBuildError) -> Failure {
    Failure::new(Exit::Usage, format!("no traces and metrics can be sent: {cause}"))
}

/// What is said of this process. Of the name, the variable of its own wins, then the list of attributes.
fn resource(variable: impl Fn(&str) -> Option<String>) -> Resource {
    let resource = Resource::builder_empty()
        .with_service_name(NAME)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    match variable("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

impl Traced {
    pub fn new(plugin: &str, route: &str, method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        Self {
            plugin: plugin.to_owned(),
            operation: operation(route, method, uri.path()),
            parent: TraceContextPropagator::new().extract_with_context(&Context::new(), &Traceparent(headers)),
            wants_stream: None,
            failed: None,
        }
    }

    pub fn failed(&mut self, error: &Error) {
        self.failed = Some(Failed {
            code: error.kind.code(),
            model: error.details.model.clone(),
            generation_id: error.details.generation_id.clone(),
        });
    }
}

/// The one header that is read. Its companion `tracestate` holds whatever the caller likes, and would be sent on.
struct Traceparent<'a>(&'a HeaderMap);

impl Extractor for Traceparent<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.get(name).filter(|_| name == "traceparent");
        value.and_then(|value| value.to_str().ok())
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent"]
    }
}

/// What a request asks a model to do.
fn operation(route: &str, method: &Method, path: &str) -> Option<&'static str> {
    match route {
        _ if method != Method::POST => None,
        "chat" | "messages" => Some("chat"),
        // What follows it is about an answer that was given.
        "responses" if path.ends_with("/responses") => Some("chat"),
        "completions" => Some("text_completion"),
        "embeddings" => Some("embeddings"),
        _ => None,
    }
}

/// What both the span and the measures say of a request.
struct Told {
    requested_model: Option<String>,
    served_model: Option<String>,
    error_type: Option<String>,
}

impl Told {
    fn of(record: &Record, traced: &Traced) -> Self {
        let done = record.done.as_deref();
        let failed = traced.failed.as_ref();
        let first_asked = record.attempts().iter().map(|attempt| &attempt.model);
        let requested = done
            .and_then(|done| done.requested_model.as_ref())
            .into_iter()
            .chain(first_asked)
            .chain(failed.and_then(|failed| failed.model.as_ref()))
            .find(|model| !model.is_empty());
        let error_type = match record.outcome() {
            Outcome::Ok => None,
            Outcome::Left => Some(Outcome::Left.word().to_owned()),
            Outcome::Refused | Outcome::Failed | Outcome::Interrupted => Some(match (failed, record.status) {
                (Some(failed), _) => failed.code.to_owned(),
                (None, Some(status)) => status.as_str().to_owned(),
                (None, None) => "_OTHER".to_owned(),
            }),
        };
        Self {
            requested_model: requested.map(|model| short(model)),
            served_model: done.and_then(|done| done.model.as_deref()).map(short),
            error_type,
        }
    }

    /// What there are few of.
    fn attributes(&self, operation: &'static str, traced: &Traced) -> Vec<KeyValue> {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", operation),
            KeyValue::new("gen_ai.provider.name", traced.plugin.clone()),
        ];
        let known = [
            ("gen_ai.request.model", &self.requested_model),
            ("gen_ai.response.model", &self.served_model),
            ("error.type", &self.error_type),
        ];
        for (name, value) in known {
            if let Some(value) = value {
                attributes.push(KeyValue::new(name, value.clone()));
            }
        }
        attributes
    }
}

/// The beginning of a text, of at most [`MAX_TEXT_BYTES`].
fn short(text: &str) -> String {
    let mut end = text.len().min(MAX_TEXT_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_asks_a_model_is_an_operation_of_one() {
        for (method, route, path, expected) in [
            (Method::POST, "chat", "/v1/chat/completions", Some("chat")),
            (Method::POST, "messages", "/api/v1/messages", Some("chat")),
            (Method::POST, "responses", "/v1/responses", Some("chat")),
            (Method::POST, "responses", "/v1/responses/r1/cancel", None),
            (Method::POST, "completions", "/v1/completions", Some("text_completion")),
            (Method::POST, "embeddings", "/v1/embeddings", Some("embeddings")),
            (Method::OPTIONS, "chat", "/v1/chat/completions", None),
            (Method::GET, "models", "/v1/models", None),
            (Method::POST, "other", "/v1/rerank", None),
        ] {
            assert_eq!(operation(route, &method, path), expected, "{method} {path}");
        }
    }

    #[test]
    fn a_long_name_is_cut_between_letters() {
        assert_eq!(short("acme/small"), "acme/small");
        let long = format!("a{}", "é".repeat(200));
        assert_eq!(short(&long), format!("a{}", "é".repeat(127)));
    }
}
