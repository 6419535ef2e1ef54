//! The client: one connection, one request at a time, with as little work as HTTP/1.1 allows.

use std::error::Error;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use memchr::memmem;
use serde_json::Value;
use tokio::net::TcpStream;

pub type Failure = Box<dyn Error + Send + Sync>;

/// Where requests go, and with which headers.
#[derive(Clone)]
pub struct Target {
    pub address: String,
    uri: Uri,
    headers: HeaderMap,
}

impl Target {
    /// - In: `base_url` such as `http://127.0.0.1:4000/v1`; `more`, further headers.
    pub fn new(base_url: &str, key: &str, more: &[(&'static str, String)]) -> Self {
        let rest = base_url.strip_prefix("http://").expect("an http URL");
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let value = |text: &str| HeaderValue::from_str(text).expect("a header's value");
        let mut headers = HeaderMap::new();
        headers.insert(HOST, value(address));
        headers.insert(AUTHORIZATION, value(&format!("Bearer {key}")));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        for (name, text) in more {
            headers.insert(HeaderName::from_static(name), value(text));
        }
        Self {
            address: address.to_owned(),
            uri: format!("{path}/chat/completions").parse().expect("a path"),
            headers,
        }
    }
}

/// One connection, which is kept, and opened again after the other side has closed it.
pub struct Connection {
    target: Target,
    sender: Option<SendRequest<Full<Bytes>>>,
    /// The raw body of the last answer.
    pub body: Vec<u8>,
}

/// When an answer arrived, counted from its request.
#[derive(Clone, Copy)]
pub struct Times {
    /// The first bytes of the body.
    pub first: Duration,
    pub whole: Duration,
}

impl Connection {
    pub fn new(target: &Target) -> Self {
        Self {
            target: target.clone(),
            sender: None,
            body: Vec::with_capacity(64 * 1024),
        }
    }

    pub async fn open(&mut self) -> Result<(), Failure> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_ok()
        {
            return Ok(());
        }
        let stream = TcpStream::connect(&self.target.address).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        sender.ready().await?;
        self.sender = Some(sender);
        Ok(())
    }

    /// Sends a request, reads the answer to its end into `body`, and returns how long after `since` it arrived.
    ///
    /// - In: `on_head` is called when the answer begins.
    /// - Errors: no connection, a status other than 200, a body that is cut.
    pub async fn ask(&mut self, body: &Bytes, since: Instant, on_head: impl FnOnce()) -> Result<Times, Failure> {
        self.open().await?;
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.target.uri.clone();
        *request.headers_mut() = self.target.headers.clone();
        self.body.clear();
        let sender = self.sender.as_mut().expect("it was opened");
        let mut response = sender.send_request(request).await?;
        on_head();
        let mut first = None;
        while let Some(frame) = response.frame().await {
            if let Some(piece) = frame?.data_ref() {
                first.get_or_insert_with(|| since.elapsed());
                self.body.extend_from_slice(piece);
            }
        }
        let whole = since.elapsed();
        if response.status() != StatusCode::OK {
            let told: String = String::from_utf8_lossy(&self.body).chars().take(200).collect();
            return Err(format!("status {}: {told}", response.status().as_u16()).into());
        }
        Ok(Times {
            first: first.unwrap_or(whole),
            whole,
        })
    }
}

/// The status of a GET without headers, as a health check sends it.
pub async fn status_of(address: &str, path: &str) -> Result<StatusCode, Failure> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::get(path)
        .header(HOST, address)
        .body(Full::<Bytes>::default())?;
    Ok(sender.send_request(request).await?.status())
}

/// The number of data frames in a stream.
pub fn data_frames(body: &[u8]) -> usize {
    memmem::find_iter(body, b"data: ").count()
}

/// Whether a stream came to its end.
pub fn is_done(body: &[u8]) -> bool {
    memmem::rfind(body, b"data: [DONE]").is_some()
}

/// The text of a whole answer or of a stream.
///
/// - Errors: unexpected JSON, or an error in the stream.
pub fn text_of(body: &[u8], is_stream: bool) -> Result<String, Failure> {
    if !is_stream {
        let answer: Value = serde_json::from_slice(body)?;
        let text = answer.pointer("/choices/0/message/content").and_then(Value::as_str);
        return Ok(text.ok_or("an answer without content")?.to_owned());
    }
    let mut text = String::new();
    for line in std::str::from_utf8(body)?.lines() {
        let Some(data) = line.strip_prefix("data: ").filter(|data| *data != "[DONE]") else {
            continue;
        };
        let chunk: Value = serde_json::from_str(data)?;
        if let Some(error) = chunk.get("error").filter(|error| !error.is_null()) {
            return Err(error.to_string().into());
        }
        let content = chunk.pointer("/choices/0/delta/content").and_then(Value::as_str);
        text.push_str(content.unwrap_or_default());
    }
    Ok(text)
}
