//! The server: accepts connections, reads requests, and carries out the plans that [`crate::service`] makes.
//!
//! The only place of the crate that waits. A client that leaves is noticed because the reply being written, or
//! the wait before it, is dropped, and with it the [`Exchange`].

use std::{
    future::pending,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
    vec,
};

use axum::{
    Router,
    body::{self, Body as HttpBody},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::Response,
    serve::Listener,
};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::yield_now,
    time::sleep,
};

use crate::{
    failure::Failure,
    forms::Form,
    forms::stream::{COMMENT, Step},
    record::{Connection, Exchange, Ledger, Outcome, Recorded},
    service::{Body, Plan, Received, Service, plan_for, refusal},
};

/// Largest body accepted; a larger one gets 413.
const MOST_BODY_BYTES: usize = 32 * 1024 * 1024;
/// Most bytes that frames are gathered to before a write.
const COALESCED_BYTES: usize = 16 * 1024;

#[derive(Clone)]
struct Shared {
    service: Arc<Service>,
    ledger: Arc<Ledger>,
}

/// Serves until `stop` is sent or its sender dropped.
pub(crate) async fn serve(
    listener: std::net::TcpListener,
    service: Arc<Service>,
    ledger: Arc<Ledger>,
    stop: oneshot::Receiver<()>,
) -> io::Result<()> {
    let listener = Counting {
        listener: TcpListener::from_std(listener)?,
        ledger: Arc::clone(&ledger),
    };
    let router = Router::new().fallback(handle).with_state(Shared { service, ledger });
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
            if content_type == "application/json" {
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
        // The exchange is held on to, so that leaving is noticed.
        Body::Never => {
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
        HeaderValue::from_static("a local stand-in, not openrouter.ai"),
    );
    all.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (name, value) in headers {
        // A script may name what is no header; the reply then goes without it.
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
        number: 0,
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers,
        body: serde_json::from_slice(body).unwrap_or(Value::Null),
        body_text: String::from_utf8_lossy(body).into_owned(),
        status: 0,
        outcome: Outcome::InFlight,
        replies: Vec::new(),
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

fn body_from(steps: Vec<Step>, coalesce: bool, exchange: Exchange) -> HttpBody {
    let writing = Writing {
        steps: steps.into_iter(),
        coalesce,
        exchange,
        began: false,
        comment_gap: None,
    };
    let frames = stream::unfold(writing, |mut writing| async move {
        let frame = writing.next_frame().await?;
        Some((frame, writing))
    });
    HttpBody::from_stream(frames)
}

/// A body that is being written.
struct Writing {
    steps: vec::IntoIter<Step>,
    coalesce: bool,
    exchange: Exchange,
    began: bool,
    /// Set once nothing but comments is left to write.
    comment_gap: Option<Duration>,
}

impl Writing {
    async fn next_frame(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            if let Some(gap) = self.comment_gap {
                sleep(gap).await;
                return Some(Ok(Bytes::from_static(COMMENT.as_bytes())));
            }
            let Some(step) = self.steps.next() else {
                self.exchange.complete();
                return None;
            };
            let frame = match step {
                Step::Data(frame) => {
                    self.exchange.sent(&frame);
                    frame
                }
                Step::Text(frame) => frame,
                Step::Wait(wait) => {
                    sleep(wait).await;
                    continue;
                }
                Step::Stall => pending().await,
                Step::Abort => {
                    self.exchange.complete();
                    // What was handed over is flushed only while the body has nothing more to say.
                    yield_now().await;
                    return Some(Err(io::Error::other("the script cuts the connection")));
                }
                Step::CommentForever(gap) => {
                    self.comment_gap = Some(gap);
                    continue;
                }
            };
            if self.began && !self.coalesce {
                // The connection writes what it has when the body makes it wait: one frame, one write.
                yield_now().await;
            }
            self.began = true;
            let frame = if self.coalesce { self.gathered(frame) } else { frame };
            if self.steps.as_slice().is_empty() {
                // Before the client can see the last frame, so that it never sees a record that is not over.
                self.exchange.complete();
            }
            return Some(Ok(frame));
        }
    }

    /// `first` and the frames that follow it without a wait.
    fn gathered(&mut self, first: Bytes) -> Bytes {
        let mut all = BytesMut::from(&first[..]);
        while all.len() < COALESCED_BYTES
            && let Some(Step::Data(frame) | Step::Text(frame)) = self.steps.as_slice().first()
        {
            all.extend_from_slice(frame);
            if let Some(Step::Data(frame)) = self.steps.next() {
                self.exchange.sent(&frame);
            }
        }
        all.freeze()
    }
}

/// A listener whose connections are counted.
struct Counting {
    listener: TcpListener,
    ledger: Arc<Ledger>,
}

impl Listener for Counting {
    type Io = Counted;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Counted, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Without it a small frame waits for the acknowledgement of the one before. If it fails, that is all.
        let _ = stream.set_nodelay(true);
        (
            Counted {
                stream,
                _connection: self.ledger.connect(),
            },
            address,
        )
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

struct Counted {
    stream: TcpStream,
    _connection: Connection,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
