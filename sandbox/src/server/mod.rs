//! Accepts connections, reads requests, and carries out the plans that [`crate::service`] makes.
//!
//! The only part of the crate that waits. A client that leaves drops the reply being written, or the wait before it,
//! and with it the exchange that [`crate::record`] keeps.

mod writing;

use std::{
    convert::Infallible,
    future::{pending, ready},
    io,
    sync::Arc,
};

use axum::{
    Router,
    body::{self, Body as HttpBody},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
    serve::{IncomingStream, ListenerExt},
};
use bytes::Bytes;
use serde_json::Value;
use tokio::{net::TcpListener, sync::oneshot, time::sleep};
use tower::service_fn;

use self::writing::body_from;
use crate::{
    failure::Failure,
    forms::Form,
    record::{
        Recorded,
        ledger::{Connection, Ledger},
    },
    service::{
        plan::{Body, JSON, Plan, Received, refusal},
        plan_for,
        state::Service,
    },
};

/// Largest body accepted; a larger one gets 413.
const MOST_BODY_BYTES: usize = 32 * 1024 * 1024;

/// What the requests of one connection share.
#[derive(Clone)]
struct Shared {
    service: Arc<Service>,
    ledger: Arc<Ledger>,
    _connection: Arc<Connection>,
}

/// Serves until `stop` is sent or its sender dropped.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    service: Arc<Service>,
    ledger: Arc<Ledger>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?.tap_io(|stream| {
        // Otherwise a small frame waits for the acknowledgement of the previous one. A failure only costs time.
        let _ = stream.set_nodelay(true);
    });
    // A router for each connection, which ends with it and so counts it.
    let router = service_fn(move |_: IncomingStream<'_, _>| {
        let router = Router::new().fallback(handle).with_state(Shared {
            service: Arc::clone(&service),
            ledger: Arc::clone(&ledger),
            _connection: Arc::new(ledger.connect()),
        });
        ready(Ok::<_, Infallible>(router))
    });
    tokio::select! {
        result = async { axum::serve(listener, router).await } => result,
        _ = stop => Ok(()),
    }
}

async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let read = body::to_bytes(body, MOST_BODY_BYTES).await;
    let body = read.as_ref().map_or_else(|_| Bytes::new(), Bytes::clone);
    let mut exchange = shared.ledger.begin(recorded_from(&parts, &body));
    let plan = match read {
        Ok(_) => plan_for(&shared.service, &received_from(&parts, body)),
        Err(_) => refusal(Form::Chat, &Failure::status(413), None),
    };

    exchange.answering(plan.status);
    if !plan.wait.is_zero() {
        sleep(plan.wait).await;
    }
    let Plan {
        status, headers, body, ..
    } = plan;
    let (content_type, body) = match body {
        Body::Whole { content_type, bytes } => {
            if content_type == JSON {
                exchange.sent(&bytes);
            }
            exchange.complete();
            (content_type, HttpBody::from(bytes))
        }
        Body::Steps {
            content_type,
            steps,
            coalesce,
        } => (content_type, body_from(steps, coalesce, exchange)),
        Body::Never => {
            // Held, so that a client that leaves is recorded.
            let _exchange = exchange;
            pending().await
        }
    };
    response_from(status, &headers, content_type, body)
}

fn response_from(status: u16, headers: &[(String, String)], content_type: &'static str, body: HttpBody) -> Response {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let all = response.headers_mut();
    all.insert(
        "x-sandbox",
        HeaderValue::from_static("a local sandbox, not openrouter.ai"),
    );
    all.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        // A script may hold an invalid header; the reply goes without it.
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            all.insert(name, value);
        }
    }
    response
}

fn recorded_from(parts: &Parts, body: &[u8]) -> Recorded {
    let mut headers: Vec<(String, String)> = parts
        .headers
        .iter()
        .map(|(name, value)| {
            let is_key = *name == header::AUTHORIZATION;
            let value = if is_key {
                "present".into()
            } else {
                String::from_utf8_lossy(value.as_bytes())
            };
            (name.as_str().to_owned(), value.into_owned())
        })
        .collect();
    if !parts.headers.contains_key(header::AUTHORIZATION) {
        headers.push(("authorization".to_owned(), "absent".to_owned()));
    }
    Recorded {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
        body_text: String::from_utf8_lossy(body).into_owned(),
        ..Recorded::default()
    }
}

fn received_from(parts: &Parts, body: Bytes) -> Received {
    let text = |name: &str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let key = text("authorization")
        .and_then(|value| value.strip_prefix("Bearer "))
        .map(|key| key.trim().to_owned());
    let wants_metadata = ["x-openrouter-metadata", "x-openrouter-experimental-metadata"]
        .into_iter()
        .any(|name| text(name).is_some_and(|value| value.eq_ignore_ascii_case("enabled")));
    Received {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        key: key.filter(|key| !key.is_empty()),
        content_type: text("content-type").map(str::to_owned),
        wants_metadata,
        body,
    }
}
