//! What a collector receives.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{iter, thread};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, metric};
use opentelemetry_proto::tonic::trace::v1::Span;
use plugin_api::{Error, ErrorKind};
use prost::Message;
use serde_json::{Value, json};

use super::bench::{Bench, TOKEN, block_on};
use super::fake::{Fake, Held, KEY};
use crate::serve::otel::Otel;
use crate::serve::record::{Record, Telemetry};

const PROMPT: &str = "a prompt that nobody else may read";
/// The caller's.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// What was sent to a collector: the path, the head and the body of each request.
type Sent = (String, String, Vec<u8>);

/// Takes whatever is posted, and says yes.
fn collector() -> (SocketAddr, Receiver<Sent>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("an address");
    let (sender, sent) = channel();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = BufReader::new(socket.expect("a connection"));
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                let count = socket.read_line(&mut head).expect("something arrives");
                assert!(count > 0, "the request broke off");
            }
            let head = head.to_lowercase();
            let mut lengths = head.lines().filter_map(|line| line.strip_prefix("content-length: "));
            let length = lengths.next().and_then(|length| length.parse().ok());
            let mut body = vec![0; length.expect("a length")];
            socket.read_exact(&mut body).expect("the whole body");
            let path = head.split(' ').nth(1).expect("a path").to_owned();
            // Before the answer, as the test looks once the exporter has it; the test may also have all that it wants.
            let _ = sender.send((path, head, body));
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
            let sent = socket.get_mut().write_all(answer.as_bytes());
            sent.expect("it waits for the answer");
        }
    });
    (address, sent)
}

/// The endpoint, with its traces and metrics on their way to this address.
fn bench(collector: SocketAddr) -> Bench {
    let endpoint = format!("http://{collector}");
    let otel = Otel::start(|name| (name == "OTEL_EXPORTER_OTLP_ENDPOINT").then(|| endpoint.clone()));
    let mut telemetry = Telemetry::new(None);
    telemetry.otel = otel.ok().flatten();
    assert!(telemetry.otel.is_some());
    Bench::telling::<Fake>(telemetry, 8)
}

/// Sends what is left, for at most this long.
fn end(bench: &Bench, limit: Duration) {
    let otel = bench.shared.telemetry.otel.as_ref();
    block_on(otel.expect("it was started").end(limit));
}

fn value(value: Option<&AnyValue>) -> Value {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::BoolValue(flag)) => json!(flag),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::ArrayValue(items)) => items.values.iter().map(|item| self::value(Some(item))).collect(),
        other => panic!("{other:?} is not expected"),
    }
}

fn object(attributes: &[KeyValue]) -> Value {
    let pairs = attributes
        .iter()
        .map(|pair| (pair.key.clone(), value(pair.value.as_ref())));
    Value::Object(pairs.collect())
}

fn histogram(metric: &Metric) -> &[HistogramDataPoint] {
    match &metric.data {
        Some(metric::Data::Histogram(histogram)) => &histogram.data_points,
        other => panic!("{other:?} is no histogram"),
    }
}

fn chat(name: &str) -> String {
    format!("/v1/chat/completions?{name}")
}

fn streaming() -> String {
    json!({"stream": true, "messages": [{"role": "user", "content": PROMPT}]}).to_string()
}

