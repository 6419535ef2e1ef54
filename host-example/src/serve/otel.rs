//! Traces and metrics of the requests, by the GenAI conventions of OpenTelemetry, sent to a collector over OTLP/HTTP.
//!
//! In: requests that have [`Ended`]. Out: one span each, and for model requests the metrics that dashboards know.
//! Both are sent from threads of the SDK; a request only puts its span into a queue, and a full queue drops it.
//! No prompt, no answer, no header and no query is ever in them.

// In the order in which data travels.
mod targets;
mod reported;
mod spans;
mod measures;
mod collector;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{MetricExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::sync::mpsc;

use self::collector::Collector;
use self::measures::Measures;
use self::reported::Reported;
pub use self::reported::Traced;
use self::spans::Spans;
use self::targets::Targets;
use super::ended::Ended;
use crate::terminal::{self, Failure};

/// The default name of this service, and the instrumentation scope.
const NAME: &str = "agent-host";
/// How long to wait for the last batches when the program ends.
pub const END_LIMIT: Duration = Duration::from_secs(2);

/// The signals that are sent; `None` for the others.
pub struct Otel {
    spans: Option<Spans>,
    measures: Option<Measures>,
}

impl Otel {
    /// Starts the exporters that the environment asks for; `None` without a collector's address.
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
        // One warning for both if they go to the same collector.
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
    pub fn take(&self, ended: &Ended, traced: &Traced) {
        let reported = Reported::of(ended, traced);
        if let Some(spans) = &self.spans {
            spans.take(ended, traced, &reported);
        }
        if let (Some(measures), Some(operation)) = (&self.measures, traced.operation) {
            measures.take(ended, operation, traced, &reported);
        }
    }

    /// Sends what is left, for at most this long, and sends nothing from then on.
    pub async fn end(&self, limit: Duration) {
        let (at_work, mut ended) = mpsc::channel::<()>(1);
        // The SDK blocks while it sends, and longer than a shutdown may take.
        let end = |work: Box<dyn FnOnce() + Send>| {
            let at_work = at_work.clone();
            // Without a thread the rest is lost.
            let _ = thread::Builder::new().name("otel-end".to_owned()).spawn(move || {
                work();
                drop(at_work);
            });
        };
        if let Some(Spans { provider, .. }) = &self.spans {
            let provider = provider.clone();
            // The collector's client has already warned if it cannot be reached.
            end(Box::new(move || drop(provider.shutdown())));
        }
        if let Some(Measures { provider, .. }) = &self.measures {
            let provider = provider.clone();
            end(Box::new(move || drop(provider.shutdown())));
        }
        drop(at_work);
        // Nothing is sent: the channel is closed when the threads have ended.
        if tokio::time::timeout(limit, ended.recv()).await.is_err() {
            let limit_s = limit.as_secs();
            tracing::warn!("the last traces and metrics could not be sent within {limit_s} s");
        }
    }
}

fn not_started(cause: opentelemetry_otlp::ExporterBuildError) -> Failure {
    Failure::usage(format!("cannot send traces and metrics: {cause}"))
}

/// The attributes of this process. `OTEL_SERVICE_NAME` wins over the list of attributes.
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
