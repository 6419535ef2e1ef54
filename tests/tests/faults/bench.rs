//! One call of the real plugin to a service that misbehaves, and what came of it.

use std::env;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_api::{ChatReply, Config, Error, LogOnly, Plugin, loader};
use serde_json::{Value, json};
use tests::faultd::{Arrival, Faultd, Script};
use tests::{block_on, openrouter_plugin, request};

use crate::child::PLUGIN;

/// The key of every call.
pub const KEY: &str = "sk-or-v1-canary-4711";

/// How much longer than its limit a call may take. Generous, because the machine may be busy with other tests.
const GRACE: Duration = Duration::from_secs(20);

/// What a call came to.
pub struct Outcome {
    pub result: Result<ChatReply, Error>,
    pub requests: Vec<Arrival>,
    pub took: Duration,
}

/// The plugin with these options, talking to the service at `base_url`.
pub fn plugin_at(base_url: &str, options: Value) -> Plugin {
    let environment = [("OPENROUTER_API_KEY", KEY), ("OPENROUTER_BASE_URL", base_url)];
    plugin_with(&environment, options)
}

/// The plugin with this environment.
pub fn plugin_with(environment: &[(&str, &str)], options: Value) -> Plugin {
    let module = loader::load(&library()).expect("it fits");
    let services = Arc::new(LogOnly::new("openrouter"));
    let config = config_with(environment, options);
    module.create(services, &config).expect("the configuration is right")
}

/// Where the plugin is. A process with limits of its own cannot build it, so the one that started it says so.
pub fn library() -> PathBuf {
    env::var_os(PLUGIN).map_or_else(openrouter_plugin, PathBuf::from)
}

/// What a host gives the plugin.
pub fn config_with(environment: &[(&str, &str)], options: Value) -> Config {
    let environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config {
        options,
        environment: environment.collect(),
    }
}

/// Asks for an answer in one piece.
pub fn chat(plugin: &Plugin) -> Result<ChatReply, Error> {
    block_on(plugin.chat(&request("acme/model", "hello")))
}

/// Asks for an answer in pieces, and puts them together.
pub fn stream(plugin: &Plugin) -> Result<ChatReply, Error> {
    block_on(async { plugin.stream(&request("acme/model", "hello")).await?.collect().await })
}

/// One call for an answer in one piece, to a service of its own that plays these scripts.
pub fn plain(options: Value, scripts: &[Script]) -> Outcome {
    outcome(options, &Faultd::playing(scripts), chat)
}

/// One call for an answer in pieces, to a service of its own that plays these scripts.
pub fn streamed(options: Value, scripts: &[Script]) -> Outcome {
    outcome(options, &Faultd::playing(scripts), stream)
}

/// Both kinds of call: first in pieces, then in one.
pub fn both(options: &Value, scripts: &[Script]) -> [Outcome; 2] {
    [streamed(options.clone(), scripts), plain(options.clone(), scripts)]
}

/// One call to this service.
///
/// - Panics: if a connection stays open when the call and its plugin are gone.
pub fn outcome(options: Value, service: &Faultd, call: impl FnOnce(&Plugin) -> Result<ChatReply, Error>) -> Outcome {
    let plugin = plugin_at(&service.base_url(), options);
    let begun = Instant::now();
    let result = call(&plugin);
    let took = begun.elapsed();
    drop(plugin);
    service.wait_until_idle();
    assert!(!format!("{result:?}").contains(KEY), "the key in {:?}", result.err());
    Outcome {
        result,
        requests: service.requests(),
        took,
    }
}

/// One attempt only, for faults of which the retry is not the point.
pub fn once() -> Value {
    json!({"retry": {"attempts": 1}})
}

impl Outcome {
    /// The code of the error, or `ok`, and how many requests came.
    pub fn told(&self) -> (&'static str, usize) {
        (code(&self.result), self.requests.len())
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

    /// What had arrived before the error.
    #[track_caller]
    pub fn partial(&self) -> Option<&str> {
        self.error().details.partial_text.as_deref()
    }

    /// Panics unless it ended within its limit.
    #[track_caller]
    pub fn assert_within(&self, limit: Duration) -> &Self {
        assert!(self.took < limit + GRACE, "{:?} instead of {limit:?}", self.took);
        self
    }
}

/// The code of the error, or `ok`.
pub fn code<T>(result: &Result<T, Error>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(error) => error.kind.code(),
    }
}