#[test]
fn spans_and_metrics_arrive_without_any_content() {
    let (address, sent) = collector();
    let bench = bench(address);
    let begun = SystemTime::now();
    let whole = json!({"messages": [{"role": "user", "content": PROMPT}]}).to_string();
    assert_eq!(bench.ask("POST", &chat("secret-query"), &whole).status, 200);

    // Streamed, by the second model, in the caller's trace.
    let mut client = bench.client();
    let (host, body) = (bench.address, streaming());
    client.send(&format!(
        "POST {} HTTP/1.1\r\nhost: {host}\r\nx-api-key: {KEY}\r\ntraceparent: {TRACEPARENT}\r\ncontent-type: application/json\r\n\
         tracestate: a=secret\r\nx-title: secret-title\r\ncontent-length: {}\r\n\r\n{body}",
        chat("traced"),
        body.len()
    ));
    let held = Held::wait("/chat/completions?traced");
    held.raw("data: secret-answer\n\n");
    held.done(json!({
        "finish_reason": "stop", "requested_model": "acme/large", "model": "acme/small", "generation_id": "gen-2",
        "attempts": [
            {"model": "acme/large", "provider": "Acme", "status": 503, "code": "unavailable", "reason": "secret-reason"},
            {"model": "acme/small"}
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34, "cost_usd": "0.25"}
    }));
    assert_eq!(client.head().0, 200);
    client.chunks();
    // An answer on the same connection: the record of the one before is complete.
    client.ask("GET", "/health", "");
    assert_eq!(client.answer().status, 200);

    // Broken off.
    let mut client = bench.client();
    client.ask("POST", &chat("broken"), &streaming());
    let held = Held::wait("/chat/completions?broken");
    held.raw("data: 1\n\n");
    let mut error = Error::new(ErrorKind::INTERRUPTED, "secret-message");
    error.details.model = Some("acme/odd".to_owned());
    held.fail(error);
    client.head();
    client.chunks();
    client.ask("GET", "/nothing", "");
    assert_eq!(client.answer().status, 404);

    // Refused by the service, failed, and refused here.
    assert_eq!(bench.ask("POST", &chat("refused"), &streaming()).status, 402);
    assert_eq!(bench.ask("GET", "/v1/responses/unreachable", "").status, 502);
    let mut client = bench.client();
    client.send(&format!(
        "POST /v1/embeddings HTTP/1.1\r\nhost: {host}\r\nx-api-key: wrong-key\r\ncontent-length: 0\r\n\r\n"
    ));
    assert_eq!(client.answer().status, 401);
    let ended = SystemTime::now();
    // Long enough for any machine.
    end(&bench, Duration::from_secs(600));

    let sent: Vec<Sent> = sent.try_iter().collect();
    for (_, head, body) in &sent {
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        for secret in [PROMPT, TOKEN, KEY, "wrong-key", "secret", "authorization", "Bearer"] {
            let found = body.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{secret} was sent");
        }
    }
    let bodies = |path: &str| {
        let bodies = sent.iter().filter(|(sent_to, _, _)| sent_to == path);
        bodies.map(|(_, _, body)| body.as_slice()).collect::<Vec<_>>()
    };
    assert_eq!(bodies("/v1/traces").len() + bodies("/v1/metrics").len(), sent.len());
    let nanos = |time: SystemTime| time.duration_since(UNIX_EPOCH).expect("later than 1970").as_nanos();
    spans_are_complete(&bodies("/v1/traces"), nanos(begun), nanos(ended));
    measures_are_complete(&bodies("/v1/metrics"));
}

fn spans_are_complete(bodies: &[&[u8]], begun_ns: u128, ended_ns: u128) {
    let spans = spans_in(bodies);
    let mut found = Vec::new();
    for span in &spans {
        let mut attributes = object(&span.attributes);
        if let Some(first) = attributes.get_mut("gen_ai.response.time_to_first_chunk") {
            assert!(first.as_f64().is_some_and(|seconds| seconds > 0.0), "{first}");
            *first = json!("some time");
        }
        let status = span.status.clone().unwrap_or_default();
        found.push(json!([span.name, span.kind, status.code, status.message, attributes]));
        let times = [
            begun_ns,
            span.start_time_unix_nano.into(),
            span.end_time_unix_nano.into(),
            ended_ns,
        ];
        assert!(times.is_sorted() && times[1] < times[2], "{times:?}");
    }
    found.sort_by_key(Value::to_string);
    assert_eq!(found, expected_spans());

    let traced = spans
        .iter()
        .find(|span| span.name == "chat acme/large")
        .expect("it is there");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(
        (hex(&traced.trace_id).as_str(), hex(&traced.parent_span_id).as_str()),
        ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331")
    );
    let events: Vec<_> = traced
        .events
        .iter()
        .map(|event| (event.name.as_str(), object(&event.attributes)))
        .collect();
    let failed = json!({"model": "acme/large", "provider": "Acme", "status": 503, "code": "unavailable"});
    assert_eq!(events, [("attempt", failed)]);
    let others = spans.iter().filter(|span| span.name != "chat acme/large");
    assert!(others.into_iter().all(|span| span.parent_span_id.is_empty()));
}

fn spans_in(bodies: &[&[u8]]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    for body in bodies {
        let request = ExportTraceServiceRequest::decode(*body).expect("it is readable");
        for of_resource in request.resource_spans {
            let resource = object(&of_resource.resource.expect("a resource").attributes);
            assert_eq!(resource["service.name"], "agent-host");
            assert_eq!(resource["service.version"], env!("CARGO_PKG_VERSION"));
            spans.extend(of_resource.scope_spans.into_iter().flat_map(|scope| scope.spans));
        }
    }
    spans
}

