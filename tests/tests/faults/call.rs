//! One call of the real plugin to a service that misbehaves, and how it ended.

use plugin_api::{ChatReply, Error, Plugin};
use serde_json::{Value, json};
use tests::faultd::{Arrival, Faultd, Script};
use tests::{block_on, config_at, openrouter, request};

/// The key of every call.
pub const KEY: &str = "sk-or-v1-canary-4711";

/// How a call ended, and what the service was asked.
pub struct Outcome {
    pub result: Result<ChatReply, Error>,
    pub requests: Vec<Arrival>,
}

/// The plugin with these options, for the service at `base_url`.
pub fn plugin_at(base_url: &str, options: Value) -> Plugin {
    openrouter(&config_at(base_url, KEY, options))
}

/// Sends one message and reads the answer, as a stream or in one piece.
pub async fn ask(plugin: &Plugin, as_stream: bool) -> Result<ChatReply, Error> {
    let asked = request("acme/model", "hello");
    if as_stream {
        return plugin.stream(&asked).await?.collect().await;
    }
    plugin.chat(&asked).await
}

/// Waits for an answer in one piece.
pub fn chat(plugin: &Plugin) -> Result<ChatReply, Error> {
    block_on(ask(plugin, false))
}

/// Waits for a streamed answer.
pub fn stream(plugin: &Plugin) -> Result<ChatReply, Error> {
    block_on(ask(plugin, true))
}

/// One plain call to a new service that plays these scripts.
pub fn plain(options: Value, scripts: &[Script]) -> Outcome {
    outcome(options, &Faultd::playing(scripts), chat)
}

/// One streamed call to a new service that plays these scripts.
pub fn streamed(options: Value, scripts: &[Script]) -> Outcome {
    outcome(options, &Faultd::playing(scripts), stream)
}

/// Both kinds of call, the streamed one first.
pub fn both(options: &Value, scripts: &[Script]) -> [Outcome; 2] {
    [streamed(options.clone(), scripts), plain(options.clone(), scripts)]
}

/// One call to this service.
///
/// - Panics: if a connection stays open after the call and its plugin are gone.
pub fn outcome(options: Value, service: &Faultd, call: impl FnOnce(&Plugin) -> Result<ChatReply, Error>) -> Outcome {
    let plugin = plugin_at(&service.base_url(), options);
    let result = call(&plugin);
    drop(plugin);
    service.wait_until_idle();
    assert!(!format!("{result:?}").contains(KEY), "the key in {:?}", result.err());
    Outcome {
        result,
        requests: service.requests(),
    }
}

/// Options that allow one attempt only, for faults whose retry is not the point.
pub fn once() -> Value {
    json!({"retry": {"attempts": 1}})
}

impl Outcome {
    /// The error's code, or `ok`, and the number of requests.
    pub fn summary(&self) -> (&'static str, usize) {
        (code(&self.result), self.requests.len())
    }

    /// Panics, with the error, unless [`Self::summary`] is this.
    #[track_caller]
    pub fn expect(&self, code: &str, n_requests: usize) -> &Self {
        assert_eq!(self.summary(), (code, n_requests), "{:?}", self.result);
        self
    }

    /// Panics, with the error, unless the call ended with one of these codes.
    #[track_caller]
    pub fn expect_one_of(&self, codes: &[&str]) -> &Self {
        assert!(codes.contains(&code(&self.result)), "{:?}", self.result);
        self
    }

    /// The text of a good answer.
    #[track_caller]
    pub fn text(&self) -> &str {
        &self.result.as_ref().expect("a good answer").text
    }

    /// The error.
    #[track_caller]
    pub fn error(&self) -> &Error {
        self.result.as_ref().map(|_| ()).expect_err("an error")
    }

    /// The text that arrived before the error.
    #[track_caller]
    pub fn partial(&self) -> Option<&str> {
        self.error().details.partial_text.as_deref()
    }
}

/// The error's code, or `ok`.
pub fn code<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.kind.code(),
    }
}
