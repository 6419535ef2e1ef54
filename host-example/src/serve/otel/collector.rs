//! Sends batches to a collector: one HTTP/1.1 request at a time, each on its own connection, without TLS.
//!
//! Runs on the SDK's own threads, which block while it sends. An unreachable collector is reported once, not with every
//! batch, and again only after it was reachable in between.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http_body_util::Full;
use hyper::Uri;
use hyper::client::conn::http1;
use hyper::header::{self, HeaderValue};
use hyper_util::rt::TokioIo;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

use super::targets::shown;

/// The longest time for one batch; it is what OpenTelemetry sets by default.
const LIMIT: Duration = Duration::from_secs(10);

/// A collector, for one kind of what it collects.
#[derive(Debug)]
pub struct Collector {
    signal: &'static str,
    place: String,
    /// Whether there was no answer the last time.
    is_lost: Arc<AtomicBool>,
    /// Whether the answer was no the last time.
    refuses: AtomicBool,
}

impl Collector {
    /// - In: `is_lost`, shared by those who go to the same collector.
    pub fn new(signal: &'static str, target: &Uri, is_lost: Arc<AtomicBool>) -> Self {
        Self {
            signal,
            place: shown(target),
            is_lost,
            refuses: AtomicBool::new(false),
        }
    }

    fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let answer = runtime.block_on(async {
            match tokio::time::timeout(LIMIT, post(request)).await {
                Ok(answer) => answer,
                Err(_) => Err(format!("no answer within {} s", LIMIT.as_secs()).into()),
            }
        });
        // Do not wait for a name server that does not answer.
        runtime.shutdown_background();
        if let Some(news) = self.news(&answer) {
            tracing::warn!("{news}");
        }
        answer
    }

    /// What is worth telling after an attempt.
    fn news(&self, answer: &Result<Response<Bytes>, HttpError>) -> Option<String> {
        let Self { signal, place, .. } = self;
        match answer {
            Err(cause) if !self.is_lost.swap(true, Ordering::Relaxed) => Some(format!(
                "cannot send {signal} to {place}; unsent data will be lost: {cause}"
            )),
            Err(_) => None,
            Ok(answer) => {
                self.is_lost.store(false, Ordering::Relaxed);
                let status = answer.status();
                let refused_before = self.refuses.swap(!status.is_success(), Ordering::Relaxed);
                let is_news = !status.is_success() && !refused_before;
                is_news.then(|| format!("{place} refuses {signal}: HTTP {}", status.as_u16()))
            }
        }
    }
}

impl HttpClient for Collector {
    // Written out as the crate `async-trait` does it.
    fn send_bytes<'a, 'b>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'b>>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { self.send(request) })
    }
}

/// Sends a request; of the answer, only the head is read.
async fn post(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().ok_or("the address has no host")?.clone();
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let socket = TcpStream::connect((host, authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(socket)).await?;
    // It ends with the runtime at the latest; its outcome does not matter.
    tokio::spawn(connection);
    let host = HeaderValue::from_str(authority.as_str())?;
    parts.headers.insert(header::HOST, host);
    parts
        .headers
        .insert(header::CONNECTION, HeaderValue::from_static("close"));
    parts.uri = match parts.uri.path_and_query() {
        Some(path) => Uri::from(path.clone()),
        None => Uri::from_static("/"),
    };
    let answer = sender.send_request(Request::from_parts(parts, Full::new(body))).await?;
    Ok(answer.map(|_| Bytes::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_collector_is_reported_once() {
        let is_lost = Arc::new(AtomicBool::new(false));
        let target = Uri::from_static("http://c:4318/v1/traces?key=7");
        let traces = Collector::new("traces", &target, Arc::clone(&is_lost));
        let metrics = Collector::new("metrics", &target, is_lost);
        let gone = || Err("connection refused".into());
        let status = |status: u16| {
            let mut answer = Response::new(Bytes::new());
            *answer.status_mut() = status.try_into().expect("a status");
            Ok(answer)
        };
        let lost = "cannot send traces to http://c:4318/v1/traces; unsent data will be lost: connection refused";
        assert_eq!(traces.news(&gone()).as_deref(), Some(lost));
        assert_eq!(traces.news(&gone()), None);
        assert_eq!(metrics.news(&gone()), None);
        // It is back, but takes no metrics; that it takes traces changes nothing.
        assert_eq!(traces.news(&status(200)), None);
        assert_eq!(
            metrics.news(&status(404)).as_deref(),
            Some("http://c:4318/v1/traces refuses metrics: HTTP 404")
        );
        assert_eq!(traces.news(&status(202)), None);
        assert_eq!(metrics.news(&status(404)), None);
        assert_eq!(traces.news(&gone()).as_deref(), Some(lost));
    }
}