/// Name, kind, status, message and attributes of each span.
fn expected_spans() -> Vec<Value> {
    let (server, client) = (2, 3);
    let (unset, error) = (0, 2);
    let spans = json!([
        ["chat", client, unset, "", {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "fake", "gen_ai.response.model": "acme/small",
            "http.response.status_code": 200, "gen_ai.request.stream": false, "gen_ai.response.id": "gen-1",
            "gen_ai.usage.input_tokens": 0, "gen_ai.usage.output_tokens": 0, "gen_ai.usage.cost": 0.0041
        }],
        ["chat acme/large", client, unset, "", {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "fake", "gen_ai.request.model": "acme/large",
            "gen_ai.response.model": "acme/small", "http.response.status_code": 200, "gen_ai.request.stream": true,
            "gen_ai.response.time_to_first_chunk": "some time", "gen_ai.response.id": "gen-2",
            "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 12,
            "gen_ai.usage.output_tokens": 34, "gen_ai.usage.cost": 0.25
        }],
        ["chat acme/odd", client, error, "interrupted", {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "fake", "gen_ai.request.model": "acme/odd",
            "error.type": "interrupted", "http.response.status_code": 200, "gen_ai.request.stream": true,
            "gen_ai.response.time_to_first_chunk": "some time"
        }],
        ["chat", client, error, "payment", {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "fake", "error.type": "payment",
            "http.response.status_code": 402, "gen_ai.request.stream": true
        }],
        ["embeddings", client, error, "401", {
            "gen_ai.operation.name": "embeddings", "gen_ai.provider.name": "fake", "error.type": "401",
            "http.response.status_code": 401
        }],
        ["responses", server, error, "connect", {
            "http.request.method": "GET", "http.response.status_code": 502, "error.type": "connect"
        }],
        ["health", server, unset, "", {"http.request.method": "GET", "http.response.status_code": 200}],
        ["none", server, unset, "", {
            "http.request.method": "GET", "http.response.status_code": 404, "error.type": "404"
        }]
    ]);
    let mut spans = spans.as_array().expect("a list").clone();
    spans.sort_by_key(Value::to_string);
    spans
}

fn measures_are_complete(bodies: &[&[u8]]) {
    let request = ExportMetricsServiceRequest::decode(*bodies.last().expect("metrics were sent"));
    let resources = request.expect("it is readable").resource_metrics;
    let scopes = resources.into_iter().flat_map(|resource| resource.scope_metrics);
    let metrics: BTreeMap<String, Metric> = scopes
        .flat_map(|scope| scope.metrics)
        .map(|metric| (metric.name.clone(), metric))
        .collect();
    let names: Vec<&str> = metrics.keys().map(String::as_str).collect();
    let expected = ["operation.duration", "operation.time_to_first_chunk", "token.usage"];
    assert_eq!(names, expected.map(|name| format!("gen_ai.client.{name}")));
    let duration = &metrics["gen_ai.client.operation.duration"];
    assert_eq!(duration.unit, "s");
    let points = histogram(duration);
    assert_eq!(points.len(), 5);
    let bounds = [
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ];
    for point in points {
        assert_eq!((point.count, &point.explicit_bounds[..]), (1, &bounds[..]));
    }
    let of_traced = json!({
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": "fake", "gen_ai.request.model": "acme/large",
        "gen_ai.response.model": "acme/small"
    });
    assert!(points.iter().any(|point| object(&point.attributes) == of_traced));
    let first_chunk = &metrics["gen_ai.client.operation.time_to_first_chunk"];
    assert_eq!((first_chunk.unit.as_str(), histogram(first_chunk).len()), ("s", 2));
    let tokens = &metrics["gen_ai.client.token.usage"];
    assert_eq!(tokens.unit, "{token}");
    let mut sums: Vec<(Value, Option<f64>)> = histogram(tokens)
        .iter()
        .map(|point| (object(&point.attributes), point.sum))
        .filter(|(attributes, _)| attributes["gen_ai.request.model"] == "acme/large")
        .map(|(attributes, sum)| (attributes["gen_ai.token.type"].clone(), sum))
        .collect();
    sums.sort_by_key(|(kind, _)| kind.to_string());
    assert_eq!(sums, [(json!("input"), Some(12.0)), (json!("output"), Some(34.0))]);
}

/// Whether the other side still waits for an answer on this connection.
fn is_open(socket: &mut TcpStream) -> bool {
    socket.set_nonblocking(true).expect("it is a socket");
    loop {
        match socket.read(&mut [0; 4096]) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(cause) => return cause.kind() == io::ErrorKind::WouldBlock,
        }
    }
}

#[test]
fn a_collector_that_never_answers_holds_up_neither_answers_nor_the_end() {
    // It takes connections, and nobody ever reads them.
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let bench = bench(listener.local_addr().expect("an address"));
    for _ in 0..3000 {
        // More than the queue holds; each is dropped at once.
        let telemetry = bench.shared.telemetry.clone();
        let mut record = Record::begin(telemetry, "health", &hyper::Method::GET, "/health");
        let (parts, ()) = hyper::Request::new(()).into_parts();
        record.trace("fake", &parts);
        record.answered(hyper::StatusCode::OK);
    }
    assert_eq!(bench.ask("POST", &chat("hung"), "{}").status, 200);
    // The first batch is still on its way, so nothing waited for room in the queue.
    let (mut first, _) = listener.accept().expect("a batch");
    assert!(is_open(&mut first));
    end(&bench, Duration::from_millis(10));
    // Something is still being sent, so the end did not wait until the exporters gave up.
    listener.set_nonblocking(true).expect("it is a socket");
    let later = iter::from_fn(|| listener.accept().ok()).map(|(socket, _)| socket);
    assert!(iter::once(first).chain(later).any(|mut socket| is_open(&mut socket)));
    // What ends later is dropped.
    assert_eq!(bench.ask("POST", &chat("late"), "{}").status, 200);
}
