//! A request as it is sent, and an answer as it arrived.

use sandbox::Sandbox;
use serde_json::{Value, json};

use crate::canary;

/// A request, known to the byte. Headers are sent in the order in which they were added, duplicates included.
#[derive(Clone, Debug)]
pub struct Request {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
}

impl Request {
    /// A request with no header at all.
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// The same with another method.
    pub fn method(mut self, method: &str) -> Self {
        method.clone_into(&mut self.method);
        self
    }

    /// The same for another target.
    pub fn target(mut self, target: &str) -> Self {
        target.clone_into(&mut self.target);
        self
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Removes all headers with this exact name.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// Replaces all headers with this exact name by one.
    pub fn with(self, name: &str, value: &str) -> Self {
        self.without(name).header(name, value)
    }

    /// Sets the body, and its length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        self = self.with("content-length", &body.len().to_string());
        self.body = Some(body);
        self
    }

    /// The same request for the service itself.
    pub fn to_service(&self, service: &Sandbox) -> Self {
        let request = self.clone().target(&format!("/api{}", self.target));
        let request = request.with("host", &service.address().to_string());
        request.with("authorization", &format!("Bearer {}", service.key()))
    }

    /// The bytes to send.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }

    /// The bytes of its head, with the empty line.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head += "\r\n";
        head.into_bytes()
    }
}

/// The body of a chat request with one message.
pub fn chat_body(model: &str, text: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": text}]})
}

/// An answer that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// Its headers, with names in lower case.
    pub headers: Vec<(String, String)>,
    /// Its body, without the chunks' frames.
    pub body: Vec<u8>,
    /// Whether the body is complete, and was not cut.
    pub is_whole: bool,
}

impl Answer {
    /// The value of a header; the name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(known, _)| known == name);
        header.map(|(_, value)| value.as_str())
    }

    /// Its body as text.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is text")
    }

    /// Its body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {self:?}"))
    }

    /// The text of the first choice of a chat.
    #[track_caller]
    pub fn content(&self) -> String {
        let json = self.json();
        let content = json["choices"][0]["message"]["content"].as_str();
        content.unwrap_or_else(|| panic!("no text: {json}")).to_owned()
    }

    /// The data of each event of a stream, as text.
    #[track_caller]
    pub fn events(&self) -> Vec<String> {
        let text = self.text();
        let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
        data.map(str::to_owned).collect()
    }

    /// The text of a streamed chat.
    #[track_caller]
    pub fn streamed(&self) -> String {
        let events = self.events();
        let chunks = events
            .iter()
            .filter_map(|event| serde_json::from_str::<Value>(event).ok());
        let text = |chunk: Value| Some(chunk["choices"][0]["delta"]["content"].as_str()?.to_owned());
        chunks.filter_map(text).collect()
    }

    /// Panics with the whole answer unless it has this status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(
            self.status,
            status,
            "{:?}\n{}",
            self.headers,
            String::from_utf8_lossy(&self.body)
        );
        assert!(self.is_whole, "cut: {self:?}");
        self
    }

    #[track_caller]
    pub(super) fn looked_through(self) -> Self {
        canary::assert_none(&"an answer", &self.body);
        for (name, value) in &self.headers {
            canary::assert_none(&format_args!("the header `{name}` of an answer"), value.as_bytes());
        }
        self
    }
}
